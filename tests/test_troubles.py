"""Owners are told of a program in trouble once, and once that it is over."""

import json
from pathlib import Path

import pytest

from bridge.telegram.texts import say
from bridge.troubles import CRASHES, STABLE_S, WINDOW_S, Troubles

NAME = "kitt-worker-1"


class Watched:
    """Troubles, and what they say; `at` is now."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.troubles = Troubles(folder)
        self.at = 1_000.0

    def crash(self, times: int = 1, *, every_s: float = 1.0) -> None:
        for _ in range(times):
            self.at += every_s
            self.troubles.crashed(NAME, self.at)

    def run(self, seconds: float, *, running: bool = True) -> None:
        """Let it stand so for a while; supervisord looks every 5 s."""
        for _ in range(int(seconds / 5)):
            self.at += 5
            self.troubles.look({NAME: running}, self.at)

    def said(self) -> list[str]:
        """What was left for the owners since the last time."""
        paths = list(self.folder.glob("*.json"))
        found = [json.loads(path.read_text()) for path in paths]
        for path in paths:
            path.unlink()
        for each in found:
            assert each["program"] in say(
                "en", f"alert_{each['alert']}", at="", **each["values"], program=each["program"]
            )
        return sorted(each["alert"] for each in found)


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


def test_crashes_are_told_from_the_fifth_on_once(watched: Watched) -> None:
    watched.crash(CRASHES - 1)
    assert watched.said() == []

    watched.crash()
    assert watched.said() == ["crashing"]

    watched.crash(20)
    assert watched.said() == []


def test_crashes_far_apart_are_not_told(watched: Watched) -> None:
    watched.crash(20, every_s=WINDOW_S / (CRASHES - 1))

    assert watched.said() == []


def test_ten_quiet_minutes_are_told_once_and_then_a_crash_is_news_again(watched: Watched) -> None:
    watched.crash(CRASHES)
    watched.run(STABLE_S - 10)
    assert watched.said() == ["crashing"]

    watched.run(20)
    assert watched.said() == ["stable"]
    watched.run(STABLE_S * 2)
    assert watched.said() == []

    watched.crash(CRASHES)
    assert watched.said() == ["crashing"]


def test_a_crash_in_between_starts_the_quiet_time_again(watched: Watched) -> None:
    watched.crash(CRASHES)
    watched.run(STABLE_S - 10)
    watched.crash()
    watched.run(STABLE_S - 10)

    assert watched.said() == ["crashing"]


def test_a_program_that_does_not_run_is_not_well(watched: Watched) -> None:
    watched.troubles.tell(NAME, "refused", watched.at)
    watched.run(STABLE_S * 2, running=False)
    watched.run(60)

    assert watched.said() == ["refused"]


def test_two_different_troubles_are_both_told(watched: Watched) -> None:
    watched.crash(CRASHES)
    for _ in range(3):
        watched.troubles.tell(NAME, "refused", watched.at)

    assert watched.said() == ["crashing", "refused"]


def test_a_trouble_that_is_over_when_it_is_told_has_no_second_message(watched: Watched) -> None:
    watched.troubles.tell(NAME, "stopped", watched.at, seconds=50)
    watched.run(STABLE_S * 2)

    assert watched.said() == ["stopped"]


def test_a_program_that_a_person_stopped_or_removed_is_forgotten(watched: Watched) -> None:
    watched.crash(CRASHES)
    watched.troubles.forget(NAME)
    watched.run(STABLE_S * 2)
    assert watched.said() == ["crashing"]

    watched.crash(CRASHES)
    watched.troubles.look({}, watched.at)
    watched.run(STABLE_S * 2)
    assert watched.said() == ["crashing"]


def test_without_a_folder_nobody_is_told(tmp_path: Path) -> None:
    Troubles(None).tell(NAME, "refused", 1.0)

    assert list(tmp_path.iterdir()) == []

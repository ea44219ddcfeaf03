"""How the default story reads what recurs."""

from typing import Any

import pytest

from bridge.emulator.story_schedules import SCHEDULES, proposal


def understood(text: str, *, dutch: bool = False) -> dict[str, Any]:
    call = proposal(text, dutch)
    assert call is not None
    assert call.name == "propose_schedule"
    return call.input


@pytest.mark.parametrize(
    ("text", "cron", "every_s", "title"),
    [
        ("every weekday at 7:30 the news", "30 7 * * 1-5", 0, "The news"),
        ("elke werkdag om 7:30 het nieuws", "30 7 * * 1-5", 0, "Het nieuws"),
        ("elke werkdag om 7.30 uur het nieuws", "30 7 * * 1-5", 0, "Het nieuws"),
        ("Check the backup every Sunday at 3", "0 3 * * 0", 0, "Check the backup"),
        ("iedere maandag en donderdag om 9:05 stand-up", "5 9 * * 1,4", 0, "Stand-up"),
        ("every day at 7 pm the weather", "0 19 * * *", 0, "The weather"),
        ("every morning the weather", "0 9 * * *", 0, "The weather"),
        ("every 2 hours count the pelicans", "", 7_200, "Count the pelicans"),
        ("elk uur de pelikanen tellen", "", 3_600, "De pelikanen tellen"),
        ("elke 15 minuten de pelikanen tellen", "", 900, "De pelikanen tellen"),
    ],
)
def test_a_wish_that_recurs(text: str, cron: str, every_s: int, title: str) -> None:
    given = understood(text)

    assert (given["cron"], given["every_s"], given["title"]) == (cron, every_s, title)
    assert given["zone"] == ""
    assert given["instructions"].startswith(title)


def test_a_zone_is_read_and_left_out_of_the_task() -> None:
    given = understood("every day at 9:00 in Europe/Amsterdam the news")

    assert (given["zone"], given["title"]) == ("Europe/Amsterdam", "The news")


@pytest.mark.parametrize(
    "text",
    ["hello", "is everything fine?", "compare every e-bike", "what is 7:30 plus 2", "elkaar"],
)
def test_what_does_not_recur_is_none(text: str) -> None:
    assert proposal(text, dutch=False) is None


@pytest.mark.parametrize(
    "text", ["Which schedules do I have?", "toon mijn planningen", "wat staat er gepland?"]
)
def test_a_question_about_schedules(text: str) -> None:
    assert SCHEDULES.search(text)

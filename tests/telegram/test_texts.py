"""Every text a person sees exists in both languages and takes the same values."""

import re
import string
from pathlib import Path

import pytest

import bridge.telegram
from bridge.models import JobStatus
from bridge.telegram.commands import MENU
from bridge.telegram.texts import LANGUAGES, TEXTS, cause, say

FOLDER = Path(next(iter(bridge.telegram.__path__)))
SOURCE = "".join(
    path.read_text() for path in FOLDER.glob("*.py") if not path.stem.endswith("texts")
)


def fields(text: str) -> set[str | None]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("key", TEXTS)
def test_a_text_is_complete_in_every_language(key: str) -> None:
    assert len(TEXTS[key]) == len(LANGUAGES)
    assert all(text.strip() for text in TEXTS[key])


@pytest.mark.parametrize("key", TEXTS)
def test_a_text_takes_the_same_values_in_every_language(key: str) -> None:
    english, dutch = TEXTS[key]

    assert fields(english) == fields(dutch)


@pytest.mark.parametrize("name", MENU)
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_command_of_the_menu_has_its_text(name: str, language: str) -> None:
    text = say(language, f"command_{name}")

    assert 1 <= len(text) <= 256
    assert re.fullmatch(r"[a-z0-9_]{1,32}", name)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_help_names_every_command_of_the_menu(language: str) -> None:
    text = say(language, "help")

    assert [name for name in MENU if f"/{name}" not in text and name != "help"] == []


@pytest.mark.parametrize("status", JobStatus)
def test_every_status_has_a_word(status: JobStatus) -> None:
    assert say("en", f"status_{status}") != say("nl", f"status_{status}")


def test_every_text_the_code_asks_for_exists() -> None:
    asked = set(re.findall(r'say\(\s*[\w.]+,\s*"(\w+)"', SOURCE))

    assert asked - TEXTS.keys() == set()
    assert len(asked) > 20


def test_no_text_is_left_over() -> None:
    patterns = ("command_", "status_", "card_", "cause_", "alert_", "unit_", "when_one_")
    unused = [
        key
        for key in TEXTS
        if not key.startswith(patterns) and not re.search(rf"[\"']{key}[\"']", SOURCE)
    ]

    assert unused == []


def test_an_unknown_language_is_english() -> None:
    assert say("fr", "no_jobs") == say("en", "no_jobs")


def test_values_are_filled_in() -> None:
    assert say("nl", "no_job", id=12) == "Er is hier geen taak 12."


def test_braces_in_a_value_stay_as_they_are() -> None:
    assert say("en", "cause", cause="{id}") == "Cause: {id}"


def test_a_cause_is_told_by_its_code_and_its_detail() -> None:
    assert cause("nl", "limit") == "de taak heeft al zijn stappen gebruikt"
    assert cause("en", "error: KeyError") == "an unexpected error (KeyError)"


def test_a_cause_nobody_knows_is_shown_as_it_is() -> None:
    assert cause("en", "the printer is on fire") == "the printer is on fire"
    assert cause("en", None) == "an unexpected error"

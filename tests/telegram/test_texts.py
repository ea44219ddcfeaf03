"""Every text a person sees exists in every language and takes the same values."""

import re
import string
from pathlib import Path

import pytest

import bridge.telegram
from bridge.models import JobStatus
from bridge.telegram.menu import FOR_OWNERS
from bridge.telegram.texts import LANGUAGES, cause, language_of, say, texts

FOLDER = Path(next(iter(bridge.telegram.__path__)))
SOURCE = "".join(path.read_text() for path in FOLDER.glob("*.py"))
OTHERS = [language for language in LANGUAGES if language != "en"]
KEYS = [key for key, value in texts("en").items() if isinstance(value, str)]


def fields(text: str) -> set[str | None]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def test_dutch_is_one_of_the_languages() -> None:
    assert LANGUAGES[0] == "en"
    assert "nl" in LANGUAGES


@pytest.mark.parametrize("language", OTHERS)
def test_a_language_has_exactly_the_keys_of_english(language: str) -> None:
    assert texts(language).keys() ^ texts("en").keys() == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_is_empty(language: str) -> None:
    assert [key for key in KEYS if not texts(language)[key].strip()] == []


@pytest.mark.parametrize("language", OTHERS)
@pytest.mark.parametrize("key", KEYS)
def test_a_text_takes_the_same_values_in_every_language(key: str, language: str) -> None:
    assert fields(texts(language)[key]) == fields(texts("en")[key])


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_patterns_of_a_language_are_regular_expressions(language: str) -> None:
    for what in ("asks_for_background", "asks_about_jobs", "promises"):
        assert [re.compile(pattern) for pattern in texts(language)[what]]


COMMANDS = [key.removeprefix("command_") for key in texts("en") if key.startswith("command_")]


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_what_a_menu_says_of_a_command_is_as_telegram_wants_it(name: str, language: str) -> None:
    text = say(language, f"command_{name}")

    assert 1 <= len(text) <= 256
    assert re.fullmatch(r"[a-z0-9_]{1,32}", name)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_help_names_every_command(language: str) -> None:
    text, unsaid = say(language, "help"), ("help", "start", *FOR_OWNERS)

    assert [name for name in COMMANDS if f"/{name}" not in text and name not in unsaid] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_the_page_of_the_bot_says_is_not_longer_than_telegram_takes(language: str) -> None:
    assert 1 <= len(say(language, "bot_description")) <= 512
    assert 1 <= len(say(language, "bot_short_description")) <= 120


@pytest.mark.parametrize("status", JobStatus)
def test_every_status_has_a_word(status: JobStatus) -> None:
    assert say("en", f"status_{status}") != say("nl", f"status_{status}")


def test_every_text_the_code_asks_for_exists() -> None:
    asked = set(re.findall(r'say\(\s*[\w.]+,\s*"(\w+)"', SOURCE))

    assert asked - texts("en").keys() == set()
    assert len(asked) > 20


def test_no_text_is_left_over() -> None:
    patterns = (
        *("command_", "status_", "card_", "cause_", "alert_", "unit_", "when_one_"),
        *("setting_", "choice_", "about_", "unfit_", "refused_"),
        *("filter_name_", "bot_"),
    )
    unused = [
        key
        for key in KEYS
        if not key.startswith(patterns) and not re.search(rf"[\"']{key}[\"']", SOURCE)
    ]

    assert unused == []


@pytest.mark.parametrize(("code", "language"), [("nl", "nl"), ("nl-BE", "nl"), ("NL_be", "nl")])
def test_a_language_is_known_by_its_first_part(code: str, language: str) -> None:
    assert language_of(code) == language


@pytest.mark.parametrize("code", ["en", "en-GB", "de", "", None, "nederlands", "../nl"])
def test_whoever_speaks_none_of_ours_is_spoken_to_in_english(code: str | None) -> None:
    assert language_of(code) == "en"


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

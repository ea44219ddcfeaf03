"""When something recurs, in the words of either language, and the parts that show it."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from fakes import START

from bridge.schedules import NewSchedule, Schedule
from bridge.telegram.buttons import Signer
from bridge.telegram.schedule_words import PAGE, list_part, one_part, when
from bridge.telegram.texts import LANGUAGES, names
from bridge.telegram.times import time_text

SIGNER = Signer("123456789:" + "A" * 35)
ONE = Schedule(
    id=1, chat_id="7", prompt="The news", cron="30 7 * * *", next_at="2026-11-23 07:30:00.000"
)


@pytest.mark.parametrize(
    ("timing", "english", "dutch"),
    [
        ({"cron": "30 7 * * 1-5"}, "every weekday at 07:30", "elke werkdag om 07:30"),
        ({"cron": "30 7 * * mon-fri"}, "every weekday at 07:30", "elke werkdag om 07:30"),
        ({"cron": "0 3 * * *"}, "every day at 03:00", "elke dag om 03:00"),
        ({"cron": "0 3 * * 0-6"}, "every day at 03:00", "elke dag om 03:00"),
        ({"cron": "0 3 * * 0"}, "every Sun at 03:00", "elke zo om 03:00"),
        ({"cron": "0 3 * * 7"}, "every Sun at 03:00", "elke zo om 03:00"),
        ({"cron": "5 9 * * 1,4"}, "every Mon, Thu at 09:05", "elke ma, do om 09:05"),
        ({"cron": "0 9 1 * *"}, "every month on day 1 at 09:00", "elke maand op dag 1 om 09:00"),
        ({"cron": "15 * * * *"}, "every hour at :15", "elk uur om :15"),
        ({"cron": "*/15 * * * *"}, "every 15 minutes", "elke 15 minuten"),
        ({"cron": "0 */2 * * *"}, "every 2 hours", "elke 2 uur"),
        ({"cron": "*/7 * * * *"}, "by “*/7 * * * *”", "volgens “*/7 * * * *”"),
        ({"cron": "0 9 1 * 1"}, "by “0 9 1 * 1”", "volgens “0 9 1 * 1”"),
        ({"cron": "0 9 * * 5L"}, "by “0 9 * * 5L”", "volgens “0 9 * * 5L”"),
        ({"cron": "0 9 1 1 *"}, "by “0 9 1 1 *”", "volgens “0 9 1 1 *”"),
        ({"cron": "soon"}, "by “soon”", "volgens “soon”"),
        ({"every_s": 86_400}, "every day", "elke dag"),
        ({"every_s": 3_600}, "every hour", "elk uur"),
        ({"every_s": 7_200}, "every 2 hours", "elke 2 uur"),
        ({"every_s": 300}, "every 5 minutes", "elke 5 minuten"),
        ({"every_s": 90}, "every 90 seconds", "elke 90 seconden"),
        ({"every_s": 1}, "every second", "elke seconde"),
        ({"every_s": -5}, "by “-5”", "volgens “-5”"),
    ],
)
def test_when_in_words(timing: dict[str, Any], english: str, dutch: str) -> None:
    new = NewSchedule(chat_id="7", prompt="x", **timing)

    assert (when(new, "en"), when(new, "nl")) == (english, dutch)


def test_a_time_has_its_year_only_when_it_is_another_one() -> None:
    time = datetime(2027, 3, 1, 7, 30, tzinfo=UTC)

    assert time_text(time, "nl", now=START) == "ma 1 mrt 2027 07:30"
    assert time_text(time, "en", now=time) == "Mon 1 Mar 07:30"
    assert time_text(time, "fr", now=time) == "Mon 1 Mar 07:30"


def test_every_language_names_all_days_and_months() -> None:
    assert [len(names(language, "days")) for language in LANGUAGES] == [7] * len(LANGUAGES)
    assert [len(names(language, "months")) for language in LANGUAGES] == [12] * len(LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_fifty_long_schedules_fit_into_messages(language: str) -> None:
    many = [
        replace(ONE, id=number, title="W" * 500, zone="Z" * 500, cron="9" * 500, error="E" * 5_000)
        for number in range(1, 51)
    ]
    shown: list[str] = []

    for page in range(-(-len(many) // PAGE)):
        part = list_part(many, page, SIGNER, "7", language=language, now=START)
        assert len(part["text"]) < 4_096
        assert len(part["buttons"]) <= PAGE + 1
        shown += [row[0]["text"] for row in part["buttons"][:PAGE] if row[0]["text"] > "▶"]

    assert [text for text in shown if text.startswith("▶")] == [f"▶ {n}" for n in range(1, 51)]


def test_a_page_beyond_the_last_is_the_last() -> None:
    part = list_part([ONE], 10**9, SIGNER, "7", language="en", now=START)

    assert "1 · The news" in part["text"]


def test_one_long_schedule_fits_into_a_message() -> None:
    long = replace(ONE, title="W" * 9_000, prompt="P" * 9_000, error="E" * 9_000, zone="Z" * 9_000)

    assert len(one_part(long, SIGNER, language="en", now=START)["text"]) < 4_096


def test_a_row_made_by_hand_that_cannot_be_used_is_shown() -> None:
    odd = replace(ONE, cron="99 99 99 * 99", zone="Mars", next_at="soon")

    part = list_part([odd], 0, SIGNER, "7", language="en", now=START)

    assert "is being planned" in part["text"]


def test_a_schedule_that_left_times_out_says_so_in_the_persons_language() -> None:
    late = replace(ONE, error="3 skipped: job 12 has not ended")

    part = one_part(late, SIGNER, language="nl", now=START)

    assert "⚠️ 3 × overgeslagen: taak 12 is nog niet klaar" in part["text"]

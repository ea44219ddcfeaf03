"""Times as a person reads them: their clock, their language."""

import pytest
from fakes import START

from bridge.models import Job, JobStatus
from bridge.telegram.job_card import card
from bridge.telegram.job_view import JobView, Step
from bridge.telegram.times import local_text


@pytest.mark.parametrize(
    ("zone", "language", "text"),
    [
        ("UTC", "en", "Sun 22 Nov 23:30"),
        ("Europe/Amsterdam", "nl", "ma 23 nov 00:30"),
        ("America/New_York", "en", "Sun 22 Nov 18:30"),
    ],
)
def test_a_time_of_the_database_is_told_on_the_clock_of_a_zone(
    zone: str, language: str, text: str
) -> None:
    assert local_text("2026-11-22 23:30:00.000", zone, language) == text


def test_a_time_made_by_hand_that_is_none_stays_as_it_is() -> None:
    assert local_text("soon", "UTC", "en") == "soon"


def test_a_card_tells_when_its_job_goes_on_in_the_zone_of_the_chat() -> None:
    status, run_at = JobStatus.SCHEDULED, "2026-11-22 23:30:00.000"
    job = Job(id=4, chat_id="7", prompt="Count pelicans", status=status, run_at=run_at)

    made = card(JobView(job=job, now=START, zone="Europe/Amsterdam"), language="nl")

    assert made.text == "🛠 #4 · Count pelicans\n🕓 Gaat verder: ma 23 nov 00:30"


def test_the_last_steps_on_a_card_have_the_time_of_the_chat() -> None:
    job = Job(id=4, chat_id="7", prompt="Count pelicans", status=JobStatus.RUNNING)
    steps = (Step(at="2026-11-22 23:30:12.000", text="Counting"),)
    view = JobView(job=job, now=START, zone="Europe/Amsterdam", unfolded=True, steps=steps)

    assert card(view, language="en").text.endswith("\n00:30:12 Counting")

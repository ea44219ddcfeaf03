"""What the card of a job shows, from the queue to its end."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bridge.clock import stamp
from bridge.models import Job, JobStatus
from bridge.telegram import job_buttons, job_card
from bridge.telegram.buttons import Signer
from bridge.telegram.job_view import JobView, Step
from bridge.usage import Spent

SIGNER = Signer("123456789:" + "A" * 35)
NOW = datetime(2026, 11, 22, 7, 30, tzinfo=UTC)
JOB = Job(
    id=12,
    chat_id="7",
    prompt="Count the pelicans",
    status=JobStatus.PENDING,
    title="Pelicans",
    acknowledgement="I count them.",
    request_message_id=5,
)
SEEN = {"before", "spent", "waits_for", "steps", "unfolded"}


def view(*, elapsed_s: float = 0, silent_s: float = 0, **changes: Any) -> JobView:
    seen = {name: value for name, value in changes.items() if name in SEEN}
    row = {name: value for name, value in changes.items() if name not in SEEN}
    row.setdefault("started_at", stamp(NOW - timedelta(seconds=elapsed_s)))
    heard_at = stamp(NOW - timedelta(seconds=silent_s))
    return JobView(job=replace(JOB, **row), now=NOW, heard_at=heard_at, **seen)


def card(language: str = "en", **changes: Any) -> str:
    return job_card.card(view(**changes), language=language).text


def running(language: str = "en", **changes: Any) -> list[str]:
    """The lines below the title of a job that runs."""
    return card(language, status=JobStatus.RUNNING, **changes).split("\n")[3:]


def buttons(**changes: Any) -> list[str]:
    rows = job_buttons.card_rows(view(**changes), SIGNER, language="en")
    return [button["text"] for row in rows for button in row]


def test_a_card_in_the_queue_tells_how_many_go_before() -> None:
    assert card() == "I count them.\n\n🛠 #12 · Pelicans\n⏳ In the queue · just go on chatting"
    assert "⏳ In de wachtrij (3 ervoor) · praat gewoon door" in card("nl", before=3)
    assert "(100+ before it)" in card("en", before=250)


def test_a_card_of_running_work_shows_bar_step_and_time() -> None:
    lines = running(progress=41.0, step="Reading", elapsed_s=15)

    assert lines == ["▰▰▰▰▱▱▱▱▱▱ 41 %", "⚙️ Reading", "⏱ 0:15"]


def test_a_card_tells_about_how_long_it_will_still_take() -> None:
    lines = running("nl", progress=41.0, step="3/7 leest", elapsed_s=108)

    assert lines == ["▰▰▰▰▱▱▱▱▱▱ 41 %  stap 3/7", "⚙️ leest", "⏱ 1:48 · nog ± 2:30"]


@pytest.mark.parametrize(
    ("elapsed_s", "progress"), [(19, 50.0), (100, 14.0), (100, 100.0), (100, None)]
)
def test_nobody_guesses_how_long_it_takes(elapsed_s: float, progress: float | None) -> None:
    assert job_card.remaining_s(elapsed_s, progress) is None


@pytest.mark.parametrize(
    ("elapsed_s", "progress", "left_s"),
    [(20, 50.0, 20), (20, 99.0, 10), (100, 31.0, 210), (1_000, 50.0, 1_020), (3_600, 50.0, 3_600)],
)
def test_what_is_left_is_rounded(elapsed_s: float, progress: float, left_s: float) -> None:
    assert job_card.remaining_s(elapsed_s, progress) == left_s


@pytest.mark.parametrize(
    ("step", "shown"),
    [
        ("3/7 reading", ("reading", "3/7")),
        ("3/7: reading", ("reading", "3/7")),
        ("7/3 reading", ("7/3 reading", "")),
        ("0/3 reading", ("0/3 reading", "")),
        ("reading 3/7", ("reading 3/7", "")),
        ("2026/11/22", ("2026/11/22", "")),
        ("", ("", "")),
    ],
)
def test_a_step_may_begin_with_its_number(step: str, shown: tuple[str, str]) -> None:
    assert job_card.numbered(step) == shown


def test_a_number_is_shown_also_without_a_percentage() -> None:
    assert running(step="3/7 Reading")[:2] == ["step 3/7", "⚙️ Reading"]


def test_a_card_without_progress_has_no_bar() -> None:
    assert "▱" not in card(status=JobStatus.RUNNING)


@pytest.mark.parametrize("progress", [-20.0, 140.0])
def test_a_percentage_made_by_hand_does_not_break_the_bar(progress: float) -> None:
    assert len(running(progress=progress)[0].partition(" ")[0]) == 10


def test_a_job_of_which_nothing_is_heard_says_so() -> None:
    assert "💤" not in card(status=JobStatus.RUNNING, elapsed_s=200, silent_s=89)
    lines = running(elapsed_s=200, silent_s=100)
    assert lines[-1] == "💤 Nothing heard for 1:30; it is still at work"


def test_a_job_in_the_queue_is_not_said_to_be_silent() -> None:
    assert "💤" not in card(silent_s=500)


def test_a_card_tells_that_it_is_another_attempt() -> None:
    assert running(failures=1)[-1] == "🔁 Attempt 2 of 3; it goes on where it was"
    assert running("nl", rescues=1)[-1] == "🔁 Herstart; gaat verder waar het was"


def test_a_card_tells_how_many_tokens_were_used() -> None:
    assert "31k tokens" in card(status=JobStatus.RUNNING, spent=Spent(tokens=31_400))


@pytest.mark.parametrize(("language", "line"), [("en", "$ 0.07"), ("nl", "$ 0,07")])
def test_a_card_tells_the_cost_beside_the_tokens(language: str, line: str) -> None:
    spent = Spent(tokens=31_400, cost_micro=70_000)

    assert running(language, elapsed_s=108, spent=spent)[-1] == f"⏱ 1:48 · 31k tokens · {line}"


@pytest.mark.parametrize(
    "spent",
    [
        Spent(tokens=31_400, cost_micro=9_999),
        Spent(tokens=31_400, cost_micro=70_000, unpriced_tokens=1),
        Spent(tokens=31_400, unpriced_tokens=31_400),
    ],
)
@pytest.mark.parametrize("status", [JobStatus.RUNNING, JobStatus.DONE, JobStatus.FAILED])
def test_a_card_tells_no_cost_below_a_cent_or_of_which_a_part_is_unknown(
    status: JobStatus, spent: Spent
) -> None:
    assert "$" not in card(status=status, spent=spent)


@pytest.mark.parametrize("status", [JobStatus.DONE, JobStatus.FAILED, JobStatus.CANCELLED])
def test_the_last_face_of_a_card_tells_what_it_cost(status: JobStatus) -> None:
    spent = Spent(tokens=90_000, cost_micro=112_000)

    assert card("nl", status=status, spent=spent).endswith(" · $ 0,11")


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (JobStatus.SCHEDULED, "🕓 Goes on: Sun 22 Nov 07:35"),
        (JobStatus.BLOCKED, "⛓ Waits for another job"),
        (JobStatus.WAITING, "❓ Waits for your answer"),
    ],
)
def test_a_card_of_work_that_waits_says_for_what(status: JobStatus, line: str) -> None:
    assert card(status=status, run_at="2026-11-22 07:35:00.000").endswith(line)


def test_a_blocked_card_names_the_jobs_it_waits_for() -> None:
    assert card(status=JobStatus.BLOCKED, waits_for=(41, 43)).endswith("⛓ Waits for #41, #43")


def test_an_unfolded_card_shows_the_last_steps_in_a_quote_that_folds() -> None:
    steps = (Step(at="2026-11-22 07:29:00.000", text="🦩 one"), Step(at="", text="two"))
    made = job_card.card(view(status=JobStatus.RUNNING, unfolded=True, steps=steps), language="en")

    quote = "07:29:00 🦩 one\n two"
    (entity,) = made.entities
    assert made.text.endswith(f"📋 Last steps\n{quote}")
    assert entity["type"] == "expandable_blockquote"
    assert entity["length"] == len(quote) + 1  # the bird is two units
    assert job_card.outline(made.text) == (True, False)


def test_an_unfolded_card_without_steps_says_so() -> None:
    assert running(unfolded=True)[-1] == "It has not reported any yet."


@pytest.mark.parametrize(
    ("status", "lines"),
    [
        (JobStatus.DONE, ["✅ #12 · Pelicans · 3:52"]),
        (JobStatus.FAILED, ["❌ #12 · Pelicans", "Mislukt · 3:52"]),
        (JobStatus.CANCELLED, ["⏹ #12 · Pelicans", "Geannuleerd na 3:52"]),
    ],
)
def test_the_last_face_of_a_card_shows_the_end_and_how_long_it_took(
    status: JobStatus, lines: list[str]
) -> None:
    text = card(
        "nl",
        status=status,
        started_at="2026-11-22 07:30:00.000",
        completed_at="2026-11-22 07:33:52.900",
    )

    assert text.split("\n")[2:] == lines


def test_a_job_cancelled_in_the_queue_took_no_time() -> None:
    text = card(status=JobStatus.CANCELLED, started_at=None, completed_at="2026-11-22 07:33:52.900")

    assert text.endswith("⏹ #12 · Pelicans\nCancelled")


@pytest.mark.parametrize(
    ("changes", "texts"),
    [
        ({"status": JobStatus.PENDING}, ["⏹ Cancel"]),
        ({"status": JobStatus.PENDING, "before": 1}, ["⏹ Cancel", "⬆ First"]),
        ({"status": JobStatus.BLOCKED}, ["⏹ Cancel"]),
        ({"status": JobStatus.RUNNING}, ["⏹ Cancel", "📋 Details"]),
        ({"status": JobStatus.RUNNING, "unfolded": True}, ["⏹ Cancel", "📋 Less"]),
        ({"status": JobStatus.WAITING}, ["⏹ Cancel"]),
        ({"status": JobStatus.DONE}, []),
        ({"status": JobStatus.FAILED}, []),
        ({"status": JobStatus.CANCELLED}, []),
    ],
)
def test_a_card_has_only_buttons_that_do_something(
    changes: dict[str, Any], texts: list[str]
) -> None:
    assert buttons(**changes) == texts


@pytest.mark.parametrize(
    ("seconds", "text"), [(-5, "0:00"), (9, "0:09"), (108, "1:48"), (3_725, "1:02:05")]
)
def test_a_duration_is_written_as_a_clock(seconds: float, text: str) -> None:
    assert job_card.clock_text(seconds) == text

"""The messages jobs end with, and their buttons."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from bridge.models import Job, JobStatus
from bridge.telegram import job_endings
from bridge.telegram.buttons import Signer
from bridge.telegram.job_view import JobView, Step

SIGNER = Signer("123456789:" + "A" * 35)
JOB = Job(
    id=12,
    chat_id="7",
    prompt="Count the pelicans",
    status=JobStatus.PENDING,
    title="Pelicans",
    request_message_id=5,
)
NOW = datetime(2026, 11, 22, 7, 30, tzinfo=UTC)


def failure(language: str = "en", *, steps: tuple[Step, ...] = (), **changes: Any) -> Any:
    job = replace(JOB, status=JobStatus.FAILED, **changes)
    view = JobView(job=job, now=NOW, steps=steps)
    (part,) = job_endings.parts("failure", view, [], SIGNER, language=language)
    return part


def labels(part: dict[str, Any]) -> list[str]:
    return [button["text"] for row in part["buttons"] for button in row]


def test_a_failure_says_what_and_why_and_what_can_be_done() -> None:
    part = failure(failures=3, error="error: KeyError")

    assert (
        part["text"]
        == "❌ #12 failed (3 attempts) · Pelicans\n\nCause: an unexpected error (KeyError)"
    )
    assert not part["silent"]
    assert part["reply_to"] == 5
    assert labels(part)[0] == "↻ Try again"
    assert labels(part)[-1] == "🗑 Never mind"


def test_a_failure_at_the_first_attempt_counts_no_attempts() -> None:
    part = failure("nl", failures=1, error="refused: no")

    assert part["text"].startswith("❌ #12 mislukt · Pelicans")
    assert "Oorzaak: het model wijst deze opdracht af (no)" in part["text"]


def test_a_failure_tells_at_which_step_it_happened() -> None:
    part = failure("nl", failures=2, step="4/7 leest", error="limit")

    assert part["text"].startswith("❌ #12 mislukt bij stap 4/7 (2 pogingen) · Pelicans")


def test_the_details_of_a_failure_are_folded() -> None:
    steps = (Step(at="2026-11-22 07:29:00.000", text="Reading"),)
    part = failure(steps=steps, error="error: " + "x" * 900)

    assert [entity["type"] for entity in part["entities"]] == ["bold", "expandable_blockquote"]
    assert "07:29:00 Reading\nerror: xxx" in part["text"]
    assert len(part["text"]) < 4_000


@pytest.mark.parametrize("error", ["error: " + "🦩" * 2_000, "x" * 2_000, "\n" * 2_000, ""])
def test_a_failure_of_any_length_can_be_sent(error: str) -> None:
    steps = tuple(Step(at="", text="y" * 200) for _ in range(3))

    assert len(failure(error=error, steps=steps)["text"].encode("utf-16-le")) // 2 <= 4_096


@pytest.mark.parametrize("result", ["Three.", "word " * 6_000])
def test_the_buttons_of_a_result_are_below_its_last_words(result: str) -> None:
    files = [{"path": "a.md", "name": "a.md", "caption": ""}]
    view = JobView(job=replace(JOB, status=JobStatus.DONE, result=result), now=NOW)

    made = job_endings.parts("result", view, files, SIGNER, language="en")

    with_buttons = [part for part in made if part.get("buttons")]
    texts = [part for part in made if part["do"] == "text"]
    assert with_buttons == texts[-1:]
    assert labels(texts[-1])[:2] == ["📎 Files", "↻ Again"]


def test_a_result_without_files_has_no_button_for_them() -> None:
    view = JobView(job=replace(JOB, status=JobStatus.DONE, result="Three."), now=NOW)

    (part,) = job_endings.parts("result", view, [], SIGNER, language="en")

    assert "📎 Files" not in labels(part)

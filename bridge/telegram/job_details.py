"""Everything about one job, in one message. Pure: from a view to a part."""

from collections.abc import Sequence
from typing import Final

from bridge.models import Job, JobStatus, short
from bridge.telegram import job_buttons
from bridge.telegram.buttons import Signer
from bridge.telegram.compose import Part
from bridge.telegram.cost_words import CENT_MICRO, bar, money
from bridge.telegram.job_card import (
    clock_text,
    duration_s,
    numbers,
    remaining_s,
    used_facts,
)
from bridge.telegram.job_list import SIGNS
from bridge.telegram.job_view import JobView
from bridge.telegram.marked import FOLDED_QUOTE, QUOTE, Marked
from bridge.telegram.texts import cause, say

STEPS: Final = 12
PROMPT_CHARS: Final = 600
FILES_NAMED: Final = 12


def details_part(
    view: JobView, files: Sequence[str], link: str, signer: Signer, *, language: str
) -> Part:
    """`link` opens the job in Telegram; empty when nobody knows one yet."""
    job = view.job
    made = Marked().add(f"{SIGNS[job.status]} #{job.id} · {job.name}", "bold")
    made.line(_state(view, language))
    made.line(short(job.prompt, PROMPT_CHARS), QUOTE)
    if job.continues is not None:
        made.line(say(language, "job_continues", id=job.continues))
    if view.summary:
        made.line(f"💡 {short(view.summary, PROMPT_CHARS)}")
    _times(made, job, language)
    if view.steps:
        steps = (f"{view.clock(step.at)} {short(step.text, 100)}" for step in view.steps)
        made.line(say(language, "card_steps")).line("\n".join(steps), FOLDED_QUOTE)
    if job.status is JobStatus.WAITING and job.question:
        made.line(f"❓ {short(job.question, PROMPT_CHARS)}")
    if job.error and job.status is JobStatus.FAILED:
        made.line(say(language, "cause", cause=short(cause(language, job.error), PROMPT_CHARS)))
    if facts := _facts(view, language):
        made.line(facts)
    if files:
        more = "" if len(files) <= FILES_NAMED else " …"
        named = ", ".join(short(name, 60) for name in files[:FILES_NAMED])
        made.line(f"📎 {named}{more}")
    return made.part(
        of_job=(job.id, "details"),
        buttons=job_buttons.details_rows(job, files, link, signer, language=language),
    )


def _state(view: JobView, language: str) -> str:
    job = view.job
    words = [say(language, f"status_{job.status}")]
    if job.status is JobStatus.RUNNING:
        words += [bar(job.progress, 5)] if job.progress is not None else []
        words.append(clock_text(view.elapsed_s))
        left_s = remaining_s(view.elapsed_s, job.progress)
        words += [say(language, "card_left", time=clock_text(left_s))] if left_s else []
    elif job.status is JobStatus.PENDING and view.before:
        words = [say(language, "card_pending_after", before=view.before)]
    elif job.status is JobStatus.BLOCKED and view.waits_for:
        words = [say(language, "card_blocked_by", jobs=numbers(view.waits_for))]
    elif job.status.final and job.started_at:
        words.append(clock_text(duration_s(job)))
    return " · ".join(words)


def _times(made: Marked, job: Job, language: str) -> None:
    """When what happened, in the reader's own zone."""
    moments = [
        ("job_added", job.created_at),
        ("job_started", job.started_at),
        ("job_due", job.run_at if job.status is JobStatus.SCHEDULED else None),
        ("job_ended", job.completed_at if job.status.final else None),
    ]
    for key, at in moments:
        if at:
            made.line(f"{say(language, key)} ").time(at)


def _facts(view: JobView, language: str) -> str:
    job = view.job
    facts = used_facts(view.spent, language)
    if 0 < (view.spent.whole_micro or 0) < CENT_MICRO:  # a card does not mention so little
        facts.append(money(view.spent.cost_micro, language))
    if job.attempt > 1:
        facts.append(say(language, "job_attempt", attempt=job.attempt))
    if job.worker_id:
        facts.append(job.worker_id.partition(":")[0])
    return " · ".join(facts)

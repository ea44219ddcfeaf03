"""The messages a job ends with, or asks with: what they hold and which buttons they have."""

from bridge.models import Job, short
from bridge.preferences import Rich
from bridge.telegram import compose, job_buttons
from bridge.telegram.buttons import Signer
from bridge.telegram.compose import Part
from bridge.telegram.job_card import numbered
from bridge.telegram.job_questions import question_parts
from bridge.telegram.job_view import JobView
from bridge.telegram.marked import FOLDED_QUOTE, Marked
from bridge.telegram.texts import cause, say

CAUSE_CHARS_MAX = 500
DETAIL_CHARS_MAX = 1_000


def parts(
    kind: str,
    view: JobView,
    files: list[dict[str, str]],
    signer: Signer,
    *,
    language: str,
    rich: Rich = "off",
) -> list[Part]:
    """The messages of a delivery: a result, a failure, or a question."""
    job = view.job
    if kind == "failure":
        return [failure_part(view, signer, language=language)]
    if kind == "question":
        return question_parts(job, signer, language=language, zone=view.zone)
    made = compose.result_parts(job, files, language=language, rich=rich)
    last = max(number for number, part in enumerate(made) if part["do"] in ("text", "rich"))
    made[last]["buttons"] = job_buttons.result_rows(job, files, signer, language=language)
    return made


def failure_part(view: JobView, signer: Signer, *, language: str) -> Part:
    """A job that failed for good: what, why, and what can be done; the rest is folded."""
    job = view.job
    made = Marked().add(_title(job, language), "bold").add(f" · {job.name}").add("\n\n")
    made.add(say(language, "cause", cause=short(cause(language, job.error), CAUSE_CHARS_MAX)))
    if details := _details(view):
        made.line(details, FOLDED_QUOTE)
    return made.part(
        reply_to=job.request_message_id,
        buttons=job_buttons.failure_rows(job, signer, language=language),
    )


def _title(job: Job, language: str) -> str:
    step = numbered(job.step)[1]
    where = say(language, "failed_at", step=step) if step else ""
    key = "failed_title" if job.failures > 1 else "failed_title_one"
    return say(language, key, id=job.id, attempts=job.failures, where=where)


def _details(view: JobView) -> str:
    """The last steps, and the cause when it is longer than what is shown of it."""
    lines = [f"{view.clock(step.at)} {short(step.text, 100)}" for step in view.steps]
    error = (view.job.error or "").strip()
    if len(error) > CAUSE_CHARS_MAX or "\n" in error:
        lines.append(error[:DETAIL_CHARS_MAX])
    return "\n".join(lines)

"""Which buttons stand below a job, by where it stands: none that does nothing."""

from collections.abc import Sequence

from bridge.models import Job, JobStatus
from bridge.telegram.api import Buttons
from bridge.telegram.buttons import Signer
from bridge.telegram.compose import Part
from bridge.telegram.gate import Press
from bridge.telegram.job_view import JobView
from bridge.telegram.texts import say


def card_rows(view: JobView, signer: Signer, *, language: str) -> Buttons:
    """Below the card of a job while it lives."""
    job = view.job
    if job.status.final:
        return []
    row = [(say(language, "button_cancel"), "jc", job.id)]
    if job.status is JobStatus.RUNNING:
        key = "button_fewer" if view.unfolded else "button_details"
        row.append((say(language, key), "jt", job.id))
    if job.status is JobStatus.PENDING and view.before:
        row.append((say(language, "button_first"), "jf", job.id))
    return signer.row(job.chat_id, *row)


def result_rows(job: Job, files: Sequence[object], signer: Signer, *, language: str) -> Buttons:
    """Below the result of a job."""
    row = [(say(language, "button_files"), "jp", job.id)] if files else []
    row.append((say(language, "button_again"), "ja", job.id))
    row.append((say(language, "button_next"), "jw", job.id))
    return signer.row(job.chat_id, *row)


def failure_rows(job: Job, signer: Signer, *, language: str) -> Buttons:
    """Below the news that a job has failed."""
    return signer.row(
        job.chat_id,
        (say(language, "button_retry"), "jr", job.id),
        (say(language, "button_change"), "jw", job.id),
        (say(language, "button_never_mind"), "jn", job.id),
    )


def details_rows(
    job: Job, files: Sequence[object], link: str, signer: Signer, *, language: str
) -> Buttons:
    """Below everything about a job."""
    if not job.status.final:
        row = [(say(language, "button_cancel"), "jz", job.id)]
        row.append((say(language, "button_refresh"), "jo", job.id))
    elif job.status is JobStatus.DONE:
        row = [(say(language, "button_again"), "ja", job.id)]
    else:
        row = [(say(language, "button_retry"), "je", job.id)]
    if files:
        row.append((say(language, "button_files"), "jp", job.id))
    ways = signer.row(job.chat_id, (say(language, "button_jobs"), "jl", 0))
    if link:
        ways[0].append({"text": say(language, "button_link"), "copy": link})
    return signer.row(job.chat_id, *row) + ways


def with_buttons(press: Press, buttons: Buttons) -> list[Part]:
    """The message that was tapped with other buttons, or none: what does nothing is taken away."""
    if press.message_id is None:
        return []
    return [{"do": "buttons", "message_id": press.message_id, "buttons": buttons}]


def choice_rows(jobs: Sequence[Job], verb: str, signer: Signer, chat_id: str) -> Buttons:
    """One button for each of some jobs."""
    return [row for job in jobs for row in signer.row(chat_id, (job_label(job), verb, job.id))]


def job_label(job: Job) -> str:
    """`#12 Pelicans`, as long as a button may be."""
    name = job.name
    return f"#{job.id} {name if len(name) <= 40 else name[:39] + '…'}"

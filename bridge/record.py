"""What a change of a job leaves behind, in the transaction of the change itself.

Its line of history, the card that shows it, the message that carries its end, the note in the
chat's conversation and the end of the jobs that waited for it in vain.
"""

import json
from typing import Any, Final

from bridge import conversation, results
from bridge.deliveries import in_telegram, owe
from bridge.models import Job, JobStatus
from bridge.store import Tx

PARENT_FAILED: Final = "parent_failed"
DEPENDANTS_AT_ONCE: Final = 200


def note(
    tx: Tx,
    job: Job,
    event: str,
    message: str = "",
    *,
    now: str,
    level: str = "info",
    step: str = "",
    data: dict[str, Any] | None = None,
) -> None:
    """One line of the job's history (`job_events`); `level` is info, warning or error."""
    tx.run(
        "insert_event",
        job_id=job.id,
        now=now,
        attempt=job.attempt,
        event=event,
        message=message[:500],
        level=level,
        step=step,
        data=None if data is None else json.dumps(data),
    )


def for_parent(tx: Tx, job: Job) -> bool:
    """Is it a part of a job that lives? Then it is not shown for itself, and rings with nobody."""
    if job.parent_id is None:
        return False
    return tx.one("parent_lives", parent_id=job.parent_id, chat_id=job.chat_id) is not None


def owe_card(tx: Tx, job: Job, *, now: str) -> None:
    """The one message that shows the job while it lives; asking twice changes nothing."""
    if for_parent(tx, job):
        return
    owe(
        tx,
        chat_id=job.chat_id,
        thread_id=job.thread_id,
        kind="card",
        payload={"job": job.id},
        dedupe_key=f"job:{job.id}:card",
        now=now,
    )


def ended(tx: Tx, job: Job, *, text: str, delivery: str | None, now: str) -> None:
    """The job reached a final status; `text` is what its chat's conversation is told.

    `delivery` is the kind of message owed to the user; a cancelled job owes none, its card says so.
    """
    _end(tx, job, text=text, delivery=delivery, now=now)
    if tx.run("unblock", after_id=job.id, now=now):
        tx.wake("worker")
    if job.status is JobStatus.DONE:
        for row in tx.all("live_children_of", parent_id=job.id):
            owe_card(tx, Job.from_row(row), now=now)  # from now on it is shown for itself
    hopeless = [] if job.status is JobStatus.DONE else [job.id]  # no recursion: chains may be long
    left = DEPENDANTS_AT_ONCE  # of more the rest is found stranded: nobody waits long for the gate
    while hopeless and left > 0:
        parent_id = hopeless.pop()
        for row in tx.all("waiting_for", after_id=parent_id, limit=left):
            left -= 1
            child = tx.one("cancel_job", id=row["id"], now=now)
            if child is not None:
                cancelled = Job.from_row(child)
                note(tx, cancelled, PARENT_FAILED, f"job {parent_id}", now=now)
                _end(tx, cancelled, text=PARENT_FAILED, delivery=None, now=now)
                if tx.run("unblock", after_id=cancelled.id, now=now):
                    tx.wake("worker")
                hopeless.append(cancelled.id)


def asked(tx: Tx, job: Job, *, now: str) -> None:
    """The job waits for its user: its history, its card, and the message that asks."""
    note(tx, job, "asked", job.question or "", now=now)
    _tell(tx, job, text=job.question or "", delivery="question", now=now)


def _end(tx: Tx, job: Job, *, text: str, delivery: str | None, now: str) -> None:
    level = "error" if job.status is JobStatus.FAILED else "info"
    note(tx, job, job.status.value, job.error or "", level=level, now=now)
    results.keep(tx, job)
    if job.parent_id is None or (delivery is not None and not for_parent(tx, job)):
        _tell(tx, job, text=text, delivery=delivery, now=now)
    else:
        tx.wake("bridge")


def _tell(tx: Tx, job: Job, *, text: str, delivery: str | None, now: str) -> None:
    """The chat's conversation and the chat itself."""
    if in_telegram(job.chat_id):
        conversation.append_event(
            tx,
            chat_id=job.chat_id,
            thread_id=job.thread_id,
            job_id=job.id,
            attempt=job.attempt,
            status=job.status.value,
            text=text,
            now=now,
        )
    if delivery is not None:
        owe(
            tx,
            chat_id=job.chat_id,
            thread_id=job.thread_id,
            kind=delivery,
            payload={"job": job.id},
            dedupe_key=f"job:{job.id}:{delivery}:{job.attempt}",
            now=now,
        )
    tx.wake("bridge")

"""A reply to a message of a job is about that job.

Which job is found by the message that was replied to. An answer to its question, and what was asked
for by a tap on Follow-up or Change, are taken as they are; anything else is for the agent, which is
told of the job, and a job that comes of it goes on with the earlier work.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bridge.conversation import without_tags
from bridge.errors import JobRefused
from bridge.models import Job, JobStatus, short
from bridge.queue import Queue
from bridge.store import Tx
from bridge.telegram.gate import Incoming
from bridge.telegram.texts import reason, say

NEXT: Final = "next"  # what a message shows that asks what is to be done next
REQUEST_CHARS: Final = 300
RESULT_CHARS: Final = 600
ABOUT: Final = (
    "The user replies to a message of this job; a job you start now goes on with its work."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Replied:
    """The job someone replies to, and what the message showed of it."""

    job: Job
    what: str
    theirs: bool = True  # False for a job that another one of the group asked for

    @property
    def answers(self) -> bool:
        """The job has asked something, and this is the answer."""
        return self.theirs and self.what == "question" and self.job.status is JobStatus.WAITING

    @property
    def is_task(self) -> bool:
        """It was asked for, to be done whatever a model thinks of it."""
        return self.what == NEXT

    @property
    def settled(self) -> bool:
        """No model has to understand it."""
        return self.answers or self.is_task

    @property
    def mark(self) -> str:
        """What the agent is told."""
        job = self.job
        lines = [ABOUT, f"“{job.name}” Request: {short(job.prompt, REQUEST_CHARS)}"]
        lines += [f"Result: {short(job.result, RESULT_CHARS)}"] if job.result else []
        said = without_tags("\n".join(lines))
        return f'<kitt-job id="{job.id}" status="{job.status}">{said}</kitt-job>'


def replied_to(tx: Tx, messages: Sequence[Incoming]) -> Replied | None:
    """The job the last of these messages that is a reply is about; None for any other message."""
    replies = [item for item in messages if item.replied_to]
    if not replies:
        return None
    last = replies[-1]
    row = tx.one("job_of_message", chat_id=last.chat_id, message_id=last.replied_to)
    if row is None:
        return None
    job = Job.from_row(row)
    theirs = not last.in_group or job.user_id in ("", last.user_id)
    return Replied(job=job, what=row["message_shows"], theirs=theirs)


def answer(tx: Tx, queue: Queue, replied: Replied, messages: Sequence[Incoming]) -> str:
    """Pass an answer on to the job that asked; the sentence for who gave it."""
    job, language = replied.job, messages[-1].language
    text = "\n\n".join(item.words for item in messages)
    try:
        queue.answer_in(tx, job.id, text, chat_id=job.chat_id)
    except JobRefused as error:
        return reason(language, error)
    return say(language, "answered_it", id=job.id)

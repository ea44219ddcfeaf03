"""Asking a job's user to allow one thing that it is about to do. Nothing but their tap can.

What is asked shows the thing itself and its number in this job, so that allowing one allows no
other, and a job that starts again after the answer finds it.
"""

from datetime import timedelta
from typing import Final

from bridge.agent.tool import ToolFailed
from bridge.clock import stamp
from bridge.conversation import job_conversation
from bridge.errors import JobWaits
from bridge.models import Job, clean_text
from bridge.queue import ALLOWED, Queue
from bridge.tools.ask import APPROVAL_S

SHOWN_CHARS_MAX: Final = 1_500  # nobody allows what they have not seen whole


async def need_approval(queue: Queue, job: Job, tool: str | None, what: str) -> None:
    """Go on when this was allowed. `tool` is the one that is about to begin, and each of its calls
    is allowed for itself; without one the same thing may be done again.

    Raises: JobWaits until there is an answer, ToolFailed when it was refused or is too long to be
    shown.
    """
    if len(what) > SHOWN_CHARS_MAX:
        raise ToolFailed(
            f"Its user must allow this and sees at most {SHOWN_CHARS_MAX:,} characters: send less."
        )
    if tool is not None:
        counted = {"conversation": job_conversation(job.id), "name": tool}
        begun = await queue.store.read(lambda tx: tx.value("count_tool_calls", **counted))
        what = f"{begun + 1}. {what}"
    question = clean_text(what)
    found = await queue.get(job.id)
    if found.approve_by is not None and found.question == question and found.answer is not None:
        if found.answer != ALLOWED:
            raise ToolFailed(found.answer)
        return
    until = stamp(queue.clock.now() + timedelta(seconds=APPROVAL_S))
    await queue.ask(job, question, approve_by=until)
    raise JobWaits(f"Job {job.id} waits for its user.")

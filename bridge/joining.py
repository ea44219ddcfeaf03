"""Jobs that a job starts: how many and how deep they may be, and waiting for their end.

A child belongs to its parent: it has no card, and its end rings with nobody as long as the parent
lives, whose work it is part of. A parent that fails or is cancelled takes its children with it; one
that is done leaves those that still run to the chat, where they end as any other job does.
Every function works inside the caller's transaction.
"""

from collections.abc import Sequence
from typing import Final

from bridge import record
from bridge.models import Job
from bridge.queue import Queue
from bridge.store import Tx

CHILDREN_MAX: Final = 8  # of one job
DEPTH_MAX: Final = 2  # a job, what it starts, and what that starts


def children(tx: Tx, job: Job) -> list[Job]:
    """What this job has started, in order."""
    return [Job.from_row(row) for row in tx.all("children_of", parent_id=job.id)]


def depth(tx: Tx, job: Job) -> int:
    """How many jobs stand above this one."""
    return int(tx.value("depth_of", id=job.id, limit=DEPTH_MAX + 1))


def wait(tx: Tx, queue: Queue, job: Job, ids: Sequence[int], *, now: str) -> bool:
    """Give the job's worker back until all of these have ended; False when they have already.

    However they end, the job goes on. Raises: LeaseLost.
    """
    queue.require(tx, job)
    wanted = {child.id for child in children(tx, job) if not child.status.final} & {*ids}
    if not wanted:
        return False
    tx.run("join_job", id=job.id)
    for child_id in sorted(wanted):
        tx.run("insert_after", job_id=job.id, after_id=child_id)
    names = ", ".join(map(str, sorted(wanted)))
    record.note(tx, job, "joined", f"waits for {names}", now=now)
    tx.run("worker_ended", id=job.worker_id, failed=False, now=now)
    tx.wake("worker")
    tx.wake("bridge")
    return True

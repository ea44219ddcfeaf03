"""What ends when a person may no longer use the bot, or a group is closed to it.

Nothing is worked on, or recurs, for whom nobody lets in. What was done stays where it is. Works
inside the caller's transaction.
"""

from typing import Final

from bridge.queue import Queue
from bridge.store import Tx

AT_ONCE: Final = 1_000  # jobs in one transaction


def end_work_of(tx: Tx, queue: Queue, whose: str) -> None:
    """Cancel the jobs and pause the schedules of a person, wherever, or of a group (by its id)."""
    tx.run("pause_schedules_of", whose=whose)
    for row in reversed(tx.all("live_jobs_for", whose=whose, limit=AT_ONCE)):
        queue.cancel_in(tx, row["id"], chat_id=None)


def drop_owed_to(tx: Tx, chat_id: str) -> None:
    """Nothing more goes to this chat of what waits to."""
    tx.run("drop_lane", chat_id=chat_id)

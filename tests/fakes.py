"""What tests put in the place of the real thing: time, a user's job, a person at the shell."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from bridge.clock import Clock
from bridge.line import Claimant
from bridge.models import Job, NewJob
from bridge.queue import Queue
from bridge.store import Store, Tx

OpenStore = Callable[..., Awaitable[Store]]  # the fixture `open_store`
START: Final = datetime(2026, 11, 22, 7, 30, tzinfo=UTC)


class FakeClock(Clock):
    """A clock that stands still until a test moves it.

    `advance` moves wall-clock and monotonic time together, as real seconds do; `jump` moves only
    the wall clock, as a correction of the machine's clock does. Set `boot_id` to reboot.
    """

    def __init__(self, start: datetime = START) -> None:
        self.boot_id = "boot-1"
        self._now = start
        self._monotonic = 1_000.0
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock was advanced so far; no real time passes."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        sleeper = asyncio.get_running_loop().create_future()
        self._sleepers.append((self._monotonic + seconds, sleeper))
        await sleeper

    @property
    def sleeping(self) -> list[float]:
        """Seconds until each sleeper wakes, the first one first."""
        return sorted(at - self._monotonic for at, waiter in self._sleepers if not waiter.done())

    def advance(self, seconds: float) -> None:
        """Let time pass; whoever slept until now or before goes on when the loop turns."""
        assert seconds >= 0, "time does not go back; a clock that is set back is a jump"
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds
        due = [waiter for at, waiter in self._sleepers if at <= self._monotonic]
        self._sleepers = [pair for pair in self._sleepers if pair[0] > self._monotonic]
        for waiter in due:
            if not waiter.done():
                waiter.set_result(None)

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward or back; leases must not notice."""
        self._now += timedelta(seconds=seconds)


def a_job(**changes: Any) -> NewJob:
    """A job for chat 7, with what matters to the test."""
    return replace(NewJob(chat_id="7", prompt="Count the pelicans"), **changes)


async def claimed(queue: Queue, worker_id: str = "w1:1:a", **changes: Any) -> Job:
    """A job that this worker runs; the queue had nothing else to give."""
    new = await queue.add(a_job(**changes))
    job = await queue.claim(worker_id)
    assert job is not None
    assert job.id == new.id
    return job


async def finish_and_claim(queue: Queue, job: Job, result: str, worker_id: str) -> Job | None:
    """The end of a job and the claim of the next one in one commit, as a worker has them."""

    def both(tx: Tx) -> Job | None:
        queue.finish_in(tx, job, result)
        return queue.claim_in(tx, Claimant(worker_id=worker_id))

    return await queue.store.write(both)


def shell(path: Path, sql: str, **values: Any) -> list[dict[str, Any]]:
    """What a person types into the sqlite3 shell: one statement on a connection of its own."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.row_factory = sqlite3.Row
    try:
        return [dict(row) for row in connection.execute(sql, values)]
    finally:
        connection.close()


def everything(queue: Queue) -> list[list[dict[str, Any]]]:
    """All that a change of a job may touch."""
    tables = ("jobs", "job_events", "job_files", "deliveries", "messages")
    return [shell(queue.store.path, f"SELECT * FROM {table}") for table in tables]

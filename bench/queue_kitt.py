"""KITT's own queue behind the calls of its peers: the real Store and Queue, nothing left out."""

import os
import sqlite3
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from bench.queue_peers import FILLING, number_of, text
from bridge.clock import Clock
from bridge.line import Claimant
from bridge.models import Job, JobStatus, NewJob
from bridge.queue import Queue
from bridge.settings import Settings
from bridge.store import Store, Tx
from bridge.wake import Wake

T = TypeVar("T")
CHAT_CONCURRENCY = Settings().chat_concurrency
CHATS = 50  # that the jobs of a measurement belong to, so that no limit of one chat is in the way
SLICE = 500  # jobs per transaction while filling


class Unsynced(Store):
    """A store that never waits for the disk: `synchronous = NORMAL` for every write."""

    async def write(self, fn: Callable[[Tx], T], *, durable: bool = True) -> T:
        return await super().write(fn, durable=False)


class CommitClock(Wake):
    """Notes when a commit had returned: the store sends its hints right after it."""

    committed = 0.0

    def nudge(self, prefix: str) -> None:
        self.committed = self.committed or time.monotonic()
        super().nudge(prefix)


class Kitt:
    """One process that adds or works. With `chats` the jobs are a person's, else nobody's."""

    def __init__(self, store: Store, wake: CommitClock, *, slot: str, chats: bool) -> None:
        self.queue = Queue(store=store, clock=Clock(), chat_concurrency=CHAT_CONCURRENCY)
        self._store = store
        self._wake = wake
        self._worker_id = f"{slot}:{os.getpid()}:bench"
        self._slot = slot
        self._chats = chats
        self._job: Job | None = None

    @classmethod
    async def open(cls, folder: Path, sync: str, *, slot: str, chats: bool = False) -> "Kitt":
        """Open the database in `folder`; `sync` is FULL, as each write asks, or NORMAL for all."""
        kind = Store if sync == "FULL" else Unsynced
        run_dir = folder / "run"
        store = await kind.open(folder / "kitt.db", run_dir, busy_timeout_s=60.0)
        store.wake.close()
        store.wake = wake = CommitClock(run_dir)
        return cls(store, wake, slot=slot, chats=chats)

    async def fill(self, count: int) -> None:
        for first in range(0, count, SLICE):
            numbers = range(first, min(first + SLICE, count))
            await self._store.write(partial(self._insert, numbers), durable=False)

    async def add(self, number: int) -> float:
        self._wake.committed = 0.0
        await self.queue.add(self._new(number))
        return self._wake.committed or time.monotonic()

    async def add_many(self, numbers: range) -> None:
        """Many jobs in one commit."""
        await self.queue.add_many([self._new(number) for number in numbers])

    async def next(self) -> int | None:
        while True:
            found = await self.take()
            if found is not None or not await self.queue.jobs(
                statuses=[JobStatus.PENDING], limit=1
            ):
                return found

    async def take(self) -> int | None:
        """`next` without asking whether more will be free in a moment."""
        done, self._job = self._job, None
        if done is None:
            self._job = await self.queue.claim(self._worker_id)
        else:
            self._job = await self._store.write(partial(self._end_and_claim, done))
        return None if self._job is None else number_of(self._job.prompt)

    def _end_and_claim(self, done: Job, tx: Tx) -> Job | None:
        """As a worker does: the end of a job and the claim of the next are one commit."""
        self.queue.finish_in(tx, done, FILLING)
        return self.queue.claim_in(tx, Claimant(worker_id=self._worker_id))

    async def let_go(self) -> None:
        """Finish the job in hand and take no other."""
        done, self._job = self._job, None
        if done is not None:
            await self.queue.finish(done, FILLING)

    async def wait(self) -> int:
        """The next job of an idle worker: it sleeps until its socket says that there is one."""
        while (found := await self.take()) is None:
            await self._wake.wait(2.0)
        return found

    def listen(self) -> None:
        """Be woken by those who add."""
        self._wake.listen(self._slot)

    async def close(self) -> None:
        await self._store.close()

    def _insert(self, numbers: range, tx: Tx) -> None:
        for number in numbers:
            self.queue.insert(tx, self._new(number))

    def _new(self, number: int) -> NewJob:
        chat = str(1 + number % CHATS) if self._chats else "cli"
        return NewJob(chat_id=chat, prompt=text(number))


def by_hand(database: Path, count: int, columns: str, values: str) -> None:
    """Rows as a person makes them, in one statement; `n` counts from 0 in `values`."""
    with sqlite3.connect(database) as connection:
        connection.execute(
            "WITH RECURSIVE c (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM c WHERE n + 1 < ?) "
            f"INSERT INTO jobs ({columns}) SELECT {values} FROM c",
            (count,),
        )
    connection.close()

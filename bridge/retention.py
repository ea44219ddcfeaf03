"""What is old goes: rows, files of jobs and people, then the room they took in the database.

An ended job goes when it is older than `keep_days`, or when its chat has `keep_jobs` newer ended
ones; never while its result is undelivered, its card may still change or a live job depends on it.
Everything is looked for from the low end, in slices that each are one short transaction: nobody who
writes waits for a purge, and a crash leaves whole rows. While nothing is old, nothing is written.
"""

import asyncio
import json
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

from bridge import received
from bridge.clock import Clock, moment, stamp
from bridge.conversation import job_conversation
from bridge.store import Store, Tx

EVERY_S: Final = 3600.0
PAUSE_S: Final = 0.05  # between two slices: whoever waits at the gate gets his turn
SLICE: Final = 200  # rows looked at, and at most dropped, in one transaction
JOBS_SLICE: Final = 50  # a job takes some twenty rows with it
CHATS_SLICE: Final = 100
PAGES_SLICE: Final = 256  # 1 MB
PAGES_KEPT: Final = 1024  # 4 MB stay for what comes next
USAGE_DAYS: Final = 400  # a year, and some to compare it with
WORKER_DAYS: Final = 7
BROWSER_DAYS: Final = 14
_GONE: Final = ".gone-"  # before the name of a folder whose job is being dropped

Drop = Callable[[list[int], Tx], None]


class Retention:
    """One slice per call of `run`; a whole pass every hour and at the start."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        jobs_dir: Path,
        files_dir: Path,
        keep_days: int,
        keep_jobs: int,
    ) -> None:
        self._store = store
        self._clock = clock
        self._jobs_dir = jobs_dir
        self._files_dir = files_dir
        self._keep_days = keep_days
        self._keep_jobs = keep_jobs
        self._pass: AsyncIterator[None] | None = None

    async def run(self) -> float:
        """Go one slice further; the seconds until the next."""
        self._pass = self._pass or self._slices()
        try:
            await anext(self._pass)
        except StopAsyncIteration:
            self._pass = None
            return EVERY_S
        except BaseException:
            self._pass = None
            raise
        return PAUSE_S

    async def _slices(self) -> AsyncIterator[None]:
        await asyncio.to_thread(self._remove_folders)
        before = self._before(self._keep_days)
        async for _ in self._walk("old_jobs", self._drop_jobs, limit=JOBS_SLICE, before=before):
            await asyncio.to_thread(self._remove_folders)
            yield
        async for _ in self._surplus():
            await asyncio.to_thread(self._remove_folders)
            yield
        for rows, keep_days in (
            ("updates", self._keep_days),
            ("deliveries", self._keep_days),
            ("proposals", self._keep_days),
            ("usage", USAGE_DAYS),
        ):
            drop = _drop(f"drop_{rows}")
            async for _ in self._walk(f"old_{rows}", drop, before=self._before(keep_days)):
                yield
        async for _ in self._forgotten(before):
            yield
        await asyncio.to_thread(received.remove_old, self._files_dir, moment(before).timestamp())
        await self._gone_workers()
        await self._left_browsers()
        while await self._store.give_back(PAGES_SLICE, keep=PAGES_KEPT):
            yield

    async def _walk(
        self, find: str, drop: Drop, *, limit: int = SLICE, **values: Any
    ) -> AsyncIterator[None]:
        """Drop what `find` says is over, slice by slice, until it finds nothing old."""
        after = 0
        while True:
            rows = await self._rows(find, after=after, limit=limit, **values)
            over = [row["id"] for row in rows if row["over"]]
            if over:
                await self._store.write(partial(drop, over), durable=False)
                yield
            if not any(row["old"] for row in rows):
                return
            after = rows[-1]["id"]

    async def _surplus(self) -> AsyncIterator[None]:
        """Ended jobs of chats that have more of them than are kept."""
        after: str | None = ""
        while after is not None:
            after, crowded = await self._store.read(partial(self._crowded, after))
            for chat_id, surplus_end in crowded:
                values = {"chat_id": chat_id, "surplus_end": surplus_end}
                async for _ in self._walk(
                    "surplus_jobs", self._drop_jobs, limit=JOBS_SLICE, **values
                ):
                    yield

    def _crowded(self, after: str, tx: Tx) -> tuple[str | None, list[tuple[str, int]]]:
        """The last chat looked at, None when it was the last of all; the chats with too many."""
        found: list[tuple[str, int]] = []
        for _ in range(CHATS_SLICE):
            chat_id = tx.value("next_chat", after=after)
            if chat_id is None:
                return None, found
            after = chat_id
            surplus_end = tx.value("surplus_end", chat_id=chat_id, keep=self._keep_jobs)
            if surplus_end is not None:
                found.append((chat_id, surplus_end))
        return after, found

    async def _forgotten(self, before: str) -> AsyncIterator[None]:
        """Old messages that no model is shown any more."""
        after = ""
        while rows := await self._rows("next_forgotten", after=after):
            after, first_id = rows[0]["name"], rows[0]["first_id"]
            values = {"conversation": after, "first_id": first_id, "before": before}
            async for _ in self._walk("old_messages", _drop("drop_messages"), **values):
                yield

    async def _gone_workers(self) -> None:
        before = self._before(WORKER_DAYS)
        if await self._store.read(lambda tx: tx.value("old_workers", before=before)):
            await self._store.write(lambda tx: tx.run("drop_workers", before=before), durable=False)

    async def _left_browsers(self) -> None:
        """What browsers remembered (browser_memory.py) of jobs that do not go on, or not soon."""
        found = await asyncio.to_thread(lambda: list(self._jobs_dir.glob("*.browser")))
        ids = json.dumps([path.stem for path in found])
        live = {str(row["id"]) for row in await self._rows("live_of", ids=ids)} if found else set()
        old = moment(self._before(BROWSER_DAYS)).timestamp()
        for path in found:
            with suppress(OSError):
                if path.stem not in live or path.stat().st_mtime < old:
                    path.unlink()

    def _drop_jobs(self, ids: list[int], tx: Tx) -> None:
        """Inside the transaction a folder only gets another name: that is quick.

        A crash after it leaves the job for the next pass, or the folder under a name that goes.
        """
        for job_id in ids:
            if not tx.run("drop_job", id=job_id):
                continue
            conversation = job_conversation(job_id)
            tx.run("drop_conversation_messages", conversation=conversation)
            tx.run("drop_tool_calls", conversation=conversation)
            tx.run("drop_conversation", conversation=conversation)
            with suppress(OSError):  # there is none, or it cannot be moved and stays
                (self._jobs_dir / str(job_id)).rename(self._jobs_dir / f"{_GONE}{job_id}")

    def _remove_folders(self) -> None:
        import shutil  # rarely, and not small

        for folder in self._jobs_dir.glob(f"{_GONE}*"):
            with suppress(RecursionError):
                shutil.rmtree(folder, ignore_errors=True)
            if folder.exists():  # a program of a job made a tree without end, or locked it
                for words in (("chmod", "-R", "u+rwX"), ("rm", "-rf")):
                    _quietly(*words, "--", str(folder))

    async def _rows(self, statement: str, **values: Any) -> list[sqlite3.Row]:
        return await self._store.read(lambda tx: tx.all(statement, **values))

    def _before(self, days: int) -> str:
        return stamp(self._clock.now() - timedelta(days=days))


def _drop(statement: str) -> Drop:
    def drop(ids: list[int], tx: Tx) -> None:
        tx.run(statement, ids=json.dumps(ids))

    return drop


def _quietly(*words: str) -> None:
    subprocess.run(words, stderr=subprocess.DEVNULL, check=False)  # noqa: S603 - our own words

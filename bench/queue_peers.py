"""The queues KITT is measured beside, each behind the same few calls.

Every one is used as its documentation says, at its fastest, one connection per process, rows of
about 100 characters. Huey comes twice: as its users run it, with tasks whose results are kept,
which is the work KITT does; and its bare storage, which forgets a job before it is worked on.
`sync` is SQLite's own word, so that all promise the same to a power cut. The calls are coroutines
only because KITT's are.
"""

import sqlite3
import time
from collections.abc import Callable
from importlib import import_module  # only the extra `bench` installs them; none is typed
from pathlib import Path
from typing import Any, Protocol

BUSY_S = 60.0
FILLING = "x" * 100


class Peer(Protocol):
    """A queue in one file. A job is a number, stored with some text."""

    async def fill(self, count: int) -> None:
        """Add jobs 0 … count - 1 before anything is measured."""

    async def add(self, number: int) -> float:
        """Add one job; the moment (monotonic seconds) at which its commit had returned."""

    async def next(self) -> int | None:
        """Finish the job in hand, if there is one, and take the next; None when none is left."""

    async def close(self) -> None:
        """Close the file."""


def text(number: int) -> str:
    """What a job carries."""
    return f"{number} {FILLING}"


def number_of(carried: str) -> int:
    """The reverse of `text`."""
    return int(carried.partition(" ")[0])


class Control:
    """No queue at all: the commits this disk allows, one row each, with Python's own sqlite3."""

    def __init__(self, folder: Path, sync: str) -> None:
        self._connection = sqlite3.connect(folder / "control.db", isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute(f"PRAGMA synchronous = {sync}")
        self._connection.execute("CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, x TEXT)")

    async def fill(self, count: int) -> None:
        raise NotImplementedError

    async def add(self, number: int) -> float:
        self._connection.execute("INSERT INTO t (x) VALUES (?)", (text(number),))
        return time.monotonic()

    async def add_many(self, numbers: range) -> None:
        """Many rows in one commit."""
        self._connection.execute("BEGIN IMMEDIATE")
        for number in numbers:
            await self.add(number)
        self._connection.execute("COMMIT")

    async def next(self) -> int | None:
        raise NotImplementedError

    async def close(self) -> None:
        self._connection.close()


class Huey:
    """SqliteHuey as its worker uses it: take a task, run it, keep its result."""

    def __init__(self, folder: Path, sync: str) -> None:
        self._app = import_module("huey").SqliteHuey(
            filename=str(folder / "huey.db"), timeout=BUSY_S, utc=True
        )
        self._numbers: list[int] = []
        self._sync(sync)
        self._resting = sync

        @self._app.task()  # type: ignore[untyped-decorator]
        def work(carried: str) -> str:
            self._numbers.append(number_of(carried))
            return FILLING

        self._work = work

    async def fill(self, count: int) -> None:
        self._sync("OFF")
        for number in range(count):
            await self.add(number)
        self._sync(self._resting)

    async def add(self, number: int) -> float:
        self._work(text(number))
        return time.monotonic()

    async def next(self) -> int | None:
        task = self._app.dequeue()
        if task is None:
            return None
        self._app.execute(task)
        return self._numbers.pop()

    async def close(self) -> None:
        self._app.storage.close()

    def _sync(self, sync: str) -> None:
        self._app.storage.conn.execute(f"PRAGMA synchronous = {sync}")


class HueyStorage:
    """SqliteHuey's storage; a job is gone from it before it is worked on."""

    def __init__(self, folder: Path, sync: str) -> None:
        storage = import_module("huey.storage")
        self._storage = storage.SqliteStorage(filename=str(folder / "huey.db"), timeout=BUSY_S)
        self._sync(sync)
        self._resting = sync

    async def fill(self, count: int) -> None:
        self._sync("OFF")
        for number in range(count):
            await self.add(number)
        self._sync(self._resting)

    async def add(self, number: int) -> float:
        self._storage.enqueue(text(number).encode())
        return time.monotonic()

    async def next(self) -> int | None:
        found = self._storage.dequeue()
        return None if found is None else number_of(bytes(found).decode())

    async def close(self) -> None:
        self._storage.close()

    def _sync(self, sync: str) -> None:
        self._storage.conn.execute(f"PRAGMA synchronous = {sync}")


class PersistQueue:
    """SQLiteAckQueue; it selects and marks a job in two transactions."""

    def __init__(self, folder: Path, sync: str) -> None:
        self._library = import_module("persistqueue")
        self._queue = self._library.SQLiteAckQueue(str(folder), auto_resume=False, timeout=BUSY_S)
        self._sync(sync)
        self._resting = sync
        self._item: str | None = None

    async def fill(self, count: int) -> None:
        self._sync("OFF")
        for number in range(count):
            await self.add(number)
        self._sync(self._resting)

    async def add(self, number: int) -> float:
        self._queue.put(text(number))
        return time.monotonic()

    async def next(self) -> int | None:
        if self._item is not None:
            self._queue.ack(self._item)
        try:
            self._item = self._queue.get(block=False)
        except self._library.Empty:
            self._item = None
        return None if self._item is None else number_of(self._item)

    async def close(self) -> None:
        self._queue.close()

    def _sync(self, sync: str) -> None:
        self._queue._putter.execute(f"PRAGMA synchronous = {sync}")


class LiteQueue:
    """litequeue, which rests at NORMAL unless it is told otherwise."""

    def __init__(self, folder: Path, sync: str) -> None:
        litequeue = import_module("litequeue")
        self._queue = litequeue.LiteQueue(str(folder / "litequeue.db"), timeout=BUSY_S)
        self._sync(sync)
        self._resting = sync
        self._message: Any = None

    async def fill(self, count: int) -> None:
        self._sync("OFF")
        for number in range(count):
            await self.add(number)
        self._sync(self._resting)

    async def add(self, number: int) -> float:
        self._queue.put(text(number))
        return time.monotonic()

    async def next(self) -> int | None:
        if self._message is not None:
            self._queue.done(self._message.message_id)
        self._message = self._queue.pop()
        return None if self._message is None else number_of(self._message.data)

    async def close(self) -> None:
        self._queue.close()

    def _sync(self, sync: str) -> None:
        self._queue.conn.execute(f"PRAGMA synchronous = {sync}")


PEERS: dict[str, Callable[[Path, str], Peer]] = {
    "control": Control,
    "Huey": Huey,
    "Huey's storage": HueyStorage,
    "persist-queue": PersistQueue,
    "litequeue": LiteQueue,
}

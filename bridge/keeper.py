"""Housekeeping, by one process at a time: whoever holds the lock does all the chores.

The bridge and every worker have a keeper, so that any of them alone is enough; when the one that
keeps house ends, the kernel frees its lock and another takes over. A chore that fails is tried
again later and stops no other one.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from bridge.alert_box import FOLDER
from bridge.alerts import pick_up_alerts
from bridge.clock import Clock
from bridge.errors import AlreadyRunning, KittError
from bridge.process import SlotLock
from bridge.queue import Queue
from bridge.retention import Retention
from bridge.scheduler import Scheduler
from bridge.settings import Settings
from bridge.store import WAL_BYTES, Store

log = logging.getLogger(__name__)
LOOK_S: Final = 5.0  # costs one look at a file: nothing is read while nothing happens
TAKE_OVER_S: Final = 30.0
AGAIN_S: Final = 60.0
ALERTS_S: Final = 10.0
APPROVALS_S: Final = 600.0  # a day is given for one
CHECKPOINT_BYTES: Final = 4_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Chore:
    """`run` does what is due and says in how many seconds it wants to be called again.

    A chore that `watches` is also called soon after anyone has changed the database.
    """

    name: str
    run: Callable[[], Awaitable[float]]
    watches: bool = False


class Keeper:
    """Does the chores while it holds `lock`; until then it waits for it."""

    def __init__(self, *, store: Store, clock: Clock, lock: Path, chores: Sequence[Chore]) -> None:
        self._store = store
        self._clock = clock
        self._lock = lock
        self._chores = chores

    async def run(self) -> NoReturn:
        """Until cancelled."""
        while True:
            try:
                with SlotLock(self._lock):
                    await self._keep()
            except AlreadyRunning:
                pass
            except OSError as error:  # the lock's file cannot be made: no room, no descriptor
                log.warning("Housekeeping waits: %s", error)
            await self._clock.sleep(TAKE_OVER_S)

    async def _keep(self) -> NoReturn:
        due = {chore: self._clock.monotonic() for chore in self._chores}
        seen = self._store.wal()
        while True:
            before, seen = seen, self._store.wal()
            for chore in self._chores:
                if due[chore] <= self._clock.monotonic() or (chore.watches and seen != before):
                    due[chore] = await self._do(chore) + self._clock.monotonic()
            pause_s = min(due.values()) - self._clock.monotonic()
            await self._clock.sleep(min(LOOK_S, max(0.01, pause_s)))

    async def _do(self, chore: Chore) -> float:
        try:
            return await chore.run()
        except KittError as error:
            log.warning("Housekeeping, %s: %s", chore.name, error)
        except Exception as error:  # noqa: BLE001 - the other chores must go on
            text = " ".join(f"{type(error).__name__}: {error}".split())
            log.error("Housekeeping, %s: %s", chore.name, text)
        return AGAIN_S


def of_program(settings: Settings, store: Store, clock: Clock) -> Keeper:
    """The keeper of the bridge or of a worker."""
    queue = Queue(store=store, clock=clock, lease_s=settings.lease_s)
    scheduler = Scheduler(store=store, queue=queue, clock=clock)
    retention = Retention(
        store=store,
        clock=clock,
        jobs_dir=settings.jobs_dir,
        files_dir=settings.files_dir,
        keep_days=settings.keep_days,
        keep_jobs=settings.keep_jobs,
    )

    async def alerts() -> float:
        await pick_up_alerts(store, clock, settings.owners, settings.run_dir / FOLDER)
        return ALERTS_S

    async def approvals() -> float:
        await queue.refuse_late()
        return APPROVALS_S

    return Keeper(
        store=store,
        clock=clock,
        lock=settings.run_dir / "keeper.lock",
        chores=(
            Chore("schedules", scheduler.run_due, watches=True),
            Chore("alerts", alerts),
            Chore("approvals", approvals),
            Chore("checkpoints", Checkpoints(store).run),
            Chore("retention", retention.run),
        ),
    )


class Checkpoints:
    """Keeps the write-ahead log short, so that those who commit need not."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen = (0, 0)

    async def run(self) -> float:
        """Move a long log into the database; give its room back once nobody writes any more."""
        before, self._seen = self._seen, self._store.wal()
        size, quiet = self._seen[0], self._seen == before
        if size > CHECKPOINT_BYTES and not quiet:
            await self._store.checkpoint()
        elif size > WAL_BYTES and quiet:
            await self._store.checkpoint(truncate=True)
        return LOOK_S

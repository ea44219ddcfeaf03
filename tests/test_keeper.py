"""Housekeeping: one process at a time, cheap while nothing happens, and no chore stops another."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from fakes import FakeClock, OpenStore
from waiting import until

from bridge import keeper
from bridge.errors import StoreBusy
from bridge.keeper import LOOK_S, TAKE_OVER_S, Checkpoints, Chore, Keeper
from bridge.settings import Settings
from bridge.store import WAL_BYTES, Store

Start = Callable[..., asyncio.Task[None]]


class Counted:
    """A chore that counts its calls."""

    def __init__(self, *, every_s: float = 600.0, error: Exception | None = None) -> None:
        self.calls = 0
        self._every_s = every_s
        self._error = error

    async def run(self) -> float:
        self.calls += 1
        if self._error is not None:
            raise self._error
        return self._every_s


@pytest.fixture
async def start(store: Store, clock: FakeClock, memory: Path) -> AsyncIterator[Start]:
    """Start a keeper with these chores, as one more process does."""
    running = []

    def start_one(*chores: Chore) -> asyncio.Task[None]:
        lock = memory / "run" / "keeper.lock"
        one = Keeper(store=store, clock=clock, lock=lock, chores=chores)
        running.append(asyncio.create_task(one.run()))
        return running[-1]

    yield start_one
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


async def pass_time(clock: FakeClock, seconds: float) -> None:
    """Let a sleeping keeper see this much time pass, in its own steps."""
    end = clock.monotonic() + seconds
    while (left := end - clock.monotonic()) > 0:
        await until(lambda: clock.sleeping)
        clock.advance(min(clock.sleeping[0], left))
        await asyncio.sleep(0)
    await until(lambda: clock.sleeping)


async def test_chore_is_done_at_once_and_when_it_wants_to_be(
    start: Start, clock: FakeClock
) -> None:
    counted = Counted(every_s=12.0)
    start(Chore("counting", counted.run))

    await until(lambda: counted.calls == 1)
    await pass_time(clock, 11.9)
    assert counted.calls == 1
    await pass_time(clock, 0.2)

    assert counted.calls == 2


async def test_keeper_looks_up_only_now_and_then(start: Start, clock: FakeClock) -> None:
    start(Chore("counting", Counted().run))

    await until(lambda: clock.sleeping)

    assert clock.sleeping == [LOOK_S]


async def test_one_process_does_the_chores_until_it_ends(start: Start, clock: FakeClock) -> None:
    first, second = Counted(), Counted()
    keeping = start(Chore("counting", first.run))
    await until(lambda: first.calls)
    start(Chore("counting", second.run))
    await pass_time(clock, 2 * TAKE_OVER_S)
    assert second.calls == 0

    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    await pass_time(clock, TAKE_OVER_S)

    assert second.calls == 1
    assert first.calls == 1


@pytest.mark.parametrize(
    "error", [ValueError("of two\nlines"), StoreBusy("locked"), sqlite3.OperationalError("odd")]
)
async def test_chore_that_fails_is_told_in_a_line_and_tried_again(
    start: Start, clock: FakeClock, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    failing, fine = Counted(error=error), Counted()
    start(Chore("failing", failing.run), Chore("fine", fine.run))

    await until(lambda: fine.calls)
    assert [message.count("\n") for message in caplog.messages] == [0]
    assert caplog.messages[0].startswith("Housekeeping, failing: ")
    await pass_time(clock, keeper.AGAIN_S)

    assert failing.calls == 2


async def test_chore_that_watches_is_called_soon_after_any_commit(
    start: Start, clock: FakeClock, store: Store
) -> None:
    watching, other = Counted(), Counted()
    start(Chore("watching", watching.run, watches=True), Chore("other", other.run))
    await until(lambda: other.calls)
    await pass_time(clock, 3 * LOOK_S)
    assert watching.calls == 1

    await store.write(lambda tx: tx.run("put_meta", name="word", value="new"))
    await pass_time(clock, 3 * LOOK_S)

    assert watching.calls == 2
    assert other.calls == 1


async def test_program_that_has_nothing_to_do_writes_nothing(
    store: Store, clock: FakeClock, memory: Path
) -> None:
    settings = Settings(profile=memory.parent)
    settings.jobs_dir.mkdir()
    await store.write(lambda tx: tx.run("put_meta", name="word", value="first"))
    before = store.wal(), (memory / "kitt.db").stat().st_mtime_ns
    keeping = asyncio.create_task(keeper.of_program(settings, store, clock).run())

    await until(lambda: clock.sleeping)
    await pass_time(clock, 2 * 3600)

    assert (store.wal(), (memory / "kitt.db").stat().st_mtime_ns) == before
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)


async def test_long_log_is_moved_into_the_database_while_others_write(
    store: Store, open_store: OpenStore
) -> None:
    checkpoints = Checkpoints(store)
    other = await open_store()
    before = store.path.stat().st_size
    await other.write(lambda tx: tx.run("put_meta", name="word", value="x" * 6_000_000))

    assert await checkpoints.run() == LOOK_S

    assert store.path.stat().st_size > before + 6_000_000
    size = store.wal()[0]
    await other.write(lambda tx: tx.run("put_meta", name="more", value="new"))
    assert store.wal()[0] == size  # from its start again, so that it need not grow


async def test_short_log_is_left_alone(store: Store) -> None:
    checkpoints = Checkpoints(store)
    before = store.path.stat().st_size
    await store.write(lambda tx: tx.run("put_meta", name="word", value="x" * 3_000_000))

    for _ in range(3):
        await checkpoints.run()

    assert store.path.stat().st_size == before


async def test_room_of_a_very_long_log_is_given_back_once_it_is_quiet(store: Store) -> None:
    checkpoints = Checkpoints(store)
    size = WAL_BYTES + 1_000_000
    await store.write(lambda tx: tx.run("put_meta", name="word", value="first"))
    reader = sqlite3.connect(store.path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM meta").fetchone()
    await store.write(lambda tx: tx.run("put_meta", name="word", value="x" * size))

    for _ in range(3):
        await checkpoints.run()
    assert store.wal()[0] > WAL_BYTES
    reader.close()
    await checkpoints.run()

    assert store.wal()[0] == 0
    assert await store.read(lambda tx: len(tx.value("meta", name="word"))) == size

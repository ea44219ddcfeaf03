"""One SQLite file: what opening checks, what a transaction promises, whom it keeps waiting."""

import asyncio
import fcntl
import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from disk import Disk
from fakes import OpenStore, shell
from waiting import until

from bridge.errors import (
    ConfigError,
    MigrationError,
    NewerSchema,
    StoreBusy,
    StoreDamaged,
    TryLater,
)
from bridge.store import WAL_BYTES, Store, Tx
from bridge.store_errors import translated
from bridge.wake import Wake

PAGE_BYTES = 4096
ADD_A_JOB = """
import asyncio, sys
from pathlib import Path
from bridge.clock import Clock
from bridge.models import NewJob
from bridge.queue import Queue
from bridge.store import Store

async def main():
    store = await Store.open(Path(sys.argv[1]), Path(sys.argv[2]))
    await Queue(store=store, clock=Clock()).add(NewJob(chat_id="7", prompt="Sing"))
    await store.close()

asyncio.run(main())
"""


def put(tx: Tx, value: str) -> None:
    """The smallest write."""
    tx.run("put_meta", name="word", value=value)


def word(tx: Tx) -> str | None:
    """What `put` wrote."""
    found: str | None = tx.value("meta", name="word")
    return found


async def made(memory: Path) -> Path:
    """A database with one word in it, closed."""
    store = await Store.open(memory / "kitt.db", memory / "run")
    try:
        await store.write(lambda tx: put(tx, "kept"))
    finally:
        await store.close()
    return memory / "kitt.db"


@pytest.fixture
def ordinary_user() -> Iterator[None]:
    """Without the rights of root, which may write everywhere."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    yield
    os.seteuid(0)


async def test_connection_is_set_up_as_promised(store: Store) -> None:
    def pragma(name: str) -> object:
        assert store._writer is not None
        return store._writer._conn.execute(f"PRAGMA {name}").fetchone()[0]

    assert await store.write(lambda tx: pragma("synchronous")) == 1  # NORMAL: promises we sync
    assert await store.write(lambda tx: pragma("journal_mode")) == "wal"
    assert await store.write(lambda tx: pragma("foreign_keys")) == 1
    assert await store.write(lambda tx: pragma("busy_timeout")) == 10_000
    assert await store.write(lambda tx: pragma("journal_size_limit")) == WAL_BYTES


async def test_promise_waits_for_the_disk(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(monkeypatch)

    await store.write(lambda tx: put(tx, "a promise"))

    assert disk.synced == [f"{store.path.resolve()}-wal"]


async def test_what_is_made_again_does_not_wait_for_the_disk(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch)

    await store.write(lambda tx: put(tx, "a heartbeat"), durable=False)
    await store.write(lambda tx: tx.value("meta", name="nothing changes"))

    assert disk.synced == []


async def test_others_write_while_a_promise_waits_for_the_disk(
    store: Store, open_store: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = await open_store()
    disk = Disk(monkeypatch)
    disk.ready.clear()
    promise = asyncio.create_task(store.write(lambda tx: put(tx, "a promise")))
    await until(lambda: disk.synced)

    await other.write(lambda tx: put(tx, "another"), durable=False)

    assert not promise.done()
    disk.ready.set()
    await promise


async def test_files_belong_to_their_owner_alone(memory: Path) -> None:
    path = await made(memory)

    assert path.stat().st_mode & 0o777 == 0o600
    assert Path(f"{path}.gate").stat().st_mode & 0o777 == 0o600
    assert (memory / "run").stat().st_mode & 0o777 == 0o700


async def test_database_keeps_what_was_written(memory: Path, open_store: OpenStore) -> None:
    await made(memory)

    store = await open_store(check=True)

    assert await store.read(word) == "kept"


async def test_exception_rolls_everything_back(store: Store) -> None:
    await store.write(lambda tx: put(tx, "before"))

    def write_and_fail(tx: Tx) -> None:
        put(tx, "after")
        raise LookupError

    with pytest.raises(LookupError):
        await store.write(write_and_fail)

    assert await store.read(word) == "before"
    await store.write(lambda tx: put(tx, "later"))
    assert await store.read(word) == "later"


async def test_broken_promise_of_the_schema_is_the_programmers_error(store: Store) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        await store.write(lambda tx: tx.run("put_meta", name="word", value=None))
    with pytest.raises(sqlite3.ProgrammingError):
        await store.write(lambda tx: tx.run("put_meta", name="word"))


async def test_reader_cannot_write(store: Store) -> None:
    with pytest.raises(ConfigError):
        await store.read(lambda tx: put(tx, "by a reader"))

    assert await store.read(word) is None


async def test_read_sees_one_snapshot(store: Store) -> None:
    await store.write(lambda tx: put(tx, "first"))

    def read_write_read(tx: Tx) -> tuple[str | None, str | None]:
        before = word(tx)
        shell(store.path, "UPDATE meta SET value = 'second'")
        return before, word(tx)

    assert await store.read(read_write_read) == ("first", "first")
    assert await store.read(word) == "second"


async def test_read_does_not_wait_for_a_writer(store: Store) -> None:
    go_on = threading.Event()

    def write_slowly(tx: Tx) -> None:
        put(tx, "slow")
        assert go_on.wait(10)

    writing = asyncio.create_task(store.write(write_slowly))
    async with asyncio.timeout(5):
        seen = await store.read(word)

    assert seen is None
    assert not writing.done()
    go_on.set()
    await writing
    assert await store.read(word) == "slow"


async def test_gate_makes_writers_of_two_processes_take_turns(
    store: Store, open_store: OpenStore
) -> None:
    other = await open_store(busy_timeout_s=0.0)
    inside, go_on = threading.Event(), threading.Event()

    def write_slowly(tx: Tx) -> None:
        put(tx, "first")
        inside.set()
        assert go_on.wait(10)

    first = asyncio.create_task(store.write(write_slowly))
    await until(inside.is_set)
    second = asyncio.create_task(other.write(lambda tx: put(tx, "second")))
    await asyncio.sleep(0.02)

    assert not second.done()  # without the gate it were refused: it does not wait for SQLite
    go_on.set()
    await asyncio.gather(first, second)
    assert await store.read(word) == "second"


async def test_nobody_comes_between_the_reading_and_the_writing_of_a_transaction(
    store: Store,
) -> None:
    await store.write(lambda tx: put(tx, "first"))
    person = sqlite3.connect(store.path, isolation_level=None, timeout=0, check_same_thread=False)

    def read_and_write(tx: Tx) -> None:
        before = word(tx)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            person.execute("UPDATE meta SET value = 'of a person'")
        put(tx, f"{before}, second")

    await store.write(read_and_write)

    assert await store.read(word) == "first, second"
    person.close()


async def test_writer_waits_for_the_sqlite3_shell(store: Store) -> None:
    person = sqlite3.connect(store.path, isolation_level=None)
    person.execute("BEGIN IMMEDIATE")

    writing = asyncio.create_task(store.write(lambda tx: put(tx, "after the person")))
    await asyncio.sleep(0.02)
    assert not writing.done()
    person.execute("COMMIT")
    await writing

    assert await store.read(word) == "after the person"
    person.close()


async def test_locked_file_is_a_store_that_is_busy(open_store: OpenStore) -> None:
    store = await open_store(busy_timeout_s=0.02)
    person = sqlite3.connect(store.path, isolation_level=None)
    person.execute("BEGIN EXCLUSIVE")

    with pytest.raises(StoreBusy, match="locked by another program: close it, or wait") as caught:
        await store.write(lambda tx: put(tx, "lost"))

    assert caught.value.exit_code == 75
    assert str(store.path) in str(caught.value)
    person.execute("ROLLBACK")
    await store.write(lambda tx: put(tx, "won"))
    assert await store.read(word) == "won"
    person.close()


async def test_cancelled_write_is_whole(store: Store) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def write_slowly(tx: Tx) -> None:
        put(tx, "half")
        inside.set()
        assert go_on.wait(10)
        put(tx, "whole")

    writing = asyncio.create_task(store.write(write_slowly))
    await until(inside.is_set)
    writing.cancel()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await writing

    assert await store.write(word) == "whole"


async def test_wake_up_comes_after_the_commit(store: Store) -> None:
    store.wake.listen("bridge")
    inside, go_on = threading.Event(), threading.Event()

    def wake_early(tx: Tx) -> None:
        tx.wake("bridge")
        inside.set()
        assert go_on.wait(10)
        put(tx, "there")

    writing = asyncio.create_task(store.write(wake_early))
    await until(inside.is_set)
    assert not await store.wake.wait(0.02)
    go_on.set()

    assert await store.wake.wait(5)
    assert await store.read(word) == "there"
    await writing


async def test_rolled_back_transaction_wakes_nobody(store: Store) -> None:
    store.wake.listen("bridge")

    def wake_and_fail(tx: Tx) -> None:
        tx.wake("bridge")
        raise LookupError

    with pytest.raises(LookupError):
        await store.write(wake_and_fail)

    assert not await store.wake.wait(0.02)


async def test_commit_of_another_process_wakes_the_listener(store: Store, memory: Path) -> None:
    store.wake.listen("worker-1")
    version = await store.data_version()
    command = [sys.executable, "-c", ADD_A_JOB, str(store.path), str(memory / "run")]

    await asyncio.to_thread(subprocess.run, command, check=True, timeout=30)

    assert await store.wake.wait(5)
    assert await store.data_version() != version


async def test_data_version_stays_while_nobody_commits(store: Store) -> None:
    version = await store.data_version()

    await store.read(word)

    assert await store.data_version() == version


async def test_commit_succeeds_when_nobody_can_be_woken(store: Store, memory: Path) -> None:
    def put_and_wake(tx: Tx) -> None:
        put(tx, "kept")
        tx.wake("bridge")

    bridge = Wake(memory / "run")
    bridge.listen("bridge")
    for entry in (memory / "run").iterdir():
        entry.unlink()
    (memory / "run").rmdir()

    await store.write(put_and_wake)

    assert await store.read(word) == "kept"
    bridge.close()


async def test_database_of_a_newer_kitt_is_refused_and_left_alone(
    memory: Path, open_store: OpenStore
) -> None:
    path = await made(memory)
    shell(path, "PRAGMA user_version = 99")
    before = path.read_bytes()

    with pytest.raises(MigrationError, match=r"newer KITT \(its version 99, ours \d+\): upgrade"):
        await open_store(check=True)

    assert path.read_bytes() == before
    assert not list(memory.glob("*.before-*"))


async def test_database_of_another_program_is_refused_and_left_alone(
    memory: Path, open_store: OpenStore
) -> None:
    path = memory / "kitt.db"
    shell(path, "CREATE TABLE recipes (name TEXT)")
    before = path.read_bytes()

    with pytest.raises(MigrationError, match="tables that are not KITT's"):
        await open_store(check=True)

    assert path.read_bytes() == before


async def test_several_programs_may_make_the_database_at_once(open_store: OpenStore) -> None:
    stores = await asyncio.gather(*(open_store() for _ in range(4)))

    await asyncio.gather(*(store.write(lambda tx: put(tx, "any")) for store in stores))

    assert await stores[0].read(word) == "any"


@pytest.mark.parametrize("check", [True, False])
async def test_damaged_header_is_a_damaged_store(
    memory: Path, check: bool, open_store: OpenStore
) -> None:
    path = await made(memory)
    whole = path.read_bytes()
    path.write_bytes(b"Hello, I am a text" + whole[18:])

    with pytest.raises(StoreDamaged, match=r"is damaged .*: stop KITT and put back a copy"):
        await open_store(check=check)

    assert path.read_bytes()[18:] == whole[18:]


async def test_damaged_page_is_found_before_the_work_begins(
    memory: Path, open_store: OpenStore
) -> None:
    path = await made(memory)
    whole = path.read_bytes()
    damaged = whole[:PAGE_BYTES] + b"\xde\xad" * (PAGE_BYTES // 2) + whole[2 * PAGE_BYTES :]
    path.write_bytes(damaged)

    with pytest.raises(StoreDamaged, match="malformed"):
        await open_store(check=True)

    assert path.read_bytes() == damaged


async def test_page_damaged_while_running_is_a_damaged_store(
    memory: Path, open_store: OpenStore
) -> None:
    path = await made(memory)
    (root,) = shell(path, "SELECT rootpage FROM sqlite_schema WHERE name = 'meta'")
    store = await open_store()
    with path.open("r+b") as file:
        file.seek((root["rootpage"] - 1) * PAGE_BYTES)
        file.write(b"\xff" * PAGE_BYTES)

    with pytest.raises(StoreDamaged, match="malformed"):
        await store.read(word)


async def test_full_disk_is_something_to_wait_for(store: Store) -> None:
    def fill(tx: Tx) -> None:
        assert store._writer is not None
        connection = store._writer._conn
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")
        put(tx, "x" * 100_000)

    with pytest.raises(TryLater, match=r"disk of .* is full: make room"):
        await store.write(fill)

    assert await store.read(word) is None


async def test_error_of_a_helper_file_on_a_full_disk_is_something_to_wait_for(
    tmp_path: Path,
) -> None:
    nothing_free, some_free = Path("/proc/kitt.db"), tmp_path / "kitt.db"

    with pytest.raises(TryLater, match="is full: make room"), translated(nothing_free):
        raise sqlite3.OperationalError("disk I/O error")
    with pytest.raises(StoreDamaged, match="cannot be used"), translated(some_free):
        raise sqlite3.OperationalError("disk I/O error")


async def test_nobody_checkpoints_or_closes_beside_a_writer(open_store: OpenStore) -> None:
    store, last = await open_store(), await open_store()
    await last.write(lambda tx: put(tx, "kept"))
    await store.close()
    gate = os.open(f"{last.path}.gate", os.O_RDWR)
    fcntl.flock(gate, fcntl.LOCK_EX)

    for act in (last.checkpoint, lambda: last.give_back(1, keep=0), last.close):
        acting = asyncio.create_task(act())
        await asyncio.sleep(0.02)
        assert not acting.done()
        assert last.wal()[0] > 0  # the last one to close empties it
        fcntl.flock(gate, fcntl.LOCK_UN)
        await acting
        fcntl.flock(gate, fcntl.LOCK_EX)

    assert last.wal() == (0, 0)
    os.close(gate)


async def test_checkpoint_does_not_wait_for_a_reader(store: Store) -> None:
    await store.write(lambda tx: put(tx, "first"))
    reader = sqlite3.connect(store.path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM meta").fetchall()
    await store.write(lambda tx: put(tx, "second"))

    async with asyncio.timeout(2):
        await store.checkpoint(truncate=True)

    assert store.wal()[0] > 0  # the reader still needs it
    reader.close()
    await store.checkpoint(truncate=True)
    assert store.wal()[0] == 0
    assert await store.read(word) == "second"


async def test_writer_waits_for_the_shell_after_a_checkpoint_too(store: Store) -> None:
    await store.checkpoint()
    await test_writer_waits_for_the_sqlite3_shell(store)


async def test_log_stays_short_without_a_keeper(store: Store) -> None:
    peak = 0
    for number in range(60):
        await store.write(partial(put, value=str(number % 10) * 1_000_000), durable=False)
        peak = max(peak, store.wal()[0])

    assert peak < 1.2 * WAL_BYTES


async def test_log_a_reader_made_long_is_short_again_after_it(store: Store) -> None:
    await store.write(lambda tx: put(tx, "first"))
    reader = sqlite3.connect(store.path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM meta").fetchall()
    for number in range(40):
        await store.write(partial(put, value=str(number % 10) * 1_000_000), durable=False)
    assert store.wal()[0] > 2 * WAL_BYTES
    reader.close()

    await store.write(lambda tx: put(tx, "moves it into the database"))
    await store.write(lambda tx: put(tx, "begins the log anew"))

    assert store.wal()[0] == WAL_BYTES


async def test_who_keeps_others_waiting_is_said(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("bridge.store.SLOW_WRITE_S", 0.05)
    holding = "import fcntl; f = open({!r}); fcntl.flock(f, 2); print(flush=True); input()"
    holder = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", holding.format(f"{store.path}.gate")),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    await holder.stdout.readline()

    writing = [asyncio.create_task(store.write(lambda tx: put(tx, "late"))) for _ in range(3)]
    await until(lambda: caplog.messages)
    holder.stdin.close()
    await asyncio.gather(holder.wait(), *writing)

    assert len(caplog.messages) == 1  # once a minute, however many wait
    assert f"while process {holder.pid} writes" in caplog.messages[0]


@pytest.mark.parametrize("folder", ["fullerton", "busybee", "unlocked", "malformed"])
def test_what_a_folder_is_called_does_not_matter_for_what_is_said(
    tmp_path: Path, folder: str
) -> None:
    missing = tmp_path / folder / "kitt.db"

    with pytest.raises(ConfigError, match=r"cannot be opened .No such file"), translated(missing):
        missing.read_bytes()


async def test_missing_folder_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere/kitt.db cannot be opened \(No such file"):
        await Store.open(tmp_path / "nowhere" / "kitt.db", tmp_path / "run")


async def test_folder_in_place_of_the_file_is_an_error(memory: Path, open_store: OpenStore) -> None:
    (memory / "kitt.db").mkdir()
    before = threading.active_count()

    for _ in range(30):
        with pytest.raises(ConfigError, match="cannot be opened"):
            await open_store()
        assert threading.active_count() == before  # a thread left behind outlives the loop


@pytest.mark.usefixtures("ordinary_user")
async def test_unwritable_folder_is_an_error_that_says_what_to_check() -> None:
    with tempfile.TemporaryDirectory() as folder:
        run_dir = Path(folder) / "run"
        run_dir.mkdir()
        Path(folder).chmod(0o500)

        with pytest.raises(ConfigError, match="may be written by this user") as caught:
            await Store.open(Path(folder) / "kitt.db", run_dir)

        assert "Permission denied" in str(caught.value)
        Path(folder).chmod(0o700)


async def test_failed_opening_leaves_no_thread_behind(memory: Path, open_store: OpenStore) -> None:
    path = await made(memory)
    shell(path, "PRAGMA user_version = 99")
    before = threading.active_count()

    with pytest.raises(MigrationError):
        await open_store()

    await until(lambda: threading.active_count() == before)


async def test_look_before_a_write_finds_out_that_the_database_was_upgraded(store: Store) -> None:
    shell(store.path, "ALTER TABLE meta RENAME COLUMN value TO text")
    shell(store.path, "PRAGMA user_version = 99")

    with pytest.raises(NewerSchema):
        await store.write_if(lambda tx: bool(tx.value("meta", name="word")), lambda tx: None)

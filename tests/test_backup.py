"""`kitt backup` and `kitt restore`: a whole file or none, while everything runs."""

import asyncio
import os
import shutil
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path

import pytest
from fakes import FakeClock, a_job, shell
from waiting import until

from bridge.backup import backup, checked, restore
from bridge.cli import main
from bridge.errors import AlreadyRunning, ConfigError, StoreBusy, StoreDamaged
from bridge.process import SlotLock
from bridge.queue import Queue
from bridge.settings import Settings
from bridge.store import Store

WRITE = """
import asyncio, sys
from pathlib import Path
from bridge.clock import Clock
from bridge.models import NewJob
from bridge.queue import Queue
from bridge.store import Store

async def main():
    store = await Store.open(Path(sys.argv[1]), Path(sys.argv[2]))
    queue = Queue(store=store, clock=Clock())
    while True:
        job = await queue.add(NewJob(chat_id=sys.argv[3], prompt="Sing"))
        print(job.id, flush=True)
        taken = await queue.claim(f"w{sys.argv[3]}:1:a")
        if taken is not None:
            await queue.finish(taken, "La")

asyncio.run(main())
"""


@pytest.fixture
async def settings(tmp_path: Path, clock: FakeClock) -> Settings:
    """A profile with three jobs."""
    found = Settings(profile=tmp_path / "profile")
    found.memory.mkdir(parents=True)
    await add(found, clock, 3)
    return found


async def add(settings: Settings, clock: FakeClock, jobs: int) -> None:
    store = await Store.open(settings.database, settings.run_dir)
    for _ in range(jobs):
        await Queue(store=store, clock=clock).add(a_job())
    await store.close()


def jobs_in(path: Path) -> int:
    (row,) = shell(path, "SELECT count(*) AS n FROM jobs")
    return int(row["n"])


@pytest.fixture
async def writers(settings: Settings) -> AsyncIterator[list[asyncio.subprocess.Process]]:
    """Two processes that add and finish jobs without a pause."""
    running = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", WRITE, settings.database, settings.run_dir, str(number)),
            stdout=asyncio.subprocess.PIPE,
        )
        for number in (1, 2)
    ]
    yield running
    for process in running:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_backup_is_a_private_file_that_was_checked(
    settings: Settings, clock: FakeClock, tmp_path: Path
) -> None:
    copy = await backup(settings, tmp_path / "copy.db", force=False, clock=clock)

    assert (copy.path, copy.jobs) == (tmp_path / "copy.db", 3)
    assert copy.path.stat().st_mode & 0o777 == 0o600
    assert checked(copy.path) == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy.db", "profile"]


async def test_backup_under_load_restored_is_consistent(
    settings: Settings,
    clock: FakeClock,
    tmp_path: Path,
    writers: list[asyncio.subprocess.Process],
) -> None:
    for writer in writers:
        assert writer.stdout is not None
        for _ in range(20):
            await writer.stdout.readline()
    before = jobs_in(settings.database)
    copy = await backup(settings, tmp_path / "copy.db", force=False, clock=clock)
    after = jobs_in(settings.database)
    await until(lambda: jobs_in(settings.database) > after)  # they went on
    for writer in writers:
        writer.kill()
        await writer.wait()

    restored, _ = restore(settings, copy.path, clock=clock)

    assert before <= restored.jobs == copy.jobs <= after
    store = await Store.open(settings.database, settings.run_dir, check=True)
    await Queue(store=store, clock=clock).add(a_job())
    await store.close()
    for broken in (
        "SELECT id FROM jobs WHERE status = 'done' AND result IS NOT 'La'",
        "SELECT id FROM jobs WHERE id NOT IN (SELECT job_id FROM job_events WHERE event = 'added')",
        "SELECT id FROM deliveries AS d WHERE kind = 'result' AND NOT EXISTS "
        "(SELECT 1 FROM jobs WHERE id = json_extract(d.payload, '$.job') AND status = 'done')",
    ):
        assert shell(settings.database, broken) == []
    assert shell(settings.database, "SELECT max(id) - count(*) AS gap FROM jobs") == [{"gap": 0}]


async def test_existing_file_is_replaced_only_by_force(
    settings: Settings, clock: FakeClock, tmp_path: Path
) -> None:
    target = tmp_path / "copy.db"
    target.write_text("Mine")

    with pytest.raises(ConfigError, match="exists already: name another file, or add --force"):
        await backup(settings, target, force=False, clock=clock)
    assert target.read_text() == "Mine"
    await backup(settings, target, force=True, clock=clock)

    assert checked(target) == 3


@pytest.mark.parametrize("name", ["kitt.db", "kitt.db-wal", "kitt.db-shm", ".", "none/copy.db"])
async def test_backup_refuses_a_place_that_can_be_none(
    settings: Settings, clock: FakeClock, name: str
) -> None:
    with pytest.raises(ConfigError, match="name a"):
        await backup(settings, settings.memory / name, force=True, clock=clock)

    assert jobs_in(settings.database) == 3


def killed_at(number: int, act: Callable[[], object]) -> bool:
    """Let a process of its own act and end, as if killed, before it touches a file the n-th time.

    False when it touched fewer.
    """
    pid = os.fork()
    if pid == 0:
        left = number

        def count(event: str, values: tuple[object, ...]) -> None:
            nonlocal left
            if event.startswith(("open", "os.", "sqlite3.connect")) and ".db" in str(values):
                left -= 1
                if left == 0:
                    os._exit(9)

        try:
            sys.addaudithook(count)
            act()
            os._exit(0)
        finally:
            os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code in (0, 9)
    return code == 9


def test_backup_killed_at_any_moment_is_whole_or_absent(tmp_path: Path) -> None:
    clock = FakeClock()
    settings = Settings(profile=tmp_path / "profile")
    settings.memory.mkdir(parents=True)
    asyncio.run(add(settings, clock, 3))
    found = set()
    crashed, number = True, 0
    while crashed:
        number += 1
        target = tmp_path / f"copy-{number}.db"

        def back_up(to: Path = target) -> None:
            asyncio.run(backup(settings, to, force=False, clock=clock))

        crashed = killed_at(number, back_up)
        found.add(target.exists())
        if target.exists():
            assert checked(target) == 3
        asyncio.run(backup(settings, target, force=True, clock=clock))
        assert not list(tmp_path.glob(f".copy-{number}.*"))  # nor what the killed one left
    assert found == {True, False}
    assert number > 5


def test_restore_killed_at_any_moment_leaves_the_old_database_or_the_new(tmp_path: Path) -> None:
    clock = FakeClock()
    settings = Settings(profile=tmp_path / "profile")
    settings.memory.mkdir(parents=True)
    asyncio.run(add(settings, clock, 3))
    copy = asyncio.run(backup(settings, tmp_path / "copy.db", force=False, clock=clock)).path
    found = set()
    crashed, number = True, 0
    while crashed:
        number += 1
        asyncio.run(add(settings, clock, 2))
        before = jobs_in(settings.database)
        crashed = killed_at(number, lambda: restore(settings, copy, clock=clock))
        jobs = jobs_in(settings.database)
        found.add(jobs)
        assert jobs in (3, before)
        clock.advance(1)
        restore(settings, copy, clock=clock)
        clock.advance(1)
        assert jobs_in(settings.database) == 3
        assert not list(settings.memory.glob(".*.part"))
    assert found == {3, 5}
    assert number > 5


async def test_restore_keeps_what_was_there(
    settings: Settings, clock: FakeClock, tmp_path: Path
) -> None:
    copy = await backup(settings, tmp_path / "copy.db", force=False, clock=clock)
    await add(settings, clock, 2)

    restored, kept = restore(settings, copy.path, clock=clock)

    assert kept == settings.memory / "kitt.db.before-restore-20261122-073000"
    assert (jobs_in(settings.database), jobs_in(kept)) == (3, 5)
    assert (restored.path, restored.jobs) == (settings.database, 3)
    assert settings.database.stat().st_mode & 0o777 == 0o600
    assert copy.path.exists()


async def test_restore_puts_a_database_where_none_is(
    settings: Settings, clock: FakeClock, tmp_path: Path
) -> None:
    copy = await backup(settings, tmp_path / "copy.db", force=False, clock=clock)
    settings.database.unlink()

    _, kept = restore(settings, copy.path, clock=clock)

    assert kept is None
    assert jobs_in(settings.database) == 3


@pytest.mark.parametrize("slot", ["supervisor", "bridge", "worker-7", "worker-browser-1"])
async def test_restore_waits_until_kitt_is_stopped(
    settings: Settings, clock: FakeClock, tmp_path: Path, slot: str
) -> None:
    copy = await backup(settings, tmp_path / "copy.db", force=False, clock=clock)
    await add(settings, clock, 1)

    with (
        SlotLock(settings.run_dir / f"{slot}.lock"),
        pytest.raises(AlreadyRunning, match=f"{slot} is already running"),
    ):
        restore(settings, copy.path, clock=clock)

    assert jobs_in(settings.database) == 4


async def test_restore_refuses_while_another_program_has_the_database_open(
    settings: Settings, clock: FakeClock, tmp_path: Path
) -> None:
    copy = await backup(settings, tmp_path / "copy.db", force=False, clock=clock)
    await add(settings, clock, 1)

    with closing(sqlite3.connect(settings.database)) as person:
        person.execute("SELECT * FROM jobs").fetchall()
        with pytest.raises(StoreBusy, match=r"has .* open: close it first"):
            restore(settings, copy.path, clock=clock)

    assert jobs_in(settings.database) == 4
    assert not list(settings.memory.glob("*before-restore*"))


async def test_damaged_database_is_replaced_with_all_that_belongs_to_it(
    settings: Settings, clock: FakeClock, tmp_path: Path
) -> None:
    copy = await backup(settings, tmp_path / "copy.db", force=False, clock=clock)
    settings.database.write_bytes(b"This is no database. " * 500)
    for helper in ("-wal", "-shm"):
        settings.database.with_name(f"kitt.db{helper}").write_text("of the damaged one")

    _, kept = restore(settings, copy.path, clock=clock)

    assert kept is not None
    assert kept.read_bytes().startswith(b"This is no database.")
    assert Path(f"{kept}-wal").read_text() == "of the damaged one"
    assert not Path(f"{settings.database}-wal").exists()
    assert jobs_in(settings.database) == 3


async def test_file_that_is_no_backup_is_refused(
    settings: Settings, clock: FakeClock, tmp_path: Path
) -> None:
    copy = (await backup(settings, tmp_path / "copy.db", force=False, clock=clock)).path
    text, newer, foreign, torn, live = (tmp_path / name for name in ("a", "b", "c", "d", "e"))
    text.write_text("Hello, I am a text. " * 500)
    shutil.copy(copy, newer)
    shell(newer, "PRAGMA user_version = 99")
    shell(foreign, "CREATE TABLE recipes (name TEXT)")
    torn.write_bytes(copy.read_bytes()[:-8192])
    shutil.copy(copy, live)
    Path(f"{live}-wal").write_text("Not moved into it yet")

    for path, error, sentence in (
        (text, StoreDamaged, "a is damaged"),
        (newer, ConfigError, "b is not a database this KITT can use .version 99;"),
        (foreign, ConfigError, "c is not a database this KITT can use .version 0;"),
        (torn, StoreDamaged, "d is damaged"),
        (live, ConfigError, "e is still in use"),
        (tmp_path / "none", ConfigError, "none is not a file"),
    ):
        with pytest.raises(error, match=sentence):
            restore(settings, path, clock=clock)
        assert jobs_in(settings.database) == 3
    assert sorted(path.name for path in settings.memory.glob("*kitt.db*")) == [
        "kitt.db",
        "kitt.db.gate",
    ]


async def test_rows_that_refer_to_none_are_damage(settings: Settings, clock: FakeClock) -> None:
    target = settings.memory / "copy.db"
    await backup(settings, target, force=False, clock=clock)
    shell(target, "INSERT INTO job_events (job_id, at, attempt, event) VALUES (99, '', 1, 'added')")

    with pytest.raises(StoreDamaged, match="refer to others"):
        checked(target)


async def test_full_disk_of_the_backup_is_named(settings: Settings, clock: FakeClock) -> None:
    with pytest.raises(ConfigError, match=r"/proc/copy.db cannot be opened"):
        await backup(settings, Path("/proc/copy.db"), force=False, clock=clock)


async def test_the_commands_say_what_they_did_and_what_is_missing(
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KITT_PROFILE", str(settings.profile))

    assert await asyncio.to_thread(main, ["backup", "copy.db"]) == 0
    said = capsys.readouterr().out
    assert f"{tmp_path}/copy.db: 0.2 MB, 3 jobs, 0." in said
    assert f"copy {settings.jobs_dir} too" in said
    assert await asyncio.to_thread(main, ["backup", "copy.db"]) == 78
    assert await asyncio.to_thread(main, ["restore", "copy.db"]) == 0
    said = capsys.readouterr().out
    assert "What was there before is" in said
    assert "may be sent again" in said

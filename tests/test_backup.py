"""`kitt backup` and `kitt restore`: a whole file or none, while everything runs."""

import asyncio
import errno
import os
import re
import resource
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from blank import lay
from fakes import FakeClock, a_job, shell
from waiting import until

from bridge.archive import take_database
from bridge.backup import backup, checked, copy_database, restore
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
    lay(settings.database)
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
    copy = await copy_database(settings, tmp_path / "copy.db", force=False, clock=clock)

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
    copy = await copy_database(settings, tmp_path / "copy.db", force=False, clock=clock)
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
    ids = [row["id"] for row in shell(settings.database, "SELECT id FROM jobs ORDER BY id")]
    assert ids[:-1] == list(range(1, restored.jobs + 1))


async def test_existing_file_is_replaced_only_by_force(
    settings: Settings, clock: FakeClock, tmp_path: Path
) -> None:
    target = tmp_path / "copy.db"
    target.write_text("Mine")

    with pytest.raises(ConfigError, match="exists already: name another file, or add --force"):
        await copy_database(settings, target, force=False, clock=clock)
    assert target.read_text() == "Mine"
    await copy_database(settings, target, force=True, clock=clock)

    assert checked(target) == 3


@pytest.mark.parametrize("empty", [True, False])
async def test_backup_of_no_database_makes_nothing_and_replaces_nothing(
    clock: FakeClock, tmp_path: Path, empty: bool
) -> None:
    settings = Settings(profile=tmp_path / "elsewhere")
    if empty:  # as a first start that was killed leaves it
        settings.memory.mkdir(parents=True)
        settings.database.touch()
    target = tmp_path / "copy.db"
    target.write_text("A good one")

    with pytest.raises(ConfigError, match=r"no database at .*elsewhere.*: set KITT_PROFILE"):
        await copy_database(settings, target, force=True, clock=clock)

    assert target.read_text() == "A good one"
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == sorted(
        ["copy.db", *(["kitt.db"] if empty else [])]
    )


@pytest.mark.parametrize(
    "name",
    ["kitt.db", "kitt.db-wal", "kitt.db-shm", "kitt.db-journal", ".", "none/copy.db"],
)
async def test_backup_refuses_a_place_that_can_be_none(
    settings: Settings, clock: FakeClock, name: str
) -> None:
    with pytest.raises(ConfigError, match="name a"):
        await copy_database(settings, settings.memory / name, force=True, clock=clock)

    assert jobs_in(settings.database) == 3


@pytest.mark.parametrize("way", ["itself", "by a link"])
async def test_backup_replaces_no_device_and_no_pipe(
    settings: Settings, clock: FakeClock, tmp_path: Path, way: str
) -> None:
    pipe, target = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    target.symlink_to(pipe)

    with pytest.raises(ConfigError, match="pipe is no file and cannot be made one"):
        target = pipe if way == "itself" else target
        await copy_database(settings, target, force=True, clock=clock)

    assert pipe.is_fifo()


async def test_backup_to_a_link_replaces_what_it_leads_to(
    settings: Settings, clock: FakeClock, tmp_path: Path
) -> None:
    (tmp_path / "copy.db").write_text("An older one")
    link = tmp_path / "newest.db"
    link.symlink_to("copy.db")

    with pytest.raises(ConfigError, match=r"copy\.db exists already"):
        await copy_database(settings, link, force=False, clock=clock)
    copy = await copy_database(settings, link, force=True, clock=clock)

    assert (copy.path, link.is_symlink()) == (tmp_path / "copy.db", True)
    assert checked(tmp_path / "copy.db") == 3


def database_of(archive: Path, folder: Path) -> Path:
    """The database of a backup, taken out of it."""
    found = folder / "taken.db"
    take_database(archive, found)
    return found


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
            assert checked(database_of(target, tmp_path)) == 3
        asyncio.run(backup(settings, target, force=True, clock=clock))
        assert not list(tmp_path.glob(f".copy-{number}.*"))  # nor what the killed one left
    assert found == {True, False}
    assert number > 5


def no_links(*_paths: object) -> None:
    """`os.link` where a file has one name only."""
    raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))


@pytest.mark.parametrize("links", [True, False])
def test_restore_killed_at_any_moment_leaves_the_old_database_or_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    if not links:
        monkeypatch.setattr(os, "link", no_links)
    clock = FakeClock()
    settings = Settings(profile=tmp_path / "profile")
    settings.memory.mkdir(parents=True)
    (settings.profile / "KITT.md").write_text("Once")
    asyncio.run(add(settings, clock, 3))
    copy = asyncio.run(backup(settings, tmp_path / "copy.db", force=False, clock=clock)).path
    found = set()
    crashed, number = True, 0
    while crashed:
        number += 1
        asyncio.run(add(settings, clock, 2))
        (settings.profile / "KITT.md").write_text("Since")
        before = jobs_in(settings.database)
        crashed = killed_at(number, lambda: restore(settings, copy, clock=clock))
        jobs = jobs_in(settings.database)
        found.add(jobs)
        assert jobs in (3, before)
        clock.advance(1)
        restore(settings, copy, clock=clock)
        clock.advance(1)
        assert jobs_in(settings.database) == 3
        assert (settings.profile / "KITT.md").read_text() == "Once"
        assert not list(settings.memory.glob(".*.part"))
    assert found == {3, 5}
    assert number > 5


async def test_restore_keeps_what_was_there(
    settings: Settings, clock: FakeClock, tmp_path: Path
) -> None:
    copy = await copy_database(settings, tmp_path / "copy.db", force=False, clock=clock)
    await add(settings, clock, 2)

    restored, kept = restore(settings, copy.path, clock=clock)

    assert kept == settings.memory / "kitt.db.before-restore-20261122-073000"
    assert (jobs_in(settings.database), jobs_in(kept)) == (3, 5)
    assert (restored.path, restored.jobs) == (settings.database, 3)
    assert settings.database.stat().st_mode & 0o777 == 0o600
    assert copy.path.exists()


async def test_restores_of_one_second_keep_what_was_there_before_each(
    settings: Settings, clock: FakeClock, tmp_path: Path
) -> None:
    copy = await copy_database(settings, tmp_path / "copy.db", force=False, clock=clock)
    kept = []

    for jobs in (1, 2, 3):
        await add(settings, clock, jobs)
        kept.append(restore(settings, copy.path, clock=clock)[1])

    assert [jobs_in(path) for path in kept if path] == [4, 5, 6]


async def test_restore_where_a_file_has_one_name_only_keeps_a_copy(
    settings: Settings, clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = await copy_database(settings, tmp_path / "copy.db", force=False, clock=clock)
    await add(settings, clock, 2)
    monkeypatch.setattr(os, "link", no_links)

    _, kept = restore(settings, copy.path, clock=clock)

    assert kept is not None
    assert (jobs_in(settings.database), jobs_in(kept)) == (3, 5)
    assert kept.stat().st_mode & 0o777 == 0o600
    assert not list(settings.memory.glob(".*.part"))


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """No file may grow beyond that, as on a disk that refuses."""
    _, hard = before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def grown(settings: Settings, *, log: Path) -> None:
    """Half a megabyte more in the database; its log is copied to `log` before it is empty."""
    store = await Store.open(settings.database, settings.run_dir)
    await store.write(lambda tx: tx.run("put_meta", name="much", value="x" * 500_000))
    shutil.copy(f"{settings.database}-wal", log)
    await store.close()


async def test_restore_that_cannot_keep_what_was_there_says_why(
    settings: Settings, clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = await copy_database(settings, tmp_path / "copy.db", force=False, clock=clock)
    await grown(settings, log=tmp_path / "log")
    await add(settings, clock, 1)
    monkeypatch.setattr(os, "link", no_links)

    with (
        files_up_to(copy.path.stat().st_size),
        pytest.raises(ConfigError, match=r"before-restore-.* cannot be opened .File too large"),
    ):
        restore(settings, copy.path, clock=clock)

    assert jobs_in(settings.database) == 4
    assert not list(settings.memory.glob("*before-restore*"))


async def test_restore_refuses_a_database_that_is_not_damaged_but_cannot_be_written(
    settings: Settings, clock: FakeClock, tmp_path: Path
) -> None:
    copy = await copy_database(settings, tmp_path / "copy.db", force=False, clock=clock)
    whole = tmp_path / "whole"
    shutil.copy(settings.database, whole)
    await grown(settings, log=tmp_path / "log")
    shutil.copy(whole, settings.database)  # all that is new is in the log, as a crash leaves it
    shutil.copy(tmp_path / "log", f"{settings.database}-wal")

    with (
        files_up_to(copy.path.stat().st_size),
        pytest.raises(StoreDamaged, match=r"kitt.db cannot be used \(disk I/O error\)"),
    ):
        restore(settings, copy.path, clock=clock)

    assert shell(settings.database, "SELECT length(value) AS n FROM meta WHERE name = 'much'") == [
        {"n": 500_000}
    ]
    assert not list(settings.memory.glob("*before-restore*"))


def waits_at_gate(process: subprocess.Popen[bytes]) -> bool:
    """Whoever waits for a lock has an arrow before FLOCK."""
    lines = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    return any(line[1:3] == ["->", "FLOCK"] and line[5] == str(process.pid) for line in lines)


def test_program_that_starts_while_a_backup_is_put_back_opens_the_restored_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeClock()
    settings = Settings(profile=tmp_path / "profile")
    settings.memory.mkdir(parents=True)
    asyncio.run(add(settings, clock, 3))
    copy = asyncio.run(copy_database(settings, tmp_path / "copy.db", force=False, clock=clock))
    asyncio.run(add(settings, clock, 2))
    said = tmp_path / "said"
    command = (sys.executable, "-c", WRITE, settings.database, settings.run_dir, "1")
    writers: list[subprocess.Popen[bytes]] = []
    replace = os.replace

    def meanwhile(part: Path, target: Path) -> None:
        if target == settings.database:
            with said.open("wb") as out:
                writers.append(subprocess.Popen(command, stdout=out))
            asyncio.run(until(lambda: said.read_text() or waits_at_gate(writers[0])))
        replace(part, target)

    monkeypatch.setattr(os, "replace", meanwhile)
    try:
        _, kept = restore(settings, copy.path, clock=clock)
        asyncio.run(until(said.read_text))
    finally:
        writers[0].kill()
        writers[0].wait()

    assert said.read_text().split()[0] == "6"  # no number of before is given again
    assert jobs_in(settings.database) >= 4
    assert shell(settings.database, "PRAGMA integrity_check") == [{"integrity_check": "ok"}]
    assert kept is not None
    assert jobs_in(kept) == 5


async def test_restore_refuses_while_a_program_has_only_just_opened_the_database(
    settings: Settings, clock: FakeClock, tmp_path: Path
) -> None:
    copy = await copy_database(settings, tmp_path / "copy.db", force=False, clock=clock)
    restore(settings, copy.path, clock=clock)  # which is not in WAL mode
    store = await Store.open(settings.database, settings.run_dir)

    with pytest.raises(StoreBusy, match=r"has .* open: close it first"):
        restore(settings, copy.path, clock=clock)

    await store.close()


async def test_log_of_a_database_that_is_gone_is_not_taken_for_that_of_the_restored_one(
    settings: Settings, clock: FakeClock, tmp_path: Path
) -> None:
    copy = await copy_database(settings, tmp_path / "copy.db", force=False, clock=clock)
    await grown(settings, log=tmp_path / "log")
    settings.database.unlink()
    shutil.copy(tmp_path / "log", f"{settings.database}-wal")

    restore(settings, copy.path, clock=clock)

    assert jobs_in(settings.database) == 3
    assert shell(settings.database, "SELECT name FROM meta WHERE name = 'much'") == []
    (kept,) = settings.memory.glob("*before-restore*-wal")
    assert kept.read_bytes() == (tmp_path / "log").read_bytes()


async def test_new_jobs_do_not_get_the_files_of_jobs_the_backup_does_not_know(
    settings: Settings, clock: FakeClock, tmp_path: Path
) -> None:
    copy = await copy_database(settings, tmp_path / "copy.db", force=False, clock=clock)
    await add(settings, clock, 4)
    folder = settings.jobs_dir / "6"
    folder.mkdir(parents=True)
    (folder / "salary.txt").write_text("for somebody else")

    restore(settings, copy.path, clock=clock)
    await add(settings, clock, 1)

    assert [row["id"] for row in shell(settings.database, "SELECT id FROM jobs")] == [1, 2, 3, 8]


@pytest.mark.parametrize("odd", ["99999999999999999999", "notes"])
async def test_new_jobs_have_new_numbers_whatever_folders_are_called(
    settings: Settings, clock: FakeClock, tmp_path: Path, odd: str
) -> None:
    copy = await copy_database(settings, tmp_path / "copy.db", force=False, clock=clock)
    await add(settings, clock, 4)  # they have left no folder
    (settings.jobs_dir / odd).mkdir(parents=True)

    restore(settings, copy.path, clock=clock)
    await add(settings, clock, 1)

    assert [row["id"] for row in shell(settings.database, "SELECT id FROM jobs")] == [1, 2, 3, 8]


async def test_backup_leaves_the_parts_of_others_alone(
    settings: Settings, clock: FakeClock, tmp_path: Path
) -> None:
    others = [tmp_path / ".copy.db.mkv.part", tmp_path / f".copy.db.{os.getppid()}.part"]
    killed = tmp_path / ".copy.db.99999999.part"
    for part in (*others, killed):
        part.touch()

    await copy_database(settings, tmp_path / "copy.db", force=False, clock=clock)

    assert all(part.exists() for part in others)
    assert not killed.exists()


async def test_restore_puts_a_database_where_none_is(
    settings: Settings, clock: FakeClock, tmp_path: Path
) -> None:
    copy = await copy_database(settings, tmp_path / "copy.db", force=False, clock=clock)
    settings.database.unlink()

    _, kept = restore(settings, copy.path, clock=clock)

    assert kept is None
    assert jobs_in(settings.database) == 3


@pytest.mark.parametrize("slot", ["supervisor", "bridge", "worker-7", "worker-browser-1"])
async def test_restore_waits_until_kitt_is_stopped(
    settings: Settings, clock: FakeClock, tmp_path: Path, slot: str
) -> None:
    copy = await copy_database(settings, tmp_path / "copy.db", force=False, clock=clock)
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
    copy = await copy_database(settings, tmp_path / "copy.db", force=False, clock=clock)
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
    copy = await copy_database(settings, tmp_path / "copy.db", force=False, clock=clock)
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
    copy = (await copy_database(settings, tmp_path / "copy.db", force=False, clock=clock)).path
    text, newer, foreign, torn, live = (tmp_path / name for name in ("a", "b", "c", "d", "e"))
    text.write_text("Hello, I am a text. " * 500)
    shutil.copy(copy, newer)
    shell(newer, "PRAGMA user_version = 99")
    shell(foreign, "CREATE TABLE recipes (name TEXT)")
    torn.write_bytes(copy.read_bytes()[:-8192])
    shutil.copy(copy, live)
    Path(f"{live}-wal").write_text("Not moved into it yet")

    for path, error, sentence in (
        (text, StoreDamaged, r"a is damaged \(file is not a database\): use another\.$"),
        (newer, ConfigError, "b is not a database this KITT can use .version 99;"),
        (foreign, ConfigError, "c is not a database this KITT can use .version 0;"),
        (torn, StoreDamaged, r"d is damaged \(.*\): use another\.$"),
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
    await copy_database(settings, target, force=False, clock=clock)
    shell(target, "INSERT INTO job_events (job_id, at, attempt, event) VALUES (99, '', 1, 'added')")

    with pytest.raises(StoreDamaged, match="refer to others"):
        checked(target)


async def test_full_disk_of_the_backup_is_named(settings: Settings, clock: FakeClock) -> None:
    with pytest.raises(ConfigError, match=r"/proc/copy.db cannot be opened"):
        await copy_database(settings, Path("/proc/copy.db"), force=False, clock=clock)


async def test_the_commands_say_what_they_did_and_what_is_missing(
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (settings.profile / "KITT.md").write_text("You are KITT.")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KITT_PROFILE", str(settings.profile))

    assert await asyncio.to_thread(main, ["backup", "copy.db"]) == 0
    said = capsys.readouterr().out
    assert re.search(rf"{re.escape(str(tmp_path))}/copy.db: 0\.\d MB, 3 jobs, 1 files, 0\.", said)
    assert "Not in it: .env" in said
    assert await asyncio.to_thread(main, ["backup", "copy.db"]) == 78
    assert await asyncio.to_thread(main, ["restore", "copy.db"]) == 0
    said = capsys.readouterr().out
    assert "What was there before is" in said
    assert "may be sent again" in said

"""`kitt backup FILE` and `kitt restore FILE`: all that cannot be made again, as one checked file.

A backup is taken while everything runs: SQLite writes what it sees at one moment into a new file,
and writers go on (measured: 0.8 s for 300 MB; a copy in slices starts anew with every commit). Then
come the files that belong to it (archive.py). A database alone is put back as well.
"""

import asyncio
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import Final

from bridge import archive
from bridge.clock import Clock, stamp
from bridge.database_file import gate_of, part_of, sync, take_place
from bridge.errors import ConfigError, StoreBusy, StoreDamaged
from bridge.migrate import migrations, version_of
from bridge.process import SlotLock, make_folders, need_database, prepare_folders
from bridge.settings import Settings
from bridge.store import Store
from bridge.store_errors import translated

LAST_BACKUP: Final = "last_backup"  # in `meta`: when the last one was made
_HELPERS: Final = ("-wal", "-shm", "-journal")  # what SQLite keeps beside a file that is in use
_ID_DIGITS_MAX: Final = 15  # a folder with a longer name is none of a job's
_DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


@dataclass(frozen=True, slots=True)
class Copy:
    """What a checked copy is."""

    path: Path
    megabytes: float
    jobs: int
    seconds: float
    files: int = 0
    set_aside: int = 0  # files that were there, and differed


async def backup(settings: Settings, target: Path, *, force: bool, clock: Clock) -> Copy:
    """Write everything into `target`, which is there only when it is whole.

    Raises: as copy_database.
    """
    need_database(settings)
    target = _checked_target(settings, target, force=force)
    started = clock.monotonic()
    with part_of(_beside(target, ".database")) as database:
        copy = await copy_database(settings, database, force=True, clock=clock)
        with part_of(target) as part:
            found = _attached(database)
            files = await asyncio.to_thread(archive.pack, settings, database, found, part)
            take_place(part, target)
    store = await Store.open(settings.database, settings.run_dir)
    try:
        when = stamp(clock.now())
        await store.write(lambda tx: tx.run("put_meta", name=LAST_BACKUP, value=when))
    finally:
        await store.close()
    megabytes, seconds = target.stat().st_size / 1e6, clock.monotonic() - started
    return Copy(target, megabytes, copy.jobs, seconds, files)


async def copy_database(settings: Settings, target: Path, *, force: bool, clock: Clock) -> Copy:
    """Write the database alone into `target`, which is there only when it is whole and was checked.

    Raises: ConfigError when there is no database, or when `target` exists already (unless `force`)
    or cannot be written, TryLater when the disk is full, StoreDamaged.
    """
    need_database(settings)
    target = _checked_target(settings, target, force=force)
    prepare_folders(settings)
    started = clock.monotonic()
    store = await Store.open(settings.database, settings.run_dir)
    try:
        with part_of(target) as part:
            await store.copy_to(part)
            jobs = checked(part)
            take_place(part, target)
    finally:
        await store.close()
    return Copy(target, target.stat().st_size / 1e6, jobs, clock.monotonic() - started)


def restore(settings: Settings, source: Path, *, clock: Clock) -> tuple[Copy, Path | None]:
    """Put a backup in place; what was there is kept beside it, and the database's is named.

    The database is the last, so that a restore that was interrupted can be done again.

    Raises: AlreadyRunning while KITT runs, StoreBusy while another program has the database open,
    ConfigError, StoreDamaged when `source` is none that can be used. Then its database stays.
    """
    source = source.absolute()
    if not source.is_file():
        raise ConfigError(f"{source} is not a file: name one that `kitt backup` made.")
    make_folders(settings)
    database, started = settings.database, clock.monotonic()
    whole = archive.is_archive(source)
    files = aside = 0
    with _nobody_runs(settings), part_of(database) as part:
        if not whole and any(_beside(source, end).exists() for end in _HELPERS):
            raise ConfigError(
                f"{source} is still in use, or was copied while it was: name a file that "
                "`kitt backup` made."
            )
        with translated(part):
            (archive.take_database if whole else shutil.copyfile)(source, part)
        jobs = checked(part, named=source)
        with translated(part):
            _go_on_counting(part, database, settings.jobs_dir)
            sync(part)  # now, so that nobody waits for the disk at the gate
        if whole:
            files, aside = archive.put_files(settings, source, _moment(clock))
        # Whoever opens the database meanwhile would keep the old file, and SQLite would apply the
        # log beside it to the restored one.
        with gate_of(database):
            kept = _set_aside(database, clock)
            take_place(part, database)
    megabytes, seconds = database.stat().st_size / 1e6, clock.monotonic() - started
    return Copy(database, megabytes, jobs, seconds, files, aside), kept


def checked(path: Path, *, named: Path | None = None) -> int:
    """Read every page of a database nobody else has open; how many jobs it holds.

    `named` is the file the user knows it by. Raises: StoreDamaged, ConfigError when it is not a
    database of KITT's, or of a newer one.
    """
    name = named or path
    with (
        translated(name),
        closing(sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)) as connection,
    ):
        verdict = _verdict(connection)
        if verdict != "ok":
            raise StoreDamaged(f"{name} is damaged ({' '.join(verdict.split())}): use another.")
        version, ours = version_of(connection), len(migrations())
        if not 1 <= version <= ours:
            raise ConfigError(
                f"{name} is not a database this KITT can use (version {version}; known are 1 to "
                f"{ours})."
            )
        return int(connection.execute("SELECT count(*) FROM jobs").fetchone()[0])


def _attached(copy: Path) -> list[tuple[int, str]]:
    """The jobs and paths of the files that jobs attached to their results."""
    with closing(sqlite3.connect(f"{copy.as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
        return connection.execute("SELECT DISTINCT job_id, path FROM job_files").fetchall()


def _verdict(connection: sqlite3.Connection) -> str:
    try:
        verdict = str(connection.execute("PRAGMA integrity_check(1)").fetchone()[0])
        if verdict == "ok" and connection.execute("PRAGMA foreign_key_check").fetchone():
            return "rows refer to others that are not there"
    except sqlite3.DatabaseError as error:
        if not _is_damage(error):
            raise
        return str(error)
    return verdict


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    return error.sqlite_errorcode & 0xFF in _DAMAGED  # without its finer distinctions


def _checked_target(settings: Settings, target: Path, *, force: bool) -> Path:
    target = Path(os.path.realpath(target))  # a link stays one: what it leads to is written
    database = settings.database.resolve()
    if target in (database, *(_beside(database, end) for end in _HELPERS)):
        raise ConfigError(f"{target} is the database itself: name another file.")
    if not target.parent.is_dir() or (target.exists() and not target.is_file()):
        raise ConfigError(
            f"{target} is no file and cannot be made one: name a file in a folder that exists."
        )
    if target.exists() and not force:
        raise ConfigError(f"{target} exists already: name another file, or add --force.")
    return target


@contextmanager
def _nobody_runs(settings: Settings) -> Iterator[None]:
    """Hold every slot, so that nothing runs and nothing starts. Raises: AlreadyRunning."""
    names = {
        "supervisor",
        "bridge",
        *(path.stem for path in settings.run_dir.glob("worker-*.lock")),
    }
    with ExitStack() as slots:
        for name in sorted(names):
            slots.enter_context(SlotLock(settings.run_dir / f"{name}.lock"))
        yield


def _go_on_counting(restored: Path, database: Path, jobs_dir: Path) -> None:
    """New jobs must not get the numbers, and so the files, of jobs the backup does not know.

    Those are known by the database that is replaced, if it can be read, and by their folders.
    """
    folders = [path.name for path in jobs_dir.glob("*") if path.name.isdecimal()]
    last = max(
        [
            *map(_last_job, (restored, database)),
            *(int(name) for name in folders if len(name) <= _ID_DIGITS_MAX),
        ]
    )
    with closing(sqlite3.connect(restored)) as connection, connection:
        connection.execute("DELETE FROM sqlite_sequence WHERE name = 'jobs'")
        connection.execute("INSERT INTO sqlite_sequence VALUES ('jobs', ?)", (last,))


def _last_job(database: Path) -> int:
    """The highest number a job ever had there; 0 when nobody can say."""
    try:
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
            row = connection.execute(
                "SELECT seq FROM sqlite_sequence WHERE name = 'jobs'"
            ).fetchone()
    except sqlite3.Error:
        return 0
    return int(row[0]) if row else 0


def _set_aside(database: Path, clock: Clock) -> Path | None:
    """A second name for the present database, whose old name is then free to be replaced.

    Out of WAL mode it is one file, and getting there is proof that no other program has it open;
    the gate, which is held, keeps it so. One too damaged for that keeps its helpers under the new
    name: beside the restored file they would be taken for its own. So would those of a database
    that is gone.
    """
    kept = _unused_name(database, clock)
    if not database.exists():
        with translated(kept):
            _move_helpers(database, kept)
        return None
    with (
        translated(database),
        closing(sqlite3.connect(database, timeout=1.0, isolation_level=None)) as connection,
    ):
        try:
            connection.execute("PRAGMA journal_mode = DELETE")
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
                raise StoreBusy(f"Another program has {database} open: close it first.") from error
            if not _is_damage(error):  # then that may be why it is replaced
                raise
        _name_too(database, kept)
        with translated(kept):  # before the connection ends: it takes its helpers away
            _move_helpers(database, kept)
    return kept


def _move_helpers(database: Path, kept: Path) -> None:
    for helper in _HELPERS:
        if _beside(database, helper).exists():
            _beside(database, helper).rename(_beside(kept, helper))


def _unused_name(database: Path, clock: Clock) -> Path:
    first = database.with_name(f"{database.name}{archive.SET_ASIDE}{_moment(clock)}")
    names = chain([first], (_beside(first, f"-{number}") for number in count(2)))
    return next(name for name in names if not name.exists())


def _moment(clock: Clock) -> str:
    """Now, as it may stand in the name of a file."""
    return stamp(clock.now())[:19].translate(str.maketrans(" ", "-", "-:"))


def _name_too(database: Path, kept: Path) -> None:
    """Give the file a second name; where files have only one (exFAT) `kept` is a copy."""
    try:
        os.link(database, kept)
    except OSError:  # when the reason is another one, the copy fails of it too
        # Not after `kept`: its name is another each time, and the next one takes away the part.
        with part_of(_beside(database, ".before-restore")) as part:
            with translated(kept):
                shutil.copyfile(database, part)
            take_place(part, kept)


def _beside(path: Path, end: str) -> Path:
    return path.with_name(path.name + end)

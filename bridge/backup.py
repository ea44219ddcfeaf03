"""`kitt backup FILE` and `kitt restore FILE`: the database as one file that was checked.

A backup is taken while everything runs: SQLite writes what it sees at one moment into a new file,
and writers go on (measured: 0.8 s for 300 MB; a copy in slices starts anew with every commit). The
jobs' own files are folders beside the database and not in it.
"""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import Final

from bridge.clock import Clock, stamp
from bridge.database_file import gate_of, part_of, sync, take_place
from bridge.errors import ConfigError, StoreBusy, StoreDamaged
from bridge.migrate import migrations, version_of
from bridge.process import SlotLock, prepare_folders
from bridge.settings import Settings
from bridge.store import Store
from bridge.store_errors import translated

LAST_BACKUP: Final = "last_backup"  # in `meta`: when the last one was made
_HELPERS: Final = ("-wal", "-shm", "-journal")  # what SQLite keeps beside a file that is in use
_DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


@dataclass(frozen=True, slots=True)
class Copy:
    """What a checked copy of the database is."""

    path: Path
    megabytes: float
    jobs: int
    seconds: float


async def backup(settings: Settings, target: Path, *, force: bool, clock: Clock) -> Copy:
    """Write the database into `target`, which is there only when it is whole and was checked.

    Raises: ConfigError when there is no database, or when `target` exists already (unless `force`)
    or cannot be written, TryLater when the disk is full, StoreDamaged.
    """
    with translated(settings.database):
        if not settings.database.is_file() or settings.database.stat().st_size == 0:
            raise ConfigError(
                f"There is no database at {settings.database}: set KITT_PROFILE to the profile "
                "that is to be backed up."
            )
    target = _checked_target(settings, target, force=force)
    prepare_folders(settings)
    started = clock.monotonic()
    store = await Store.open(settings.database, settings.run_dir)
    try:
        with part_of(target) as part:
            await store.copy_to(part)
            jobs = checked(part)
            take_place(part, target)
        when = stamp(clock.now())
        await store.write(lambda tx: tx.run("put_meta", name=LAST_BACKUP, value=when))
    finally:
        await store.close()
    return Copy(target, target.stat().st_size / 1e6, jobs, clock.monotonic() - started)


def restore(settings: Settings, source: Path, *, clock: Clock) -> tuple[Copy, Path | None]:
    """Put a backup in the database's place; what was there is kept beside it, and is named.

    Raises: AlreadyRunning while KITT runs, StoreBusy while another program has the database open,
    ConfigError, StoreDamaged when `source` is none that can be used. Then nothing was changed.
    """
    source = source.absolute()
    if not source.is_file():
        raise ConfigError(f"{source} is not a file: name one that `kitt backup` made.")
    prepare_folders(settings)
    database, started = settings.database, clock.monotonic()
    with _nobody_runs(settings), part_of(database) as part:
        if any(_beside(source, end).exists() for end in _HELPERS):
            raise ConfigError(
                f"{source} is still in use, or was copied while it was: name a file that "
                "`kitt backup` made."
            )
        with translated(part):
            shutil.copyfile(source, part)
            sync(part)  # now, so that nobody waits for the disk at the gate
        jobs = checked(part, named=source)
        # Whoever opens the database meanwhile would keep the old file, and SQLite would apply the
        # log beside it to the restored one.
        with gate_of(database):
            kept = _set_aside(database, clock) if database.exists() else None
            take_place(part, database)
    copy = Copy(database, database.stat().st_size / 1e6, jobs, clock.monotonic() - started)
    return copy, kept


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
        verdict = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if verdict == "ok" and connection.execute("PRAGMA foreign_key_check").fetchone():
            verdict = "rows refer to others that are not there"
        if verdict != "ok":
            raise StoreDamaged(f"{name} is damaged ({' '.join(verdict.split())}): use another.")
        version, ours = version_of(connection), len(migrations())
        if not 1 <= version <= ours:
            raise ConfigError(
                f"{name} is not a database this KITT can use (version {version}; known are 1 to "
                f"{ours})."
            )
        return int(connection.execute("SELECT count(*) FROM jobs").fetchone()[0])


def _checked_target(settings: Settings, target: Path, *, force: bool) -> Path:
    target = target.absolute()
    database = settings.database.resolve()
    if target.resolve() in (database, *(_beside(database, end) for end in _HELPERS)):
        raise ConfigError(f"{target} is the database itself: name another file.")
    if target.is_dir() or not target.parent.is_dir():
        raise ConfigError(f"{target} cannot be made: name a file in a folder that exists.")
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


def _set_aside(database: Path, clock: Clock) -> Path:
    """A second name for the present database, whose old name is then free to be replaced.

    Out of WAL mode it is one file, and getting there is proof that no other program has it open;
    the gate, which is held, keeps it so. One too damaged for that keeps its helpers under the new
    name: beside the restored file they would be taken for its own.
    """
    with (
        translated(database),
        closing(sqlite3.connect(database, timeout=1.0, isolation_level=None)) as connection,
    ):
        try:
            connection.execute("PRAGMA journal_mode = DELETE")
        except sqlite3.DatabaseError as error:
            code = error.sqlite_errorcode & 0xFF  # without its finer distinctions
            if code == sqlite3.SQLITE_BUSY:
                raise StoreBusy(f"Another program has {database} open: close it first.") from error
            if code not in _DAMAGED:  # then that may be why it is replaced
                raise
        kept = _unused_name(database, clock)
        _name_too(database, kept)
        with translated(kept):  # before the connection ends: it takes its helpers away
            for helper in _HELPERS:
                if _beside(database, helper).exists():
                    _beside(database, helper).rename(_beside(kept, helper))
    return kept


def _unused_name(database: Path, clock: Clock) -> Path:
    when = stamp(clock.now())[:19].translate(str.maketrans(" ", "-", "-:"))
    first = database.with_name(f"{database.name}.before-restore-{when}")
    names = chain([first], (_beside(first, f"-{number}") for number in count(2)))
    return next(name for name in names if not name.exists())


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

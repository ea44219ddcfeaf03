"""The schema over the years: what an upgrade changes, copies and survives, and whom it ends."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from fakes import OpenStore, shell

import bridge.migrate
from bridge.errors import MigrationError, NewerSchema
from bridge.migrate import INCREMENTAL, migrate, migrations
from bridge.store import Tx

SONGS = """
CREATE TABLE songs (name TEXT);
CREATE INDEX songs_name ON songs (name);
INSERT INTO songs SELECT value FROM meta;
ALTER TABLE jobs ADD COLUMN song TEXT;
"""
STEPS = (*migrations(), SONGS)
FOLDER = Path(bridge.migrate.__file__).parent / "sql" / "migrations"


def put(tx: Tx) -> None:
    """The smallest write."""
    tx.run("put_meta", name="word", value="kept")


def made(path: Path, *, steps: tuple[str, ...] = migrations(), shrinkable: bool = True) -> Path:
    """A database of that version with one word in it, as the store leaves one."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        if shrinkable:
            migrate(connection, path, steps)
        else:  # as KITT made it before version 2
            connection.executescript(f"{steps[0]}; PRAGMA user_version = 1")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("INSERT INTO meta VALUES ('word', 'kept')")
    return path


def test_migrations_are_numbered_one_by_one() -> None:
    # Two with one number change places when the second one lands: whoever had the first would be
    # given it once more, and never the second.
    names = sorted(path.name for path in FOLDER.glob("*.sql"))
    assert [int(name[:4]) for name in names] == list(range(1, len(names) + 1))


def upgrade(path: Path, steps: tuple[str, ...] = STEPS) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        migrate(connection, path, steps)


def pragma(path: Path, name: str) -> object:
    (row,) = shell(path, f"PRAGMA {name}")
    return row[name]


def killed_at(number: int, act: Callable[[sqlite3.Connection], None], path: Path) -> bool:
    """Let a process of its own act on the file and end, as if killed, before its n-th statement.

    False when there were fewer statements.
    """
    pid = os.fork()
    if pid == 0:
        left = number

        def count(_statement: str) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                os._exit(9)

        try:
            connection = sqlite3.connect(path, isolation_level=None)
            connection.set_trace_callback(count)
            act(connection)
            os._exit(0)
        finally:
            os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code in (0, 9)
    return code == 9


def test_existing_database_is_copied_before_a_migration(memory: Path) -> None:
    path = made(memory / "kitt.db")

    upgrade(path)

    copy = path.with_name(f"kitt.db.before-{len(STEPS)}")
    assert pragma(path, "user_version") == len(STEPS)
    assert shell(path, "SELECT name FROM songs") == [{"name": "kept"}]
    assert pragma(copy, "user_version") == len(STEPS) - 1
    assert shell(copy, "SELECT value FROM meta") == [{"value": "kept"}]
    assert copy.stat().st_mode & 0o777 == 0o600


def test_copy_is_private_from_its_first_byte(memory: Path) -> None:
    path = made(memory / "kitt.db")
    modes: set[str] = set()

    def look() -> int:
        modes.update(oct(part.stat().st_mode & 0o777) for part in memory.glob("*.part"))
        return 0

    before = os.umask(0)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.set_progress_handler(look, 1)
        migrate(connection, path, STEPS)
    os.umask(before)

    assert modes == {"0o600"}


def test_copy_is_on_the_disk_before_the_database_changes(
    memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = made(memory / "kitt.db")
    copy = path.with_name(f"kitt.db.before-{len(STEPS)}")
    waits = []
    sync = os.fsync

    def watched(fd: int) -> None:
        file = Path(f"/proc/self/fd/{fd}").readlink()
        whole = file.is_dir() or pragma(file, "user_version") == len(STEPS) - 1
        waits.append((file.is_dir(), whole, copy.exists(), pragma(path, "user_version")))
        sync(fd)

    monkeypatch.setattr(os, "fsync", watched)

    upgrade(path)

    before = len(STEPS) - 1
    assert waits == [(False, True, False, before), (True, True, True, before)]  # it, its name


def test_new_database_is_not_copied(memory: Path) -> None:
    made(memory / "kitt.db")

    assert not list(memory.glob("*.before-*"))


async def test_migration_that_fails_leaves_the_version_before_it(
    memory: Path, open_store: OpenStore
) -> None:
    path = made(memory / "kitt.db")

    with pytest.raises(sqlite3.OperationalError, match="nowhere"):
        upgrade(path, (*STEPS[:-1], f"{SONGS}INSERT INTO nowhere VALUES (1);\n"))

    store = await open_store(check=True)
    assert await store.read(lambda tx: tx.value("meta", name="word")) == "kept"
    assert shell(path, "SELECT name FROM sqlite_schema WHERE name = 'songs'") == []


@pytest.mark.parametrize("shrinkable", [True, False])
def test_upgrade_killed_at_any_statement_is_done_or_undone(memory: Path, shrinkable: bool) -> None:
    steps = STEPS if shrinkable else (migrations()[0], SONGS)
    seen = set()
    number = 1
    while True:
        folder = memory / str(number)
        folder.mkdir()
        path = made(folder / "kitt.db", steps=steps[:-1], shrinkable=shrinkable)

        crashed = killed_at(number, partial(migrate, path=path, steps=steps), path)

        version = pragma(path, "user_version")
        songs = shell(path, "SELECT count(*) AS n FROM sqlite_schema WHERE name LIKE 'songs%'")
        assert (version, songs[0]["n"]) in ((len(steps) - 1, 0), (len(steps), 2))
        seen.add(version)
        upgrade(path, steps)  # the next start
        assert shell(path, "SELECT name FROM songs") == [{"name": "kept"}]
        assert pragma(path, "integrity_check") == "ok"
        (copy,) = folder.glob("*.before-*")  # nor a part of one
        assert shell(copy, "SELECT value FROM meta") == [{"value": "kept"}]
        if not crashed:
            break
        number += 1
    assert number > 8
    assert len(seen) == 2


async def test_new_database_can_give_room_back(open_store: OpenStore) -> None:
    store = await open_store()

    assert pragma(store.path, "auto_vacuum") == INCREMENTAL


def test_database_that_could_not_give_room_back_can_after_an_upgrade(memory: Path) -> None:
    path = made(memory / "kitt.db", shrinkable=False)
    assert pragma(path, "auto_vacuum") == 0

    upgrade(path)

    assert pragma(path, "auto_vacuum") == INCREMENTAL
    assert shell(path, "SELECT value FROM meta") == [{"value": "kept"}]


async def test_older_program_writes_nothing_into_an_upgraded_database(
    memory: Path, open_store: OpenStore
) -> None:
    old = await open_store()
    await old.write(put)
    new = await open_store(steps=STEPS)
    before = shell(memory / "kitt.db", "SELECT * FROM meta")

    with pytest.raises(NewerSchema, match=rf"to version {len(STEPS)} .* knows {len(STEPS) - 1}"):
        await old.write(lambda tx: tx.run("put_meta", name="word", value="lost"))

    assert NewerSchema.exit_code == 75
    assert old.outdated.is_set()
    assert not new.outdated.is_set()
    await new.write(lambda tx: tx.run("put_meta", name="more", value="kept"))
    assert shell(memory / "kitt.db", "SELECT * FROM meta WHERE name = 'word'") == before


async def test_older_program_that_misses_a_column_is_outdated(
    memory: Path, open_store: OpenStore
) -> None:
    old = await open_store()
    shell(memory / "kitt.db", "ALTER TABLE meta RENAME COLUMN value TO text")
    shell(memory / "kitt.db", f"PRAGMA user_version = {len(STEPS)}")

    with pytest.raises(NewerSchema):
        await old.read(lambda tx: tx.value("meta", name="word"))


async def test_write_that_waits_while_the_schema_changes_is_not_made(
    memory: Path, open_store: OpenStore
) -> None:
    old = await open_store()
    await open_store(steps=STEPS)
    old.write_soon(put)  # nobody hears of it, but for the program

    await old.outdated.wait()

    assert shell(memory / "kitt.db", "SELECT * FROM meta") == []


def test_older_program_does_not_start_on_an_upgraded_database(memory: Path) -> None:
    path = made(memory / "kitt.db")
    upgrade(path)

    with pytest.raises(MigrationError, match="newer KITT"):
        upgrade(path, STEPS[:-1])

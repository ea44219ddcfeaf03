"""The schema over the years: every version is a file in sql/migrations, applied in order.

Whoever opens the database first after an upgrade brings it up to date, alone, behind the gate. An
existing database is copied beside itself before anything changes. Each step is one transaction: a
crash leaves the version before it or the one after it.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Final

from bridge.database_file import part_of, take_place
from bridge.errors import MigrationError

INCREMENTAL: Final = 2  # auto_vacuum: free pages can be given back a few at a time


def migrate(connection: sqlite3.Connection, path: Path, steps: Sequence[str]) -> None:
    """Bring the schema up to date, each step in a transaction of its own; the gate is held.

    Raises: MigrationError when the database is newer than this program, or when it holds tables
    but was not made by KITT.
    """
    version = version_of(connection)
    if version > len(steps):
        raise MigrationError(
            f"{path} was made by a newer KITT (its version {version}, ours {len(steps)}): "
            "upgrade KITT, or point KITT_PROFILE elsewhere. Nothing was changed."
        )
    if version == len(steps):
        return
    if version == 0 and connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
        raise MigrationError(
            f"{path} holds tables that are not KITT's: point KITT_PROFILE elsewhere. "
            "Nothing was changed."
        )
    if version > 0:
        _copy(connection, path.with_name(f"{path.name}.before-{version + 1}"))
    _make_shrinkable(connection, new=version == 0)
    for number, script in enumerate(steps[version:], version + 1):
        connection.execute("BEGIN EXCLUSIVE")
        try:
            for statement in _statements_of(script):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number}")
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise


def version_of(connection: sqlite3.Connection) -> int:
    """How many steps made this schema; 0 is an empty file, or one that is not KITT's."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


@cache
def migrations() -> tuple[str, ...]:
    """The text of every migration, in order."""
    folder = Path(__file__).parent / "sql" / "migrations"
    names = sorted(item.name for item in folder.iterdir() if item.name.endswith(".sql"))
    return tuple((folder / name).read_text(encoding="utf-8") for name in names)


def _copy(connection: sqlite3.Connection, copy: Path) -> None:
    """The whole database as it was, under its final name only once it is on the disk."""
    with part_of(copy) as part:
        connection.execute("VACUUM INTO ?", (str(part),))
        take_place(part, copy)


def _make_shrinkable(connection: sqlite3.Connection, *, new: bool) -> None:
    """Let purges give pages back to the disk. A file that has tables is written anew for it."""
    if connection.execute("PRAGMA auto_vacuum").fetchone()[0] != INCREMENTAL:
        connection.execute(f"PRAGMA auto_vacuum = {INCREMENTAL}")
        if not new:
            connection.execute("VACUUM")


def _statements_of(script: str) -> Iterator[str]:
    """Cut a script at statement ends; a trigger's inner semicolons do not count."""
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""
    assert not pending.strip(), "a migration ends in the middle of a statement"

"""One SQLite file: opening, migrations, transactions, wake-up.

Every write is one function that runs whole in the connection's own thread, between
`BEGIN IMMEDIATE` and `COMMIT`, behind a gate: a blocking `flock` beside the file. SQLite's own busy
handler is not fair and lets a process starve for up to two seconds behind busy writers; the gate
hands the lock over in the kernel (measured: worst wait 735 ms → 32 ms). It also keeps a
checkpoint from running beside a commit, which SQLite before 3.51.3 can turn into corruption.
Statements live in sql/, by name; no other module holds SQL.
"""

import fcntl
import os
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar, cast

import aiosqlite

from bridge.errors import ConfigError, KittError, MigrationError, StoreBusy, StoreDamaged, TryLater
from bridge.wake import Wake

T = TypeVar("T")
BUSY_TIMEOUT_S = 10.0  # for writers that do not know the gate, such as the sqlite3 shell
CHECK_BYTES_MAX = 50_000_000  # a larger file would make every start wait for its check


class Tx:
    """The inside of one transaction: named statements and what to wake after the commit."""

    def __init__(self, connection: sqlite3.Connection, sql: Mapping[str, str]) -> None:
        self._connection = connection
        self._sql = sql
        self.woken: set[str] = set()

    def run(self, name: str, /, **values: Any) -> int:
        """Execute a statement; the number of rows it changed."""
        return self._connection.execute(self._sql[name], values).rowcount

    def insert(self, name: str, /, **values: Any) -> int:
        """Execute an INSERT; the id of the new row."""
        row_id = self._connection.execute(self._sql[name], values).lastrowid
        assert row_id is not None
        return row_id

    def one(self, name: str, /, **values: Any) -> sqlite3.Row | None:
        """The first row, or None; the statement is always read to its end."""
        rows = self._connection.execute(self._sql[name], values).fetchall()
        return rows[0] if rows else None

    def all(self, name: str, /, **values: Any) -> list[sqlite3.Row]:
        """Every row."""
        return self._connection.execute(self._sql[name], values).fetchall()

    def value(self, name: str, /, **values: Any) -> Any:
        """The first column of the first row, or None."""
        row = self.one(name, **values)
        return None if row is None else row[0]

    def wake(self, prefix: str) -> None:
        """Hint the processes named so (`bridge`, `worker`) once this transaction is committed."""
        self.woken.add(prefix)


class Store:
    """The database of one process: one connection that writes, one that only reads.

    A cancelled `write` may still have committed: the function runs to its end in its thread.
    """

    def __init__(self, path: Path, *, wake: Wake, sql: Mapping[str, str]) -> None:
        self.path = path
        self.wake = wake
        self._sql = sql
        self._gate_fd = -1
        self._sync = ""
        self._writer: aiosqlite.Connection | None = None
        self._reader: aiosqlite.Connection | None = None

    @classmethod
    async def open(
        cls,
        path: Path,
        run_dir: Path,
        *,
        check: bool = False,
        busy_timeout_s: float = BUSY_TIMEOUT_S,
        sql: Mapping[str, str] | None = None,
    ) -> "Store":
        """Open, create or migrate the database at `path`.

        `check` reads the file for damage first; `sql` are other statements than those of sql/.
        Raises: ConfigError (cannot be opened), StoreDamaged, MigrationError (made by a newer KITT,
        or by something else), StoreBusy.
        """
        with _translated(path):
            run_dir.mkdir(parents=True, exist_ok=True, mode=0o700)  # noqa: ASYNC240 - once, at start
            store = cls(path, wake=Wake(run_dir), sql=statements() if sql is None else sql)
        try:
            with _translated(path):
                store._gate_fd = os.open(
                    f"{path}.gate", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
                )
                path.touch(mode=0o600)  # noqa: ASYNC240 - once, at start
                store._writer = await _connect(path, mode="rw", timeout_s=busy_timeout_s)
                await _in_thread(store._writer, store._prepare, check)
                store._reader = await _connect(path, mode="ro", timeout_s=busy_timeout_s)
        except BaseException:
            await store.close()
            raise
        return store

    async def close(self) -> None:
        """Close both connections and stop listening."""
        for connection in (self._reader, self._writer):
            if connection is not None:
                await connection.close()
        self._reader = self._writer = None
        if self._gate_fd >= 0:
            os.close(self._gate_fd)
            self._gate_fd = -1
        self.wake.close()

    async def write(self, fn: Callable[[Tx], T], *, durable: bool = True) -> T:
        """Run `fn` in one transaction and commit it.

        `durable` waits for the disk (a promise to someone); without it a power cut may lose the
        transaction, a killed process never does. An exception in `fn` rolls everything back.
        """
        assert self._writer is not None
        with _translated(self.path):
            return await _in_thread(self._writer, self._transaction, fn, durable)

    async def read(self, fn: Callable[[Tx], T]) -> T:
        """Run `fn` on one snapshot, without waiting for writers."""
        assert self._reader is not None
        with _translated(self.path):
            return await _in_thread(self._reader, self._snapshot, fn)

    async def data_version(self) -> int:
        """Changes whenever another connection has committed; costs no transaction."""
        assert self._writer is not None
        return await _in_thread(self._writer, self._read_data_version)

    def _transaction(self, fn: Callable[[Tx], T], durable: bool) -> T:
        assert self._writer is not None
        connection = self._writer._conn
        with self._gate(connection, durable):
            tx = Tx(connection, self._sql)
            connection.execute("BEGIN IMMEDIATE")
            try:
                result = fn(tx)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        for prefix in tx.woken:
            self.wake.nudge(prefix)
        return result

    def _snapshot(self, fn: Callable[[Tx], T]) -> T:
        assert self._reader is not None
        connection = self._reader._conn
        connection.execute("BEGIN")
        try:
            return fn(Tx(connection, self._sql))
        finally:
            connection.execute("COMMIT")

    def _read_data_version(self) -> int:
        assert self._writer is not None
        return int(self._writer._conn.execute("PRAGMA data_version").fetchone()[0])

    @contextmanager
    def _gate(self, connection: sqlite3.Connection, durable: bool) -> Iterator[None]:
        sync = "FULL" if durable else "NORMAL"
        if sync != self._sync:  # refused inside a transaction, so before it
            connection.execute(f"PRAGMA synchronous = {sync}")
            self._sync = sync
        fcntl.flock(self._gate_fd, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._gate_fd, fcntl.LOCK_UN)

    def _prepare(self, check: bool) -> None:
        """First look at the file: check, migrate, set up; a file that is refused stays as it is."""
        assert self._writer is not None
        connection = self._writer._conn
        fcntl.flock(self._gate_fd, fcntl.LOCK_EX)
        try:
            if check and self.path.stat().st_size <= CHECK_BYTES_MAX:
                verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
                if verdict != "ok":
                    raise sqlite3.DatabaseError(f"database disk image is malformed: {verdict}")
            migrate(connection, self.path, migrations())
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA journal_size_limit = 67108864")
        finally:
            fcntl.flock(self._gate_fd, fcntl.LOCK_UN)


def migrate(connection: sqlite3.Connection, path: Path, steps: Sequence[str]) -> None:
    """Bring the schema up to date, each step in a transaction of its own; the gate is held.

    An existing database is copied beside itself first. Raises: MigrationError when it is newer
    than this program, or when it holds tables but was not made by KITT.
    """
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
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
        copy = path.with_name(f"{path.name}.before-{version + 1}")
        copy.unlink(missing_ok=True)
        connection.execute("VACUUM INTO ?", (str(copy),))
        copy.chmod(0o600)
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


@cache
def migrations() -> tuple[str, ...]:
    """The text of every migration, in order."""
    folder = resources.files("bridge") / "sql" / "migrations"
    names = sorted(item.name for item in folder.iterdir() if item.name.endswith(".sql"))
    return tuple((folder / name).read_text(encoding="utf-8") for name in names)


@cache
def statements() -> dict[str, str]:
    """Every named statement of sql/: `-- name: claim_job`, a line of prose, the statement."""
    found: dict[str, str] = {}
    for item in (resources.files("bridge") / "sql").iterdir():
        if not item.name.endswith(".sql"):
            continue
        parts = re.split(r"^-- name: (\w+)\s*$", item.read_text(encoding="utf-8"), flags=re.M)
        for name, body in zip(parts[1::2], parts[2::2], strict=True):
            assert name not in found, f"two statements are named {name}"
            found[name] = body.strip()
    return found


def _statements_of(script: str) -> Iterator[str]:
    """Cut a script at statement ends; a trigger's inner semicolons do not count."""
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""
    assert not pending.strip(), "a migration ends in the middle of a statement"


def _as_text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


async def _connect(path: Path, *, mode: str, timeout_s: float) -> aiosqlite.Connection:
    connection = aiosqlite.connect(
        f"{path.absolute().as_uri()}?mode={mode}",  # noqa: ASYNC240 - no file is touched
        uri=True,
        timeout=timeout_s,
        isolation_level=None,  # transactions are ours, explicit
    )
    thread = connection._thread
    thread.daemon = True  # a process that crashes with the store open must end
    try:
        await connection
        connection.row_factory = sqlite3.Row
        # a row made in a terminal with another encoding must not stop all others
        connection.text_factory = _as_text
        await connection.execute("PRAGMA foreign_keys = ON")
    except BaseException:
        await connection.close()
        thread.join()  # it answers a loop that may be closed when this function is left
        raise
    return connection


async def _in_thread(connection: aiosqlite.Connection, fn: Callable[..., T], *values: Any) -> T:
    """One hop to the connection's thread for a whole function.

    aiosqlite's public calls cost a hop each for execute, fetch and commit (measured: 0.09 of
    sqlite3's rate), and an `await` between BEGIN and COMMIT would let other tasks in.
    """
    return cast(T, await connection._execute(fn, *values))  # type: ignore[no-untyped-call]


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """SQLite's errors as sentences that say what to do."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise _sentence(path, error) from error


def _sentence(path: Path, error: Exception) -> KittError:
    text = " ".join(str(error).split())  # a verdict on damage may have several lines
    if isinstance(error, sqlite3.IntegrityError | sqlite3.ProgrammingError):
        raise error  # the programmer's, not the user's
    if "locked" in text or "busy" in text:
        return StoreBusy(f"{path} is locked by another program: close it, or wait and try again.")
    if "malformed" in text or "not a database" in text:
        return StoreDamaged(
            f"{path} is damaged ({text}): stop KITT and put back a copy of it. "
            "Nothing was changed and nothing new was started in its place."
        )
    if "full" in text or getattr(error, "errno", None) == 28:
        return TryLater(f"The disk of {path} is full: make room; KITT goes on by itself.")
    if isinstance(error, OSError) or "unable to open" in text or "readonly" in text:
        return ConfigError(
            f"{path} cannot be opened ({getattr(error, 'strerror', None) or text}): "
            "check that the folder exists and may be written by this user."
        )
    return StoreDamaged(f"{path} cannot be used ({text}): run `kitt doctor`.")

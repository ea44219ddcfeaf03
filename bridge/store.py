"""One SQLite file: opening, transactions, wake-up, and what keeps the file small and whole.

Every write is one function that runs whole in the connection's own thread, between
`BEGIN IMMEDIATE` and `COMMIT`, behind a gate: a blocking `flock` beside the file. SQLite's own busy
handler is not fair and lets a process starve for up to two seconds behind busy writers; the gate
hands the lock over in the kernel (measured: worst wait 735 ms → 32 ms). Checkpoints, and closing a
connection, which may be one, go through the gate too: SQLite before 3.51.3 can damage the file when
two of them, or one and a commit, run at once.
Statements live in sql/, by name; no other module holds SQL.
"""

import asyncio
import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import aiosqlite

from bridge import failpoints
from bridge.database_file import open_database, open_gate
from bridge.errors import ConfigError, NewerSchema
from bridge.migrate import migrate, migrations, version_of
from bridge.statements import statements as statements
from bridge.store_errors import say_who_writes, translated
from bridge.wake import Wake

T = TypeVar("T")
BUSY_TIMEOUT_S = 10.0  # for writers that do not know the gate, such as the sqlite3 shell
CHECK_BYTES_MAX = 50_000_000  # a larger file would make every start wait for its check
# The WAL is kept at this size and written again from its start: a commit that makes it grow costs
# 2.6 times as much (measured, with fsync). The keeper checkpoints long before; whoever commits past
# this does it in that commit, which is behind the gate.
WAL_PAGES: Final = 4096
WAL_BYTES: Final = WAL_PAGES * 4096
SLOW_WRITE_S: Final = 5.0


class Tx:
    """The inside of one transaction: named statements, and what follows its commit."""

    def __init__(self, connection: sqlite3.Connection, sql: Mapping[str, str]) -> None:
        self._connection = connection
        self._sql = sql
        self.woken: set[str] = set()
        self.committed: list[Callable[[], None]] = []  # called once it is, in this thread

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
        self.outdated = asyncio.Event()  # set once another process has upgraded the database
        self._loop = asyncio.get_running_loop()
        self._sql = sql
        self._version = 0
        self._gate_fd = -1
        self._log_fd = -1
        self._timeout_ms = 0
        self._said_at = float("-inf")
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
        steps: Sequence[str] | None = None,
    ) -> "Store":
        """Open, create or migrate the database at `path`.

        `check` reads the file for damage first; `sql` and `steps` are other statements and
        migrations than those of sql/. Raises: ConfigError (cannot be opened), StoreDamaged,
        MigrationError (made by a newer KITT, or by something else), StoreBusy.
        """
        with translated(path):
            run_dir.mkdir(parents=True, exist_ok=True, mode=0o700)  # noqa: ASYNC240 - once, at start
            store = cls(path, wake=Wake(run_dir), sql=statements() if sql is None else sql)
        try:
            with translated(path):
                store._gate_fd = open_gate(path)
                store._timeout_ms = int(busy_timeout_s * 1000)
                store._writer = await _connect(
                    path, mode="rw", timeout_s=busy_timeout_s, gate_fd=store._gate_fd
                )
                steps = migrations() if steps is None else steps
                await _in_thread(store._writer, store._prepare, check, steps)
                store._reader = await _connect(path, mode="ro", timeout_s=busy_timeout_s)
        except BaseException:
            await store.close()
            raise
        return store

    async def close(self) -> None:
        """Close both connections and stop listening."""
        if self._reader is not None:
            await self._reader.close()
        if self._writer is not None:
            await _in_thread(self._writer, self._close_writer)
            await self._writer.close()
        self._reader = self._writer = None
        if self._gate_fd >= 0:
            os.close(self._gate_fd)
            self._gate_fd = -1
        if self._log_fd >= 0:
            os.close(self._log_fd)
            self._log_fd = -1
        self.wake.close()

    async def write(self, fn: Callable[[Tx], T], *, durable: bool = True) -> T:
        """Run `fn` in one transaction and commit it.

        `durable` waits for the disk (a promise to someone); without it a power cut may lose the
        transaction, a killed process never does. An exception in `fn` rolls everything back.
        Raises: NewerSchema, before anything is written, when the database was upgraded.
        """
        return await self._writing(self._transaction, fn, durable)

    async def write_if(
        self, look: Callable[[Tx], bool], fn: Callable[[Tx], T], *, durable: bool = True
    ) -> T | None:
        """`write` if `look` says so, else None; a look that says no locks nothing."""
        return await self._writing(self._look_first, look, fn, durable)

    async def _writing(self, call: Callable[..., T], *values: Any) -> T:
        assert self._writer is not None
        slow = self._loop.call_later(SLOW_WRITE_S, self._say_who_writes)
        try:
            with translated(self.path):
                return await _in_thread(self._writer, call, *values)
        finally:
            slow.cancel()

    def write_soon(self, fn: Callable[[Tx], object]) -> None:
        """Run `fn` in a transaction when its turn comes; nobody hears how it ended.

        Any thread may ask: leases must be kept also while the loop is busy.
        """
        if self._writer is not None:
            self._writer._tx.put_nowait((None, partial(self._transaction, fn, False)))

    async def read(self, fn: Callable[[Tx], T]) -> T:
        """Run `fn` on one snapshot, without waiting for writers."""
        assert self._reader is not None
        with translated(self.path):
            return await _in_thread(self._reader, self._snapshot, fn)

    async def data_version(self) -> int:
        """Changes whenever another connection has committed; costs no transaction."""
        assert self._writer is not None
        return await _in_thread(self._writer, self._read_data_version)

    def wal(self) -> tuple[int, int]:
        """Bytes of the write-ahead log and when it was last written; costs no transaction.

        The second number changes with every commit, also with our own; commits of the same few
        milliseconds may share it.
        """
        try:
            file = self.path.with_name(f"{self.path.name}-wal").stat()
        except FileNotFoundError:
            return 0, 0
        return file.st_size, file.st_mtime_ns

    async def checkpoint(self, *, truncate: bool = False) -> None:
        """Move what the log holds into the database, as far as no reader still needs it there.

        `truncate` then empties the log's file, if nobody reads just now.
        """
        assert self._writer is not None
        with translated(self.path):
            await _in_thread(self._writer, self._checkpoint, "TRUNCATE" if truncate else "PASSIVE")

    async def give_back(self, pages: int, *, keep: int) -> int:
        """Return up to `pages` unused pages to the disk but for `keep`; how many more there are."""
        assert self._writer is not None
        with translated(self.path):
            return await _in_thread(self._writer, self._give_back, pages, keep)

    async def copy_to(self, target: Path) -> None:
        """Write the whole database as it is now into an empty or new file; writers go on."""
        assert self._reader is not None
        with translated(target):
            await _in_thread(self._reader, self._copy_to, target)

    def _look_first(
        self, look: Callable[[Tx], bool], fn: Callable[[Tx], T], durable: bool
    ) -> T | None:
        assert self._writer is not None
        connection = self._writer._conn
        with self._of_this_version(connection):
            may = look(Tx(connection, self._sql))
        return self._transaction(fn, durable) if may else None

    def _transaction(self, fn: Callable[[Tx], T], durable: bool) -> T:
        assert self._writer is not None
        connection = self._writer._conn
        with self._gate():
            tx = Tx(connection, self._sql)
            changes = connection.total_changes
            connection.execute("BEGIN IMMEDIATE")
            try:
                self._check_version(connection)
                result = fn(tx)
                failpoints.hit("in_commit")
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        for follow in tx.committed:
            follow()
        failpoints.hit("after_commit")
        for prefix in tx.woken:
            self.wake.nudge(prefix)
        if durable and connection.total_changes != changes:
            self._sync_log()
        return result

    def _sync_log(self) -> None:
        """Wait for the disk, after the gate: others write meanwhile, and share the wait.

        The log is one file, so this keeps every commit before it too; a checkpoint that let the log
        begin anew has synced the old one first, which synchronous = NORMAL sees to.
        """
        if self._log_fd < 0:
            self._log_fd = os.open(f"{self.path}-wal", os.O_RDWR | os.O_CLOEXEC)
        os.fdatasync(self._log_fd)

    def _snapshot(self, fn: Callable[[Tx], T]) -> T:
        assert self._reader is not None
        connection = self._reader._conn
        connection.execute("BEGIN")
        try:
            with self._of_this_version(connection):
                return fn(Tx(connection, self._sql))
        finally:
            connection.execute("COMMIT")

    @contextmanager
    def _of_this_version(self, connection: sqlite3.Connection) -> Iterator[None]:
        """A table or column that is gone says that the database was upgraded."""
        try:
            yield
        except sqlite3.OperationalError:
            self._check_version(connection)
            raise

    def _check_version(self, connection: sqlite3.Connection) -> None:
        """Asked in every transaction that writes; costs a microsecond."""
        version = version_of(connection)
        if version != self._version:
            with suppress(RuntimeError):  # the loop is closed: the program ends already
                self._loop.call_soon_threadsafe(self.outdated.set)
            raise NewerSchema(
                f"{self.path} was brought to version {version} and this program knows "
                f"{self._version}: it ends, and the installed one starts."
            )

    def _checkpoint(self, mode: str) -> None:
        assert self._writer is not None
        connection = self._writer._conn
        with self._gate():
            # Readers are not waited for with the gate in hand: the next look tries again.
            connection.execute("PRAGMA busy_timeout = 0")
            try:
                connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchall()
            finally:
                connection.execute(f"PRAGMA busy_timeout = {self._timeout_ms}")

    def _give_back(self, pages: int, keep: int) -> int:
        assert self._writer is not None
        connection = self._writer._conn
        with self._gate():
            free = int(connection.execute("PRAGMA freelist_count").fetchone()[0])
            if free <= keep:
                return 0
            # Not `execute`: that steps only once through a statement without columns, so one page.
            connection.executescript(f"PRAGMA incremental_vacuum({min(pages, free - keep)})")
            left = int(connection.execute("PRAGMA freelist_count").fetchone()[0])
        return left - keep if left < free else 0  # a file that was made without cannot shrink

    def _copy_to(self, target: Path) -> None:
        assert self._reader is not None
        self._reader._conn.execute("VACUUM INTO ?", (str(target),))

    def _close_writer(self) -> None:
        """The last connection to close moves the whole log into the database."""
        assert self._writer is not None
        fcntl.flock(self._gate_fd, fcntl.LOCK_EX)
        try:
            self._writer._conn.close()
        finally:
            fcntl.flock(self._gate_fd, fcntl.LOCK_UN)

    def _say_who_writes(self) -> None:
        """Once a minute at most: all writes wait behind the same one."""
        if self._loop.time() - self._said_at > 60.0 and self._gate_fd >= 0:
            self._said_at = self._loop.time()
            say_who_writes(self._gate_fd, SLOW_WRITE_S)

    def _read_data_version(self) -> int:
        assert self._writer is not None
        return int(self._writer._conn.execute("PRAGMA data_version").fetchone()[0])

    @contextmanager
    def _gate(self) -> Iterator[None]:
        fcntl.flock(self._gate_fd, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._gate_fd, fcntl.LOCK_UN)

    def _prepare(self, check: bool, steps: Sequence[str]) -> None:
        """First look at the file: check, migrate, set up; a file that is refused stays as it is.

        The gate is held since before the file was opened: `kitt restore` may have replaced it.
        """
        assert self._writer is not None
        connection = self._writer._conn
        try:
            if check and self.path.stat().st_size <= CHECK_BYTES_MAX:
                verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
                if verdict != "ok":
                    raise sqlite3.DatabaseError(f"database disk image is malformed: {verdict}")
            migrate(connection, self.path, steps)
            if connection.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
                raise ConfigError(f"{self.path} cannot be shared here: move it to a local disk.")
            self._version = version_of(connection)  # the first look in WAL mode shows we are here
            connection.execute("PRAGMA synchronous = NORMAL")  # what is promised is synced by us
            connection.execute(f"PRAGMA journal_size_limit = {WAL_BYTES}")
            connection.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES}")
        finally:
            fcntl.flock(self._gate_fd, fcntl.LOCK_UN)


async def _connect(
    path: Path, *, mode: str, timeout_s: float, gate_fd: int | None = None
) -> aiosqlite.Connection:
    opening = partial(open_database, path, mode=mode, timeout_s=timeout_s, gate_fd=gate_fd)
    connection = aiosqlite.Connection(opening, iter_chunk_size=64)
    thread = connection._thread
    thread.daemon = True  # a process that crashes with the store open must end
    try:
        return await connection
    except BaseException:
        thread.join()  # it answers a loop that may be closed when this function is left
        raise


async def _in_thread(connection: aiosqlite.Connection, fn: Callable[..., T], *values: Any) -> T:
    """One hop to the connection's thread for a whole function.

    aiosqlite's public calls cost a hop each for execute, fetch and commit (measured: 0.09 of
    sqlite3's rate), and an `await` between BEGIN and COMMIT would let other tasks in.
    """
    return cast(T, await connection._execute(fn, *values))  # type: ignore[no-untyped-call]

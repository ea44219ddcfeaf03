"""The database as a file: the gate before it, opening it, and copies that are whole or absent."""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from glob import escape
from pathlib import Path
from typing import Final

from bridge.store_errors import translated

_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_HEAP_KEPT_BYTES: Final = 1_000_000


@cache
def keep_heap() -> None:
    """Keep what SQLite frees after a statement with triggers, for the next one.

    glibc gives it back to the system from 128 kB on and fetches it again page by page: a claim took
    four times as long (measured). Setting the one limit fixes the other, which else grows with what
    a program uses, so that is set too. Other C libraries do not know the call.
    """
    import ctypes

    with suppress(AttributeError, OSError):
        for limit in (_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD):
            ctypes.CDLL(None).mallopt(limit, _HEAP_KEPT_BYTES)


def open_gate(database: Path) -> int:
    """A descriptor of the file whose `flock` lets one program at a time open, write, replace."""
    return os.open(f"{database}.gate", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def open_database(
    path: Path, *, mode: str, timeout_s: float, gate_fd: int | None
) -> sqlite3.Connection:
    """Connect in the mode (`rw` or `ro`) of SQLite's URIs, whose lock is waited for that long.

    With `gate_fd` the gate is taken first, and stays taken.
    """
    keep_heap()
    if gate_fd is not None:
        fcntl.flock(gate_fd, fcntl.LOCK_EX)
        path.touch(mode=0o600)  # nobody else sees it empty
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=timeout_s,
        isolation_level=None,  # transactions are ours, explicit
    )
    connection.row_factory = sqlite3.Row
    # a row made in a terminal with another encoding must not stop all others
    connection.text_factory = _as_text
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def _as_text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


@contextmanager
def gate_of(database: Path) -> Iterator[None]:
    """Keep every other program of KITT's from opening, writing or closing the database."""
    with translated(database):
        fd = open_gate(database)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


@contextmanager
def part_of(target: Path) -> Iterator[Path]:
    """A private empty file beside `target`, gone at the end unless it took its place."""
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    with translated(target):
        for left in target.parent.glob(f".{escape(target.name)}.*.part"):
            pid = left.suffixes[-2].lstrip(".")
            if left == part or (pid.isdecimal() and not _lives(int(pid))):  # of one that was killed
                left.unlink(missing_ok=True)
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        yield part
    finally:
        part.unlink(missing_ok=True)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True


def take_place(part: Path, target: Path) -> None:
    """On the disk first, then under its name: a power cut leaves the old file or the new one."""
    with translated(target):
        sync(part)
        part.replace(target)
        sync(target.parent)


def sync(path: Path) -> None:
    """Wait until the disk has this file, or the names in this folder."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)

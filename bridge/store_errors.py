"""SQLite's errors as sentences that say what to do, and who keeps the write gate."""

import errno
import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bridge.errors import ConfigError, KittError, StoreBusy, StoreDamaged, TryLater

log = logging.getLogger(__name__)
FULL_BELOW_BYTES: Final = 1_000_000  # SQLite asks for up to 64 kB at once, for itself and its WAL
# What SQLite says instead of "full" when one of its helper files could not grow.
_MAY_BE_FULL: Final = ("I/O", "unable to open")


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Raise what went wrong with the database at `path` as one of KITT's errors."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise _sentence(path, error) from error


def _sentence(path: Path, error: Exception) -> KittError:
    if isinstance(error, sqlite3.IntegrityError | sqlite3.ProgrammingError):
        raise error  # the programmer's, not the user's
    if isinstance(error, OSError):  # what it says holds the path, which may hold any word
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        return _full(path) if full else _cannot_be_opened(path, error.strerror or str(error))
    text = " ".join(str(error).split())  # a verdict on damage may have several lines
    if "locked" in text or "busy" in text:
        return StoreBusy(f"{path} is locked by another program: close it, or wait and try again.")
    if "malformed" in text or "not a database" in text:
        return StoreDamaged(
            f"{path} is damaged ({text}): stop KITT and put back a copy of it (`kitt restore`). "
            "Nothing was changed and nothing new was started in its place."
        )
    may_be_full = any(words in text for words in _MAY_BE_FULL)
    if "full" in text or (may_be_full and disk_is_full(path)):
        return _full(path)
    if "unable to open" in text or "readonly" in text:
        return _cannot_be_opened(path, text)
    return StoreDamaged(f"{path} cannot be used ({text}): run `kitt doctor`.")


def _full(path: Path) -> TryLater:
    return TryLater(f"The disk of {path} is full: make room; KITT goes on by itself.")


def _cannot_be_opened(path: Path, reason: str) -> ConfigError:
    return ConfigError(
        f"{path} cannot be opened ({reason}): check that the folder exists and may be written by "
        "this user."
    )


def disk_is_full(path: Path) -> bool:
    """Is there no room left beside this file?"""
    try:
        disk = os.statvfs(path.parent)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < FULL_BELOW_BYTES


def say_who_writes(gate_fd: int, waited_s: float, *, locks: Path = Path("/proc/locks")) -> None:
    """Log which process keeps the write gate: one that was stopped keeps it until it goes on.

    When it is this one it waits for a program that knows no gate, and an error will say so.
    """
    file = os.fstat(gate_fd)
    place = f"{os.major(file.st_dev):02x}:{os.minor(file.st_dev):02x}:{file.st_ino}"
    try:
        lines = [line.split() for line in locks.read_text().splitlines()]
    except OSError:
        lines = []
    # Whoever waits for a lock has an arrow before FLOCK.
    holders = [line[4] for line in lines if line[1:2] == ["FLOCK"] and line[5] == place]
    if holders != [str(os.getpid())]:
        log.warning(
            "A write waits for more than %.0f s while process %s writes: if that is stopped, "
            "continue or kill it.",
            waited_s,
            holders[0] if holders else "(unknown)",
        )

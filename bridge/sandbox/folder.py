"""The folder a sandbox works in: whose it is, how much is in it, and what is mended afterwards.

While code runs it may do anything there, also what makes the folder hard to look at or to remove:
trees without end, folders that nobody may read. Nothing here follows a link.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

DEPTH_MAX: Final = 32
_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# For a tree that is too deep for anything else, run inside.
MEND: Final = f"chmod -R u+rwX . ; find . -mindepth {DEPTH_MAX} -delete"


class Unruly(Exception):
    """The folder cannot be looked at; says why."""


def hand_over(root: Path, owner: int | None) -> None:
    """Make the folder, and give what is in it to this user; a file with two names stays.

    Nobody may be working in it. Raises: Unruly, OSError.
    """
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    root.chmod(0o700)  # code may have locked it
    if owner is None:
        return
    top = os.open(root, _FLAGS)
    try:
        os.fchown(top, owner, owner)
        for folder, name, status in _walk(top, 1):
            plain = stat.S_ISREG(status.st_mode) and status.st_nlink == 1
            if status.st_uid != owner and (plain or stat.S_ISDIR(status.st_mode)):
                os.chown(name, owner, owner, dir_fd=folder, follow_symlinks=False)
    finally:
        os.close(top)


def measured(root: Path) -> tuple[int, int]:
    """Bytes on the disk and entries. Raises: Unruly."""
    used = entries = 0
    try:
        top = os.open(root, _FLAGS)
    except PermissionError:
        raise Unruly("it may not be read") from None
    try:
        for _, _, status in _walk(top, 1):
            used += status.st_blocks * 512
            entries += 1
    finally:
        os.close(top)
    return used, entries


def _walk(folder: int, depth: int) -> Iterator[tuple[int, str, os.stat_result]]:
    """Everything below an open folder: the folder it is in, its name and its state."""
    if depth > DEPTH_MAX:
        raise Unruly(f"its folders are more than {DEPTH_MAX} deep")
    with os.scandir(folder) as entries:
        for entry in entries:
            try:
                status = entry.stat(follow_symlinks=False)
            except OSError:
                continue  # gone while we look
            yield folder, entry.name, status
            if not stat.S_ISDIR(status.st_mode):
                continue
            with suppress(FileNotFoundError, NotADirectoryError):
                try:
                    inner = os.open(entry.name, _FLAGS, dir_fd=folder)
                except PermissionError:
                    raise Unruly("it holds a folder that may not be read") from None
                try:
                    yield from _walk(inner, depth + 1)
                finally:
                    os.close(inner)

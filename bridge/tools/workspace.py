"""The folder of one job: the only files its tools can reach.

Every path comes from a model, which may have read it on a web page. It is opened part by part from
the root with `O_NOFOLLOW`, and what was opened is checked, not its name: a link put in place
between a check and an open is refused, never followed (security reference, S5). A write goes to a
new file that is renamed over the old one, so that there is never half a file. Whatever cannot be
done is a ToolFailed, in one sentence for the model.
"""

import errno
import os
import secrets
import stat
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import IO, Final, NamedTuple

from bridge.agent.tool import ToolFailed
from bridge.models import short

BYTES_MAX: Final = 500_000_000  # of all files of one job
FILES_MAX: Final = 5_000
NAME_BYTES_MAX: Final = 255  # of one part of a path: the limit of Linux
DEPTH_MAX: Final = 16  # parts of a path, the file itself included

PART: Final = ".kitt-part-"  # begins the name of a file while it is written
FOLDER_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# A fifo would block an open for ever and a terminal would become ours: both must not happen.
FILE_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
NEW_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

Listing = list[tuple[str, int]]
Parts = tuple[str, ...]


class FileMark(NamedTuple):
    """How a file was when somebody looked."""

    size: int
    changed_ns: int
    inode: int


class Workspace:
    """The files below `root`, which is made by the first write. One for each run of a job.

    A path is relative to the root, names regular files with one name only, and leads through no
    link. Every method raises ToolFailed for anything else. Calls may come from several threads.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self._writing = threading.Lock()  # one write at a time, or two could pass the limit

    def read(self, path: str, limit_bytes: int) -> bytes:
        """The first `limit_bytes` bytes of a file; all of it when it is smaller."""
        with self._open(path) as (fd, _), os.fdopen(fd, "rb", closefd=False) as file:
            return file.read(limit_bytes)

    def open(self, path: str) -> IO[bytes]:
        """A file to read a piece at a time; whoever asked closes it."""
        return self.opened(path)[0]

    def opened(self, path: str) -> tuple[IO[bytes], os.stat_result]:
        """The same, and its state."""
        with self._open(path) as (fd, status):
            return os.fdopen(os.dup(fd), "rb"), status

    def size(self, path: str) -> int:
        """Bytes of a file."""
        with self._open(path) as (_, status):
            return status.st_size

    def resolve(self, path: str) -> Path:
        """The absolute path of a file that is inside, for who sends it.

        Checked now: as long as something may still change the folder, `read` is the safe way.
        """
        with self._open(path):
            return self.root.joinpath(*_parts(path))

    def list(self) -> Listing:
        """Path and bytes of every file that `read` would take, sorted; at most FILES_MAX."""
        return sorted((path, status.st_size) for path, status in self._files().items())

    def marks(self) -> dict[str, FileMark]:
        """The same files with what changes when one is written to."""
        return {
            path: FileMark(status.st_size, status.st_mtime_ns, status.st_ino)
            for path, status in self._files().items()
        }

    def write(self, path: str, data: bytes) -> None:
        """Put `data` in a file, new or not; folders on the way are made (mode 0700, file 0600).

        The bytes are on disk before the file has its name, so a power cut leaves the old file or
        the new one. Refused when the folder would hold more than BYTES_MAX or FILES_MAX.
        """
        parts = _parts(path)
        with self._writing, _sentences(path):
            self.root.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with suppress(FileExistsError):
                self.root.mkdir(mode=0o700)
            with self._folder(()) as root:
                os.fchmod(root, 0o700)
                _check_room(root, parts, len(data))
                with self._folder(parts[:-1], make=True) as folder:
                    with suppress(FileNotFoundError):
                        old = os.stat(parts[-1], dir_fd=folder, follow_symlinks=False)
                        _check_regular(path, old)
                    _replace(root, folder, parts[-1], data)

    @contextmanager
    def create(self, path: str) -> Iterator[IO[bytes]]:
        """A file to write a piece at a time: it has its name when the block ends, or never.

        Not for tools: BYTES_MAX and FILES_MAX are not looked at.
        """
        parts = _parts(path)
        with (
            _sentences(path),
            self._folder(()) as root,
            self._folder(parts[:-1], make=True) as folder,
            _part(root) as (name, file),
        ):
            yield file
            file.flush()
            os.fsync(file.fileno())
            os.rename(name, parts[-1], src_dir_fd=root, dst_dir_fd=folder)

    def _files(self) -> dict[str, os.stat_result]:
        found: dict[str, os.stat_result] = {}
        with _sentences("The folder"), suppress(FileNotFoundError), self._folder(()) as root:
            for parts, status in _walk(root):
                if status.st_nlink == 1 and _fits(parts):
                    found["/".join(parts)] = status
                if len(found) == FILES_MAX:
                    break
        return found

    @contextmanager
    def _open(self, path: str) -> Iterator[tuple[int, os.stat_result]]:
        """A file, opened for reading and checked, and its state."""
        parts = _parts(path)
        with _sentences(path), self._folder(parts[:-1]) as folder:
            fd = os.open(parts[-1], FILE_FLAGS, dir_fd=folder)
            try:
                status = os.fstat(fd)
                _check_regular(path, status)
                yield fd, status
            finally:
                os.close(fd)

    @contextmanager
    def _folder(self, parts: Parts, *, make: bool = False) -> Iterator[int]:
        """A folder below the root, opened one part after the other."""
        fd = os.open(self.root, FOLDER_FLAGS)
        try:
            for part in parts:
                if make:
                    with suppress(FileExistsError):
                        os.mkdir(part, 0o700, dir_fd=fd)
                inner = os.open(part, FOLDER_FLAGS, dir_fd=fd)
                os.close(fd)
                fd = inner
            yield fd
        finally:
            os.close(fd)


def _parts(path: str) -> Parts:
    """The names a path is made of. Raises: ToolFailed with what a path must look like."""
    if any(unicodedata.category(char) in ("Cc", "Cs") for char in path):
        raise ToolFailed("A path must be plain text without control characters.")
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts:
        raise ToolFailed(
            f"{_shown(path)} is outside the job's folder: give a path relative to it, without "
            "“..”, such as report.md."
        )
    if not pure.parts:
        raise ToolFailed("A path must name a file, such as report.md.")
    if len(pure.parts) > DEPTH_MAX:
        raise ToolFailed(f"{_shown(path)} is more than {DEPTH_MAX} folders deep: make it shorter.")
    if any(len(part.encode()) > NAME_BYTES_MAX for part in pure.parts):
        raise ToolFailed(f"{_shown(path)} is too long: a name has at most {NAME_BYTES_MAX} bytes.")
    if any(part.startswith(PART) for part in pure.parts):
        raise ToolFailed(f"Names that begin with {PART} are taken: choose another one.")
    return pure.parts


def _fits(parts: Parts) -> bool:
    try:
        return _parts("/".join(parts)) == parts
    except ToolFailed:
        return False


def _check_regular(path: str, status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise ToolFailed(f"{_shown(path)} is a folder, not a file.")
    if not stat.S_ISREG(status.st_mode):
        raise ToolFailed(f"{_shown(path)} is a link or a device, not a file of its own.")
    if status.st_nlink > 1:
        raise ToolFailed(f"{_shown(path)} is a hard link, which may be a file from outside.")


def _walk(folder: int, above: Parts = ()) -> Iterator[tuple[Parts, os.stat_result]]:
    """Every regular file below an open folder, as deep as a path can go; no link is followed.

    What disappears, changes or may not be read while we look is left out.
    """
    with os.scandir(folder) as entries:
        for entry in entries:
            parts = (*above, entry.name)
            with suppress(OSError):
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(status.st_mode):
                    yield parts, status
                elif stat.S_ISDIR(status.st_mode) and len(parts) < DEPTH_MAX:
                    inner = os.open(entry.name, FOLDER_FLAGS, dir_fd=folder)
                    try:
                        yield from _walk(inner, parts)
                    finally:
                        os.close(inner)


def _check_room(root: int, target: Parts, size: int) -> None:
    """Refuse a file that does not fit; what an interrupted write left behind is removed."""
    total, files = size, 1
    for parts, status in _walk(root):
        if len(parts) == 1 and parts[0].startswith(PART):
            with suppress(FileNotFoundError):
                os.unlink(parts[0], dir_fd=root)
        elif parts != target:
            total, files = total + status.st_size, files + 1
        if files > FILES_MAX:
            raise ToolFailed(
                f"The job's folder is full: it holds at most {FILES_MAX:,} files. "
                "Put more into one file, or write over one you no longer need."
            )
    if total > BYTES_MAX:
        raise ToolFailed(
            f"These {size:,} bytes do not fit: the job's folder holds {total - size:,} and takes "
            f"at most {BYTES_MAX:,}. Write less, or write over a file you no longer need."
        )


def _replace(root: int, folder: int, name: str, data: bytes) -> None:
    """Write a new file in the root and rename it to its place; a rename follows no link."""
    with _part(root) as (part, file):
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
        os.rename(part, name, src_dir_fd=root, dst_dir_fd=folder)


@contextmanager
def _part(root: int) -> Iterator[tuple[str, IO[bytes]]]:
    """A new file in the root that is not finished; removed when it does not get there."""
    part = f"{PART}{secrets.token_hex(8)}"
    fd = os.open(part, NEW_FLAGS, 0o600, dir_fd=root)
    try:
        with os.fdopen(fd, "wb") as file:
            yield part, file
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(part, dir_fd=root)
        raise


@contextmanager
def _sentences(path: str) -> Iterator[None]:
    """What the system refuses, as a sentence the model can act on."""
    try:
        yield
    except OSError as error:
        raise ToolFailed(_sentence(_shown(path), error)) from error


def _sentence(shown: str, error: OSError) -> str:
    match error.errno:
        case errno.ENOENT:
            return f"There is no file {shown}: list_files shows what there is."
        case errno.ELOOP:
            return f"{shown} is a link, and links are not followed."
        case errno.ENOTDIR:
            return f"A part of {shown} is not a folder but a file or a link; choose another path."
        case errno.ENXIO:
            return f"{shown} is a link or a device, not a file of its own."
        case errno.ENOSPC | errno.EDQUOT:
            return f"The disk is full: {shown} was not written."
        case _:
            return f"{shown} cannot be used ({error.strerror})."


def _shown(path: str) -> str:
    """A path as a message may show it: one short line."""
    return short(path, 80)

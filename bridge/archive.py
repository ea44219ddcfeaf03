"""A backup as one file (tar): the database's copy, and the files that nobody can make again.

These are the persona, skills, personas, kinds and what an owner allows; the notes, the files that
people sent, and what jobs attached to their results. Files with a hidden name, such as `.env`, are
never in it, nor is anything a link leads to. How far jobs had come in their folders is not in it.
"""

import filecmp
import os
import shutil
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Final

from bridge.database_file import part_of, take_place
from bridge.errors import ConfigError
from bridge.settings import Settings
from bridge.store_errors import translated

DATABASE: Final = "memory/kitt.db"  # its name in there, and the first one
OF_PROFILE: Final = ("KITT.md", "mcp.toml", "apis.toml", "skills", "personas", "kinds")
OF_MEMORY: Final = ("notes", "files", "jobs")
SET_ASIDE: Final = ".before-restore-"  # in the name of a file that a restored one replaced
_MADE_AGAIN: Final = ("__pycache__",)


def pack(
    settings: Settings, database: Path, attached: Iterable[tuple[int, str]], target: Path
) -> int:
    """Write the archive with this copy of the database into `target`; how many files are in it.

    `attached` are the jobs and paths of what they attached to their results.
    A file that is gone meanwhile is left out: the copy came first, nothing refers to it any more.
    Raises: ConfigError, TryLater.
    """
    files = 0
    # dereference: a second name of a file is a file of its own, not a reference to the first.
    with translated(target), tarfile.open(target, "w", dereference=True) as archive:
        archive.add(database, arcname=DATABASE)
        for path in _files(settings, attached):
            try:
                with path.open("rb") as opened:  # the one that is there now, also when replaced
                    name = path.relative_to(settings.profile).as_posix()
                    archive.addfile(archive.gettarinfo(arcname=name, fileobj=opened), opened)
            except FileNotFoundError:
                continue
            except OSError as error:
                if error.errno is not None:
                    raise
                raise ConfigError(f"{path} changed while it was copied: try again.") from error
            files += 1
    return files


def is_archive(path: Path) -> bool:
    """Whether it is one, rather than a database alone."""
    return tarfile.is_tarfile(path)


def take_database(source: Path, part: Path) -> None:
    """Write the database of an archive into `part`, once every name in there was looked at.

    Raises: ConfigError when it is no archive of ours or is torn.
    """
    try:
        with tarfile.open(source) as archive:
            members = archive.getmembers()
            if not members or members[0].name != DATABASE:
                raise ConfigError(
                    f"{source} is no backup of KITT's: its first file is no database."
                )
            for member in members:
                if not (member.isreg() and (member.name == DATABASE or _is_ours(member.name))):
                    raise ConfigError(f"{source} holds {member.name}, as no backup of KITT's does.")
            end = members[-1].offset_data + members[-1].size + 2 * tarfile.BLOCKSIZE
            if source.stat().st_size < end:
                raise ConfigError(f"{source} is not whole: use another.")
            with part.open("wb") as out:
                shutil.copyfileobj(_content(archive, members[0]), out)
    except tarfile.TarError as error:
        raise ConfigError(f"{source} is damaged ({error}): use another.") from error


def put_files(settings: Settings, source: Path, when: str) -> tuple[int, int]:
    """Put the files of an archive in their places; how many, and how many others were set aside.

    One that is there and differs keeps a name that ends in `when`. Raises: ConfigError, TryLater.
    """
    put = aside = 0
    with translated(source), tarfile.open(source) as archive:
        for name in archive.getnames():
            _check_way(settings.profile, PurePosixPath(name).parts)
        for member in archive:
            if member.name == DATABASE:
                continue
            target = settings.profile / member.name
            with translated(target):
                target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with part_of(target) as part:
                with translated(target), part.open("wb") as out:
                    shutil.copyfileobj(_content(archive, member), out)
                    os.fchmod(out.fileno(), member.mode & 0o777)
                if target.is_file() and not target.is_symlink():
                    if filecmp.cmp(part, target, shallow=False):
                        continue
                    target.rename(target.with_name(f"{target.name}{SET_ASIDE}{when}"))
                    aside += 1
                take_place(part, target)
            put += 1
    return put, aside


def _check_way(profile: Path, parts: tuple[str, ...]) -> None:
    """A job's program may have put a link where a folder was. Raises: ConfigError."""
    root = 2 if parts[0] == "memory" else 1  # up to here links are the owner's
    above = (profile.joinpath(*parts[:end]) for end in range(root + 1, len(parts)))
    if link := next(filter(Path.is_symlink, above), None):
        raise ConfigError(f"{link} is a link, through which nothing is put back: take it away.")


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    opened = archive.extractfile(member)
    assert opened is not None, "a regular file has a content"
    return opened


def _files(settings: Settings, attached: Iterable[tuple[int, str]]) -> Iterator[Path]:
    roots = [settings.profile / name for name in OF_PROFILE]
    yield from _below([*roots, settings.notes_dir, settings.files_dir])
    for job_id, path in attached:
        name = f"memory/jobs/{job_id}/{path}"
        found = settings.profile / name
        if _is_ours(name) and found.is_file() and _is_inside(found, settings.jobs_dir):
            yield found


def _below(roots: Iterable[Path]) -> Iterator[Path]:
    """Every plain file there, in a fixed order."""
    for root in roots:
        if root.is_symlink():
            continue
        if root.is_file():
            yield root
        for folder, folders, names in os.walk(root):
            folders[:] = sorted(name for name in folders if _is_kept(name))
            for path in (Path(folder, name) for name in sorted(names) if _is_kept(name)):
                if path.is_file() and not path.is_symlink():
                    yield path


def _is_kept(name: str) -> bool:
    return not name.startswith(".") and name not in _MADE_AGAIN and SET_ASIDE not in name


def _is_ours(name: str) -> bool:
    """Whether a name in an archive is one that `pack` gives."""
    parts = PurePosixPath(name).parts
    first, second = (*parts, "", "")[:2]
    known = first in OF_PROFILE or (first == "memory" and second in OF_MEMORY)
    return known and all(_is_kept(part) and "\0" not in part for part in parts)


def _is_inside(path: Path, folder: Path) -> bool:
    """A job's program may have put a link in its own folder."""
    return path.resolve().is_relative_to(folder.resolve())

"""How the files of a job are sent: as photos, documents, albums; or a choice for one too large.

What a file is, is read from the file and not from its name. A file that is gone, or that changes
until it is sent, is a matter of who sends it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

from bridge.agent.tool import ToolFailed
from bridge.telegram.compose import Part
from bridge.telegram.pictures import HEAD_BYTES, is_photo
from bridge.tools.workspace import Workspace

UPLOAD_BYTES_MAX: Final = 50_000_000  # what a bot may send
PIECE_BYTES_MAX: Final = 49_000_000
ALBUM_MAX: Final = 10
ALBUM_BYTES_MAX: Final = 45_000_000  # it is one request
TOO_LARGE: Final = "too_large"


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    kind: str  # photo, document, TOO_LARGE
    size: int
    part: Part


def planned(workspace: Workspace, job_id: int, files: list[dict[str, Any]]) -> list[Part]:
    """The parts for the files of a job, in their order. Reads the beginning of each.

    A part `too_large` has the size in bytes; whoever has the words for it makes a message of it.
    """
    looked = [_look(workspace, job_id, file) for file in files]
    parts: list[Part] = []
    for kind, group in groupby(looked, key=lambda file: file.kind):
        if kind == TOO_LARGE:
            parts += [{**file.part, "do": TOO_LARGE, "bytes": file.size} for file in group]
            continue
        for album in _albums(list(group)):
            if len(album) == 1:
                parts.append(album[0].part)
            else:
                members = [file.part for file in album]
                name = members[0]["name"]
                parts.append({"do": "album", "name": name, "files": members, "silent": True})
    return parts


def pieces(size: int) -> list[tuple[int, int]]:
    """Start and length of the pieces of a file, each small enough to be sent."""
    return [(at, min(PIECE_BYTES_MAX, size - at)) for at in range(0, size, PIECE_BYTES_MAX)]


def _look(workspace: Workspace, job_id: int, file: dict[str, Any]) -> _File:
    part: Part = {"do": "document", "job": job_id, "silent": True, **file}
    try:
        size = workspace.size(file["path"])
        head = workspace.read(file["path"], HEAD_BYTES)
    except ToolFailed:
        return _File(kind="document", size=0, part=part)
    if size > UPLOAD_BYTES_MAX:
        return _File(kind=TOO_LARGE, size=size, part=part)
    kind = "photo" if is_photo(head, size) else "document"
    return _File(kind=kind, size=size, part={**part, "do": kind})


def _albums(files: list[_File]) -> Iterator[list[_File]]:
    """Files of one kind, in groups that fit into one request."""
    album: list[_File] = []
    for file in files:
        room = ALBUM_BYTES_MAX - sum(member.size for member in album)
        if album and (len(album) == ALBUM_MAX or file.size > room):
            yield album
            album = []
        album.append(file)
    yield album

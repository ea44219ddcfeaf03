"""Files of a job are grouped as Telegram takes them: by what they are, not by their names."""

import struct
from pathlib import Path
from typing import Any

import pytest

from bridge.telegram.file_plan import PIECE_BYTES_MAX, pieces, planned
from bridge.tools.workspace import Workspace

PICTURE = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 640, 480)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "12")


def plan(workspace: Workspace, **files: bytes | int) -> list[Any]:
    """The plan for files of these bytes, or so many: what is done, with the names."""
    listed = []
    for name, data in files.items():
        workspace.write(name, data if isinstance(data, bytes) else b"x")
        if isinstance(data, int):
            with (workspace.root / name).open("r+b") as file:
                file.truncate(data)
        listed.append({"path": name, "name": name, "caption": ""})
    return [
        (part["do"], [file["name"] for file in part["files"]])
        if part["do"] == "album"
        else (part["do"], part["name"])
        for part in planned(workspace, 12, listed)
    ]


def test_a_file_is_a_document_and_a_picture_a_photo_whatever_its_name(workspace: Workspace) -> None:
    assert plan(workspace, a=PICTURE, b=b"text") == [("photo", "a"), ("document", "b")]


def test_files_of_one_kind_are_an_album(workspace: Workspace) -> None:
    assert plan(workspace, a=b"1", b=b"2", c=PICTURE, d=PICTURE, e=b"3") == [
        ("album", ["a", "b"]),
        ("album", ["c", "d"]),
        ("document", "e"),
    ]


def test_an_album_has_at_most_ten_files(workspace: Workspace) -> None:
    made = plan(workspace, **{f"f{n}": b"x" for n in range(11)})

    assert made == [("album", [f"f{n}" for n in range(10)]), ("document", "f10")]


def test_an_album_fits_into_one_request(workspace: Workspace) -> None:
    made = plan(workspace, a=20_000_000, b=20_000_000, c=20_000_000)

    assert made == [("album", ["a", "b"]), ("document", "c")]


def test_a_file_that_is_too_large_is_a_matter_of_choice(workspace: Workspace) -> None:
    made = plan(workspace, a=50_000_000, b=50_000_001)

    assert made == [("document", "a"), ("too_large", "b")]


def test_a_file_that_is_gone_is_left_to_who_sends_it(workspace: Workspace) -> None:
    gone = [{"path": "a", "name": "a", "caption": ""}]

    assert [part["do"] for part in planned(workspace, 12, gone)] == ["document"]


@pytest.mark.parametrize("size", [1, PIECE_BYTES_MAX, PIECE_BYTES_MAX + 1, 500_000_000])
def test_the_pieces_of_a_file_are_all_of_it(size: int) -> None:
    made = pieces(size)

    assert sum(length for _, length in made) == size
    assert all(0 < length <= PIECE_BYTES_MAX for _, length in made)
    assert [start for start, _ in made] == [sum(n for _, n in made[:i]) for i in range(len(made))]

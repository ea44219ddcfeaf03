"""A model reads, writes and lists the files of its job."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from bridge.agent.tool import Input, ToolFailed
from bridge.tools.files import LISTED_MAX, TEXT_CHARS_MAX, file_tools
from bridge.tools.workspace import Workspace

Call = Callable[..., Awaitable[str]]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """An empty folder of a job."""
    return Workspace(tmp_path / "job-1")


@pytest.fixture
def call(workspace: Workspace) -> Call:
    """Call a tool by name, as the loop does: check the input, then run."""
    tools = {tool.name: tool for tool in file_tools(workspace)}

    async def run(name: str, **given: Any) -> str:
        checked: Input = tools[name].check(given)
        act = tools[name].run
        assert act is not None
        return await act(checked)

    return run


async def test_what_is_written_can_be_read(call: Call) -> None:
    said = await call("write_file", path="notes/een.md", content="Prijzen: € 5\n")

    assert said == "Wrote notes/een.md (15 bytes)."
    assert await call("read_file", path="notes/een.md") == "Prijzen: € 5\n"


async def test_writing_the_same_again_changes_nothing(call: Call, workspace: Workspace) -> None:
    for _ in range(2):
        await call("write_file", path="a.txt", content="once")

    assert workspace.list() == [("a.txt", 4)]


async def test_text_no_file_can_hold_is_written_with_a_question_mark(call: Call) -> None:
    await call("write_file", path="a.txt", content="half \ud83d sign")

    assert await call("read_file", path="a.txt") == "half ? sign"


@pytest.mark.parametrize("sign", ["x", "é", "€", "😀"])
async def test_a_long_text_is_cut_at_whole_characters_and_says_so(
    call: Call, workspace: Workspace, sign: str
) -> None:
    data = ("." + sign * (TEXT_CHARS_MAX + 50)).encode()
    workspace.write("long.txt", data)

    text, _, note = (await call("read_file", path="long.txt")).rpartition("\n")

    assert text == "." + sign * (TEXT_CHARS_MAX - 1)
    assert note == f"[Cut: the first 100,000 characters of a file of {len(data):,} bytes.]"


async def test_a_text_of_exactly_the_limit_is_whole(call: Call, workspace: Workspace) -> None:
    workspace.write("long.txt", b"x" * TEXT_CHARS_MAX)

    assert await call("read_file", path="long.txt") == "x" * TEXT_CHARS_MAX


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"\xef\xbb\xbfna\xc3\xafef", "naïef"),
        ("naïef".encode("utf-16"), "naïef"),
        (b"na\xefef \x80 5", "naïef € 5"),
        (b"", "old.csv is empty."),
    ],
    ids=["utf-8 with mark", "utf-16", "cp1252", "empty"],
)
async def test_text_is_read_in_the_encodings_people_have(
    call: Call, workspace: Workspace, data: bytes, text: str
) -> None:
    workspace.write("old.csv", data)

    assert await call("read_file", path="old.csv") == text


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("p.png", b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR", "image/png, 16 bytes"),
        ("p.jpg", b"\xff\xd8\xff\xe0\x00\x10JFIF", "image/jpeg, 10 bytes"),
        ("text.txt", b"looks like text\x00but is not", "text/plain, 26 bytes"),
        ("data", b"\xff\xfe\x00\xd8", "unknown type, 4 bytes"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_binary_file_is_refused_with_its_type_and_size(
    call: Call, workspace: Workspace, name: str, data: bytes, kind: str
) -> None:
    workspace.write(name, data)

    with pytest.raises(ToolFailed, match=rf"{name} is a binary file \({kind}\)"):
        await call("read_file", path=name)


async def test_a_path_that_leads_out_is_refused(call: Call) -> None:
    for given in ({"path": "../a"}, {"path": "../a", "content": "x"}):
        with pytest.raises(ToolFailed, match="outside the job's folder"):
            await call("write_file" if "content" in given else "read_file", **given)


async def test_the_list_shows_path_and_size(call: Call, workspace: Workspace) -> None:
    workspace.write("b.txt", b"12")
    workspace.write("a/c.bin", b"x" * 1_234)

    assert await call("list_files") == "a/c.bin (1,234 bytes)\nb.txt (2 bytes)"


async def test_a_long_list_is_cut_and_says_how_much_is_missing(
    call: Call, workspace: Workspace
) -> None:
    workspace.root.mkdir()
    for number in range(LISTED_MAX + 7):
        (workspace.root / f"{number:03}.txt").touch()

    lines = (await call("list_files")).splitlines()

    assert len(lines) == LISTED_MAX + 1
    assert lines[-1] == "… and 7 more"


async def test_an_empty_folder_says_so(call: Call) -> None:
    assert await call("list_files") == "There are no files yet."


def test_every_tool_may_run_again_after_a_crash(workspace: Workspace) -> None:
    repeat = {tool.name: tool.repeat for tool in file_tools(workspace)}

    assert repeat == {"read_file": "pure", "write_file": "idempotent", "list_files": "pure"}

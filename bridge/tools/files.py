"""Tools that read, write and list the files of one job's workspace.

They run in a thread, because a slow disk must not stop the heartbeat of the worker. Reading changes
nothing and writing the same twice is the same as once, so a crash in the middle runs them again.
"""

import asyncio
import codecs
import mimetypes
from typing import Final

from bridge.agent.tool import Input, Tool, ToolFailed
from bridge.tools.workspace import Workspace

TEXT_CHARS_MAX: Final = 100_000  # of a file read into the conversation: about 25k tokens
TEXT_BYTES_MAX: Final = 4 * TEXT_CHARS_MAX + 4  # UTF-8 needs at most 4 for one, and UTF-16 a mark
LISTED_MAX: Final = 500
TEXT_CONTROLS: Final = frozenset("\t\n\r\f\v\x1b")  # the last begins a colour in a log
PATH: Final = {"type": "string", "description": "Relative, e.g. report.md or data/prices.csv."}


def file_tools(workspace: Workspace) -> list[Tool]:
    """The tools, in a fixed order (the prompt cache depends on it)."""

    async def read_file(given: Input) -> str:
        return await asyncio.to_thread(_read, workspace, str(given["path"]))

    async def write_file(given: Input) -> str:
        path, content = str(given["path"]), str(given["content"])
        data = content.encode("utf-8", "replace")
        await asyncio.to_thread(workspace.write, path, data)
        return f"Wrote {path} ({len(data):,} bytes)."

    async def list_files(_given: Input) -> str:
        return await asyncio.to_thread(_list, workspace)

    return [
        Tool(
            name="read_file",
            description="Read a text file of this job's folder.",
            properties={"path": PATH},
            run=read_file,
            repeat="pure",
            parallel=True,
        ),
        Tool(
            name="write_file",
            description="Write a text file in this job's folder; an existing one is replaced. The "
            "user gets it only through attach_file.",
            properties={"path": PATH, "content": {"type": "string"}},
            run=write_file,
            repeat="idempotent",
        ),
        Tool(
            name="list_files",
            description="List the files of this job's folder with their sizes.",
            properties={},
            run=list_files,
            repeat="pure",
            parallel=True,
        ),
    ]


def _read(workspace: Workspace, path: str) -> str:
    data = workspace.read(path, TEXT_BYTES_MAX)
    size = workspace.size(path)
    text = _text(data, whole=len(data) < TEXT_BYTES_MAX)
    if text is None:
        kind = mimetypes.guess_type(path)[0] or "unknown type"
        raise ToolFailed(f"{path} is a binary file ({kind}, {size:,} bytes), which is not read.")
    if not text:
        return f"{path} is empty."
    if len(text) > TEXT_CHARS_MAX or len(data) < size:
        cut = f"[Cut: the first {TEXT_CHARS_MAX:,} characters of a file of {size:,} bytes.]"
        return f"{text[:TEXT_CHARS_MAX]}\n{cut}"
    return text


def _text(data: bytes, *, whole: bool) -> str | None:
    """The bytes as text, or None when they are something else.

    UTF-8, UTF-16 with its mark (spreadsheets write it), or the older Western encoding, in this
    order. A character cut in two at the end of a part is left out.
    """
    marked = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    for encoding in ("utf-16",) if marked else ("utf-8-sig", "cp1252"):
        try:
            text = codecs.getincrementaldecoder(encoding)().decode(data, final=whole)
        except UnicodeDecodeError:
            continue
        return text if _looks_like_text(text) else None
    return None


def _looks_like_text(text: str) -> bool:
    return not any(char < " " and char not in TEXT_CONTROLS for char in text)


def _list(workspace: Workspace) -> str:
    files = workspace.list()
    lines = [f"{path} ({size:,} bytes)" for path, size in files[:LISTED_MAX]]
    if len(files) > LISTED_MAX:
        lines.append(f"… and {len(files) - LISTED_MAX:,} more")
    return "\n".join(lines) or "There are no files yet."

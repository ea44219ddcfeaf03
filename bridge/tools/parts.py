"""A file that is too long to read at once, in parts: pages of a PDF, lines of anything else.

A part is what was asked for as far as it fits; what is left is named, so that a reader can go on.
"""

import asyncio
import codecs
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Final

from bridge.agent.tool import ToolFailed
from bridge.tools import apart
from bridge.tools.files import TEXT_CONTROLS
from bridge.tools.workspace import Workspace

PART_CHARS: Final = 30_000  # about 8k tokens
LINE_CHARS_MAX: Final = 4_000
BYTES_MAX: Final = 50_000_000  # of a PDF or office file, which is held in memory
OFFICE_CHARS_MAX: Final = 5_000_000
_RANGE: Final = re.compile(r"\s*(\d{1,7})\s*(-)?\s*(\d{1,7})?\s*")


@dataclass(frozen=True, slots=True)
class Range:
    """From first to last, both counted from 1; `last` None is the end."""

    first: int = 1
    last: int | None = None


def range_of(text: str) -> Range:
    """`7`, `3-12` or `20-`; empty is everything. Raises: ToolFailed."""
    if not text.strip():
        return Range()
    found = _RANGE.fullmatch(text)
    first = int(found[1]) if found else 0
    if found is None or first < 1 or (found[3] and int(found[3]) < first):
        raise ToolFailed(f"A part is a number or two, such as 7, 3-12 or 20-; got {text[:40]!r}.")
    last = int(found[3]) if found[3] else None if found[2] else first
    return Range(first, last)


async def part_of(workspace: Workspace, path: str, wanted: Range) -> str:
    """What stands in that part of a file, and what there is more. Raises: ToolFailed."""
    start = await asyncio.to_thread(workspace.read, path, 8)
    if start.startswith(b"%PDF-"):
        return await _pages(path, await _whole(workspace, path), wanted)
    if start.startswith(b"PK\x03\x04"):
        data = await _whole(workspace, path)
        lines = (await _office_text(path, data)).splitlines()
        return _lines(iter(lines), wanted)
    return await asyncio.to_thread(_text_part, workspace, path, wanted)


async def _whole(workspace: Workspace, path: str) -> bytes:
    size = await asyncio.to_thread(workspace.size, path)
    if size > BYTES_MAX:
        raise ToolFailed(
            f"{path} has {size:,} bytes, and at most {BYTES_MAX:,} are read: split it first."
        )
    return await asyncio.to_thread(workspace.read, path, BYTES_MAX)


async def _pages(path: str, data: bytes, wanted: Range) -> str:
    order = {"first": wanted.first, "last": wanted.last, "chars": PART_CHARS}
    try:
        found, _ = await apart.ask("read_pdf", order, data)
    except apart.NoAnswer as error:
        raise ToolFailed(f"{path} could not be read (it {error}): ask for fewer pages.") from None
    total, texts = int(found["pages"]), list(found["texts"])
    lines = [f"({path}; pages: {total:,}.)"]
    for number, text in enumerate(texts, wanted.first):
        lines.append(f"[Page {number}]\n{text.strip() or '(No text: perhaps a picture.)'}")
    return "\n\n".join(lines + _more("pages", wanted.first + len(texts), total, wanted))


async def _office_text(path: str, data: bytes) -> str:
    try:
        found, _ = await apart.ask("read_office", {"chars": OFFICE_CHARS_MAX}, data)
    except apart.NoAnswer as error:
        raise ToolFailed(f"{path} could not be read (it {error}): make it smaller.") from None
    more = "\n(Cut: it goes on, but no more is read.)" if found["cut"] else ""
    return f"{found['text']}{more}"


def _text_part(workspace: Workspace, path: str, wanted: Range) -> str:
    with workspace.open(path) as file:
        encoding = _encoding(path, file.read(65_536))
        file.seek(0)
        return _lines(_decoded(file, encoding), wanted)


def _encoding(path: str, start: bytes) -> str:
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            text = codecs.getincrementaldecoder(encoding)().decode(start)
        except UnicodeDecodeError:
            continue
        if not any(char < " " and char not in TEXT_CONTROLS for char in text):
            return encoding
    raise ToolFailed(f"{path} holds no text: it is a file of another kind.")


def _decoded(file: IO[bytes], encoding: str) -> Iterator[str]:
    with io.TextIOWrapper(file, encoding=encoding, errors="replace", newline=None) as text:
        while line := text.readline(LINE_CHARS_MAX):
            whole = line.endswith("\n")
            yield line.rstrip("\n") if whole else f"{line} […]"
            while not whole and (rest := text.readline(65_536)):
                whole = rest.endswith("\n")


def _lines(lines: Iterator[str], wanted: Range) -> str:
    shown: list[str] = []
    chars = total = 0
    for total, line in enumerate(lines, 1):
        asked = wanted.first <= total and (wanted.last is None or total <= wanted.last)
        if asked and chars <= PART_CHARS:
            cut = line if len(line) <= LINE_CHARS_MAX + 4 else f"{line[:LINE_CHARS_MAX]} […]"
            chars += len(cut) + 1
            if chars <= PART_CHARS or not shown:
                shown.append(cut)
    if total and wanted.first > total:
        raise ToolFailed(f"It has only {total:,} lines.")
    told = [f"({total:,} lines; these begin with line {wanted.first:,}.)", "\n".join(shown)]
    return "\n\n".join(told + _more("lines", wanted.first + len(shown), total, wanted))


def _more(what: str, following: int, total: int, wanted: Range) -> list[str]:
    if following > total:
        return []
    asked = wanted.last is not None and following > wanted.last
    why = "" if asked else " No more fits into one answer."
    return [f"(There is more: {what} {following}-{total}.{why})"]

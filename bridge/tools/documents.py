"""Tools that read documents in parts and write them: PDF, Word, Markdown and CSV.

Reading changes nothing and writing the same twice is the same as once, so a crash in the middle
runs them again. What comes from anyone is taken apart in another process (apart.py).
"""

import asyncio
import csv
import io
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from bridge.agent.tool import Input, Tool, ToolFailed
from bridge.tools import apart
from bridge.tools.blocks import Block, blocks_of, to_json
from bridge.tools.parts import part_of, range_of
from bridge.tools.untrusted import wrapped
from bridge.tools.workspace import Workspace

if TYPE_CHECKING:
    from bridge.tools.toolbox import Context

IMAGE_BYTES_MAX: Final = 10_000_000
IMAGES_BYTES_MAX: Final = 40_000_000
MARKDOWN_CHARS_MAX: Final = 1_000_000
MISSING_SHOWN_MAX: Final = 10
WRITERS: Final = {".pdf": "write_pdf", ".docx": "write_docx"}


def document_tools(context: "Context") -> list[Tool]:
    """The tools, or none without the extra `documents`."""
    if not can_write():
        return []
    workspace = context.workspace

    async def read_document(given: Input) -> str:
        path = str(given["path"])
        wanted = range_of(str(given.get("part", "")))
        return wrapped(await part_of(workspace, path, wanted), path)

    async def write_document(given: Input) -> str:
        return await _write(workspace, str(given["path"]), str(given["markdown"]))

    return [
        Tool(
            name="read_document",
            description="Read a PDF, Word, Excel, PowerPoint, OpenDocument, CSV or text file of "
            "this job's folder in parts: pages of a PDF, with their numbers, and lines (rows) of "
            "anything else. Says what there is more.",
            properties={
                "path": {"type": "string", "description": "Relative, e.g. input/report.pdf."},
                "part": {
                    "type": "string",
                    "description": "7, 3-12 or 20-; left out: from the beginning on.",
                },
            },
            optional=("part",),
            run=read_document,
            repeat="pure",
        ),
        Tool(
            name="write_document",
            description="Make a document in this job's folder: .pdf, .docx or .md, or .csv from "
            "the only table in it; an existing one is replaced. Pictures are PNG or JPEG files of "
            "the folder: ![what it shows](chart.png). The user gets it only through attach_file.",
            properties={
                "path": {"type": "string", "description": "Its end says the kind: report.pdf."},
                "markdown": {
                    "type": "string",
                    "description": "Headings, paragraphs, lists, tables, pictures, links, code.",
                },
            },
            run=write_document,
            repeat="idempotent",
        ),
    ]


def can_write() -> bool:
    """Is the extra `documents` installed?"""
    return all(find_spec(name) is not None for name in ("pypdf", "reportlab", "docx"))


async def _write(workspace: Workspace, path: str, markdown: str) -> str:
    if len(markdown) > MARKDOWN_CHARS_MAX:
        raise ToolFailed(f"At most {MARKDOWN_CHARS_MAX:,} characters make one document.")
    end = PurePosixPath(path).suffix.lower()
    pages = hint = ""
    if end == ".md":
        data = markdown.encode("utf-8", "replace")
    elif end == ".csv":
        data = _csv(blocks_of(markdown))
    elif end in WRITERS:
        blocks = await asyncio.to_thread(blocks_of, markdown)
        order, images = await asyncio.to_thread(_order, workspace, blocks)
        try:
            answer, data = await apart.ask(WRITERS[end], order, images)
        except apart.NoAnswer as error:
            raise ToolFailed(f"Writing {path} {error}: make it shorter or simpler.") from None
        if "pages" in answer:
            pages = f", pages: {answer['pages']}"
        hint = _hint(answer)
    else:
        raise ToolFailed("path must end in .pdf, .docx, .md or .csv.")
    await asyncio.to_thread(workspace.write, path, data)
    return f"Wrote {path} ({len(data):,} bytes{pages}).{hint}"


def _hint(answer: dict[str, Any]) -> str:
    """What in a file is not as it should be; the characters may come from anyone, and are few."""
    missing = [str(char) for char in answer.get("missing", ())]
    named = " ".join(f"{char} (U+{ord(char):04X})" for char in missing[:MISSING_SHOWN_MAX])
    more = f" and {len(missing) - MISSING_SHOWN_MAX} more" if missing[MISSING_SHOWN_MAX:] else ""
    said = ""
    if missing:
        said = (
            f" No font of this machine has {named}{more}: a sign for something missing stands "
            "there. Write it differently or tell the user; packages of the system such as "
            "fonts-noto-core, fonts-noto-cjk and fonts-noto-color-emoji bring more."
        )
    if answer.get("unshaped"):
        said += (
            " Letters of an Indic or Southeast Asian script stand one after the other, which may "
            "be wrong: tell the user; a .docx shows them rightly."
        )
    return said


def _order(workspace: Workspace, blocks: Sequence[Block]) -> tuple[dict[str, object], bytes]:
    """For a writer: the blocks, and the pictures they name."""
    names = list(dict.fromkeys(block.image for block in blocks if block.kind == "image"))
    data = bytearray()
    images: list[tuple[str, int]] = []
    for name in names:
        if "://" in name:
            raise ToolFailed(f"{name[:80]} is no file of the folder: download it first.")
        size = workspace.size(name)
        if size > IMAGE_BYTES_MAX or len(data) + size > IMAGES_BYTES_MAX:
            raise ToolFailed(f"{name} is too large with its {size:,} bytes: make it smaller.")
        data += workspace.read(name, size)
        images.append((name, size))
    return {"blocks": to_json(blocks), "images": images}, bytes(data)


def _csv(blocks: Sequence[Block]) -> bytes:
    tables = [block for block in blocks if block.kind == "table"]
    if len(tables) != 1:
        raise ToolFailed(f"A .csv is made of one table, and there are {len(tables)}.")
    out = io.StringIO()
    rows = ["".join(span.text for span in cell) for row in tables[0].rows for cell in row]
    columns = len(tables[0].rows[0])
    csv.writer(out).writerows(rows[at : at + columns] for at in range(0, len(rows), columns))
    return out.getvalue().encode("utf-8-sig")  # with the mark by which Excel knows it

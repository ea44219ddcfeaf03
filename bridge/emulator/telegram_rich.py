"""Rich messages: reading the three forms of InputRichMessage, and their limits.

Whatever form a bot sends, one is kept: the list of blocks, which is also what the server
answers. Media are not imitated.
"""

from __future__ import annotations

from typing import Any

from markdown_it import MarkdownIt

from bridge.emulator.telegram_params import Params
from bridge.emulator.telegram_rich_blocks import blocks_of
from bridge.emulator.telegram_rich_html import read_html
from bridge.emulator.telegram_state import Json, bad_request

RICH_FIELD = "rich_message"
CHARS_MAX = 32_768
BLOCKS_MAX = 500
DEPTH_MAX = 16
COLUMNS_MAX = 20

_FORMS = ("html", "markdown", "blocks")
_MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
# type of a block -> the fields it must have
_BLOCKS: dict[str, dict[str, type | tuple[type, ...]]] = {
    "paragraph": {"text": (str, list, dict)},
    "heading": {"text": (str, list, dict), "size": int},
    "pre": {"text": (str, list, dict)},
    "footer": {"text": (str, list, dict)},
    "divider": {},
    "mathematical_expression": {"expression": str},
    "anchor": {"name": str},
    "list": {"items": list},
    "blockquote": {"blocks": list},
    "expandable_blockquote": {"text": (str, list, dict)},
    "pullquote": {"text": (str, list, dict)},
    "table": {"cells": list},
    "details": {"summary": (str, list, dict), "blocks": list},
    "thinking": {"text": (str, list, dict)},
}
_MARKS = frozenset(
    {"bold", "italic", "underline", "strikethrough", "spoiler", "code", "marked", "subscript"}
    | {"superscript", "url", "mathematical_expression", "date_time", "anchor", "text_mention"}
    | {"custom_emoji", "mention", "hashtag", "bot_command", "email_address", "anchor_link"}
)


def rich_of(params: Params, *, thinking: bool = False) -> Json:
    """The RichMessage a call brings. Raises: ApiError 400 for a form, a tag or a block that
    cannot be, or one limit exceeded. `thinking` allows the block only a draft may have."""
    given = params.mapping(RICH_FIELD, "object expected as rich message")
    forms = [name for name in _FORMS if given.get(name) is not None]
    if len(forms) != 1:
        raise bad_request("exactly one of the fields html, markdown, or blocks must be specified")
    if given.get("media"):
        raise bad_request("can't parse rich message: this emulator knows no media in them")
    content: Any = given[forms[0]]
    if forms == ["blocks"]:
        if not isinstance(content, list):
            raise bad_request("can't parse rich message: expected an Array of InputRichBlock")
        blocks = content
    else:
        html = str(content) if forms == ["html"] else _MARKDOWN.render(str(content))
        blocks = blocks_of(read_html(html).children)
    _check(blocks, thinking=thinking)
    rich: Json = {"blocks": blocks}
    return rich | {"is_rtl": True} if given.get("is_rtl") is True else rich


def _check(blocks: list[Json], *, thinking: bool) -> None:
    count = _Count()
    count.blocks_in(blocks, 1)
    if not count.chars and not count.blocks:
        raise bad_request("rich message must be non-empty")
    if count.chars > CHARS_MAX:
        raise bad_request("rich message is too long")
    if count.blocks > BLOCKS_MAX:
        raise bad_request("rich message has too many blocks")
    if count.thinking and not thinking:
        raise bad_request("can't parse rich message: thinking blocks are allowed only in drafts")


class _Count:
    """Walks through blocks, refuses what is none, and counts what the limits are about."""

    def __init__(self) -> None:
        self.chars = 0
        self.blocks = 0
        self.thinking = False

    def blocks_in(self, blocks: object, depth: int) -> None:
        if not isinstance(blocks, list):
            raise _wrong("expected an Array of InputRichBlock")
        if depth > DEPTH_MAX:
            raise bad_request("rich message is nested too deep")
        for block in blocks:
            self._block(block, depth)

    def _block(self, block: object, depth: int) -> None:
        if not isinstance(block, dict):
            raise _wrong("InputRichBlock must be an Object")
        kind = str(block.get("type"))
        if kind not in _BLOCKS:
            raise _wrong("Unsupported block type specified")
        for name, wanted in _BLOCKS[kind].items():
            if not isinstance(block.get(name), wanted):
                raise _wrong(f'Can\'t find field "{name}"')
        self.blocks += 1
        self.thinking = self.thinking or kind == "thinking"
        for name in ("text", "summary", "caption", "credit"):
            self.line(block.get(name, ""))
        self.chars += len(block.get("expression", ""))
        if "blocks" in block:
            self.blocks_in(block["blocks"], depth + 1)
        for item in block.get("items", ()):
            self.blocks += 1
            self.blocks_in(item.get("blocks") if isinstance(item, dict) else None, depth + 1)
        self._table(block.get("cells", ()))

    def _table(self, rows: Any) -> None:
        for row in rows:
            if not isinstance(row, list) or not all(isinstance(cell, dict) for cell in row):
                raise _wrong("expected an Array of Arrays of RichBlockTableCell")
            if sum(int(cell.get("colspan", 1)) for cell in row) > COLUMNS_MAX:
                raise bad_request("rich message has a table with too many columns")
            for cell in row:
                self.line(cell.get("text", ""))

    def line(self, text: object) -> None:
        if isinstance(text, str):
            self.chars += len(text)
        elif isinstance(text, list):
            for part in text:
                self.line(part)
        elif isinstance(text, dict) and text.get("type") in _MARKS:
            self.line(text.get("text", ""))
            self.chars += len(str(text.get("expression", "")))
        else:
            raise _wrong("Unsupported rich text specified")


def _wrong(reason: str) -> Exception:
    return bad_request(f"can't parse rich message: {reason}")

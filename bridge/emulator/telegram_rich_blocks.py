"""A tree of HTML as the blocks of a rich message, in the words of the Bot API."""

from __future__ import annotations

import re
from collections.abc import Iterable

from bridge.emulator.telegram_rich_html import HEADINGS, INLINE, Element
from bridge.emulator.telegram_state import Json, bad_request

_BLANK = re.compile(r"[ \t\r\n]+")
_LANGUAGE = re.compile(r"(?:^|\s)language-(\S+)")
RichText = str | list[object] | Json


def blocks_of(children: Iterable[Element | str]) -> list[Json]:
    """The blocks in a part of a document; words between them are paragraphs of their own."""
    blocks: list[Json] = []
    line: list[Element | str] = []
    for child in children:
        if isinstance(child, str) or child.tag in INLINE:
            line.append(child)
            continue
        _end_line(line, blocks)
        blocks.append(_block(child))
    _end_line(line, blocks)
    return blocks


def _end_line(line: list[Element | str], blocks: list[Json]) -> None:
    words = _line(line)
    line.clear()
    if words != "":
        blocks.append({"type": "paragraph", "text": words})


def _block(element: Element) -> Json:
    tag, inside = element.tag, element.children
    if tag in HEADINGS:
        return {"type": "heading", "text": _line(inside), "size": HEADINGS[tag]}
    if tag in ("p", "footer"):
        return {"type": "paragraph" if tag == "p" else "footer", "text": _line(inside)}
    if tag == "pre":
        return _code(element)
    if tag == "hr":
        return {"type": "divider"}
    if tag == "tg-math-block":
        return {"type": "mathematical_expression", "expression": element.text().strip()}
    if tag == "tg-thinking":
        return {"type": "thinking", "text": _line(inside)}
    if tag == "aside":
        return _credited({"type": "pullquote"}, element, text=True)
    if tag == "blockquote":
        return _credited({"type": "blockquote"}, element, text=False)
    if tag == "details":
        return _details(element)
    if tag in ("ul", "ol"):
        return _list(element)
    return _table(element)


def _code(element: Element) -> Json:
    block: Json = {"type": "pre", "text": element.text().strip("\n")}
    first = element.children[0] if element.children else ""
    named = isinstance(first, Element) and _LANGUAGE.search(first.attrs.get("class", ""))
    return block | {"language": named.group(1)} if named else block


def _credited(block: Json, element: Element, *, text: bool) -> Json:
    cites = [c for c in element.children if isinstance(c, Element) and c.tag == "cite"]
    inside = [c for c in element.children if c not in cites]
    block |= {"text": _line(inside)} if text else {"blocks": blocks_of(inside)}
    return block | {"credit": _line(cites[-1].children)} if cites else block


def _details(element: Element) -> Json:
    first, *rest = [c for c in element.children if not (isinstance(c, str) and not c.strip())] or [
        ""
    ]
    if not isinstance(first, Element) or first.tag != "summary":
        raise bad_request('can\'t parse rich message: tag "details" must begin with "summary"')
    block: Json = {"type": "details", "summary": _line(first.children), "blocks": blocks_of(rest)}
    return block | {"is_open": True} if "open" in element.attrs else block


def _list(element: Element) -> Json:
    ordered = element.tag == "ol"
    number = _number(element.attrs.get("start"), 1)
    items: list[Json] = []
    for child in element.children:
        assert isinstance(child, Element)  # the reader lets nothing else into a list
        item: Json = {"blocks": blocks_of(child.children), "label": "•"}
        if ordered:
            number = _number(child.attrs.get("value"), number)
            item |= {"label": f"{number}.", "value": number, "type": element.attrs.get("type", "1")}
            number += 1
        items.append(item)
    return {"type": "list", "items": items}


def _table(element: Element) -> Json:
    block: Json = {"type": "table", "cells": [_row(row) for row in _rows(element)]}
    for name in ("bordered", "striped", "compact"):
        if name in element.attrs:
            block[f"is_{name}"] = True
    captions = [c for c in element.children if isinstance(c, Element) and c.tag == "caption"]
    return block | {"caption": _line(captions[0].children)} if captions else block


def _rows(element: Element) -> Iterable[Element]:
    for child in element.children:
        if isinstance(child, Element) and child.tag == "tr":
            yield child
        elif isinstance(child, Element) and child.tag != "caption":
            yield from _rows(child)


def _row(row: Element) -> list[Json]:
    cells: list[Json] = []
    for child in row.children:
        assert isinstance(child, Element)  # the reader lets nothing else into a row
        cell: Json = {"text": _line(child.children)}
        if child.tag == "th":
            cell["is_header"] = True
        for name in ("colspan", "rowspan"):
            if name in child.attrs:
                cell[name] = _number(child.attrs[name], 1)
        cell["align"] = child.attrs.get("align", "left")
        if cell["align"] not in ("left", "center", "right"):
            raise bad_request("can't parse rich message: invalid table cell alignment specified")
        cells.append(cell)
    return cells


def _number(value: str | None, default: int) -> int:
    return int(value) if value is not None and value.isdecimal() else default


# Lines of text


def _line(children: Iterable[Element | str]) -> RichText:
    """Words and marks with blanks as a browser has them: runs are one, none at the ends."""
    parts = _trimmed(_marked(children))
    if not parts:
        return ""
    return parts[0] if len(parts) == 1 else list(parts)


def _marked(children: Iterable[Element | str]) -> list[str | Json]:
    parts: list[str | Json] = []
    for child in children:
        part = _BLANK.sub(" ", child) if isinstance(child, str) else _mark(child)
        if isinstance(part, str) and parts and isinstance(parts[-1], str):
            parts[-1] = _BLANK_BESIDE_BREAK.sub("\n", parts[-1] + part)
        elif part != "":
            parts.append(part)
    return parts


_BLANK_BESIDE_BREAK = re.compile(r" *\n *")


def _mark(element: Element) -> str | Json:
    kind = INLINE.get(element.tag)
    if kind is None:
        raise bad_request(
            f'can\'t parse rich message: tag "{element.tag}" is not allowed in a line of text'
        )
    if kind == "br":
        return "\n"
    if kind == "mathematical_expression":
        return {"type": kind, "expression": element.text().strip()}
    inside = _marked(element.children)
    text: object = inside[0] if len(inside) == 1 else inside or ""
    if kind == "url":
        return _anchor(element, text)
    if kind == "date_time":
        return {"type": kind, "text": text, "unix_time": _number(element.attrs.get("unix"), 0)}
    if kind in ("custom_emoji", "cite"):
        return {"type": "italic", "text": text} if kind == "cite" else element.text()
    return {"type": kind, "text": text}


def _anchor(element: Element, text: object) -> Json:
    if "href" in element.attrs:
        return {"type": "url", "text": text, "url": element.attrs["href"]}
    if "name" in element.attrs:
        return {"type": "anchor", "name": element.attrs["name"]}
    raise bad_request('can\'t parse rich message: tag "a" must have attribute "href" or "name"')


def _trimmed(parts: list[str | Json]) -> list[str | Json]:
    if parts and isinstance(parts[0], str):
        parts[0] = parts[0].lstrip(" \n")
    if parts and isinstance(parts[-1], str):
        parts[-1] = parts[-1].rstrip(" \n")
    return [part for part in parts if part != ""]

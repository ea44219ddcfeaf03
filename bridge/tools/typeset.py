"""Words as reportlab's paragraphs take them: each sign in a font that has it, in its place.

reportlab breaks lines at spaces and draws from left to right. Where a text is written otherwise,
its lines are broken and put in order here, and reportlab gets them one by one.
"""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import groupby
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from bridge.tools.blocks import Cell, Span
from bridge.tools.direction import (
    has_right_to_left,
    is_right_to_left,
    joined,
    levels,
    mirrored,
    visual,
)
from bridge.tools.emoji import SEQUENCE, VARIANT, Emoji, is_emoji
from bridge.tools.fonts import Fonts, fonts_for

BLUE: Final = "#0b57a4"
ALWAYS: Final = "0123456789•…?\ufffd"
EMOJI_SIZE: Final = 1.05  # of the letters beside it
SLACK: Final = 1.0  # points by which a line of ours stays narrower, so that nobody breaks it again
_NO_START: Final = frozenset(
    "、。，．！？：；）」』】〕〉》〗’”ーぁぃぅぇぉっゃゅょァィゥェォッャュョ々…·%)]},.!?:;"
)
_NO_END: Final = frozenset("（「『【〔〈《〖‘“([{")
# In these scripts signs change their place and form in ways that only a shaper knows.
_SHAPED: Final = ((0x0900, 0x0DFF), (0x0F00, 0x109F), (0x1780, 0x17FF), (0x1A20, 0x1AAF))


@dataclass(frozen=True, slots=True)
class Piece:
    """Signs of one font and look; a picture instead has a `source` and a size in points."""

    text: str
    font: str
    struck: bool = False
    link: str = ""
    source: str = ""
    width: float = 0.0
    height: float = 0.0


class Typesetter:
    """For one document: finds its fonts first, and tells afterwards what none of them had.

    `folder` is for pictures, and must be there until the document is drawn.
    """

    def __init__(self, text: str, folder: Path) -> None:
        text = _composed(text)
        self._emoji = Emoji(folder)
        if not text.isascii() and SEQUENCE.search(text):
            self._emoji.find()
        self._fonts: Fonts = fonts_for(text + joined(text) + ALWAYS, pictured=self._emoji.shows)
        self._instead = "\ufffd" if self._fonts.showing("\ufffd") else "?"
        self.missing: dict[str, None] = {}
        self.unshaped = any(low <= ord(char) <= high for char in set(text) for low, high in _SHAPED)

    def paragraph(
        self, spans: Cell, *, size: float, width: float, always: str = ""
    ) -> tuple[str, bool]:
        """Its markup, and whether it is read from the right; `always` is a look of all of it."""
        pieces = [piece for span in spans for piece in self._pieces(span, size, always)]
        text = "".join(span.text for span in spans)
        right = is_right_to_left(text)
        if not (has_right_to_left(text) or any(map(_is_wide, set(text)))):
            return _markup(pieces), right
        lines: list[str] = []
        for line in _lines([one for piece in pieces for one in _singles(piece)]):
            ordered = _ordered(line, right=right)
            lines += (_markup(ordered(part)) for part in _broken(line, width - SLACK, size))
        return "<br/>".join(lines), right

    def code(self, text: str, *, size: float, columns: int) -> str:
        """Lines of code of so many columns, of which a wide sign takes two."""
        shown = []
        for line in text.expandtabs(4).split("\n"):
            ones = [
                one for piece in self._pieces(Span(line, "c"), size, "") for one in _singles(piece)
            ]
            ordered = _ordered(ones, right=False)
            for part in _columns(ones, columns):
                shown.append(_markup(ordered(part)))
        return "\n".join(shown)

    def _pieces(self, span: Span, size: float, always: str) -> Iterator[Piece]:
        """A span in pieces of one font each."""
        style = "".join(sign for sign in "bi" if sign in span.style + always)
        style = "c" if "c" in span.style else style
        whole = Piece("", "", "s" in span.style, span.link)
        text = joined(_composed(span.text))
        if text.isascii():
            yield replace(whole, text=text, font=self._fonts.showing("0", style) or "")
            return
        at = 0
        for found in SEQUENCE.finditer(text):
            picture = is_emoji(found[0]) and self._emoji.shows(found[0])
            if picture:
                yield from self._signs(text[at : found.start()], style, whole, size)
                yield self._picture(found[0], whole, size)
                at = found.end()
        yield from self._signs(text[at:], style, whole, size)

    def _signs(self, text: str, style: str, whole: Piece, size: float) -> Iterator[Piece]:
        seen = (char for char in text if not _is_unseen(char))
        for font, chars in groupby(seen, key=lambda char: self._font(char, style)):
            run = "".join(chars)
            if font is not None:
                yield replace(whole, text=run, font=font)
                continue
            for char in run:
                yield from self._otherwise(char, style, whole, size)

    def _font(self, char: str, style: str) -> str | None:
        return self._fonts.showing("0" if char.isspace() else char, style)

    def _otherwise(self, char: str, style: str, whole: Piece, size: float) -> Iterator[Piece]:
        """What stands for a sign that no font has: its parts, its picture, or one that says so."""
        parts = unicodedata.normalize("NFKC", char)
        if parts != char and all(self._font(part, style) for part in parts):
            yield from self._signs(parts, style, whole, size)
        elif self._emoji.shows(char):
            yield self._picture(char, whole, size)
        else:
            self.missing[char] = None
            yield from self._signs(self._instead, style, whole, size)

    def _picture(self, sequence: str, whole: Piece, size: float) -> Piece:
        path, ratio = self._emoji.picture(sequence)
        height = size * EMOJI_SIZE
        return replace(whole, text=sequence, source=str(path), width=height * ratio, height=height)


def _composed(text: str) -> str:
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def _is_unseen(char: str) -> bool:
    """Marks for programs, such as those of direction, and choices between pictures."""
    return unicodedata.category(char) == "Cf" or "\ufe00" <= char <= VARIANT


def _is_wide(char: str) -> bool:
    """Whether it is of a script that has no spaces, as Chinese and Japanese."""
    return unicodedata.east_asian_width(char) in "WF" and not is_emoji(char)


def _singles(piece: Piece) -> Iterator[Piece]:
    """One piece for each sign with the marks on it."""
    if piece.source:
        yield piece
        return
    start = 0
    for at in range(1, len(piece.text) + 1):
        if at == len(piece.text) or unicodedata.category(piece.text[at]) not in ("Mn", "Me"):
            yield replace(piece, text=piece.text[start:at])
            start = at


def _lines(ones: Iterable[Piece]) -> Iterator[list[Piece]]:
    for ends, line in groupby(ones, key=lambda one: one.text == "\n"):
        if not ends:
            yield list(line)


def _ordered(line: Sequence[Piece], *, right: bool) -> "partial[list[Piece]]":
    """How a part of this line, which is a paragraph to the algorithm, is put in order."""
    deep = levels([one.text for one in line], right=right)
    return partial(
        _in_order, {id(one): level for one, level in zip(line, deep, strict=True)}, right
    )


def _in_order(deep: dict[int, int], right: bool, part: Sequence[Piece]) -> list[Piece]:
    ends = len(part)
    while ends and part[ends - 1].text.isspace():
        ends -= 1
    shown = part[:ends]
    of_part = [deep[id(one)] for one in shown]
    return [
        replace(shown[at], text=mirrored(shown[at].text)) if of_part[at] % 2 else shown[at]
        for at in visual(of_part, right=right)
    ]


def _broken(line: Sequence[Piece], width: float, size: float) -> Iterator[list[Piece]]:
    """A line in parts that fit, broken between words or, where there are none, between signs."""
    part: list[Piece] = []
    used = 0.0
    for chunk in _chunks(line):
        wide = [_width(one, size) for one in chunk]
        if part and used + _width_seen(chunk, wide) > width:
            yield part
            part, used = [], 0.0
        for one, of_one in zip(chunk, wide, strict=True):
            if part and used + of_one > width and not one.text.isspace():
                yield part
                part, used = [], 0.0
            part.append(one)
            used += of_one
    if part:
        yield part


def _width_seen(chunk: Sequence[Piece], wide: Sequence[float]) -> float:
    return sum(of for one, of in zip(chunk, wide, strict=True) if not one.text.isspace())


def _width(one: Piece, size: float) -> float:
    return one.width or _letters_width(one.text, one.font, size)


@lru_cache(maxsize=20_000)
def _letters_width(text: str, font: str, size: float) -> float:
    from reportlab.pdfbase.pdfmetrics import stringWidth

    return float(stringWidth(text, font, size))


def _chunks(line: Sequence[Piece]) -> Iterator[list[Piece]]:
    """What stays together: words with the spaces after them, and wide signs one by one."""
    chunk: list[Piece] = []
    for one in line:
        if chunk and _may_break(chunk[-1].text, one.text):
            yield chunk
            chunk = []
        chunk.append(one)
    if chunk:
        yield chunk


def _may_break(before: str, after: str) -> bool:
    if before.isspace() or after.isspace():
        return before.isspace() and not after.isspace()
    if before in _NO_END or after in _NO_START:
        return False
    return _is_wide(before[0]) or _is_wide(after[0])


def _columns(ones: Sequence[Piece], columns: int) -> Iterator[list[Piece]]:
    part: list[Piece] = []
    used = 0
    for one in ones:
        wide = 2 if one.source or _is_wide(one.text[0]) else 1
        if used + wide > columns:
            yield part
            part, used = [], 0
        part.append(one)
        used += wide
    yield part


def _markup(pieces: Iterable[Piece]) -> str:
    alike = groupby(pieces, key=lambda one: (one.font, one.struck, one.link, one.source))
    return "".join(_marked(list(run)) for _, run in alike)


def _marked(run: Sequence[Piece]) -> str:
    one = run[0]
    if one.source:
        # reportlab draws a picture in words where its whole line goes; 'middle' is that of letters
        size = f'width="{one.width:.2f}" height="{one.height:.2f}" valign="-{one.height * 0.2:.2f}"'
        marked = f"<img src={quoteattr(one.source)} {size}/>" * len(run)
    else:
        text = escape("".join(piece.text for piece in run)).replace("\n", "<br/>")
        marked = f"<font name={quoteattr(one.font)}>{text}</font>"
    if one.struck:
        marked = f"<strike>{marked}</strike>"
    return f'<a href={quoteattr(one.link)} color="{BLUE}">{marked}</a>' if one.link else marked

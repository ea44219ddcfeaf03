"""Tables of a text: their cells, and how they fit a phone."""

import unicodedata
from collections.abc import Iterator, Sequence
from typing import Final

from markdown_it.token import Token

from bridge.telegram.formulas import unicode_of
from bridge.telegram.render import CONTROLS

CELLS_MAX: Final = 34  # width of a phone held upright, in cells of its fixed-width font

Cells = list[Sequence[Token]]  # of one row of a table


def rows_of(tokens: Iterator[Token]) -> list[Cells]:
    """Take the rest of a table from the stream; every row has as many cells as the first."""
    rows: list[Cells] = []
    for token in tokens:
        match token.type:
            case "tr_open":
                rows.append([])
            case "inline":
                rows[-1].append(token.children or [])
            case "table_close":
                break
    return rows


def words_of(tokens: Sequence[Token]) -> str:
    """The text of inline tokens without any mark on it."""
    return "".join(words_of(token.children or []) or _content(token) for token in tokens)


def _content(token: Token) -> str:
    if token.type == "math_inline":
        return " ".join((unicode_of(token.content) or token.content).split())
    return token.content


def aligned(rows: list[Cells]) -> list[str]:
    """The table as lines of fixed-width text; none if these are too wide."""
    texts = [[CONTROLS.sub("", words_of(cell)).strip() for cell in row] for row in rows]
    widths = [max(cells_wide(text) for text in column) for column in zip(*texts, strict=True)]
    if sum(widths) + 3 * (len(widths) - 1) > CELLS_MAX:
        return []
    lines = []
    for row in texts:
        padded = [t + " " * (width - cells_wide(t)) for t, width in zip(row, widths, strict=True)]
        lines.append(" │ ".join(padded).rstrip())
    return [lines[0], "─┼─".join("─" * width for width in widths), *lines[1:]]


def cells_wide(text: str) -> int:
    """Width of `text` in cells of a fixed-width font. Source: Unicode, UAX 11."""
    cells, width, before = 0, 0, ""
    for character in text:
        if character == "\ufe0f":  # asks for the picture, which is two cells wide
            width = int(width == 1)
        elif before == "\u200d" or "\U0001f3fb" <= character <= "\U0001f3ff":
            width = 0  # is drawn into the picture before it
        elif unicodedata.category(character) in {"Mn", "Me", "Cf"}:
            width = 0
        else:
            width = 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1
        before = character
        cells += width
    return cells

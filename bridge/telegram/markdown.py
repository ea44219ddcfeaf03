"""What each construct of Markdown turns into in Telegram; `render` is the only caller.

The tokens are walked once; entities are counted in code points until the page is finished. What
counts as Markdown is in `syntax`.
"""

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise

from markdown_it.token import Token

from bridge.telegram.formulas import unicode_of
from bridge.telegram.links import address_of, names_other_host, web_host
from bridge.telegram.render import CONTROLS, Entity, Rendered, outer_first, trim, unit_offsets
from bridge.telegram.syntax import tokens_of
from bridge.telegram.tables import Cells, aligned, rows_of, words_of

QUOTE_OPEN_UNITS_MAX = 400  # a longer quote is shown folded
CODE_TAB_CELLS = 4  # Telegram turns a tab into one space, and code would lose its shape

_STYLES = {"strong": "bold", "em": "italic", "s": "strikethrough"}


def write(source: str) -> Rendered | None:
    """Render clean Markdown; None if it is nested too deep to be parsed without loss."""
    tokens = tokens_of(source)
    if tokens is None:
        return None
    writer = _Writer()
    writer.blocks(tokens)
    return writer.finish()


class _Writer:
    """The page written so far, and what is open on it.

    Blocks stand in boxes: the page, a quote, an item of a list. A box is the number of newlines
    between two of its blocks, and the indentation of its lines.
    """

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._length = 0  # of all pieces
        self._newlines = 0  # that end the last piece
        self._entities: list[Entity] = []
        self._starts: dict[str, list[int]] = defaultdict(list)  # of the open styles and quotes
        self._links: list[tuple[str, int, int]] = []  # the open ones: target, start, piece
        self._boxes = [(2, "")]
        self._lead: str | None = None  # stands between the start of a box and its first text
        self._numbers: list[int | None] = []  # of the next item of each open list; None: bullets

    def blocks(self, tokens: Iterable[Token]) -> None:
        """Write a whole document."""
        stream = pairwise([*tokens, Token("end", "", 0)])
        for token, after in stream:
            match token.type:
                case "inline":
                    self._inline(token.children or [])
                case "paragraph_open":
                    self._begin()
                case "heading_open":
                    self._begin()
                    self._open("bold")
                case "heading_close":
                    self._close("bold")
                case "fence" | "code_block":
                    self._code_block(token)
                case "math_block":
                    self._formula(token.content)
                case "summary_open":
                    self._begin()
                    self._open("bold")
                case "summary_close":
                    self._close("bold")
                    self._gap(1)
                    self._open("blockquote")
                    self._enter(2, "", lead="")
                case "details_close":
                    self._leave()
                    self._close("blockquote")
                case "hr":
                    self._begin(solid=True)
                    self._write("———")
                case "blockquote_open":
                    self._begin(solid=True)
                    self._open("blockquote")
                    self._enter(2, "", lead="")
                case "blockquote_close":
                    self._leave()
                    self._close("blockquote")
                case "bullet_list_open" | "ordered_list_open":
                    self._list(token)
                case "bullet_list_close" | "ordered_list_close":
                    self._numbers.pop()
                case "list_item_open":
                    spaced = after.type == "paragraph_open" and not after.hidden
                    self._item(token, gap=2 if spaced else 1)
                case "list_item_close":
                    self._leave()
                case "table_open":
                    self._table(rows_of(token for token, _ in stream))

    def finish(self) -> Rendered:
        """Strip the text and its entities, and count in UTF-16 units."""
        text = "".join(self._pieces)
        pre_starts = [entity.offset for entity in self._entities if entity.type == "pre"]
        first, last = trim(text, 0, len(text), pre_starts[0] if pre_starts else None)
        offsets = unit_offsets(text)
        entities = []
        for entity in self._entities:
            index = bisect_left(pre_starts, entity.offset)
            pre_start = pre_starts[index] if index < len(pre_starts) else None
            start, end = trim(text, entity.offset, entity.end, pre_start)
            if start < end:
                entity = entity.moved(*(offsets[at] - offsets[first] for at in (start, end)))
                if entity.type == "blockquote" and entity.length > QUOTE_OPEN_UNITS_MAX:
                    entity = replace(entity, type="expandable_blockquote")
                entities.append(entity)
        return Rendered(text[first:last], tuple(sorted(entities, key=outer_first)))

    def _write(self, text: str) -> None:
        text = CONTROLS.sub("", text)  # a character reference may smuggle one in
        newlines = len(text) - len(text.rstrip("\n"))
        self._newlines = newlines + (self._newlines if newlines == len(text) else 0)
        self._pieces.append(text)
        self._length += len(text)

    def _gap(self, newlines: int) -> None:
        """Bring the number of newlines at the end up to `newlines`, but write none at the top."""
        if self._length:
            self._write("\n" * (newlines - self._newlines))

    def _mark(
        self, kind: str, start: int, *, url: str | None = None, language: str | None = None
    ) -> None:
        self._entities.append(Entity(kind, start, self._length - start, url, language))

    def _open(self, kind: str) -> None:
        self._starts[kind].append(self._length)

    def _close(self, kind: str) -> None:
        """Bold in bold is one bold, a quote in a quote is one quote: the outermost counts."""
        start = self._starts[kind].pop()
        if not self._starts[kind]:
            self._mark(kind, start)

    def _enter(self, gap: int, indent: str, *, lead: str) -> None:
        self._boxes.append((gap, indent))
        self._lead = lead

    def _leave(self) -> None:
        self._boxes.pop()
        self._lead = None

    def _begin(self, *, solid: bool = False) -> None:
        """Start a block: on the line of its bullet, or on a line of its own if `solid`."""
        (gap, indent), lead, self._lead = self._boxes[-1], self._lead, None
        if lead is None:
            self._gap(gap)
        elif lead and solid:
            self._gap(1)
        if not solid:
            self._write(indent if lead is None else lead)

    def _code_block(self, token: Token) -> None:
        code = re.sub(r"\A(?:[^\S\n]*\n)+", "", token.content).rstrip().expandtabs(CODE_TAB_CELLS)
        if code:
            self._pre(code, next(iter(token.info.split()), None))

    def _pre(self, text: str, language: str | None = None) -> None:
        self._begin(solid=True)
        start = self._length
        self._write(text)
        self._mark("pre", start, language=language)

    def _formula(self, formula: str) -> None:
        text = unicode_of(formula)
        if text is None:
            self._pre(formula, "latex")
        else:
            self._begin()
            self._write(text.replace("\n", "\n" + self._boxes[-1][1]))

    def _list(self, token: Token) -> None:
        if self._lead is None and self._boxes[-1][1]:
            self._gap(1)  # a list in an item follows the words of the item at once
        else:
            self._begin(solid=True)
        self._lead = ""
        ordered = token.type == "ordered_list_open"
        self._numbers.append(int(token.attrs.get("start", 1)) if ordered else None)

    def _item(self, token: Token, *, gap: int) -> None:
        """Write the marker; `gap` is 2 in a list whose source has blank lines, else 1."""
        indent, number, checked = self._boxes[-1][1], self._numbers[-1], token.meta.get("checked")
        if self._lead is None:
            self._gap(gap)
        marker = "•" if checked is None else "☑" if checked else "☐"
        if number is not None:
            self._numbers[-1] = number + 1
            marker = f"{number}{token.markup}" + ("" if checked is None else f" {marker}")
        self._write(indent + marker)
        self._enter(gap, indent + "   ", lead=" ")

    def _inline(self, tokens: Sequence[Token]) -> None:
        for token in tokens:
            match token.type:
                case "softbreak" | "hardbreak":
                    self._write("\n" + self._boxes[-1][1])
                case "code_inline":
                    self._code(token.content)
                case "math_inline":
                    self._formula_in_line(token.content)
                case "image":
                    self._image(token)
                case "link_open":
                    link = str(token.attrs["href"]), self._length, len(self._pieces)
                    self._links.append(link)
                case "link_close":
                    self._close_link()
                case _ if token.nesting:
                    (self._open if token.nesting == 1 else self._close)(_STYLES[token.tag])
                case _:
                    self._write(token.content)

    def _code(self, text: str) -> None:
        """Code takes no style and no link: styles end before it and start again after it."""
        start = self._length
        if not self._links:
            for style in _STYLES.values():
                for since in self._starts[style][:1]:
                    self._mark(style, since)
                self._starts[style] = [start + len(text) for _ in self._starts[style]]
        self._write(text)
        if not self._links:
            self._mark("code", start)

    def _formula_in_line(self, formula: str) -> None:
        text = unicode_of(formula)
        if text is None:
            self._code(" ".join(formula.split()))
        else:
            self._write(" ".join(text.split()))

    def _image(self, token: Token) -> None:
        start, source = self._length, str(token.attrs["src"])
        self._write(f"🖼 {words_of(token.children or [])}".rstrip())
        if not self._links and web_host(source):
            self._mark("text_link", start, url=source)

    def _close_link(self) -> None:
        """Say what the words hide: another host, or an address that cannot be a link."""
        href, start, piece = self._links.pop()
        if self._links:
            return  # an address in angle brackets, in the words of a link
        words = "".join(self._pieces[piece:])
        host = web_host(href)
        if not words.strip():
            self._write(href if host else address_of(href))
        if host:
            self._mark("text_link", start, url=href)
            note = host if names_other_host(words, host) else ""
        else:
            note = address_of(href)
        if note and words.strip() and (host or note not in words):
            self._write(f" ({note})")

    def _table(self, rows: list[Cells]) -> None:
        """Aligned where it fits; a block of lines per row where not, or where links would go."""
        linked = any(t.type in {"link_open", "image"} for row in rows for cell in row for t in cell)
        lines = [] if linked else aligned(rows)
        if lines:
            self._pre("\n".join(lines))
            return
        names = [words_of(cell).strip().rstrip(":") for cell in rows[0]]
        for row in rows[1:]:
            self._begin()
            self._record(names, row)
        if len(rows) == 1:
            self._begin()
            self._write(" │ ".join(names))

    def _record(self, names: list[str], row: Cells) -> None:
        filled = [(name, cell) for name, cell in zip(names, row, strict=True) if words_of(cell)]
        for index, (name, cell) in enumerate(filled):
            self._write("\n" + self._boxes[-1][1] if index else "")
            if name:
                self._open("bold")
                self._write(f"{name}:")
                self._close("bold")
                self._write(" ")
            self._inline(cell)

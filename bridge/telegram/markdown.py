"""What each construct of Markdown turns into in Telegram; `render` is the only caller.

The tokens of markdown-it are walked once; entities are counted in code points until the page is
finished. Markdown is CommonMark with tables, strikethrough and task lists; HTML is text like any
other. Two constructs are off: text over `---` is no heading (models mean a rule, and every list
that is being written passes through it), `[label]: target` is no hidden definition (it would
vanish).

Source: CommonMark 0.31; GFM, tables and task lists; TDLib, HttpUrl.cpp and MessageEntity.cpp.
"""

import re
import unicodedata
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import pairwise

from markdown_it import MarkdownIt
from markdown_it.token import Token

from bridge.telegram.render import CONTROLS, Entity, Rendered, outer_first, trim, unit_offsets

NESTING_MAX = 20  # levels of lists and quotes; the parser leaves out what is deeper
QUOTE_OPEN_UNITS_MAX = 400  # a longer quote is shown folded
TABLE_CELLS_MAX = 34  # width of a phone held upright, in cells of its fixed-width font
CODE_TAB_CELLS = 4  # Telegram turns a tab into one space, and code would lose its shape

_STYLES = {"strong": "bold", "em": "italic", "s": "strikethrough"}
# Stricter than TDLib, which refuses the whole message for one link it does not accept: a host
# without a dot, a port that is none. A name before the host (user@host) only serves to mislead.
_WEB_URL = re.compile(r"https?://((?:[\w-]+\.)+[\w-]+)\.?(?::(\d{1,5}))?(?:[/?#]\S*)?", re.I)
_FILE_ENDING = r"(?:c|cpp|css|csv|html?|java|json|jsx?|log|pdf|php|sql|toml|tsx?|txt|xml|ya?ml)\b"
_HOST_IN_TEXT = re.compile(
    rf"https?://([\w.-]+)|(?<![^\s(<@\"'“‘«])((?:[\w-]+\.)+(?!{_FILE_ENDING})[^\W\d_]{{2,}})", re.I
)

Cells = list[Sequence[Token]]  # of one row of a table


def write(source: str) -> Rendered | None:
    """Render clean Markdown; None if it is nested too deep to be parsed without loss."""
    tokens = _parser().parse(source)
    if any(token.level >= NESTING_MAX - 1 for token in tokens):
        return None
    writer = _Writer()
    writer.blocks(tokens)
    return writer.finish()


@cache
def _parser() -> MarkdownIt:
    options = {"html": False, "maxNesting": NESTING_MAX, "tasklists": True}
    parser = MarkdownIt("commonmark", options)
    return parser.enable(["table", "strikethrough"]).disable(["lheading", "reference"])


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
                    self._table(_rows(token for token, _ in stream))

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

    def _image(self, token: Token) -> None:
        start, source = self._length, str(token.attrs["src"])
        self._write(f"🖼 {_words(token.children or [])}".rstrip())
        if not self._links and _web_host(source):
            self._mark("text_link", start, url=source)

    def _close_link(self) -> None:
        """Say what the words hide: another host, or an address that cannot be a link."""
        href, start, piece = self._links.pop()
        if self._links:
            return  # an address in angle brackets, in the words of a link
        words = "".join(self._pieces[piece:])
        host = _web_host(href)
        if not words.strip():
            self._write(href if host else _address(href))
        if host:
            self._mark("text_link", start, url=href)
            note = host if _names_other_host(words, host) else ""
        else:
            note = _address(href)
        if note and words.strip() and (host or note not in words):
            self._write(f" ({note})")

    def _table(self, rows: list[Cells]) -> None:
        """Aligned where it fits; a block of lines per row where not, or where links would go."""
        linked = any(t.type in {"link_open", "image"} for row in rows for cell in row for t in cell)
        lines = [] if linked else _aligned(rows)
        if lines:
            self._pre("\n".join(lines))
            return
        names = [_words(cell).strip().rstrip(":") for cell in rows[0]]
        for row in rows[1:]:
            self._begin()
            self._record(names, row)
        if len(rows) == 1:
            self._begin()
            self._write(" │ ".join(names))

    def _record(self, names: list[str], row: Cells) -> None:
        filled = [(name, cell) for name, cell in zip(names, row, strict=True) if _words(cell)]
        for index, (name, cell) in enumerate(filled):
            self._write("\n" + self._boxes[-1][1] if index else "")
            if name:
                self._open("bold")
                self._write(f"{name}:")
                self._close("bold")
                self._write(" ")
            self._inline(cell)


def _rows(tokens: Iterator[Token]) -> list[Cells]:
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


def _words(tokens: Sequence[Token]) -> str:
    """The text of inline tokens without any mark on it."""
    return "".join(_words(token.children or []) or token.content for token in tokens)


def _aligned(rows: list[Cells]) -> list[str]:
    """The table as lines of fixed-width text; none if these are too wide."""
    texts = [[CONTROLS.sub("", _words(cell)).strip() for cell in row] for row in rows]
    widths = [max(_cells_wide(text) for text in column) for column in zip(*texts, strict=True)]
    if sum(widths) + 3 * (len(widths) - 1) > TABLE_CELLS_MAX:
        return []
    lines = []
    for row in texts:
        padded = [t + " " * (width - _cells_wide(t)) for t, width in zip(row, widths, strict=True)]
        lines.append(" │ ".join(padded).rstrip())
    return [lines[0], "─┼─".join("─" * width for width in widths), *lines[1:]]


def _cells_wide(text: str) -> int:
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


def _web_host(url: str) -> str | None:
    """The host of a link that Telegram accepts, else None."""
    found = _WEB_URL.fullmatch(url)
    if found is None or (found[2] and not 0 < int(found[2]) < 65536):
        return None
    return found[1].lower()


def _address(url: str) -> str:
    """What is worth reading of a target that cannot be a link."""
    scheme, _, rest = url.partition(":")
    if scheme.lower() in {"mailto", "tel"}:
        return rest.partition("?")[0]
    return url.rstrip("/") if scheme.lower() in {"http", "https"} else ""


def _names_other_host(words: str, host: str) -> bool:
    """Whether the words of a link look like an address other than its target."""
    legible = unicodedata.normalize("NFKC", words)
    legible = "".join(letter for letter in legible if unicodedata.category(letter) != "Cf")
    for found in _HOST_IN_TEXT.finditer(legible):
        named = _parser().normalizeLink("http://" + (found[1] or found[2]))
        named = named.removeprefix("http://").lower().rstrip(".")
        if named.removeprefix("www.") != host.removeprefix("www."):
            return True
    return False

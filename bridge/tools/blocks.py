"""Markdown as the blocks of a document: what a writer of files has to draw, one after the other."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from bridge.models import clean_text

if TYPE_CHECKING:
    from markdown_it.token import Token

LINKED: Final = ("http://", "https://", "mailto:")
_MARKS: Final = {"strong": "b", "em": "i", "s": "s"}


@dataclass(frozen=True, slots=True)
class Span:
    """Words of one look: `style` holds b, i, s (struck) and c (code); `link` is an address."""

    text: str
    style: str = ""
    link: str = ""


Cell = list[Span]


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """heading, paragraph, item, quote, code, image, table or rule.

    `level` is that of a heading, or how deep an item lies; `marker` stands before an item. `text`
    is code, or the words below an image; `image` is a path in the job's folder.
    """

    kind: str
    spans: Cell = field(default_factory=list)
    level: int = 0
    marker: str = ""
    text: str = ""
    image: str = ""
    rows: list[list[Cell]] = field(default_factory=list)

    def words(self) -> str:
        """All that is to be read in it."""
        cells = [self.spans, *(cell for row in self.rows for cell in row)]
        said = "".join(span.text for cell in cells for span in cell)
        return f"{self.marker}{said}{self.text}"


def blocks_of(markdown: str) -> list[Block]:
    """The blocks of a text; HTML in it is text like any other."""
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    return list(_Reader().read(parser.parse(clean_text(markdown))))


def to_json(blocks: Sequence[Block]) -> list[dict[str, Any]]:
    """For another process."""
    return [asdict(block) for block in blocks]


def from_json(given: list[dict[str, Any]]) -> list[Block]:
    """The other way round."""

    def cell(spans: list[dict[str, str]]) -> Cell:
        return [Span(**span) for span in spans]

    return [
        Block(
            **{
                **block,
                "spans": cell(block["spans"]),
                "rows": [[cell(spans) for spans in row] for row in block["rows"]],
            }
        )
        for block in given
    ]


class _Reader:
    def __init__(self) -> None:
        self._lists: list[int | None] = []  # the next number of each list around; None = bullets
        self._marker = ""
        self._quotes = 0
        self._heading = 0
        self._rows: list[list[Cell]] | None = None

    def read(self, tokens: "Sequence[Token]") -> Iterator[Block]:
        for token in tokens:
            if token.type == "inline":
                yield from self._inline(token)
            elif token.type in ("fence", "code_block"):
                yield Block(kind="code", text=token.content.rstrip("\n"))
            elif token.type == "hr":
                yield Block(kind="rule")
            elif token.type == "table_close":
                yield Block(kind="table", rows=self._rows or [])
                self._rows = None
            else:
                self._enter(token)

    def _enter(self, token: "Token") -> None:
        match token.type:
            case "heading_open":
                self._heading = int(token.tag[1])
            case "heading_close":
                self._heading = 0
            case "bullet_list_open":
                self._lists.append(None)
            case "ordered_list_open":
                self._lists.append(int(token.attrGet("start") or 1))
            case "bullet_list_close" | "ordered_list_close":
                self._lists.pop()
            case "list_item_open":
                number = self._lists[-1]
                self._marker = "•" if number is None else f"{number}."
                self._lists[-1] = None if number is None else number + 1
            case "blockquote_open" | "blockquote_close":
                self._quotes += token.nesting
            case "table_open":
                self._rows = []
            case "tr_open":
                assert self._rows is not None
                self._rows.append([])

    def _inline(self, token: "Token") -> Iterator[Block]:
        spans: Cell = []
        for piece in _pieces(token.children or []):
            if isinstance(piece, Block) and self._rows is None:
                if spans:
                    yield self._block(spans)
                    spans = []
                yield piece
            elif isinstance(piece, Block):
                spans.append(Span(piece.text))
            else:
                spans.append(piece)
        if self._rows is not None:
            self._rows[-1].append(spans)
        elif spans:
            yield self._block(spans)

    def _block(self, spans: Cell) -> Block:
        marker, self._marker = self._marker, ""
        if self._heading:
            return Block(kind="heading", spans=spans, level=self._heading)
        if self._lists:
            return Block(kind="item", spans=spans, level=len(self._lists), marker=marker)
        return Block(kind="quote" if self._quotes else "paragraph", spans=spans)


def _pieces(tokens: "Sequence[Token]") -> Iterator[Span | Block]:
    styles: list[str] = []
    links: list[str] = []
    for token in tokens:
        kind = token.type.partition("_")[0]
        look = "".join(sorted({*styles}))
        link = links[-1] if links else ""
        if token.type == "image":
            path = str(token.attrGet("src") or "")
            yield Block(kind="image", image=path, text=token.content)
        elif token.type == "code_inline":
            yield Span(token.content, f"{look}c", link)
        elif token.type in ("softbreak", "hardbreak"):
            yield Span("\n" if token.type == "hardbreak" else " ", look, link)
        elif token.type == "text":
            if token.content:
                yield Span(token.content, look, link)
        elif kind in _MARKS:
            styles.append(_MARKS[kind]) if token.nesting > 0 else styles.pop()
        elif token.type == "link_open":
            address = str(token.attrGet("href") or "")
            links.append(address if address.startswith(LINKED) else "")
        elif token.type == "link_close":
            links.pop()

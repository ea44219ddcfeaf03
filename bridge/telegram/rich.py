"""The second look of a text: the HTML of a Rich Message, for tables, formulas and folded parts.

Made from the same tokens as the text with entities. Every word is escaped, no HTML of the text
itself gets through, and what would not fit Telegram's limits is not made at all: the caller then
sends the text with entities. Clients that cannot show such a message show nothing, and nobody is
told; so it is sent only where a chat has chosen it, or asks for it with a button.

Source: Bot API 10.1 and 10.3, InputRichMessage.
"""

from collections.abc import Sequence
from html import escape
from typing import Final

from markdown_it.token import Token

from bridge.telegram.links import address_of, names_other_host, web_host
from bridge.telegram.render import CONTROLS, clean
from bridge.telegram.syntax import tokens_of
from bridge.telegram.tables import aligned, rows_of, words_of

CHARS_MAX: Final = 32_768
BLOCKS_MAX: Final = 500
DEPTH_MAX: Final = 16
COLUMNS_MAX: Final = 20
COLUMNS_PLAIN_MAX: Final = 3  # a wider table is worth a rich message

_TAGS: Final = {"strong": "b", "em": "i", "s": "s"}
_HOLDERS: Final = {"blockquote": "blockquote", "details": "details"}
_TABLE: Final = ("table", "thead", "tbody", "tr", "th", "td")
_LISTS: Final = {"bullet_list": "ul", "ordered_list": "ol", "list_item": "li"}


def rich_html(markdown: str) -> str | None:
    """A text, or any prefix of one, as the HTML of a Rich Message; None if it cannot be one."""
    if len(markdown) > 2 * CHARS_MAX:
        return None
    tokens = tokens_of(clean(markdown))
    if tokens is None:
        return None
    page = _Page()
    page.blocks(tokens)
    fits = (
        page.chars <= CHARS_MAX
        and page.blocks_written <= BLOCKS_MAX
        and page.depth <= DEPTH_MAX
        and page.columns <= COLUMNS_MAX
    )
    return page.html() if fits and page.words else None


def worth_it(markdown: str) -> bool:
    """Whether entities cannot show it well: a large table, a formula of its own, a folded part."""
    if not any(sign in markdown for sign in ("|", "$$", "\\[", "<details", "<DETAILS")):
        return False
    stream = iter(tokens_of(clean(markdown)) or ())
    for token in stream:
        if token.type in ("math_block", "details_open"):
            return True
        if token.type == "table_open":
            rows = rows_of(stream)
            if len(rows[0]) > COLUMNS_PLAIN_MAX or not aligned(rows):
                return True
    return False


def tables_of(markdown: str) -> str:
    """The Markdown of the tables in a text and nothing else; empty when there are none."""
    if "|" not in markdown:
        return ""
    source = clean(markdown)
    lines = source.split("\n")
    tables = [
        "\n".join(lines[slice(*token.map)])
        for token in tokens_of(source) or ()
        if token.type == "table_open" and token.level == 0 and token.map
    ]
    return "\n\n".join(tables)


class _Page:
    """The HTML written so far, and what has been counted in it."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._open: list[tuple[str, int]] = []  # blocks that hold others: tag, piece behind it
        self.chars = 0
        self.words = False  # is there anything to read?
        self.blocks_written = 0
        self._box = ""  # of a task, in front of its first words
        self.depth = 1
        self.columns = 0  # of the widest table
        self._columns = 0  # so far of this row

    def html(self) -> str:
        return "".join(self._pieces)

    def blocks(self, tokens: Sequence[Token]) -> None:
        """Write a whole document."""
        for token in tokens:
            match token.type:
                case "inline":
                    self._inline(token.children or [])
                case "paragraph_open" | "paragraph_close" if not token.hidden:
                    self._tag("p", token)
                case "heading_open" | "heading_close":
                    self._tag(token.tag, token)
                case "summary_open" | "summary_close":
                    self._put("<summary>" if token.nesting == 1 else "</summary>")
                case "fence" | "code_block":
                    self._code(token)
                case "math_block":
                    self._block("tg-math-block", token.content)
                case "hr":
                    self.blocks_written += 1
                    self._put("<hr/>")
                case _ if token.tag in _TABLE:
                    self._table(token)
                case kind if token.nesting:
                    self._holder(kind.rpartition("_")[0], token)

    def _put(self, html: str) -> None:
        self._pieces.append(html)

    def _text(self, text: str) -> None:
        text = CONTROLS.sub("", text)  # a character reference may smuggle one in
        self.chars += len(text)
        self.words = self.words or bool(text.strip())
        self._put(escape(text))

    def _tag(self, tag: str, token: Token) -> None:
        self.blocks_written += token.nesting == 1
        self._put(f"<{tag}>" if token.nesting == 1 else f"</{tag}>")

    def _block(self, tag: str, text: str, *, language: str = "") -> None:
        self.blocks_written += 1
        self._put(f"<{tag}>")
        if language:
            self._put(f'<code class="language-{escape(language)}">')
        self._text(text)
        self._put(f"</code></{tag}>" if language else f"</{tag}>")

    def _code(self, token: Token) -> None:
        text = token.content.strip("\n")
        if text.strip():
            self._block("pre", text, language=next(iter(token.info.split()), ""))

    def _holder(self, kind: str, token: Token) -> None:
        """A quote, a folded part, a list, an item; one with nothing in it is taken back."""
        tag = _HOLDERS.get(kind) or _LISTS.get(kind)
        if tag is None:
            return
        if token.nesting == -1:
            self._close(tag)
            return
        start = token.attrs.get("start") if kind == "ordered_list" else None
        self._put(f"<{tag}>" if start is None else f'<{tag} start="{int(start)}">')
        self._open.append((tag, len(self._pieces)))
        self.blocks_written += 2 if tag == "li" else 1  # an item and at least what is in it
        self.depth = max(self.depth, 1 + sum(tag not in ("ul", "ol") for tag, _ in self._open))
        if "checked" in token.meta:
            self._box = "☑ " if token.meta["checked"] else "☐ "

    def _close(self, tag: str) -> None:
        _, behind = self._open.pop()
        if len(self._pieces) == behind and tag == "blockquote":
            self._pieces.pop()
        else:
            self._put(f"</{tag}>")

    def _table(self, token: Token) -> None:
        """A table or a part of one; its head and its body need no tags of their own."""
        if token.tag in ("thead", "tbody"):
            return
        self.blocks_written += token.type == "table_open"
        self._columns = 0 if token.tag == "tr" else self._columns + (token.nesting == 1)
        self.columns = max(self.columns, self._columns)
        tag = f"/{token.tag}" if token.nesting == -1 else token.tag
        align = str(token.attrs.get("style", "")).removeprefix("text-align:")
        if token.type == "table_open":
            self._put("<table bordered>")
        else:
            self._put(f'<{tag} align="{align}">' if align else f"<{tag}>")

    def _inline(self, tokens: Sequence[Token]) -> None:
        if self._box:
            self._text(self._box)
            self._box = ""
        links: list[tuple[str, list[Token]]] = []  # the open one: its target, the words in it
        for token in tokens:
            if token.type == "link_open":
                links.append((str(token.attrs["href"]), []))
                if len(links) == 1 and web_host(links[0][0]):
                    self._put(f'<a href="{escape(links[0][0])}">')
            elif token.type == "link_close":
                href, inside = links.pop()
                if not links:
                    self._close_link(href, words_of(inside))
            else:
                for _, inside in links:
                    inside.append(token)
                self._word(token, in_link=bool(links))

    def _word(self, token: Token, *, in_link: bool) -> None:
        match token.type:
            case "softbreak" | "hardbreak":
                self._put("<br/>")
            case "code_inline":
                self._mark("code", token.content)
            case "math_inline":
                self._mark("tg-math", token.content)
            case "image":
                self._image(token, in_link=in_link)
            case _ if token.nesting:
                tag = _TAGS[token.tag]
                self._put(f"<{tag}>" if token.nesting == 1 else f"</{tag}>")
            case _:
                self._text(token.content)

    def _mark(self, tag: str, text: str) -> None:
        self._put(f"<{tag}>")
        self._text(text)
        self._put(f"</{tag}>")

    def _image(self, token: Token, *, in_link: bool) -> None:
        source = str(token.attrs["src"])
        linked = not in_link and web_host(source)
        if linked:
            self._put(f'<a href="{escape(source)}">')
        self._text(f"🖼 {words_of(token.children or [])}".rstrip())
        if linked:
            self._put("</a>")

    def _close_link(self, href: str, words: str) -> None:
        """Say what the words hide, as the text with entities does."""
        host = web_host(href)
        if not words.strip():
            self._text(href if host else address_of(href))
        if host:
            self._put("</a>")
            note = host if names_other_host(words, host) else ""
        else:
            note = address_of(href)
        if note and words.strip() and (host or note not in words):
            self._text(f" ({note})")

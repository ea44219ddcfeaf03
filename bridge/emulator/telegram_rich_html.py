"""The HTML of a rich message, read strictly into a tree.

Unknown tags, tags that are not closed or closed in the wrong order, and blocks inside a line of
text are refused with the words the server has for HTML. Attributes nobody knows are ignored and
entities nobody knows stay as they are written, which shows them to the reader.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from html import unescape
from html.parser import HTMLParser

from bridge.emulator.telegram_state import ApiError, bad_request

INLINE = {
    "b": "bold",
    "strong": "bold",
    "i": "italic",
    "em": "italic",
    "u": "underline",
    "ins": "underline",
    "s": "strikethrough",
    "strike": "strikethrough",
    "del": "strikethrough",
    "tg-spoiler": "spoiler",
    "code": "code",
    "mark": "marked",
    "sub": "subscript",
    "sup": "superscript",
    "a": "url",
    "tg-math": "mathematical_expression",
    "tg-time": "date_time",
    "tg-emoji": "custom_emoji",
    "br": "br",
    "cite": "cite",
}
HEADINGS = {f"h{size}": size for size in range(1, 7)}
LINES = frozenset({"p", "pre", "footer", "aside", "summary", "caption", "tg-math-block", *HEADINGS})
HOLDERS = frozenset({"blockquote", "details", "li", "td", "th", "tg-thinking"})
FRAMES = {
    "ul": frozenset({"li"}),
    "ol": frozenset({"li"}),
    "table": frozenset({"caption", "thead", "tbody", "tfoot", "tr"}),
    "thead": frozenset({"tr"}),
    "tbody": frozenset({"tr"}),
    "tfoot": frozenset({"tr"}),
    "tr": frozenset({"td", "th"}),
}
# Where a tag that is a part of another may stand.
PARTS = {
    "li": frozenset({"ul", "ol"}),
    "summary": frozenset({"details"}),
    "caption": frozenset({"table"}),
    "thead": frozenset({"table"}),
    "tbody": frozenset({"table"}),
    "tfoot": frozenset({"table"}),
    "tr": frozenset({"table", "thead", "tbody", "tfoot"}),
    "td": frozenset({"tr"}),
    "th": frozenset({"tr"}),
}
VOID = frozenset({"br", "hr"})
KNOWN = frozenset({*INLINE, *LINES, *HOLDERS, *FRAMES, *VOID})
_ENTITIES = frozenset({"lt", "gt", "amp", "quot", "apos", "nbsp"})


@dataclass(slots=True)
class Element:
    """One tag with what is in it; the root has no tag."""

    tag: str
    attrs: dict[str, str] = field(default_factory=dict)
    children: list[Element | str] = field(default_factory=list)

    def text(self) -> str:
        """All words in it."""
        return "".join(c if isinstance(c, str) else c.text() for c in self.children)


def read_html(html: str) -> Element:
    """The tree. Raises: ApiError 400 that names the tag and the byte where it stands."""
    reader = _Reader(html)
    reader.feed(html)
    reader.close()
    if len(reader.open) > 1:
        raise _refused(f'Can\'t find end tag corresponding to start tag "{reader.open[-1].tag}"')
    return reader.open[0]


class _Reader(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=False)
        self._lines = html.split("\n")
        self.open = [Element("")]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in KNOWN:
            raise _refused(f'Unsupported start tag "{tag}" at byte offset {self._at()}')
        self._check_place(tag)
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        if len(self.open) == 1:
            raise _refused(f"Unexpected end tag at byte offset {self._at()}")
        expected = self.open[-1].tag
        if tag != expected:
            raise _refused(
                f"Unmatched end tag at byte offset {self._at()}, "
                f'expected "</{expected}>", found "</{tag}>"'
            )
        self.open.pop()

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_data(self, data: str) -> None:
        if self.open[-1].tag in FRAMES:
            if data.strip():
                raise _refused(f'Text is not allowed in tag "{self.open[-1].tag}"')
            return
        self.open[-1].children.append(data)

    def handle_entityref(self, name: str) -> None:
        self.handle_data(unescape(f"&{name};") if name in _ENTITIES else f"&{name};")

    def handle_charref(self, name: str) -> None:
        self.handle_data(unescape(f"&#{name};"))

    def handle_comment(self, data: str) -> None:
        raise _refused(f'Unsupported start tag "!--" at byte offset {self._at()}')

    def handle_decl(self, decl: str) -> None:
        raise _refused(f'Unsupported start tag "!{decl}" at byte offset {self._at()}')

    def _check_place(self, tag: str) -> None:
        parent = self.open[-1].tag
        where = f'Tag "{tag}" at byte offset {self._at()} is not allowed in tag "{parent}"'
        if tag in PARTS and parent not in PARTS[tag]:
            raise _refused(where)
        if parent in FRAMES and tag not in FRAMES[parent]:
            raise _refused(where)
        in_line = parent in INLINE or parent in LINES
        in_line_allowed = tag in INLINE and not (parent == "pre" and tag == "br")
        if in_line and not in_line_allowed:
            raise _refused(where)

    def _at(self) -> int:
        line, column = self.getpos()
        before = "\n".join([*self._lines[: line - 1], self._lines[line - 1][:column]])
        return len(before.encode())


def _refused(reason: str) -> ApiError:
    return bad_request(f"can't parse rich message: {reason}")

"""Markdown, as a model writes it, becomes text with the entities Telegram shows.

Called for every answer and for every frame of one that is still being written: an unclosed
fence, half a table or any other prefix gives a valid result. Entities are used, never a parse
mode, so no answer fails on its own punctuation. Texts of any length come out; `split` cuts.

What each construct of Markdown turns into is in `markdown`, which is loaded, with its parser,
by the first call of `render`: an idle process does not pay for it.

Source: Bot API, "Formatting options"; TDLib, MessageEntity.cpp.
"""

import re
from bisect import bisect_left
from dataclasses import asdict, dataclass
from itertools import accumulate

CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f]")

# What may lie inside a kind of entity, outermost first; a type not named below is a style.
_HOLDS = {
    "quote": {"link", "style", "code"},
    "link": {"style"},
    "style": {"quote", "link", "style"},
    "code": set[str](),
}
_RANKS = {kind: rank for rank, kind in enumerate(_HOLDS)}
_KINDS = {
    "blockquote": "quote",
    "expandable_blockquote": "quote",
    "text_link": "link",
    "pre": "code",
    "code": "code",
}
_SURROGATES = re.compile(r"[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Entity:
    """One MessageEntity: `offset` and `length` in UTF-16 units of the text it belongs to."""

    type: str
    offset: int
    length: int
    url: str | None = None
    language: str | None = None

    @property
    def end(self) -> int:
        """The offset behind the last unit."""
        return self.offset + self.length

    def moved(self, start: int, end: int) -> "Entity":
        """The same entity from `start` to `end`."""
        return Entity(self.type, start, end - start, self.url, self.language)

    def to_dict(self) -> dict[str, str | int]:
        """The Bot API's JSON: fields without a value are left out."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, slots=True)
class Rendered:
    """A text of any length and its entities, outer before inner."""

    text: str
    entities: tuple[Entity, ...] = ()


def render(markdown: str) -> Rendered:
    """Render any text, or any prefix of one, for Telegram. Never raises.

    Holds: the result is `valid`; its text has no whitespace at either end and neither has an
    entity, except that `pre` keeps the indentation of its first line (Telegram keeps it too: it
    trims a message up to its first entity). What cannot be rendered is returned as plain text.
    """
    from bridge.telegram.markdown import write

    source = clean(markdown)
    rendered = write(source)
    if rendered is None or not rendered.text or not valid(rendered):
        return plain(source)
    return rendered


def plain(text: str) -> Rendered:
    """`text` as it stands, cleaned and stripped, without entities."""
    return Rendered(clean(text).strip())


def clean(text: str) -> str:
    """What may leave this process: no C0 controls but newline and tab, no lone surrogates."""
    if _SURROGATES.search(text):
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return CONTROLS.sub("", text)


def utf16_length(text: str) -> int:
    """Length of `text` as Telegram counts it; a lone surrogate counts one."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def first_units(text: str, units_max: int) -> str:
    """The beginning of `text`, at most so many UTF-16 units, no character cut in two."""
    return text.encode("utf-16-le", "surrogatepass")[: 2 * units_max].decode("utf-16-le", "ignore")


def unit_offsets(text: str) -> list[int]:
    """The UTF-16 offset of each code point, and of the end."""
    if text.isascii():
        return list(range(len(text) + 1))
    return list(accumulate((2 if character > "\uffff" else 1 for character in text), initial=0))


def valid(rendered: Rendered) -> bool:
    """Whether Telegram takes these entities as they are, without refusing or cutting one."""
    offsets = unit_offsets(rendered.text)
    around: list[Entity] = []
    for entity in sorted(rendered.entities, key=outer_first):
        if not 0 <= entity.offset < entity.end <= offsets[-1]:
            return False
        for unit in (entity.offset, entity.end):
            if offsets[bisect_left(offsets, unit)] != unit:
                return False
        if entity.type == "text_link" and not entity.url:
            return False
        while around and around[-1].end <= entity.offset:
            around.pop()
        if around and entity.end > around[-1].end:
            return False
        if not all(_kind(entity) in _HOLDS[_kind(outer)] for outer in around):
            return False
        around.append(entity)
    return not _SURROGATES.search(rendered.text)


def outer_first(entity: Entity) -> tuple[int, int, int]:
    """Sorting key by which what encloses comes before what is enclosed."""
    return entity.offset, -entity.length, _RANKS[_kind(entity)]


def trim(text: str, start: int, end: int, pre_start: int | None = None) -> tuple[int, int]:
    """Narrow a range of code points to leave out outer whitespace, but no indentation of `pre`.

    `pre_start` is where the first `pre` in the range begins. The result is empty or negative if
    all of the range was whitespace.
    """
    part = text[start:end]
    first = start + len(part) - len(part.lstrip())
    if pre_start is not None and start <= pre_start < first:
        first = pre_start
    return first, start + len(part.rstrip())


def _kind(entity: Entity) -> str:
    return _KINDS.get(entity.type, "style")

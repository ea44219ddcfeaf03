"""Cut a rendered text into messages that Telegram accepts.

Called by whatever sends an answer, after `render`. Cuts between paragraphs where it can, else
between lines, else between words; links and inline code stay whole if they fit in a message;
code blocks are cut at the ends of lines and go on in the next message in the same language.
What a reader sees as one character is never cut unless it is longer than a message.

Nothing is lost but whitespace at the cuts, and messages of invisible characters only, which
Telegram refuses as empty.

Source: Bot API, sendMessage (4096) and MessageEntity; Unicode, UAX 29 (clusters); TDLib,
misc.cpp (strip_empty_characters).
"""

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

from bridge.telegram.render import Entity, Rendered, outer_first, plain, trim, unit_offsets, valid

MESSAGE_UNITS_MAX = 4096
MESSAGE_ENTITIES_MAX = 100  # Telegram ignores the rest

_WHOLE = frozenset({"text_link", "code"})
_SPACE = re.compile(r"\s*")
_VISIBLE = re.compile(
    r"[^\s\u030a\u0333\u033f\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f\u2800\u3000\ufeff\ufffc"
    r"\U000e0000-\U000e007f]"
)
_JOINER = "\u200d"
_VIRAMA = 9  # a class of combining marks
# Belong to the character before them, like combining marks: vowels and finals of Hangul,
# joiners, skin tones, tags that make a flag.
_CONTINUING = re.compile(r"[\u1160-\u11ff\u200c\u200d\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]")
_FLAG_LETTERS = "".join(chr(code) for code in range(0x1F1E6, 0x1F200))  # two make a flag


def split(
    rendered: Rendered, *, limit: int = MESSAGE_UNITS_MAX, entities_max: int = MESSAGE_ENTITIES_MAX
) -> list[Rendered]:
    """Cut `rendered` into parts of at most `limit` UTF-16 units (>= 2); a blank text has none.

    Holds: every part is valid and has at most `entities_max` entities; an entity that is cut
    goes on in the next part. Entities that are not valid to begin with are all dropped. Time
    is near linear in the length of the text.
    """
    assert limit >= 2, "one character may take two units"
    if not valid(rendered):
        rendered = plain(rendered.text)
    return list(_Cutter(rendered, limit, entities_max).parts())


class _Cutter:
    """Goes through one text from cut to cut; all its positions count code points."""

    def __init__(self, rendered: Rendered, limit: int, entities_max: int) -> None:
        self._text = rendered.text
        self._offsets = unit_offsets(rendered.text)
        self._limit = limit
        self._entities_max = entities_max
        self._marks = [self._mark(entity) for entity in sorted(rendered.entities, key=outer_first)]
        self._starts = [mark.offset for mark in self._marks]
        self._pre = [mark for mark in self._marks if mark.type == "pre"]
        self._whole = [mark for mark in self._marks if mark.type in _WHOLE and self._fits(mark)]
        self._next = 0  # index of the first mark that starts behind the last cut
        self._open: list[Entity] = []  # marks that started before the last cut and go on

    def parts(self) -> Iterator[Rendered]:
        """The parts in order."""
        start = self._skip_space(0)
        while start < len(self._text):
            end = self._cut(start)
            part = self._part(start, end)
            if _VISIBLE.search(part.text):
                yield part
            start = self._skip_space(end)

    def _mark(self, entity: Entity) -> Entity:
        """The same entity in code points."""
        start, end = (bisect_left(self._offsets, unit) for unit in (entity.offset, entity.end))
        return entity.moved(start, end)

    def _fits(self, mark: Entity) -> bool:
        return self._offsets[mark.end] - self._offsets[mark.offset] <= self._limit

    def _pre_behind(self, position: int) -> Entity | None:
        """The first code block that does not end before `position`."""
        index = bisect_right(self._pre, position, key=lambda pre: pre.end)
        return self._pre[index] if index < len(self._pre) else None

    def _skip_space(self, start: int) -> int:
        """Where the next part starts; a whole line of code keeps its indentation."""
        found = _SPACE.match(self._text, start)
        first = found.end() if found else start
        pre = self._pre_behind(first)
        if pre is None or pre.offset > first:
            return first
        line = self._text.rfind("\n", start, first) + 1
        return max(line, pre.offset) if line or pre.offset >= start else first

    def _part(self, start: int, end: int) -> Rendered:
        """The text between two cuts with what lies on it of each entity."""
        _, last = trim(self._text, start, end)
        while self._next < len(self._marks) and self._starts[self._next] < end:
            self._open.append(self._marks[self._next])
            self._next += 1
        entities = []
        for mark in self._open[: self._entities_max]:
            first = max(mark.offset, start)
            pre = self._pre_behind(first)
            pre_start = max(pre.offset, first) if pre else None
            first, behind = trim(self._text, first, min(mark.end, last), pre_start)
            if first < behind:
                units = (self._offsets[at] - self._offsets[start] for at in (first, behind))
                entities.append(mark.moved(*units))
        self._open = [mark for mark in self._open if mark.end > end]
        return Rendered(self._text[start:last], tuple(sorted(entities, key=outer_first)))

    def _cut(self, start: int) -> int:
        """The best place to end the part that begins at `start`."""
        full = bisect_right(self._offsets, self._offsets[start] + self._limit) - 1
        for window in (min(full, self._entities_end(start)), full):
            if window >= len(self._text):
                return len(self._text)
            cut = self._best(start, window)
            if cut > start:
                return cut
        return full

    def _entities_end(self, start: int) -> int:
        """Up to where the part that begins at `start` has no more entities than it may have."""
        self._open = [mark for mark in self._open if mark.end > start]
        room = self._entities_max - len(self._open)
        index = max(self._next + room, bisect_right(self._starts, start))
        return self._starts[index] if room > 0 and index < len(self._starts) else len(self._text)

    def _best(self, start: int, window: int) -> int:
        """The last good cut up to `window`, in its second half if there is one; else `start`."""
        middle = (start + window) // 2
        for separator, floor, unbroken in (
            ("\n\n", middle, (self._whole, self._pre)),
            ("\n", middle, (self._whole,)),
            (" ", middle, (self._whole, self._pre)),
            ("\n", start + 1, (self._whole,)),
            (" ", start + 1, (self._whole, self._pre)),
            (" ", start + 1, (self._whole,)),
        ):
            behind = window + len(separator)
            while (cut := self._text.rfind(separator, floor, behind)) > start:
                around = next(filter(None, (_around(marks, cut) for marks in unbroken)), None)
                if around is None:
                    return cut
                behind = around.offset + len(separator)
        return self._between_characters(start, window)

    def _between_characters(self, start: int, window: int) -> int:
        """The last place up to `window` that cuts no character, and if possible no link."""
        around = _around(self._whole, window)
        cut = around.offset if around and around.offset > start else window
        while cut > start and (_is_mark(self._text[cut]) or self._cuts_character(start, cut)):
            cut -= 1
        return cut

    def _cuts_character(self, start: int, cut: int) -> bool:
        before, after = self._text[cut - 1], self._text[cut]
        if before == _JOINER or _CONTINUING.match(after):
            return True
        if unicodedata.combining(before) == _VIRAMA:
            return after.isalpha()  # two consonants of an Indian script, drawn as one
        if after not in _FLAG_LETTERS:
            return False
        part = self._text[start:cut]
        return (len(part) - len(part.rstrip(_FLAG_LETTERS))) % 2 == 1


def _is_mark(character: str) -> bool:
    return unicodedata.category(character)[0] == "M"


def _around(marks: Sequence[Entity], cut: int) -> Entity | None:
    """The mark that `cut` would go through, of marks that do not overlap."""
    index = bisect_left(marks, cut, key=lambda mark: mark.offset) - 1
    return marks[index] if index >= 0 and marks[index].end > cut else None

"""A text of our own with entities, put together piece by piece; offsets count UTF-16 units."""

from typing import Any, Final

from bridge.clock import moment
from bridge.telegram.render import utf16_length

QUOTE: Final = "blockquote"
FOLDED_QUOTE: Final = "expandable_blockquote"
SHORT_TIME: Final = "dt"  # as the reader's own clock and language have it


class Marked:
    """A message under construction."""

    def __init__(self) -> None:
        self.text = ""
        self.entities: list[dict[str, Any]] = []

    def add(self, text: str, kind: str = "", **more: Any) -> "Marked":
        """More text; with a `kind` it is an entity."""
        if kind and text:
            place = {"offset": utf16_length(self.text), "length": utf16_length(text)}
            self.entities.append({"type": kind, **place, **more})
        self.text += text
        return self

    def line(self, text: str, kind: str = "", **more: Any) -> "Marked":
        """The same on a line of its own."""
        return self.add("\n" if self.text else "").add(text, kind, **more)

    def time(self, at: str, how: str = SHORT_TIME) -> "Marked":
        """A moment (a stamp), which the reader sees in the zone of their own; `how` as in the
        Bot API: d a date, t a time."""
        try:
            when = moment(at)
        except ValueError:  # written by hand
            return self.add(at)
        shown = f"{when:%Y-%m-%d %H:%M} UTC"  # for programs that do not know the entity
        return self.add(shown, "date_time", unix_time=int(when.timestamp()), date_time_format=how)

    def part(self, **more: Any) -> dict[str, Any]:
        """As a delivery takes it."""
        return {
            "do": "text",
            "text": self.text,
            "entities": self.entities,
            "silent": False,
            **more,
        }

"""The button below a text with tables: they are sent once more, as a Rich Message.

A client that cannot show such a message shows nothing; whoever presses has asked for it.
"""

from typing import Final

from bridge.deliveries import from_row
from bridge.store import Tx
from bridge.telegram.compose import Part
from bridge.telegram.gate import Incoming, Press
from bridge.telegram.texts import say


class RichCommands:
    """Carries the button out; there are no commands."""

    names: Final[tuple[str, ...]] = ()
    read_only: Final[tuple[str, ...]] = ()
    verbs: Final[tuple[str, ...]] = ("rt",)

    def command(self, tx: Tx, message: Incoming, name: str, argument: str) -> list[Part]:
        """There is none."""
        raise NotImplementedError

    def press(self, tx: Tx, press: Press, verb: str, number: int) -> tuple[str, list[Part]]:
        """The tables of a delivery, once more."""
        row = tx.one("delivery_of", id=number, chat_id=press.chat_id)
        parts = from_row(row).payload.get("parts", ()) if row is not None else ()
        tables = "\n\n".join(part["tables"] for part in parts if part.get("tables"))
        if not tables:
            return say(press.language, "table_gone"), []
        return "", [{"do": "rich", "markdown": tables, "asked": True, "reply_to": press.message_id}]

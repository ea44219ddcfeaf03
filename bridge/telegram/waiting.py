"""The messages of one chat that could not join the answer that is being made.

Some are taken into that answer, at its next call of the model; the others are the next turn, all
of one person together. None is ever dropped for its number.
"""

from collections.abc import Callable, Sequence
from itertools import takewhile

from bridge.telegram.gate import Incoming
from bridge.telegram.openings import asks_for_background
from bridge.telegram.said import changed
from bridge.telegram.signs import QUEUED, SEEN, Signs


class Waiting:
    """Messages in the order they came, each with its sign."""

    def __init__(self, signs: Signs) -> None:
        self._signs = signs
        self._items: list[Incoming] = []

    def __len__(self) -> int:
        return len(self._items)

    def add(self, messages: Sequence[Incoming]) -> None:
        """These wait for their turn."""
        self._items.extend(messages)
        for message in messages:
            self._signs.show(message, QUEUED)

    def has(self, message_id: int) -> bool:
        """Does this message wait?"""
        return any(item.message_id == message_id for item in self._items)

    def change(self, message: Incoming) -> bool:
        """The message with the text it has now, in its old place; False when it is not here."""
        for at, item in enumerate(self._items):
            if item.message_id == message.message_id:
                self._items[at] = changed(item, message)
                return True
        return False

    def take_for_answer(self, user_id: str) -> list[Incoming]:
        """What the running answer to this person may take in.

        Who asks for a job gets one, which is certain only in a turn of its own; whatever came
        after that keeps its place behind it. So does a reply, which may be about a job.
        """
        taken = self._take(
            lambda item: (
                item.user_id == user_id and not item.replied_to and not asks_for_background(item)
            )
        )
        for message in taken:
            self._signs.show(message, SEEN)
        return taken

    def take_turn(self) -> list[Incoming]:
        """What the next turn answers: all of one person; a reply is about one thing only."""
        first, *rest = self._items
        self._items = rest
        taken = [first]
        taken += self._take(lambda item: item.user_id == first.user_id and not item.replied_to)
        for message in taken:
            self._signs.clear(message)
        return taken

    def take_all(self) -> list[Incoming]:
        """Everything; it is not answered now, and its signs stay."""
        taken, self._items = self._items, []
        return taken

    def _take(self, fits: Callable[[Incoming], bool]) -> list[Incoming]:
        """As many as fit, without passing one that waits before them."""
        taken = list(takewhile(fits, self._items))
        del self._items[: len(taken)]
        return taken

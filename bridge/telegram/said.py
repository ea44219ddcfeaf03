"""What the messages of one request say: texts that a client cut are one, changes are the last word.

A bridge that was killed may have stored some of it already. What is stored stays as it is; what the
conversation does not have yet comes after it.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from bridge.agent.replies import text_of
from bridge.conversation import Message, without_tags
from bridge.telegram.gate import Incoming
from bridge.telegram.openings import source_of

PASTE_CHARS: Final = 4_000  # a client cuts a text at 4,096 units; from here on more may follow
PASTE_PAUSE_S: Final = 1.0  # for the next part of it


def is_cut(item: Incoming) -> bool:
    """Is this, by its length, a part of a longer text?"""
    return len(item.text) >= PASTE_CHARS and not item.files and not item.edited


def whole(batch: Sequence[Incoming]) -> list[Incoming]:
    """The messages, with every text that was cut put together again."""
    return [_joined(run) for run in _runs(batch)]


def unsaid(batch: Sequence[Incoming], stored: Sequence[Message]) -> list[Incoming]:
    """The same, so that a conversation that has some of them gets the others.

    The first one is there in any case: by it the request is known.
    """
    known = {message.source: text_of(message) for message in stored if message.source}
    items: list[Incoming] = []
    for run in _runs(batch):
        text = known.get(source_of(run[0]))
        if text is None:
            items.append(_joined(run))
            continue
        items.append(run[0])
        items += [item for item in run[1:] if without_tags(item.text) not in text]
        items += [correction(item) for item in run if item.edit_id is not None]
    return items


def correction(item: Incoming) -> Incoming:
    """A change of a message that was seen already, as a message of its own."""
    update_id = item.update_id if item.edit_id is None else item.edit_id
    return replace(item, update_id=update_id, edit_id=None, text=f"correction: {item.text}")


def changed(old: Incoming, new: Incoming) -> Incoming:
    """A message that nobody has seen yet, with the text it has now; both updates end with it."""
    return replace(
        old, text=new.text, edit_id=new.update_id, also=(*old.also, new.update_id, *new.also)
    )


def _runs(batch: Sequence[Incoming]) -> list[list[Incoming]]:
    runs: list[list[Incoming]] = []
    for item in batch:
        before = runs[-1][-1] if runs else None
        plain = not (item.quote or item.files or item.forwarded or item.has_file)
        if before is not None and plain and is_cut(before) and not before.forwarded:
            runs[-1].append(item)
        else:
            runs.append([item])
    return runs


def _joined(run: list[Incoming]) -> Incoming:
    if len(run) == 1:
        return run[0]
    return replace(run[0], text="".join(item.text for item in run))

"""Messages that waited when their person said stop: they stay until a button says what becomes of
them.

Their updates are still in the inbox, and which ones they are is a fact of the chat: a bridge that
starts again holds them as before. Going on, or clearing them, is one commit with the press.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from bridge.clock import Clock, stamp
from bridge.deliveries import owe
from bridge.store import Tx
from bridge.telegram import compose
from bridge.telegram.buttons import Signer
from bridge.telegram.compose import Part
from bridge.telegram.gate import Incoming, Press
from bridge.telegram.inbox import all_over
from bridge.telegram.texts import say

GO_ON = "qg"
CLEAR = "qc"


def ids_of(messages: Sequence[Incoming]) -> list[int]:
    """The updates of these messages."""
    return [update_id for item in messages for update_id in (item.update_id, *item.also)]


def held_updates(tx: Tx, chat_id: str, thread_id: int) -> list[int]:
    """The updates that are held in a chat."""
    value = tx.value("meta", name=_name(chat_id, thread_id))
    return list(json.loads(value)) if value else []


def all_held(tx: Tx) -> dict[tuple[str, int], set[int]]:
    """What is held, by chat and thread."""
    found: dict[tuple[str, int], set[int]] = {}
    for row in tx.all("metas", prefix="held:"):
        _, chat_id, thread_id = row["name"].split(":")
        found[chat_id, int(thread_id)] = set(json.loads(row["value"]))
    return found


def hold(tx: Tx, messages: Sequence[Incoming], signer: Signer, *, now: str) -> None:
    """Keep these messages, with what was held before, and owe the person the choice."""
    last = messages[-1]
    held = [*held_updates(tx, last.chat_id, last.thread_id), *ids_of(messages)]
    tx.run("put_meta", name=_name(last.chat_id, last.thread_id), value=json.dumps(held))
    part = compose.plain_part(say(last.language, "queue_held", count=len(held)), silent=True)
    part["buttons"] = signer.row(
        last.chat_id,
        (say(last.language, "button_go_on", count=len(held)), GO_ON, 0),
        (say(last.language, "button_clear_queue"), CLEAR, 0),
    )
    owe(
        tx,
        chat_id=last.chat_id,
        thread_id=last.thread_id,
        kind="reply",
        payload={"parts": [part]},
        dedupe_key=f"update:{last.update_id}:held",
        now=now,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldMessages:
    """The buttons: go on with them, or clear them. What the chat does then is its actor's."""

    clock: Clock
    names = ()
    read_only = ()
    verbs = (GO_ON, CLEAR)

    def command(self, tx: Tx, message: Incoming, name: str, argument: str) -> list[Part]:
        """There are no commands here."""
        raise NotImplementedError(name)

    def press(self, tx: Tx, press: Press, verb: str, number: int) -> tuple[str, list[Part]]:
        """Carry out a button; the second press finds nothing."""
        held = held_updates(tx, press.chat_id, press.thread_id)
        tx.run("drop_meta", name=_name(press.chat_id, press.thread_id))
        key = ("queue_goes_on" if verb == GO_ON else "queue_cleared") if held else "queue_empty"
        if verb == CLEAR:
            all_over(tx, held, state="done", now=stamp(self.clock.now()))
        text = say(press.language, key, count=len(held))
        part = compose.plain_part(text)
        if press.message_id is None:
            return text, []
        return text, [{**part, "do": "edit", "message_id": press.message_id}]


def _name(chat_id: str, thread_id: int) -> str:
    return f"held:{chat_id}:{thread_id}"

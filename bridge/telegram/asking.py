"""Cards that ask every owner the same thing, and say in every chat what one of them decided.

What is asked about is a number: a person, or a group (which is negative).
"""

from collections.abc import Callable, Iterable

from bridge.deliveries import owe
from bridge.store import Tx
from bridge.telegram.compose import Part
from bridge.telegram.gate import Press, language_of_chat


def ask_each(
    tx: Tx, owners: Iterable[int], about: int, part: Callable[[str, str], Part], *, now: str
) -> None:
    """Owe each owner the card `part(owner, language)`; in one moment only once."""
    for owner in sorted(owners):
        chat = str(owner)
        card = part(chat, language_of_chat(tx, chat))
        owe_notice(tx, chat, card, now=now, key=f"access:{about}:{now}:{owner}")


def close_cards(
    tx: Tx,
    about: int,
    part: Callable[[str], Part],
    *,
    but: tuple[str, int | None] = ("", None),
    now: str,
) -> None:
    """Every card about this shows `part(language)`; the message `but` is edited by its press."""
    for row in tx.all("access_cards", user_id=str(about)):
        owner = str(row["chat_id"])
        if row["status"] != "sent":
            tx.run("delivery_over", id=row["id"], status="dropped", error="decided before")
        elif row["message_id"] is not None and (owner, row["message_id"]) != but:
            shown = part(language_of_chat(tx, owner))
            edit = {**shown, "do": "edit", "message_id": row["message_id"], "silent": True}
            owe_notice(tx, owner, edit, now=now)


def owe_notice(tx: Tx, chat_id: str, part: Part, *, now: str, key: str | None = None) -> None:
    """Owe a chat one part that is no answer to anything."""
    owe(
        tx,
        chat_id=chat_id,
        thread_id=0,
        kind="notice",
        payload={"parts": [part]},
        now=now,
        dedupe_key=key,
    )


def edit_of(press: Press, part: Part) -> list[Part]:
    """The part in place of the message that was pressed, if it can still be seen."""
    if press.message_id is None:
        return []
    return [{**part, "do": "edit", "message_id": press.message_id}]

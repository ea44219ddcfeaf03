"""Groups: closed until an owner allows them, forgotten when the bot is no longer in them.

Every function works inside the caller's transaction. The id of a group is negative text, as that of
any chat; it changes when the group becomes a supergroup.
"""

from datetime import datetime
from typing import Final, Literal

from bridge.clock import stamp
from bridge.people import plain_name
from bridge.store import Tx

Status = Literal["asked", "allowed", "refused"]
MOVES: Final = (
    *("move_chat", "move_jobs", "move_schedules", "move_proposals"),
    *("move_group", "move_preferences", "move_messages", "move_conversations"),
    "move_hushed",
)


def allowed(tx: Tx) -> frozenset[str]:
    """The ids of the groups in which the bot answers."""
    return frozenset(row["chat_id"] for row in tx.all("groups_of_status", status="allowed"))


def status_of(tx: Tx, chat_id: str) -> Status | None:
    """Where a group stands; None for one nobody knows."""
    row = tx.one("group", chat_id=chat_id)
    if row is None:
        return None
    status: Status = row["status"]
    return status


def title_of(tx: Tx, chat_id: str) -> str:
    """What a group was called when the bot came into it."""
    row = tx.one("group", chat_id=chat_id)
    return str(row["title"]) if row is not None else ""


def note(tx: Tx, chat_id: str, *, title: str, added_by: str, now: datetime) -> bool:
    """The bot is in this group, and an owner is to be asked; False when it was known already."""
    title = plain_name(title)
    found = {"chat_id": chat_id, "title": title, "added_by": added_by}
    return bool(tx.run("insert_group", **found, now=stamp(now)))


def decide(tx: Tx, chat_id: str, status: Status, *, now: datetime) -> bool:
    """Open or refuse a group that is asked about; False when it no longer is."""
    return bool(tx.run("decide_group", chat_id=chat_id, status=status, now=stamp(now)))


def forget(tx: Tx, chat_id: str) -> None:
    """The bot is no longer in it: whoever brings it back is asked about anew."""
    tx.run("drop_group", chat_id=chat_id)


def move(tx: Tx, old_id: str, new_id: str) -> None:
    """The group became a supergroup: everything of it has the new id from now on."""
    for statement in MOVES:
        tx.run(statement, old_id=old_id, new_id=new_id)
    tx.wake("bridge")

"""Groups: closed until an owner allows them, forgotten when the bot is no longer in them.

Every function works inside the caller's transaction. The id of a group is negative text, as that of
any chat; it changes when the group becomes a supergroup.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal

from bridge import received
from bridge.clock import stamp
from bridge.deliveries import owe
from bridge.people import plain_name
from bridge.store import Tx

Status = Literal["asked", "allowed", "refused"]
MOVES: Final = (
    *("move_chat", "move_jobs", "move_schedules", "move_proposals"),
    *("move_group", "move_preferences", "move_messages", "move_conversations"),
    "move_hushed",
    *("move_files_of_jobs", "move_files_of_messages", "move_usage", "move_tool_calls"),
)
LISTED: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A group as the owners see it."""

    chat_id: str
    title: str
    status: Status


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


def listed(tx: Tx) -> list[Group]:
    """Every known group, the one decided about last first."""
    rows = tx.all("all_groups", limit=LISTED)
    return [Group(chat_id=r["chat_id"], title=r["title"], status=r["status"]) for r in rows]


def change(tx: Tx, chat_id: str, status: Status, *, now: datetime) -> bool:
    """Open or close a known group, whatever was decided before; False for an unknown one."""
    return bool(tx.run("set_group", chat_id=chat_id, status=status, now=stamp(now)))


def current(tx: Tx, chat_id: str) -> str:
    """The id that a group has now; a card that asks about it may know an older one."""
    return str(tx.value("meta", name=f"moved:{chat_id}") or chat_id)


def move(tx: Tx, old_id: str, new_id: str, *, files_dir: Path, now: datetime) -> None:
    """The group became a supergroup: everything of it has the new id from now on.

    Its messages begin to count anew: what is owed replies to none and changes none of before, and
    jobs that live get new cards.
    """
    received.follow(files_dir, old_id, new_id)
    for row in tx.all("open_parts_of", chat_id=old_id):
        payload = json.loads(row["payload"])
        payload["parts"] = [_anew(part) for part in payload.get("parts", ())]
        if payload["parts"]:
            tx.run("keep_parts", id=row["id"], payload=json.dumps(payload, ensure_ascii=False))
    live = tx.all("live_cards_of", chat_id=old_id)
    tx.run("drop_cards", chat_id=old_id)
    for statement in MOVES:
        tx.run(statement, old_id=old_id, new_id=new_id)
    tx.run("put_meta", name=f"moved:{old_id}", value=new_id)
    for job in live:
        card = {"job": job["id"]}
        key = f"job:{job['id']}:card:{new_id}"
        owe(
            tx,
            chat_id=new_id,
            thread_id=job["thread_id"],
            kind="card",
            payload=card,
            dedupe_key=key,
            now=stamp(now),
        )
    tx.wake("bridge")


def _anew(part: dict[str, Any]) -> dict[str, Any]:
    """A part as it can be sent to the new chat; buttons are signed for the old one."""
    if part["do"] == "buttons":  # without its message there is nothing to do
        return part
    left_out = ("reply_to", "buttons", "message_id")
    do = "text" if part["do"] == "edit" else part["do"]
    return {**{key: value for key, value in part.items() if key not in left_out}, "do": do}

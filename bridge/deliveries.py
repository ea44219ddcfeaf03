"""What is owed to a chat: rows of `deliveries`, written in the transaction of what they tell.

Whoever promises something (an answer, a job's result) adds the delivery in the same commit; the
bridge's outbox sends it. Workers know no Telegram: they store a job's id, the bridge renders it.
"""

import json
import sqlite3
from typing import Any

from bridge.models import Delivery, clean_text
from bridge.store import Tx


def in_telegram(chat_id: str) -> bool:
    """Only numbers are chats of Telegram; a job may also be added for nobody (`cli`)."""
    return chat_id.removeprefix("-").isascii() and chat_id.removeprefix("-").isdigit()


def owe(
    tx: Tx,
    *,
    chat_id: str,
    thread_id: int,
    kind: str,
    payload: dict[str, Any],
    now: str,
    dedupe_key: str | None = None,
) -> None:
    """Owe a chat something; the same `dedupe_key` twice is one delivery.

    `kind` says how the bridge renders it: reply and notice carry their parts, card, result and
    failure only the job's id.
    """
    if not in_telegram(chat_id):
        return
    tx.run(
        "insert_delivery",
        chat_id=chat_id,
        thread_id=thread_id,
        kind=kind,
        payload=clean_text(json.dumps(payload, ensure_ascii=False)),
        dedupe_key=dedupe_key,
        now=now,
    )
    tx.wake("bridge")


def from_row(row: sqlite3.Row) -> Delivery:
    """A row of `deliveries` as plain data."""
    return Delivery(
        id=row["id"],
        chat_id=row["chat_id"],
        thread_id=row["thread_id"],
        kind=row["kind"],
        payload=json.loads(row["payload"]),
        sent_parts=row["sent_parts"],
        status=row["status"],
        attempt=row["attempt"],
    )

"""Stored messages of the Messages API, one row each, append-only.

The conversation of a chat is `chat:<chat>:<thread>`, that of a job `job:<id>`. Content is kept as
the JSON that was sent or received and never rebuilt: thinking blocks and the prompt cache are valid
only for the same bytes. Every append happens inside the caller's transaction, so that a message
and its effect (a job, a delivery, a tool result) commit together.
"""

import json
import re
from dataclasses import dataclass, replace
from sqlite3 import Row
from typing import Any

from bridge.models import clean_text
from bridge.store import Tx

Block = dict[str, Any]
_OWN_TAG = re.compile(r"<(?=\s*/?\s*kitt-)", re.IGNORECASE)
THOUGHTS = ("thinking", "redacted_thinking")
SUMMARY = "summary:"  # before a name: what summing that conversation up has cost
# What a prompt may go on with below the request itself; it holds words of others.
EARLIER = "\n\nEarlier in the conversation (context only):\n"
DONE_SO_FAR = "\n\nDone so far, in the chat. Go on from here, and do nothing twice:\n"
EVENT_CHARS_MAX = 1_500  # of a result fed back to the chat; the rest is a get_job away


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message of a conversation; `source` says what it came from (an update, a job)."""

    role: str
    content: list[Block]
    source: str | None = None
    stop_reason: str | None = None
    id: int = 0

    def to_api(self) -> dict[str, Any]:
        """As the Messages API takes it."""
        return {"role": self.role, "content": self.content}


def chat_conversation(chat_id: str, thread_id: int) -> str:
    """Name of a chat's conversation."""
    return f"chat:{chat_id}:{thread_id}"


def job_conversation(job_id: int) -> str:
    """Name of a job's conversation."""
    return f"job:{job_id}"


def whose(conversation: str) -> tuple[str | None, int | None]:
    """The chat or the job a conversation belongs to, by its name; the other is None."""
    kind, _, rest = conversation.removeprefix(SUMMARY).partition(":")
    if kind == "job" and rest.isdecimal():
        return None, int(rest)
    return (rest.rpartition(":")[0], None) if kind == "chat" else (None, None)


def append(tx: Tx, conversation: str, message: Message, *, now: str) -> bool:
    """Append; False (and nothing stored) when this source is already there."""
    return bool(
        tx.run(
            "insert_message",
            conversation=conversation,
            role=message.role,
            content=clean_text(json.dumps(message.content, ensure_ascii=False)),
            source=message.source,
            stop_reason=message.stop_reason,
            now=now,
        )
    )


def load(tx: Tx, conversation: str) -> list[Message]:
    """Everything the model sees, oldest first; a summary of what was before it comes first.

    Thoughts from before a summary was made are left out: they are valid only after the very
    messages that stood before them.
    """
    shown = [_message(row) for row in tx.all("messages_of", conversation=conversation)]
    known = tx.one("summary_of", conversation=conversation)
    if known is None or not known["summary"]:
        return shown
    block = {"type": "text", "text": known["summary"]}
    summary = Message(role="user", content=[block], source=conversation)
    at = known["summary_at"]
    return [summary, *(_thoughtless(item) if item.id <= at else item for item in shown)]


def load_all(tx: Tx, conversation: str) -> list[Message]:
    """Everything that was ever said, oldest first, also what the model is no longer shown."""
    return [_message(row) for row in tx.all("all_messages_of", conversation=conversation)]


def _message(row: Row) -> Message:
    return Message(
        role=row["role"],
        content=json.loads(row["content"]),
        source=row["source"],
        stop_reason=row["stop_reason"],
        id=row["id"],
    )


def border(messages: list[Message], keep: int) -> int:
    """Where at least the last `keep` messages begin, so that no tool call is split; 0 = nowhere.

    Best before something that was said; in one long turn of tools, before one of its steps.
    """
    before = range(len(messages) - keep, 0, -1)
    said = (at for at in before if _is_said(messages[at]) and not _asks_tools(messages[at - 1]))
    steps = (at for at in before if messages[at].role == "assistant")
    return next(said, 0) or next((at for at in steps if messages[at - 1].role == "user"), 0)


def _is_said(message: Message) -> bool:
    return message.role == "user" and message.content[0].get("type") != "tool_result"


def _asks_tools(message: Message) -> bool:
    return message.stop_reason == "tool_use"


def _thoughtless(message: Message) -> Message:
    kept = [block for block in message.content if block.get("type") not in THOUGHTS]
    return replace(message, content=kept or [{"type": "text", "text": "…"}])


def without_tags(text: str) -> str:
    """Text from outside cannot open or close one of our own <kitt-…> marks."""
    return _OWN_TAG.sub("&lt;", text)


def append_event(
    tx: Tx,
    *,
    chat_id: str,
    thread_id: int,
    job_id: int,
    attempt: int,
    status: str,
    text: str,
    now: str,
) -> None:
    """Tell a chat's conversation how a job ended, so that "the second one" is understood.

    It is a user-role message, never a system one: a job's result may hold words of the web.
    """
    safe = without_tags(text[:EVENT_CHARS_MAX])
    block = {
        "type": "text",
        "text": f'<kitt-event job="{job_id}" status="{status}">{safe}</kitt-event>',
    }
    message = Message(role="user", content=[block], source=f"job:{job_id}:{attempt}:{status}")
    append(tx, chat_conversation(chat_id, thread_id), message, now=now)

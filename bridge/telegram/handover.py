"""A request in the chat that becomes a job: asked for, promised, or because no answer can be made.

The job, what the person is shown of it and the end of the update are one commit of the caller.
"""

import json
from collections.abc import Callable, Sequence
from typing import Final

from bridge import conversation
from bridge.conversation import Message
from bridge.models import Job, short
from bridge.queue import Queue
from bridge.store import Tx
from bridge.telegram.gate import Incoming
from bridge.telegram.openings import source_of, with_context, with_quote
from bridge.telegram.said import whole
from bridge.tools.jobs import Origin, note_queued, start_job

SO_FAR_CHARS_MAX: Final = 8_000
RESULT_CHARS_MAX: Final = 1_500


def origin_of(
    batch: Sequence[Incoming], is_owner: Callable[[Incoming], bool] = lambda _: False
) -> Origin:
    """Whose jobs those of this request are, and whether it may change those of others."""
    last = batch[-1]
    return Origin(
        chat_id=last.chat_id,
        thread_id=last.thread_id,
        user_id=last.user_id,
        message_id=last.message_id,
        source=source_of(batch[0]),
        files=tuple(file for item in batch for file in item.files),
        only_own=last.in_group and not is_owner(last),
        replied_to=next((item.replied_to for item in reversed(batch) if item.replied_to), 0),
    )


def hand_over(
    tx: Tx,
    queue: Queue,
    batch: Sequence[Incoming],
    *,
    acknowledgement: str,
    now: str,
    so_far: str = "",
) -> Job:
    """The messages of a person as one job; the conversation is told of it.

    `so_far` is what an answer that was begun has come to.
    """
    origin = origin_of(batch)
    name = conversation.chat_conversation(origin.chat_id, origin.thread_id)
    batch = whole(batch)
    text = "\n\n".join(with_quote(item) for item in batch)
    title = " ".join(filter(None, (item.words.strip() for item in batch)))
    title = title or ", ".join(file.name for file in origin.files)
    job = start_job(
        tx,
        queue,
        origin,
        prompt=with_context(tx, name, text, source=origin.source) + so_far,
        title=title,
        acknowledgement=acknowledgement,
    )
    note_queued(tx, job, title, now=now)
    return job


def so_far(history: Sequence[Message], source: str, written: str) -> str:
    """What was done for the request of this source, for a worker that goes on with it."""
    sources = [message.source for message in history]
    since = history[sources.index(source) + 1 :] if source in sources else ()
    lines = [line for message in since for line in _lines(message)]
    if written.strip():
        lines.append(f"said: {written.strip()}")
    if not lines:
        return ""
    done = "\n".join(lines)[-SO_FAR_CHARS_MAX:]
    return f"{conversation.DONE_SO_FAR}{done}"


def _lines(message: Message) -> list[str]:
    lines = []
    for block in message.content:
        match block.get("type"):
            case "text" if message.role == "assistant":
                lines.append(f"said: {block['text']}")
            case "tool_use":
                given = json.dumps(block["input"], ensure_ascii=False)
                lines.append(f"called {block['name']} with {short(given, RESULT_CHARS_MAX)}")
            case "tool_result":
                lines.append(f"result: {short(str(block['content']), RESULT_CHARS_MAX)}")
    return lines

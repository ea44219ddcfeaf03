"""A person's messages as the model sees them, and what they plainly ask for.

Our own marks (`<kitt-…>`) are added here and nowhere else; words that come from a person, a quote
or a forwarded message cannot contain one.
"""

import re
from itertools import takewhile
from typing import Any, Final

from bridge import conversation
from bridge.conversation import Message, without_tags
from bridge.models import Job, short
from bridge.people import plain_name
from bridge.shown import Room
from bridge.store import Tx
from bridge.telegram.gate import Incoming
from bridge.telegram.texts import patterns

CONTEXT_MESSAGES: Final = 6
ASKS_FOR_BACKGROUND: Final = re.compile(patterns("asks_for_background"), re.IGNORECASE)
ASKS_ABOUT_JOBS: Final = re.compile(patterns("asks_about_jobs"), re.IGNORECASE)
PROMISES: Final = re.compile(patterns("promises"), re.IGNORECASE | re.DOTALL)
STOPS: Final = re.compile(patterns("stops"), re.IGNORECASE)
DIRECTIVE: Final = (
    "<kitt-directive>The user asked for a background job: call start_background_job, or "
    "propose_schedule when it must recur.</kitt-directive>"
)
OUR_MARKS: Final = (
    "<kitt-event",
    "<kitt-state",
    "<kitt-directive",
    "<kitt-file",
    "<kitt-job",
    "<kitt-summary",
)
NO_TEXT: Final = "(no text)"
HEARD: Final = "\n(spoken; the words are a transcriber's)"


def asks_for_background(item: Incoming, skills: re.Pattern[str] | None = None) -> bool:
    """Does the person ask for a job in so many words? A question about jobs does not.

    `skills` are the words for what a skill does that always takes the background.
    """
    if item.forwarded or ASKS_ABOUT_JOBS.search(item.words):
        return False
    if skills is not None and skills.search(item.words):
        return True
    return bool(ASKS_FOR_BACKGROUND.search(item.words))


def says_stop(item: Incoming) -> bool:
    """Is it the word "stop", and nothing else?"""
    plain = not (item.forwarded or item.has_file or item.edited)
    return plain and STOPS.fullmatch(item.text.strip()) is not None


def promises(answer: str) -> bool:
    """Does the model say that it will do something later?"""
    return bool(PROMISES.search(answer))


def with_quote(item: Incoming) -> str:
    """The person's words, after what they reply to; forwarded words are a quote themselves."""
    said = without_tags(item.words)
    said += HEARD if item.heard else ""
    if item.forwarded:
        said = f"<kitt-quote>{said}</kitt-quote>\n(forwarded)"
    if item.files and not said.strip():
        said = NO_TEXT
    elif item.has_file and not item.files and not item.heard:
        said += "\n(A file is attached; you cannot open it yet. Say so.)"
    if item.quote:
        said = f"<kitt-quote>{without_tags(item.quote)}</kitt-quote>\n{said}"
    return (
        f"<kitt-from>{without_tags(plain_name(item.name))}</kitt-from>\n{said}"
        if item.in_group
        else said
    )


def with_context(tx: Tx, name: str, text: str, *, source: str) -> str:
    """A request for a worker that cannot see the chat, with the messages before it as context.

    `source` is that of the request, which may be stored already, with what was said to it.
    """
    lines = []
    earlier = list(takewhile(lambda item: item.source != source, conversation.load(tx, name)))
    for message in earlier[-CONTEXT_MESSAGES:]:
        texts = [str(block["text"]) for block in message.content if block.get("type") == "text"]
        said = " ".join(text for text in texts if not text.startswith(OUR_MARKS))
        if said:
            lines.append(f"{message.role}: {short(said, 1_000)}")
    if not lines:
        return text
    context = "\n".join(lines)
    return f"{text}{conversation.EARLIER}{context}"


def opening(item: Incoming, room: Room | None) -> Message:
    """One message of the person as the model sees it; a replay stores it once.

    Its files come first, as references; those that do not fit into `room` are only named, and
    without one all of them.
    """
    content = [room.block(file) if room else file.block("other") for file in item.files]
    text = with_quote(item) if item.words.strip() or item.has_file else "…"
    return Message(role="user", content=[*content, text_block(text)], source=source_of(item))


def remember_files(tx: Tx, item: Incoming, answer: str, *, now: str) -> None:
    """Let the conversation know files that no model has answered: they may be named later."""
    name = conversation.chat_conversation(item.chat_id, item.thread_id)
    said = Message(role="assistant", content=[text_block(answer)], stop_reason="end_turn")
    for message in (opening(item, None), said):
        conversation.append(tx, name, message, now=now)


def with_marks(
    openings: list[Message], jobs: list[Job], *, about: str, background: bool
) -> list[Message]:
    """The same with our own marks: how the chat's jobs stand, what a reply is about, what to do."""
    if about:
        openings[-1].content.insert(0, text_block(about))
    if jobs:
        openings[0].content.insert(0, text_block(f"<kitt-state>{state_of(jobs)}</kitt-state>"))
    if background:
        openings[-1].content.append(text_block(DIRECTIVE))
    return openings


def source_of(item: Incoming) -> str:
    """What its stored message, its jobs and its reply are known by."""
    return f"update:{item.update_id}"


def update_of(source: str) -> int | None:
    """The reverse of `source_of`; None for what came from elsewhere."""
    kind, _, number = source.partition(":")
    return int(number) if kind == "update" and number.isdigit() else None


def state_of(jobs: list[Job]) -> str:
    """The chat's live jobs in one line."""
    lines = [
        f"#{job.id} {job.status}"
        + (f" {job.progress:.0f}%" if job.progress is not None else "")
        + f" “{job.name}”"
        for job in jobs
    ]
    return without_tags(f"jobs: {'; '.join(lines)}")


def text_block(text: str) -> dict[str, Any]:
    """A text as the Messages API takes it."""
    return {"type": "text", "text": text}

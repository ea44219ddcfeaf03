"""What an emulated Telegram knows: chats, messages, files and calls, as plain data.

Only data and its translation to Bot API objects; the rules are in the modules that change it.
Bounds keep a day-long run in memory: see the constants. Times are Unix seconds where Telegram
shows them (`date`), and monotonic seconds where only a duration matters (`at`).
"""

from __future__ import annotations

import secrets
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Literal

Json = dict[str, Any]

MESSAGES_PER_CHAT_MAX = 20_000  # the oldest go first, as if nobody scrolled that far
EVENTS_PER_CHAT_MAX = 5_000  # a page that was away for longer loads the whole chat again
CALLS_MAX = 20_000


class ApiError(Exception):
    """An answer with `ok: false`: status, description and, for a flood, seconds to wait."""

    def __init__(self, status: int, description: str, *, retry_after: int | None = None) -> None:
        super().__init__(description)
        self.status = status
        self.description = description
        self.retry_after = retry_after

    def body(self) -> Json:
        """The JSON object the client gets."""
        body: Json = {"ok": False, "error_code": self.status, "description": self.description}
        if self.retry_after is not None:
            body["parameters"] = {"retry_after": self.retry_after}
        return body


def bad_request(reason: str) -> ApiError:
    """A 400 worded as Telegram words it."""
    return ApiError(400, f"Bad Request: {reason}")


@dataclass(slots=True, frozen=True, kw_only=True)
class StoredFile:
    """One uploaded file; `width` and `height` are 0 unless it is a picture we can measure."""

    kind: Literal["document", "photo"]
    name: str
    mime_type: str
    data: bytes = field(repr=False)
    width: int = 0
    height: int = 0
    file_id: str = field(default_factory=lambda: "BQAC" + secrets.token_urlsafe(36))
    unique_id: str = field(default_factory=lambda: "AgAD" + secrets.token_urlsafe(8))

    @property
    def path(self) -> str:
        """What getFile answers as `file_path`."""
        suffix = self.name.rpartition(".")[2] if "." in self.name else "bin"
        return f"{self.kind}s/file_{self.unique_id}.{suffix}"

    def to_api(self) -> Json:
        """The fields every file object of the Bot API shares, plus those of its kind."""
        shared: Json = {"file_id": self.file_id, "file_unique_id": self.unique_id}
        shared["file_size"] = len(self.data)
        if self.kind == "photo":
            return shared | {"width": self.width, "height": self.height}
        return shared | {"file_name": self.name, "mime_type": self.mime_type}


@dataclass(slots=True, frozen=True, kw_only=True)
class CallbackAnswer:
    """What the bot answered to one press of a button."""

    query_id: str
    data: str
    text: str
    show_alert: bool


@dataclass(slots=True, kw_only=True)
class ChatMessage:
    """One visible message. `text` is the caption when there is a file.

    `silent` is true when the bot asked for no sound; an edit never rings. `buttons` holds the
    rows of the inline keyboard as the bot sent them. `edits` counts changes of the content.
    """

    message_id: int
    chat_id: int
    from_bot: bool
    sender: Json
    date: int
    text: str = ""
    entities: list[Json] = field(default_factory=list)
    reply_to: int | None = None
    quote: Json | None = None
    buttons: list[list[Json]] = field(default_factory=list)
    document: StoredFile | None = None
    photo: StoredFile | None = None
    media_group_id: str | None = None
    thread_id: int | None = None
    silent: bool = False
    link_preview: Json | None = None
    edits: int = 0
    edited_at: int | None = None
    reaction: str | None = None
    answers: list[CallbackAnswer] = field(default_factory=list)

    @property
    def file(self) -> StoredFile | None:
        """The document or the photo, when there is one."""
        return self.document or self.photo


@dataclass(slots=True, kw_only=True)
class ChatEvent:
    """Something the chat page shows: a message by id, or a passing sign with its data."""

    seq: int
    kind: Literal["message", "deleted", "action", "draft", "toast", "status"]
    data: Json


@dataclass(slots=True, kw_only=True)
class Chat:
    """One chat the bot may write to, because a person opened it."""

    chat_id: int
    info: Json
    blocked: bool = False
    left: bool = False
    messages: dict[int, ChatMessage] = field(default_factory=dict)
    threads: set[int] = field(default_factory=set)
    menu_button: Json | None = None
    events: deque[ChatEvent] = field(default_factory=lambda: deque(maxlen=EVENTS_PER_CHAT_MAX))

    @property
    def private(self) -> bool:
        """True for a chat with one person; groups have negative ids."""
        return self.chat_id > 0

    def keep(self, message: ChatMessage) -> None:
        """Add a message, forgetting the oldest beyond the bound."""
        self.messages[message.message_id] = message
        if len(self.messages) > MESSAGES_PER_CHAT_MAX:
            del self.messages[next(iter(self.messages))]


@dataclass(slots=True, kw_only=True)
class CallbackQuery:
    """A pressed button, answerable until it is too old."""

    query_id: str
    chat_id: int
    message_id: int
    data: str
    at: float


@dataclass(slots=True, kw_only=True)
class Call:
    """One call of the bot. `status` is None while it is handled and 0 when the connection was
    dropped instead of answered; `done` says whether the effect was applied."""

    seq: int
    at: float
    method: str
    params: Json
    chat_id: int | None
    status: int | None = None
    done: bool = False
    ended_at: float | None = None


def message_to_api(message: ChatMessage, chat: Chat, *, with_reply: bool = True) -> Json:
    """The Bot API's Message object. The replied message is nested once, never deeper."""
    api: Json = {
        "message_id": message.message_id,
        "from": message.sender,
        "chat": chat.info,
        "date": message.date,
    }
    if message.thread_id is not None:
        api |= {"message_thread_id": message.thread_id, "is_topic_message": True}
    if message.edited_at is not None:
        api["edit_date"] = message.edited_at
    if message.media_group_id is not None:
        api["media_group_id"] = message.media_group_id
    if message.document is not None:
        api["document"] = message.document.to_api()
    if message.photo is not None:
        api["photo"] = [message.photo.to_api()]
    if message.text:
        api["text" if message.file is None else "caption"] = message.text
    if message.entities:
        api["entities" if message.file is None else "caption_entities"] = message.entities
    if message.link_preview is not None:
        api["link_preview_options"] = message.link_preview
    if message.quote is not None:
        api["quote"] = message.quote
    if message.buttons:
        api["reply_markup"] = {"inline_keyboard": message.buttons}
    if with_reply and message.reply_to is not None:
        original = chat.messages.get(message.reply_to)
        if original is not None:
            api["reply_to_message"] = message_to_api(original, chat, with_reply=False)
    return api


def message_to_view(message: ChatMessage) -> Json:
    """What the page and the control API show; files by their id, never their bytes."""
    return {
        "message_id": message.message_id,
        "from_bot": message.from_bot,
        "name": message.sender["first_name"],
        "date": message.date,
        "text": message.text,
        "entities": message.entities,
        "reply_to": message.reply_to,
        "quote": message.quote and message.quote["text"],
        "buttons": message.buttons,
        "document": message.document and message.document.to_api(),
        "photo": message.photo and message.photo.to_api(),
        "media_group_id": message.media_group_id,
        "thread_id": message.thread_id,
        "silent": message.silent,
        "edits": message.edits,
        "reaction": message.reaction,
        "answers": [
            {"query_id": a.query_id, "data": a.data, "text": a.text, "show_alert": a.show_alert}
            for a in message.answers
        ],
    }

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

FileKind = Literal["document", "photo", "voice", "audio", "video_note"]
EventKind = Literal[
    "message", "deleted", "action", "draft", "draft_ended", "toast", "status", "topics", "menu"
]


class ApiError(Exception):
    """An answer with `ok: false`: status, description and, for a flood, seconds to wait; for a
    group that became a supergroup, its new id."""

    def __init__(
        self,
        status: int,
        description: str,
        *,
        retry_after: int | None = None,
        migrate_to: int | None = None,
    ) -> None:
        super().__init__(description)
        self.status = status
        self.description = description
        self.retry_after = retry_after
        self.migrate_to = migrate_to

    def body(self) -> Json:
        """The JSON object the client gets."""
        body: Json = {"ok": False, "error_code": self.status, "description": self.description}
        if self.retry_after is not None:
            body["parameters"] = {"retry_after": self.retry_after}
        if self.migrate_to is not None:
            body["parameters"] = {"migrate_to_chat_id": self.migrate_to}
        return body


def bad_request(reason: str) -> ApiError:
    """A 400 worded as Telegram words it."""
    return ApiError(400, f"Bad Request: {reason}")


@dataclass(slots=True, frozen=True, kw_only=True)
class StoredFile:
    """One uploaded file; `width` and `height` are 0 unless it is a picture we can measure, and
    `duration` (whole seconds) is 0 unless it is a sound or a round video."""

    kind: FileKind
    name: str
    mime_type: str
    data: bytes = field(repr=False)
    width: int = 0
    height: int = 0
    duration: int = 0
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
        if self.kind == "video_note":
            return shared | {"length": self.width, "duration": self.duration}
        if self.kind == "voice":
            return shared | {"duration": self.duration, "mime_type": self.mime_type}
        if self.kind == "audio":
            shared["duration"] = self.duration
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
    rows of the inline keyboard as the bot sent them, `keyboard` any other markup. `edits` counts
    changes of the content. `rich` is a RichMessage instead of a text. `service` holds the field
    of a message that only reports (a topic, a new member). `reached` says whether the bot was
    shown it: with privacy on it sees only part of a group.
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
    keyboard: Json | None = None
    file: StoredFile | None = None
    rich: Json | None = None
    forward_origin: Json | None = None
    service: Json | None = None
    reached: bool = True
    media_group_id: str | None = None
    thread_id: int | None = None
    silent: bool = False
    link_preview: Json | None = None
    edits: int = 0
    edited_at: int | None = None
    reaction: str | None = None
    reactions: dict[int, str] = field(default_factory=dict)
    answers: list[CallbackAnswer] = field(default_factory=list)

    @property
    def document(self) -> StoredFile | None:
        """The file, when it is a document."""
        return self._file_of("document")

    @property
    def photo(self) -> StoredFile | None:
        """The file, when it is a photo."""
        return self._file_of("photo")

    @property
    def voice(self) -> StoredFile | None:
        """The file, when it is a voice message."""
        return self._file_of("voice")

    def _file_of(self, kind: FileKind) -> StoredFile | None:
        return self.file if self.file is not None and self.file.kind == kind else None


@dataclass(slots=True, kw_only=True)
class Draft:
    """A preview the bot shows for half a minute, in one thread of a private chat."""

    draft_id: int
    thread_id: int | None
    at: float
    text: str = ""
    entities: list[Json] = field(default_factory=list)
    rich: Json | None = None
    can_stop: bool = False
    keep_on_stop: bool = False


@dataclass(slots=True, kw_only=True)
class Topic:
    """One topic of a chat; its id is that of the message that made it."""

    thread_id: int
    name: str
    icon_color: int
    icon_custom_emoji_id: str = ""
    closed: bool = False


@dataclass(slots=True, kw_only=True)
class ChatEvent:
    """Something the chat page shows: a message by id, or a passing sign with its data."""

    seq: int
    kind: EventKind
    data: Json


@dataclass(slots=True, kw_only=True)
class Chat:
    """One chat the bot may write to, because a person opened it.

    `members` are the people of a group by user id, as the Bot API's User; `admins` those who
    run it. `bot_status` is the bot's own ChatMember status in a group.
    """

    chat_id: int
    info: Json
    blocked: bool = False
    bot_status: Literal["member", "administrator", "left", "kicked"] = "member"
    members: dict[int, Json] = field(default_factory=dict)
    admins: set[int] = field(default_factory=set)
    migrated_to: int | None = None
    topics: dict[int, Topic] = field(default_factory=dict)
    drafts: dict[int | None, Draft] = field(default_factory=dict)
    shows_rich: bool = True
    pinned: list[int] = field(default_factory=list)
    messages: dict[int, ChatMessage] = field(default_factory=dict)
    threads: set[int] = field(default_factory=set)
    menu_button: Json | None = None
    events: deque[ChatEvent] = field(default_factory=lambda: deque(maxlen=EVENTS_PER_CHAT_MAX))

    @property
    def private(self) -> bool:
        """True for a chat with one person; groups have negative ids."""
        return self.chat_id > 0

    @property
    def left(self) -> bool:
        """True when the bot is not in this group (any more)."""
        return self.bot_status in ("left", "kicked")

    def keep(self, message: ChatMessage) -> None:
        """Add a message, forgetting the oldest beyond the bound."""
        self.messages[message.message_id] = message
        if len(self.messages) > MESSAGES_PER_CHAT_MAX:
            del self.messages[next(iter(self.messages))]


@dataclass(slots=True, kw_only=True)
class CallbackQuery:
    """A pressed button, answerable until it is too old; `sent` is the update's content."""

    query_id: str
    chat_id: int
    message_id: int
    data: str
    at: float
    sent: Json


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

"""The one gate for every kind of update: deny by default, decided on who sent it.

What passes is turned into plain data (`Incoming`, `Press`); everything else ends here, unread by
any model. Of a group only what is meant for the bot passes (`addressed.py`); which groups are open
is decided later. Channels are closed. Text without a known sender is nobody's.
"""

from dataclasses import dataclass
from typing import Any, Final

from telegram import Message, Update

from bridge.models import clean_text
from bridge.received import Received
from bridge.store import Tx
from bridge.telegram.addressed import Me, addressed
from bridge.telegram.attached import Attached, attached_to, is_sound
from bridge.telegram.membership import GROUPS
from bridge.telegram.texts import language_of

QUOTE_CHARS_MAX: Final = 4_096  # a whole message
NOBODY: Final = Me(0, "")  # to whom nothing in a group is addressed


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """A message of someone in a private chat, or one in a group that is for the bot."""

    update_id: int
    chat_id: str
    thread_id: int
    user_id: str
    name: str
    language: str
    message_id: int
    text: str
    quote: str = ""  # of the message it replies to
    replied_to: int = 0  # its id when it is one of ours; 0 = none
    has_file: bool = False  # there is more to it than words
    attached: Attached | None = None  # a file that can be fetched
    is_sound: bool = False
    heard: str = ""  # what a transcriber made of it: never a command
    album: str = ""  # what its members share
    files: tuple[Received, ...] = ()  # those that were fetched
    also: tuple[int, ...] = ()  # updates of the other members of its album
    forwarded: bool = False  # someone else's words: never a command, never an instruction
    edited: bool = False
    edit_id: int | None = None  # the update that changed it, before anyone had seen it
    in_group: bool = False
    title: str = ""  # of the group
    sent_at: int = 0  # unix seconds, by Telegram's clock
    asked: tuple[int, ...] = ()  # updates of files that had waited for these words
    meant: bool = True  # for the bot; of an album in a group another member may say so

    @property
    def reply_to(self) -> int | None:
        """In a group an answer says what it answers."""
        return self.message_id if self.in_group else None

    @property
    def command(self) -> tuple[str, str] | None:
        """The command and its arguments, or None. `/job@bot 12` is `job`, `12`."""
        if self.forwarded or not self.text.startswith("/"):
            return None
        word = self.text.split(maxsplit=1)[0]
        argument = _lines(self.text[len(word) :].strip(), self.heard)
        return word[1:].partition("@")[0].lower(), argument

    @property
    def words(self) -> str:
        """What was written and what was said."""
        return _lines(self.text, self.heard)


@dataclass(frozen=True, slots=True, kw_only=True)
class Press:
    """A button pressed by someone."""

    update_id: int
    chat_id: str
    thread_id: int
    user_id: str
    name: str
    language: str
    callback_id: str
    data: str
    message_id: int | None
    replied: tuple[int, str] | None = None  # what the message with the button replies to
    in_group: bool = False


def read(update: Update, me: Me = NOBODY) -> Incoming | Press | None:
    """The update as plain data, or None for every kind KITT has no business with."""
    user = update.effective_user
    chat = update.effective_chat
    if user is None or user.is_bot or chat is None or chat.type not in ("private", *GROUPS):
        return None
    in_group = chat.type in GROUPS
    who: dict[str, Any] = {
        "update_id": update.update_id,
        "chat_id": str(chat.id),
        "user_id": str(user.id),
        "name": clean_text(user.full_name or "")[:100],
        "language": language_of(user.language_code),
        "in_group": in_group,
    }
    query = update.callback_query
    if query is not None:
        message = query.message
        return Press(
            **who,
            thread_id=_thread(message, in_group=in_group),
            callback_id=query.id,
            data=query.data or "",
            message_id=message.message_id if message is not None else None,
            replied=_replied(message),
        )
    received = update.message or update.edited_message
    if received is None or received.sender_chat is not None or _only_reports(received):
        return None
    said = received.text or received.caption or ""
    words = addressed(received, me) if in_group else said
    if words is None and (update.message is None or not received.media_group_id):
        return None
    return Incoming(
        **who,
        thread_id=_thread(received, in_group=in_group),
        title=clean_text(chat.title or ""),
        message_id=received.message_id,
        text=clean_text(said if words is None else words),
        meant=words is not None,
        quote=_quote(received),
        replied_to=_replied_to(received),
        has_file=received.text is None,
        attached=attached_to(received),
        is_sound=is_sound(received),
        album=received.media_group_id or "",
        forwarded=received.forward_origin is not None,
        edited=update.message is None,
        sent_at=int(received.date.timestamp()),
    )


def _only_reports(message: Message) -> bool:
    """Nobody said it: a topic was made, a message was pinned, and the like."""
    return (
        message.text is None
        and message.caption is None
        and message.effective_attachment is None
        and message.checklist is None
    )


def language_of_chat(tx: Tx, chat_id: str) -> str:
    """The one chosen in /settings, or that of a private chat's one person; unknown is English."""
    return str(tx.value("language_of_chat", chat_id=chat_id))


def _thread(message: object, *, in_group: bool) -> int:
    """The topic of a message; in a group without topics a thread is only a chain of replies."""
    thread_id: int = getattr(message, "message_thread_id", None) or 0
    return thread_id if not in_group or getattr(message, "is_topic_message", False) else 0


def _lines(*texts: str) -> str:
    return "\n".join(text for text in texts if text.strip())


def _replied(message: object) -> tuple[int, str] | None:
    replied = getattr(message, "reply_to_message", None)
    if replied is None:
        return None
    return replied.message_id, clean_text(replied.text or replied.caption or "")


def _replied_to(message: Message) -> int:
    replied = message.reply_to_message
    ours = replied is not None and replied.from_user is not None and replied.from_user.is_bot
    return replied.message_id if replied is not None and ours else 0


def _quote(message: Message) -> str:
    """What "this" means in a reply: the quoted part, or the message replied to."""
    if message.quote is not None:
        return clean_text(message.quote.text)[:QUOTE_CHARS_MAX]
    replied = message.reply_to_message
    if replied is None:
        return ""
    file = attached_to(replied)
    words = [file.name] if file is not None else []
    words.append(clean_text(replied.text or replied.caption or ""))
    return "\n".join(filter(None, words))[:QUOTE_CHARS_MAX]

"""What people do in an emulated Telegram: write, upload, edit, block.

Each action changes what is visible and queues the update the real server would queue. Actions
are plain calls, made on the event loop the emulator runs on.
"""

from __future__ import annotations

import mimetypes
from typing import TypedDict, Unpack

from bridge.emulator.telegram_image import picture_size
from bridge.emulator.telegram_objects import message_to_api
from bridge.emulator.telegram_privacy import reaches_bot
from bridge.emulator.telegram_state import Chat, ChatMessage, FileKind, Json, StoredFile
from bridge.emulator.telegram_text import TEXT_UNITS_MAX, automatic_entities, formatted
from bridge.emulator.telegram_world import TelegramWorld

DEFAULT_GROUP_MEMBER = 1  # who writes in a group when a test does not say


class Who(TypedDict, total=False):
    """Who sends and how; each field is optional, as in `People.send`."""

    user_id: int | None
    thread_id: int | None
    language: str
    reply_to: int | None
    first_name: str


class People(TelegramWorld):
    """The user side of the emulator."""

    def send(
        self,
        chat_id: int,
        text: str,
        *,
        user_id: int | None = None,
        thread_id: int | None = None,
        language: str = "en",
        reply_to: int | None = None,
        entities: list[Json] | None = None,
        first_name: str = "",
    ) -> Json:
        """A person writes `text`; the Bot API's Message. Commands, links and mentions get their
        entities by themselves. A negative `chat_id` is a group, where `user_id` says who writes.

        Raises: ApiError 400 for a text no client would send; ValueError when blocked.
        """
        shown, marked = formatted(text, entities, units_max=TEXT_UNITS_MAX)
        who = Who(
            user_id=user_id,
            thread_id=thread_id,
            language=language,
            reply_to=reply_to,
            first_name=first_name,
        )
        return self._say(chat_id, who, text=shown, entities=marked)

    def send_document(
        self,
        chat_id: int,
        name: str,
        data: bytes,
        *,
        caption: str = "",
        media_group_id: str | None = None,
        mime_type: str | None = None,
        **who: Unpack[Who],
    ) -> Json:
        """A person sends a file; members of one album share a `media_group_id`."""
        kind = mime_type or mimetypes.guess_type(name)[0] or "application/octet-stream"
        stored = StoredFile(kind="document", name=name, mime_type=kind, data=data)
        return self._say(chat_id, who, text=caption, file=stored, album=media_group_id)

    def send_photo(
        self,
        chat_id: int,
        name: str,
        data: bytes,
        *,
        caption: str = "",
        media_group_id: str | None = None,
        **who: Unpack[Who],
    ) -> Json:
        """A person sends a picture the way clients do by default: as a photo, without its name."""
        width, height = picture_size(data) or (0, 0)
        mime_type = mimetypes.guess_type(name)[0] or "image/jpeg"
        stored = StoredFile(
            kind="photo", name=name, mime_type=mime_type, data=data, width=width, height=height
        )
        return self._say(chat_id, who, text=caption, file=stored, album=media_group_id)

    def send_sound(
        self,
        chat_id: int,
        data: bytes,
        *,
        kind: FileKind = "voice",
        duration: int = 3,
        name: str = "",
        mime_type: str = "",
        **who: Unpack[Who],
    ) -> Json:
        """A person speaks: a voice message, a round video or a piece of `audio` with a name."""
        kinds = {"voice": "audio/ogg", "audio": "audio/mpeg", "video_note": "video/mp4"}
        if kind not in kinds:
            raise ValueError(f"a sound is one of {sorted(kinds)}, not {kind!r}")
        side = 240 if kind == "video_note" else 0
        endings = {"voice": "oga", "audio": "mp3", "video_note": "mp4"}
        stored = StoredFile(
            kind=kind,
            name=name or f"{kind}.{endings[kind]}",
            mime_type=mime_type or kinds[kind],
            data=data,
            width=side,
            height=side,
            duration=duration,
        )
        return self._say(chat_id, who, text="", file=stored)

    def edit(self, chat_id: int, message_id: int, text: str) -> Json:
        """A person changes an earlier message (of a file its caption); the new Message.

        Raises: LookupError for a message that is not there or is the bot's.
        """
        chat = self.chats[chat_id]
        message = chat.messages[message_id]
        if message.from_bot:
            raise LookupError(f"message {message_id} is not the person's")
        message.text, message.entities = formatted(text, None, units_max=TEXT_UNITS_MAX)
        message.edits += 1
        message.edited_at = int(self.now())
        api = message_to_api(message, chat)
        message.reached = message.reached or self._reaches(message, chat)
        if message.reached and not chat.left:
            self.updates.push("edited_message", api)
        self.show(chat, message)
        return api

    def block(self, chat_id: int) -> None:
        """The person blocks the bot: from now on every call to this chat is answered 403."""
        self._set_blocked(chat_id, blocked=True)

    def unblock(self, chat_id: int) -> None:
        """The person lets the bot write again."""
        self._set_blocked(chat_id, blocked=False)

    def push_update(self, raw: Json) -> None:
        """Queue any update, whatever `allowed_updates` says; without `update_id` it gets one."""
        self.updates.push_raw(raw)
        self.touch()

    def _say(
        self,
        chat_id: int,
        who: Who,
        *,
        text: str,
        entities: list[Json] | None = None,
        file: StoredFile | None = None,
        album: str | None = None,
        forward_origin: Json | None = None,
        buttons: list[list[Json]] | None = None,
    ) -> Json:
        chat = self.open_chat(chat_id, first_name=who.get("first_name") or "Sam")
        if chat.blocked:
            raise ValueError(f"chat {chat_id} has blocked the bot: unblock it before sending")
        if chat.migrated_to is not None:
            raise ValueError(f"chat {chat_id} became {chat.migrated_to}: write there")
        if not text and file is None:
            raise ValueError("a message needs a text or a file")
        thread_id = who.get("thread_id")
        if thread_id is not None:
            chat.threads.add(thread_id)
        if file is not None:
            self.store_file(file)
        message = ChatMessage(
            message_id=self.next_message_id(chat_id),
            chat_id=chat_id,
            from_bot=False,
            sender=person(chat, who),
            date=int(self.now()),
            text=text,
            entities=automatic_entities(text) if entities is None else entities,
            reply_to=who.get("reply_to"),
            file=file,
            media_group_id=album,
            thread_id=thread_id,
            forward_origin=forward_origin,
            buttons=buttons or [],
        )
        return self.deliver(chat, message)

    def deliver(self, chat: Chat, message: ChatMessage) -> Json:
        """Make a person's message visible and, if it is meant for the bot, an update."""
        if not chat.private:
            chat.members.setdefault(message.sender["id"], message.sender)
        message.reached = self._reaches(message, chat)
        self.add_message(chat, message)
        api = message_to_api(message, chat)
        if message.reached:
            self.updates.push("message", api)
        return api

    def _reaches(self, message: ChatMessage, chat: Chat) -> bool:
        return reaches_bot(message, chat, self.me, privacy=self.privacy)

    def _set_blocked(self, chat_id: int, *, blocked: bool) -> None:
        chat = self.open_chat(chat_id)
        if chat.blocked == blocked:
            return
        chat.blocked = blocked
        was, is_now = ("member", "kicked") if blocked else ("kicked", "member")
        self.report_membership(chat, person(chat, Who()), was, is_now)
        self.emit(chat, "status", {"blocked": blocked})


def person(chat: Chat, who: Who) -> Json:
    """The Bot API's User: in a private chat its id is the chat's, in a group it is a member."""
    user_id = who.get("user_id") or (chat.chat_id if chat.private else DEFAULT_GROUP_MEMBER)
    known = chat.members.get(user_id, {})
    name = who.get("first_name") or known.get("first_name") or chat.info.get("first_name", "Sam")
    language = who.get("language") or _language_of(user_id, chat)
    user: Json = {"id": user_id, "is_bot": False, "first_name": name, "language_code": language}
    return user | {"username": known["username"]} if "username" in known else user


def _language_of(user_id: int, chat: Chat) -> str:
    """A person presses buttons in the language they wrote in last."""
    written = (m.sender for m in reversed(chat.messages.values()) if not m.from_bot)
    known = chat.members.get(user_id, {}).get("language_code", "en")
    return next((str(who["language_code"]) for who in written if who["id"] == user_id), str(known))

"""What people do in an emulated Telegram: write, upload, press, edit, block.

Each action changes what is visible and queues the update the real server would queue. Actions
are plain calls, made on the event loop the emulator runs on.
"""

from __future__ import annotations

import mimetypes
from typing import TypedDict, Unpack

from bridge.emulator.telegram_image import picture_size
from bridge.emulator.telegram_state import (
    CallbackQuery,
    Chat,
    ChatMessage,
    Json,
    StoredFile,
    message_to_api,
)
from bridge.emulator.telegram_text import TEXT_UNITS_MAX, automatic_entities, formatted
from bridge.emulator.telegram_world import TelegramWorld, rows_of

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
        first_name: str = "Sam",
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

    def press(
        self, chat_id: int, message_id: int, button: str, *, user_id: int | None = None
    ) -> str:
        """Press the button with this callback data or visible text; the id of the query.

        Raises: LookupError when the message, or such a button on it, is not there (any more).
        """
        chat = self.chats[chat_id]
        message = chat.messages[message_id]
        data = _callback_data(message, button)
        query_id = self.next_query_id()
        self.queries[query_id] = CallbackQuery(
            query_id=query_id, chat_id=chat_id, message_id=message_id, data=data, at=self.clock()
        )
        query: Json = {
            "id": query_id,
            "from": _person(chat_id, Who(user_id=user_id), chat),
            "message": message_to_api(message, chat),
            "chat_instance": str(chat_id * 7919),
            "data": data,
        }
        self.updates.push("callback_query", query)
        self.touch()
        return query_id

    def edit(self, chat_id: int, message_id: int, text: str) -> Json:
        """A person changes an earlier message; the new Message. Raises: LookupError."""
        chat = self.chats[chat_id]
        message = chat.messages[message_id]
        if message.from_bot:
            raise LookupError(f"message {message_id} is not the person's")
        message.text, message.entities = formatted(text, None, units_max=TEXT_UNITS_MAX)
        message.edits += 1
        message.edited_at = int(self.now())
        api = message_to_api(message, chat)
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
    ) -> Json:
        chat = self.open_chat(chat_id, first_name=who.get("first_name", "Sam"))
        if chat.blocked:
            raise ValueError(f"chat {chat_id} has blocked the bot: unblock it before sending")
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
            sender=_person(chat_id, who, chat),
            date=int(self.now()),
            text=text,
            entities=automatic_entities(text) if entities is None else entities,
            reply_to=who.get("reply_to"),
            document=file if file and file.kind == "document" else None,
            photo=file if file and file.kind == "photo" else None,
            media_group_id=album,
            thread_id=thread_id,
        )
        self.add_message(chat, message)
        api = message_to_api(message, chat)
        if not chat.left:
            self.updates.push("message", api)
        return api

    def _set_blocked(self, chat_id: int, *, blocked: bool) -> None:
        chat = self.open_chat(chat_id)
        if chat.blocked == blocked:
            return
        chat.blocked = blocked
        was, is_now = ("member", "kicked") if blocked else ("kicked", "member")
        change: Json = {
            "chat": chat.info,
            "from": _person(chat_id, Who(), chat),
            "date": int(self.now()),
            "old_chat_member": _membership(self.me, was),
            "new_chat_member": _membership(self.me, is_now),
        }
        self.updates.push("my_chat_member", change)
        self.emit(chat, "status", {"blocked": blocked})


def _person(chat_id: int, who: Who, chat: Chat) -> Json:
    """The Bot API's User: in a private chat its id is the chat's."""
    user_id = who.get("user_id") or (chat_id if chat_id > 0 else DEFAULT_GROUP_MEMBER)
    name = who.get("first_name") or chat.info.get("first_name", "Sam")
    language = who.get("language") or _language_of(user_id, chat)
    return {"id": user_id, "is_bot": False, "first_name": name, "language_code": language}


def _language_of(user_id: int, chat: Chat) -> str:
    """A person presses buttons in the language they wrote in last."""
    written = (m.sender for m in reversed(chat.messages.values()) if not m.from_bot)
    return next((str(who["language_code"]) for who in written if who["id"] == user_id), "en")


def _membership(user: Json, status: str) -> Json:
    member: Json = {"user": user, "status": status}
    return member | {"until_date": 0} if status == "kicked" else member


def _callback_data(message: ChatMessage, wanted: str) -> str:
    buttons = rows_of(message.buttons)
    for name in ("callback_data", "text"):
        for button in buttons:
            if button.get(name) == wanted and "callback_data" in button:
                return str(button["callback_data"])
    shown = [button["text"] for button in buttons]
    raise LookupError(f"message {message.message_id} has no button {wanted!r}, only {shown}")

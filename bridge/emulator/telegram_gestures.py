"""What people do without a text of their own: react, forward, stop a draft."""

from __future__ import annotations

from typing import Unpack

from bridge.emulator.telegram_drafts import live_drafts
from bridge.emulator.telegram_people import People, Who, person
from bridge.emulator.telegram_state import Json


class Gestures(People):
    """The smaller things a person can do."""

    def react(self, chat_id: int, message_id: int, emoji: str, **who: Unpack[Who]) -> None:
        """Put a reaction on a message, or take one's own away with an empty `emoji`.

        The bot hears of it only when it asked for `message_reaction`, and in a group only as an
        administrator. The update has no thread. Raises: LookupError.
        """
        chat = self.chats[chat_id]
        message = chat.messages[message_id]
        user = person(chat, Who(**who))
        old = message.reactions.pop(user["id"], "")
        if emoji:
            message.reactions[user["id"]] = emoji
        self.show(chat, message)
        if chat.left or not (chat.private or chat.bot_status == "administrator"):
            return
        change: Json = {
            "chat": chat.info,
            "message_id": message_id,
            "user": user,
            "date": int(self.now()),
            "old_reaction": _types(old),
            "new_reaction": _types(emoji),
        }
        self.updates.push("message_reaction", change)

    def forward(self, chat_id: int, message_id: int, to_chat_id: int, **who: Unpack[Who]) -> Json:
        """A person passes a message on, with its buttons: a press on the copy comes from the
        other chat. The Bot API's Message. Raises: LookupError."""
        original = self.chats[chat_id].messages[message_id]
        origin: Json = original.forward_origin or {
            "type": "user",
            "sender_user": original.sender,
            "date": original.date,
        }
        return self._say(
            to_chat_id,
            Who(**who),
            text=original.text,
            entities=original.entities,
            file=original.file,
            forward_origin=origin,
            buttons=original.buttons,
        )

    def stop_draft(self, chat_id: int, *, thread_id: int | None = None) -> int:
        """Press Stop at the draft that is shown; its id. Raises: LookupError when none is, or
        when it has no such button."""
        chat = self.chats[chat_id]
        draft = live_drafts(chat, self.clock()).get(thread_id)
        if draft is None or not draft.can_stop:
            raise LookupError(f"chat {chat_id} shows no draft with a Stop button")
        draft.can_stop = False
        stopped: Json = {"chat": chat.info, "draft_id": draft.draft_id}
        if thread_id is not None:
            stopped["message_thread_id"] = thread_id
        self.updates.push("stopped_message_generation", stopped)
        if not draft.keep_on_stop:
            self.end_draft(chat, thread_id)
        self.touch()
        return draft.draft_id

    def client_shows_rich(self, chat_id: int, shows: bool) -> None:
        """Whether this chat is read on a client that knows rich messages; if not, it shows an
        empty bubble, and the bot is never told."""
        chat = self.open_chat(chat_id)
        chat.shows_rich = shows
        for message in chat.messages.values():
            if message.rich is not None:
                self.show(chat, message)


def _types(emoji: str) -> list[Json]:
    return [{"type": "emoji", "emoji": emoji}] if emoji else []

"""Presses of buttons, the honest ones and those a client should never make."""

from __future__ import annotations

from typing import Unpack

from bridge.emulator.telegram_objects import message_to_api
from bridge.emulator.telegram_people import People, Who, person
from bridge.emulator.telegram_state import CallbackQuery, ChatMessage, Json
from bridge.emulator.telegram_world import rows_of


class Presses(People):
    """People at the buttons of the bot's messages."""

    def press(self, chat_id: int, message_id: int, button: str, **who: Unpack[Who]) -> str:
        """Press the button with this callback data or visible text; the id of the query.

        In a group anybody can: `user_id` says who. Raises: LookupError when the message, or
        such a button on it, is not there (any more).
        """
        message = self.chats[chat_id].messages[message_id]
        return self.forge(chat_id, message_id, _callback_data(message, button), **who)

    def forge(self, chat_id: int, message_id: int, data: str, **who: Unpack[Who]) -> str:
        """A press with any callback data, as a tampered client sends it; the id of the query."""
        chat = self.chats[chat_id]
        message = chat.messages[message_id]
        query_id = self.next_query_id()
        query: Json = {
            "id": query_id,
            "from": person(chat, Who(**who)),
            "message": message_to_api(message, chat),
            "chat_instance": str(chat_id * 7919),
            "data": data,
        }
        return self._ask(chat_id, message_id, query)

    def replay(self, query_id: str, *, user_id: int | None = None) -> str:
        """An earlier press once more, word for word, whatever became of its button; by someone
        else when `user_id` says so. The id of the new query."""
        old = self.queries[query_id].sent
        query = old | {"id": self.next_query_id()}
        if user_id is not None:
            query["from"] = old["from"] | {"id": user_id}
        return self._ask(old["message"]["chat"]["id"], old["message"]["message_id"], query)

    def _ask(self, chat_id: int, message_id: int, query: Json) -> str:
        query_id = str(query["id"])
        self.queries[query_id] = CallbackQuery(
            query_id=query_id,
            chat_id=chat_id,
            message_id=message_id,
            data=str(query["data"]),
            at=self.clock(),
            sent=query,
        )
        self.updates.push("callback_query", query)
        self.touch()
        return query_id


def _callback_data(message: ChatMessage, wanted: str) -> str:
    buttons = rows_of(message.buttons)
    for name in ("callback_data", "text"):
        for button in buttons:
            if button.get(name) == wanted and "callback_data" in button:
                return str(button["callback_data"])
    shown = [button["text"] for button in buttons]
    raise LookupError(f"message {message.message_id} has no button {wanted!r}, only {shown}")

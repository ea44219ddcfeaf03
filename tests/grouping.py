"""A group with the bot in it, and what its members do there."""

from typing import Any, Final

import pytest
from chatting import CHAT, House, Person

from bridge.emulator.telegram_state import ChatMessage

GROUP: Final = -500
ANNA: Final = 99  # may use the bot once `allowed`
EVE: Final = 66  # a stranger


class Room:
    """A group, and what its members do there."""

    def __init__(self, house: House, chat_id: int = GROUP) -> None:
        self.house = house
        self.telegram = house.telegram
        self.chat_id = chat_id
        self.bot = f"@{house.telegram.me['username']}"

    def say(self, text: str, by: int = CHAT, **how: Any) -> int:
        name = {CHAT: "Sam", ANNA: "Anna", EVE: "Eve"}.get(by, "Bo")
        given = {"user_id": by, "first_name": name, **how}
        return int(self.telegram.send(self.chat_id, text, **given)["message_id"])

    def shown(self) -> list[ChatMessage]:
        return [each for each in self.telegram.messages(self.chat_id) if each.from_bot]

    async def ask(self, text: str, by: int = CHAT, **how: Any) -> ChatMessage:
        return await self.sees(after=self.say(text, by, **how))

    async def sees(self, words: str = "", *, after: int = 0) -> ChatMessage:
        return await self.telegram.wait_for(
            lambda _: next(
                (m for m in self.shown() if m.message_id > after and words in m.text), None
            )
        )

    async def press(self, message: ChatMessage, button: str, by: int) -> tuple[str, bool]:
        query_id = self.telegram.press(self.chat_id, message.message_id, button, user_id=by)
        answer = await self.telegram.wait_for(
            lambda e: next(
                (
                    each
                    for each in e.chats[self.chat_id].messages[message.message_id].answers
                    if each.query_id == query_id
                ),
                None,
            )
        )
        return answer.text, answer.show_alert

    def bot_comes(self, by: int, before: str = "left", after: str = "member") -> None:
        """The update of a changed membership of the bot, made by this person."""
        self.telegram.open_chat(self.chat_id)
        me = self.telegram.me
        who = {"id": by, "is_bot": False, "first_name": "Eve", "language_code": "en"}
        change = {
            "chat": {"id": self.chat_id, "type": "group", "title": "Birds.com"},
            "from": who,
            "date": 1,
            "old_chat_member": {"user": me, "status": before, "until_date": 0},
            "new_chat_member": {"user": me, "status": after, "until_date": 0},
        }
        self.telegram.push_update({"my_chat_member": change})


@pytest.fixture
def room(house: House) -> Room:
    return Room(house)


@pytest.fixture
async def opened(bridge: House, chat: Person, room: Room) -> Room:
    """The group after its owner has opened it, with Anna who may use the bot."""
    bridge.telegram.open_chat(ANNA)
    await chat.ask(f"/allow {ANNA}")
    room.bot_comes(CHAT)
    card = await chat.sees("May I answer there?")
    await chat.press(card.message_id, "✅ Allow")
    await room.sees("Here I answer")
    return room


def press_raw(room: Room, data: str, by: int) -> None:
    who = {"id": by, "is_bot": False, "first_name": "Sam", "language_code": "en"}
    group = {"id": GROUP, "type": "group", "title": "Birds"}
    message = {"message_id": 900_002, "date": 1, "chat": group, "text": "old"}
    query = {"id": "77", "from": who, "chat_instance": "1", "data": data, "message": message}
    room.telegram.push_update({"callback_query": query})

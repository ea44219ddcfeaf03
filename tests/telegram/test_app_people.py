"""Who is let in: the owner in private; everyone and everything else gets a line or nothing."""

from typing import Any

import pytest
from chatting import CHAT, House, Person
from waiting import until

from bridge import people
from bridge.emulator.telegram import TelegramEmulator

STRANGER = 99
LONG = "Pelicans are large water birds with a throat pouch. " * 30


@pytest.fixture
def stranger(house: House) -> Person:
    """Someone the bot does not know, in chat 99."""
    return Person(house, chat_id=STRANGER)


def user(number: int = STRANGER) -> dict[str, Any]:
    return {"id": number, "is_bot": False, "first_name": "Eve", "language_code": "en"}


def private(number: int = STRANGER) -> dict[str, Any]:
    return {"id": number, "type": "private", "first_name": "Eve"}


def message(number: int = STRANGER, **changes: Any) -> dict[str, Any]:
    body = {"message_id": 1, "date": 1, "chat": private(number), "from": user(number)}
    return {**body, "text": "Hello", **changes}


def of_a_bot() -> dict[str, Any]:
    return message() | {"from": user() | {"is_bot": True}}


async def quiet(house: House) -> None:
    """Everything that came is handled, and the model was asked nothing."""
    await house.settled()
    assert house.asked() == []


# Who is let in


@pytest.mark.parametrize(
    ("language", "line"),
    [
        ("en", "This is a private bot. I have asked its owner whether you may use it."),
        ("nl", "Dit is een privébot. Ik heb de eigenaar gevraagd of je hem mag gebruiken."),
    ],
)
async def test_a_stranger_gets_one_line_a_day_and_the_model_nothing(
    bridge: House, stranger: Person, language: str, line: str
) -> None:
    answer = await stranger.ask("Hello", language=language)
    for text in ("Hello?", "/help", "/bg Count the pelicans", "/start"):
        stranger.say(text, language=language)

    await quiet(bridge)
    assert answer.text == line
    assert stranger.texts() == [line]
    assert bridge.jobs() == []
    assert bridge.rows("SELECT DISTINCT state, raw FROM inbox") == [
        {"state": "refused", "raw": None}
    ]


async def test_nobody_is_let_in_when_nobody_owns_the_bot(house: House, chat: Person) -> None:
    house.set(owners=frozenset())
    await house.start()

    answer = await chat.ask("Hello")

    await quiet(house)
    assert answer.text.startswith("Nobody owns this bot yet")


@pytest.mark.parametrize(
    "update",
    [
        {"edited_message": message(edit_date=2)},
        {"message": message(forward_origin={"type": "user", "date": 1, "sender_user": user(CHAT)})},
        {
            "message": message(
                forward_origin={"type": "hidden_user", "date": 1, "sender_user_name": "Sam"}
            )
        },
        {
            "message": message(
                text=None, caption="Hello", document={"file_id": "x", "file_unique_id": "y"}
            )
        },
        {"message": message(reply_to_message=message(CHAT))},
        {"message": message(via_bot={"id": 5, "is_bot": True, "first_name": "Bot"})},
    ],
    ids=["edited", "forwarded from the owner", "forwarded", "file", "reply", "via bot"],
)
async def test_a_stranger_is_a_stranger_whatever_is_sent(
    bridge: House, telegram: TelegramEmulator, stranger: Person, update: dict[str, Any]
) -> None:
    telegram.open_chat(STRANGER)
    update = {
        kind: {k: v for k, v in body.items() if v is not None} for kind, body in update.items()
    }

    telegram.push_update(update)

    await stranger.sees("This is a private bot.")
    await quiet(bridge)


SILENT = {
    "callback": {
        "callback_query": {"id": "5", "from": user(), "chat_instance": "1", "data": "v1:jc:1:x"}
        | {"message": message()}
    },
    "callback without a message": {
        "callback_query": {"id": "5", "from": user(CHAT), "chat_instance": "1", "data": "x"}
    },
    "channel post": {
        "channel_post": {"message_id": 1, "date": 1, "text": "Hello"}
        | {"chat": {"id": -1005, "type": "channel", "title": "News"}}
    },
    "group of the owner": {
        "message": message(CHAT, chat={"id": -5, "type": "group", "title": "Birds"})
    },
    "supergroup of the owner": {
        "message": message(CHAT, chat={"id": -1005, "type": "supergroup", "title": "Birds"})
    },
    "command in a group": {
        "message": message(CHAT, text="/jobs", chat={"id": -5, "type": "group", "title": "Birds"})
    },
    "in the name of a channel": {
        "message": message(CHAT, sender_chat={"id": -1005, "type": "channel", "title": "News"})
    },
    "another bot": {"message": of_a_bot()},
    "membership": {
        "my_chat_member": {
            "chat": private(),
            "from": user(),
            "date": 1,
            "old_chat_member": {"user": user(1), "status": "member"},
            "new_chat_member": {"user": user(1), "status": "left"},
        }
    },
    "nothing known": {},
}


@pytest.mark.parametrize("update", SILENT.values(), ids=list(SILENT))
async def test_what_is_no_message_of_a_person_in_private_gets_no_word(
    bridge: House, telegram: TelegramEmulator, update: dict[str, Any]
) -> None:
    for chat_id in (STRANGER, -5, -1005):
        telegram.open_chat(chat_id)

    telegram.push_update(update)

    await until(lambda: bridge.rows("SELECT 1 FROM inbox WHERE state = 'refused'"))
    await quiet(bridge)
    assert [call for call in telegram.calls("sendMessage") if call.chat_id != CHAT] == []


async def test_a_group_gets_no_answer(bridge: House, telegram: TelegramEmulator) -> None:
    telegram.send(-5, "Hello @kitt_demo_bot", user_id=CHAT)
    telegram.send(-5, "/jobs@kitt_demo_bot", user_id=CHAT)

    await quiet(bridge)
    assert telegram.calls("sendMessage", -5) == []


async def test_a_stranger_cannot_press_a_button_of_the_owner(
    bridge: House, chat: Person, stranger: Person, telegram: TelegramEmulator
) -> None:
    card = await chat.ask("/bg Count the pelicans")

    stranger.press_raw(card.buttons[0][0]["callback_data"])

    await until(lambda: bridge.rows("SELECT 1 FROM inbox WHERE state = 'refused'"))
    assert bridge.jobs()[0]["status"] == "pending"
    assert stranger.shown() == []


# Claims


async def new_code(house: House) -> str:
    return await house.store.write(lambda tx: people.new_claim(tx, house.clock.now()))


async def test_a_code_makes_an_owner(bridge: House, stranger: Person) -> None:
    answer = await stranger.ask(f"/start {await new_code(bridge)}")

    assert answer.text.startswith("You are now the owner of this bot.\n\nHello Sam! I am KITT.")
    assert (await stranger.ask("What is 17 * 23?")).text == "That is 391."


async def test_a_code_works_once(bridge: House, stranger: Person, house: House) -> None:
    code = await new_code(bridge)
    await stranger.ask(f"/start {code}")
    other = Person(house, chat_id=98)

    answer = await other.ask(f"/start {code}")

    assert answer.text.startswith("This code is not valid (any more).")
    other.say("Hello")
    await quiet(bridge)
    assert len(other.shown()) == 1


async def test_a_wrong_code_is_refused(bridge: House, stranger: Person) -> None:
    await new_code(bridge)

    answer = await stranger.ask("/start AAAAAAAAAAAAAAAAAAAAAA", language="nl")
    stranger.say("Hello")

    await quiet(bridge)
    assert answer.text.startswith("Deze code is niet (meer) geldig.")
    assert bridge.rows("SELECT role FROM users WHERE user_id = '99'") == [{"role": "stranger"}]


async def test_a_code_in_a_group_makes_no_owner(
    bridge: House, stranger: Person, telegram: TelegramEmulator
) -> None:
    code = await new_code(bridge)

    telegram.send(-5, f"/start {code}", user_id=STRANGER)

    await quiet(bridge)
    assert bridge.rows("SELECT * FROM users WHERE role = 'owner'") == []


async def test_an_owner_by_claim_is_one_after_a_restart(house: House, stranger: Person) -> None:
    await house.start()
    await stranger.ask(f"/start {await new_code(house)}")
    await house.stop()
    await house.start()

    assert (await stranger.ask("What is 17 * 23?")).text == "That is 391."

"""What owners decide about people, by a tap or a command; nobody else decides anything."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from chatting import CHAT, OTHER, House, Person
from waiting import until

from bridge.emulator.telegram_state import ChatMessage
from bridge.telegram.buttons import Signer

STRANGER = 99
BUTTONS = ["✅ Allow", "⛔ Refuse", "🚫 Block"]


@pytest.fixture
def anna(house: House) -> Person:
    """Someone the bot does not know, in chat 99."""
    return Person(house, chat_id=STRANGER, language="nl")


@pytest.fixture
def second(house: House) -> Person:
    """The other owner, in chat 8."""
    return Person(house, chat_id=OTHER)


@pytest.fixture
async def two_owners(house: House) -> House:
    """A bridge with two owners."""
    house.telegram.open_chat(OTHER)
    house.set(owners=frozenset({CHAT, OTHER}))
    await house.start()
    return house


async def knocks(anna: Person, owner: Person, **how: Any) -> ChatMessage:
    """A stranger writes; the card of the owner."""
    anna.say("Hoi", **{"first_name": "Anna", **how})
    return await owner.sees("asks for access")


async def lets_in(chat: Person, anna: Person) -> None:
    """An owner allows someone who did not write yet."""
    chat.telegram.open_chat(anna.chat_id)
    await chat.ask(f"/allow {anna.chat_id}")
    await anna.sees("You may use this bot now.")


def role_of(house: House, user_id: int = STRANGER) -> str:
    rows = house.rows("SELECT role FROM users WHERE user_id = :id", id=str(user_id))
    return str(rows[0]["role"])


def labels(message: ChatMessage) -> list[str]:
    return [button["text"] for row in message.buttons for button in row]


# The card


async def test_every_owner_is_asked_about_a_stranger(
    two_owners: House, chat: Person, second: Person, anna: Person
) -> None:
    first_card = await knocks(anna, chat)
    second_card = await second.sees("asks for access")

    assert first_card.text == second_card.text == "👤 Anna (id 99) asks for access."
    assert labels(first_card) == BUTTONS


async def test_an_owner_is_asked_once_a_day(bridge: House, chat: Person, anna: Person) -> None:
    await knocks(anna, chat)
    anna.say("Hallo?")
    anna.say("/help")
    await bridge.settled()
    assert len(chat.shown()) == 1

    day = timedelta(hours=24, seconds=1)
    real = bridge.clock.now
    bridge.clock.now = lambda: real() + day  # type: ignore[method-assign]
    anna.say("Hallo?")

    await until(lambda: len(chat.shown()) == 2)
    await bridge.settled()
    assert len(anna.shown()) == 2


async def test_a_name_can_be_no_link_and_no_second_line(
    bridge: House, chat: Person, anna: Person
) -> None:
    name = "evil.com\n✅ Allowed\u202e @all"

    card = await knocks(anna, chat, first_name=name)

    assert card.text == "👤 evil.com ✅ Allowed @all (id 99) asks for access."
    code = {"type": "code", "offset": 3, "length": len("evil.com ✅ Allowed @all")}
    assert code in card.entities


async def test_a_tap_lets_someone_in_and_they_hear_it_in_their_language(
    bridge: House, chat: Person, anna: Person
) -> None:
    card = await knocks(anna, chat)

    await chat.press(card.message_id, "✅ Allow")

    await anna.sees("Je mag deze bot nu gebruiken.")
    assert (await anna.ask("What is 17 * 23?")).text == "That is 391."
    shown = await chat.sees("Allowed by")
    assert shown.text == "👤 Anna (id 99) asks for access.\n✅ Allowed by Sam."
    assert (shown.message_id, shown.buttons) == (card.message_id, [])


async def test_whoever_was_let_in_is_so_after_a_restart(
    house: House, chat: Person, anna: Person
) -> None:
    await house.start()
    card = await knocks(anna, chat)
    await house.stop()
    await house.start()
    await chat.press(card.message_id, "✅ Allow")
    await anna.sees("Je mag deze bot nu gebruiken.")
    await house.stop()
    await house.start()

    assert (await anna.ask("What is 17 * 23?")).text == "That is 391."


@pytest.mark.parametrize(
    ("button", "role", "said"),
    [
        ("⛔ Refuse", "stranger", "⛔ Refused by Sam."),
        ("🚫 Block", "blocked", "🚫 Blocked by Sam."),
    ],
)
async def test_whoever_is_refused_or_blocked_hears_nothing(
    bridge: House, chat: Person, anna: Person, button: str, role: str, said: str
) -> None:
    card = await knocks(anna, chat)
    await bridge.settled()
    before = anna.texts()

    await chat.press(card.message_id, button)
    await chat.sees(said)
    anna.say("Hallo?")

    await bridge.settled()
    assert role_of(bridge) == role
    assert anna.texts() == before
    assert bridge.asked() == []


async def test_the_cards_of_all_owners_say_what_one_decided(
    two_owners: House, chat: Person, second: Person, anna: Person
) -> None:
    card = await knocks(anna, chat)
    await second.sees("asks for access")
    await two_owners.settled()

    await chat.press(card.message_id, "🚫 Block")

    shown = await second.sees("🚫 Blocked by Sam.")
    assert (shown.buttons, len(second.shown())) == ([], 1)


async def test_of_two_owners_who_tap_at_once_one_decides(
    two_owners: House, chat: Person, second: Person, anna: Person
) -> None:
    mine = await knocks(anna, chat)
    theirs = await second.sees("asks for access")

    queries = [
        chat.telegram.press(CHAT, mine.message_id, "✅ Allow"),
        chat.telegram.press(OTHER, theirs.message_id, "🚫 Block"),
    ]
    first, other = await asyncio.gather(
        chat.answer_to(mine.message_id, queries[0]), second.answer_to(theirs.message_id, queries[1])
    )

    await two_owners.settled()
    role = role_of(two_owners)
    late, says = (other, "Allowed") if role == "allowed" else (first, "Blocked")
    assert role in ("allowed", "blocked")
    assert f"{says} by Sam." in late.text
    assert (await chat.sees(f"{says} by")).buttons == []
    assert (await second.sees(f"{says} by")).buttons == []


async def test_a_second_tap_changes_nothing_and_hears_what_was_decided(
    bridge: House, chat: Person, anna: Person
) -> None:
    card = await knocks(anna, chat)
    allow, block = (card.buttons[0][i]["callback_data"] for i in (0, 2))
    chat.press_raw(allow)
    await anna.sees("Je mag deze bot nu gebruiken.")

    chat.press_raw(block)
    chat.press_raw(allow)

    await bridge.settled()
    assert role_of(bridge) == "allowed"
    (said,) = anna.texts()[1:]
    assert said.startswith("Je mag deze bot nu gebruiken.")


# Who may not


async def test_only_an_owner_decides(bridge: House, chat: Person, anna: Person) -> None:
    card = await knocks(anna, chat)
    data = card.buttons[0][0]["callback_data"]
    signer = Signer(bridge.telegram.token)

    anna.press_raw(data)
    anna.press_raw(signer.data("ma", STRANGER, str(STRANGER)))

    await until(lambda: len(bridge.rows("SELECT 1 FROM inbox WHERE state = 'refused'")) == 3)
    assert role_of(bridge) == "stranger"


async def test_an_allowed_user_decides_about_nobody(
    bridge: House, chat: Person, anna: Person
) -> None:
    await lets_in(chat, anna)
    signer = Signer(bridge.telegram.token)
    for text in ("/users", "/allow 5", "/deny 7", "/block 7"):
        answer = await anna.ask(text)
        assert answer.text.startswith(f"{text.split()[0]} ken ik niet.")

    anna.press_raw(signer.data("mk", CHAT, str(STRANGER)))
    anna.press_raw(signer.data("ms", 5, str(STRANGER)))
    anna.press_raw(signer.data("ml", 0, str(STRANGER)))

    await until(lambda: len(bridge.rows("SELECT 1 FROM inbox WHERE state = 'refused'")) == 3)
    assert bridge.rows("SELECT * FROM users WHERE user_id = '5'") == []
    assert (await chat.ask("What is 17 * 23?")).text == "That is 391."


async def test_whoever_is_blocked_is_not_heard_by_anything(
    bridge: House, chat: Person, anna: Person
) -> None:
    await lets_in(chat, anna)
    card = await anna.ask("/bg Count the pelicans")
    await chat.ask(f"/block {STRANGER}")
    await until(lambda: "⏹ #1" in anna.texts()[-1])  # its job ended with it
    before = (anna.texts(), chat.texts())

    anna.press_raw(card.buttons[0][0]["callback_data"])
    anna.say("Hallo?")
    anna.say("/retry 1")

    await until(lambda: len(bridge.rows("SELECT 1 FROM inbox WHERE state = 'refused'")) == 3)
    await bridge.settled()
    assert bridge.jobs()[0]["status"] == "cancelled"
    assert bridge.asked() == []
    assert bridge.rows("SELECT raw FROM inbox WHERE state = 'refused' AND raw IS NOT NULL") == []
    assert (anna.texts(), chat.texts()) == before


# Commands and the list


async def test_people_are_listed_with_what_they_may_do(
    bridge: House, chat: Person, anna: Person
) -> None:
    await knocks(anna, chat)
    await chat.ask("/allow 123")
    await chat.ask("/block 55")
    await until(lambda: bridge.rows("SELECT 1 FROM users WHERE name = 'Sam'"))

    listed = await chat.ask("/users")

    assert listed.text.split("\n") == [
        "People (4)",
        "👑 Sam (7) · owner",
        "✅ 123 · allowed",
        "🚫 55 · blocked",
        "👤 Anna (99) · stranger",
        "Tap someone to change what they may do, or send /allow, /deny or /block and an id.",
    ]
    assert labels(listed) == ["👑 Sam", "✅ 123", "🚫 55", "👤 Anna"]


async def test_someone_is_changed_by_buttons(bridge: House, chat: Person, anna: Person) -> None:
    await knocks(anna, chat)
    listed = await chat.ask("/users")

    await chat.press(listed.message_id, "👤 Anna")
    choices = ["✅ Allow", "🚫 Block", "‹ All"]
    one = await chat.sees_where(lambda message: labels(message) == choices)
    assert one.text == "👤 Anna (99) · stranger"
    answer = await chat.press(one.message_id, "✅ Allow")
    assert answer.text == "✅ Anna may use the bot now."
    await anna.sees("Je mag deze bot nu gebruiken.")
    allowed = await chat.sees("✅ Anna (99) · allowed")
    await chat.press(allowed.message_id, "🚫 Block")
    blocked = await chat.sees("🚫 Anna (99) · blocked")
    await chat.press(blocked.message_id, "Unblock")
    await chat.sees_where(lambda message: labels(message) == choices)

    await bridge.settled()
    assert role_of(bridge) == "stranger"


async def test_a_long_list_has_pages(bridge: House, chat: Person) -> None:
    for number in range(101, 110):
        await chat.ask(f"/allow {number}")
    listed = await chat.ask("/users")
    assert "Page 1 of 2" in listed.text

    await chat.press(listed.message_id, "›")

    page = await chat.sees("Page 2 of 2")
    assert "109" in page.text
    assert labels(page)[-1] == "‹"


@pytest.mark.parametrize("text", ["/allow", "/allow Anna", "/block -5", "/deny ٣", "/allow 0"])
async def test_a_command_about_nobody_says_how(bridge: House, chat: Person, text: str) -> None:
    answer = await chat.ask(text)

    assert answer.text.startswith("Write the number of the person behind it")


async def test_an_owner_of_the_settings_stays_one(
    two_owners: House, chat: Person, second: Person
) -> None:
    for text in (f"/deny {OTHER}", f"/block {OTHER}", f"/allow {OTHER}"):
        answer = await chat.ask(text)
        assert answer.text == "That is an owner by KITT_OWNER: change it there."

    assert (await second.ask("What is 17 * 23?")).text == "That is 391."


async def test_nobody_changes_themselves_so_that_an_owner_is_left(
    bridge: House, chat: Person, anna: Person
) -> None:
    await bridge.store.write(
        lambda tx: tx.run("put_user", user_id="99", role="owner", name="Anna", language="en")
    )
    await anna.ask("Hoi")

    answer = await anna.ask(f"/block {STRANGER}", language="en")

    assert answer.text == "You cannot change yourself; another owner can."
    await chat.ask(f"/deny {STRANGER}")
    assert role_of(bridge) == "stranger"
    answer = await anna.ask("/users", language="en")
    assert answer.text.startswith("This is a private bot.")


async def test_whoever_became_an_owner_by_a_code_stays_one_whatever_an_old_card_says(
    bridge: House, chat: Person, anna: Person
) -> None:
    card = await knocks(anna, chat)
    await bridge.settled()
    await bridge.store.write(
        lambda tx: tx.run("put_user", user_id="99", role="owner", name="Anna", language="nl")
    )

    await chat.press(card.message_id, "🚫 Block")
    await chat.ask(f"/allow {STRANGER}")

    assert role_of(bridge) == "owner"


async def test_whoever_is_no_longer_allowed_is_a_stranger(
    bridge: House, chat: Person, anna: Person
) -> None:
    await lets_in(chat, anna)
    await anna.ask("What is 17 * 23?")

    await chat.ask(f"/deny {STRANGER}")

    asked = len(bridge.asked())
    answer = await anna.ask("What is 17 * 23?")
    assert answer.text.startswith("Dit is een privébot.")
    assert len(bridge.asked()) == asked

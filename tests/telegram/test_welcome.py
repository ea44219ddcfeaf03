"""The first message: its examples are carried out by a tap, once each."""

import asyncio

import pytest
from chatting import CHAT, House, Person
from waiting import until

from bridge import people
from bridge.demo_job import script_of
from bridge.emulator.telegram import TelegramEmulator
from bridge.emulator.telegram_state import ChatMessage

DEMO = "▶ See a background job (20 seconds)"
QUESTION = "💬 Explain in five lines how a heat pump works"
SCHEDULE = "🗓 Every weekday at 7:30 the news in three lines"
LANGUAGE = "🌐 Language"
QUIET = "🌙 Quiet hours"


def labels(message: ChatMessage) -> list[str]:
    return [button["text"] for row in message.buttons for button in row]


async def test_start_shows_the_examples(bridge: House, chat: Person) -> None:
    welcome = await chat.ask("/start")

    assert labels(welcome) == [DEMO, QUESTION, SCHEDULE, LANGUAGE, QUIET]


async def test_start_speaks_the_language_of_who_sends_it(bridge: House, dutch: Person) -> None:
    welcome = await dutch.ask("/start")

    assert labels(welcome)[0] == "▶ Bekijk een achtergrondtaak (20 seconden)"


async def test_a_new_owner_gets_them_with_the_claim(house: House, chat: Person) -> None:
    house.set(owners=frozenset())
    await house.start()
    code = await house.store.write(lambda tx: people.new_claim(tx, house.clock.now()))

    welcome = await chat.ask(f"/start {code}")

    assert welcome.text.startswith("You are now the owner")
    assert labels(welcome)[0] == DEMO


async def test_someone_who_is_allowed_gets_them_and_may_tap(bridge: House, chat: Person) -> None:
    stranger = Person(bridge, chat_id=99)
    await stranger.ask("Hello")
    await chat.ask("/allow 99")
    welcome = await stranger.sees("You may use this bot now.")

    await stranger.press(welcome.message_id, DEMO)

    await until(bridge.jobs)
    assert bridge.jobs()[0]["chat_id"] == "99"


async def test_the_demo_is_a_job_with_a_card_and_a_script_in_their_language(
    bridge: House, dutch: Person
) -> None:
    welcome = await dutch.ask("/start")

    await dutch.press(welcome.message_id, "▶ Bekijk een achtergrondtaak (20 seconden)")

    card = await dutch.sees("Een taak om te zien hoe het gaat")
    script = script_of(await bridge.job_runs())
    assert "⏹ Annuleren" in labels(card)
    assert script is not None
    assert len(script.steps) == 5
    assert script.result.startswith("Dit was een achtergrondtaak.")
    assert bridge.asked() == []


async def test_an_example_is_asked_as_if_the_person_had_written_it(
    bridge: House, chat: Person
) -> None:
    welcome = await chat.ask("/start")

    await chat.press(welcome.message_id, QUESTION)

    await until(bridge.asked)
    await bridge.settled()
    assert "Explain in five lines how a heat pump works" in str(bridge.asked()[0].body)
    assert len(chat.shown(after=welcome.message_id)) == 1


async def test_the_schedule_becomes_a_proposal(bridge: House, chat: Person) -> None:
    welcome = await chat.ask("/start")

    await chat.press(welcome.message_id, SCHEDULE)

    await chat.sees("Every weekday at 07:30")


@pytest.mark.parametrize("example", [DEMO, QUESTION])
async def test_an_example_that_is_tapped_twice_is_done_once(
    bridge: House, chat: Person, telegram: TelegramEmulator, example: str
) -> None:
    welcome = await chat.ask("/start")
    first = telegram.press(CHAT, welcome.message_id, example)
    second = telegram.press(CHAT, welcome.message_id, example)

    answers = await asyncio.gather(
        chat.answer_to(welcome.message_id, first), chat.answer_to(welcome.message_id, second)
    )

    await bridge.settled()
    assert sorted(answer.text for answer in answers) == [
        "",
        "That one is done already. /start shows them again.",
    ]
    assert len(bridge.jobs()) == (1 if example == DEMO else 0)
    assert len(bridge.asked()) == (0 if example == DEMO else 1)


async def test_what_was_tapped_is_taken_away_and_the_rest_stays(
    bridge: House, chat: Person, telegram: TelegramEmulator
) -> None:
    welcome = await chat.ask("/start")

    await chat.press(welcome.message_id, DEMO)

    await bridge.settled()
    left = telegram.chats[CHAT].messages[welcome.message_id]
    assert labels(left) == [QUESTION, SCHEDULE, LANGUAGE, QUIET]


async def test_another_start_shows_them_all_again(bridge: House, chat: Person) -> None:
    welcome = await chat.ask("/start")
    await chat.press(welcome.message_id, DEMO)
    await bridge.settled()  # the card of the first job is not the answer to what comes next

    again = await chat.ask("/start")
    await chat.press(again.message_id, DEMO)

    await until(lambda: len(bridge.jobs()) == 2)


async def test_an_example_that_is_not_answered_yet_is_asked_again_after_a_crash(
    house: House, chat: Person, telegram: TelegramEmulator
) -> None:
    await house.start()
    welcome = await chat.ask("/start")
    await chat.press(welcome.message_id, QUESTION)
    await house.settled()
    (tapped,) = house.rows("SELECT value FROM meta WHERE name LIKE 'example:%'")
    data = next(
        button["callback_data"]
        for row in welcome.buttons
        for button in row
        if button["text"] == QUESTION
    )
    house.rows("DELETE FROM inbox WHERE update_id = :id", id=int(tapped["value"]))
    house.rows("DELETE FROM messages")
    asked = len(house.asked())

    update = {"id": CHAT, "is_bot": False, "first_name": "Sam", "language_code": "en"}
    body = {"message_id": welcome.message_id, "date": 1, "text": "old"}
    body["chat"] = {"id": CHAT, "type": "private", "first_name": "Sam"}
    query = {"id": "77", "from": update, "chat_instance": "1", "data": data, "message": body}
    telegram.push_update({"update_id": int(tapped["value"]), "callback_query": query})

    await until(lambda: len(house.asked()) > asked)


@pytest.mark.parametrize(("button", "words"), [(LANGUAGE, "Language"), (QUIET, "Quiet hours")])
async def test_a_choice_comes_as_a_message_of_its_own(
    bridge: House, chat: Person, button: str, words: str
) -> None:
    welcome = await chat.ask("/start")

    await chat.press(welcome.message_id, button)

    setting = await chat.sees(words, after=welcome.message_id)
    assert labels(setting)

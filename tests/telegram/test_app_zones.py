"""Schedules in the time zone of who asks, in a running bridge."""

import pytest
from chatting import House, Person

from bridge.emulator.telegram_state import ChatMessage

NEWS = "Every weekday at 7:30 the news in three lines"
GUESSED = "I do not know your time zone."


async def proposed(chat: Person, text: str = NEWS) -> ChatMessage:
    sent = chat.say(text)
    return await chat.sees("🗓", after=sent)


async def test_a_schedule_is_proposed_in_the_zone_of_who_asks(house: House, chat: Person) -> None:
    house.set(zone="Asia/Tokyo")
    await house.start()
    await chat.ask("/settings zone Europe/Lisbon")

    proposal = await proposed(chat)
    await chat.press(proposal.message_id, "✅ Save")

    assert "Time zone: Europe/Lisbon" in proposal.text
    assert GUESSED not in proposal.text
    (row,) = house.rows("SELECT cron, zone FROM schedules")
    assert row == {"cron": "30 7 * * 1-5", "zone": "Europe/Lisbon"}


async def test_without_a_zone_of_their_own_it_is_that_of_the_bot(
    house: House, chat: Person
) -> None:
    house.set(zone="Asia/Tokyo")
    await house.start()

    proposal = await proposed(chat)

    assert "Time zone: Asia/Tokyo" in proposal.text
    assert GUESSED not in proposal.text


@pytest.mark.parametrize(
    ("language", "text", "hint"),
    [
        ("en", NEWS, GUESSED),
        ("nl", "Elke werkdag om 7:30 het nieuws in drie regels", "Jouw tijdzone ken ik niet."),
    ],
)
async def test_the_first_time_nobody_knows_the_zone_it_says_which_one_it_took(
    bridge: House, language: str, text: str, hint: str
) -> None:
    chat = Person(bridge, language=language)

    first = await proposed(chat, text)
    second = await proposed(chat, text.replace("7:30", "8:30"))

    assert "UTC" in first.text
    assert hint in first.text
    assert "/settings zone Europe/Lisbon" in first.text
    assert "UTC" in second.text
    assert hint not in second.text


async def test_the_model_is_told_the_zone_that_was_chosen(bridge: House, chat: Person) -> None:
    await chat.ask("/settings zone Europe/Lisbon")

    await chat.ask("Hello")

    (request,) = bridge.asked()
    tools = {tool["name"]: tool for tool in request.body["tools"]}
    zone = tools["propose_schedule"]["input_schema"]["properties"]["zone"]
    assert "Europe/Lisbon" in zone["description"]

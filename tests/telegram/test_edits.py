"""A message that its person changes: before, while and after it is answered."""

import pytest
from chatting import CHAT, CURSOR, House, Person
from waiting import until

from bridge.emulator.claude import ClaudeEmulator
from bridge.emulator.claude_faults import Fault
from bridge.emulator.script import Reply
from bridge.emulator.telegram import TelegramEmulator

LONG = "Pelicans are large water birds with a throat pouch. " * 30


async def test_a_change_before_anything_is_visible_begins_the_answer_again(
    bridge: House, chat: Person, claude: ClaudeEmulator, telegram: TelegramEmulator
) -> None:
    claude.order(Fault(hold="slow"))
    sent = chat.say("What is 17 * 23?")
    await claude.wait_for(lambda records: records)

    telegram.edit(CHAT, sent, "What is 17 * 24?")

    await chat.sees("That is 408.")
    await bridge.settled()
    assert "17 * 23" not in str(bridge.asked()[-1].body["messages"])
    assert chat.texts() == ["That is 408."]


async def test_a_change_of_a_message_that_waits_replaces_it(
    bridge: House, chat: Person, claude: ClaudeEmulator, telegram: TelegramEmulator
) -> None:
    claude.script.when("pelicans", Reply(LONG[:400], pace_s=0.06))
    chat.say("Tell me about pelicans")
    await chat.sees_where(lambda m: m.text.endswith(CURSOR))
    sent = chat.say("What is 17 * 23?")

    telegram.edit(CHAT, sent, "What is 17 * 24?")

    await chat.sees("That is 408.")
    await bridge.settled()
    assert "17 * 23" not in str(bridge.asked()[-1].body["messages"])
    assert len(bridge.asked()) == 2


async def test_a_change_during_a_visible_answer_is_a_correction(
    bridge: House, chat: Person, claude: ClaudeEmulator, telegram: TelegramEmulator
) -> None:
    claude.script.when("pelicans", Reply(LONG[:400], pace_s=0.06))
    claude.script.when("correction", "The brown ones, then.")
    sent = chat.say("Tell me about pelicans")
    await chat.sees_where(lambda m: m.text.endswith(CURSOR))

    telegram.edit(CHAT, sent, "Tell me about brown pelicans")

    await chat.sees("The brown ones, then.")
    await bridge.settled()
    last = str(bridge.asked()[-1].body["messages"][-1])
    assert "correction: Tell me about brown pelicans" in last


@pytest.mark.parametrize(
    ("language", "button"),
    [("en", "↻ Again with the change"), ("nl", "↻ Opnieuw met de wijziging")],
)
async def test_a_change_after_the_answer_is_answered_when_its_person_says_so(
    bridge: House,
    chat: Person,
    telegram: TelegramEmulator,
    language: str,
    button: str,
) -> None:
    sent = chat.say("What is 17 * 23?", language=language)
    await chat.sees("That is 391.")
    telegram.edit(CHAT, sent, "What is 17 * 24?")
    offer = await chat.sees_where(lambda m: bool(m.buttons))
    assert (offer.silent, offer.reply_to) == (True, sent)
    assert [row[0]["text"] for row in offer.buttons] == [button]
    assert len(bridge.asked()) == 1

    telegram.press(CHAT, offer.message_id, button)

    await chat.sees("That is 408.")
    await until(lambda: chat.texts() == ["That is 391.", "That is 408."])
    await bridge.settled()


async def test_a_change_that_leaves_the_words_as_they_were_is_nothing(
    bridge: House, chat: Person, telegram: TelegramEmulator
) -> None:
    sent = chat.say("What is 17 * 23?")
    await chat.sees("That is 391.")

    telegram.edit(CHAT, sent, "What is 17 * 23?")

    await bridge.settled()
    assert chat.texts() == ["That is 391."]

"""Stop: at once, whatever the answer is busy with; what waited is kept for its person."""

import asyncio
import json
from typing import Any

import pytest
from chatting import CURSOR, House, Person
from waiting import until

from bridge.agent.mending import BROKEN_OFF
from bridge.agent.tool import Tool
from bridge.emulator.claude import ClaudeEmulator
from bridge.emulator.claude_faults import Fault
from bridge.emulator.script import Reply, ToolUse
from bridge.tools.jobs import job_tools

LONG = "Pelicans are large water birds with a throat pouch. " * 30


@pytest.fixture
def slow_tool(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """The chat's agent has a tool that takes a minute; the event is set when it runs."""
    begun = asyncio.Event()

    async def run(_given: dict[str, Any]) -> str:
        begun.set()
        await asyncio.sleep(60)
        return "done"

    tool = Tool(name="walk", description="Walk.", properties={}, run=run, repeat="once")
    monkeypatch.setattr("bridge.telegram.answer.job_tools", lambda *args: [*job_tools(*args), tool])
    return begun


async def test_stop_during_a_tool_call_of_a_minute_takes_less_than_a_second(
    bridge: House, chat: Person, claude: ClaudeEmulator, slow_tool: asyncio.Event
) -> None:
    claude.script.when("pelicans", Reply([ToolUse("walk", {})]))
    chat.say("Walk to the pelicans")
    await slow_tool.wait()

    async with asyncio.timeout(1):
        chat.say("/stop")
        await chat.sees("⏹ stopped")

    await bridge.settled()
    assert (await chat.ask("What is 17 * 23?")).text == "That is 391."
    rows = bridge.rows("SELECT content FROM messages ORDER BY id")
    assert json.loads(rows[2]["content"])[0]["content"] == BROKEN_OFF


async def test_stop_while_the_model_hangs_takes_less_than_a_second(
    bridge: House, chat: Person, claude: ClaudeEmulator
) -> None:
    claude.order(Fault(hold="for ever"))
    chat.say("Tell me about pelicans")
    await claude.wait_for(lambda records: records)

    async with asyncio.timeout(1):
        chat.say("/stop")
        await chat.sees("⏹ stopped")

    await bridge.settled()


@pytest.mark.parametrize("word", ["stop", "Stop!", "STOP", "Stop maar", "please stop"])
async def test_the_word_stop_alone_stops_an_answer(
    bridge: House, chat: Person, claude: ClaudeEmulator, word: str
) -> None:
    claude.script.when("pelicans", Reply(LONG, pace_s=0.06))
    chat.say("Tell me about pelicans")
    await chat.sees_where(lambda m: m.text.endswith(CURSOR))

    chat.say(word)

    assert (await chat.sees("⏹ stopped")).text.startswith("Pelicans are large")
    await bridge.settled()
    assert len(bridge.asked()) == 1


async def test_the_word_stop_without_an_answer_is_for_the_model(
    bridge: House, chat: Person, claude: ClaudeEmulator
) -> None:
    claude.script.when("stop", "Stop what?")

    assert (await chat.ask("stop")).text == "Stop what?"


async def test_a_sentence_with_stop_in_it_stops_nothing(
    bridge: House, chat: Person, claude: ClaudeEmulator
) -> None:
    claude.script.when("pelicans", Reply(LONG[:400], pace_s=0.06))
    claude.script.when("bus", "At the corner.")
    chat.say("Tell me about pelicans")
    await chat.sees_where(lambda m: m.text.endswith(CURSOR))

    chat.say("Where is the bus stop?")

    await chat.sees("At the corner.")
    assert chat.texts()[0] == LONG[:400].strip()


async def stopped_with_a_queue(house: House, chat: Person, claude: ClaudeEmulator) -> int:
    """An answer was stopped while two messages waited; the message that offers the choice."""
    claude.script.when("pelicans", Reply(LONG, pace_s=0.06))
    chat.say("Tell me about pelicans")
    await chat.sees_where(lambda m: m.text.endswith(CURSOR))
    chat.say("How many herons are there?")
    chat.say("What is 17 * 23?")
    await until(lambda: house.telegram.updates.pending == 0)
    chat.say("/stop")
    return (await chat.sees("waiting: 2")).message_id


async def test_what_waited_stays_after_a_stop_until_its_person_chooses(
    bridge: House, chat: Person, claude: ClaudeEmulator
) -> None:
    offer = await stopped_with_a_queue(bridge, chat, claude)
    message = bridge.telegram.chats[chat.chat_id].messages[offer]

    assert [b["text"] for b in message.buttons[0]] == ["▶ Go on (2)", "🗑 Clear the queue"]
    assert message.silent
    assert len(bridge.asked()) == 1


async def test_go_on_answers_what_waited_together_and_once(
    bridge: House, chat: Person, claude: ClaudeEmulator
) -> None:
    offer = await stopped_with_a_queue(bridge, chat, claude)
    data = bridge.telegram.chats[chat.chat_id].messages[offer].buttons[0][0]["callback_data"]

    await chat.press(offer, "▶ Go on (2)")
    await chat.sees("That is 391.")
    await bridge.settled()
    chat.press_raw(data)
    await bridge.settled()

    assert "herons" in str(bridge.asked()[-1].body["messages"])
    assert len(bridge.asked()) == 2
    assert bridge.telegram.chats[chat.chat_id].messages[offer].buttons == []


async def test_a_cleared_queue_is_answered_by_nobody(
    house: House, chat: Person, claude: ClaudeEmulator
) -> None:
    await house.start()
    offer = await stopped_with_a_queue(house, chat, claude)

    await chat.press(offer, "🗑 Clear the queue")
    await house.settled()
    await house.stop()
    await house.start()

    await house.settled()
    assert len(house.asked()) == 1


async def test_what_is_held_is_held_over_a_restart_and_goes_on_after_it(
    house: House, chat: Person, claude: ClaudeEmulator
) -> None:
    await house.start()
    offer = await stopped_with_a_queue(house, chat, claude)
    await house.stop()
    await house.start()
    assert (await chat.ask("What is 2 + 2?")).text == "That is 4."
    assert len(house.asked()) == 2

    await chat.press(offer, "▶ Go on (2)")

    await chat.sees("That is 391.")
    await house.settled()

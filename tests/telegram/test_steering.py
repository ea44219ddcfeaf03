"""What a person writes while an answer is being made: taken into it, or the next turn."""

import pytest
from chatting import CHAT, CURSOR, House, Person
from waiting import until

from bridge.clock import Clock
from bridge.emulator.claude import ClaudeEmulator
from bridge.emulator.claude_faults import Fault as ModelFault
from bridge.emulator.script import Reply, Request, ToolUse
from bridge.emulator.telegram import TelegramEmulator
from bridge.emulator.telegram_faults import Fault
from bridge.telegram.chat import JOIN_WITHIN_S

LONG = "Pelicans are large water birds with a throat pouch. " * 30
SEEN, QUEUED = "👀", "😴"


class Ahead(Clock):
    """The real clock, moved forward by the test."""

    ahead_s = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead_s


@pytest.fixture
async def later(house: House) -> Ahead:
    """A bridge whose clock can be moved beyond the second in which text joins."""
    house.clock = clock = Ahead()
    await house.start()
    return clock


def looks_first(claude: ClaudeEmulator, answer: str = "All told.") -> None:
    """The model calls a tool before it answers."""

    def rule(request: Request) -> Reply:
        if "tool_result" in str(request.body):
            return Reply(answer)
        return Reply([ToolUse("list_jobs", {"status": "all"})])

    claude.script.when(
        lambda r: "pelicans" in r.first_user_text and "herons" not in str(r.body), rule
    )


def signs(telegram: TelegramEmulator, message_id: int) -> list[str | None]:
    """The signs a message has had, in order."""
    calls = [c for c in telegram.calls("setMessageReaction", CHAT) if c.done]
    mine = [c.params.get("reaction") for c in calls if int(c.params["message_id"]) == message_id]
    return [reaction[0]["emoji"] if reaction else None for reaction in mine]


async def waits(house: House, chat: Person, text: str) -> int:
    """A message that waits behind an answer, with its sign; its id."""
    sent = chat.say(text)
    await until(lambda: signs(house.telegram, sent) == [QUEUED])
    return sent


async def test_a_message_during_a_tool_is_seen_by_the_same_answer(
    house: House, later: Ahead, chat: Person, claude: ClaudeEmulator, telegram: TelegramEmulator
) -> None:
    looks_first(claude)
    claude.order(ModelFault(hold="slow"))
    claude.order(ModelFault(hold="slower"))
    chat.say("How many pelicans are there?")
    await claude.wait_for(lambda records: records)
    later.ahead_s = JOIN_WITHIN_S + 0.1
    second = await waits(house, chat, "Only the brown ones, please")

    later.ahead_s += 10  # the chat's budget is whole again
    claude.release("slow")
    await until(lambda: signs(telegram, second) == [QUEUED, SEEN])
    claude.release("slower")
    await chat.sees("All told.")

    await house.settled()
    asked = house.asked()
    assert len(asked) == 2
    assert "brown ones" not in str(asked[0].body["messages"])
    assert "brown ones" in str(asked[1].body["messages"][-1])
    assert chat.texts() == ["All told."]
    await until(lambda: signs(telegram, second) == [QUEUED, SEEN, None])
    sources = house.rows("SELECT source FROM messages WHERE role = 'user' AND source IS NOT NULL")
    assert len(sources) == 2


async def test_a_message_after_the_last_call_of_the_model_is_the_next_turn(
    bridge: House, chat: Person, claude: ClaudeEmulator, telegram: TelegramEmulator
) -> None:
    claude.script.when("pelicans", Reply(LONG[:500], pace_s=0.06))
    chat.say("Tell me about pelicans")
    await chat.sees_where(lambda m: m.text.endswith(CURSOR))

    second = chat.say("What is 17 * 23?")
    await chat.sees("That is 391.")

    await until(lambda: signs(telegram, second) == [QUEUED, None])
    assert len(bridge.asked()) == 2


async def test_who_asks_for_a_job_during_an_answer_gets_one(
    house: House, later: Ahead, chat: Person, claude: ClaudeEmulator
) -> None:
    looks_first(claude)
    claude.order(ModelFault(hold="slow"))
    chat.say("How many pelicans are there?")
    await claude.wait_for(lambda records: records)
    later.ahead_s = JOIN_WITHIN_S + 0.1
    await waits(house, chat, "Count the herons in the background")

    claude.release("slow")
    await chat.sees("#1")

    await house.settled()
    assert len(house.jobs()) == 1
    assert "herons" not in str(house.asked()[1].body["messages"])


async def test_all_of_many_messages_that_wait_are_in_the_next_turn(
    bridge: House, chat: Person, claude: ClaudeEmulator
) -> None:
    claude.script.when("pelicans", Reply(LONG[:400], pace_s=0.06))
    claude.script.when("heron 24", "I have them all.")
    chat.say("Tell me about pelicans")
    await chat.sees_where(lambda m: m.text.endswith(CURSOR))

    for number in range(25):
        chat.say(f"This is heron {number}")
    await chat.sees("I have them all.")

    await bridge.settled()
    asked = str(bridge.asked()[-1].body["messages"])
    assert [n for n in range(25) if f"heron {n}'" not in asked] == []
    assert len(bridge.asked()) == 2


async def test_a_sign_that_telegram_refuses_delays_nothing(
    bridge: House, chat: Person, claude: ClaudeEmulator, telegram: TelegramEmulator
) -> None:
    claude.script.when("pelicans", Reply(LONG[:400], pace_s=0.06))
    telegram.order(Fault(method="setMessageReaction", times=9, status=400, description="no"))
    chat.say("Tell me about pelicans")
    await chat.sees_where(lambda m: m.text.endswith(CURSOR))

    answer = await chat.ask("What is 17 * 23?")

    assert answer.text == "That is 391."

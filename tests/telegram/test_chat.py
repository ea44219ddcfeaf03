"""One chat: which message starts an answer, joins it, waits, or stops it."""

import asyncio

import pytest
from chatting import CURSOR, House, Person
from waiting import until

from bridge.clock import Clock
from bridge.emulator.claude import ClaudeEmulator
from bridge.emulator.claude_faults import Fault
from bridge.emulator.script import Reply
from bridge.emulator.telegram import TelegramEmulator
from bridge.telegram.chat import JOIN_WITHIN_S

LONG = "Pelicans are large water birds with a throat pouch. " * 30


class Ahead(Clock):
    """The real clock, moved forward by the test."""

    ahead_s = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead_s


async def requests(claude: ClaudeEmulator, count: int) -> None:
    await claude.wait_for(lambda records: len(records) >= count)


async def hung_up(claude: ClaudeEmulator) -> None:
    """The model provider has seen that its caller left."""
    await claude.wait_for(lambda records: any(record.hung_up for record in records), timeout_s=2)


async def test_two_texts_in_quick_succession_get_one_answer_to_both(
    bridge: House, chat: Person, claude: ClaudeEmulator
) -> None:
    claude.order(Fault(hold="slow"))
    claude.script.when("herons", "Seven and three.")
    chat.say("How many pelicans are there?")
    await requests(claude, 1)

    chat.say("And how many herons?")
    answer = await chat.sees("Seven and three.")

    await bridge.settled()
    assert [message.message_id for message in chat.shown()] == [answer.message_id]
    asked = str(bridge.asked()[-1].body["messages"])
    assert "How many pelicans are there?" in asked
    assert "And how many herons?" in asked
    await hung_up(claude)
    assert len(bridge.asked()) == 2


async def test_two_texts_in_one_batch_get_one_answer_to_both(
    house: House, chat: Person, claude: ClaudeEmulator
) -> None:
    claude.script.when("herons", "Seven and three.")
    chat.say("How many pelicans are there?")
    chat.say("And how many herons?")

    await house.start()
    await chat.sees("Seven and three.")

    await house.settled()
    assert len(chat.shown()) == 1


async def test_a_text_that_comes_later_waits_and_does_not_begin_the_answer_again(
    house: House, chat: Person, claude: ClaudeEmulator
) -> None:
    house.clock = clock = Ahead()
    await house.start()
    claude.order(Fault(hold="slow"))
    claude.script.when("pelicans", "Seven.")
    claude.script.when("herons", "Three.")
    chat.say("How many pelicans are there?")
    await requests(claude, 1)

    clock.ahead_s = JOIN_WITHIN_S + 0.1
    chat.say("And how many herons?")
    await until(lambda: len(house.rows("SELECT 1 FROM inbox")) == 2)
    claude.release("slow")
    await chat.sees("Three.")

    assert [text for text in chat.texts() if text in ("Seven.", "Three.")] == ["Seven.", "Three."]
    assert [record.hung_up for record in house.asked()] == [False, False]


async def test_a_message_during_a_visible_answer_waits_for_its_turn(
    bridge: House, chat: Person, claude: ClaudeEmulator
) -> None:
    claude.script.when("pelicans", Reply(LONG[:500], pace_s=0.06))
    chat.say("Tell me about pelicans")
    first = await chat.sees_where(lambda m: m.text.endswith(CURSOR))

    second = await chat.ask("What is 17 * 23?")

    assert second.text == "That is 391."
    whole = chat.shown()[0]
    assert whole.message_id == first.message_id
    assert whole.text == LONG[:500].strip()
    assert [record.hung_up for record in bridge.asked()] == [False, False]


async def test_messages_that_wait_are_answered_together(
    bridge: House, chat: Person, claude: ClaudeEmulator
) -> None:
    claude.script.when("pelicans", Reply(LONG[:400], pace_s=0.06))
    claude.script.when("herons", "Three and two.")
    chat.say("Tell me about pelicans")
    await chat.sees_where(lambda m: m.text.endswith(CURSOR))

    chat.say("How many storks are there?")
    chat.say("And how many herons?")
    await chat.sees("Three and two.")

    await bridge.settled()
    assert len(bridge.asked()) == 2
    assert len(chat.shown()) == 2


async def test_a_slow_answer_in_one_chat_does_not_delay_another(
    house: House, chat: Person, claude: ClaudeEmulator
) -> None:
    house.set(owners=frozenset({7, 8}))
    await house.start()
    other = Person(house, chat_id=8)
    claude.order(Fault(hold="slow", match="pelicans"))
    chat.say("Tell me about pelicans")
    await requests(claude, 1)

    answers = [await other.ask(f"What is {n} * 2?") for n in range(3)]

    assert [answer.text for answer in answers] == ["That is 0.", "That is 2.", "That is 4."]
    assert chat.shown() == []
    claude.release("slow")


@pytest.mark.parametrize(
    ("language", "mark"), [("en", "⏹ stopped"), ("nl", "⏹ gestopt")], ids=["en", "nl"]
)
async def test_stop_within_a_second_keeps_what_is_visible(
    bridge: House, chat: Person, claude: ClaudeEmulator, language: str, mark: str
) -> None:
    claude.script.when("pelicans", Reply(LONG, pace_s=0.06))
    chat.say("Tell me about pelicans", language=language)
    first = await chat.sees_where(lambda m: m.text.endswith(CURSOR))

    async with asyncio.timeout(1):
        chat.say("/stop", language=language)
        stopped = await chat.sees(mark)

    await hung_up(claude)
    assert stopped.message_id == first.message_id
    assert stopped.text.startswith("Pelicans are large")
    assert CURSOR not in stopped.text
    assert stopped.buttons == []
    await bridge.settled()
    assert len(chat.shown()) == 1


async def test_the_stop_button_within_a_second_keeps_what_is_visible(
    bridge: House, chat: Person, claude: ClaudeEmulator
) -> None:
    claude.script.when("pelicans", Reply(LONG, pace_s=0.06))
    chat.say("Tell me about pelicans")
    first = await chat.sees_where(lambda m: m.text.endswith(CURSOR))

    async with asyncio.timeout(1):
        await chat.press(first.message_id, "⏹ Stop")
        stopped = await chat.sees("⏹ stopped")

    await hung_up(claude)
    assert stopped.message_id == first.message_id
    assert stopped.text.startswith("Pelicans are large")
    await bridge.settled()


async def test_stop_before_anything_is_visible_ends_the_request(
    bridge: House, chat: Person, claude: ClaudeEmulator
) -> None:
    claude.order(Fault(hold="slow"))
    chat.say("Tell me about pelicans")
    await requests(claude, 1)

    answer = await chat.ask("/stop")

    assert answer.text == "⏹ stopped"
    await hung_up(claude)
    await bridge.settled()
    assert len(chat.shown()) == 1


async def test_the_model_knows_that_an_answer_was_stopped(
    bridge: House, chat: Person, claude: ClaudeEmulator
) -> None:
    claude.script.when("pelicans", Reply(LONG, pace_s=0.06))
    chat.say("Tell me about pelicans")
    await chat.sees_where(lambda m: m.text.endswith(CURSOR))
    chat.say("/stop")
    await chat.sees("⏹ stopped")

    await chat.ask("Hello")

    said = [str(m["content"]) for m in bridge.asked()[-1].body["messages"]]
    assert "Tell me about pelicans" in said[0]
    assert "[stopped by the user]" in said[1]


async def test_stop_without_an_answer_says_so(bridge: House, chat: Person, dutch: Person) -> None:
    answer = await chat.ask("/stop")
    dutch_answer = await dutch.ask("/stop")

    assert answer.text.startswith("I am not answering anything now.")
    assert dutch_answer.text.startswith("Ik ben nu niets aan het beantwoorden.")


async def test_stop_does_not_touch_jobs(bridge: House, chat: Person) -> None:
    await chat.ask("/bg Count the pelicans")

    await chat.ask("/stop")

    assert bridge.jobs()[0]["status"] == "pending"


async def test_a_message_right_behind_a_stop_is_answered(
    bridge: House, chat: Person, claude: ClaudeEmulator
) -> None:
    claude.order(Fault(hold="slow"))
    chat.say("Tell me about pelicans")
    await requests(claude, 1)

    chat.say("/stop")
    chat.say("What is 17 * 23?")

    await chat.sees("That is 391.")
    await bridge.settled()
    assert chat.texts() == ["⏹ stopped", "That is 391."]


async def test_new_ends_the_answer_and_forgets_the_conversation(
    bridge: House, chat: Person, claude: ClaudeEmulator
) -> None:
    await chat.ask("What is 17 * 23?")
    claude.order(Fault(hold="slow"))
    chat.say("Tell me about pelicans")
    await requests(claude, 2)

    chat.say("/new")
    await chat.sees("A new conversation.")
    await chat.ask("Hello")

    await hung_up(claude)
    messages = bridge.asked()[-1].body["messages"]
    assert len(messages) == 1
    assert "Hello" in str(messages)


async def test_commands_do_not_wait_for_an_answer(
    bridge: House, chat: Person, claude: ClaudeEmulator
) -> None:
    claude.order(Fault(hold="slow"))
    chat.say("Tell me about pelicans")
    await requests(claude, 1)

    answer = await chat.ask("/help")

    assert "/bg task" in answer.text
    claude.release("slow")


async def test_a_bug_in_an_answer_is_told_and_the_chat_goes_on(
    house: House, chat: Person, claude: ClaudeEmulator
) -> None:
    await house.start()
    house.rows("ALTER TABLE usage RENAME TO usage_away")
    answer = await chat.ask("Hello")
    house.rows("ALTER TABLE usage_away RENAME TO usage")

    again = await chat.ask("What is 17 * 23?")

    assert answer.text.startswith("Something went wrong on my side")
    assert again.text == "That is 391."


async def test_each_topic_of_a_chat_is_a_conversation_of_its_own(
    bridge: House, chat: Person, claude: ClaudeEmulator, telegram: TelegramEmulator
) -> None:
    claude.order(Fault(hold="slow", match="pelicans"))
    chat.say("Tell me about pelicans", thread_id=11)
    await requests(claude, 1)

    answer = await chat.ask("What is 17 * 23?", thread_id=12)

    assert (answer.text, answer.thread_id) == ("That is 391.", 12)
    assert "pelicans" not in str(bridge.asked()[-1].body["messages"])
    claude.release("slow")

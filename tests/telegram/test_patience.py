"""An answer that takes long: offered to the background, then moved there, and never cut."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from chatting import CHAT, CURSOR, House, Person
from fakes import FakeClock
from waiting import until

from bridge.agent.tool import Tool
from bridge.clock import Clock
from bridge.emulator.claude import ClaudeEmulator
from bridge.emulator.claude_faults import Fault
from bridge.emulator.script import Reply, Text, ToolUse
from bridge.emulator.telegram_faults import Fault as TelegramFault
from bridge.emulator.telegram_state import ChatMessage
from bridge.telegram.patience import HAND_OVER_AFTER_S, OFFER_AFTER_S, QUIET_S, Patience
from bridge.tools.jobs import job_tools

LONG = "Pelicans are large water birds with a throat pouch. " * 30
LONG_SLEEP_S = 6.0  # whoever sleeps so long waits for the test


class Skipping(Clock):
    """The real clock; the test skips the long waits."""

    def __init__(self) -> None:
        super().__init__()
        self._ahead_s = 0.0
        self._skipped = asyncio.Event()

    def monotonic(self) -> float:
        return super().monotonic() + self._ahead_s

    async def sleep(self, seconds: float) -> None:
        if seconds < LONG_SLEEP_S:
            await super().sleep(seconds)
            return
        until_s = self.monotonic() + seconds
        while self.monotonic() < until_s:
            await self._skipped.wait()

    def skip(self, seconds: float) -> None:
        """Let so much time pass at once."""
        self._ahead_s += seconds
        self._skipped.set()
        self._skipped = asyncio.Event()


@pytest.fixture
async def clock(house: House) -> Skipping:
    """A bridge whose long waits the test skips."""
    house.clock = clock = Skipping()
    await house.start()
    return clock


async def hangs(house: House, chat: Person, claude: ClaudeEmulator) -> int:
    """A question for which the model has no word; the message's id."""
    claude.order(Fault(hold="for ever", match="pelicans"))
    sent = chat.say("How many pelicans are there?")
    await claude.wait_for(lambda records: records)
    return sent


async def offered(chat: Person) -> ChatMessage:
    return await chat.sees_where(lambda m: "Go on in the background" in str(m.buttons))


async def test_nothing_is_offered_or_moved_before_its_time() -> None:
    clock, moved, shown = FakeClock(), [], []

    async def offer() -> None:
        shown.append(clock.monotonic())

    patience = Patience(clock, words_at=lambda: 0.0, offer=offer, hand_over=lambda: moved.append(1))
    task = asyncio.create_task(patience.run())
    await until(lambda: clock.sleeping)
    assert clock.sleeping == [OFFER_AFTER_S]
    clock.advance(OFFER_AFTER_S)
    await until(lambda: shown)
    await until(lambda: clock.sleeping == [HAND_OVER_AFTER_S - OFFER_AFTER_S])
    assert not moved
    clock.advance(HAND_OVER_AFTER_S - OFFER_AFTER_S)
    await task
    assert moved


async def test_an_answer_that_is_being_written_is_not_moved_until_it_is_quiet() -> None:
    clock, moved = FakeClock(), []
    words_at = clock.monotonic()

    async def offer() -> None:
        pass

    patience = Patience(
        clock, words_at=lambda: words_at, offer=offer, hand_over=lambda: moved.append(1)
    )
    task = asyncio.create_task(patience.run())
    for _ in range(30):
        await until(lambda: clock.sleeping)
        clock.advance(5)
        words_at = clock.monotonic()
        await asyncio.sleep(0)
    assert not moved
    await until(lambda: clock.sleeping)
    clock.advance(QUIET_S)
    await task
    assert moved


async def test_after_twenty_seconds_the_background_is_offered_in_silence(
    house: House, clock: Skipping, chat: Person, claude: ClaudeEmulator
) -> None:
    await hangs(house, chat, claude)

    clock.skip(OFFER_AFTER_S)

    offer = await offered(chat)
    assert offer.silent
    assert offer.text == "This takes longer. You need not wait for it."
    claude.release("for ever")
    await house.settled()


async def test_an_offer_goes_away_with_the_answer(
    house: House, clock: Skipping, chat: Person, claude: ClaudeEmulator
) -> None:
    claude.script.when("pelicans", "Seven.")
    await hangs(house, chat, claude)
    clock.skip(OFFER_AFTER_S)
    await offered(chat)

    claude.release("for ever")

    await chat.sees("Seven.")
    await until(lambda: chat.texts() == ["Seven."])
    assert house.jobs() == []


async def test_an_offer_that_is_still_on_its_way_goes_away_and_delays_no_answer(
    house: House, clock: Skipping, chat: Person, claude: ClaudeEmulator
) -> None:
    claude.script.when("pelicans", "Seven.")
    await hangs(house, chat, claude)
    held = house.telegram.order(TelegramFault(method="sendMessage", hold=True))
    clock.skip(OFFER_AFTER_S)
    await house.telegram.wait_for(lambda e: e.calls("sendMessage", CHAT))

    claude.release("for ever")
    await chat.sees("Seven.")
    held.release()

    await until(lambda: house.telegram.calls("deleteMessage", CHAT))
    await until(lambda: chat.texts() == ["Seven."])


async def test_who_takes_the_offer_gets_a_job_with_a_card(
    house: House, clock: Skipping, chat: Person, claude: ClaudeEmulator
) -> None:
    sent = await hangs(house, chat, claude)
    clock.skip(OFFER_AFTER_S)
    offer = await offered(chat)

    house.telegram.press(CHAT, offer.message_id, "⏩ Go on in the background")
    card = await chat.sees("#1")

    await house.settled()
    assert "This takes longer. I go on with it in the background." in card.text
    assert card.reply_to == sent
    assert [job["prompt"] for job in house.jobs()] == ["How many pelicans are there?"]
    await until(lambda: len(chat.shown()) == 1)
    assert len(house.asked()) == 1


async def test_an_answer_without_a_word_becomes_a_job_by_itself_and_the_chat_goes_on(
    house: House, clock: Skipping, dutch: Person, claude: ClaudeEmulator
) -> None:
    await hangs(house, dutch, claude)

    clock.skip(HAND_OVER_AFTER_S)
    card = await dutch.sees("#1")

    assert "Dit duurt langer. Ik ga er op de achtergrond mee door." in card.text
    await house.settled()
    assert (await dutch.ask("What is 17 * 23?")).text == "That is 391."
    assert len(house.jobs()) == 1


async def test_an_answer_that_is_written_is_not_cut_at_its_time(
    house: House, clock: Skipping, chat: Person, claude: ClaudeEmulator
) -> None:
    claude.script.when("pelicans", Reply(LONG[:800], pace_s=0.06))
    chat.say("Tell me about pelicans")
    first = await chat.sees_where(lambda m: m.text.endswith(CURSOR))

    clock.skip(HAND_OVER_AFTER_S - 2)
    seen = len(first.text)
    await chat.sees_where(lambda m: len(m.text) > seen)  # a word since then
    clock.skip(QUIET_S - 5)

    await chat.sees_where(lambda m: m.text == LONG[:800].strip())
    await house.settled()
    assert house.jobs() == []


@pytest.fixture
def walking(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """The chat's agent can walk, which never ends; the event is set when it has begun."""
    begun = asyncio.Event()

    async def run(_given: dict[str, Any]) -> str:
        begun.set()
        await asyncio.Event().wait()
        return "arrived"

    tool = Tool(name="walk", description="Walk.", properties={}, run=run, repeat="once")
    usual: Callable[..., list[Tool]] = job_tools
    monkeypatch.setattr("bridge.telegram.answer.job_tools", lambda *args: [*usual(*args), tool])
    return begun


async def test_a_job_goes_on_from_what_the_answer_had_come_to(
    house: House, clock: Skipping, chat: Person, claude: ClaudeEmulator, walking: asyncio.Event
) -> None:
    claude.script.when("pelicans", Reply([Text("I walk to them."), ToolUse("walk", {})]))
    chat.say("Walk to the pelicans")
    await walking.wait()

    clock.skip(HAND_OVER_AFTER_S)
    await chat.sees("#1")

    await house.settled()
    (job,) = house.jobs()
    assert job["prompt"].startswith("Walk to the pelicans\n\nDone so far, in the chat.")
    assert "said: I walk to them." in job["prompt"]
    assert "called walk with {}" in job["prompt"]
    assert "its effect is unknown" in job["prompt"]
    assert (await chat.ask("What is 17 * 23?")).text == "That is 391."


async def test_an_offer_that_was_left_behind_says_that_it_is_too_late(
    house: House, clock: Skipping, chat: Person, claude: ClaudeEmulator
) -> None:
    await hangs(house, chat, claude)
    clock.skip(OFFER_AFTER_S)
    offer = await offered(chat)
    data = offer.buttons[0][0]["callback_data"]
    claude.release("for ever")
    await until(lambda: len(chat.shown()) == 1 and chat.shown()[0].message_id != offer.message_id)
    await house.settled()

    chat.press_raw(data)

    await house.telegram.wait_for(lambda e: e.calls("answerCallbackQuery"))
    (call,) = house.telegram.calls("answerCallbackQuery")
    assert call.params["text"] == "That answer has ended already."
    assert house.jobs() == []

"""An answer while it is written: typing first, then text, then edits at a bearable pace."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from fakes import FakeClock
from waiting import until

from bridge.emulator.telegram import TelegramEmulator
from bridge.emulator.telegram_faults import Fault
from bridge.telegram.api import Api
from bridge.telegram.budget import Budget
from bridge.telegram.stream import CURSOR, Stream

CHAT = 7
QUIET_TURNS = 80  # of the event loop, without a call: far more than one takes to leave
WORDS = "Pelicans are large water birds with a throat pouch. "


@pytest.fixture
async def api(telegram: TelegramEmulator) -> AsyncIterator[Api]:
    made = Api(
        token=telegram.token,
        base_url=telegram.base_url,
        base_file_url=telegram.base_file_url,
    )
    await made.open()
    yield made
    await made.close()


@pytest.fixture
def budget(clock: FakeClock) -> Budget:
    return Budget(clock)


@pytest.fixture
async def stream(api: Api, budget: Budget, clock: FakeClock) -> AsyncIterator[Stream]:
    made = Stream(
        api=api,
        budget=budget,
        clock=clock,
        chat_id=str(CHAT),
        thread_id=0,
        buttons=[[{"text": "⏹ Stop", "data": "x"}]],
    )
    yield made
    await made.finish()


class Reader:
    """Lets time pass for a stream and sees what comes of it."""

    def __init__(self, stream: Stream, clock: FakeClock, telegram: TelegramEmulator) -> None:
        self._stream = stream
        self._clock = clock
        self._telegram = telegram

    async def later(self, seconds: float, words: str = "") -> None:
        """Time passes, more words have come, and the stream has done what it does then."""
        self._clock.advance(seconds)
        self._stream.text(words)
        await self.still()

    async def still(self) -> None:
        """No call is under way and nothing happens any more."""
        quiet, before = 0, -1
        while quiet < QUIET_TURNS:
            await asyncio.sleep(0)
            calls = self._telegram.calls()
            open_calls = [call for call in calls if call.status is None]
            quiet = quiet + 1 if len(calls) == before and not open_calls else 0
            before = len(calls)

    def methods(self) -> list[str]:
        return [call.method for call in self._telegram.calls(chat_id=CHAT)]

    def count(self, method: str) -> int:
        return self.methods().count(method)

    def text(self) -> str:
        return next(m.text for m in self._telegram.messages(CHAT) if m.from_bot)


@pytest.fixture
def reader(stream: Stream, clock: FakeClock, telegram: TelegramEmulator) -> Reader:
    return Reader(stream, clock, telegram)


async def test_a_quick_answer_costs_no_call(stream: Stream, reader: Reader) -> None:
    stream.start()
    await reader.later(0.2, WORDS)

    assert await stream.finish() is None
    assert reader.methods() == []
    assert stream.written == WORDS


async def test_a_typing_sign_comes_when_the_model_takes_its_time(
    stream: Stream, reader: Reader
) -> None:
    stream.start()
    await reader.still()

    await reader.later(0.31)

    assert reader.methods() == ["sendChatAction"]


async def test_the_typing_sign_is_kept_alive_and_has_an_end(stream: Stream, reader: Reader) -> None:
    stream.start()
    await reader.still()

    for _ in range(120):
        await reader.later(0.5)

    assert reader.methods() == ["sendChatAction"] * 7


async def test_the_first_text_says_something(stream: Stream, reader: Reader) -> None:
    stream.start()
    await reader.still()
    await reader.later(0.4, "Well")
    shown = [stream.visible]

    await reader.later(0.2, WORDS)

    assert shown == [False]
    assert reader.text().startswith(f"Well{WORDS}")
    assert reader.text().endswith(CURSOR)
    assert stream.visible


async def test_a_short_text_is_shown_after_a_while(stream: Stream, reader: Reader) -> None:
    stream.start()
    await reader.still()
    await reader.later(0.4, "Well")

    await reader.later(1.2)

    assert reader.text() == f"Well{CURSOR}"


async def test_blank_space_is_nothing_to_show(stream: Stream, reader: Reader) -> None:
    stream.start()
    await reader.still()

    await reader.later(2, " \n" * 40)

    assert not stream.visible


async def test_the_message_makes_no_sound_and_has_the_stop_button(
    stream: Stream, reader: Reader, telegram: TelegramEmulator
) -> None:
    stream.start()
    await reader.still()
    await reader.later(0.4, WORDS)

    message = telegram.messages(CHAT)[-1]
    assert message.silent
    assert message.buttons[0][0]["text"] == "⏹ Stop"


async def test_edits_come_at_a_pace_that_slows_down(stream: Stream, reader: Reader) -> None:
    stream.start()
    await reader.still()
    await reader.later(0.4, WORDS)
    edits = []
    for _ in range(6):
        for _ in range(10):
            await reader.later(1, WORDS)
        edits.append(reader.count("editMessageText"))

    first, later = edits[0], edits[2] - edits[1]
    assert (first, later) == (5, 2)  # every 1.3 s, then every 4 s, on a clock of whole seconds
    assert edits[-1] <= 20


async def test_a_few_more_letters_are_not_worth_an_edit(stream: Stream, reader: Reader) -> None:
    stream.start()
    await reader.still()
    await reader.later(0.4, WORDS)

    await reader.later(2, "a" * 23)
    before = reader.count("editMessageText")
    await reader.later(2, "a")

    assert before == 0
    assert reader.count("editMessageText") == 1


async def test_an_unfinished_format_is_shown_as_far_as_it_goes(
    stream: Stream, reader: Reader, telegram: TelegramEmulator
) -> None:
    stream.start()
    await reader.still()

    await reader.later(0.4, "Look:\n```python\nprint('pelicans are large birds')")

    assert telegram.messages(CHAT)[-1].entities[0]["type"] == "pre"


async def test_only_the_beginning_of_a_very_long_text_is_shown(
    stream: Stream, reader: Reader
) -> None:
    stream.start()
    await reader.still()

    await reader.later(0.4, "🦩" * 5_000)

    assert len(reader.text().encode("utf-16-le")) // 2 <= 4_096


async def test_finish_gives_the_message_to_replace(
    stream: Stream, reader: Reader, telegram: TelegramEmulator
) -> None:
    stream.start()
    await reader.still()
    await reader.later(0.4, WORDS)

    message_id = await stream.finish()

    assert message_id == telegram.messages(CHAT)[-1].message_id
    assert await stream.finish() == message_id


async def test_finish_waits_for_a_message_that_is_under_way(
    stream: Stream, clock: FakeClock, telegram: TelegramEmulator, reader: Reader
) -> None:
    stream.start()
    await reader.still()
    held = telegram.order(Fault(method="sendMessage", delay_s=0.2))
    clock.advance(0.4)
    stream.text(WORDS)
    await until(lambda: held.hits)

    message_id = await stream.finish()

    assert message_id == telegram.messages(CHAT)[-1].message_id


async def test_without_a_budget_nothing_is_shown(
    stream: Stream, reader: Reader, budget: Budget
) -> None:
    budget.flooded(str(CHAT), 60)
    stream.start()
    await reader.still()

    for _ in range(10):
        await reader.later(1, WORDS)

    assert reader.methods() == []
    assert await stream.finish() is None


async def test_a_flood_silences_the_chat_and_harms_nothing(
    stream: Stream, reader: Reader, budget: Budget, telegram: TelegramEmulator
) -> None:
    telegram.order(Fault(method="sendMessage", status=429, retry_after=30))
    stream.start()
    await reader.still()
    await reader.later(0.4, WORDS)

    await reader.later(5, WORDS)

    assert reader.count("sendMessage") == 1
    assert budget.take_now(str(CHAT)) == pytest.approx(25.5)
    assert await stream.finish() is None


@pytest.mark.parametrize("fault", [Fault(status=500), Fault(status=403), Fault(drop="refused")])
async def test_an_error_ends_the_showing_and_harms_nothing(
    stream: Stream, reader: Reader, telegram: TelegramEmulator, fault: Fault
) -> None:
    stream.start()
    await reader.still()
    telegram.order(fault)

    await reader.later(0.4, WORDS)
    await reader.later(5, WORDS)

    assert await stream.finish() is None
    assert stream.written == WORDS * 2

"""A connection that is dead without saying so is replaced; when that is no help, the process is."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from chatting import CHAT
from fakes import FakeClock
from telegram import Update
from waiting import until

from bridge.emulator.telegram import TelegramEmulator
from bridge.emulator.telegram_faults import Fault
from bridge.errors import KittError
from bridge.store import Store
from bridge.telegram import inbox
from bridge.telegram.api import Api
from bridge.telegram.inbox import Inbox
from bridge.telegram.poll_watch import AGAIN_WITHIN_S, WEDGED_AFTER_S, PollWatch

TRY_S = 50.0


class Line:
    """A watch, and how often it made new connections."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.renewed = 0
        self.watch = PollWatch(clock, self.renew)

    async def renew(self) -> None:
        self.renewed += 1

    async def fails(self, tries: int = 1, *, silent: bool = True) -> None:
        for _ in range(tries):
            self.clock.advance(TRY_S)
            await self.watch.failed(silent=silent)


@pytest.fixture
def line(clock: FakeClock) -> Line:
    return Line(clock)


async def test_a_line_that_was_silent_for_a_while_is_left_alone(line: Line) -> None:
    await line.fails(2)

    assert line.renewed == 0


async def test_a_line_that_stays_silent_is_renewed_within_three_minutes(line: Line) -> None:
    await line.fails(3)

    assert line.renewed == 1
    assert WEDGED_AFTER_S + inbox.SILENCE_MAX_S < 180


async def test_an_answer_between_begins_the_count_again(line: Line) -> None:
    await line.fails(2)
    line.watch.answered()
    await line.fails(2)

    assert line.renewed == 0


async def test_a_line_that_is_silent_again_soon_ends_the_process(line: Line) -> None:
    await line.fails(3)
    line.watch.answered()

    with pytest.raises(KittError, match="starts again"):
        await line.fails(3)

    assert line.renewed == 1


async def test_a_line_that_is_silent_again_much_later_is_renewed(line: Line) -> None:
    await line.fails(3)
    line.clock.advance(AGAIN_WITHIN_S)
    line.watch.answered()

    await line.fails(3)

    assert line.renewed == 2


async def test_errors_that_say_what_they_are_never_end_the_process(line: Line) -> None:
    await line.fails(12, silent=False)

    assert line.renewed == 4


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


async def test_an_inbox_whose_connection_hangs_receives_over_a_new_one(
    store: Store,
    api: Api,
    clock: FakeClock,
    telegram: TelegramEmulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(inbox, "SILENCE_MAX_S", 0.05)
    renewed: list[float] = []
    seen: list[Update] = []
    began = clock.monotonic()
    renew = api.renew_polling

    async def noted() -> None:
        renewed.append(clock.monotonic() - began)
        await renew()

    monkeypatch.setattr(api, "renew_polling", noted)
    hanging = telegram.order(Fault(method="getUpdates", hold=True, times=1_000))
    receiving = asyncio.create_task(
        Inbox(store=store, api=api, clock=clock, handle=seen.append).run()
    )
    for tries in range(1, 4):
        await until(lambda: hanging.hits >= tries)  # noqa: B023 - waited for at once
        clock.advance(TRY_S)
    await until(lambda: renewed)
    telegram.faults.clear()
    hanging.release()
    telegram.send(CHAT, "Hello")

    await until(lambda: seen)
    assert renewed[0] < 180
    receiving.cancel()
    with suppress(asyncio.CancelledError):
        await receiving


async def test_new_connections_are_made_while_one_waits_for_updates(
    api: Api, telegram: TelegramEmulator
) -> None:
    asking = asyncio.create_task(api.get_updates(None))
    await until(lambda: telegram.updates.polled)

    await api.renew_polling()

    with suppress(KittError):
        await asyncio.wait_for(asking, 5)
    telegram.send(CHAT, "Hello")
    assert [update["message"]["text"] for update in await api.get_updates(None)] == ["Hello"]

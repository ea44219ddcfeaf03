"""The checks of sending and receiving can fail: each is run on good and on broken code.

The two classic mistakes are to call a message sent before it is, and to tell Telegram that an
update is safe before it is. The queue's own mutants are in test_queue_mutants.py.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from chatting import CHAT, Desk
from fakes import FakeClock, OpenStore
from waiting import until

from bridge.emulator.telegram import TelegramEmulator
from bridge.emulator.telegram_faults import Fault
from bridge.store import Store, statements
from bridge.telegram.api import Api
from bridge.telegram.inbox import Inbox

OWED = "status IN ('ready', 'sending')"
SENDING = "SET status = 'sending'"
WORSE: dict[str, tuple[str, str]] = {
    "marked as sent before the call": ("delivery_sending", "SET status = 'sent'"),
    "not marked before the call": ("delivery_sending", "SET status = status"),
}
A_SHORT_WHILE_S = 0.3  # in which a wrong confirmation would come


class Hasty(Inbox):
    """Asks for the next updates before the last ones are committed."""

    keeping: "asyncio.Task[None]"

    async def _keep(self, updates: list[dict[str, Any]]) -> None:
        self.keeping = asyncio.create_task(super()._keep(updates))


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


async def arrives_after_a_crash(
    store: Store, memory: Path, telegram: TelegramEmulator, clock: FakeClock
) -> None:
    """The connection breaks in the middle of the call, and the process dies before it can retry."""
    telegram.order(Fault(method="sendMessage", drop="refused"))
    first = Desk(store, memory, telegram, clock)
    await first.start()
    await first.tell("Hello")
    await until(lambda: telegram.calls("sendMessage") and (clock.sleeping or not first.rows(OWED)))
    await first.stop()

    second = Desk(store, memory, telegram, clock)
    await second.start()
    try:
        await second.over()
        assert [text.splitlines()[-1] for text in second.texts()] == ["Hello"]
        assert second.texts() != ["Hello"], "it may have arrived before, and does not say so"
    finally:
        await second.stop()


async def test_message_cut_off_by_a_crash_arrives_and_says_so(
    store: Store, memory: Path, telegram: TelegramEmulator, clock: FakeClock
) -> None:
    await arrives_after_a_crash(store, memory, telegram, clock)


@pytest.mark.parametrize("how", WORSE)
async def test_wrong_mark_of_a_message_is_caught(
    open_store: OpenStore, memory: Path, telegram: TelegramEmulator, clock: FakeClock, how: str
) -> None:
    name, worse = WORSE[how]
    text = statements()[name]
    assert text.count(SENDING) == 1
    store = await open_store(sql={**statements(), name: text.replace(SENDING, worse)})

    with pytest.raises(AssertionError):
        await arrives_after_a_crash(store, memory, telegram, clock)


async def is_confirmed_only_when_it_is_safe(
    kind: type[Inbox], store: Store, api: Api, telegram: TelegramEmulator
) -> None:
    """Nothing can be committed: Telegram must not be told to forget the update."""
    seen: list[object] = []
    inbox = kind(store=store, api=api, clock=FakeClock(), handle=seen.append)
    running = asyncio.create_task(inbox.run())
    onlooker = sqlite3.connect(store.path, isolation_level=None)
    onlooker.execute("BEGIN EXCLUSIVE")
    try:
        telegram.send(CHAT, "Hello")
        await until(lambda: seen)
        with suppress(AssertionError):
            await until(lambda: telegram.confirmed_offset, A_SHORT_WHILE_S)
        assert telegram.confirmed_offset == 0
    finally:
        onlooker.execute("ROLLBACK")
        onlooker.close()
        await telegram.wait_for(lambda emulator: emulator.confirmed_offset)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def test_update_is_confirmed_only_after_its_commit(
    store: Store, api: Api, telegram: TelegramEmulator
) -> None:
    await is_confirmed_only_when_it_is_safe(Inbox, store, api, telegram)


async def test_confirmation_before_the_commit_is_caught(
    store: Store, api: Api, telegram: TelegramEmulator
) -> None:
    with pytest.raises(AssertionError):
        await is_confirmed_only_when_it_is_safe(Hasty, store, api, telegram)

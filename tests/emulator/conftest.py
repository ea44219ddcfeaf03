"""A running emulator of the Bot API and a bot in front of it."""

from collections.abc import AsyncIterator

import pytest
from bots import CHAT, client
from telegram import Bot

from bridge.emulator.telegram import TelegramEmulator


@pytest.fixture
async def emulator() -> AsyncIterator[TelegramEmulator]:
    """Nothing in it yet."""
    emulator = TelegramEmulator()
    await emulator.start()
    yield emulator
    await emulator.stop()


@pytest.fixture
async def bot(emulator: TelegramEmulator) -> AsyncIterator[Bot]:
    """The library's bot; one chat is open."""
    emulator.open_chat(CHAT)
    async with client(emulator) as bot:
        yield bot

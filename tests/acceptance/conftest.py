"""A running bridge to chat with (tests/chatting.py), and processes to kill (tests/forked.py)."""

from collections.abc import AsyncIterator

import pytest_asyncio
from chatting import bridge, chat, claude, desk, dutch, house, telegram, without_certificates

from bridge.prove.crew import Zygote

__all__ = [
    "bridge",
    "chat",
    "claude",
    "desk",
    "dutch",
    "house",
    "telegram",
    "without_certificates",
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def zygote() -> AsyncIterator[Zygote]:
    """What the tests of a file fork their programs from."""
    opened = await Zygote.open()
    yield opened
    await opened.close()

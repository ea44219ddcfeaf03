"""What the tests of jobs share: a shop with workers."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from working import Shop

from bridge.emulator.claude import ClaudeEmulator
from bridge.store import Store


@pytest.fixture
async def shop(tmp_path: Path, store: Store) -> AsyncIterator[Shop]:
    claude = ClaudeEmulator()
    await claude.start()
    opened = Shop(tmp_path, store, claude)
    yield opened
    await opened.close()
    await claude.stop()

"""The desk of the loop's tests; what it is stands in tests/turns.py."""

from collections.abc import AsyncIterator

import pytest
from turns import Desk

from bridge.agent.model import AnthropicModel
from bridge.emulator.claude import ClaudeEmulator
from bridge.emulator.script import Script
from bridge.store import Store


@pytest.fixture
async def desk(store: Store) -> AsyncIterator[Desk]:
    """An emulated model that says nothing yet. At the end: it never had to refuse a request."""
    claude = ClaudeEmulator(script=Script())
    await claude.start()
    model = AnthropicModel(key=claude.key, base_url=claude.base_url)
    yield Desk(store, claude, model)
    await model.close()
    await claude.stop()
    refused = [record.error for record in claude.requests if record.status == 400]
    assert not refused, f"the API refuses what it was sent: {refused}"

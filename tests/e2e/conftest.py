"""The whole of KITT, running; what it is stands in tests/stack.py."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from stack import Stack, running


@pytest.fixture
async def kitt(tmp_path: Path) -> AsyncIterator[Stack]:
    """One bridge and one worker that are up; chat 1 may use them."""
    async with running(tmp_path) as stack:
        yield stack

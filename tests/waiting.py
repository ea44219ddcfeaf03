"""Waiting for what another task, thread or process does in real time."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar, overload

T = TypeVar("T")
FIRST_PAUSE_S: Final = 0.001
LAST_PAUSE_S: Final = 0.05


@overload
async def until(condition: Callable[[], Awaitable[T]], timeout_s: float = 15.0) -> T: ...
@overload
async def until(condition: Callable[[], T], timeout_s: float = 15.0) -> T: ...
async def until(condition: Callable[[], object], timeout_s: float = 15.0) -> object:
    """Ask again and again until the answer is true, and return it.

    `condition` may be a plain or an async function. Fails with the last answer after `timeout_s`.
    """
    deadline = time.monotonic() + timeout_s
    pause_s = FIRST_PAUSE_S
    while True:
        answer = condition()
        if inspect.isawaitable(answer):
            answer = await answer
        if answer:
            return answer
        assert time.monotonic() < deadline, f"still {answer!r} after {timeout_s} s"
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, LAST_PAUSE_S)

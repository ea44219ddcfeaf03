"""Reactions on a person's messages: what has become of them, without a message of our own.

A sign is left out when the chat's budget is short and never waits in a queue; one that stands is
taken away with some patience, since it would say what is no longer so. Nothing here ever blocks an
answer.
"""

import asyncio
import logging
from typing import Final

from bridge.clock import Clock
from bridge.errors import KittError
from bridge.telegram.api import Api, Flooded
from bridge.telegram.budget import Budget
from bridge.telegram.gate import Incoming

log = logging.getLogger(__name__)
SEEN: Final = "👀"  # it was taken into the answer that is being made
QUEUED: Final = "😴"  # it waits for its turn
TRIES: Final = 4  # to take a sign away
RETRY_S: Final = 5.0
CLOSING_S: Final = 0.5  # for calls that are under way


class Signs:
    """Shows at most one sign on each message; `show` and `clear` return at once."""

    def __init__(self, *, api: Api, budget: Budget, clock: Clock) -> None:
        self._api = api
        self._budget = budget
        self._clock = clock
        self._wanted: dict[tuple[str, int], str | None] = {}
        self._shown: dict[tuple[str, int], str] = {}
        self._tasks: dict[tuple[str, int], asyncio.Task[None]] = {}

    def show(self, message: Incoming, sign: str) -> None:
        """Put this sign on a message, in the place of another."""
        self._want((message.chat_id, message.message_id), sign)

    def clear(self, message: Incoming) -> None:
        """The message needs no sign any more."""
        key = (message.chat_id, message.message_id)
        if key in self._tasks or key in self._shown:
            self._want(key, None)

    async def close(self) -> None:
        """Stop; what stands stays."""
        tasks = list(self._tasks.values())
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSING_S)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _want(self, key: tuple[str, int], sign: str | None) -> None:
        self._wanted[key] = sign
        if key not in self._tasks:
            self._tasks[key] = asyncio.create_task(self._follow(key))

    async def _follow(self, key: tuple[str, int]) -> None:
        """One call after the other, so that the last wish is what stands."""
        try:
            tries = TRIES
            while (sign := self._wanted[key]) != self._shown.get(key) and tries > 0:
                tries -= 1
                if await self._react(key, sign):
                    continue
                if sign is not None:
                    break
                await self._clock.sleep(RETRY_S)
        except KittError as error:
            log.info("A sign in chat %s is left out: %s", key[0], error)
        except Exception:  # a sign is a comfort
            log.exception("A sign in chat %s is left out", key[0])
        finally:
            if self._wanted.get(key) is None:
                self._shown.pop(key, None)
            self._wanted.pop(key, None)
            del self._tasks[key]

    async def _react(self, key: tuple[str, int], sign: str | None) -> bool:
        if not self._budget.spare(key[0]):
            return False
        try:
            await self._api.react(key[0], key[1], sign)
        except Flooded as error:
            self._budget.flooded(key[0], error.retry_after_s)
            return False
        if sign is None:
            self._shown.pop(key, None)
        else:
            self._shown[key] = sign
        return True

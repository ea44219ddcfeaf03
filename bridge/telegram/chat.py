"""One conversation partner: which message starts an answer, joins it, waits, or stops it.

An answer starts at once. More text within a second, before anything is visible, joins it (people
write one thought in two messages, and clients cut long pastes); later text waits for its turn. One
chat never waits for another.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine
from functools import partial
from itertools import takewhile
from typing import Any, Final

from bridge.clock import Clock
from bridge.errors import KittError, TryLater
from bridge.telegram.answer import Answer
from bridge.telegram.gate import Incoming

log = logging.getLogger(__name__)
RETRY_S: Final = 1.0  # while the database is locked
JOIN_WITHIN_S: Final = 1.0  # a restart costs what the model has done so far


class Chat:
    """The actor of one (chat, thread).

    `answer` makes the answer to a batch of messages; `owed` hears when one is owed to the chat.
    """

    def __init__(
        self, answer: Callable[[list[Incoming]], Answer], *, owed: Callable[[], None], clock: Clock
    ) -> None:
        self._answer = answer
        self._owed = owed
        self._clock = clock
        self._received_at = 0.0
        self._current: Answer | None = None
        self._task: asyncio.Task[None] | None = None
        self._batch: list[Incoming] = []
        self._waiting: list[Incoming] = []

    @property
    def busy(self) -> bool:
        """True while an answer is being made."""
        return self._task is not None

    def is_of(self, user_id: str) -> bool:
        """Is the answer that is being made for this person? In a group it may be another's."""
        return bool(self._batch) and self._batch[-1].user_id == user_id

    def receive(self, *messages: Incoming) -> None:
        """Take a message, or several that are one request; returns at once."""
        now = self._clock.monotonic()
        same_thought = now - self._received_at <= JOIN_WITHIN_S and self.is_of(messages[0].user_id)
        self._received_at = now
        if self._task is None:
            self._start([*messages])
        elif same_thought and self._current is not None and self._current.can_restart:
            log.info("More text came before the answer was visible; it joins")
            self._abandon(self._task)
            self._start([*self._batch, *messages])
        else:
            self._waiting.extend(messages)

    def interrupt(self, then: Callable[[bool], Coroutine[Any, Any, None]]) -> None:
        """Stop the answer that is being made, if there is one; then do `then(stopped)`.

        Text that comes after this waits until it is done, so that it meets what `then` has changed.
        """
        task, current, self._current = self._task, self._current, None
        if task is not None:
            task.remove_done_callback(self._over)
            if current is not None:
                task.cancel()
        self._task = asyncio.create_task(self._interrupt(task, current, then))
        self._task.add_done_callback(self._over)

    async def _interrupt(
        self,
        task: asyncio.Task[None] | None,
        current: Answer | None,
        then: Callable[[bool], Coroutine[Any, Any, None]],
    ) -> None:
        if task is not None:
            await asyncio.wait([task])
        if current is not None:
            await self._patiently(current.stop)
        await self._patiently(partial(then, current is not None))

    async def drain(self, timeout_s: float) -> None:
        """Give the running answer some seconds; an unfinished one begins again after the start."""
        task = self._task
        if task is None:
            return
        self._waiting.clear()  # they are in the inbox
        await asyncio.wait([task], timeout=timeout_s)
        if not task.done():
            self._abandon(task)
            await asyncio.wait([task])

    def _start(self, batch: list[Incoming]) -> None:
        self._batch = batch
        self._current = self._answer(batch)
        self._task = asyncio.create_task(self._run(self._current))
        self._task.add_done_callback(self._over)

    async def _run(self, answer: Answer) -> None:
        try:
            await self._patiently(answer.run)
            self._owed()
        except Exception:  # the person must not be left without a word
            log.exception("An answer failed")
            with contextlib.suppress(KittError):
                await answer.fail()

    async def _patiently(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Do it again while the database is locked or the disk full; what is stored stays once."""
        while True:
            try:
                return await work()
            except TryLater as error:
                log.warning("%s", error)
                await self._clock.sleep(RETRY_S)

    def _abandon(self, task: asyncio.Task[None]) -> None:
        """Cancel an answer without starting the next one."""
        task.remove_done_callback(self._over)
        task.cancel()

    def _over(self, task: asyncio.Task[None]) -> None:
        if task is not self._task:
            return  # another one has taken its place in the meantime
        self._task = self._current = None
        if not task.cancelled() and task.exception() is not None:
            log.error("An interruption failed", exc_info=task.exception())
        if self._waiting:
            asker = self._waiting[0].user_id
            batch = list(takewhile(lambda item: item.user_id == asker, self._waiting))
            del self._waiting[: len(batch)]
            self._start(batch)

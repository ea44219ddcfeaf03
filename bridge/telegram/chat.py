"""One conversation partner: which message starts an answer, joins it, waits, or stops it.

An answer starts at once. More text within a second, before anything is visible, joins it (people
write one thought in two messages, and clients cut long pastes). Later text waits, with a sign on
it: the answer takes it in when it asks the model again, else it is the next turn. After a stop what
waits is held until its person says what becomes of it. One chat never waits for another.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection, Coroutine
from functools import partial
from typing import Any, Final

from bridge.clock import Clock
from bridge.errors import KittError, TryLater
from bridge.telegram.answer import Answer
from bridge.telegram.gate import Incoming
from bridge.telegram.held import ids_of
from bridge.telegram.said import changed, correction, is_cut
from bridge.telegram.signs import Signs
from bridge.telegram.waiting import Waiting

log = logging.getLogger(__name__)
RETRY_S: Final = 1.0  # while the database is locked
JOIN_WITHIN_S: Final = 1.0  # a restart costs what the model has done so far
PASTE_WITHIN_S: Final = 2.0  # the next part of a text that was cut
LET_GO_S: Final = 0.5  # whatever a stopped turn still clings to, its person waits no longer for it


class Chat:
    """The actor of one (chat, thread).

    `answer` makes the answer to a batch of messages; `owed` hears when one is owed to the chat.
    `held` are the updates that were held when the last bridge ended.
    """

    def __init__(
        self,
        answer: Callable[[list[Incoming]], Answer],
        *,
        owed: Callable[[], None],
        clock: Clock,
        signs: Signs,
        held: Collection[int] = (),
    ) -> None:
        self._answer = answer
        self._owed = owed
        self._clock = clock
        self._signs = signs
        self._received_at = 0.0
        self._current: Answer | None = None
        self._task: asyncio.Task[None] | None = None
        self._batch: list[Incoming] = []
        self._waiting = Waiting(signs)
        self._held: list[Incoming] = []
        self._held_before = set(held)

    @property
    def busy(self) -> bool:
        """True while an answer is being made."""
        return self._task is not None

    def is_of(self, user_id: str) -> bool:
        """Is the answer that is being made for this person? In a group it may be another's."""
        return bool(self._batch) and self._batch[-1].user_id == user_id

    def receive(self, *messages: Incoming) -> None:
        """Take a message, or several that are one request; returns at once."""
        if self._held_before and self._held_before.intersection(ids_of(messages)):
            self._held.extend(messages)
            return
        now = self._clock.monotonic()
        within_s = PASTE_WITHIN_S if self._batch and is_cut(self._batch[-1]) else JOIN_WITHIN_S
        same_thought = now - self._received_at <= within_s and self.is_of(messages[0].user_id)
        same_thought &= not messages[0].replied_to  # which is about something of its own
        self._received_at = now
        if self._task is None:
            self._start([*messages])
        elif same_thought and self._current is not None and self._current.can_restart:
            log.info("More text came before the answer was visible; it joins")
            self._abandon(self._task)
            self._start([*self._batch, *messages])
        else:
            self._waiting.add(messages)

    def edit(self, message: Incoming) -> bool:
        """Take a change of a message; False when its answer is over."""
        if self._waiting.change(message) or self._change_held(message):
            return True
        ids = [item.message_id for item in self._batch]
        if self._task is None or self._current is None or message.message_id not in ids:
            return False
        if self._current.can_restart:
            at = ids.index(message.message_id)
            self._abandon(self._task)
            self._start(
                [*self._batch[:at], changed(self._batch[at], message), *self._batch[at + 1 :]]
            )
        else:
            self._waiting.add([correction(message)])
        return True

    def answers(self, message_id: int) -> bool:
        """Is this message being answered, or does it wait for that?"""
        running = self._task is not None and any(i.message_id == message_id for i in self._batch)
        return running or self._waiting.has(message_id)

    def _change_held(self, message: Incoming) -> bool:
        for at, item in enumerate(self._held):
            if item.message_id == message.message_id:
                self._held[at] = changed(item, message)
                return True
        return False

    def go_on(self) -> None:
        """What was held is the next turn."""
        if held := self._let_go():
            self.receive(*held)

    def clear_held(self) -> None:
        """What was held needs no answer."""
        self._let_go()

    @property
    def draft_id(self) -> int | None:
        """Of the draft by which the answer is shown."""
        return self._current.draft_id if self._current is not None else None

    def to_background(self) -> bool:
        """The answer that is being made goes on as a job; False when there is none."""
        return self._current is not None and self._current.to_background()

    def stop(self, then: Callable[[bool], Coroutine[Any, Any, None]]) -> None:
        """`interrupt`, and hold what waits."""
        held = self._waiting.take_all() if self._current is not None else []
        self._held.extend(held)
        self.interrupt(then, held=held)

    def interrupt(
        self,
        then: Callable[[bool], Coroutine[Any, Any, None]],
        *,
        held: list[Incoming] | None = None,
    ) -> None:
        """Stop the answer that is being made, if there is one; then do `then(stopped)`.

        Text that comes after this waits until it is done, so that it meets what `then` has changed.
        """
        task, current, self._current = self._task, self._current, None
        if task is not None:
            task.remove_done_callback(self._over)
            if current is not None:
                task.cancel()
        self._task = asyncio.create_task(self._interrupt(task, current, held or [], then))
        self._task.add_done_callback(self._over)

    async def _interrupt(
        self,
        task: asyncio.Task[None] | None,
        current: Answer | None,
        held: list[Incoming],
        then: Callable[[bool], Coroutine[Any, Any, None]],
    ) -> None:
        if task is not None:
            await asyncio.wait([task], timeout=LET_GO_S if current is not None else None)
        if current is not None:
            await self._patiently(partial(current.stop, held))
        await self._patiently(partial(then, current is not None))
        if current is not None:
            await current.tidy()

    def _let_go(self) -> list[Incoming]:
        held, self._held = self._held, []
        self._held_before.clear()
        for message in held:
            self._signs.clear(message)
        return held

    async def drain(self, timeout_s: float) -> None:
        """Give the running answer some seconds; an unfinished one begins again after the start."""
        task = self._task
        if task is None:
            return
        self._waiting.take_all()  # they are in the inbox
        await asyncio.wait([task], timeout=timeout_s)
        if not task.done():
            self._abandon(task)
            await asyncio.wait([task])

    def _start(self, batch: list[Incoming]) -> None:
        self._batch = batch
        self._current = self._answer(batch)
        self._current.take = partial(self._waiting.take_for_answer, batch[-1].user_id)
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
        await answer.tidy()

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
        for message in self._batch:
            self._signs.clear(message)
        if not task.cancelled() and task.exception() is not None:
            log.error("An interruption failed", exc_info=task.exception())
        if self._waiting:
            self._start(self._waiting.take_turn())

"""Shows an answer while it is written: one message, edited at a pace Telegram allows.

A quick answer never comes here: it is sent whole. Only when the model takes its time does a typing
sign appear, then the first meaningful piece of text, then edits. All of it may be left out when the
chat's budget is short; the finished answer is owed in the database and does not depend on it.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from bridge import failpoints
from bridge.clock import Clock
from bridge.errors import KittError
from bridge.telegram.api import Api, Buttons, Flooded
from bridge.telegram.budget import Budget
from bridge.telegram.render import render
from bridge.telegram.split import split

log = logging.getLogger(__name__)
TYPING_AFTER_S: Final = 0.3
TYPING_EVERY_S: Final = 4.5  # Telegram shows it for 5 s
TYPING_FOR_S: Final = 30.0
SHOW_AFTER_S: Final = 1.5
SHOW_CHARS: Final = 40  # the push message on a locked phone should say something
EDIT_EVERY_S: Final = 1.3
EDITS_FAST: Final = 8
EDIT_EVERY_LATER_S: Final = 4.0  # keeps a long answer under 20 edits a minute
EDIT_CHARS: Final = 24
SHOWN_CHARS_MAX: Final = 3_500
CURSOR: Final = " ▌"


class Stream:
    """One answer in the making. `start` it, feed it as the model's listener, `finish` it."""

    def __init__(
        self,
        *,
        api: Api,
        budget: Budget,
        clock: Clock,
        chat_id: str,
        thread_id: int,
        buttons: Buttons,
        reply_to: int | None = None,
    ) -> None:
        self._api = api
        self._budget = budget
        self._clock = clock
        self._chat_id = chat_id
        self._thread_id = thread_id
        self._buttons = buttons
        self._reply_to = reply_to
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._sending = False
        self.written = ""
        self.message_id: int | None = None
        self.on_shown: Callable[[int], Awaitable[None]] | None = None

    @property
    def visible(self) -> bool:
        """True once a part of the answer is, or may be, in the chat."""
        return self._sending or self.message_id is not None

    def text(self, delta: str) -> None:
        """More of the answer."""
        self.written += delta
        self._changed.set()

    def start(self) -> None:
        """Begin to watch; costs nothing until the model takes its time."""
        self._task = asyncio.create_task(self._run())

    async def finish(self) -> int | None:
        """Stop showing; the message to replace by the whole answer, or None when there is none."""
        if self._task is not None:
            while self._sending:  # its message id is needed; a call is bounded by its timeout
                await asyncio.wait([self._task], timeout=0.05)
                if self._task.done():
                    break
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        return self.message_id

    async def _run(self) -> None:
        started = self._clock.monotonic()
        try:
            await self._wait_for_words(started)
            edits, shown = 0, 0
            while True:
                if len(self.written) - shown >= EDIT_CHARS or self.message_id is None:
                    shown = len(self.written)
                    await self._show()
                    edits += 1
                await self._clock.sleep(EDIT_EVERY_S if edits <= EDITS_FAST else EDIT_EVERY_LATER_S)
        except KittError as error:
            log.info("The answer in chat %s is not shown while written: %s", self._chat_id, error)
        except Exception:  # showing is a comfort; the answer itself does not depend on it
            log.exception("The answer in chat %s is not shown while written", self._chat_id)

    async def _wait_for_words(self, started: float) -> None:
        """Typing signs until there is something worth showing."""
        next_typing = started + TYPING_AFTER_S
        while True:
            now = self._clock.monotonic()
            enough = len(self.written.strip()) >= SHOW_CHARS and now - started >= TYPING_AFTER_S
            if enough or (self.written.strip() and now - started >= SHOW_AFTER_S):
                return
            if now >= next_typing and now - started < TYPING_FOR_S:
                next_typing = now + TYPING_EVERY_S
                if self._budget.spare(self._chat_id):
                    await self._api.typing(self._chat_id, self._thread_id)
            wake_at = max(next_typing, now + 0.05)
            if self.written.strip():
                wake_at = min(wake_at, max(started + SHOW_AFTER_S, now + 0.05))
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wake_at - now):
                    await self._changed.wait()

    async def _show(self) -> None:
        if not self._budget.spare(self._chat_id):
            return
        # a long answer goes on in further messages only when it is whole
        rendered = split(render(self.written[:SHOWN_CHARS_MAX] + CURSOR))[0]
        entities = [entity.to_dict() for entity in rendered.entities]
        try:
            if self.message_id is None:
                self._sending = True
                try:
                    self.message_id = await self._api.send_text(
                        self._chat_id,
                        rendered.text,
                        entities=entities,
                        thread_id=self._thread_id,
                        reply_to=self._reply_to,
                        buttons=self._buttons,
                    )
                    failpoints.hit("after_first_words")
                    if self.on_shown is not None:
                        await self.on_shown(self.message_id)
                finally:
                    self._sending = False
            else:
                await self._api.edit_text(
                    self._chat_id,
                    self.message_id,
                    rendered.text,
                    entities=entities,
                    buttons=self._buttons,
                )
            failpoints.hit("while_streaming")
        except Flooded as error:
            self._budget.flooded(self._chat_id, error.retry_after_s)

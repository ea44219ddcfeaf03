"""Shows an answer while it is written: one message, edited at a pace Telegram allows.

A quick answer never comes here: it is sent whole. Only when the model takes its time does a typing
sign appear, then the first meaningful piece of text, then edits. All of it may be left out when the
chat's budget is short; the finished answer is owed in the database and does not depend on it.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

from bridge import failpoints
from bridge.clock import Clock
from bridge.errors import KittError
from bridge.preferences import Streaming
from bridge.telegram.api import Api, Buttons, Flooded
from bridge.telegram.budget import Budget
from bridge.telegram.drafts import Draft
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
        how: Streaming = "edit",
        draft_id: int = 0,
    ) -> None:
        self._api = api
        self._budget = budget
        self._clock = clock
        self._chat_id = chat_id
        self._thread_id = thread_id
        self._buttons = buttons
        self._reply_to = reply_to
        self._off = how == "off"
        self._draft: Draft | None = None
        if how == "draft" and not chat_id.startswith("-"):
            self._draft = Draft(
                api=api, clock=clock, chat_id=chat_id, thread_id=thread_id, draft_id=draft_id
            )
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._sending = False
        self.not_before = 0.0  # nothing is shown until then, in seconds of the clock
        self._renew = False
        self._offer: asyncio.Task[int] | None = None
        self.written = ""
        self.words_at = 0.0  # when the last ones came, in seconds of the clock
        self.message_id: int | None = None
        self.on_shown: Callable[[int], Awaitable[None]] | None = None

    @property
    def visible(self) -> bool:
        """True once a part of the answer is, or may be, in the chat."""
        return self._sending or self.readable

    @property
    def readable(self) -> bool:
        """True once a part of the answer is in the chat, as a message or as a draft."""
        return self.message_id is not None or (self._draft is not None and self._draft.shown)

    @property
    def draft_id(self) -> int | None:
        """Of the draft that is shown."""
        return self._draft.id if self._draft is not None and self._draft.shown else None

    def text(self, delta: str) -> None:
        """More of the answer."""
        self.written += delta
        self.words()
        self._changed.set()

    def words(self) -> None:
        """The answer is being written."""
        self.words_at = self._clock.monotonic()

    async def offer(self, text: str, button: Buttons) -> None:
        """Offer something with a button: on the message that is shown, or in a silent one."""
        if self.message_id is not None:
            self._buttons = [[*self._buttons[0], *button[0]]]
            self._renew = True
        elif self._budget.spare(self._chat_id):
            sending = self._api.send_text(
                self._chat_id, text, thread_id=self._thread_id, silent=True, buttons=button
            )
            self._offer = asyncio.create_task(sending)
            await asyncio.shield(self._offer)  # cut off, it would arrive and nobody knew

    async def withdraw(self) -> None:
        """Take the offer away; one that stays by mistake says that it is too late."""
        offer, self._offer = self._offer, None
        if offer is not None:
            try:
                await self._api.delete(self._chat_id, await offer)
            except KittError as error:
                log.info("An offer in chat %s stays: %s", self._chat_id, error)

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
                if self._renew or self._is_due(len(self.written) - shown):
                    self._renew = False
                    shown = len(self.written)
                    await self._show()
                    edits += 1
                await self._clock.sleep(EDIT_EVERY_S if edits <= EDITS_FAST else EDIT_EVERY_LATER_S)
        except KittError as error:
            log.info("The answer in chat %s is not shown while written: %s", self._chat_id, error)
        except Exception:  # showing is a comfort; the answer itself does not depend on it
            log.exception("The answer in chat %s is not shown while written", self._chat_id)

    def _is_due(self, new_chars: int) -> bool:
        """Is it time to show it (again)?"""
        if self._draft is not None and self._draft.shown:
            return new_chars >= EDIT_CHARS or self._draft.fades
        return new_chars >= EDIT_CHARS or self.message_id is None

    async def _wait_for_words(self, started: float) -> None:
        """Typing signs until there is something worth showing."""
        next_typing = started + TYPING_AFTER_S
        while True:
            now = self._clock.monotonic()
            early = self._off or now < self.not_before
            enough = len(self.written.strip()) >= SHOW_CHARS and now - started >= TYPING_AFTER_S
            if not early and (enough or (self.written.strip() and now - started >= SHOW_AFTER_S)):
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
            if self._draft is None or not await self._show_draft(rendered.text, entities):
                await self._show_message(rendered.text, entities)
            failpoints.hit("while_streaming")
        except Flooded as error:
            self._budget.flooded(self._chat_id, error.retry_after_s)

    async def _show_message(self, text: str, entities: list[dict[str, Any]]) -> None:
        if self.message_id is not None:
            await self._api.edit_text(
                self._chat_id, self.message_id, text, entities=entities, buttons=self._buttons
            )
            return
        self._sending = True
        try:
            self.message_id = await self._api.send_text(
                self._chat_id,
                text,
                entities=entities,
                thread_id=self._thread_id,
                reply_to=self._reply_to,
                silent=True,  # a few words are no reason to look
                buttons=self._buttons,
            )
            failpoints.hit("after_first_words")
            if self.on_shown is not None:
                await self.on_shown(self.message_id)
        finally:
            self._sending = False

    async def _show_draft(self, text: str, entities: list[dict[str, Any]]) -> bool:
        """False when it has to be a message after all."""
        assert self._draft is not None
        self._sending = True  # a draft that arrives after the answer would stay
        try:
            if await self._draft.show(text, entities):
                return True
        finally:
            self._sending = False
        if not self._draft.shown:
            self._draft = None
            return False
        return True

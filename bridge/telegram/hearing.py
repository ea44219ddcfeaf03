"""What is said in a voice message: heard once, shown to its person, then answered like text.

While it is listened to, the message carries a ✍; the transcript comes before the answer, as a
silent quote below the message. What was shown is what is answered: a bridge that starts again
finds the transcript with the quote that it owed.
"""

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from bridge.clock import Clock, stamp
from bridge.deliveries import owe
from bridge.errors import KittError, TryLater
from bridge.models import PROMPT_CHARS_MAX
from bridge.received import Received, path_of
from bridge.store import Store, Tx
from bridge.telegram.api import Api
from bridge.telegram.budget import Budget
from bridge.telegram.compose import Part
from bridge.telegram.gate import Incoming
from bridge.telegram.job_card import clock_text
from bridge.telegram.render import first_units, utf16_length
from bridge.transcribe import Transcriber

T = TypeVar("T")
log = logging.getLogger(__name__)
RETRY_S: Final = 1.0
AT_ONCE: Final = 2  # of everybody: each may take a whole processor
LISTENING: Final = "✍"
QUOTE_UNITS_MAX: Final = 3_500
LONG_UNITS: Final = 300  # from here on the quote is folded
DURATION_FROM_S: Final = 60


class Hearing:
    """Listens to files with sound. `available` is False when no transcriber is set."""

    def __init__(
        self,
        *,
        transcriber: Transcriber | None,
        store: Store,
        api: Api,
        budget: Budget,
        clock: Clock,
        files_dir: Path,
    ) -> None:
        self._transcriber = transcriber
        self._store = store
        self._api = api
        self._budget = budget
        self._clock = clock
        self._files_dir = files_dir
        self._places = asyncio.Semaphore(AT_ONCE)
        self._signs: set[asyncio.Task[None]] = set()

    @property
    def available(self) -> bool:
        """True when there is a transcriber."""
        return self._transcriber is not None

    async def hear(self, item: Incoming, file: Received) -> str:
        """What is said in the file of this message. Raises: NotTranscribed."""
        assert self._transcriber is not None
        key = f"update:{item.update_id}:heard"
        payload = await self._patiently(
            lambda: self._store.read(lambda tx: tx.value("owed_payload", dedupe_key=key))
        )
        if known := json.loads(payload or "{}").get("heard"):
            return str(known)
        async with self._listening(item), self._places:
            heard = await self._transcriber.transcribe(path_of(self._files_dir, file))
        heard = heard[:PROMPT_CHARS_MAX]
        await self._show(item, heard, key)
        return heard

    async def close(self) -> None:
        """End the signs that are under way, and the connections."""
        for task in self._signs:
            task.cancel()
        await asyncio.gather(*self._signs, return_exceptions=True)
        if self._transcriber is not None:
            await self._transcriber.close()

    @contextlib.asynccontextmanager
    async def _listening(self, item: Incoming) -> AsyncIterator[None]:
        """A sign on the message; nothing waits for it."""
        over = asyncio.Event()
        task = asyncio.create_task(self._sign(item, over))
        self._signs.add(task)
        task.add_done_callback(self._signs.discard)
        try:
            yield
        finally:
            over.set()

    async def _sign(self, item: Incoming, over: asyncio.Event) -> None:
        try:
            if self._budget.spare(item.chat_id):
                await self._api.react(item.chat_id, item.message_id, LISTENING)
                await over.wait()
                await self._api.react(item.chat_id, item.message_id, "")
        except KittError as error:
            log.info("No sign on a message in chat %s: %s", item.chat_id, error)

    async def _show(self, item: Incoming, heard: str, key: str) -> None:
        part = quote_part(heard, reply_to=item.message_id, duration_s=_duration_s(item))

        def show(tx: Tx) -> None:
            owe(
                tx,
                chat_id=item.chat_id,
                thread_id=item.thread_id,
                kind="reply",
                payload={"parts": [part], "heard": heard},
                dedupe_key=key,
                now=stamp(self._clock.now()),
            )

        await self._patiently(lambda: self._store.write(show))

    async def _patiently(self, work: Callable[[], Awaitable[T]]) -> T:
        """Again while the database is locked: what was heard is not heard once more."""
        while True:
            try:
                return await work()
            except TryLater as error:
                log.warning("%s", error)
                await self._clock.sleep(RETRY_S)


def quote_part(heard: str, *, reply_to: int, duration_s: int) -> Part:
    """`🎤 “…”` as a silent quote below the message it was said in."""
    shown = first_units(heard, QUOTE_UNITS_MAX)
    shown += " …" if shown != heard else ""
    text = f"🎤 “{shown}”"
    text += f" · {clock_text(duration_s)}" if duration_s >= DURATION_FROM_S else ""
    units = utf16_length(text)
    kind = "expandable_blockquote" if units > LONG_UNITS else "blockquote"
    entities: list[dict[str, Any]] = [{"type": kind, "offset": 0, "length": units}]
    return {"do": "text", "text": text, "entities": entities, "reply_to": reply_to, "silent": True}


def _duration_s(item: Incoming) -> int:
    return item.attached.duration_s if item.attached is not None else 0

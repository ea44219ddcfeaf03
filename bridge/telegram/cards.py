"""Keeps the cards of jobs true: one message per job, edited in place until the job has ended.

A card is a view of a row of `jobs`, so nothing is queued for it: whatever it shows when its turn
comes is the newest. Edits are the first thing to leave out when a chat's budget is short; the last
one, with the end of the job, is always made. Nothing happens while no card is open.
"""

import asyncio
import contextlib
import logging
import sqlite3
from dataclasses import dataclass
from typing import Final

from bridge.clock import Clock
from bridge.errors import TryLater
from bridge.models import Job, JobStatus
from bridge.store import Store, Tx
from bridge.telegram import job_buttons, job_card, job_view
from bridge.telegram.api import Ambiguous, Api, ChatMoved, Flooded, NotDelivered, Rejected
from bridge.telegram.budget import Budget
from bridge.telegram.buttons import Signer
from bridge.telegram.chosen import Chosen
from bridge.telegram.gate import language_of_chat
from bridge.telegram.job_view import JobView
from bridge.telegram.marked import Marked

log = logging.getLogger(__name__)
FAST_EDIT_S: Final = 4.0  # between edits of one card in its first minute, times the live cards
SLOW_EDIT_S: Final = 10.0
GROUP_EDIT_S: Final = 15.0  # at least: others read there too, and Telegram allows less
CLOCK_EDIT_S: Final = 25.0  # the elapsed time alone is worth an edit this often


@dataclass(frozen=True, slots=True, kw_only=True)
class _Card:
    view: JobView
    message_id: int
    shown: str
    language: str

    @property
    def job(self) -> Job:
        return self.view.job


class Cards:
    """Edits open cards. `refresh` does what is due and says when to come back."""

    def __init__(
        self,
        *,
        store: Store,
        api: Api,
        budget: Budget,
        signer: Signer,
        clock: Clock,
        chosen: Chosen,
    ) -> None:
        self._store = store
        self._api = api
        self._budget = budget
        self._signer = signer
        self._clock = clock
        self._chosen = chosen
        self._edited_at: dict[int, float] = {}
        self._changed = asyncio.Event()

    def notice(self) -> None:
        """A job may have changed."""
        self._changed.set()

    async def run(self) -> None:
        """Keep every open card true until cancelled."""
        while True:
            self._changed.clear()
            try:
                wait_s = await self.refresh()
            except TryLater as error:
                log.warning("%s", error)
                wait_s = FAST_EDIT_S
            except Exception:  # a card is only a view: a bad row must not end the bridge
                log.exception("The cards could not be refreshed")
                wait_s = CLOCK_EDIT_S
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._changed.wait()

    async def refresh(self) -> float | None:
        """Edit the cards that are due; seconds until the next may be, None when none is open."""
        cards = await self._store.read(self._open)
        live: dict[str, int] = {}
        for card in cards:
            if card.job.status is JobStatus.RUNNING:
                live[card.job.chat_id] = live.get(card.job.chat_id, 0) + 1
        chats = {
            card.job.chat_id: [c for c in cards if c.job.chat_id == card.job.chat_id]
            for card in cards
        }
        waits = await asyncio.gather(
            *(self._refresh_chat(mine, live.get(chat_id, 1)) for chat_id, mine in chats.items())
        )
        return min((wait for wait in waits if wait is not None), default=None)

    async def _refresh_chat(self, cards: list[_Card], live: int) -> float | None:
        waits = [await self._refresh_one(card, live) for card in cards]
        return min((wait for wait in waits if wait is not None), default=None)

    async def _refresh_one(self, card: _Card, live: int) -> float | None:
        job = card.job
        made = job_card.card(card.view, language=card.language)
        text = made.text
        if job.status.final:
            return await self._edit_last(card, made)
        if text == card.shown:
            return CLOCK_EDIT_S
        running = job.status is JobStatus.RUNNING and "🛠" in card.shown and "⏱" in card.shown
        if running and job_card.outline(text) == job_card.outline(card.shown):
            gap_s = (FAST_EDIT_S if card.view.elapsed_s < 60 else SLOW_EDIT_S) * live
            if job.chat_id.startswith("-"):
                gap_s = max(gap_s, GROUP_EDIT_S)
            if job_card.without_clock(text) == job_card.without_clock(card.shown):
                gap_s = max(gap_s, CLOCK_EDIT_S)
        else:
            gap_s = 0.0  # started, begun again, stopped waiting, or was tapped: shown at once
        due_s = self._edited_at.get(job.id, 0.0) + gap_s - self._clock.monotonic()
        if due_s > 0:
            return due_s
        if not self._budget.spare(job.chat_id):
            return 1.0
        return await self._edit(card, made)

    async def _edit_last(self, card: _Card, made: Marked) -> float | None:
        """The end is always shown; while it must wait, no other chat waits with it."""
        wait_s = self._budget.take_now(card.job.chat_id)
        return wait_s if wait_s > 0 else await self._edit(card, made)

    async def _edit(self, card: _Card, made: Marked) -> float | None:
        job = card.job
        self._edited_at[job.id] = self._clock.monotonic()
        buttons = job_buttons.card_rows(card.view, self._signer, language=card.language)
        try:
            await self._api.edit_text(
                job.chat_id, card.message_id, made.text, entities=made.entities, buttons=buttons
            )
        except Flooded as error:
            self._budget.flooded(job.chat_id, error.retry_after_s)
            return error.retry_after_s
        except (NotDelivered, Ambiguous):
            return 2.0  # the same edit again does no harm
        except (Rejected, ChatMoved) as error:
            log.info("The card of job %d cannot be changed: %s", job.id, error)
            await self._shown(job, card.shown, final=True)  # until its person is back
            return None
        await self._shown(job, made.text, final=job.status.final)
        return None if job.status.final else FAST_EDIT_S

    async def _shown(self, job: Job, text: str, *, final: bool) -> None:
        await self._store.write(
            lambda tx: tx.run(
                "card_shown", job_id=job.id, shown=text, final=final, status=job.status
            ),
            durable=False,
        )
        if final:
            self._edited_at.pop(job.id, None)

    def _open(self, tx: Tx) -> list[_Card]:
        return [self._card(tx, row) for row in tx.all("open_cards")]

    def _card(self, tx: Tx, row: sqlite3.Row) -> _Card:
        unfolded = bool(row["unfolded"])
        steps = job_view.CARD_STEPS if unfolded else 0
        job, now = Job.from_row(row), self._clock.now()
        return _Card(
            view=job_view.look(
                tx,
                job,
                now,
                zone=self._chosen.zone_of_chat(job.chat_id),
                unfolded=unfolded,
                steps=steps,
            ),
            message_id=row["message_id"],
            shown=row["shown"],
            language=language_of_chat(tx, row["chat_id"]),
        )

"""The morning digest: what came without a sound in quiet hours, in one message that rings.

Whatever is sent quietly leaves a row with the moment those hours end. At that moment the rows of a
chat become one delivery, in one transaction: it comes once, also after a restart or when the bridge
was down then. Between two digests one timer waits; nothing is read or written.
"""

import asyncio
import logging
import sqlite3
from datetime import datetime, timedelta
from typing import Final

from bridge.clock import Clock, moment, stamp
from bridge.deliveries import owe
from bridge.errors import TryLater
from bridge.models import Job, JobStatus, short
from bridge.store import Store, Tx
from bridge.telegram.bells import Bells
from bridge.telegram.buttons import Signer
from bridge.telegram.compose import Part, plain_part
from bridge.telegram.gate import language_of_chat
from bridge.telegram.texts import say

log = logging.getLogger(__name__)
TOO_OLD: Final = timedelta(days=1)  # nobody waits for it any more
AGAIN_S: Final = 10.0
NAP_S: Final = 600.0  # a clock that was set, or a machine that slept, is noticed
JOBS_SHOWN: Final = 10
BUTTONS_OF_A_ROW: Final = 5
SIGNS: Final = {JobStatus.DONE: "✅", JobStatus.FAILED: "❌", JobStatus.WAITING: "❓"}


class Digest:
    """Sends digests. `run` ends only by cancellation."""

    def __init__(self, *, store: Store, bells: Bells, signer: Signer, clock: Clock) -> None:
        self._store = store
        self._bells = bells
        self._signer = signer
        self._clock = clock

    async def run(self) -> None:
        """Send each when it is due."""
        while True:
            self._bells.hushed.clear()
            try:
                next_at = await self.send_due()
            except TryLater as error:
                log.warning("%s", error)
                next_at = self._clock.now() + timedelta(seconds=AGAIN_S)
            await self._wait(next_at)

    async def send_due(self) -> datetime | None:
        """Owe the digests that are due; when the next one is, None when nothing waits for one."""
        next_at = await self._store.read(_next)
        if next_at is None or next_at > self._clock.now():
            return next_at
        return await self._store.write(self._owe_due)

    async def _wait(self, until: datetime | None) -> None:
        """Until that moment, or until something more comes without a sound."""
        noticed = asyncio.create_task(self._bells.hushed.wait())
        try:
            while not noticed.done():
                if until is None:
                    await noticed
                    return
                left_s = (until - self._clock.now()).total_seconds()
                if left_s <= 0:
                    return
                nap = asyncio.create_task(self._clock.sleep(min(NAP_S, left_s)))
                await asyncio.wait([noticed, nap], return_when=asyncio.FIRST_COMPLETED)
                nap.cancel()
        finally:
            noticed.cancel()

    def _owe_due(self, tx: Tx) -> datetime | None:
        now = self._clock.now()
        tx.run("drop_hushed", before=stamp(now - TOO_OLD))
        for row in tx.all("chats_with_digest", now=stamp(now)):
            chat_id = str(row["chat_id"])
            later = self._bells.quiet_until(chat_id)
            if later is not None:  # the hours, or the zone, were changed meanwhile
                tx.run("put_off_digest", chat_id=chat_id, due_at=stamp(later))
                continue
            part = self._part(tx, chat_id, tx.all("hushed_jobs", chat_id=chat_id, now=stamp(now)))
            tx.run("end_digest", chat_id=chat_id, now=stamp(now))
            if part is not None:
                owe(
                    tx,
                    chat_id=chat_id,
                    thread_id=0,
                    kind="digest",
                    payload={"parts": [part]},
                    now=stamp(now),
                )
        return _next(tx)

    def _part(self, tx: Tx, chat_id: str, rows: list[sqlite3.Row]) -> Part | None:
        jobs = [job for job in map(Job.from_row, rows) if job.status in SIGNS]
        if not jobs:
            return None  # answered, or running once more: that rings by itself
        language = language_of_chat(tx, chat_id)
        shown = jobs[:JOBS_SHOWN]
        lines = [say(language, "digest_title")]
        lines += [f"{SIGNS[job.status]} #{job.id} {short(job.name, 60)}" for job in shown]
        if more := len(jobs) - len(shown):
            lines.append(say(language, "digest_more", count=more))
        buttons = [(say(language, "button_view", id=shown[0].id), "jd", shown[0].id)]
        buttons += [(f"#{job.id}", "jd", job.id) for job in shown[1:]]
        rows_of_buttons = [
            row
            for first in range(0, len(buttons), BUTTONS_OF_A_ROW)
            for row in self._signer.row(chat_id, *buttons[first : first + BUTTONS_OF_A_ROW])
        ]
        return {**plain_part("\n".join(lines)), "buttons": rows_of_buttons}


def _next(tx: Tx) -> datetime | None:
    due_at = tx.value("next_digest_at")
    return None if due_at is None else moment(str(due_at))

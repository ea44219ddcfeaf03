"""Receives updates and keeps them: an update is on disk before Telegram is told that we have it.

Telegram forgets an update once a later offset is asked for, so the offset moves only after the
commit. An update it repeats is already there and changes nothing. A bridge that can no longer
store or receive must not go on looking healthy: it ends, and is started again.
"""

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Final

from telegram import Update

from bridge.clock import Clock, stamp
from bridge.errors import KittError, TryLater
from bridge.store import Store, Tx
from bridge.telegram.api import POLL_S, Ambiguous, Api, Elsewhere, Flooded, NotDelivered

log = logging.getLogger(__name__)
STORE_PATIENCE_S: Final = 60.0  # then the process ends and is started again
ATTEMPTS_MAX: Final = 3  # an update that was there at three starts is what stops the bridge
BACKOFF_MAX_S: Final = 30.0
SILENCE_MAX_S: Final = POLL_S + 30.0


class Inbox:
    """Long polling into the table `inbox`. `handle` is called for each new update, in order."""

    def __init__(
        self, *, store: Store, api: Api, clock: Clock, handle: Callable[[Update], None]
    ) -> None:
        self._store = store
        self._api = api
        self._clock = clock
        self._handle = handle

    async def replay(self) -> list[int]:
        """Hand on what was received before and not handled; the ids that were set aside."""

        def look(tx: Tx) -> list[tuple[int, int, str]]:
            return [(r["update_id"], r["attempts"], r["raw"]) for r in tx.all("new_updates")]

        waiting = await self._store.read(look)
        if not waiting:
            return []
        bad = [update_id for update_id, attempts, _ in waiting if attempts >= ATTEMPTS_MAX]

        def count(tx: Tx) -> None:
            for update_id, _, _ in waiting:
                if update_id in bad:
                    tx.run("update_over", update_id=update_id, state="quarantined")
                else:
                    tx.run("update_tried", update_id=update_id)

        await self._store.write(count)
        for update_id, _, raw in waiting:
            if update_id not in bad:
                self._handle(Update.de_json(json.loads(raw), self._api.bot))
        return bad

    async def run(self) -> None:
        """Receive until cancelled. Raises: ConfigError (token refused), TryLater (cannot store)."""
        offset: int | None = None
        failures = 0
        while True:
            try:
                async with asyncio.timeout(SILENCE_MAX_S):
                    updates = await self._api.get_updates(offset)
            except TimeoutError:
                log.warning("Telegram was silent for %.0f s; asking again", SILENCE_MAX_S)
                continue
            except Elsewhere as error:
                log.error("%s Stop that program, or make a new token.", error)
                await self._clock.sleep(BACKOFF_MAX_S)
                continue
            except Flooded as error:
                await self._clock.sleep(error.retry_after_s)
                continue
            except (Ambiguous, NotDelivered) as error:
                delay_s = min(BACKOFF_MAX_S, 0.5 * 2**failures)
                failures = min(failures + 1, 10)
                log.warning("No updates (%s); next try in %.1f s", error, delay_s)
                await self._clock.sleep(delay_s)
                continue
            failures = 0
            if updates:
                await self._keep(updates)
                offset = updates[-1].update_id + 1

    async def _keep(self, updates: list[Update]) -> None:
        """Commit a batch, then hand on what was not known yet."""
        rows = [(update.update_id, update.to_json()) for update in updates]

        def insert(tx: Tx) -> set[int]:
            now = stamp(self._clock.now())
            return {
                update_id
                for update_id, raw in rows
                if tx.run("insert_update", update_id=update_id, raw=raw, now=now)
            }

        started = self._clock.monotonic()
        while True:
            try:
                new = await self._store.write(insert)
                break
            except TryLater as error:
                if self._clock.monotonic() - started > STORE_PATIENCE_S:
                    raise KittError(f"Updates cannot be stored: {error}") from error
                log.error("%s", error)
                await self._clock.sleep(1.0)
        for update in updates:
            if update.update_id in new:
                self._handle(update)

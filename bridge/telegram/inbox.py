"""Receives updates and keeps them: an update is on disk before Telegram is told that we have it.

Telegram forgets an update once a later offset is asked for, so the offset moves only after the
commit. An update it repeats is already there and changes nothing. A bridge that can no longer
store or receive must not go on looking healthy: it ends, and is started again.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Iterable
from typing import Any, Final

from telegram import Update

from bridge import failpoints
from bridge.clock import Clock, stamp
from bridge.errors import KittError, TryLater
from bridge.store import Store, Tx
from bridge.telegram.api import POLL_S, Ambiguous, Api, Elsewhere, Flooded, NotDelivered, Silent
from bridge.telegram.poll_watch import PollWatch

log = logging.getLogger(__name__)
STORE_PATIENCE_S: Final = 60.0  # then the process ends and is started again
ATTEMPTS_MAX: Final = 3  # an update that was there before three quick deaths is what caused them
INNOCENT_AFTER_S: Final = 30.0
BACKOFF_MAX_S: Final = 30.0
SILENCE_MAX_S: Final = POLL_S + 20.0


class Inbox:
    """Long polling into the table `inbox`. `handle` is called for each new update, in order."""

    def __init__(
        self, *, store: Store, api: Api, clock: Clock, handle: Callable[[Update], None]
    ) -> None:
        self._store = store
        self._api = api
        self._clock = clock
        self._handle = handle

    def parse(self, raw: str) -> Update:
        """A stored update."""
        return Update.de_json(json.loads(raw), self._api.bot)

    async def replay(self) -> list[tuple[int, str]]:
        """Hand on what was received before and not handled; what was set aside, as received."""

        def look(tx: Tx) -> list[tuple[int, int, str]]:
            return [(r["update_id"], r["attempts"], r["raw"]) for r in tx.all("new_updates")]

        waiting = await self._store.read(look)
        if not waiting:
            return []
        bad = {update_id: raw for update_id, attempts, raw in waiting if attempts >= ATTEMPTS_MAX}

        def count(tx: Tx) -> None:
            for update_id, _, _ in waiting:
                if update_id in bad:
                    over(tx, update_id, state="quarantined", now=stamp(self._clock.now()))
                else:
                    tx.run("update_tried", update_id=update_id)

        await self._store.write(count)
        for update_id, _, raw in waiting:
            if update_id not in bad:
                self._try(raw)
        return list(bad.items())

    async def forgive(self) -> None:
        """What still waits did not stop the bridge: it lives, or ended in good order."""
        await self._store.write(lambda tx: tx.run("forgive_updates"), durable=False)

    async def run(self) -> None:
        """Receive until cancelled.

        Raises: ConfigError (token refused), KittError (cannot store, or Telegram stays silent).
        """
        watch = PollWatch(self._clock, self._api.renew_polling)
        offset: int | None = None
        failures = 0
        while True:
            try:
                async with asyncio.timeout(SILENCE_MAX_S):
                    updates = await self._api.get_updates(offset)
            except TimeoutError:
                log.warning("Telegram was silent for %.0f s; asking again", SILENCE_MAX_S)
                await watch.failed(silent=True)
                continue
            except Elsewhere as error:
                watch.answered()
                log.error("%s Stop that program, or make a new token.", error)
                await self._clock.sleep(BACKOFF_MAX_S)
                continue
            except Flooded as error:
                watch.answered()
                await self._clock.sleep(error.retry_after_s)
                continue
            except (Ambiguous, NotDelivered) as error:
                delay_s = min(BACKOFF_MAX_S, 0.5 * 2**failures)
                failures = min(failures + 1, 10)
                log.warning("No updates (%s); next try in %.1f s", error, delay_s)
                await watch.failed(silent=isinstance(error, Silent))
                await self._clock.sleep(delay_s)
                continue
            failures = 0
            watch.answered()
            if updates:
                await self._keep(updates)
                offset = max(int(update["update_id"]) for update in updates) + 1

    def _try(self, raw: str) -> bool:
        """Hand on an update; False when the library cannot read it."""
        try:
            update = self.parse(raw)
        except Exception as error:  # noqa: BLE001 - whatever it is, the next one must not wait
            log.error("An update cannot be read (%s); it is set aside", type(error).__name__)
            return False
        self._handle(update)
        return True

    async def _keep(self, updates: list[dict[str, Any]]) -> None:
        """Hand on what was not known yet, and commit the batch.

        Handling begins while the disk is still busy: what it writes is queued behind this commit,
        and Telegram hears of it only with the next request.
        """
        failpoints.hit("before_inbox")
        rows = {int(update["update_id"]): json.dumps(update) for update in updates}
        bad: set[int] = set()

        def insert(tx: Tx) -> None:
            now = stamp(self._clock.now())
            for update_id, raw in rows.items():
                tx.run("insert_update", update_id=update_id, raw=raw, now=now)
            for update_id in bad:
                over(tx, update_id, state="quarantined", now=now)

        def known(tx: Tx) -> set[int]:
            return {i for i in rows if tx.one("update_state", update_id=i) is not None}

        old = await self._store.read(known)
        bad.update(i for i, raw in rows.items() if i not in old and not self._try(raw))

        started = self._clock.monotonic()
        while True:
            try:
                await self._store.write(insert)
                failpoints.hit("after_inbox")
                return
            except TryLater as error:
                if self._clock.monotonic() - started > STORE_PATIENCE_S:
                    raise KittError(f"Updates cannot be stored: {error}") from error
                log.error("%s", error)
                await self._clock.sleep(1.0)


def all_over(tx: Tx, update_ids: Iterable[int], *, state: str, now: str) -> bool:
    """The same for updates that are one request; False when all of them were already."""
    changed = [over(tx, update_id, state=state, now=now) for update_id in update_ids]
    return any(changed)


def over(tx: Tx, update_id: int, *, state: str, now: str) -> bool:
    """The update is handled, refused or set aside; False when it was already."""
    return bool(tx.run("update_over", update_id=update_id, state=state, now=now))

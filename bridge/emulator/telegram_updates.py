"""The queue of updates a bot fetches with getUpdates.

Guarantees what the real server guarantees: an update is handed out again and again until an
offset above it arrives; only one getUpdates waits at a time, and a newer one ends the older
with 409; `allowed_updates` is remembered and decides when an update is made, not when fetched.
Not imitated: the server slows a client that asks twice within 3 s with the same offset.
"""

from __future__ import annotations

import asyncio
from collections import deque
from itertools import islice

from bridge.emulator.telegram_params import Params
from bridge.emulator.telegram_state import ApiError, Json

LIMIT_MAX = 100  # PollingLimit.MAX_LIMIT
TIMEOUT_S_MAX = 50  # LONG_POLL_MAX_TIMEOUT of the Bot API server
# Sent only to a bot that asks for them by name.
_ON_REQUEST = frozenset({"chat_member", "message_reaction", "message_reaction_count"})
_CONFLICT = (
    "Conflict: terminated by other getUpdates request; "
    "make sure that only one bot instance is running"
)


class UpdateQueue:
    """Updates in order of their id, the unconfirmed ones kept."""

    def __init__(self, *, first_id: int = 700_000_001) -> None:
        self._next_id = first_id
        self._pending: deque[Json] = deque()
        self._allowed: frozenset[str] | None = None
        self._poll: asyncio.Future[str] | None = None
        self.confirmed_offset = 0

    @property
    def pending(self) -> int:
        """How many updates the bot has not confirmed."""
        return len(self._pending)

    @property
    def polled(self) -> bool:
        """True while a getUpdates waits for something to happen."""
        return self._poll is not None

    @property
    def allowed_updates(self) -> list[str] | None:
        """What the bot asked for, or None for everything but what must be asked for."""
        return None if self._allowed is None else sorted(self._allowed)

    def push(self, kind: str, content: object) -> Json | None:
        """Queue an update and wake the waiting getUpdates; None when the bot did not ask for
        this kind."""
        wanted = kind not in _ON_REQUEST if self._allowed is None else kind in self._allowed
        if not wanted:
            return None
        update: Json = {"update_id": self._next_id, kind: content}
        self.push_raw(update)
        return update

    def push_raw(self, update: Json) -> None:
        """Queue an update as it is; one without `update_id` gets the next, first in the object."""
        if "update_id" not in update:
            update = {"update_id": self._next_id, **update}
        self._next_id = max(self._next_id, int(update["update_id"]) + 1)
        self._pending.append(update)
        self._end_poll("update")

    def drop_all(self) -> None:
        """Forget what was not fetched, as `drop_pending_updates` does."""
        self._pending.clear()

    def close(self) -> None:
        """End the waiting getUpdates with nothing."""
        self._end_poll("closed")

    async def fetch(self, params: Params) -> list[Json]:
        """Handle one getUpdates. Raises: ApiError 409 when a newer one replaces it."""
        offset = params.number("offset")
        limit = min(max(params.number("limit", LIMIT_MAX), 1), LIMIT_MAX)
        timeout_s = min(max(params.number("timeout"), 0), TIMEOUT_S_MAX)
        self._remember(params.get("allowed_updates"))
        self._end_poll("conflict")
        self._confirm(offset)
        if not self._pending and timeout_s and await self._wait(timeout_s) == "conflict":
            raise ApiError(409, _CONFLICT)
        return list(islice(self._pending, limit))

    async def _wait(self, timeout_s: float) -> str:
        poll: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._poll = poll
        try:
            async with asyncio.timeout(timeout_s):
                return await poll
        except TimeoutError:
            return "timeout"
        finally:
            if self._poll is poll:
                self._poll = None

    def _end_poll(self, reason: str) -> None:
        if self._poll is not None and not self._poll.done():
            self._poll.set_result(reason)
        self._poll = None

    def _remember(self, allowed: object) -> None:
        if isinstance(allowed, list):
            self._allowed = frozenset(map(str, allowed)) or None

    def _confirm(self, offset: int) -> None:
        """A positive offset confirms all below it, a negative one all but the last -offset."""
        if offset < 0:
            while len(self._pending) > -offset:
                self._pending.popleft()
        while self._pending and self._pending[0]["update_id"] < offset:
            self._pending.popleft()
        self.confirmed_offset = max(self.confirmed_offset, offset)

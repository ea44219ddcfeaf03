"""Notices when asking for updates no longer comes to an end, and mends that.

A connection can be dead without anyone saying so: each try then waits for its whole time, and the
library reports nothing. New connections mend it; when they do not, a new process does.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Final

from bridge.clock import Clock
from bridge.errors import KittError

log = logging.getLogger(__name__)
# Looked at when a try has failed, and a try takes at most 50 s: mended 170 s after it began.
WEDGED_AFTER_S: Final = 120.0
AGAIN_WITHIN_S: Final = 600.0


class PollWatch:
    """Told of the end of each try. `renew` makes new connections."""

    def __init__(self, clock: Clock, renew: Callable[[], Awaitable[None]]) -> None:
        self._clock = clock
        self._renew = renew
        self._answered_at = clock.monotonic()
        self._renewed_at: float | None = None

    def answered(self) -> None:
        """Telegram said something, be it no."""
        self._answered_at = self._clock.monotonic()

    async def failed(self, *, silent: bool) -> None:
        """Nothing usable came. `silent`: not even an error, so that the line may be dead.

        Raises: KittError when new connections were made lately and it is silent all the same.
        """
        now = self._clock.monotonic()
        without_s = now - self._answered_at
        if without_s < WEDGED_AFTER_S:
            return
        renewed_at = self._renewed_at
        if silent and renewed_at is not None and now - renewed_at <= AGAIN_WITHIN_S:
            raise KittError("Telegram stays silent over new connections: the bridge starts again.")
        log.error("No updates for %.0f s; making new connections", without_s)
        await self._renew()
        self._renewed_at = self._answered_at = now

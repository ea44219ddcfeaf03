"""How long a person waits for an answer before the work goes on without them.

One rule for the whole turn, whatever it is busy with. After OFFER_AFTER_S it is offered to the
background. From HAND_OVER_AFTER_S on it goes there by itself as soon as no word has come for
QUIET_S: a tool that runs and a model that hangs write none, and an answer that is being written is
never cut, however long it becomes.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Final

from bridge.clock import Clock
from bridge.errors import KittError

log = logging.getLogger(__name__)
OFFER_AFTER_S: Final = 20.0
HAND_OVER_AFTER_S: Final = 45.0
QUIET_S: Final = 10.0


class Patience:
    """`run` it beside a turn, and cancel it with the turn's end.

    `words_at` is when the last word came, in seconds of the clock.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        words_at: Callable[[], float],
        offer: Callable[[], Awaitable[None]],
        hand_over: Callable[[], object],
    ) -> None:
        self._clock = clock
        self._words_at = words_at
        self._offer = offer
        self._hand_over = hand_over

    async def run(self) -> None:
        """Offer, then hand over."""
        started = self._clock.monotonic()
        await self._until(started + OFFER_AFTER_S)
        try:
            await self._offer()
        except KittError as error:
            log.info("The background is not offered: %s", error)
        await self._until(started + HAND_OVER_AFTER_S)
        while self._clock.monotonic() < (quiet_at := self._words_at() + QUIET_S):
            await self._until(quiet_at)
        self._hand_over()

    async def _until(self, at: float) -> None:
        while (left_s := at - self._clock.monotonic()) > 0:
            await self._clock.sleep(left_s)

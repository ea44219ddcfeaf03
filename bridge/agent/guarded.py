"""A model whose failures and replies are told to the circuit breaker: the one that jobs use."""

import logging
from collections.abc import Awaitable

from bridge.agent.model import Listener, Model, Reply, Request
from bridge.breaker import EVERY_KIND, MODEL, Breaker
from bridge.clock import stamp
from bridge.errors import ModelUnavailable, TryLater

log = logging.getLogger(__name__)


class GuardedModel:
    """Another model, watched. A turn in the foreground neither waits nor counts: not for those.

    A refused request says nothing: the provider answers, but perhaps nobody with this key.
    """

    def __init__(self, model: Model, breaker: Breaker) -> None:
        self._model = model
        self._breaker = breaker

    async def stream(self, request: Request, listener: Listener | None = None) -> Reply:
        """Ask and wait for the whole reply. Raises: ModelUnavailable, ModelRefused."""
        began = stamp(self._breaker.clock.now())
        try:
            reply = await self._model.stream(request, listener)
        except ModelUnavailable as error:
            after_s = error.retry_after_s
            await _told(self._breaker.failed(MODEL, EVERY_KIND, str(error), after_s))
            raise
        await _told(self._breaker.succeeded(MODEL, EVERY_KIND, began))
        return reply

    async def close(self) -> None:
        """Close connections."""
        await self._model.close()


async def _told(telling: Awaitable[None]) -> None:
    """A locked database must not turn a reply into a failure, or a wait into a failed attempt."""
    try:
        await telling
    except TryLater as error:
        log.warning("The circuit breaker was not told: %s", error)

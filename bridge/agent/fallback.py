"""The model of a process: that of its provider, with another one for when it refuses or is away."""

import logging
from dataclasses import replace
from typing import Final

from bridge.agent.model import AnthropicModel, Listener, Model, Reply, Request
from bridge.agent.openai_model import OpenAIModel
from bridge.agent.providers import OPENAI, provider_of
from bridge.errors import BudgetUsedUp, ModelRefused, ModelUnavailable
from bridge.settings import Settings

log = logging.getLogger(__name__)
TRIES: Final = 2  # in a row, of any conversation, before the other model is asked


def model_of(settings: Settings) -> Model:
    """The model that these settings mean. Raises: ConfigError without a key."""
    about = {"key": settings.need_key(), "base_url": settings.anthropic_base_url}
    if provider_of(settings, settings.model) is OPENAI:
        model: Model = OpenAIModel(**about)
    else:
        model = AnthropicModel(**about, provider=settings.provider)
    return Fallback(model, settings.fallback_model) if settings.fallback_model else model


class Fallback:
    """Another model, that asks a second one once: its reply says by whom it is.

    It is asked what the first one was: a refused reply is not part of a conversation. Nobody hears
    it while it is written, as the beginning of the other reply may have been shown already.
    """

    def __init__(self, model: Model, name: str) -> None:
        self._model = model
        self._name = name
        self._failures = 0

    async def stream(self, request: Request, listener: Listener | None = None) -> Reply:
        """Ask and wait for the whole reply. Raises: ModelUnavailable, ModelRefused."""
        if request.model == self._name:
            return await self._model.stream(request, listener)
        try:
            reply = await self._model.stream(request, listener)
        except ModelUnavailable as away:
            self._failures += 1
            if self._failures < TRIES:
                raise
            try:
                return await self._other(request)
            except ModelRefused as error:  # the first one may take it when it is back
                log.warning("The second model is of no use: %s", error)
                raise away from error
        self._failures = 0
        if reply.stop_reason != "refusal":
            return reply
        try:
            return await self._other(request)
        except (ModelUnavailable, ModelRefused, BudgetUsedUp) as error:
            log.warning("The second model is of no use: %s", error)
            return reply  # which was paid for: asking again costs it again

    async def close(self) -> None:
        """Close connections."""
        await self._model.close()

    async def _other(self, request: Request) -> Reply:
        reply = await self._model.stream(replace(request, model=self._name))
        return replace(reply, by=self._name)

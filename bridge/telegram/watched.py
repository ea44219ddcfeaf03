"""The model for someone who is waiting: one more try, and a word when a reply is whole; and tools
whose use is noted.

How long it may take is not decided here (patience.py).
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final

from bridge.agent.model import Listener, Model, Reply, Request
from bridge.agent.tool import Input, Tool
from bridge.clock import Clock
from bridge.errors import ModelUnavailable
from bridge.store import Tx

RETRY_AFTER_S: Final = 0.5  # one more try, then it becomes a job


@dataclass(frozen=True, slots=True)
class _Unseen:
    """Hears a reply whose beginning was shown before: it is not shown twice."""

    words: Callable[[], None]

    def text(self, _delta: str) -> None:
        self.words()


def noted(tool: Tool, note: Callable[[str], None]) -> Tool:
    """The same tool; `note` hears its name whenever it is called."""
    act, work = tool.commit, tool.run

    def commit(tx: Tx, given: Input) -> str:
        assert act is not None
        note(tool.name)
        return act(tx, given)

    async def run(given: Input) -> str:
        assert work is not None
        note(tool.name)
        return await work(given)

    return replace(tool, commit=act and commit, run=work and run)


class Watched:
    """A model; `settle` hears of each whole reply before anything follows from it.

    Nothing follows from a reply before `not_before`, in seconds of the clock.
    `words` hears that a second try is being written, which nobody sees until it is whole.
    """

    def __init__(
        self,
        model: Model,
        clock: Clock,
        *,
        settle: Callable[[Reply], Awaitable[None]],
        words: Callable[[], None],
        not_before: float = 0.0,
    ) -> None:
        self._model = model
        self._clock = clock
        self._settle = settle
        self._unseen = _Unseen(words)
        self._not_before = not_before

    async def stream(self, request: Request, listener: Listener | None = None) -> Reply:
        """Ask and wait for the whole reply. Raises: ModelUnavailable, ModelRefused."""
        try:
            reply = await self._model.stream(request, listener)
        except ModelUnavailable as error:
            if (error.retry_after_s or 0) > 2:
                raise
            await self._clock.sleep(error.retry_after_s or RETRY_AFTER_S)
            reply = await self._model.stream(request, self._unseen)
        if (left_s := self._not_before - self._clock.monotonic()) > 0:
            await self._clock.sleep(left_s)
        await self._settle(reply)
        return reply

    async def close(self) -> None:
        """The model is shared; its owner closes it."""

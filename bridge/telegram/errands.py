"""Short work beside everything else: an error in it is logged, not lost."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from bridge.clock import Clock
from bridge.errors import KittError, TryLater

log = logging.getLogger(__name__)
Work = Callable[..., Coroutine[Any, Any, object]]


class Errands:
    """Starts short tasks and keeps hold of them until they are done."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()

    def run(
        self, work: Callable[..., Coroutine[Any, Any, object]], *args: Any, **more: Any
    ) -> None:
        """Do it soon; returns at once."""
        task = asyncio.create_task(self.patiently(partial(work, *args, **more)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def patiently(self, work: Work) -> None:
        """Again while the database is locked or the disk full; one bad update ends only itself."""
        while True:
            try:
                await work()
            except TryLater as error:
                log.warning("%s", error)
                await self._clock.sleep(1.0)
                continue
            except KittError as error:
                log.warning("%s", error)
            except Exception:  # it must not end the bridge; it stays in the inbox
                log.exception("An update could not be handled")
            return

    async def settle(self, timeout_s: float) -> None:
        """Give what is under way some seconds."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_s)

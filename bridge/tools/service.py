"""A service that an owner has set up, asked for a tool: its failures count in the circuit breaker.

Only such services count. A page that cannot be reached says nothing about the next job, and anyone
who has a page could hold up all jobs with it.
"""

import logging
from collections.abc import Awaitable, Mapping
from typing import Final

from bridge.agent.tool import ToolFailed
from bridge.breaker import Breaker
from bridge.clock import stamp
from bridge.errors import TryLater
from bridge.models import Job
from bridge.outgoing import Fetched, Limits, NotAllowed, NotReached, Outgoing, checked
from bridge.queue import Queue

log = logging.getLogger(__name__)
LIMITS: Final = Limits(bytes_max=2_000_000)
BUSY: Final = 429


class Service:
    """The way to such services, for one job."""

    def __init__(self, queue: Queue, job: Job, outgoing: Outgoing, breaker: Breaker) -> None:
        self._clock = queue.clock
        self._job = job
        self._outgoing = outgoing
        self._breaker = breaker

    async def ask(
        self, url: str, *, method: str = "GET", headers: Mapping[str, str], body: bytes = b""
    ) -> Fetched:
        """The answer, whatever its status; no redirect is followed. Raises: ToolFailed."""
        began = stamp(self._clock.now())
        try:
            name, kind = f"host:{checked(url).host}", self._job.kind
            answer = await self._outgoing.fetch(
                url,
                method=method,
                headers=headers,
                body=body,
                limits=LIMITS,
                follow=False,
                who=f"Job {self._job.id}",
            )
        except NotAllowed as error:
            raise ToolFailed(str(error)) from error
        except NotReached as error:
            await _told(self._breaker.failed(name, kind, str(error)))
            raise ToolFailed(str(error)) from error
        if answer.status == BUSY or answer.status >= 500:
            await _told(self._breaker.failed(name, kind, f"It answers {answer.status}."))
        else:
            await _told(self._breaker.succeeded(name, kind, began))
        return answer


async def _told(telling: Awaitable[None]) -> None:
    """A locked database must not turn an answer into a failure."""
    try:
        await telling
    except TryLater as error:
        log.warning("The circuit breaker was not told: %s", error)

"""A clock on which real time passes faster, for a whole bridge that waits for half a minute."""

import asyncio
import time
from datetime import datetime, timedelta

from bridge.clock import Clock


class Hurried(Clock):
    """The real clock, so many times as fast; `speed` may be changed while it runs."""

    def __init__(self, speed: float) -> None:
        super().__init__()
        self._start, self._began = super().now(), super().monotonic()
        self._passed_s, self._since = 0.0, time.monotonic()
        self._speed = speed

    @property
    def passed_s(self) -> float:
        """Seconds since it was made, as everyone on this clock counts them."""
        return self._passed_s + (time.monotonic() - self._since) * self._speed

    @property
    def speed(self) -> float:
        return self._speed

    @speed.setter
    def speed(self, speed: float) -> None:
        self._passed_s, self._since = self.passed_s, time.monotonic()
        self._speed = speed

    def skip(self, seconds: float) -> None:
        """It is that much later; whoever sleeps already sleeps on."""
        self._passed_s += seconds

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self.passed_s)

    def monotonic(self) -> float:
        return self._began + self.passed_s

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self._speed)

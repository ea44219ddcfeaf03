"""Time, injected: tests of hours run in milliseconds.

Wall-clock time is for people and schedules. Leases use the monotonic clock together with the
boot id, because on Linux it is the same for every process and no clock change moves it.
"""

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path

BOOT_ID_FILE = Path("/proc/sys/kernel/random/boot_id")


class Clock:
    """The real clock. Tests put one in its place that they move themselves."""

    def __init__(self) -> None:
        self.boot_id = BOOT_ID_FILE.read_text().strip() if BOOT_ID_FILE.exists() else "unknown"

    def now(self) -> datetime:
        """The moment in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that never jump; comparable between processes of one boot."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait without blocking the loop."""
        await asyncio.sleep(seconds)


def stamp(moment: datetime) -> str:
    """A moment as the database keeps it: UTC text that sorts (`2026-11-22 07:30:00.123`)."""
    return moment.astimezone(UTC).isoformat(" ", "milliseconds")[:23]


def moment(text: str) -> datetime:
    """The reverse of `stamp`; takes seconds without a fraction too, as hand-made rows have them."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)

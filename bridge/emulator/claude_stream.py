"""Sending an answer with its timing and its faults.

Events without a wait between them leave in one write, so a short reply costs one packet. Waits
are kept against a running deadline, so a long paced reply does not drift.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from aiohttp import web

from bridge.emulator.claude_faults import Fault
from bridge.emulator.claude_reply import Event

PING_EVERY_S = 10.0
FLUSH_BYTES = 64 * 1024


class Cut(Exception):
    """The connection is to be broken here."""


class Sender:
    """Writes one response body: events in their time, bytes up to where a fault cuts.

    Raises `Cut` when the fault's number of bytes has been written.
    """

    def __init__(self, response: web.StreamResponse, fault: Fault) -> None:
        self._response = response
        self._fault = fault
        self._pending = bytearray()
        self._sent = 0
        self.written: list[Event] = []  # a reply so far
        self._deadline = asyncio.get_running_loop().time()

    async def events(
        self,
        events: Sequence[Event],
        *,
        first_token_s: float,
        pace_s: float,
        error: Callable[[], Event],
    ) -> bool:
        """Send the events; False when a fault ended the stream before the last one."""
        waits = {"first": first_token_s, "delta": pace_s, None: 0.0}
        for count, event in enumerate(events):
            if count == self._fault.stall_after_events:
                await self._wait(self._fault.stall_s, pings=False)
            if count == self._fault.error_after_events:
                await self.bytes(error().wire())
                await self.flush()
                return False
            if count == self._fault.end_after_events:
                await self.flush()
                return False
            await self._wait(waits[event.wait], pings=True)
            self.written.append(event)
            await self.bytes(event.wire())
        await self.flush()
        return True

    async def bytes(self, data: bytes) -> None:
        """Queue bytes; `flush` sends them, and so does a queue that has grown long."""
        limit = self._fault.cut_after_bytes
        room = len(data) if limit is None else limit - self._sent - len(self._pending)
        self._pending += data[: max(0, room)]
        if limit is not None and room <= len(data):
            await self.flush()
            raise Cut
        if len(self._pending) >= FLUSH_BYTES:
            await self.flush()

    async def flush(self) -> None:
        if self._pending:
            data, self._pending = bytes(self._pending), bytearray()
            self._sent += len(data)
            await self._response.write(data)

    async def _wait(self, seconds: float, *, pings: bool) -> None:
        if seconds <= 0:
            return
        await self.flush()
        loop = asyncio.get_running_loop()
        self._deadline += seconds
        while (left := self._deadline - loop.time()) > 0:
            await asyncio.sleep(min(left, PING_EVERY_S))
            if pings and self._deadline - loop.time() > 0:
                await self.bytes(Event({"type": "ping"}).wire())
                await self.flush()

"""The only way out for the browser of one job: a proxy on loopback that asks `outgoing` first.

The browser resolves no name itself and is given no other way: pages, redirects, pictures, frames,
workers and web sockets all come here, and a connection goes only to an address that was looked at.
What does not come here (UDP of WebRTC, QUIC) is switched off where the browser is started.
"""

import asyncio
import logging
from collections.abc import Awaitable
from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit

from bridge.outgoing import CONNECT_S, Address, NotAllowed, NotReached, Outgoing, checked

log = logging.getLogger(__name__)
HEAD_BYTES_MAX: Final = 65_536
BYTES_MAX: Final = 200_000_000  # of all answers for one job
IDLE_S: Final = 60.0
PIECE_BYTES: Final = 65_536
_DROPPED: Final = (b"proxy-", b"connection:", b"keep-alive:")


class BrowserProxy:
    """One for each job; `async with` it. `who` is for the log, which gets every host once."""

    def __init__(self, outgoing: Outgoing, who: str) -> None:
        self._outgoing = outgoing
        self._who = who
        self._server: asyncio.Server | None = None
        self._running: set[asyncio.Task[None]] = set()
        self._hosts: set[str] = set()
        self._bytes_left = BYTES_MAX

    async def __aenter__(self) -> "BrowserProxy":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=HEAD_BYTES_MAX)
        return self

    async def __aexit__(self, *_error: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in [*self._running]:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    @property
    def address(self) -> str:
        """As a browser is told it."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        try:
            async with asyncio.timeout(IDLE_S):
                head = await reader.readuntil(b"\r\n\r\n")
            await self._answer(head, reader, writer)
        except (OSError, ValueError, TimeoutError, asyncio.IncompleteReadError):
            pass  # a browser that gave up, or what is no request: nobody waits for a word
        except (asyncio.LimitOverrunError, NotAllowed, NotReached) as error:
            log.info("%s: the browser is refused: %s", self._who, error)
            with suppress(OSError):
                writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
                await writer.drain()
        finally:
            self._running.discard(task)
            writer.close()

    async def _answer(
        self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        method, target, _ = head.partition(b"\r\n")[0].decode("ascii").split(" ")
        if method == "CONNECT":
            parts = urlsplit(f"//{target}")
            host, port = parts.hostname or "", parts.port or 443
            first = b""
            length = -1
        else:
            url = checked(target)
            if url.scheme != "http":
                raise NotAllowed("A browser asks for https by CONNECT.")
            host, port = url.raw_host.decode("ascii"), url.port or 80
            first, length = _direct(head, method, url.raw_path)
        there, out = await self._connected(host, port)
        try:
            if method == "CONNECT":
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            out.write(first)
            await self._both(self._body(reader, out, length), self._back(there, writer))
        finally:
            out.close()

    async def _connected(
        self, host: str, port: int
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        addresses: list[Address] = await self._outgoing.addresses(host, port)
        if host not in self._hosts:
            self._hosts.add(host)
            log.info("%s: browser %s", self._who, host)
        for address in addresses:
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(CONNECT_S):
                    return await asyncio.open_connection(*address)
        raise NotReached(f"{host} cannot be reached.")

    async def _both(self, there: Awaitable[None], back: Awaitable[None]) -> None:
        """Until the answer is over; what is still sent then is for nobody."""
        sending = asyncio.ensure_future(there)
        try:
            await back
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

    async def _body(
        self, reader: asyncio.StreamReader, out: asyncio.StreamWriter, length: int
    ) -> None:
        """What the browser sends: so many bytes of a body, or all there is (-1)."""
        while length and (piece := await reader.read(PIECE_BYTES)):
            piece = piece if length < 0 else piece[:length]
            length -= len(piece) if length > 0 else 0
            out.write(piece)
            await out.drain()

    async def _back(self, there: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            async with asyncio.timeout(IDLE_S):
                piece = await there.read(PIECE_BYTES)
            self._bytes_left -= len(piece)
            if not piece or self._bytes_left < 0:
                return
            writer.write(piece)
            await writer.drain()


def _direct(head: bytes, method: str, path: bytes) -> tuple[bytes, int]:
    """A request to a proxy as the server itself gets it, and how long its body is."""
    lines = [line for line in head.split(b"\r\n")[1:] if line]
    kept = [line for line in lines if not line.lower().startswith(_DROPPED)]
    split = [line.partition(b":") for line in kept]
    fields = {name.strip().lower(): value.strip() for name, _, value in split}
    length = -1 if b"transfer-encoding" in fields else int(fields.get(b"content-length", b"0"))
    request = b"%s %s HTTP/1.1" % (method.encode("ascii"), path)
    return b"\r\n".join([request, *kept, b"Connection: close", b"", b""]), length

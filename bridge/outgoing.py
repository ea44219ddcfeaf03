"""The one way out: every request that a tool makes for a model passes here.

A model may have its address from anyone. So a name is resolved once, every address it has must be
on the public internet, and the connection goes to one of just these: a name server that answers
differently a moment later changes nothing. Only http and https, only their own ports; redirects are
followed here, each looked at like the first; no cookie is kept and no proxy of the environment is
used. What comes back is limited in bytes, also after unpacking, and in time.
"""

import asyncio
import logging
import socket
import zlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from bridge.addresses import is_public
from bridge.errors import KittError

if TYPE_CHECKING:
    import ssl

    import httpcore2
    import httpx2

log = logging.getLogger(__name__)
USER_AGENT: Final = "Mozilla/5.0 (compatible; KITT)"
PORTS: Final = frozenset({80, 443})
URL_CHARS_MAX: Final = 2_000
REDIRECTS_MAX: Final = 5
REDIRECT_STATUS: Final = frozenset({301, 302, 303, 307, 308})
CONNECT_S: Final = 10.0
LOOK_UP_S: Final = 10.0
PIECE_BYTES: Final = 65_536

Address = tuple[str, int]
LookUp = Callable[[str, int], Awaitable[list[str]]]


class NotAllowed(KittError):
    """This address is never asked; the message says why, for the model."""


class NotReached(KittError):
    """It was asked, or nearly, and gave nothing that can be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one fetch may use."""

    bytes_max: int = 5_000_000  # also after unpacking
    seconds: float = 30.0  # for everything, redirects included


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """An answer, whole. `url` is where it came from in the end."""

    url: str
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def media_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def charset(self) -> str:
        """What the server says of it, "" when it says nothing."""
        _, _, rest = self.headers.get("content-type", "").lower().partition("charset=")
        return rest.partition(";")[0].strip(" \"'")


async def look_up(host: str, port: int) -> list[str]:
    """Every address of a name, as this machine knows it. Raises: OSError."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class Outgoing:
    """Fetches for tools. `known` are hosts and ports that an owner wrote down, each with whether it
    may be inside the network.

    `look_up` and `route` (to which address the connection for an address really goes) are for
    tests, which have no internet; `trust` is whose certificates are believed.
    """

    def __init__(
        self,
        *,
        known: Mapping[Address, bool] | None = None,
        look_up: LookUp = look_up,
        route: Callable[[Address], Address] = lambda address: address,
        trust: "ssl.SSLContext | None" = None,
    ) -> None:
        self._known = dict(known or {})
        self._look_up = look_up
        self._route = route
        self._trust = trust

    def trusting(self, url: str, *, inside: bool = True) -> "Outgoing":
        """The same way out, which also reaches the host and port of this address of an owner."""
        parsed = checked(url)
        port = parsed.port or (443 if parsed.scheme == "https" else 80)
        return Outgoing(
            known={**self._known, (parsed.raw_host.decode("ascii"), port): inside},
            look_up=self._look_up,
            route=self._route,
            trust=self._trust,
        )

    async def addresses(self, host: str, port: int) -> list[Address]:
        """Where a connection to this name may go. Raises: NotAllowed, NotReached."""
        if port not in PORTS and (host, port) not in self._known:
            raise NotAllowed(f"Port {port} is not asked, only {_listed(PORTS)}.")
        try:
            async with asyncio.timeout(LOOK_UP_S):
                found = await self._look_up(host, port)
        except (OSError, UnicodeError, TimeoutError):
            raise NotReached(f"There is no site {host}: its name cannot be resolved.") from None
        if not found:
            raise NotReached(f"There is no site {host}: its name has no address.")
        inside = self._known.get((host, port), False)
        if not inside and not all(is_public(address) for address in found):
            raise NotAllowed(f"{host} is not on the public internet, and nothing else is asked.")
        return [self._route((address, port)) for address in found]

    async def fetch(
        self,
        url: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        limits: Limits | None = None,
        follow: bool = True,
        who: str,
        enough: Callable[[bytearray], bool] = lambda _so_far: False,
    ) -> Fetched:
        """Ask once and give the whole answer, whatever its status.

        `who` is for the log, which holds hosts and never a path. Redirects are followed only where
        `follow` says so; with a body or headers of one's own it should not. Of a stream no more is
        read than is `enough`.
        Raises: NotAllowed, NotReached.
        """
        limits = limits or Limits()
        asked = checked(url)
        try:
            async with asyncio.timeout(limits.seconds):
                for _ in range(REDIRECTS_MAX + 1):
                    answer = await self._ask(asked, method, headers or {}, body, limits, enough)
                    log.info("%s: %s %s, %d", who, method, asked.host, answer.status)
                    location = answer.headers.get("location", "")
                    if not follow or answer.status not in REDIRECT_STATUS or not location:
                        return answer
                    asked = checked(location, base=asked)
        except TimeoutError:
            text = f"{asked.host} took more than {limits.seconds:.0f} s."
            raise NotReached(text) from None
        raise NotReached(f"{asked.host} redirects more than {REDIRECTS_MAX} times.")

    async def _ask(
        self,
        url: "httpx2.URL",
        method: str,
        headers: Mapping[str, str],
        body: bytes,
        limits: Limits,
        enough: Callable[[bytearray], bool],
    ) -> Fetched:
        """One request over a connection of its own."""
        import httpcore2

        sent: dict[bytes | str, bytes | str] = {
            "Host": url.netloc.decode("ascii"),
            "User-Agent": USER_AGENT,
            "Accept-Encoding": "gzip",
            "Accept-Language": "en;q=0.5, *;q=0.3",
            "Connection": "close",
        }
        sent.update(headers.items())
        target = httpcore2.URL(
            scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
        )
        options: dict[str, Any] = {"timeout": {"connect": CONNECT_S, "read": limits.seconds}}
        if body or method in ("POST", "PUT", "PATCH"):
            sent["Content-Length"] = str(len(body))
        try:
            async with (
                await self._pool() as pool,
                pool.stream(
                    method, target, headers=sent, content=body or None, extensions=options
                ) as answer,
            ):
                told = {
                    name.decode("latin-1").lower(): value.decode("latin-1")
                    for name, value in answer.headers
                }
                return Fetched(
                    url=str(url.copy_with(fragment=None)),
                    status=answer.status,
                    headers=told,
                    body=await _body(answer, told, limits.bytes_max, url.host, enough),
                )
        except (httpcore2.NetworkError, httpcore2.TimeoutException, httpcore2.ProtocolError) as e:
            raise NotReached(f"{url.host} cannot be reached ({type(e).__name__}).") from e

    async def _pool(self) -> "httpcore2.AsyncConnectionPool":
        import httpcore2
        import httpx2

        if self._trust is None:  # reads the certificates of the system
            self._trust = await asyncio.to_thread(httpx2.create_ssl_context, trust_env=False)
        return httpcore2.AsyncConnectionPool(
            ssl_context=self._trust, network_backend=_backend(self), max_keepalive_connections=0
        )


def checked(url: str, *, base: "httpx2.URL | None" = None) -> "httpx2.URL":
    """An address that may be looked up. Raises: NotAllowed, with what it must look like."""
    import httpx2

    if len(url) > URL_CHARS_MAX:
        raise NotAllowed(f"An address has at most {URL_CHARS_MAX:,} characters.")
    try:
        parsed = base.join(url) if base is not None else httpx2.URL(url)
        parsed.raw_host.decode("ascii")
        parsed.netloc.decode("ascii")
    except (httpx2.InvalidURL, ValueError):
        text = "This is no web address: it looks like https://example.org/page."
        raise NotAllowed(text) from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise NotAllowed("Only http and https addresses are asked, such as https://example.org/.")
    if parsed.port is not None and not 0 < parsed.port < 65_536:
        raise NotAllowed("A port is a number from 1 to 65535.")
    if parsed.userinfo:
        raise NotAllowed("An address with a name or password in it is not asked.")
    return parsed if parsed.path != "/" else parsed.copy_with(path="/")


def _backend(outgoing: Outgoing) -> "httpcore2.AsyncNetworkBackend":
    """How the library opens connections: to addresses that were looked at, never to a name."""
    import httpcore2

    class Pinned(httpcore2.AnyIOBackend):
        async def connect_tcp(
            self, host: str, port: int, *args: Any, **options: Any
        ) -> "httpcore2.AsyncNetworkStream":
            error: Exception = httpcore2.ConnectError(f"{host} has no address")
            for address in await outgoing.addresses(host, port):
                try:
                    return await super().connect_tcp(*address, *args, **options)
                except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as failed:
                    error = failed
            raise error

        async def connect_unix_socket(
            self, *_args: Any, **_options: Any
        ) -> "httpcore2.AsyncNetworkStream":
            raise NotAllowed("Sockets of this machine are not asked.")

    return Pinned()


async def _body(
    answer: "httpcore2.Response",
    headers: Mapping[str, str],
    bytes_max: int,
    host: str,
    enough: Callable[[bytearray], bool],
) -> bytes:
    """The body, unpacked; no more of it is held than the limit. Raises: NotReached."""
    coding = headers.get("content-encoding", "").strip().lower()
    if coding not in ("", "identity", "gzip", "x-gzip"):
        raise NotReached(f"{host} packs its answer as {coding[:20]}, which was not asked for.")
    too_much = NotReached(f"{host} sends more than {bytes_max:,} bytes, which is not read.")
    if headers.get("content-length", "").isdecimal() and int(headers["content-length"]) > bytes_max:
        raise too_much
    unpack = zlib.decompressobj(zlib.MAX_WBITS | 16) if "gzip" in coding else None
    body = bytearray()
    async with aclosing(_pieces(answer)) as pieces:
        async for piece in pieces:
            while piece:
                try:
                    plain = unpack.decompress(piece, PIECE_BYTES) if unpack else piece
                except zlib.error:
                    raise NotReached(f"{host} sends what cannot be unpacked.") from None
                body += plain
                if len(body) > bytes_max:
                    raise too_much
                piece = unpack.unconsumed_tail if unpack else b""
            if enough(body):
                break
    return bytes(body)


async def _pieces(answer: "httpcore2.Response") -> AsyncGenerator[bytes, None]:
    async for piece in answer.aiter_stream():
        yield piece


def _listed(ports: frozenset[int]) -> str:
    return " and ".join(str(port) for port in sorted(ports))

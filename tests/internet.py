"""An internet inside a test: names, their public addresses, and what answers there on loopback.

Nothing of the guard is switched off: names resolve to public addresses, those are checked, and only
the last step, the connection itself, goes to a server of the test instead. In a process of its own
it is the system that is another one: what KITT runs there is as it is.
"""

import asyncio
import json
import socket
import ssl
from collections import defaultdict
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from aiohttp import web

from bridge.outgoing import Address, Outgoing

FIRST: Final = "93.184.216.34"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
# What the system is to a process that a test starts: its name server, and its way to addresses.
SITE: Final = """
import json, socket
from ipaddress import ip_address
from pathlib import Path
look_up, connect = socket.getaddrinfo, socket.socket.connect
def told(what):
    return json.loads(Path(MAP).read_text())[what]
def inside(host):
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host in (None, "", "localhost")
def getaddrinfo(host, *rest, **more):
    try:
        ip_address(host)
    except ValueError:
        if not inside(host) and host not in told("names"):
            raise socket.gaierror(socket.EAI_NONAME, f"a test has no {host}")
        host = host if inside(host) else told("names")[host]
    return look_up(host, *rest, **more)
def connect_to(self, address):
    if self.family in (socket.AF_INET, socket.AF_INET6) and not inside(address[0]):
        address = "127.0.0.1", told("servers").get(f"{address[0]}:{address[1]}", 1)
    return connect(self, address)
socket.getaddrinfo, socket.socket.connect = getaddrinfo, connect_to
"""


def environ_of(folder: Path) -> dict[str, str]:
    """For processes whose internet is the one that is published in this folder, at any time."""
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(SITE.replace("MAP", repr(str(folder / "map.json"))))
    return {"PYTHONPATH": str(folder)}


class Site:
    """One server and what was asked of it."""

    def __init__(self) -> None:
        self.hits: list[str] = []  # method, host, path and query
        self.headers: list[dict[str, str]] = []
        self.bodies: list[bytes] = []
        self.pages: dict[str, Handler] = {}
        self.port = 0
        self._runner: web.AppRunner | None = None

    def page(self, path: str, text: str, *, kind: str = "text/html", status: int = 200) -> None:
        """What lies at a path."""
        self.data(path, text.encode(), kind=kind, status=status)

    def data(self, path: str, body: bytes, *, kind: str, status: int = 200) -> None:
        async def answer(_request: web.Request) -> web.Response:
            return web.Response(body=body, status=status, headers={"Content-Type": kind})

        self.pages[path] = answer

    def redirect(self, path: str, location: str, status: int = 302) -> None:
        async def answer(_request: web.Request) -> web.Response:
            return web.Response(status=status, headers={"Location": location})

        self.pages[path] = answer

    async def start(self, context: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, 0, ssl_context=context)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.hits.append(f"{request.method} {request.headers.get('Host')}{request.path_qs}")
        self.headers.append(dict(request.headers))
        self.bodies.append(await request.read())
        handler = self.pages.get(request.path)
        return web.Response(status=404) if handler is None else await handler(request)


class Internet:
    """Which names there are and who answers for them."""

    def __init__(self) -> None:
        self.names: dict[str, list[list[str]]] = {}
        self.servers: dict[Address, int] = {}
        self.looked_up: list[str] = []
        self.asked: list[Address] = []
        self._sites: list[Site] = []
        self._counts: dict[str, int] = defaultdict(int)

    async def site(self, *names: str, port: int = 80, tls: ssl.SSLContext | None = None) -> Site:
        """A server that answers for these names; without a name one that only the test knows."""
        site = Site()
        await site.start(tls)
        self._sites.append(site)
        for name in names:
            address = f"93.184.216.{34 + len(self.servers)}"
            self.names[name] = [[address]]
            self.servers[address, port] = site.port
        return site

    async def close(self) -> None:
        await asyncio.gather(*(site.stop() for site in self._sites))

    def outgoing(self, trust: ssl.SSLContext | None = None) -> Outgoing:
        """The guard, with this internet in place of the real one."""
        return Outgoing(look_up=self.look_up, route=self.route, trust=trust)

    def publish(self, folder: Path) -> None:
        """Let the processes of `environ_of` have this one. It knows one address of each name."""
        names = {name: answers[0][0] for name, answers in self.names.items()}
        servers = {f"{host}:{port}": there for (host, port), there in self.servers.items()}
        (folder / "map.json").write_text(json.dumps({"names": names, "servers": servers}))

    async def look_up(self, host: str, _port: int) -> list[str]:
        """One answer after the other, and the last one from then on; addresses are themselves."""
        self.looked_up.append(host)
        if host not in self.names:
            found = await asyncio.get_running_loop().getaddrinfo(
                host, None, flags=socket.AI_NUMERICHOST
            )
            return [str(address[0]) for *_, address in found]
        answers = self.names[host]
        at = min(self._counts[host], len(answers) - 1)
        self._counts[host] += 1
        return answers[at]

    def route(self, address: Address) -> Address:
        """Where a connection ends; what nobody serves is a port that nobody listens on."""
        self.asked.append(address)
        return "127.0.0.1", self.servers.get(address, 1)

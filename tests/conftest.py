"""Fixtures every test may ask for: a clock that stands still, a real database, no network."""

import ipaddress
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from blank import lay
from fakes import FakeClock, OpenStore

from bridge.queue import Queue
from bridge.store import Store

# A shell that starts the tests in the background ignores Ctrl-C, and children inherit that: tests
# of Ctrl-C would wait for ever.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Images of containers often forbid bytecode. Then every worker of pytest rewrites the asserts of
# all tests at every run, and every process that a test starts compiles KITT.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

LOCAL_NAMES = ("", "localhost", "ip6-localhost", "localhost.localdomain")


@pytest.fixture
def clock() -> FakeClock:
    """Time that moves only by `clock.advance(seconds)`."""
    return FakeClock()


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    """Folder of the database, `kitt.db`; its `run` folder is made by the store."""
    folder = tmp_path / "memory"
    folder.mkdir()
    return folder


@pytest.fixture
async def open_store(memory: Path) -> AsyncIterator[OpenStore]:
    """Open the database as one more process does; whatever happens, it is closed at the end."""
    opened: list[Store] = []

    async def open_one(**options: Any) -> Store:
        if "steps" not in options:
            lay(memory / "kitt.db")
        store = await Store.open(memory / "kitt.db", memory / "run", **options)
        opened.append(store)
        return store

    yield open_one
    for store in opened:
        await store.close()


@pytest.fixture
async def store(open_store: OpenStore) -> Store:
    """An empty database on disk."""
    return await open_store()


@pytest.fixture
def queue(store: Store, clock: FakeClock) -> Queue:
    """A queue with leases of 30 s and a backoff without chance: 2, 4, 8 s."""
    return Queue(store=store, clock=clock, lease_s=30.0, jitter=lambda: 0.0)


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    """Our programs set their own, and a test may run one in its process."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A test that reaches for another machine fails, also when the code swallows the error."""
    tried: list[str] = []

    def refuse(what: str) -> None:
        tried.append(what)
        raise OSError(f"A test may not reach the network: {what}.")

    def guarded(call: Callable[..., Any]) -> Callable[..., Any]:
        def connect(self: socket.socket, address: Any, /) -> Any:
            if self.family != socket.AF_UNIX and not _is_loopback(str(address[0])):
                refuse(f"connect to {address}")
            return call(self, address)

        return connect

    look_up = socket.getaddrinfo

    def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host or ""
        flags = kwargs.get("flags", args[4] if len(args) > 4 else 0)
        looks_up = not flags & socket.AI_NUMERICHOST  # else it only reads a spelling of a number
        if looks_up and name not in LOCAL_NAMES and not _is_address(name):
            refuse(f"look up {name}")
        return look_up(host, *args, **kwargs)

    monkeypatch.setattr(socket.socket, "connect", guarded(socket.socket.connect))
    monkeypatch.setattr(socket.socket, "connect_ex", guarded(socket.socket.connect_ex))
    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    yield
    assert not tried, f"the code under test tried to {', '.join(tried)}"


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    return host in LOCAL_NAMES or (_is_address(host) and ipaddress.ip_address(host).is_loopback)

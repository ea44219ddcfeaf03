"""The browser's only way out: what it passes on, and what it refuses."""

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from internet import Internet, Site
from waiting import until

from bridge.browser_proxy import BrowserProxy


@pytest.fixture
async def internet() -> AsyncIterator[Internet]:
    made = Internet()
    yield made
    await made.close()


@pytest.fixture
async def site(internet: Internet) -> Site:
    return await internet.site("shop.test")


@pytest.fixture
async def proxy(internet: Internet) -> AsyncIterator[BrowserProxy]:
    async with BrowserProxy(internet.outgoing(), "Job 1") as opened:
        yield opened


async def say(proxy: BrowserProxy, request: bytes) -> bytes:
    """What comes back until the connection ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(proxy.address[17:]))
    writer.write(request)
    try:
        async with asyncio.timeout(10):
            return await reader.read()
    finally:
        writer.close()


async def test_a_plain_request_is_passed_on_without_a_word_to_the_proxy(
    proxy: BrowserProxy, site: Site
) -> None:
    site.page("/a", "page")

    answer = await say(
        proxy,
        b"GET http://shop.test/a?q=1 HTTP/1.1\r\nHost: shop.test\r\nProxy-Connection: keep-alive"
        b"\r\nProxy-Authorization: x\r\nAccept: text/html\r\n\r\n",
    )

    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert answer.endswith(b"page")
    assert site.hits == ["GET shop.test/a?q=1"]
    assert set(site.headers[0]) == {"Host", "Accept", "Connection"}


async def test_a_body_goes_along_and_nothing_after_it(proxy: BrowserProxy, site: Site) -> None:
    post = b"POST http://shop.test/a HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 3\r\n\r\nabc"
    again = b"GET http://127.0.0.1/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"

    await say(proxy, post + again)

    assert (site.hits, site.bodies) == (["POST shop.test/a"], [b"abc"])


async def test_a_tunnel_goes_to_the_address_that_was_looked_at(
    proxy: BrowserProxy, internet: Internet, site: Site
) -> None:
    internet.servers["93.184.216.34", 443] = site.port
    inner = b"GET /t HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n"

    answer = await say(proxy, b"CONNECT shop.test:443 HTTP/1.1\r\n\r\n" + inner)

    assert answer.startswith(b"HTTP/1.1 200 Connection established\r\n\r\nHTTP/1.1 404")
    assert site.hits == ["GET shop.test/t"]


@pytest.mark.parametrize(
    "request_line",
    [
        "GET http://127.0.0.1/ HTTP/1.1",
        "GET http://localhost/ HTTP/1.1",
        "GET http://[::1]/ HTTP/1.1",
        "GET http://inner.test/ HTTP/1.1",
        "GET http://169.254.169.254/latest/ HTTP/1.1",
        "GET http://shop.test:8080/ HTTP/1.1",
        "GET https://shop.test/ HTTP/1.1",
        "GET ftp://shop.test/ HTTP/1.1",
        "CONNECT 127.0.0.1:80 HTTP/1.1",
        "CONNECT 127.0.0.1:443 HTTP/1.1",
        "CONNECT [::1]:443 HTTP/1.1",
        "CONNECT inner.test:443 HTTP/1.1",
        "CONNECT shop.test:22 HTTP/1.1",
    ],
)
async def test_what_is_not_public_is_refused_and_not_asked(
    proxy: BrowserProxy, internet: Internet, site: Site, request_line: str
) -> None:
    internet.names |= {"inner.test": [["127.0.0.1"]], "localhost": [["127.0.0.1"]]}
    for address in ("127.0.0.1", "::1", "169.254.169.254"):
        internet.servers |= {(address, 80): site.port, (address, 443): site.port}

    answer = await say(proxy, request_line.encode() + b"\r\nHost: x\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 403")
    assert (site.hits, internet.asked) == ([], [])


@pytest.mark.parametrize(
    "junk", [b"\r\n\r\n", b"GET\r\n\r\n", b"\xff\xfe a b\r\n\r\n", b"x" * 99_000]
)
async def test_what_is_no_request_ends_the_connection(proxy: BrowserProxy, junk: bytes) -> None:
    assert b"200" not in await say(proxy, junk)


async def test_each_host_is_logged_once_and_no_path(
    proxy: BrowserProxy, site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="bridge")

    for _ in range(2):
        await say(proxy, b"GET http://shop.test/secret HTTP/1.1\r\nHost: shop.test\r\n\r\n")

    assert caplog.messages == ["Job 1: browser shop.test"]


async def test_connections_end_with_the_proxy(internet: Internet, site: Site) -> None:
    gone = asyncio.Event()

    async def endless(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        try:
            for _ in range(100_000):
                await answer.write(b"x" * 1_000)
                await asyncio.sleep(0.01)
        finally:
            gone.set()
        return answer

    site.pages["/"] = endless
    async with BrowserProxy(internet.outgoing(), "Job 1") as proxy:
        asking = asyncio.create_task(
            say(proxy, b"GET http://shop.test/ HTTP/1.1\r\nHost: shop.test\r\n\r\n")
        )
        await until(lambda: site.hits)

    await asyncio.wait_for(gone.wait(), 10)
    await asyncio.gather(asking, return_exceptions=True)

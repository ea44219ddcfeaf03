"""The one way out: what it refuses before a connection, what it limits, what it does not keep."""

import asyncio
import gzip
import logging
import resource
import ssl
import subprocess
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from internet import FIRST, Internet, Site

from bridge.outgoing import Fetched, Limits, NotAllowed, NotReached, Outgoing

SPELLINGS = [
    "http://127.0.0.1/",
    "http://localhost/",
    "http://2130706433/",
    "http://0x7f.1/",
    "http://0177.0.0.1/",
    "http://127.1/",
    "http://0/",
    "http://[::1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[2002:7f00:1::]/",
    "http://169.254.169.254/latest/meta-data/",
    "http://192.0.0.192/",
    "http://100.64.0.1/",
    "http://224.0.0.1/",
]
NO_WEB = [
    "ftp://site.test/",
    "file:///etc/passwd",
    "gopher://site.test/",
    "javascript:alert(1)",
    "//site.test/",
    "site.test",
    "http://",
    "http:///path",
    "http://user:word@site.test/",
    "http://site.test\\@127.0.0.1/",
    "http://127.0.0.1\n.site.test/",
    "http://１２７.0.0.1/",
    "http://site.test/" + "a" * 2_000,
    "",
]


@pytest.fixture
async def internet() -> AsyncIterator[Internet]:
    made = Internet()
    yield made
    await made.close()


@pytest.fixture
async def site(internet: Internet) -> Site:
    return await internet.site("site.test")


async def fetch(internet: Internet, url: str, **how: object) -> Fetched:
    return await internet.outgoing().fetch(url, who="Job 1", **how)  # type: ignore[arg-type]


async def test_a_page_comes_with_its_status_type_and_bytes(internet: Internet, site: Site) -> None:
    site.page("/a", "<p>Hé</p>", kind="text/html; charset=UTF-8", status=404)

    answer = await fetch(internet, "http://site.test/a?q=1#part")

    assert (answer.status, answer.media_type, answer.charset) == (404, "text/html", "utf-8")
    assert (answer.body.decode(), answer.url) == ("<p>Hé</p>", "http://site.test/a?q=1")
    assert site.hits == ["GET site.test/a?q=1"]


@pytest.mark.parametrize("url", SPELLINGS)
async def test_no_spelling_of_an_inner_address_is_asked(internet: Internet, url: str) -> None:
    internet.names["localhost"] = [["127.0.0.1"]]

    with pytest.raises(NotAllowed):
        await fetch(internet, url)

    assert internet.asked == []


@pytest.mark.parametrize("url", NO_WEB)
async def test_what_is_no_web_address_is_not_even_looked_up(internet: Internet, url: str) -> None:
    with pytest.raises(NotAllowed):
        await fetch(internet, url)

    assert internet.looked_up == []


@pytest.mark.parametrize("port", [22, 25, 6379, 8080])
async def test_other_ports_are_not_asked(internet: Internet, site: Site, port: int) -> None:
    internet.servers[FIRST, port] = site.port

    with pytest.raises(NotAllowed, match="only 80 and 443"):
        await fetch(internet, f"http://site.test:{port}/")

    assert site.hits == []


async def test_one_inner_address_among_many_spoils_the_name(internet: Internet, site: Site) -> None:
    internet.names["site.test"] = [[FIRST, "10.0.0.1"]]

    with pytest.raises(NotAllowed, match=r"site\.test is not on the public internet"):
        await fetch(internet, "http://site.test/")

    assert (site.hits, internet.asked) == ([], [])


async def test_a_name_that_turns_inward_is_asked_where_it_was_first(internet: Internet) -> None:
    inner, site = await internet.site(), await internet.site("turns.test")
    site.page("/", "outside")
    internet.names["turns.test"] = [[FIRST], ["127.0.0.1"]]
    internet.servers["127.0.0.1", 80] = inner.port

    first = await fetch(internet, "http://turns.test/")
    with pytest.raises(NotAllowed):
        await fetch(internet, "http://turns.test/")

    assert (first.body, inner.hits) == (b"outside", [])
    assert internet.looked_up == ["turns.test", "turns.test"]  # once for each, never in between


@pytest.mark.parametrize(
    "location", ["http://127.0.0.1:{port}/", "//127.0.0.1/", "http://inner.test/", "file:///x"]
)
async def test_a_redirect_inward_is_refused_and_nothing_inner_is_asked(
    internet: Internet, site: Site, location: str
) -> None:
    inner = await internet.site()
    internet.names["inner.test"] = [["127.0.0.1"]]
    internet.servers["127.0.0.1", 80] = inner.port
    site.redirect("/", location.format(port=inner.port))

    with pytest.raises(NotAllowed):
        await fetch(internet, "http://site.test/")

    assert (len(site.hits), inner.hits) == (1, [])


async def test_redirects_are_followed_and_end(internet: Internet, site: Site) -> None:
    site.redirect("/", "/b")
    site.redirect("/b", "http://other.test/c")
    site.redirect("/for-ever", "/for-ever")
    other = await internet.site("other.test")
    other.page("/c", "there")

    answer = await fetch(internet, "http://site.test/")
    with pytest.raises(NotReached, match="more than 5 times"):
        await fetch(internet, "http://site.test/for-ever")

    assert (answer.url, answer.body) == ("http://other.test/c", b"there")
    assert len(site.hits) == 2 + 6


async def test_no_cookie_is_kept_and_no_name_of_ours_is_told(
    internet: Internet, site: Site
) -> None:
    async def with_cookie(_request: web.Request) -> web.Response:
        answer = web.Response(status=302, headers={"Location": "/b"})
        answer.set_cookie("id", "1")
        return answer

    site.pages["/"] = with_cookie
    site.page("/b", "b")
    outgoing = internet.outgoing()

    await outgoing.fetch("http://site.test/", who="Job 1")
    await outgoing.fetch("http://site.test/b", who="Job 1")

    sent = {name.lower() for headers in site.headers for name in headers}
    assert sent == {"host", "user-agent", "accept-encoding", "accept-language", "connection"}


async def test_the_environment_names_no_proxy(
    internet: Internet, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = await internet.site()
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")

    await fetch(internet, "http://site.test/")

    assert (len(site.hits), proxy.hits) == (1, [])


async def test_more_bytes_than_the_limit_are_not_read(internet: Internet, site: Site) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        for _ in range(200):
            await answer.write(b"x" * 10_000)
        return answer

    site.pages["/"] = endless
    site.data("/told", b"x" * 20_000, kind="text/plain")

    for path in ("", "told"):
        with pytest.raises(NotReached, match="more than 10,000 bytes"):
            await fetch(internet, f"http://site.test/{path}", limits=Limits(bytes_max=10_000))


@pytest.mark.parametrize("nested", [False, True])
async def test_a_bomb_is_not_unpacked(internet: Internet, site: Site, nested: bool) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    bomb = b"".join(packer.compress(bytes(10_000_000)) for _ in range(10)) + packer.flush()
    bomb = gzip.compress(bomb) if nested else bomb

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(body=bomb, headers={"Content-Encoding": "gzip"})

    site.pages["/"] = answer
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    if nested:  # one layer is taken off, never two
        assert len((await fetch(internet, "http://site.test/")).body) < 1_000_000
    else:
        with pytest.raises(NotReached, match="more than 5,000,000 bytes"):
            await fetch(internet, "http://site.test/")

    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


@pytest.mark.parametrize("coding", ["br", "zstd", "deflate", "gzip, gzip"])
async def test_a_packing_nobody_asked_for_is_refused(
    internet: Internet, site: Site, coding: str
) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(body=b"x", headers={"Content-Encoding": coding})

    site.pages["/"] = answer

    with pytest.raises(NotReached, match="packs its answer"):
        await fetch(internet, "http://site.test/")


async def test_a_slow_answer_ends_in_time(internet: Internet, site: Site) -> None:
    async def drip(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        for _ in range(10_000):
            await answer.write(b".")
            await asyncio.sleep(0.02)
        return answer

    site.pages["/"] = drip

    with pytest.raises(NotReached, match=r"site\.test took more than"):
        await fetch(internet, "http://site.test/", limits=Limits(seconds=0.3))


async def test_a_name_nobody_has_is_said(internet: Internet) -> None:
    with pytest.raises(NotReached, match=r"There is no site nowhere\.test"):
        await fetch(internet, "http://nowhere.test/")


async def test_the_log_names_the_host_and_nothing_of_the_path(
    internet: Internet, site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="bridge")

    await fetch(internet, "http://site.test/secret-path?secret=query")

    assert "Job 1: GET site.test, 404" in caplog.messages
    assert not [line for line in caplog.messages if "secret" in line]


async def test_what_an_owner_wrote_down_is_reached_and_nothing_beside_it(
    internet: Internet, site: Site
) -> None:
    own = Outgoing().trusting(f"http://127.0.0.1:{site.port}/search")
    site.redirect("/", f"http://localhost:{site.port}/")

    await own.fetch(f"http://127.0.0.1:{site.port}/b", who="Job 1")
    with pytest.raises(NotAllowed):
        await own.fetch(f"http://127.0.0.1:{site.port}/", who="Job 1")

    assert [hit.rpartition("/")[2] for hit in site.hits] == ["b", ""]


async def test_https_is_checked_by_name_though_the_address_is_pinned(
    internet: Internet, tmp_path: Path
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"]
    command += ["-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-subj", "/CN=site.test", "-addext", "subjectAltName=DNS:site.test"]
    command += ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(certificate, key)
    names: list[str | None] = []
    served.sni_callback = lambda _socket, name, _context: names.append(name)
    site = await internet.site("site.test", "other.test", port=443, tls=served)
    trust = ssl.create_default_context(cafile=str(certificate))
    site.page("/", "safe")

    answer = await internet.outgoing(trust).fetch("https://site.test/", who="Job 1")
    with pytest.raises(NotReached):
        await internet.outgoing(trust).fetch("https://other.test/", who="Job 1")
    with pytest.raises(NotReached):
        await internet.outgoing().fetch("https://site.test/", who="Job 1")

    assert (answer.body, site.hits) == (b"safe", ["GET site.test/"])
    assert names[0] == "site.test"

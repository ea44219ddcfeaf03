"""A job that waits in the middle of a page goes on there; nobody reads its cookies meanwhile."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from aiohttp import web
from fakes import claimed
from internet import Internet
from tooldesk import Desk

from bridge.agent.tool import ToolFailed
from bridge.errors import JobWaits
from bridge.queue import Queue
from bridge.settings import Settings
from bridge.tools import chromium
from bridge.tools.browser_memory import BYTES_MAX, Remembered, remember, taken
from bridge.tools.browsing import browser_tools
from bridge.tools.chromium import Chromium
from bridge.tools.toolbox import Context
from bridge.tools.workspace import Workspace

needs_browser = pytest.mark.skipif(not chromium.can_browse(), reason="there is no browser")
FOUND = Remembered("http://shop.test/", {"cookies": [], "origins": []})


@pytest.fixture
async def internet() -> AsyncIterator[Internet]:
    made = Internet()
    yield made
    await made.close()


async def shop(internet: Internet) -> None:
    """A shop that knows who has been there, by a cookie and by what it keeps in the browser."""
    site = await internet.site("shop.test")

    async def front(request: web.Request) -> web.Response:
        words = "Welcome back" if request.cookies.get("seen") == "secret-7" else "Who are you"
        script = "document.title = localStorage.basket || 'empty'; localStorage.basket = 'a lamp'"
        text = f"<h1>{words}</h1><input aria-label=Search><script>{script}</script>"
        answer = web.Response(text=text, content_type="text/html")
        answer.set_cookie("seen", "secret-7")
        return answer

    site.pages["/"] = front


@needs_browser
async def test_a_job_goes_on_with_its_page_and_cookies_after_a_wait(
    queue: Queue, internet: Internet, tmp_path: Path
) -> None:
    await shop(internet)
    context = Context(
        queue=queue,
        job=await claimed(queue, prompt="Look at shop.test"),
        workspace=Workspace(tmp_path / "memory" / "jobs" / "1"),
        settings=Settings(profile=tmp_path),
        closing=AsyncExitStack(),
        outgoing=internet.outgoing(),
        chromium=Chromium(),
    )
    with pytest.raises(JobWaits):
        async with AsyncExitStack() as closing:
            desk = Desk(replace(context, closing=closing), browser_tools)
            opened = await desk.use("browser_open", url="http://shop.test/")
            ref = opened.partition('textbox "Search" [ref=')[2].partition("]")[0]
            await desk.use("browser_fill", ref=ref, text="blue")

    kept = context.settings.jobs_dir / "1.browser"
    assert "Who are you" in opened
    assert "secret-7" in kept.read_text()
    assert kept.stat().st_mode & 0o777 == 0o600
    with pytest.raises(ToolFailed, match="outside"):
        context.workspace.read("../1.browser", 100)

    waiting = await queue.get(1)
    await queue.store.write(partial(queue.decide_in, job=waiting, allowed=True))
    again = await queue.claim("w1:1:a")
    assert again is not None
    async with AsyncExitStack() as closing:
        desk = Desk(replace(context, job=again, closing=closing), browser_tools, calls=100)
        with pytest.raises(ToolFailed, match="opened anew after the wait"):
            await desk.use("browser_fill", ref=ref, text="blue")
        shown = await desk.use("browser_read")

    assert "Welcome back" in shown
    assert "Title: a lamp" in shown
    assert "The page was opened anew" in shown
    assert not kept.exists()  # an attempt that does not wait leaves nothing


@needs_browser
async def test_an_attempt_that_ends_otherwise_keeps_nothing(
    queue: Queue, internet: Internet, tmp_path: Path
) -> None:
    await shop(internet)
    settings = Settings(profile=tmp_path)
    with pytest.raises(ZeroDivisionError):
        async with AsyncExitStack() as closing:
            context = Context(
                queue=queue,
                job=await claimed(queue, prompt="Look at shop.test"),
                workspace=Workspace(settings.jobs_dir / "1"),
                settings=settings,
                closing=closing,
                outgoing=internet.outgoing(),
            )
            await Desk(context, browser_tools).use("browser_open", url="http://shop.test/")
            raise ZeroDivisionError

    assert not list(settings.jobs_dir.glob("*.browser"))


def test_what_is_kept_is_taken_once_and_damage_is_nothing(tmp_path: Path) -> None:
    remember(tmp_path, 1, FOUND)

    assert taken(tmp_path, 2) is None
    assert taken(tmp_path, 1) == FOUND
    assert taken(tmp_path, 1) is None
    for damaged in (b"", b"[1]", b'{"url": 1}', b"\xff"):
        (tmp_path / "1.browser").write_bytes(damaged)
        assert taken(tmp_path, 1) is None
    assert list(tmp_path.iterdir()) == []


def test_what_is_too_large_is_not_kept(tmp_path: Path) -> None:
    large = Remembered("", {"cookies": ["x" * BYTES_MAX]})
    remember(tmp_path, 2, large)

    assert list(tmp_path.iterdir()) == []

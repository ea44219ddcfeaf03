"""The browser of a job: where it cannot be opened, how it starts, when and how it ends."""

import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web
from fakes import claimed
from internet import Internet, Site
from lamps import browsing_desk, open_shop
from tooldesk import Desk
from waiting import until

from bridge.agent.tool import ToolFailed
from bridge.queue import Queue
from bridge.settings import Settings
from bridge.tools import browsing
from bridge.tools import chromium as chromium_module
from bridge.tools.browsing import browser_tools
from bridge.tools.chromium import Chromium
from bridge.tools.toolbox import Context
from bridge.tools.workspace import Workspace

pytestmark = pytest.mark.skipif(not chromium_module.can_browse(), reason="there is no browser")


def chromium_processes(of: int | None = None) -> list[int]:
    """Those of a process, else of this one, that live; of a zombie there is no command line."""
    pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    ours = f"kitt-browser-{of or os.getpid()}-".encode()
    return [pid for pid in pids if ours in told(pid, "cmdline")]


def told(pid: int, name: str) -> bytes:
    """What the system says of a process; nothing when it has ended."""
    try:
        return (Path("/proc") / str(pid) / name).read_bytes()
    except OSError:
        return b""


@pytest.fixture
async def internet() -> AsyncIterator[Internet]:
    made = Internet()
    yield made
    await made.close()


@pytest.fixture
async def site(internet: Internet) -> Site:
    return await open_shop(internet)


@pytest.fixture
async def desk(queue: Queue, internet: Internet, tmp_path: Path) -> AsyncIterator[Desk]:
    async with browsing_desk(queue, internet, tmp_path, Chromium()) as desk:
        yield desk


async def test_inner_addresses_and_other_schemes_are_not_opened(
    desk: Desk, internet: Internet
) -> None:
    for url in ("http://127.0.0.1/", "http://169.254.169.254/", "file:///etc/passwd", "chrome://a"):
        with pytest.raises(ToolFailed):
            await desk.use("browser_open", url=url)

    assert internet.asked == []
    assert chromium_processes() == []


async def test_the_browser_is_nobody_in_its_own_sandbox_without_a_secret(
    desk: Desk, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-canary-12")
    await desk.use("browser_open", url="http://shop.test/")

    ours = chromium_processes()

    assert len(ours) > 2
    for pid in ours:
        assert b"canary" not in told(pid, "environ")
        assert b"--no-sandbox" not in told(pid, "cmdline")
        uids = told(pid, "status").decode().partition("Uid:")[2].split()[:4]
        assert "0" not in uids


async def test_no_browser_is_left_after_the_attempt_or_when_it_is_cancelled(
    desk: Desk, site: Site
) -> None:
    over = asyncio.Event()

    async def slow(_request: web.Request) -> web.Response:
        await over.wait()
        return web.Response()

    site.pages["/slow"] = slow

    async def attempt() -> None:
        async with AsyncExitStack() as closing:
            other = Desk(replace(desk.context, closing=closing), browser_tools)
            await other.use("browser_open", url="http://shop.test/slow")

    running = asyncio.create_task(attempt())
    await until(lambda: any("slow" in hit for hit in site.hits), 60)
    assert chromium_processes()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    over.set()

    await until(lambda: not chromium_processes(), 20)


async def test_a_page_whose_scripts_never_let_go_is_left(
    desk: Desk, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browsing, "ACT_S", 2.0)
    site.page("/", "<h1>Busy</h1><script>setTimeout(() => { while (true) {} }, 100)</script>")

    with pytest.raises(ToolFailed, match="took too long"):
        await desk.use("browser_open", url="http://shop.test/")

    site.page("/", "<h1>Calm</h1>")
    monkeypatch.undo()
    assert "Calm" in await desk.use("browser_open", url="http://shop.test/")


async def test_a_browser_that_crashed_is_started_again_for_this_job_and_for_others(
    desk: Desk, site: Site
) -> None:
    before = set(chromium_processes())
    await desk.use("browser_open", url="http://shop.test/")
    for pid in set(chromium_processes()) - before:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    await until(lambda: not set(chromium_processes()) - before, 20)

    assert "Lamps" in await opened_at_last(desk)
    async with AsyncExitStack() as closing:
        other = Desk(replace(desk.context, closing=closing), browser_tools)
        assert "Lamps" in await other.use("browser_open", url="http://shop.test/")


async def test_a_frozen_browser_is_killed_in_time_and_nothing_of_it_stays(
    queue: Queue, internet: Internet, site: Site, tmp_path: Path
) -> None:
    before, homes = set(chromium_processes()), set(browser_homes())
    async with AsyncExitStack() as closing:
        desk = Desk(
            Context(
                queue=queue,
                job=await claimed(queue, prompt="Find a red lamp at shop.test"),
                workspace=Workspace(tmp_path / "jobs" / "1"),
                settings=Settings(profile=tmp_path),
                closing=closing,
                outgoing=internet.outgoing(),
            ),
            browser_tools,
        )
        await desk.use("browser_open", url="http://shop.test/")
        frozen = group_of(set(chromium_processes()) - before)
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        began = time.monotonic()

    assert time.monotonic() - began < 2 * chromium_module.CLOSE_S
    assert set(browser_homes()) == homes
    await until(lambda: not [pid for pid in frozen if told(pid, "cmdline")], 5)


def browser_homes() -> list[Path]:
    """The folders of our browsers."""
    return [*Path(tempfile.gettempdir()).glob(f"kitt-browser-{os.getpid()}-*")]


def group_of(pids: set[int]) -> list[int]:
    """These processes and all that began under them."""
    found = set(pids)
    parents = {
        int(path.name): int(told(int(path.name), "stat").rpartition(b")")[2].split()[1])
        for path in Path("/proc").glob("[0-9]*")
        if told(int(path.name), "stat")
    }
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return sorted(found)


async def opened_at_last(desk: Desk) -> str:
    """The page, once the driver has noticed as well."""
    found: list[str] = []

    async def there() -> bool:
        with suppress(ToolFailed):
            found.append(await desk.use("browser_open", url="http://shop.test/"))
        return bool(found)

    await until(there, 30)
    return found[0]


WORKER_WITH_A_BROWSER = """
import asyncio
from bridge.tools.chromium import Chromium
async def main():
    async with Chromium().context("http://127.0.0.1:1"):
        print("ready", flush=True)
        await asyncio.sleep(600)
asyncio.run(main())
"""


async def test_no_browser_outlives_a_worker_that_was_killed() -> None:
    worker = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WORKER_WITH_A_BROWSER, stdout=asyncio.subprocess.PIPE
    )
    assert worker.stdout is not None
    assert await asyncio.wait_for(worker.stdout.readline(), 60) == b"ready\n"
    assert chromium_processes(worker.pid)

    worker.kill()
    await worker.wait()

    await until(lambda: not chromium_processes(worker.pid), 30)


async def test_a_browser_that_does_not_start_is_said(
    desk: Desk, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chromium_module, "_command", lambda: ["/bin/false"])

    with pytest.raises(ToolFailed, match="does not start here"):
        await desk.use("browser_open", url="http://shop.test/")


def test_without_a_browser_or_the_extra_there_are_no_tools(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")

    assert browser_tools(desk.context) == []


def test_where_its_sandbox_cannot_start_there_are_no_tools(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browsing, "missing_for_sandbox", lambda: "allow user namespaces")

    assert browser_tools(desk.context) == []
    without = replace(desk.context, settings=replace(desk.context.settings, browser_sandbox=False))
    assert browser_tools(without) != []

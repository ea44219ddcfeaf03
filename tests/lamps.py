"""A shop on an internet of the test, and a job that has a browser to look at it."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from fakes import claimed
from internet import Internet, Site
from tooldesk import Desk

from bridge.queue import Queue
from bridge.settings import Secret, Settings
from bridge.tools.browsing import browser_tools
from bridge.tools.chromium import Chromium
from bridge.tools.toolbox import Context
from bridge.tools.workspace import Workspace

PAGE = """<html><head><title>Lamps</title></head><body><h1>Lamps</h1>
<a href="/red?x=1">The red one</a> <a href="/popup" target="_blank">Beside</a>
<form action="/found"><input name="q" aria-label="Search"><button>Find</button></form>
<div id="late"></div>
<script>setTimeout(() => { document.getElementById("late").textContent = "made by script" }, 200)
</script></body></html>"""


async def open_shop(internet: Internet) -> Site:
    """Its pages link to each other."""
    site = await internet.site("shop.test")
    site.page("/", PAGE)
    site.page("/red", "<h1>Red lamp</h1><p>12.50 euro</p>")
    site.page("/popup", "<h1>Beside it</h1>")
    site.page("/found", "<h1>Found</h1>")
    return site


@asynccontextmanager
async def browsing_desk(
    queue: Queue, internet: Internet, folder: Path, chromium: Chromium
) -> AsyncIterator[Desk]:
    """The tools of a job that looks for a lamp."""
    async with AsyncExitStack() as closing:
        yield Desk(
            Context(
                queue=queue,
                job=await claimed(queue, prompt="Find a red lamp at shop.test"),
                workspace=Workspace(folder / "jobs" / "1"),
                settings=Settings(profile=folder, anthropic_key=Secret("sk-ant-canary-12")),
                closing=closing,
                outgoing=internet.outgoing(),
                chromium=chromium,
            ),
            browser_tools,
        )

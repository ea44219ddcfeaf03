"""The tools of a browser: open, read, click, fill, and pictures of the page.

One page at a time for each attempt; it ends with the attempt. A job that waited has its page opened
anew, with its cookies; one that was started again begins without. A page is text from outside.
What is typed into one can be sent anywhere by its scripts, so only words of the user's request are
typed, and others when the user allows it.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urljoin, urlsplit

from bridge.agent.tool import Input, Tool, ToolFailed
from bridge.browser_proxy import BrowserProxy
from bridge.errors import JobWaits
from bridge.outgoing import NotAllowed, NotReached
from bridge.tools.approval import need_approval
from bridge.tools.browser_memory import Remembered, remember, taken
from bridge.tools.chromium import can_browse, missing_for_sandbox
from bridge.tools.untrusted import TYPED_AT, carries, heard_so_far, wrapped

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext, Dialog, Download, Page

    from bridge.tools.toolbox import Context

PAGE_S: Final = 30.0
ACT_S: Final = 10.0
KEEP_S: Final = 8.0
SETTLE_S: Final = 3.0  # for scripts that go on after a page is there
PART_CHARS: Final = 20_000
PAGES_MAX: Final = 5
NOTES_MAX: Final = 10
TYPED_CHARS_MAX: Final = 2_000
_LINK: Final = re.compile(r"^(\s*- /url: )(\S+)$", re.MULTILINE)
_NET_ERROR: Final = re.compile(r"net::(ERR_[A-Z_]+)")
ANEW: Final = (
    "The page was opened anew after the wait, with its cookies: what was typed is gone and "
    "its refs are others, so read it again."
)
REF: Final = {"type": "string", "description": "As in [ref=e12] of the last reading: e12."}


def browser_tools(context: "Context") -> list[Tool]:
    """The tools, in a fixed order; none without the extra and a browser that can start."""
    if not can_browse() or (context.settings.browser_sandbox and missing_for_sandbox()):
        return []
    tab = Tab(context)
    part = {"type": "integer", "description": "Of a long page; 1 is the first."}
    url = {"type": "string", "description": "https://…, exactly as it was found."}
    text = {"type": "string", "description": "Words of the user's request; others it must allow."}
    path = {"type": "string", "description": "Relative, e.g. shop.png."}
    steps: list[tuple[Any, str, dict[str, dict[str, Any]], Any]] = [
        (tab.open, "Open a page in a browser, for pages that need one.", {"url": url}, None),
        (tab.read, "Read the open page again: its parts, each with a ref.", {"part": part}, None),
        (tab.click, "Click a part of the page and read what is there then.", {"ref": REF}, None),
        (tab.fill, "Put text into a field.", {"ref": REF, "text": text}, tab.may_fill),
        (
            tab.screenshot,
            "Take a picture of the whole page as a PNG file.",
            {"path": path},
            None,
        ),
        (tab.pdf, "Print the page to a PDF file.", {"path": path}, None),
    ]
    return [
        Tool(
            name=f"browser_{run.__name__}",
            description=description,
            properties=properties,
            optional=("part",) if "part" in properties else (),
            allow=allow,
            run=run,
            # It may have sent a form: after a crash nobody knows, and its page is gone.
            repeat="once" if run == tab.click else "idempotent",
        )
        for run, description, properties, allow in steps
    ]


class Tab:
    """The page a job looks at. Nothing is started before the first `open`."""

    def __init__(self, context: "Context") -> None:
        self._context = context
        self._browser: BrowserContext | None = None
        self._pages: list[Page] = []
        self._doing: set[asyncio.Task[None]] = set()
        self._before: Remembered | None = None  # of the attempt that waited
        self._asked_before = False
        self._notes: list[str] = []  # what the page did beside being a page; its words, not ours

    async def open(self, given: Input) -> str:
        """Go there and read."""
        heard = await heard_so_far(self._context.queue, self._context.job)
        url = heard.check(str(given["url"]), self._context.settings.secrets)
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        try:
            await self._context.outgoing.addresses(parts.hostname or "", port)
        except (NotAllowed, NotReached) as error:
            raise ToolFailed(str(error)) from error
        async with _in_words():
            page = await self._page(new=True)
            await page.goto(url, timeout=PAGE_S * 1_000, wait_until="domcontentloaded")
        return await self._shown()

    async def read(self, given: Input) -> str:
        """What is there now."""
        await self._opened_anew()
        return await self._shown(int(given.get("part", 1)))

    async def click(self, given: Input) -> str:
        """Click and read."""
        async with _in_words():
            await (await self._at(given)).click(timeout=ACT_S * 1_000)
        return await self._shown()

    async def may_fill(self, given: Input) -> None:
        """Are these the user's words, or did the user allow them for this site before?"""
        text = str(given["text"])
        if len(text) > TYPED_CHARS_MAX or carries(text, self._context.settings.secrets):
            raise ToolFailed("This text is too long or carries a secret: it is not typed.")
        site = _site(await self._page())
        heard = await heard_so_far(self._context.queue, self._context.job)
        if heard.said(text) or (site, text) in heard.typed:
            return
        await need_approval(self._context.queue, self._context.job, None, f"{site} ← {text}")

    async def fill(self, given: Input) -> str:
        """Put text into a field."""
        async with _in_words():
            await (await self._at(given)).fill(str(given["text"]), timeout=ACT_S * 1_000)
        return f"{TYPED_AT}{_site(await self._page())}."

    async def screenshot(self, given: Input) -> str:
        """A picture of all of it."""
        async with _in_words():
            page = await self._page()
            data = await page.screenshot(full_page=True, timeout=PAGE_S * 1_000)
        return await self._kept(str(given["path"]), data)

    async def pdf(self, given: Input) -> str:
        """The page on paper."""
        async with _in_words(), asyncio.timeout(PAGE_S):
            data = await (await self._page()).pdf(print_background=True)
        return await self._kept(str(given["path"]), data)

    async def _kept(self, path: str, data: bytes) -> str:
        await asyncio.to_thread(self._context.workspace.write, path, data)
        return f"Wrote {path} ({len(data):,} bytes)."

    async def _at(self, given: Input) -> Any:
        ref = str(given["ref"])
        if not re.fullmatch(r"[a-z0-9]{1,12}", ref):
            raise ToolFailed("ref must be as in the last reading, such as e12.")
        return (await self._page()).locator(f"aria-ref={ref}")

    async def _page(self, *, new: bool = False) -> "Page":
        """The page that was opened last. Raises: ToolFailed when there is none."""
        open_pages = [page for page in self._pages if not page.is_closed()]
        if open_pages:
            return open_pages[-1]
        if not new:
            if await self._opened_anew():
                raise ToolFailed(ANEW)
            raise ToolFailed(
                "No page is open: the browser begins anew after a restart of the job, so open the "
                "page again."
            )
        await self._look_back()
        if self._browser is None or not _is_connected(self._browser):
            proxy = await self._context.closing.enter_async_context(
                BrowserProxy(self._context.outgoing, f"Job {self._context.job.id}")
            )
            self._browser = await self._context.closing.enter_async_context(
                self._context.chromium.context(
                    proxy.address, self._before.state if self._before else None
                )
            )
            self._browser.on("page", self._opened)
            self._context.closing.push_async_exit(self._leave)
        return await asyncio.wait_for(self._browser.new_page(), PAGE_S)

    async def _look_back(self) -> None:
        """What the attempt that waited has kept, if this is the one that goes on."""
        if not self._asked_before:
            self._asked_before = True
            kept_in = self._context.settings.jobs_dir
            self._before = await asyncio.to_thread(taken, kept_in, self._context.job.id)

    async def _opened_anew(self) -> bool:
        """Open the page that was open before the wait; False when one is, or none was."""
        if any(not page.is_closed() for page in self._pages) or self._asked_before:
            return False
        await self._look_back()
        if self._before is None or urlsplit(self._before.url).scheme not in ("http", "https"):
            return False
        async with _in_words():
            page = await self._page(new=True)
            await page.goto(self._before.url, timeout=PAGE_S * 1_000, wait_until="domcontentloaded")
        self._note(ANEW)
        return True

    async def _leave(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        """Before a wait: keep what the browser remembers, and where it is."""
        from playwright.async_api import Error

        browser = self._browser
        if not isinstance(error, JobWaits) or browser is None or not _is_connected(browser):
            return
        with suppress(Error, TimeoutError, OSError):
            state = await asyncio.wait_for(browser.storage_state(), KEEP_S)
            open_pages = [page for page in self._pages if not page.is_closed()]
            found = Remembered(open_pages[-1].url if open_pages else "", dict(state))
            about = self._context
            await asyncio.to_thread(remember, about.settings.jobs_dir, about.job.id, found)

    def _opened(self, page: "Page") -> None:
        """Also a page that another one opened; it is the one to look at."""
        page.on("dialog", self._dialog)
        page.on("download", self._download)
        self._pages.append(page)
        if len(self._pages) > PAGES_MAX:
            self._soon(self._pages.pop(0).close())

    def _dialog(self, dialog: "Dialog") -> None:
        self._note(f"The page asked, and was told no: {dialog.message[:200]}")
        self._soon(dialog.dismiss())

    def _download(self, download: "Download") -> None:
        self._note(f"The page wanted to give a file; download_file fetches it: {download.url}")

    def _soon(self, doing: "Coroutine[Any, Any, None]") -> None:
        """From a handler that cannot wait; the page may be gone by then."""

        async def quietly() -> None:
            from playwright.async_api import Error

            with suppress(Error):
                await doing

        task = asyncio.create_task(quietly())
        self._doing.add(task)
        task.add_done_callback(self._doing.discard)

    def _note(self, text: str) -> None:
        self._notes = [*self._notes, text][-NOTES_MAX:]

    async def _shown(self, part: int = 1) -> str:
        """The page as text, when it has come to rest."""
        from playwright.async_api import Error

        page = await self._page()
        with suppress(Error):
            await page.wait_for_load_state("networkidle", timeout=SETTLE_S * 1_000)
        async with _in_words():
            page = await self._page()
            try:
                title = await asyncio.wait_for(page.title(), ACT_S)
            except TimeoutError:  # its scripts never let go: what is opened next needs another one
                self._pages = [other for other in self._pages if other is not page]
                self._soon(page.close())
                raise
            seen = await page.aria_snapshot(mode="ai", timeout=ACT_S * 1_000)
        base = page.url
        seen = _LINK.sub(lambda found: f"{found[1]}{_joined(base, found[2])}", seen)
        parts = [seen[at : at + PART_CHARS] for at in range(0, len(seen), PART_CHARS)] or [""]
        if not 1 <= part <= len(parts):
            raise ToolFailed(f"The page has {len(parts)} parts: part must be 1 to {len(parts)}.")
        lines = [f"Title: {title[:200]}", *self._notes]
        if len(parts) > 1:
            lines.append(f"(Part {part} of {len(parts)}.)")
        self._notes = []
        return wrapped("\n".join([*lines, parts[part - 1]]), base)


@asynccontextmanager
async def _in_words() -> AsyncIterator[None]:
    """What the browser cannot do, without a word of the page."""
    from playwright.async_api import Error
    from playwright.async_api import TimeoutError as TooSlow

    try:
        yield
    except (TooSlow, TimeoutError) as error:
        raise ToolFailed(
            "That took too long, or there is no such part of the page any more: read it again."
        ) from error
    except Error as error:
        found = _NET_ERROR.search(str(error))
        why = f" ({found[1]})" if found else ""
        raise ToolFailed(f"The browser could not do that{why}: read the page again.") from error


def _is_connected(context: "BrowserContext") -> bool:
    """False when the browser has crashed, which a page can bring about, or the system's memory."""
    return context.browser is not None and context.browser.is_connected()


def _joined(base: str, link: str) -> str:
    """A link as a whole address; what is none stays as the page has it."""
    try:
        return urljoin(base, link)
    except ValueError:
        return link


def _site(page: "Page") -> str:
    parts = urlsplit(page.url)
    return f"{parts.scheme}://{parts.netloc}"

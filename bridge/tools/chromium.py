"""The browser of a worker process: one, running only while a job uses it.

It is run as an unprivileged user with its own sandbox on; a worker that is root starts it as
nobody. It gets no secret, no folder of ours and no way out but the proxy of each job.
"""

import asyncio
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bridge.agent.tool import ToolFailed
from bridge.settings import harmless_environment

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext, Playwright

NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
START_S: Final = 60.0
CLOSE_S: Final = 4.0  # then it is killed: a worker that drains has ten seconds
SIZE: Final = (1280, 900)
HOME: Final = "kitt-browser-"  # begins the name of its folder; the process that made it follows
FLAGS: Final = (
    "--headless",
    "--remote-debugging-pipe",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-breakpad",
    "--disable-client-side-phishing-detection",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-dev-shm-usage",
    "--disable-domain-reliability",
    "--disable-extensions",
    "--disable-features=AutofillServerCommunication",  # would tell which forms a page has
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--hide-scrollbars",
    "--mute-audio",
    "--no-pings",
    "--password-store=basic",
    # Nothing leads anywhere but through the proxy of a job, which alone resolves names.
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    "--proxy-server=http://127.0.0.1:1",
    "--proxy-bypass-list=<-loopback>",
)
# Its packets would go past every proxy.
NO_WEBRTC: Final = """
for (const name of ["RTCPeerConnection", "webkitRTCPeerConnection", "RTCDataChannel"]) {
  delete window[name];
}
"""


def program() -> str | None:
    """The browser of this machine."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def can_browse() -> bool:
    """Is there a browser, and the extra that drives it?"""
    return program() is not None and importlib.util.find_spec("playwright") is not None


@cache
def missing_for_sandbox() -> str:
    """What keeps the browser from a sandbox of its own; empty when nothing does. Tried once."""
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        return "install setpriv (util-linux), as it does not run as root"
    unshare = shutil.which("unshare")
    if unshare is None:
        return ""
    command = [*_as_nobody(), unshare, "--user", "true"]
    if subprocess.run(command, capture_output=True, check=False).returncode:  # noqa: S603
        return (
            "allow user namespaces (in a container: its seccomp profile), which its sandbox needs"
        )
    return ""


class Chromium:
    """Starts with the first job that opens a page and ends with the last one that had any."""

    def __init__(self, *, sandbox: bool = True) -> None:
        self._sandbox = sandbox
        self._users = 0
        self._started: asyncio.Task[tuple[Playwright, Browser, Path]] | None = None
        self._crashed: list[asyncio.Task[tuple[Playwright, Browser, Path]]] = []

    @asynccontextmanager
    async def context(
        self, proxy: str, past: dict[str, Any] | None = None
    ) -> "AsyncIterator[BrowserContext]":
        """A browser for one job, without a past but what it kept itself while it waited.

        Raises: ToolFailed when it does not start.
        """
        self._users += 1
        try:
            browser, home = await self._alive()
            async with _or_killed(home, START_S):
                context = await browser.new_context(
                    accept_downloads=False,
                    proxy={"server": proxy, "bypass": "<-loopback>"},
                    viewport={"width": SIZE[0], "height": SIZE[1]},
                    storage_state=past,  # type: ignore[arg-type]  # as the browser gave it
                )
                await context.add_init_script(NO_WEBRTC)
            try:
                yield context
            finally:
                await asyncio.shield(_closed(context.close(), home))
        finally:
            self._users -= 1
            if not self._users and self._started is not None:
                ended, self._crashed, self._started = [*self._crashed, self._started], [], None
                await asyncio.shield(asyncio.gather(*map(_stop, ended)))

    async def _alive(self) -> "tuple[Browser, Path]":
        """The one that runs; a new one when it has crashed, which is cleared away at the end."""
        if self._started is not None and not _lives(self._started):
            self._crashed.append(self._started)
            self._started = None
        if self._started is None:
            self._started = asyncio.create_task(self._start())
        return (await asyncio.shield(self._started))[1:]

    async def _start(self) -> "tuple[Playwright, Browser, Path]":
        from playwright.async_api import Error, async_playwright

        executable, *before = _command()
        await asyncio.to_thread(_clear_homes)
        home = Path(tempfile.mkdtemp(prefix=f"{HOME}{os.getpid()}-"))
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(home, nobody.pw_uid, nobody.pw_gid)
        playwright = await async_playwright().start()
        try:
            browser = await playwright.chromium.launch(
                executable_path=executable,
                ignore_default_args=True,
                args=[
                    *before,
                    *FLAGS,
                    *([] if self._sandbox else ["--no-sandbox"]),
                    f"--user-data-dir={home}",
                    "about:blank",
                ],
                env={**harmless_environment(), "HOME": str(home), "TMPDIR": str(home)},
                timeout=START_S * 1_000,
            )
        except Error as error:
            await playwright.stop()
            shutil.rmtree(home, ignore_errors=True)
            raise ToolFailed(
                "The browser does not start here: go on without it, and tell the user that "
                "`kitt doctor` says more."
            ) from error
        return playwright, browser, home


def _command() -> list[str]:
    """What is started: never a browser with the rights of root."""
    path = program()
    if path is None:
        raise ToolFailed("There is no browser on this machine: go on without it.")
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        raise ToolFailed("The browser does not run as root, and there is no setpriv to change it.")
    return [*_as_nobody(), path]


def _clear_homes() -> None:
    """Remove what browsers of killed workers left behind."""
    for home in Path(tempfile.gettempdir()).glob(f"{HOME}[0-9]*-*"):
        pid = home.name.removeprefix(HOME).partition("-")[0]
        if not Path(f"/proc/{pid}").exists():
            _kill(home)
            shutil.rmtree(home, ignore_errors=True)


def _as_nobody() -> list[str]:
    """What begins a command that must not have the rights of root."""
    if os.geteuid() != 0:
        return []
    nobody = pwd.getpwnam("nobody")
    who = [f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]
    less = ["--inh-caps=-all", "--bounding-set=-all", "--no-new-privs", "--pdeathsig=KILL"]
    return [shutil.which("setpriv") or "setpriv", *who, *less, "--"]


def _lives(started: "asyncio.Task[tuple[Playwright, Browser, Path]]") -> bool:
    if not started.done():
        return True
    failed = started.cancelled() or started.exception() is not None
    return not failed and started.result()[1].is_connected()


async def _stop(started: "asyncio.Task[tuple[Playwright, Browser, Path]]") -> None:
    try:
        playwright, browser, home = await started
    except ToolFailed:
        return
    await _closed(browser.close(), home)
    await _closed(playwright.stop(), home)
    await asyncio.to_thread(_kill, home)
    await asyncio.to_thread(shutil.rmtree, home, ignore_errors=True)


async def _closed(closing: "Awaitable[None]", home: Path) -> None:
    """Close what may have crashed already, or be frozen."""
    from playwright.async_api import Error

    with suppress(Error, TimeoutError):
        async with _or_killed(home, CLOSE_S):
            await closing


@asynccontextmanager
async def _or_killed(home: Path, seconds: float) -> AsyncIterator[None]:
    """A browser that does not answer within this is of no use to any job. Raises: TimeoutError."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        await asyncio.to_thread(_kill, home)
        raise


def _kill(home: Path) -> None:
    """End the browser that has this home: it may be stopped, and then hears nothing else."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if os.fsencode(home) in (process / "cmdline").read_bytes():
                os.killpg(os.getpgid(int(process.name)), signal.SIGKILL)

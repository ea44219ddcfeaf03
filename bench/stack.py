"""The system under test: `kitt up` against the emulators, and a bare bot as the control.

The emulators live in the bench's own process; bridge, workers and supervisord are the real
processes. The control is a python-telegram-bot echo handler in a process of its own, on its own
emulated server, asked in turn with KITT so that both see the same machine.
"""

import asyncio
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bridge.emulator.claude import ClaudeEmulator
from bridge.emulator.telegram import DEMO_BOT, TelegramEmulator

SETTINGS = ("KITT_", "TELEGRAM_", "ANTHROPIC_")


@dataclass(slots=True)
class Stack:
    """A running KITT; `pids` are supervisord and everything it started."""

    telegram: TelegramEmulator
    claude: ClaudeEmulator
    profile: Path
    environ: dict[str, str]
    python: str = sys.executable
    process: asyncio.subprocess.Process | None = None

    async def up(self) -> float:
        """Start; seconds until the first getUpdates arrives."""
        seen = len(self.telegram.calls("getUpdates"))
        started = time.perf_counter()
        self.process = await asyncio.create_subprocess_exec(
            self.python,
            "-m",
            "bridge",
            "up",
            env=self.environ,
            cwd=self.profile.parent,
            start_new_session=True,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        await self.telegram.wait_for(
            lambda e: len(e.calls("getUpdates")) > seen or None, timeout_s=60
        )
        return time.perf_counter() - started

    async def down(self) -> None:
        """Drain and end."""
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
            await self.process.wait()

    def pids(self) -> list[int]:
        """supervisord and its descendants."""
        assert self.process is not None
        return descendants(self.process.pid)


@asynccontextmanager
async def kitt(
    *,
    chats: int = 60,
    workers: int = 2,
    concurrency: int = 4,
    start: bool = True,
    python: str = sys.executable,
    environ: Mapping[str, str] | None = None,
    caches: bool = True,
) -> AsyncIterator[Stack]:
    """A stack on a fresh profile; chats 1 … `chats` may use it. `environ` is put above its own.

    `caches`: the emulated model has a prompt cache.
    """
    folder = Path(tempfile.mkdtemp(prefix="kitt-bench-"))
    telegram, claude = TelegramEmulator(), ClaudeEmulator(caches=caches)
    await telegram.start()
    await claude.start()
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(SETTINGS)}
    inherited.pop("PYTHONDONTWRITEBYTECODE", None)  # compiling at each start: 3 MB per process
    variables = {
        **inherited,
        "KITT_PROFILE": str(folder / "profile"),
        "KITT_OWNER": ",".join(str(chat) for chat in range(1, chats + 1)),
        "KITT_WORKERS": str(workers),
        "KITT_WORKER_CONCURRENCY": str(concurrency),
        "KITT_CHAT_CONCURRENCY": str(max(1, workers * concurrency)),  # one chat may have all
        "KITT_BUDGET_DAY": "1000",  # fifty requests at once hold more than is usual for a day
        "KITT_BUDGET_USER_DAY": "1000",
        "TELEGRAM_BOT_TOKEN": DEMO_BOT,
        "TELEGRAM_BASE_URL": telegram.base_url,
        "TELEGRAM_BASE_FILE_URL": telegram.base_file_url,
        "ANTHROPIC_API_KEY": claude.key,
        "ANTHROPIC_BASE_URL": claude.base_url,
        **(environ or {}),
    }
    stack = Stack(telegram, claude, folder / "profile", variables, python)
    try:
        if start:
            await stack.up()
        yield stack
    finally:
        await stack.down()
        await telegram.stop()
        await claude.stop()
        shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def echo() -> AsyncIterator[TelegramEmulator]:
    """The control: a bare python-telegram-bot handler that sends back what it gets."""
    telegram = TelegramEmulator()
    await telegram.start()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bench.echo",
        telegram.base_url,
        env={**os.environ, "TELEGRAM_BOT_TOKEN": DEMO_BOT},
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await telegram.wait_for(lambda e: e.calls("getUpdates") or None, timeout_s=60)
        yield telegram
    finally:
        process.terminate()
        await process.wait()
        await telegram.stop()


def descendants(pid: int) -> list[int]:
    """A process and everything below it."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid] + [below for child in children for below in descendants(int(child))]

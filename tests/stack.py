"""`kitt up` as a user runs it, against both emulators: real processes that tests may kill.

The emulators live in the test's own process, so every call and every request can be read and
disturbed. Everything that was started carries the profile's path in its environment; `close` ends
what is still there by its pid.
"""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

from fakes import shell
from waiting import until

from bridge.emulator.claude import ClaudeEmulator
from bridge.emulator.claude_log import Record
from bridge.emulator.telegram import DEMO_BOT, TelegramEmulator
from bridge.settings import Settings
from bridge.supervision_status import call

OURS: Final = ("KITT_", "TELEGRAM_", "ANTHROPIC_")
PATIENCE_S: Final = 40.0  # of a slow machine; a quiet one needs a tenth


class Stack:
    """One profile, both emulators, and the processes that `up` starts."""

    def __init__(self, folder: Path, *, chats: int, workers: int, concurrency: int) -> None:
        self.folder = folder
        self.profile = folder / "profile"
        self.database = self.profile / "memory" / "kitt.db"
        self.telegram = TelegramEmulator()
        self.claude = ClaudeEmulator()
        self._chats, self._workers, self._concurrency = chats, workers, concurrency
        self._process: asyncio.subprocess.Process | None = None

    @property
    def environ(self) -> dict[str, str]:
        """The environment of every process of this stack."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(OURS)}
        return {
            **inherited,
            "KITT_PROFILE": str(self.profile),
            "KITT_OWNER": ",".join(str(chat) for chat in range(1, self._chats + 1)),
            "KITT_WORKERS": str(self._workers),
            "KITT_WORKER_CONCURRENCY": str(self._concurrency),
            "TELEGRAM_BOT_TOKEN": DEMO_BOT,
            "TELEGRAM_BASE_URL": self.telegram.base_url,
            "TELEGRAM_BASE_FILE_URL": self.telegram.base_file_url,
            "ANTHROPIC_API_KEY": self.claude.key,
            "ANTHROPIC_BASE_URL": self.claude.base_url,
        }

    @property
    def settings(self) -> Settings:
        """The same as the processes have."""
        return Settings.load(self.environ, env_file=self.folder / "no.env")

    async def up(self) -> None:
        """`kitt up`; returns when the bridge waits for updates."""
        with (self.folder / "up.log").open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "bridge",
                "up",
                env=self.environ,
                cwd=self.folder,
                start_new_session=True,
                stdout=output,
                stderr=output,
            )
        await self.telegram.wait_for(lambda e: e.updates.polled, timeout_s=PATIENCE_S)

    async def down(self) -> int:
        """SIGTERM to supervisord, which drains everything; its exit code."""
        assert self._process is not None
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        return await self._process.wait()

    async def kill_supervisord(self) -> None:
        """SIGKILL: it can clean up nothing."""
        assert self._process is not None
        self._process.kill()
        await self._process.wait()

    async def kill(self, program: str) -> int:
        """SIGKILL a program (`kitt-bridge`, `kitt-worker-1`); the pid it had."""
        pid = await self.pid(program)
        os.kill(pid, signal.SIGKILL)
        return pid

    async def pid(self, program: str) -> int:
        """The pid of a program that runs."""
        info = await asyncio.to_thread(
            call, self.settings, "supervisor.getProcessInfo", f"{program}:{program}"
        )
        assert info["pid"], f"{program} is {info['statename']}"
        return int(info["pid"])

    async def bridge_is_back(self, old_pid: int) -> None:
        """Wait until another bridge waits for updates."""

        async def back() -> bool:
            info = await asyncio.to_thread(
                call, self.settings, "supervisor.getProcessInfo", "kitt-bridge:kitt-bridge"
            )
            return info["pid"] not in (0, old_pid)

        await until(back, PATIENCE_S)
        await self.telegram.wait_for(lambda e: e.updates.polled, timeout_s=PATIENCE_S)

    def processes(self) -> list[int]:
        """Every living process of this profile."""
        mark = f"KITT_PROFILE={self.profile}\0".encode()
        return [pid for pid in _pids() if _alive(pid) and mark in _environ_of(pid)]

    def sql(self, statement: str, **values: Any) -> list[dict[str, Any]]:
        """What a person types into the sqlite3 shell."""
        return shell(self.database, statement, **values)

    def jobs(self, status: str = "") -> list[dict[str, Any]]:
        """The rows of `jobs`, all or those that stand there."""
        return self.sql("SELECT * FROM jobs WHERE :s IN ('', status) ORDER BY id", s=status)

    async def said(self, chat: int, text: str, timeout_s: float = PATIENCE_S) -> str:
        """Wait for a message of the bot with this in its text; the whole text."""

        def look(emulator: TelegramEmulator) -> str | None:
            found = [m.text for m in emulator.messages(chat) if m.from_bot and text in m.text]
            return found[0] if found else None

        return await self.telegram.wait_for(look, timeout_s=timeout_s)

    async def asked(self, text: str, times: int = 1) -> list[Record]:
        """Wait until so many requests with this text have reached the model."""

        def look(records: Any) -> list[Record] | None:
            found = [record for record in records if text in str(record.body)]
            return found if len(found) >= times else None

        return await self.claude.wait_for(look, timeout_s=PATIENCE_S)

    async def settled(self, timeout_s: float = PATIENCE_S) -> None:
        """Wait until nothing is left to do: no update, no job, no delivery."""
        open_rows = """
            SELECT (SELECT count(*) FROM inbox WHERE state = 'new')
                 + (SELECT count(*) FROM jobs WHERE status NOT IN ('done','failed','cancelled'))
                 + (SELECT count(*) FROM deliveries WHERE status IN ('ready','sending')) AS n"""
        await until(lambda: self.sql(open_rows)[0]["n"] == 0, timeout_s)

    async def close(self) -> None:
        """End whatever is still there, by its pid."""
        self.telegram.faults.clear()
        self.claude.clear_faults()
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await until(lambda: not self.processes())
        await self.telegram.stop()
        await self.claude.stop()


@asynccontextmanager
async def running(
    folder: Path, *, chats: int = 1, workers: int = 1, concurrency: int = 4
) -> AsyncIterator[Stack]:
    """A stack on a fresh profile that is up; chats 1 … `chats` may use it."""
    stack = Stack(folder, chats=chats, workers=workers, concurrency=concurrency)
    async with started(stack):
        yield stack


@asynccontextmanager
async def started(stack: Stack) -> AsyncIterator[None]:
    """Bring it up; whatever happens, nothing of it is left."""
    await stack.telegram.start()
    await stack.claude.start()
    try:
        await stack.up()
        yield
    finally:
        await stack.close()


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _environ_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""

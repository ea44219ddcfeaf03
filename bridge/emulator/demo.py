"""`make demo`: the main job, with no account, no key and no network.

The bridge, two workers and supervisord are the real ones, on a real SQLite file, started by the
same `kitt up`; only Telegram and the model are emulated, over real HTTP on this machine. First it
plays one story and checks every step of it; then the chat page stays open until Ctrl-C.
"""

import asyncio
import os
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

from bridge.emulator.claude import ClaudeEmulator
from bridge.emulator.story import story
from bridge.emulator.telegram import DEMO_BOT, TelegramEmulator
from bridge.emulator.telegram_state import ChatMessage
from bridge.errors import KittError

T = TypeVar("T")
CHAT: Final = 1
UP_LOG: Final = "kitt-up.log"
PATIENCE_S: Final = 30.0
TASK: Final = "Compare three e-bikes under € 2,000 in the background"
SELECT: Final = "SELECT id, status, title, worker_id, attempt, started_at, completed_at FROM jobs"
NOTICE: Final = (
    "Demo: the bot, its queue and its workers are real; Telegram is emulated and the model is "
    "scripted, so its answers are canned."
)


class StoryFailed(KittError):
    """A step of the story did not happen."""


async def run(*, once: bool, port: int) -> int:
    """Play the story; then, unless `once`, keep the chat page open until Ctrl-C."""
    folder = Path(tempfile.mkdtemp(prefix="kitt-demo-"))
    telegram = TelegramEmulator(notice=NOTICE, page_chat_id=CHAT)
    claude = ClaudeEmulator(script=story(first_token_s=0.25, pace_s=0.01, worker_call_s=1.5))
    await _start_on(telegram, port)
    await claude.start()
    stopping = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stopping.set)
    kitt = await _start_kitt(folder, telegram, claude)
    try:
        playing = asyncio.create_task(Story(telegram, folder).play())
        await _first(playing, stopping, kitt, folder)
        if not once and not stopping.is_set():
            _tell(f"\nGo on chatting at {_bold(telegram.page_url)} – Ctrl-C ends the demo.")
            await _first(asyncio.create_task(stopping.wait()), stopping, kitt, folder)
    finally:
        _tell("\nEnding: workers finish or give back what they do …")
        with suppress(ProcessLookupError):
            kitt.terminate()
        await kitt.wait()
        await telegram.stop()
        await claude.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return 0


class Story:
    """One conversation, told in the terminal; every line that is shown was seen in the chat."""

    def __init__(self, telegram: TelegramEmulator, folder: Path) -> None:
        self._telegram = telegram
        self._folder = folder
        self._told: dict[int, str] = {}

    async def play(self) -> None:
        """Play it. Raises: StoryFailed at the first step that does not happen."""
        _tell(_bold("KITT – the story in one minute"))
        _tell("Real: bridge, two workers, supervisord, SQLite. Emulated: Telegram and the model.")
        _tell(f"The same chat in a browser: {_bold(self._telegram.page_url)}\n")
        await self._see("the bridge listens", lambda e: e.calls("getUpdates"))
        await self._ask("Hello!", "an answer")
        _tell(_dim("\n  … now something long:"))
        card = await self._ask(TASK, "an acknowledgement with a job number", has="#1")
        _tell(_dim("\n  … the worker has it; the chat goes on:"))
        await self._see("the job runs", lambda _e: self._job()["status"] == "running")
        await self._ask("What is 17 * 23?", "an answer while the job runs", has="391")
        if self._job()["status"] != "running":
            raise StoryFailed("The answer came only after the job had ended.")
        await self._see("progress on the card", lambda _e: self._progress(card.message_id))
        result = await self._see("the result", self._result)
        self._show(result, lines=9)
        file = await self._see("a file with it", lambda e: self._file(e))
        _tell(f"  {_bold('KITT')}  📎 {file}")
        _tell(_dim("\n  … and the chat knows what the job found:"))
        await self._ask("What about the second one?", "an answer about the result", has="Cortina")
        self._select()

    async def _ask(self, text: str, what: str, *, has: str = "") -> ChatMessage:
        """Say something and wait for the first message of the bot after it."""
        _tell(f"  {_bold('You')}   {text}")
        started = time.perf_counter()
        sent = int(self._telegram.send(CHAT, text, first_name="Anna")["message_id"])

        def answer(emulator: TelegramEmulator) -> ChatMessage | None:
            for message in emulator.messages(CHAT):
                whole = not message.text.endswith("▌") and has in message.text
                if message.from_bot and message.message_id > sent and whole:
                    return message
            return None

        message = await self._see(what, answer)
        self._show(message, lines=4, after_s=time.perf_counter() - started)
        return message

    async def _see(self, what: str, look: Callable[[TelegramEmulator], T | None]) -> T:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            with suppress(TimeoutError):  # what is in the database changes without a call
                return await self._telegram.wait_for(look, timeout_s=0.2)
        raise StoryFailed(f"This did not happen within {PATIENCE_S:.0f} s: {what}.")

    def _show(self, message: ChatMessage, *, lines: int, after_s: float | None = None) -> None:
        text = [line for line in message.text.split("\n") if line.strip()]
        shown = text[:lines] + ([f"… ({len(text) - lines} more lines)"] if text[lines:] else [])
        took = _dim(f"  ({after_s:.2f} s)") if after_s is not None else ""
        _tell(f"  {_bold('KITT')}  {shown[0]}{took}")
        for line in shown[1:]:
            _tell(f"        {line}")

    def _progress(self, message_id: int) -> bool:
        """Tell each new face of the card; True once it has shown progress and has ended."""
        card = next(m for m in self._telegram.messages(CHAT) if m.message_id == message_id)
        bar = next((line for line in card.text.split("\n") if "▰" in line), "")
        if bar and bar not in self._told.values():
            self._told[len(self._told)] = bar
            step = next((line for line in card.text.split("\n") if "⚙" in line), "")
            _tell(f"  {_bold('card')}  {bar}  {step}")
        return bool(self._told) and "✅" in card.text

    def _result(self, emulator: TelegramEmulator) -> ChatMessage | None:
        messages = emulator.messages(CHAT)
        return next((m for m in messages if m.from_bot and "Cortina" in m.text), None)

    def _file(self, emulator: TelegramEmulator) -> str | None:
        files = [m.document.name for m in emulator.messages(CHAT) if m.document is not None]
        return files[0] if files else None

    def _job(self) -> sqlite3.Row:
        with _database(self._folder) as connection:
            row = connection.execute("SELECT * FROM jobs WHERE id = 1").fetchone()
        if row is None:
            raise StoryFailed("There is no row in jobs.")
        return row  # type: ignore[no-any-return]

    def _select(self) -> None:
        _tell(f'\n  {_bold("$")} sqlite3 profile/memory/kitt.db "{SELECT}"')
        with _database(self._folder) as connection:
            for row in connection.execute(SELECT):
                _tell("  " + "|".join(str(value) for value in row))


async def _start_on(telegram: TelegramEmulator, port: int) -> None:
    try:
        await telegram.start(port=port)
    except OSError:
        await telegram.start(port=0)


async def _start_kitt(
    folder: Path, telegram: TelegramEmulator, claude: ClaudeEmulator
) -> asyncio.subprocess.Process:
    """`kitt up`, in a session of its own so that Ctrl-C comes to us first."""
    profile = folder / "profile"
    persona = Path("profile/KITT.md")
    profile.mkdir(mode=0o700)
    if persona.is_file():  # noqa: ASYNC240 - once, at start
        shutil.copy(persona, profile)
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(_SETTINGS)
    }
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bridge",
        "up",
        cwd=folder,
        start_new_session=True,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=os.open(folder / UP_LOG, os.O_WRONLY | os.O_CREAT, 0o600),
        env={
            **inherited,
            "KITT_PROFILE": str(profile),
            "KITT_OWNER": str(CHAT),
            "TELEGRAM_BOT_TOKEN": DEMO_BOT,
            "TELEGRAM_BASE_URL": telegram.base_url,
            "TELEGRAM_BASE_FILE_URL": telegram.base_file_url,
            "ANTHROPIC_API_KEY": claude.key,
            "ANTHROPIC_BASE_URL": claude.base_url,
        },
    )


_SETTINGS: Final = ("KITT_", "TELEGRAM_", "ANTHROPIC_")


async def _first(
    task: asyncio.Task[T],
    stopping: asyncio.Event,
    kitt: asyncio.subprocess.Process,
    folder: Path,
) -> None:
    """Wait for the task, for Ctrl-C, or for KITT to end by itself, which it must not."""
    stopped = asyncio.create_task(stopping.wait())
    ended = asyncio.create_task(kitt.wait())
    await asyncio.wait({task, stopped, ended}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if task.done():
        ended.cancel()
        task.result()
        return
    task.cancel()
    if ended.done() and not stopping.is_set():
        raise StoryFailed(
            f"`kitt up` ended by itself with exit code {kitt.returncode}: {_last_line(folder)}"
        )
    ended.cancel()


def _last_line(folder: Path) -> str:
    """What `kitt up` said last."""
    lines = (folder / UP_LOG).read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing."


def _database(folder: Path) -> sqlite3.Connection:
    path = folder / "profile" / "memory" / "kitt.db"
    connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
    connection.row_factory = sqlite3.Row
    return connection


def _tell(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _bold(text: str) -> str:
    return f"\x1b[1m{text}\x1b[0m" if sys.stdout.isatty() else text


def _dim(text: str) -> str:
    return f"\x1b[2m{text}\x1b[0m" if sys.stdout.isatty() else text

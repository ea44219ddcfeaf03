"""Where the pictures of the chat are played: `kitt up` against both emulators.

The bridge, the worker and supervisord are the real ones; people and the model follow a script. Each
scene has a chat of its own, and every person is an owner.
"""

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from picture_browser import Browser

from bridge.emulator.claude import ClaudeEmulator
from bridge.emulator.script import Block, Reply, Request, Script, ToolUse
from bridge.emulator.telegram import DEMO_BOT, TelegramEmulator
from bridge.emulator.telegram_state import ChatMessage

PICTURES: Final = Path(__file__).parent / "pictures"
ZONE: Final = "Europe/Amsterdam"
PATIENCE_S: Final = 120.0
OURS: Final = ("KITT_", "TELEGRAM_", "ANTHROPIC_")
T = TypeVar("T")
CURSOR: Final = "▌"


@dataclass(frozen=True, slots=True)
class Step:
    """One move of a worker: what it says or calls, after so many seconds, and how slowly."""

    blocks: Sequence[Block]
    after_s: float = 0.0
    pace_s: float = 0.0  # before each few characters


@dataclass(frozen=True, slots=True)
class Declined(Step):
    """The model will not do it."""

    why: str = ""


@dataclass(frozen=True, slots=True)
class Task:
    """A job the model starts when a person writes `text`."""

    text: str
    title: str
    acknowledgement: str
    steps: Sequence[Step]
    kind: str = "research"


@dataclass
class Model:
    """What the scripted model knows: answers and tasks, by what people write."""

    answers: dict[str, Reply] = field(default_factory=dict)
    tasks: dict[str, Task] = field(default_factory=dict)

    def reply(self, request: Request) -> Reply | None:
        """As a rule of the emulator's script."""
        if request.is_worker:
            return self._work(request)
        said = request.last_user_text
        for text, answer in self.answers.items():
            if text in said:
                return answer
        task = next((task for text, task in self.tasks.items() if text in said), None)
        return Reply([_start(task)]) if task is not None else None

    def _work(self, request: Request) -> Reply | None:
        order = request.first_user_text
        task = next((task for text, task in self.tasks.items() if text in order), None)
        if task is None:
            return None
        moves = sum(message["role"] == "assistant" for message in request.messages)
        step = task.steps[min(moves, len(task.steps) - 1)]
        if isinstance(step, Declined):
            details = {"type": "refusal", "category": "fraud", "explanation": step.why}
            return Reply([], "refusal", step.after_s, stop_details=details)
        blocks = [_fitting(request, block) for block in step.blocks]
        return Reply(blocks, None, step.after_s, step.pace_s)


def _fitting(request: Request, block: Block) -> Block:
    """A call with no more than the tool takes."""
    if not isinstance(block, ToolUse):
        return block
    takes = request.tools[block.name]["input_schema"]["properties"]
    return ToolUse(block.name, {k: v for k, v in block.input.items() if k in takes})


def _start(task: Task) -> ToolUse:
    return ToolUse(
        "start_background_job",
        {
            "acknowledgement": task.acknowledgement,
            "title": task.title,
            "instructions": task.text,
            "kind": task.kind,
            "priority": "normal",
        },
    )


class Stage:
    """Everything that runs while pictures are made."""

    def __init__(self, folder: Path, browser: Browser) -> None:
        self.folder = folder
        self.model = Model()
        self.telegram = TelegramEmulator(notice="", topics_enabled=True)
        self.claude = ClaudeEmulator(script=Script([self.model.reply]))
        self.browser = browser
        self._chats = 0
        self._up: asyncio.subprocess.Process | None = None

    def chat(self, language: str) -> "Chat":
        """A private chat with somebody new."""
        self._chats += 1
        return Chat(self, self._chats, language)

    def environ(self, owners: int) -> dict[str, str]:
        """Of `kitt up`."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(OURS)}
        return {
            **inherited,
            "KITT_PROFILE": str(self.folder / "profile"),
            "KITT_OWNER": ",".join(str(number + 1) for number in range(owners)),
            "KITT_WORKERS": "1",
            "KITT_WORKER_CONCURRENCY": "64",
            "KITT_CHAT_CONCURRENCY": "2",
            "KITT_ZONE": ZONE,
            "KITT_TRANSCRIBER": "cat {file}",  # what is in the file is what is said in it
            "TELEGRAM_BOT_TOKEN": DEMO_BOT,
            "TELEGRAM_BASE_URL": self.telegram.base_url,
            "TELEGRAM_BASE_FILE_URL": self.telegram.base_file_url,
            "ANTHROPIC_API_KEY": self.claude.key,
            "ANTHROPIC_BASE_URL": self.claude.base_url,
        }

    async def up(self, owners: int) -> None:
        """`kitt up`, until the bridge waits for updates; people 1 … `owners` own it."""
        await self.telegram.start()
        await self.claude.start()
        ours = Path(__file__).parents[1] / "profile" / "personas"
        shutil.copytree(ours, self.folder / "profile" / "personas")
        with (self.folder / "up.log").open("ab") as output:
            self._up = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "bridge", "up"),
                env=self.environ(owners),
                cwd=self.folder,
                start_new_session=True,
                stdout=output,
                stderr=output,
            )
        await self.telegram.wait_for(lambda e: e.updates.polled, timeout_s=PATIENCE_S)

    async def close(self) -> None:
        """End all of it, in good order if it goes quickly."""
        self.telegram.faults.clear()
        self.claude.clear_faults()
        if self._up is not None and self._up.returncode is None:
            self._up.terminate()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._up.wait(), 10)
        for pid in self._processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await self.telegram.stop()
        await self.claude.stop()

    def kill_worker(self) -> None:
        """SIGKILL, as a power cut does it to one process."""
        for pid in self._processes():
            if b"\0worker\0" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)

    def _processes(self) -> list[int]:
        """What runs with our profile."""
        mark = f"KITT_PROFILE={self.folder / 'profile'}\0".encode()
        found = []
        for entry in Path("/proc").iterdir():
            with suppress(OSError):
                if entry.name.isdigit() and mark in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
        return found


@asynccontextmanager
async def stage(folder: Path, browser: Browser, owners: int) -> AsyncIterator[Stage]:
    """A stage that is up."""
    made = Stage(folder, browser)
    try:
        await made.up(owners)
        yield made
    finally:
        await made.close()


class Chat:
    """A conversation with the bot, in one language."""

    def __init__(
        self, stage: Stage, user_id: int, language: str, chat_id: int | None = None
    ) -> None:
        self.stage = stage
        self.user_id = user_id
        self.chat_id = user_id if chat_id is None else chat_id
        self.language = language
        self.first: int | None = None

    def t(self, english: T, dutch: T) -> T:
        """The words of this chat's language."""
        return dutch if self.language == "nl" else english

    def say(self, text: str, **how: Any) -> int:
        """Write a message; its id. The picture begins with the first."""
        given = {"language": self.language, "first_name": "Anna", "user_id": self.user_id, **how}
        return self.began(self.stage.telegram.send(self.chat_id, text, **given)["message_id"])

    def began(self, message_id: int) -> int:
        """The picture begins here, unless it began before."""
        self.first = message_id if self.first is None else self.first
        return message_id

    def show(self, message: dict[str, Any]) -> int:
        """Take what a person sent otherwise than by `say` into the picture; its id."""
        return self.began(message["message_id"])

    @property
    def who(self) -> dict[str, Any]:
        """As whom a person sends."""
        return {"language": self.language, "first_name": "Anna"}

    def expect(self, text: str, answer: str | Reply) -> None:
        """What the model answers to `text`."""
        self.stage.model.answers[text] = Reply(answer) if isinstance(answer, str) else answer

    def expect_task(self, task: Task) -> None:
        """What the model does with `task.text`, and the worker after it."""
        self.stage.model.tasks[task.text] = task

    async def sees(
        self, fits: str | Callable[[ChatMessage], object], *, after: int = 0, whole: bool = True
    ) -> ChatMessage:
        """The newest message of the bot with these words, or that fits; by default a whole one."""

        def look(emulator: TelegramEmulator) -> ChatMessage | None:
            for message in reversed(emulator.messages(self.chat_id)):
                growing = whole and message.text.endswith(CURSOR)
                if not message.from_bot or growing or message.message_id <= after:
                    continue
                if fits in message.text if isinstance(fits, str) else fits(message):
                    return message
            return None

        try:
            return await self.stage.telegram.wait_for(look, timeout_s=PATIENCE_S)
        except TimeoutError:
            shown = [m.text for m in self.stage.telegram.messages(self.chat_id)]
            raise TimeoutError(f"{fits!r} is not in {shown}") from None

    async def ask(self, text: str, fits: str | Callable[[ChatMessage], object] = "") -> ChatMessage:
        """Say something and see the answer."""
        return await self.sees(fits, after=self.say(text))

    async def start(self, task: Task, fits: str | Callable[[ChatMessage], object]) -> ChatMessage:
        """Ask for a task and see its card so."""
        self.expect_task(task)
        return await self.ask(task.text, fits)

    def press(self, message: ChatMessage, label: str, **who: Any) -> None:
        """Tap the button whose label has this in it."""
        labels = [button["text"] for row in message.buttons for button in row]
        found = next((each for each in labels if label in each), label)
        given = {"language": self.language, "user_id": self.user_id, **who}
        self.stage.telegram.press(self.chat_id, message.message_id, found, **given)

    async def picture(
        self,
        scene: str,
        *,
        first: int | None = None,
        last: int | None = None,
        unfold: bool = False,
        **query: Any,
    ) -> None:
        """Photograph from `first` (what was said first) to `last` (the end)."""
        given = {"chat": self.chat_id, "user": self.user_id, "lang": self.language, "tz": ZONE}
        given |= {"theme": "light", "notice": "off", "width": 420, **query}
        address = f"{self.stage.telegram.page_url}?" + "&".join(
            f"{k}={v}" for k, v in given.items()
        )
        await self.stage.browser.photograph(
            address,
            PICTURES / f"{scene}-{self.language}.png",
            first=first or self.first or 0,
            last=last or 10**9,
            unfold=unfold,
        )

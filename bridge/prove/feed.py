"""What people write and what the model answers while everything is being killed.

Every thing that is fed has a number, its words carry it, and so does whatever must come of it. The
model's script reads the number from the request alone, so a request that is asked again after a
crash gets the same answer.
"""

import random
import re
from dataclasses import dataclass, field
from typing import Final

from bridge.emulator.script import Block, Reply, Request, Script, Text, Thinking, ToolUse
from bridge.emulator.story import story
from bridge.emulator.telegram import TelegramEmulator
from bridge.schedules import NewSchedule

CHATS: Final = 400  # a chat is used again only after so many others: Telegram limits each
SHAPES: Final = ("quick", "steps", "steps", "long", "pair", "question", "big", "file", "parts")
TICKS: Final = {1: 3, 2: 5, 3: 8}  # schedules, and every how many seconds each comes
WORDS: Final = "The tide comes in twice a day and nobody on the beach is surprised. "
TASK: Final = re.compile(r"task-(\d+) (\w+)")
WORK: Final = re.compile(r"(?:task|part|tick)-(\d+(?:-\d)?) (\w+)")  # also of parts and schedules
PART: Final = re.compile(r"result-(\d+-\d)")
CALL_S: Final = (0.01, 0.05)  # of model time


@dataclass(slots=True)
class Feed:
    """Writes to the bot; remembers what must come of it."""

    telegram: TelegramEmulator
    chance: random.Random
    asked: dict[int, int] = field(default_factory=dict)  # number -> chat
    tasks: dict[int, int] = field(default_factory=dict)
    messages: int = 0
    _number: int = 0

    def ask(self) -> None:
        """Someone asks something; now and then in two messages, or for a long answer."""
        chat = self._next_chat()
        word = "tell" if self.chance.random() < 0.15 else "ask"
        for _ in range(2 if self.chance.random() < 0.1 else 1):
            self._number += 1
            self.asked[self._number] = chat
            self._send(chat, f"{word}-{self._number}")

    def task(self) -> str:
        """Someone wants a job, by command or in words; the words."""
        chat, words = self.new_task()
        text = f"/bg {words}" if self.chance.random() < 0.6 else f"{words} in the background"
        self._send(chat, text)
        return text

    def new_task(self) -> tuple[int, str]:
        """A chat and the words of a job for it."""
        chat = self._next_chat()
        self._number += 1
        self.tasks[self._number] = chat
        return chat, f"task-{self._number} {self.chance.choice(SHAPES)}"

    def forget(self, words: str) -> None:
        """This job was refused."""
        if task := TASK.match(words):
            del self.tasks[int(task.group(1))]

    def ticks(self) -> list[NewSchedule]:
        """What recurs while everything is killed: for nobody, and for the last chat."""
        chats = dict.fromkeys(TICKS, "cli") | {max(TICKS): str(CHATS)}
        self.telegram.open_chat(CHATS)
        return [
            NewSchedule(chat_id=chats[number], prompt=f"tick-{number} quick", every_s=every_s)
            for number, every_s in TICKS.items()
        ]

    def cancel(self, chat: int, job_id: int) -> None:
        """Someone thinks better of it."""
        self._send(chat, f"/cancel {job_id}")

    def _send(self, chat: int, text: str) -> None:
        self.messages += 1
        self.telegram.send(chat, text)

    def _next_chat(self) -> int:
        return (self._number % CHATS) + 1


def script() -> Script:
    """The model: what follows from the words, and nothing else."""
    told = story()
    told.rules[:0] = [_work, _converse]
    return told


def _converse(request: Request) -> Reply | None:
    if request.is_worker:
        return None
    task = TASK.search(request.last_user_text)
    if task and request.can_call("start_background_job"):
        given = {"title": task.group(), "instructions": task.group(), "kind": "other"}
        given |= {"acknowledgement": f"Starting {task.group()}.", "priority": "normal"}
        return Reply([ToolUse("start_background_job", given)])
    roles = [message["role"] for message in request.messages]
    since = len(roles) - roles[::-1].index("assistant") if "assistant" in roles else 0
    asked = re.findall(r"(ask|tell)-(\d+)", str(request.messages[since:]))
    answers = " ".join(f"reply-{number}." for _, number in asked)
    if any(word == "tell" for word, _ in asked):
        return Reply(f"{WORDS}{WORDS}{answers}", first_token_s=0.05, pace_s=0.12)
    return Reply(answers, first_token_s=_call_s(asked[-1][1])) if asked else None


def _work(request: Request) -> Reply | None:
    task = WORK.search(request.first_user_text)
    if not request.is_worker or task is None:
        return None
    number, shape = task.groups()
    steps = _steps(number)[shape]
    done = sum(len(step) for step in steps)
    results = len(request.all_tool_results)
    wait_s = _call_s(f"{number}{results}")
    for step in steps:
        if results < len(step):
            return Reply([Thinking(f"Call {results}."), *step], first_token_s=wait_s)
        results -= len(step)
    length = {"big": 9_000, "file": 20_000}.get(shape, 0)
    joined = PART.findall(request.all_tool_results[-1].text) if shape == "parts" else []
    told = [f"result-{number}", *(f"joined-{part}" for part in joined)]
    text = f"{WORDS * (length // len(WORDS))}{' '.join(told)}"
    return Reply([Thinking(f"All {done} calls are made."), Text(text)], first_token_s=wait_s)


def _steps(number: str) -> dict[str, list[list[Block]]]:
    """The calls of each shape of job, one list for each reply."""

    def progress(percent: int) -> Block:
        return ToolUse("report_progress", {"step": f"at {percent}", "percent": percent})

    def write(path: str) -> Block:
        return ToolUse("write_file", {"path": path, "content": f"{number} {WORDS * 20}"})

    def part(which: int, shape: str) -> Block:
        words = f"part-{number}-{which}"
        given = {"title": words, "instructions": f"{words} {shape}", "kind": "other"}
        return ToolUse("start_background_job", given)

    attach = ToolUse("attach_file", {"path": "report.md", "caption": f"report-{number}"})
    read = ToolUse("read_file", {"path": "report.md"})
    return {
        "quick": [],
        "big": [],
        "file": [[progress(50)]],
        "steps": [[progress(30)], [write("report.md")], [attach]],
        "question": [
            [progress(20)],
            [ToolUse("ask_user", {"question": f"Which colour for {number}?"})],
            [write("report.md"), attach],
        ],
        "parts": [[part(1, "quick"), part(2, "steps")], [ToolUse("wait_for_jobs", {})]],
        "pair": [[write("report.md"), write("notes.md"), progress(40)], [read, attach]],
        "long": [
            [progress(10)],
            [write("notes.md")],
            [progress(40)],
            [write("report.md")],
            [read],
            [attach],
            [progress(90)],
        ],
    }


def _call_s(what: str) -> float:
    return random.Random(what).uniform(*CALL_S)  # noqa: S311 - no secret

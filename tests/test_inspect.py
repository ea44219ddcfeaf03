"""docs/inspect.md: every command on the page returns the rows that the page shows under it."""

import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from fakes import START, FakeClock, OpenStore, shell

from bridge import schedules
from bridge.clock import Clock, stamp
from bridge.line import Claimant
from bridge.models import Job, JobStatus, NewJob
from bridge.prices import Usage
from bridge.queue import Queue
from bridge.schedules import NewSchedule
from bridge.store import Tx
from bridge.usage import account

PAGE: Final = Path(__file__).parent.parent / "docs" / "inspect.md"
DATABASE: Final = "profile/memory/kitt.db"
EXAMPLE: Final = re.compile(r"^```sh\n(.*?)^```\n\n```text\n(.*?)^```", re.M | re.S)
TIME: Final = re.compile(r"\d{4}-\d\d-\d\d( \d\d:\d\d:\d\d(\.\d+)?)?")
SECONDS: Final = re.compile(r"-?\d+\.\d")
WORKER: Final = Claimant(worker_id="worker-1:4711:5f3a9c10")
Rows = list[list[str]]
Run = Callable[["Example", Path], Rows]


@dataclass(frozen=True, slots=True)
class Example:
    """A command of the page and the rows below it; the first row is the names of the columns."""

    command: list[str]
    rows: Rows


def examples() -> list[Example]:
    found = EXAMPLE.findall(PAGE.read_text(encoding="utf-8"))
    return [Example(shlex.split(command), boxed(rows)) for command, rows in found]


def boxed(text: str) -> Rows:
    """The cells of what `sqlite3 -box` prints."""
    lines = [line for line in text.splitlines() if line.startswith("│")]
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in lines]


def by_shell(example: Example, database: Path) -> Rows:
    command = [str(database) if word == DATABASE else word for word in example.command]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stderr) == (0, "")
    return boxed(done.stdout)


def by_python(example: Example, database: Path) -> Rows:
    """For machines without the sqlite3 shell: the last word is the statement."""
    rows = shell(database, example.command[-1])
    cells = [["" if value is None else str(value) for value in row.values()] for row in rows]
    return [list(rows[0]), *cells] if rows else []


def alike(rows: Rows) -> Rows:
    """Times and lengths of time differ from run to run; that there is one does not."""
    names = rows[0] if rows else []

    def cell(name: str, text: str) -> str:
        return SECONDS.sub("s", text) if name.endswith("_s") else TIME.sub("time", text)

    return [names, *([cell(n, t) for n, t in zip(names, row, strict=True)] for row in rows[1:])]


class Office:
    """A queue with an afternoon behind it; its clock ends at about the present."""

    def __init__(self, queue: Queue, clock: FakeClock) -> None:
        self.queue = queue
        self.clock = clock

    async def claimed(self, prompt: str, **changes: Any) -> Job:
        """A job that worker-1 has begun, two seconds after it was asked for."""
        new = await self.queue.add(NewJob(chat_id="12345", prompt=prompt, **changes))
        self.clock.advance(2)
        job = await self.queue.claim(WORKER)
        assert job is not None
        assert job.id == new.id
        return job

    async def fill(self) -> None:
        other = Claimant(worker_id="worker-2:4712:0b77e2d4")
        for claimant, pid in ((WORKER, 4711), (other, 4712)):
            await self.queue.register(claimant, pid=pid, host="home")
        await self._ended_jobs()
        await self._live_jobs()
        await self.queue.store.write(self._plan)
        await self._deliver()

    def _plan(self, tx: Tx) -> None:
        """Two schedules; whenever the test runs, the first is due before the second."""
        hourly = NewSchedule(chat_id="12345", prompt="Look at the river", every_s=3600)
        news = NewSchedule(chat_id="12345", prompt="The news of today", cron="30 7 * * 1-5")
        for schedule in (hourly, replace(news, zone="Europe/Amsterdam")):
            schedules.add(tx, schedule, now=START)

    async def _ended_jobs(self) -> None:
        queue, clock = self.queue, self.clock
        bikes = await self.claimed("Compare three e-bikes", kind="research")
        clock.advance(62)
        await self._used(bikes, 3, 41_200, 1_900)
        await queue.finish(bikes, "The second one.")
        pelicans = await self.claimed("Count the pelicans")
        clock.advance(754)
        await self._used(pelicans, 7, 96_450, 5_300)
        await queue.finish(pelicans, "There are 42.")
        asked = Usage(input_tokens=200, output_tokens=12)
        await self._account("chat:12345:0", "deepseek-chat", asked)
        prices = await self.claimed("Fetch the prices", max_attempts=2)
        await queue.progress(prices, 10, "opening the shop")
        await queue.fail(prices, "error: TimeoutError")
        clock.advance(2)
        again = await queue.claim(WORKER)
        assert again is not None
        clock.advance(30)
        await queue.fail(again, "error: TimeoutError")

    async def _live_jobs(self) -> None:
        queue = self.queue
        await queue.ask(await self.claimed("Find a dentist"), "In which city?")
        reading = await self.claimed("Read the minutes")
        await queue.progress(reading, 40, "reading page 12")
        await queue.pause("translation")
        tomorrow = stamp(self.clock.now() + timedelta(days=1))
        for new in (
            NewJob(chat_id="12345", prompt="Summarise the minutes", after=(reading.id,)),
            NewJob(chat_id="12345", prompt="Translate the letter", kind="translation"),
            NewJob(chat_id="12345", prompt="Sing a song"),
            NewJob(chat_id="12345", prompt="Write the weekly report", run_at=tomorrow),
        ):
            await queue.add(new)
        self.clock.advance(30)

    async def _used(self, job: Job, calls: int, tokens_in: int, tokens_out: int) -> None:
        used = Usage(input_tokens=tokens_in // calls, output_tokens=tokens_out // calls)
        for _ in range(calls):
            await self._account(f"job:{job.id}", "claude-sonnet-5-5", used)

    async def _account(self, conversation: str, model: str, used: Usage) -> None:
        what: dict[str, Any] = {"conversation": conversation, "model": model, "usage": used}
        now = self.clock.now()
        await self.queue.store.write(lambda tx: account(tx, **what, now=now))

    async def _deliver(self) -> None:
        """Everything has arrived but the ends of two jobs; Telegram was away for one of them."""
        path, now = self.queue.store.path, stamp(self.clock.now())
        owed = {
            row["dedupe_key"]: row["id"]
            for row in shell(path, "SELECT id, dedupe_key FROM deliveries")
        }
        result, failure = owed.pop("job:2:result:1"), owed.pop("job:3:failure:2")

        def send(tx: Tx) -> None:
            for number in owed.values():
                tx.run("part_sent", id=number, message_id=number, last=True, now=now)
            tx.run("delivery_over", id=result, status="held", error=None)
            tx.run("delivery_sending", id=failure)
            tx.run("delivery_waits", id=failure, error="Bad Gateway")

        await self.queue.store.write(send)


@pytest.fixture
async def office(open_store: OpenStore) -> Office:
    now = Clock().now()
    today = now.replace(hour=0, minute=0, second=0)
    clock = FakeClock(max(today, now - timedelta(minutes=15)))  # all of it on one day
    queue = Queue(store=await open_store(), clock=clock, jitter=lambda: 0.0)
    filled = Office(queue, clock)
    await filled.fill()
    return filled


@pytest.mark.parametrize("run", [by_shell, by_python])
async def test_every_command_returns_the_rows_the_page_shows(office: Office, run: Run) -> None:
    if run is by_shell and shutil.which("sqlite3") is None:
        pytest.skip("the sqlite3 shell is not installed")
    asked = examples()
    assert len(asked) >= 10

    for example in asked:
        assert alike(run(example, office.queue.store.path)) == alike(example.rows), example.command


async def test_job_cancelled_by_hand_has_ended(office: Office) -> None:
    for example in examples():
        by_python(example, office.queue.store.path)

    job = await office.queue.get(5)
    assert job.status is JobStatus.CANCELLED
    assert job.completed_at is not None
    assert await office.queue.held(WORKER.worker_id) == set()


async def test_jobs_added_by_hand_run_when_their_time_has_come(office: Office) -> None:
    for example in examples():
        by_python(example, office.queue.store.path)

    now = await claimable(office.queue)
    office.clock.advance(2 * 3600)
    later = await claimable(office.queue)

    assert "Say hello" in now
    assert "Water the plants" not in now
    assert "Water the plants" in later


async def claimable(queue: Queue) -> list[str]:
    """The prompts of all jobs that a worker is given now."""
    prompts = []
    while (job := await queue.claim(WORKER)) is not None:
        prompts.append(job.prompt)
    return prompts

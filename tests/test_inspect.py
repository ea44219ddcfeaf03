"""docs/inspect.md: every command on the page returns the rows that the page shows under it."""

import re
import shlex
import shutil
import sqlite3
import subprocess
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from fakes import FakeClock, OpenStore, shell

from bridge import schedules
from bridge.clock import Clock, moment, stamp
from bridge.leases import Claimant
from bridge.models import Job, JobStatus, NewJob
from bridge.queue import Queue
from bridge.schedules import NewSchedule

PAGE: Final = Path(__file__).parent.parent / "docs" / "inspect.md"
DATABASE: Final = "profile/memory/kitt.db"
EXAMPLE: Final = re.compile(r"^```sh\n(.*?)^```\n\n```text\n(.*?)^```", re.M | re.S)
TIME: Final = re.compile(r"\d{4}-\d\d-\d\d( \d\d:\d\d:\d\d(\.\d+)?)?")
WORKER: Final = Claimant(worker_id="worker-1:4711:5f3a9c10")
Rows = list[list[str]]


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
        if name.endswith("_s") and name != "every_s" and text:
            assert float(text) >= 0
            return "seconds"
        return TIME.sub("time", text)

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
        every_morning = NewSchedule(
            chat_id="12345", prompt="The news of today", cron="30 7 * * 1-5", zone="Europe/Amsterdam"
        )
        hourly = NewSchedule(chat_id="12345", prompt="Look at the river", every_s=3600)
        for schedule in (hourly, every_morning):
            await self.queue.store.write(
                lambda tx, new=schedule: schedules.add(tx, new, now=self.clock.now())
            )
        await self._deliver()

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
        for _ in range(calls):
            await self.queue.store.write(
                lambda tx: tx.insert(
                    "insert_usage",
                    now=stamp(self.clock.now()),
                    conversation=f"job:{job.id}",
                    model="claude-sonnet-5-5",
                    input_tokens=tokens_in // calls,
                    output_tokens=tokens_out // calls,
                    cache_read=0,
                    cache_write=0,
                    latency_ms=900,
                )
            )

    async def _deliver(self) -> None:
        """Everything has arrived but the ends of two jobs; Telegram was away for one of them."""

        def send(tx: Tx) -> None:
            for lane in tx.all("open_lanes"):
                while row := tx.one("next_delivery", chat_id=lane["chat_id"]):
                    tx.run("delivery_sending", id=row["id"])
                    if row["dedupe_key"] in ("job:2:result:1", "job:3:failure:2"):
                        tx.run("delivery_over", id=row["id"], status="held", error=None)
                    else:
                        sent = {"message_id": row["id"], "last": True, "now": self.queue.now()}
                        tx.run("part_sent", id=row["id"], **sent)
            tx.run("release_lane", chat_id="12345")
            tx.run("delivery_waits", id=13, error="Bad Gateway")

        await self.queue.store.write(send)


@pytest.fixture
async def office(open_store: OpenStore) -> Office:
    clock = FakeClock(Clock().now() - timedelta(minutes=20))
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
    run_all(office)

    job = await office.queue.get(5)
    assert (job.status, job.completed_at is None) == (JobStatus.CANCELLED, False)
    assert await office.queue.held(WORKER.worker_id) == set()


async def test_jobs_added_by_hand_are_worked_on_when_their_time_has_come(office: Office) -> None:
    run_all(office)

    async def next_prompts() -> set[str]:
        jobs = iter(lambda: None, 0)
        return {job.prompt for job in jobs}



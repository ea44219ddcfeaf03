"""`kitt prove`: kill everything, all the time, and look whether a promise was broken.

One real bridge and three real workers on a fresh profile, against both emulators. People write and
jobs run without a pause, some in parts and some because a schedule came, while the programs die at
named points (failpoints.py), die by surprise from outside, and freeze for longer than their lease.
After so many deaths the faults end, the rest of the work is done, and the history checker reads
what happened.
"""

import asyncio
import logging
import random
import shutil
import signal
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bridge import schedules
from bridge.clock import Clock, stamp
from bridge.emulator.claude import ClaudeEmulator
from bridge.emulator.telegram import DEMO_BOT, TelegramEmulator
from bridge.errors import JobRefused, TryLater
from bridge.models import NewJob
from bridge.process import prepare_folders
from bridge.prove.crew import Crew, Process, Zygote
from bridge.prove.feed import CHATS, Feed, script
from bridge.prove.plan import FREEZE_CHANCE, write_plan
from bridge.prove.report import Report, judge
from bridge.prove.witness import Witness
from bridge.queue import Queue
from bridge.settings import Settings
from bridge.store import Store, Tx

WORKERS: Final = 3
LEASE_S: Final = 1.0
FROZEN_S: Final = 1.5 * LEASE_S  # a zombie: it comes back when its job is another's
OPEN_MAX: Final = 16  # things to do at a time
LOOK_S: Final = 0.02
STRIKE_EVERY_S: Final = 1.0
FREEZES_OF_STRIKES: Final = 0.2
TELL_EVERY_S: Final = 2.0
SETTLED_WITHIN_S: Final = 120.0
NOBODY: Final = "cli"  # chat_id of jobs that no chat is told of
JOB_ATTEMPTS: Final = 8  # of those added at the shell; others have the usual three
OPEN: Final = """
    SELECT (SELECT count(*) FROM inbox WHERE state = 'new')
         + (SELECT count(*) FROM jobs INDEXED BY jobs_live
             WHERE status IN ('pending','scheduled','blocked','running','waiting'))
         + (SELECT count(*) FROM deliveries WHERE status IN ('ready','sending'))"""
ASKING: Final = "SELECT id FROM jobs WHERE status = 'waiting'"
BUSY: Final = "SELECT worker_id FROM jobs WHERE status = 'running'"
TICKING: Final = "SELECT count(*) FROM schedules WHERE status = 'active'"
RUNNING: Final = "SELECT id, chat_id FROM jobs WHERE status = 'running' AND chat_id <> 'cli'"


@dataclass(slots=True, kw_only=True)
class Campaign:
    """One run. `statements` are broken ones of a test that wants to see the defect found.

    `freeze_chance` is that of a worker at each of some points; `zygote` one that others use too.
    """

    kills: int
    seed: int
    tell: Callable[[str], None] = lambda _line: None
    statements: Mapping[str, str] = field(default_factory=dict)
    freeze_chance: float = FREEZE_CHANCE
    zygote: Zygote | None = None
    telegram: TelegramEmulator = field(default_factory=TelegramEmulator)
    claude: ClaudeEmulator = field(default_factory=lambda: ClaudeEmulator(script=script()))
    dead: int = 0
    failed: Counter[str] = field(default_factory=Counter)  # programs that ended by themselves
    zombies: list[tuple[Process, float]] = field(default_factory=list)  # and when they froze

    async def run(self) -> Report:
        """Everything, on a profile that is removed at the end."""
        started = time.monotonic()
        logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)  # callers that were killed
        folder = Path(tempfile.mkdtemp(prefix="kitt-prove-"))
        try:
            await self.telegram.start()
            await self.claude.start()
            zygote = self.zygote or await Zygote.open()
            try:
                report = await self._on(folder, zygote)
            finally:
                if zygote is not self.zygote:
                    await zygote.close()
        finally:
            await self.telegram.stop()
            await self.claude.stop()
            shutil.rmtree(folder, ignore_errors=True)
        report.seconds = time.monotonic() - started
        return report

    async def _on(self, folder: Path, zygote: Zygote) -> Report:
        environ = self._environ(folder)
        settings = Settings.load(environ, env_file=folder / "no.env")
        prepare_folders(settings)
        store = await Store.open(settings.database, settings.run_dir)
        witness = Witness(self.telegram, self.claude, secrets=(DEMO_BOT, self.claude.key))
        crew = Crew(
            zygote=zygote,
            folder=folder,
            environ=environ,
            plan=write_plan(folder, seed=self.seed, freeze_chance=self.freeze_chance),
            statements=self.statements,
            restarting=True,
            heard=self._heard,
            forgive=lambda: store.write(lambda tx: tx.run("forgive_updates"), durable=False),
        )
        queue = Queue(store=store, clock=Clock(), lease_s=LEASE_S)
        feed = Feed(self.telegram, random.Random(self.seed))  # noqa: S311 - no secret
        now = queue.clock.now()
        await store.write(lambda tx: [schedules.add(tx, new, now=now) for new in feed.ticks()])
        try:
            for name in ("bridge", *(f"worker-{n}" for n in range(1, WORKERS + 1))):
                await crew.start(name)
            await self._disturb(crew, feed, queue, witness)
            await self._settle(crew, queue)
            codes = await crew.end(signal.SIGTERM)
        finally:
            await store.close()
        self.failed.update(f"exit {code} after a drain" for code in codes if code)
        witness.look()
        return judge(self, feed, witness, settings.database, folder)

    async def _disturb(self, crew: Crew, feed: Feed, queue: Queue, witness: Witness) -> None:
        """Feed and kill until enough have died."""
        with closing(_reader(queue.store.path)) as database:
            # Each for itself: whoever writes may have to wait for a lock that a frozen one holds.
            async with asyncio.TaskGroup() as group:
                group.create_task(self._feed(feed, queue, database))
                group.create_task(self._strike(crew, database))
                group.create_task(self._watch(crew, feed, witness, database))

    async def _feed(self, feed: Feed, queue: Queue, database: sqlite3.Connection) -> None:
        """Keep some things to do, and no more: what waits in a line is not in danger."""
        while self.dead < self.kills:
            await asyncio.sleep(LOOK_S)
            await self._answer(queue, database)
            if database.execute(OPEN).fetchone()[0] + self.telegram.updates.pending < OPEN_MAX:
                await self._feed_one(feed, queue, database)

    async def _answer(self, queue: Queue, database: sqlite3.Connection) -> None:
        """Answer every job that has asked something."""
        for (job_id,) in database.execute(ASKING).fetchall():
            with suppress(JobRefused, TryLater):  # it was cancelled meanwhile
                await queue.answer(job_id, "blue")

    async def _strike(self, crew: Crew, database: sqlite3.Connection) -> None:
        """Kill and freeze by surprise."""
        chance = random.Random(self.seed + 1)  # noqa: S311 - no secret
        while self.dead < self.kills:
            await asyncio.sleep(chance.uniform(0.5, 1.5) * STRIKE_EVERY_S)
            if self.dead >= self.kills:
                return
            if chance.random() < FREEZES_OF_STRIKES:
                self._freeze(crew, database, chance)
            else:
                self._kill(chance.choice(list(crew.running.values())))

    async def _watch(
        self, crew: Crew, feed: Feed, witness: Witness, database: sqlite3.Connection
    ) -> None:
        tell_at = 0.0
        while self.dead < self.kills:
            await asyncio.sleep(LOOK_S)
            now = time.monotonic()
            self._thaw(crew, now)
            if now >= tell_at:
                tell_at = now + TELL_EVERY_S
                witness.look()
                self._progress(database, feed)
        self._calm(crew)  # one may be frozen over a lock that others wait for

    async def _feed_one(self, feed: Feed, queue: Queue, database: sqlite3.Connection) -> None:
        dice = feed.chance.random()
        if dice < 0.35:
            feed.ask()
        elif dice < 0.6:
            feed.task()
        elif dice < 0.95:
            chat, words = feed.new_task()
            self.telegram.open_chat(chat)
            chat_id = str(chat) if dice < 0.75 else NOBODY
            running = database.execute(RUNNING).fetchall() if dice > 0.85 else []
            after = tuple(job_id for job_id, _ in running[:1])
            new = NewJob(chat_id=chat_id, prompt=words, max_attempts=JOB_ATTEMPTS, after=after)
            try:
                await queue.add(new)
            except (JobRefused, TryLater):  # what it should wait for has just ended in vain
                feed.forget(words)
        elif running := database.execute(RUNNING).fetchall():
            job_id, chat_id = feed.chance.choice(running)
            feed.cancel(int(chat_id), job_id)

    def _kill(self, process: Process) -> None:
        if not process.ended.done():
            process.signal(signal.SIGKILL)

    def _freeze(self, crew: Crew, database: sqlite3.Connection, chance: random.Random) -> None:
        """Stop a worker that has something to lose."""
        busy = [row[0].partition(":")[0] for row in database.execute(BUSY)]
        if busy:
            crew.running[chance.choice(busy)].signal(signal.SIGSTOP)

    def _thaw(self, crew: Crew, now: float) -> None:
        """Let zombies come back when they have lost everything."""
        known = {process for process, _ in self.zombies}
        for process in crew.running.values():
            if process.frozen and process not in known:
                self.zombies.append((process, now))
        for process, since in self.zombies:
            if process.frozen and now - since > FROZEN_S:
                process.frozen = False
                process.signal(signal.SIGCONT)

    def _calm(self, crew: Crew) -> None:
        """No more faults: whoever still has orders to die or freeze dies now."""
        crew.plan = None
        for process in crew.running.values():
            if process.armed:
                process.armed = False
                self._kill(process)

    async def _settle(self, crew: Crew, queue: Queue) -> None:
        """Let everything that is left be done."""
        self.tell("no more deaths; what is left to do is done")
        deadline = time.monotonic() + SETTLED_WITHIN_S
        with closing(_reader(queue.store.path)) as database:
            while self._busy(crew) or any(
                database.execute(left).fetchone()[0] for left in (OPEN, TICKING)
            ):
                if time.monotonic() > deadline:
                    return  # the checker tells what is left
                self._calm(crew)  # one was just being started
                self._thaw(crew, time.monotonic())
                await self._answer(queue, database)
                with suppress(TryLater):
                    await queue.store.write(lambda tx: _no_more_ticks(tx, queue.clock))
                await asyncio.sleep(5 * LOOK_S)

    def _busy(self, crew: Crew) -> bool:
        """Is someone not back yet, or has not everyone's word come through?"""
        late = any(one.ended.done() or one.armed or one.frozen for one in crew.running.values())
        return late or bool(self.telegram.updates.pending)

    def _heard(self, process: Process, code: int) -> None:
        process.frozen = False
        if code == -signal.SIGKILL:
            self.dead += 1
        elif code:
            self.failed[f"{process.name} exit {code}"] += 1

    def _progress(self, database: sqlite3.Connection, feed: Feed) -> None:
        jobs, claims = database.execute("SELECT count(*), sum(attempt) FROM jobs").fetchone()
        self.tell(
            f"{self.dead}/{self.kills} killed · {feed.messages} messages · {jobs} jobs · "
            f"{claims or 0} claims · {len(self.zombies)} frozen"
        )

    def _environ(self, folder: Path) -> dict[str, str]:
        return {
            "KITT_PROFILE": str(folder / "profile"),
            "KITT_OWNER": ",".join(str(chat) for chat in range(1, CHATS + 1)),
            "KITT_WORKER_CONCURRENCY": "3",
            "KITT_LEASE_S": str(LEASE_S),
            "KITT_BUDGET_DAY": "100000",  # a long campaign uses more than is usual for a day
            "KITT_BUDGET_USER_DAY": "100000",
            "TELEGRAM_BOT_TOKEN": DEMO_BOT,
            "TELEGRAM_BASE_URL": self.telegram.base_url,
            "TELEGRAM_BASE_FILE_URL": self.telegram.base_file_url,
            "ANTHROPIC_API_KEY": self.claude.key,
            "ANTHROPIC_BASE_URL": self.claude.base_url,
        }


def _no_more_ticks(tx: Tx, clock: Clock) -> None:
    """Pause what recurs, when every time that has come was taken."""
    due = {row["id"] for row in tx.all("schedules_due", now=stamp(clock.now()))}
    for schedule in schedules.list_schedules(tx):
        if schedule.id not in due:
            schedules.pause(tx, schedule.id)


def _reader(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, isolation_level=None)

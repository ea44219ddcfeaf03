"""A queue beside a model of it: Hypothesis plays workers, users and a person at the shell.

Every claim is kept for ever, so any worker may act on any job it ever had: most of them are
zombies. After every step the whole table must be what the model says, so that a write by anyone
but the current holder, a lost job or a doubled result is seen at once.
"""

import asyncio
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from blank import lay
from fakes import FakeClock, a_job, shell
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from bridge.clock import stamp
from bridge.errors import JobRefused, LeaseLost
from bridge.models import Job, JobStatus
from bridge.queue import Queue
from bridge.store import Store

T = TypeVar("T")
LEASE_S = 30.0
IN_MEMORY = Path("/dev/shm")  # durability is not what is tested here
PENDING, SCHEDULED, BLOCKED = JobStatus.PENDING, JobStatus.SCHEDULED, JobStatus.BLOCKED
RUNNING, DONE, FAILED = JobStatus.RUNNING, JobStatus.DONE, JobStatus.FAILED
CANCELLED, WAITING = JobStatus.CANCELLED, JobStatus.WAITING
CHAT_CONCURRENCY = 2
ARROWS = {
    PENDING: {RUNNING, CANCELLED},
    SCHEDULED: {PENDING, RUNNING, CANCELLED},  # running: promoted and claimed in one step
    BLOCKED: {PENDING, SCHEDULED, CANCELLED},
    RUNNING: {PENDING, SCHEDULED, WAITING, DONE, FAILED, CANCELLED},
    WAITING: {PENDING, CANCELLED},
    DONE: set(),
    FAILED: {PENDING},
    CANCELLED: {PENDING, BLOCKED},
}
NUMBERS = st.sampled_from([0, 0, 0, 1, 1, 2, 3, 5, 8])  # picks the newest, the one before, …
WORKERS = st.integers(0, 1)
# One rule with many choices: Hypothesis switches whole rules off in most of its examples, and then
# a job that is claimed, lost and claimed again before its first worker comes back is rare.
STEPS = """
    claim claim claim claim claim finish finish finish fail give-up progress give-back wait
    heartbeat rescue rescue pass-3 pass-3 pass-31 freeze freeze freeze restart reboot back on
    cancel cancel cancel-by-hand retry retry ask ask answer answer
"""


@dataclass(kw_only=True)
class Expected:
    """What the model knows of a job."""

    status: JobStatus
    chat: str = "7"
    turn: int | None = None
    alone: bool = False
    runs_anyway: bool = False
    priority: int = 0
    max_attempts: int = 3
    attempt: int = 0
    failures: int = 0
    worker_id: str | None = None
    lease_until: float = 0.0
    boot_id: str = ""
    run_at: str | None = None
    parents: frozenset[int] = frozenset()
    unique_key: str | None = None


class QueueMachine(RuleBasedStateMachine):
    """The rules; `sql` may hold statements that are broken on purpose."""

    sql: ClassVar[Mapping[str, str] | None] = None

    def __init__(self) -> None:
        super().__init__()
        in_memory = str(IN_MEMORY) if IN_MEMORY.is_dir() else None
        self.folder = tempfile.TemporaryDirectory(prefix="kitt-queue-", dir=in_memory)
        self.runner = asyncio.Runner()
        self.clock = FakeClock()
        path = Path(self.folder.name) / "kitt.db"
        lay(path)
        self.store = self.run(Store.open(path, path.parent / "run", sql=self.sql))
        self.queue = Queue(
            store=self.store,
            clock=self.clock,
            lease_s=LEASE_S,
            chat_concurrency=CHAT_CONCURRENCY,
            jitter=lambda: 0.0,
        )
        self.onlooker = sqlite3.connect(path)
        self.onlooker.row_factory = sqlite3.Row
        self.workers = [f"w{number}:0" for number in range(2)]
        self.jobs: dict[int, Expected] = {}
        self.claims: list[Job] = []
        self.turns: dict[int, int] = {}  # by priority, the last one that was claimed
        self.owed: set[str] = set()
        self.seen: dict[int, JobStatus] = {}
        self.done_rows: dict[int, tuple[object, ...]] = {}

    def teardown(self) -> None:
        self.onlooker.close()
        self.run(self.store.close())
        self.runner.close()
        self.folder.cleanup()

    def run(self, action: Awaitable[T]) -> T:
        """Wait for one call of the queue."""

        async def wait() -> T:
            return await action

        return self.runner.run(wait())

    # --- what the model knows ---------------------------------------------------------------------

    @property
    def now(self) -> str:
        return stamp(self.clock.now())

    def a_claim(self, number: int) -> Job:
        """A job as its holder, current or former, remembers it."""
        return self.claims[-1 - number % len(self.claims)]

    def an_id(self, number: int) -> int:
        """A job."""
        return sorted(self.jobs, reverse=True)[number % len(self.jobs)]

    def holds(self, claim: Job) -> bool:
        """The one who may write: this attempt of this worker, while it runs."""
        job = self.jobs[claim.id]
        return (job.status, job.attempt, job.worker_id) == (RUNNING, claim.attempt, claim.worker_id)

    def later(self, seconds: float) -> str:
        return stamp(self.clock.now() + timedelta(seconds=seconds))

    def start_of(self, run_at: str | None) -> JobStatus:
        return SCHEDULED if run_at is not None and run_at > self.now else PENDING

    def live_with(self, key: str | None) -> int | None:
        """The live job with this unique key."""
        for job_id, job in self.jobs.items():
            if key is not None and job.unique_key == key and not job.status.final:
                return job_id
        return None

    def children_of(self, job_id: int) -> list[int]:
        """Blocked jobs that wait for this one."""
        return [
            n for n, job in self.jobs.items() if job.status is BLOCKED and job_id in job.parents
        ]

    def line_up(self, job_id: int, status: JobStatus = PENDING) -> None:
        """It may be claimed now or later; a turn is given once, when it first may."""
        job = self.jobs[job_id]
        job.status = status
        if status is not PENDING or job.turn is not None:
            return
        line = [
            other
            for n, other in self.jobs.items()
            if n != job_id and other.status is PENDING and other.priority == job.priority
            if not other.alone
        ]
        own = [other.turn or 0 for other in line if other.chat == job.chat]
        last = self.turns.get(job.priority, -1)
        later = [other.turn or 0 for other in line if (other.turn or 0) > last]
        job.turn = max(max(own, default=-1) + 1, min(later, default=last + 1))

    def end(self, job_id: int, status: JobStatus) -> None:
        """A job ended; those that wait for it follow."""
        self.over(job_id, status)
        hopeless = [] if status is DONE else [job_id]
        while hopeless:
            for child_id in self.children_of(hopeless.pop()):
                if not self.jobs[child_id].runs_anyway:
                    self.over(child_id, CANCELLED)
                    hopeless.append(child_id)

    def over(self, job_id: int, status: JobStatus) -> None:
        job = self.jobs[job_id]
        job.status = status
        if status in (DONE, FAILED):
            word = "result" if status is DONE else "failure"
            self.owed.add(f"job:{job_id}:{word}:{job.attempt}")
        for child_id in self.children_of(job_id):
            if not self.open_parents_of(child_id):
                self.line_up(child_id, self.start_of(self.jobs[child_id].run_at))

    def open_parents_of(self, job_id: int) -> list[int]:
        """What keeps a job blocked."""
        job = self.jobs[job_id]
        enough = (DONE, FAILED, CANCELLED) if job.runs_anyway else (DONE,)
        return [parent for parent in job.parents if self.jobs[parent].status not in enough]

    def only_the_holder(self, claim: Job, act: Callable[[], Awaitable[object]]) -> bool:
        """Do it; it must succeed if and only if the claim is the current one."""
        may = self.holds(claim)
        try:
            self.run(act())
        except LeaseLost:
            assert not may, f"the current holder of job {claim.id} was refused"
        else:
            assert may, f"a former holder of job {claim.id} was accepted"
        return may

    # --- who does what ----------------------------------------------------------------------------

    @rule(what=st.sampled_from(STEPS.split()), worker=WORKERS, number=NUMBERS)
    def step(self, what: str, worker: int, number: int) -> None:
        if what in ("claim", "heartbeat", "rescue", "freeze", "restart"):
            getattr(self, what)(worker)
        elif what in ("cancel", "cancel-by-hand"):
            self.cancel(number, by_hand=what == "cancel-by-hand")
        elif what == "retry":
            self.retry(number)
        elif what == "answer":
            self.answer(number)
        elif what.startswith("pass") or what in ("reboot", "back", "on"):
            self.pass_time(what)
        elif self.claims:
            self.go_on(self.a_claim(number), what)

    # --- users and the shell ----------------------------------------------------------------------

    @rule(
        priority=st.integers(0, 2),
        max_attempts=st.integers(1, 3),
        delay_s=st.sampled_from([None, None, 3.0]),
        parents=st.sets(NUMBERS, max_size=2),
        key=st.sampled_from([None, None, "daily"]),
        chat=st.sampled_from(["7", "7", "8"]),
        runs_anyway=st.booleans(),
    )
    def add(
        self,
        priority: int,
        max_attempts: int,
        delay_s: float | None,
        parents: set[int],
        key: str | None,
        chat: str,
        runs_anyway: bool,
    ) -> None:
        after = tuple({self.an_id(number) for number in parents})
        new = a_job(
            priority=priority,
            max_attempts=max_attempts,
            run_at=None if delay_s is None else self.later(delay_s),
            after=after,
            unique_key=key,
            chat_id=chat,
            if_parent_fails="run" if runs_anyway else "cancel",
        )
        twin = self.live_with(key)
        lost = any(self.jobs[parent].status in (FAILED, CANCELLED) for parent in after)
        hopeless = lost and not runs_anyway
        try:
            job = self.run(self.queue.add(new))
        except JobRefused:
            assert hopeless
            assert twin is None
            return
        if twin is not None:
            assert job.id == twin
            return
        assert not hopeless
        waits_for = frozenset(p for p in after if not self.jobs[p].status.final)
        self.jobs[job.id] = Expected(
            status=BLOCKED,
            chat=chat,
            runs_anyway=runs_anyway,
            priority=priority,
            max_attempts=max_attempts,
            run_at=new.run_at,
            parents=waits_for,
            unique_key=key,
        )
        if not waits_for:
            self.line_up(job.id, self.start_of(new.run_at))

    @initialize(count=st.integers(1, 3))
    def start_with_some(self, count: int) -> None:
        for _ in range(count):
            self.add_by_hand()

    def add_by_hand(self) -> None:
        shell(self.store.path, "INSERT INTO jobs (chat_id, prompt) VALUES ('7', 'By hand')")
        job_id = len(self.jobs) + 1
        self.jobs[job_id] = Expected(status=BLOCKED)
        self.line_up(job_id)

    def cancel(self, number: int, by_hand: bool) -> None:
        job_id = self.an_id(number)
        if not by_hand:
            self.run(self.queue.cancel(job_id))
            if not self.jobs[job_id].status.final:
                self.end(job_id, CANCELLED)
        elif not self.jobs[job_id].status.final:
            sql = "UPDATE jobs SET status = 'cancelled' WHERE id = :id"
            shell(self.store.path, sql, id=job_id)
            self.jobs[job_id].status = CANCELLED

    def retry(self, number: int) -> None:
        job_id = self.an_id(number)
        job = self.jobs[job_id]
        twin = self.live_with(job.unique_key)
        try:
            self.run(self.queue.retry(job_id))
        except JobRefused:
            assert twin not in (None, job_id)
            return
        if job.status in (FAILED, CANCELLED):
            assert twin is None
            parents = type(job.parents)(
                parent
                for parent in job.parents
                if self.jobs[parent].status not in (FAILED, CANCELLED)
            )
            waits = any(not self.jobs[parent].status.final for parent in parents)
            self.jobs[job_id] = replace(
                job, failures=0, run_at=None, worker_id=None, turn=None, parents=parents
            )
            self.line_up(job_id, BLOCKED if waits else PENDING)

    def answer(self, number: int) -> None:
        asked = [job_id for job_id, job in self.jobs.items() if job.status is WAITING]
        job_id = asked[number % len(asked)] if asked else self.an_id(number)
        try:
            self.run(self.queue.answer(job_id, "The blue one"))
        except JobRefused:
            assert not asked
        else:
            assert asked
            self.line_up(job_id)

    # --- workers ----------------------------------------------------------------------------------

    def claim(self, worker: int) -> None:
        due = [
            (job.run_at, job_id)
            for job_id, job in self.jobs.items()
            if job.status is SCHEDULED and job.run_at is not None and job.run_at <= self.now
        ]
        for _, job_id in sorted(due):
            self.line_up(job_id)
        running = Counter(job.chat for job in self.jobs.values() if job.status is RUNNING)
        beside = self.load(self.workers[worker])
        order = sorted(
            (-job.priority, job.turn, job_id)
            for job_id, job in self.jobs.items()
            if job.status is PENDING and running[job.chat] < CHAT_CONCURRENCY
        )
        line = [place for place in order if not self.jobs[place[2]].alone]
        if any(job.alone for job in beside):
            order = []
        elif beside and order[:1] != line[:1]:  # someone must make room, and else the line goes on
            order = [] if self.is_least_busy(worker) else line

        taken = self.run(self.queue.claim(self.workers[worker]))

        assert (taken and taken.id) == (order[0][2] if order else None)
        if taken is None:
            return
        self.jobs[taken.id] = replace(
            self.jobs[taken.id],
            status=RUNNING,
            attempt=self.jobs[taken.id].attempt + 1,
            worker_id=self.workers[worker],
            lease_until=self.clock.monotonic() + LEASE_S,
            boot_id=self.clock.boot_id,
        )
        mine = self.jobs[taken.id]
        self.turns[mine.priority] = max(self.turns.get(mine.priority, -1), mine.turn or 0)
        self.claims.append(taken)

    def is_least_busy(self, worker: int) -> bool:
        """Does nobody, dead or alive, run fewer jobs but some?"""
        me = self.workers[worker]
        loads = Counter(job.worker_id or "" for job in self.jobs.values() if job.status is RUNNING)
        return min((jobs, name) for name, jobs in loads.items()) == (loads[me], me)

    def load(self, worker_id: str | None) -> list[Expected]:
        """What a worker runs, dead or alive."""
        return [
            job
            for job in self.jobs.values()
            if job.status is RUNNING and job.worker_id == worker_id
        ]

    def heartbeat(self, worker: int) -> None:
        me = self.workers[worker]
        held = {
            (job_id, job.attempt)
            for job_id, job in self.jobs.items()
            if job.status is RUNNING and job.worker_id == me
        }

        assert self.run(self.queue.held(me)) == held
        assert self.run(self.queue.heartbeat(me)) == held
        for job_id, _ in held:
            self.jobs[job_id].lease_until = self.clock.monotonic() + LEASE_S
            self.jobs[job_id].boot_id = self.clock.boot_id

    def go_on(self, claim: Job, act: str) -> None:
        """What the holder of a claim does, be it current or long dead."""
        if act == "finish":
            if self.only_the_holder(claim, lambda: self.queue.finish(claim, "42")):
                self.end(claim.id, DONE)
        elif act == "progress":
            self.only_the_holder(claim, lambda: self.queue.progress(claim, 50, "on the way"))
        elif act in ("fail", "give-up"):
            self.fail(claim, again=act == "fail")
        elif act == "ask":
            if self.only_the_holder(claim, lambda: self.queue.ask(claim, "Which one?")):
                self.jobs[claim.id].status = WAITING
                self.jobs[claim.id].worker_id = None
        else:
            self.give_back(claim, 3.0 if act == "wait" else 0.0)

    def fail(self, claim: Job, again: bool) -> None:
        if not self.only_the_holder(claim, lambda: self.queue.fail(claim, "boom", again=again)):
            return
        job = self.jobs[claim.id]
        job.failures += 1
        if again and job.failures < job.max_attempts:
            job.status, job.run_at = SCHEDULED, self.later(2.0**job.failures)
        else:
            job.run_at = None
            self.end(claim.id, FAILED)

    def give_back(self, claim: Job, wait_s: float) -> None:
        self.run(self.queue.give_back(claim, wait_s=wait_s))
        if self.holds(claim):
            job = self.jobs[claim.id]
            job.worker_id = None
            job.run_at = self.later(wait_s) if wait_s else None
            job.turn = None if wait_s else job.turn
            self.line_up(claim.id, SCHEDULED if wait_s else PENDING)

    def rescue(self, worker: int) -> None:
        me = self.workers[worker]
        slot = me.partition(":")[0]
        orphans = [
            job_id
            for job_id, job in self.jobs.items()
            if job.status is RUNNING
            and job.worker_id is not None
            and (
                job.lease_until < self.clock.monotonic()
                or job.boot_id != self.clock.boot_id
                or (job.worker_id.partition(":")[0] == slot and job.worker_id != me)
            )
        ]

        crowded = {job_id for job_id in orphans if len(self.load(self.jobs[job_id].worker_id)) > 1}
        assert {job.id for job in self.run(self.queue.rescue(me))} == set(orphans)
        self.go_on_without_parents_ended_by_hand()
        for job_id in orphans:
            job = self.jobs[job_id]
            here = job.boot_id == self.clock.boot_id
            blamed = here and job_id not in crowded
            job.failures += blamed
            job.alone = job.alone or here
            job.worker_id = None
            self.line_up(job_id)
            if blamed and job.failures >= job.max_attempts:
                self.end(job_id, FAILED)

    # --- time and accidents -----------------------------------------------------------------------

    def pass_time(self, what: str) -> None:
        if what.startswith("pass"):
            self.clock.advance(float(what.removeprefix("pass-")))
        elif what == "reboot":
            self.clock.boot_id += "+"
        else:
            self.clock.jump(3600 if what == "on" else -3600)

    def go_on_without_parents_ended_by_hand(self) -> None:
        for job_id, job in self.jobs.items():
            if job.status is not BLOCKED:
                continue
            parents = {self.jobs[parent].status for parent in job.parents}
            if parents & {FAILED, CANCELLED} and not job.runs_anyway:
                self.end(job_id, CANCELLED)
            elif not self.open_parents_of(job_id):
                self.line_up(job_id, self.start_of(job.run_at))

    def freeze(self, worker: int) -> None:
        """It hangs for so long that the other takes its jobs back, then goes on unaware."""
        self.clock.advance(LEASE_S + 1)
        self.rescue(1 - worker)
        self.status_moves_only_along_the_arrows()  # the claim may make a second step
        self.claim(worker)

    def restart(self, worker: int) -> None:
        slot, _, number = self.workers[worker].partition(":")
        self.workers[worker] = f"{slot}:{int(number) + 1}"

    # --- what must hold after every step ----------------------------------------------------------

    def rows(self, sql: str) -> list[sqlite3.Row]:
        return self.onlooker.execute(sql).fetchall()

    @invariant()
    def table_is_what_the_model_says(self) -> None:
        rows = {row["id"]: row for row in self.rows("SELECT * FROM jobs")}
        assert rows.keys() == self.jobs.keys()
        for job_id, job in self.jobs.items():
            row: Any = rows[job_id]
            found = (row["status"], row["attempt"], row["failures"], row["run_at"])
            assert found == (job.status, job.attempt, job.failures, job.run_at), f"job {job_id}"
            assert job.status is not PENDING or row["turn"] == job.turn, f"job {job_id}"
            if job.status is RUNNING:
                assert row["worker_id"] == job.worker_id
            assert job.status.final == (row["completed_at"] is not None)

    @invariant()
    def failures_stay_within_the_limit(self) -> None:
        assert self.rows("SELECT id FROM jobs WHERE failures > max_attempts") == []

    @invariant()
    def every_end_is_owed_exactly_once(self) -> None:
        sql = "SELECT dedupe_key FROM deliveries WHERE kind IN ('result', 'failure')"
        owed = [row["dedupe_key"] for row in self.rows(sql)]
        assert len(owed) == len(set(owed))
        assert set(owed) == self.owed

    @invariant()
    def status_moves_only_along_the_arrows(self) -> None:
        for row in self.rows("SELECT id, status FROM jobs"):
            status = JobStatus(row["status"])
            before = self.seen.get(row["id"], status)
            assert status is before or status in ARROWS[before], f"{before} to {status}"
            self.seen[row["id"]] = status

    @invariant()
    def done_jobs_never_change_again(self) -> None:
        for row in self.rows("SELECT * FROM jobs WHERE status = 'done'"):
            assert self.done_rows.setdefault(row["id"], tuple(row)) == tuple(row)

"""A worker and what steers it: its row in `workers`, kinds, time limits, questions, a busy loop."""

import asyncio
import json
import sqlite3
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from disk import Disk
from fakes import a_job
from own_kinds import write_kind
from transactions import watched
from waiting import until
from working import Shop, quick

from bridge.agent.model import Listener
from bridge.agent.model import Reply as ModelReply
from bridge.agent.model import Request as ModelRequest
from bridge.clock import Clock, stamp
from bridge.emulator.claude import ClaudeEmulator
from bridge.emulator.claude_faults import Fault
from bridge.emulator.script import Reply, Request, Text, Thinking, ToolUse
from bridge.kinds.registry import Kinds
from bridge.models import JOB_TIMEOUT_S, JobStatus
from bridge.queue import Queue
from bridge.settings import Settings
from bridge.store import Store
from bridge.work import Work
from bridge.worker import Worker

HANG_UP_S = 1.5  # "within a second", and some for a busy machine
WORKERS = "SELECT slot, state, job_id, processed, failed FROM workers ORDER BY started_at, id"


@pytest.fixture
async def shop(tmp_path: Path, store: Store) -> AsyncIterator[Shop]:
    claude = ClaudeEmulator()
    await claude.start()
    opened = Shop(tmp_path, store, claude)
    yield opened
    await opened.close()
    await claude.stop()


def row(slot: str, state: str, job_id: int | None, processed: int, failed: int) -> dict[str, Any]:
    """A row of `workers`."""
    return {
        "slot": slot,
        "state": state,
        "job_id": job_id,
        "processed": processed,
        "failed": failed,
    }


# --- the workers table ----------------------------------------------------------------------------


async def test_worker_tells_where_it_stands_from_its_start_to_its_end(shop: Shop) -> None:
    worker = await shop.worker(concurrency=1)
    await shop.reads(WORKERS, [row("worker-1", "idle", None, 0, 0)])

    shop.claude.order(Fault(hold="the work"))
    await shop.queue.add(quick(7))
    await shop.asked(1)
    await shop.reads(WORKERS, [row("worker-1", "busy", 1, 0, 0)])
    shop.claude.release("the work")
    await shop.reads(WORKERS, [row("worker-1", "idle", 1, 1, 0)])

    shop.claude.order(Fault(outcome="refusal"))
    await shop.queue.add(quick(8))
    await shop.reads(WORKERS, [row("worker-1", "idle", 2, 2, 1)])

    shop.claude.order(Fault(hold="the last"))
    await shop.queue.add(quick(9))
    await shop.asked(3)
    worker.drain()
    await shop.reads(WORKERS, [row("worker-1", "draining", 3, 2, 1)])
    shop.claude.release("the last")
    await shop.ended(worker)
    assert shop.rows(WORKERS) == [row("worker-1", "gone", 3, 3, 1)]
    assert shop.rows("SELECT id FROM workers") == [{"id": worker.worker_id}]


async def test_heartbeat_of_a_busy_worker_is_in_the_table(shop: Shop) -> None:
    shop.claude.order(Fault(hold="the work"))
    await shop.queue.add(quick(7))
    await shop.worker()
    await shop.asked(1)

    for _ in range(3):
        shop.advance(11)
        now = stamp(shop.clock.now())
        await shop.reads("SELECT beat_at FROM workers", [{"beat_at": now}])

    shop.claude.release("the work")
    await shop.job_is(1, JobStatus.DONE)


async def test_idle_worker_writes_nothing_after_its_name(shop: Shop) -> None:
    await shop.worker()
    await shop.reads(WORKERS, [row("worker-1", "idle", None, 0, 0)])
    other = await Store.open(shop.store.path, shop.store.path.parent / "run")
    try:
        before = await other.data_version()
        for _ in range(4):
            shop.advance(60)
            await shop.look()

        assert await other.data_version() == before
    finally:
        await other.close()


async def test_predecessor_that_was_killed_is_gone_when_its_slot_is_taken(shop: Shop) -> None:
    shop.rows(
        "INSERT INTO workers (id, slot, pid, host, state, started_at, beat_at, job_id) VALUES"
        " ('worker-1:9:z', 'worker-1', 9, 'here', 'busy', '2026-11-01', '2026-11-01', 4)"
    )

    await shop.worker()

    await shop.reads(
        WORKERS, [row("worker-1", "gone", None, 0, 0), row("worker-1", "idle", None, 0, 0)]
    )


# --- kinds ----------------------------------------------------------------------------------------


async def test_kind_with_workers_of_its_own_runs_there(shop: Shop) -> None:
    for number, kind in enumerate(["browser", "other", "browser"]):
        await shop.queue.add(quick(number, kind=kind))

    own = await shop.worker(slot="worker-browser-1", kinds=("browser",))
    rest = await shop.worker(slot="worker-1", except_kinds=("browser",))

    ran = [(await shop.job_is(job_id, JobStatus.DONE)).worker_id for job_id in (1, 2, 3)]
    assert ran == [own.worker_id, rest.worker_id, own.worker_id]


async def test_next_job_claimed_with_an_end_is_of_the_workers_kinds_too(shop: Shop) -> None:
    for number, kind in enumerate(["browser", "other", "browser"]):
        await shop.queue.add(quick(number, kind=kind))

    await shop.worker(kinds=("browser",), concurrency=1)

    await shop.job_is(3, JobStatus.DONE)
    await shop.look()
    assert (await shop.queue.get(2)).status is JobStatus.PENDING


async def test_paused_jobs_start_as_soon_as_they_are_resumed(shop: Shop) -> None:
    await shop.queue.pause()
    await shop.queue.add(quick(7))
    await shop.worker()
    await until(lambda: shop.clock.looks)
    await shop.look()
    assert (await shop.queue.get(1)).status is JobStatus.PENDING

    started = time.monotonic()
    await shop.queue.resume()
    await until(lambda: shop.rows("SELECT 1 FROM jobs WHERE status <> 'pending'"))

    assert time.monotonic() - started < 0.8  # its own look alone may take two seconds


async def test_job_too_old_to_start_never_reaches_the_model(shop: Shop) -> None:
    await shop.queue.add(quick(7, max_age_s=60))
    await shop.queue.add(quick(8))
    shop.clock.advance(61)

    await shop.worker()

    await shop.job_is(2, JobStatus.DONE)
    assert (await shop.queue.get(1)).error == "expired"
    assert len(shop.claude.requests) == 1
    owed = shop.rows("SELECT payload FROM deliveries WHERE kind = 'failure'")
    assert [json.loads(row["payload"]) for row in owed] == [{"job": 1}]


async def test_many_that_are_too_old_do_not_keep_a_good_job_waiting(shop: Shop) -> None:
    await shop.queue.add_many([quick(number, max_age_s=60) for number in range(50)])
    await shop.queue.add(quick(99))
    shop.clock.advance(61)
    started = time.monotonic()

    await shop.worker()

    await shop.job_is(51, JobStatus.DONE)
    assert time.monotonic() - started < 1.9  # a look of its own alone comes every 2 s


async def test_breaker_of_the_past_lets_an_idle_worker_sleep(shop: Shop) -> None:
    shop.rows(
        "INSERT INTO breakers (name, kind, failures, opened_at, open_until, reason) VALUES"
        " ('host:x', '*', 5, '2026-11-22 07:00:00.000', '2026-11-22 07:01:00.000', 'away')"
    )
    await shop.worker()
    await until(lambda: shop.clock.looks)
    await shop.look()
    before = shop.clock.looks

    await asyncio.sleep(0.3)  # nothing can be polled: it must not happen

    assert shop.clock.looks - before <= 4


# --- time limits ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("limit_s", "ends_s"), [(60.0, 60.0), (None, JOB_TIMEOUT_S)])
async def test_attempt_that_takes_too_long_fails_and_frees_its_place(
    shop: Shop, limit_s: float | None, ends_s: float
) -> None:
    shop.claude.order(Fault(first_token_s=60))
    await shop.queue.add(quick(7, timeout_s=limit_s))
    worker = await shop.worker(concurrency=1)
    (record,) = await shop.asked(1)
    await shop.look()
    await shop.queue.add(quick(8))

    shop.advance(ends_s - 1)
    await shop.look()
    assert (await shop.queue.get(1)).status is JobStatus.RUNNING
    shop.advance(2)

    late = await shop.job_is(1, JobStatus.FAILED)
    assert (late.error, late.attempt, late.failures) == ("timeout", 1, 1)
    await shop.claude.wait_for(lambda _records: record.hung_up, timeout_s=HANG_UP_S)
    assert len(shop.rows("SELECT * FROM deliveries WHERE kind = 'failure'")) == 1
    assert (await shop.job_is(2, JobStatus.DONE)).worker_id == worker.worker_id


@pytest.mark.parametrize(("own_s", "ends_s"), [(None, 60.0), (90.0, 90.0)])
async def test_a_kind_limits_its_jobs_wherever_they_come_from_unless_they_say_more(
    shop: Shop, own_s: float | None, ends_s: float
) -> None:
    """Rows as a schedule, a part of a job or a hand makes them say nothing of it."""
    shop.claude.order(Fault(first_token_s=60))
    slow = 'KIND = Kind(name="slow", description="x", budget=Budget(timeout_s=60))'
    write_kind(shop.folder, f"from bridge.kinds import Budget, Kind\n{slow}\n", name="slow")
    await shop.queue.add(quick(7, kind="slow", timeout_s=own_s))
    await shop.worker()
    await shop.asked(1)

    shop.advance(ends_s - 1)
    await shop.look()
    assert (await shop.queue.get(1)).status is JobStatus.RUNNING
    shop.advance(2)

    assert (await shop.job_is(1, JobStatus.FAILED)).error == "timeout"


async def test_time_counts_for_each_attempt_and_each_job_anew(shop: Shop) -> None:
    """The second job runs in the task of the first: its time begins with its own claim."""
    shop.claude.order(Fault(match="quick job 1", hold="first"))
    shop.claude.order(Fault(match="quick job 2", hold="second"))
    for number in (1, 2):
        await shop.queue.add(quick(number, timeout_s=60))
    await shop.worker(concurrency=1)
    await shop.asked(1)
    shop.advance(50)
    await shop.look()
    shop.claude.release("first")
    await shop.asked(2)

    shop.advance(50)
    await shop.look()
    await shop.look()
    shop.claude.release("second")

    assert (await shop.job_is(2, JobStatus.DONE)).result == "result 2"


async def test_attempt_that_takes_too_long_ends_also_during_a_drain(shop: Shop) -> None:
    shop.claude.order(Fault(first_token_s=60))
    await shop.queue.add(quick(7, timeout_s=10))
    worker = await shop.worker()
    await shop.asked(1)
    await shop.look()
    worker.drain()
    await shop.reads("SELECT state FROM workers", [{"state": "draining"}])

    shop.advance(11)

    await shop.ended(worker)
    assert (await shop.queue.get(1)).error == "timeout"


class Blocking:
    """A model client with a fault: it stops the whole loop for a while, as a bad tool would."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.asked = threading.Event()

    async def stream(self, request: ModelRequest, listener: Listener | None = None) -> ModelReply:
        self.asked.set()
        time.sleep(self.seconds)
        return ModelReply(content=[{"type": "text", "text": "42"}], stop_reason="end_turn")

    async def close(self) -> None:
        """Nothing is open."""


class Neighbour(threading.Thread):
    """Another worker, with a loop of its own, that takes back what it may, until it is stopped."""

    def __init__(self, database: Path) -> None:
        super().__init__(daemon=True)
        self.database = database
        self.over = threading.Event()
        self.took: list[int] = []
        self.looks = 0

    def run(self) -> None:
        asyncio.run(self._take_back())

    async def _take_back(self) -> None:
        store = await Store.open(self.database, self.database.parent / "run")
        queue = Queue(store=store, clock=Clock(), lease_s=1.0)
        while not self.over.wait(0.05):
            self.took += [job.id for job in await queue.rescue("worker-2:1:b")]
            self.looks += 1
        await store.close()


async def test_loop_that_stands_still_for_longer_than_a_lease_costs_no_job(
    tmp_path: Path, store: Store
) -> None:
    clock = Clock()
    queue = Queue(store=store, clock=clock, lease_s=1.0)
    await queue.add(a_job())
    model = Blocking(2.2)
    work = Work(
        queue=queue,
        model=model,
        clock=clock,
        settings=Settings(profile=tmp_path, anthropic_base_url="http://127.0.0.1:9"),
        kinds=Kinds(tmp_path),
    )
    worker = Worker(work=work, slot="worker-1", concurrency=1)
    neighbour = Neighbour(store.path)
    neighbour.start()
    running = asyncio.create_task(worker.run())
    try:
        await until(model.asked.is_set)

        async def done() -> bool:
            return (await queue.get(1)).status is JobStatus.DONE

        await until(done)
    finally:
        worker.drain()
        await running
        neighbour.over.set()
        neighbour.join()
    job = await queue.get(1)
    assert (job.attempt, job.failures, job.result) == (1, 0, "42")
    assert neighbour.took == []
    assert neighbour.looks > 20


# --- the end of one and the claim of the next -----------------------------------------------------


async def test_worker_ends_a_job_and_claims_the_next_in_one_commit(shop: Shop) -> None:
    shop.claude.order(Fault(match="quick job 1", hold="the first"))
    await shop.queue.add_many([quick(number) for number in (1, 2, 3)])
    await shop.worker(concurrency=1)
    await shop.asked(1)
    commits = await watched(shop.stores[0])

    shop.claude.release("the first")
    await shop.job_is(3, JobStatus.DONE)

    ends = [commit for commit in commits if "finish_job" in commit]
    assert ["worker_claimed" in commit for commit in ends] == [True, True, False]
    assert ["head_of_line" in commit for commit in ends] == [True, True, True]
    assert [commit for commit in commits if "worker_claimed" in commit] == ends[:2]


async def test_places_beyond_the_first_are_filled_while_ends_claim_the_next(shop: Shop) -> None:
    await shop.queue.add_many([quick(number) for number in range(20)])

    await shop.worker(concurrency=3)

    for job_id in range(1, 21):
        assert (await shop.job_is(job_id, JobStatus.DONE)).attempt == 1
    assert len(shop.claude.requests) == 20


# --- questions ------------------------------------------------------------------------------------


QUESTION = "Which colour should the fence be?"


def fence(request: Request) -> Reply | None:
    """Three model calls: a step, a question, the answer."""
    if not request.is_worker or "fence" not in request.first_user_text:
        return None
    calls = [
        ToolUse("report_progress", {"step": "measuring", "percent": 20}),
        ToolUse("ask_user", {"question": QUESTION}),
    ]
    done = len(request.all_tool_results)
    if done < len(calls):
        return Reply([Thinking(f"Step {done}."), calls[done]])
    return Reply([Thinking("Good."), Text(f"Painted it {request.all_tool_results[-1].text}.")])


async def asked_about_the_fence(shop: Shop, **worker: Any) -> Worker:
    """A worker whose job, the first one, waits for an answer."""
    shop.claude.script.rules.insert(0, fence)
    await shop.queue.add(a_job(prompt="Paint the fence"))
    made = await shop.worker(**worker)
    await shop.job_is(1, JobStatus.WAITING)
    return made


def questions(shop: Shop) -> int:
    return len(shop.rows("SELECT * FROM deliveries WHERE kind = 'question'"))


async def test_job_that_asks_holds_no_worker_and_goes_on_with_the_answer(shop: Shop) -> None:
    worker = await asked_about_the_fence(shop, concurrency=1)
    waiting = await shop.queue.get(1)
    assert (waiting.question, waiting.worker_id) == (QUESTION, None)
    assert questions(shop) == 1
    assert shop.rows(WORKERS) == [row("worker-1", "idle", 1, 1, 0)]
    await shop.queue.add(quick(8))
    assert (await shop.job_is(2, JobStatus.DONE)).worker_id == worker.worker_id

    await shop.queue.answer(1, "blue")

    done = await shop.job_is(1, JobStatus.DONE)
    assert (done.result, done.attempt, done.failures) == ("Painted it blue.", 2, 0)
    assert questions(shop) == 1
    bodies = [record.body for record in shop.claude.requests]
    assert sum("Paint the fence" in json.dumps(body) for body in bodies) == 3
    steps = shop.rows("SELECT step FROM job_events WHERE event = 'progress'")
    assert steps == [{"step": "measuring"}]
    (result,) = bodies[-1]["messages"][-1]["content"]
    assert (result["type"], result.get("is_error")) == ("tool_result", None)


async def test_worker_may_end_between_the_question_and_the_answer(shop: Shop) -> None:
    first = await asked_about_the_fence(shop)
    first.drain()
    await shop.ended(first)
    assert (await shop.queue.get(1)).status is JobStatus.WAITING

    await shop.queue.answer(1, "green")
    await shop.worker()

    done = await shop.job_is(1, JobStatus.DONE)
    assert (done.result, done.failures) == ("Painted it green.", 0)
    assert len(shop.claude.requests) == 3


async def test_worker_killed_before_its_question_is_stored_asks_it_again_once(shop: Shop) -> None:
    """The call is stored; its effect is not. The model is not asked for it a second time."""
    shop.rows(
        "CREATE TRIGGER fail BEFORE UPDATE OF status ON jobs WHEN NEW.status = 'waiting'"
        " BEGIN SELECT RAISE(ABORT, 'here it dies'); END"
    )
    shop.claude.script.rules.insert(0, fence)
    await shop.queue.add(a_job(prompt="Paint the fence"))
    await shop.worker()
    await shop.job_is(1, JobStatus.SCHEDULED)
    assert questions(shop) == 0
    shop.rows("DROP TRIGGER fail")

    shop.advance(2)

    await shop.job_is(1, JobStatus.WAITING)
    assert questions(shop) == 1
    assert len(shop.claude.requests) == 2
    await shop.queue.answer(1, "red")
    assert (await shop.job_is(1, JobStatus.DONE)).result == "Painted it red."
    assert len(shop.claude.requests) == 3


async def test_worker_killed_with_the_answer_in_its_hands_loses_nothing(shop: Shop) -> None:
    first = await asked_about_the_fence(shop)
    first.drain()
    await shop.ended(first)
    await shop.queue.answer(1, "yellow")
    assert await shop.queue.claim("worker-1:99:dead") is not None

    await shop.worker(slot="worker-1")

    done = await shop.job_is(1, JobStatus.DONE)
    assert (done.result, done.attempt) == ("Painted it yellow.", 3)
    assert questions(shop) == 1
    assert len(shop.claude.requests) == 3


async def test_job_cancelled_while_it_waits_asks_again_when_it_is_retried(shop: Shop) -> None:
    await asked_about_the_fence(shop)

    await shop.queue.cancel(1)
    await shop.look()
    assert (await shop.queue.get(1)).status is JobStatus.CANCELLED
    assert len(shop.claude.requests) == 2
    await shop.queue.retry(1)

    await shop.job_is(1, JobStatus.WAITING)
    assert questions(shop) == 2
    assert len(shop.claude.requests) == 2
    await shop.queue.answer(1, "black")
    assert (await shop.job_is(1, JobStatus.DONE)).result == "Painted it black."


async def test_worker_that_lost_its_job_asks_nothing(shop: Shop) -> None:
    shop.claude.script.rules.insert(0, fence)
    shop.claude.order(Fault(match="Shown to the user", hold="the question"))
    await shop.queue.add(a_job(prompt="Paint the fence"))
    await shop.worker()
    await shop.asked(2)

    shop.rows("UPDATE jobs SET worker_id = 'w9:9:z', attempt = 2")
    shop.claude.release("the question")
    await until(lambda: shop.claude.requests[1].finished)
    await shop.look()

    job = await shop.queue.get(1)
    assert (job.status, job.question) == (JobStatus.RUNNING, None)
    assert questions(shop) == 0


# --- what is in the way ---------------------------------------------------------------------------


async def test_job_claimed_with_an_end_is_given_back_when_the_worker_must_go(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.claude.order(Fault(hold="the answer"))
    worker = await shop.worker(concurrency=1)
    await shop.queue.add(quick(1))
    await shop.asked(1)
    await shop.queue.add(quick(2))
    disk = Disk(monkeypatch)
    disk.ready.clear()
    shop.claude.release("the answer")
    await shop.job_is(2, JobStatus.RUNNING)  # committed; the worker still waits for the disk

    worker.drain()
    worker.drain()
    disk.ready.set()
    await shop.ended(worker)

    first, second = await shop.queue.get(1), await shop.queue.get(2)
    assert (first.status, first.result) == (JobStatus.DONE, "result 1")
    assert (second.status, second.failures) == (JobStatus.PENDING, 0)


async def test_worker_goes_on_when_a_locked_database_is_free_again(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    shop.claude.order(Fault(hold="the answer"))
    await shop.worker(busy_timeout_s=0.05)
    await shop.queue.add(quick(1))
    await shop.asked(1)
    lock = sqlite3.connect(shop.store.path, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")

    shop.advance(11)  # a heartbeat is due
    await until(lambda: "is locked by another program" in caplog.text)
    shop.claude.release("the answer")
    await until(lambda: "The end of job 1 could not be written" in caplog.text)
    lock.execute("ROLLBACK")
    lock.close()

    async def done() -> bool:
        shop.advance(1)
        return (await shop.queue.get(1)).status is JobStatus.DONE

    await until(done, 10)
    assert (await shop.queue.get(1)).failures == 0

"""A worker: what it takes, how a job ends, and what it leaves alone."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Final

import pytest
from fakes import a_job
from waiting import until
from working import STEP, WROTE, Shop, pelicans, quick

from bridge.agent.model import Listener, Reply, Request
from bridge.attempt import CALLS_MAX
from bridge.clock import stamp
from bridge.emulator.claude import ClaudeEmulator
from bridge.emulator.claude_faults import Fault
from bridge.errors import LeaseLost
from bridge.models import JobStatus
from bridge.store import Store

HANG_UP_S: Final = 1.5  # "within a second", and some for a busy machine


@pytest.fixture
async def shop(tmp_path: Path, store: Store) -> AsyncIterator[Shop]:
    claude = ClaudeEmulator()
    await claude.start()
    opened = Shop(tmp_path, store, claude)
    yield opened
    await opened.close()
    await claude.stop()


# --- taking jobs ----------------------------------------------------------------------------------


async def test_job_is_done_and_its_result_is_owed(shop: Shop) -> None:
    job = await shop.queue.add(quick(7))

    worker = await shop.worker()

    done = await shop.job_is(job.id, JobStatus.DONE)
    assert (done.result, done.attempt, done.worker_id) == ("result 7", 1, worker.worker_id)
    owed = shop.rows("SELECT payload FROM deliveries WHERE kind = 'result'")
    assert [json.loads(row["payload"]) for row in owed] == [{"job": job.id}]


async def test_job_that_comes_later_is_taken_at_once(shop: Shop) -> None:
    await shop.worker()
    await until(lambda: shop.clock.looks)
    await shop.look()

    started = time.monotonic()
    await shop.queue.add(quick(7))
    await shop.asked(1)

    assert time.monotonic() - started < 0.8  # its own look alone may take a second


async def test_row_inserted_by_hand_runs(shop: Shop) -> None:
    await shop.worker()
    await until(lambda: shop.clock.looks)

    shop.rows("INSERT INTO jobs (chat_id, prompt) VALUES ('7', 'quick job 7')")

    done = await shop.job_is(1, JobStatus.DONE)
    assert done.result == "result 7"
    assert [row["kind"] for row in shop.rows("SELECT kind FROM deliveries ORDER BY id")] == [
        "card",
        "result",
    ]


async def test_worker_runs_as_many_jobs_as_it_may_and_no_more(shop: Shop) -> None:
    shop.claude.order(Fault(match="quick job", times=3, hold="all three"))
    for number in range(5):
        await shop.queue.add(quick(number))

    await shop.worker(concurrency=3)

    await shop.asked(3)
    await shop.look()
    counts = {job.status: 0 for job in await shop.queue.jobs()}
    for job in await shop.queue.jobs():
        counts[job.status] += 1
    assert counts == {JobStatus.RUNNING: 3, JobStatus.PENDING: 2}
    assert len(shop.claude.requests) == 3
    shop.claude.release("all three")
    for job_id in range(1, 6):
        await shop.job_is(job_id, JobStatus.DONE)


async def test_two_workers_share_the_work_and_never_a_job(shop: Shop) -> None:
    for number in range(12):
        await shop.queue.add(quick(number))

    await shop.worker(slot="worker-1", concurrency=2)
    await shop.worker(slot="worker-2", concurrency=2)

    for job_id in range(1, 13):
        done = await shop.job_is(job_id, JobStatus.DONE)
        assert done.attempt == 1
    assert len(shop.claude.requests) == 12


async def test_scheduled_job_runs_when_its_time_has_come(shop: Shop) -> None:
    await shop.worker()
    job = await shop.queue.add(quick(7, run_at=stamp(shop.clock.now().replace(hour=9))))
    await shop.look()
    assert (await shop.queue.get(job.id)).status is JobStatus.SCHEDULED

    shop.advance(2 * 3600)

    await shop.job_is(job.id, JobStatus.DONE)


async def test_idle_worker_writes_nothing(shop: Shop) -> None:
    await shop.worker()
    await until(lambda: shop.clock.looks)
    other = await Store.open(shop.store.path, shop.store.path.parent / "run")
    try:
        before = await other.data_version()
        looks = shop.clock.looks

        await until(lambda: shop.clock.looks >= looks + 2, 15)

        assert await other.data_version() == before
    finally:
        await other.close()


# --- leases ---------------------------------------------------------------------------------------


async def test_lease_is_extended_while_a_job_runs(shop: Shop) -> None:
    shop.claude.order(Fault(hold="the work"))
    await shop.queue.add(quick(7))
    await shop.worker()
    await shop.asked(1)

    for _ in range(6):  # a minute, twice the lease
        shop.advance(11)
        lease = [{"lease_until": shop.clock.monotonic() + 30}]
        await shop.reads("SELECT lease_until FROM jobs", lease)

    shop.claude.release("the work")
    assert (await shop.job_is(1, JobStatus.DONE)).attempt == 1


async def test_job_of_a_dead_predecessor_in_the_slot_is_taken_at_once(shop: Shop) -> None:
    await shop.queue.add(quick(7))
    await shop.queue.claim("worker-1:99:dead")

    await shop.worker(slot="worker-1")

    done = await shop.job_is(1, JobStatus.DONE)
    assert (done.attempt, done.failures) == (2, 1)


async def test_job_of_another_slot_is_left_alone_until_its_lease_is_over(shop: Shop) -> None:
    await shop.queue.add(quick(7))
    await shop.queue.claim("worker-2:99:frozen")
    await shop.worker(slot="worker-1")
    await until(lambda: shop.clock.looks)
    await shop.look()
    assert (await shop.queue.get(1)).worker_id == "worker-2:99:frozen"

    shop.advance(31)

    assert (await shop.job_is(1, JobStatus.DONE)).attempt == 2


async def test_worker_that_lost_its_lease_writes_nothing(shop: Shop) -> None:
    shop.claude.script.rules.insert(0, pelicans)
    shop.claude.order(Fault(match="Shown to the user", hold="the second step"))
    await shop.queue.add(a_job(prompt="Count the pelicans"))
    await shop.worker()
    await shop.asked(2)
    before = shop.rows("SELECT * FROM messages")

    shop.rows("UPDATE jobs SET worker_id = 'w9:9:z', attempt = 2")
    shop.claude.release("the second step")

    await until(lambda: shop.claude.requests[1].finished)
    await shop.look()
    assert (await shop.queue.get(1)).worker_id == "w9:9:z"
    assert shop.rows("SELECT * FROM messages") == before
    assert not (shop.settings.jobs_dir).exists()
    assert len(shop.claude.requests) == 2


async def test_answer_of_a_worker_that_lost_its_lease_is_dropped(shop: Shop) -> None:
    shop.claude.order(Fault(hold="the work"))
    await shop.queue.add(quick(7))
    await shop.worker()
    await shop.asked(1)

    shop.rows("UPDATE jobs SET worker_id = 'w9:9:z', attempt = 2")
    shop.claude.release("the work")

    await until(lambda: shop.claude.requests[0].finished)
    await shop.look()
    job = await shop.queue.get(1)
    assert (job.status, job.worker_id, job.result) == (JobStatus.RUNNING, "w9:9:z", None)
    assert shop.rows("SELECT * FROM messages WHERE conversation = 'job:1'") == []
    assert shop.rows("SELECT * FROM deliveries WHERE kind = 'result'") == []


# --- cancelling -----------------------------------------------------------------------------------


async def _cancel(shop: Shop) -> None:
    await shop.queue.cancel(1)


async def _update(shop: Shop) -> None:
    shop.rows("UPDATE jobs SET status = 'cancelled' WHERE id = 1")


@pytest.mark.parametrize("cancel", [_cancel, _update], ids=["by the queue", "by hand"])
async def test_cancelled_job_hangs_up_within_a_second(
    shop: Shop, cancel: Callable[[Shop], Any]
) -> None:
    shop.claude.order(Fault(first_token_s=60))
    await shop.queue.add(quick(7))
    worker = await shop.worker()
    (record,) = await shop.asked(1)
    await shop.look()  # its lease is extended: that alone would not come again for 10 s

    await cancel(shop)

    await shop.claude.wait_for(lambda _records: record.hung_up, timeout_s=HANG_UP_S)
    assert (await shop.queue.get(1)).status is JobStatus.CANCELLED
    assert shop.rows("SELECT * FROM messages WHERE conversation = 'job:1'") == []
    await shop.queue.add(quick(8))
    done = await shop.job_is(2, JobStatus.DONE)  # and its place is free
    assert done.worker_id == worker.worker_id


async def test_cancelling_one_job_leaves_the_other(shop: Shop) -> None:
    shop.claude.order(Fault(match="quick job", times=2, hold="both"))
    await shop.queue.add(quick(7))
    await shop.queue.add(quick(8))
    await shop.worker()
    await shop.asked(2)

    await shop.queue.cancel(1)
    await until(lambda: any(record.hung_up for record in shop.claude.requests))
    shop.claude.release("both")

    assert (await shop.job_is(2, JobStatus.DONE)).attempt == 1


# --- draining -------------------------------------------------------------------------------------


async def test_draining_worker_finishes_what_it_has_and_takes_nothing_new(shop: Shop) -> None:
    shop.claude.order(Fault(hold="the work"))
    await shop.queue.add(quick(7))
    worker = await shop.worker(concurrency=1)
    await shop.asked(1)
    await shop.queue.add(quick(8))

    worker.drain()
    shop.claude.release("the work")
    await shop.ended(worker)

    assert [job.status for job in await shop.queue.jobs()] == [JobStatus.PENDING, JobStatus.DONE]


async def test_job_given_back_by_a_drain_goes_on_from_its_last_finished_step(shop: Shop) -> None:
    shop.claude.script.rules.insert(0, pelicans)
    shop.claude.order(Fault(match=WROTE, first_token_s=60))
    await shop.queue.add(a_job(prompt="Count the pelicans"))
    first = await shop.worker()
    await shop.asked(3)

    looks = shop.clock.looks
    first.drain()
    await until(lambda: shop.clock.looks >= looks + 3)  # it has noted when it began
    shop.clock.advance(21)  # the patience of a drain
    await shop.ended(first)

    job = await shop.queue.get(1)
    assert (job.status, job.failures, job.worker_id) == (JobStatus.PENDING, 0, None)
    assert (job.step, job.progress) == (STEP, 50)
    await shop.worker(slot="worker-2")
    done = await shop.job_is(1, JobStatus.DONE)
    assert (done.result, done.attempt) == ("There are 42 pelicans.", 2)
    assert len(shop.claude.requests) == 4  # only the one that was cut is asked again
    assert [record.status for record in shop.claude.requests] == [200] * 4
    steps = shop.rows("SELECT attempt FROM job_events WHERE event = 'progress'")
    assert steps == [{"attempt": 1}]


async def test_job_cancelled_during_a_drain_hangs_up_too(shop: Shop) -> None:
    shop.claude.order(Fault(first_token_s=60))
    await shop.queue.add(quick(7))
    worker = await shop.worker()
    (record,) = await shop.asked(1)
    await shop.look()

    worker.drain()
    await shop.queue.cancel(1)

    await shop.claude.wait_for(lambda _records: record.hung_up, timeout_s=HANG_UP_S)
    await shop.ended(worker)
    assert (await shop.queue.get(1)).status is JobStatus.CANCELLED


async def test_second_drain_gives_back_at_once(shop: Shop) -> None:
    shop.claude.order(Fault(first_token_s=60))
    await shop.queue.add(quick(7))
    worker = await shop.worker()
    await shop.asked(1)

    worker.drain()
    worker.drain()

    await asyncio.wait_for(shop.ended(worker), 2)
    assert (await shop.queue.get(1)).status is JobStatus.PENDING


async def test_resumed_job_keeps_the_prompt_and_the_tools_it_began_with(shop: Shop) -> None:
    """Its stored thoughts are valid only under the same ones."""
    shop.claude.script.rules.insert(0, pelicans)
    shop.claude.order(Fault(match=WROTE, first_token_s=60))
    await shop.queue.add(a_job(prompt="Count the pelicans"))
    first = await shop.worker()
    await shop.asked(3)
    first.drain()
    first.drain()
    await shop.ended(first)

    (shop.folder / "KITT.md").write_text("You are somebody else now.")
    await shop.worker(slot="worker-2")

    await shop.job_is(1, JobStatus.DONE)
    bodies = [record.body for record in shop.claude.requests]
    assert {json.dumps([body["system"], body["tools"]]) for body in bodies} == {
        json.dumps([bodies[0]["system"], bodies[0]["tools"]])
    }


# --- failing --------------------------------------------------------------------------------------


async def test_job_waits_visibly_while_the_provider_is_away(shop: Shop) -> None:
    shop.claude.order(Fault(status=529, retry_after_s=90))
    await shop.queue.add(quick(7))
    await shop.worker()

    job = await shop.job_is(1, JobStatus.SCHEDULED)

    assert job.run_at == "2026-11-22 07:31:30.000"
    assert (job.failures, job.worker_id) == (0, None)
    shop.advance(91)
    assert (await shop.job_is(1, JobStatus.DONE)).result == "result 7"


async def test_provider_that_stays_away_is_asked_less_and_less_often(shop: Shop) -> None:
    shop.claude.order(Fault(status=500, times=7))
    await shop.queue.add(quick(7))
    await shop.worker()

    waits = []
    for _ in range(7):
        job = await shop.job_is(1, JobStatus.SCHEDULED)
        now = stamp(shop.clock.now())
        assert job.run_at is not None
        seconds = 60 * (int(job.run_at[14:16]) - int(now[14:16])) + float(job.run_at[17:])
        waits.append(round(seconds - float(now[17:])))
        shop.advance(waits[-1])
        await shop.asked(len(waits) + 1)

    assert waits == [2, 4, 8, 16, 32, 60, 60]
    assert (await shop.job_is(1, JobStatus.DONE)).failures == 0


async def test_wait_for_the_provider_keeps_the_step_that_was_reported(shop: Shop) -> None:
    shop.claude.script.rules.insert(0, pelicans)
    shop.claude.order(Fault(match="Shown to the user", status=529))
    await shop.queue.add(a_job(prompt="Count the pelicans"))
    await shop.worker()

    job = await shop.job_is(1, JobStatus.SCHEDULED)

    assert (job.step, job.progress) == (STEP, 50)


async def test_wrong_key_fails_the_job_for_good(shop: Shop) -> None:
    await shop.queue.add(quick(7))

    await shop.worker(key="sk-ant-wrong-00000000")

    job = await shop.job_is(1, JobStatus.FAILED)
    assert job.error is not None
    assert job.error.startswith("model_refused: ")
    assert job.attempt == 1
    assert len(shop.rows("SELECT * FROM deliveries WHERE kind = 'failure'")) == 1


async def test_refusal_fails_the_job_for_good(shop: Shop) -> None:
    shop.claude.order(Fault(outcome="refusal"))
    await shop.queue.add(quick(7))

    await shop.worker()

    job = await shop.job_is(1, JobStatus.FAILED)
    assert job.error == "refused: The emulator was told to refuse this request."
    assert job.attempt == 1


async def test_unexpected_error_is_tried_three_times_with_pauses(shop: Shop) -> None:
    job = await shop.queue.add(quick(7))
    shop.rows("INSERT INTO conversations (name, frozen) VALUES ('job:1', 'not JSON')")
    await shop.worker()

    for failures, pause_s in ((1, 2), (2, 4)):
        job = await shop.job_is(1, JobStatus.SCHEDULED)
        assert (job.failures, job.error) == (failures, "error: JSONDecodeError")
        shop.advance(pause_s - 1)
        await shop.look()
        assert (await shop.queue.get(1)).status is JobStatus.SCHEDULED
        shop.advance(1)
        await shop.reads("SELECT failures FROM jobs", [{"failures": failures + 1}])

    job = await shop.job_is(1, JobStatus.FAILED)
    assert (job.failures, job.error) == (3, "error: JSONDecodeError")
    assert shop.claude.requests == []


async def test_job_that_never_comes_to_an_end_reaches_its_limit(shop: Shop) -> None:
    shop.claude.order(Fault(times=1_000, outcome="max_tokens"))
    await shop.queue.add(quick(7))

    await shop.worker()

    job = await shop.job_is(1, JobStatus.FAILED)
    assert (job.error, job.attempt) == ("limit", 1)
    assert len(shop.claude.requests) == CALLS_MAX + 1


# --- results --------------------------------------------------------------------------------------


class Verbose:
    """A provider that answers with 10 MB."""

    async def stream(self, request: Request, listener: Listener | None = None) -> Reply:
        text = "".join(str(block["text"]) for block in request.messages[0]["content"])
        return Reply(content=[{"type": "text", "text": text * 500_000}], stop_reason="end_turn")

    async def close(self) -> None:
        """Nothing is open."""


async def test_result_of_ten_megabytes_is_stored_whole(shop: Shop) -> None:
    await shop.queue.add(a_job(prompt="ten megabytes of ëé"))

    await shop.worker(model=Verbose())

    job = await shop.job_is(1, JobStatus.DONE)
    assert job.result == "ten megabytes of ëé" * 500_000


async def test_files_of_a_job_go_out_with_its_result(shop: Shop) -> None:
    job = await shop.queue.add(a_job(prompt="Write a report about herons"))

    await shop.worker()

    await shop.job_is(job.id, JobStatus.DONE)
    assert [row["name"] for row in shop.rows("SELECT name FROM job_files")] == ["report.md"]
    assert (shop.settings.jobs_dir / "1" / "report.md").read_text()


async def test_late_words_of_a_former_holder_are_refused(shop: Shop) -> None:
    """What the loop's guard rests on."""
    await shop.queue.add(quick(7))
    job = await shop.queue.claim("worker-9:1:a")
    assert job is not None
    await shop.worker(slot="worker-9")
    await shop.job_is(1, JobStatus.DONE)

    with pytest.raises(LeaseLost):
        await shop.queue.finish(job, "too late")


@pytest.mark.parametrize(
    "row",
    [
        "('7', CAST(x'71ff41' AS TEXT), 'pending', NULL)",  # text of another encoding
        "(x'37', x'71ff41', 'pending', NULL)",  # blobs
        "('7', 'quick job 3', 'scheduled', 'tomorrow')",  # a time that never comes
        "('7', 'quick job 3', 'scheduled', NULL)",
    ],
)
async def test_an_odd_row_made_by_hand_ends_and_stops_no_other(shop: Shop, row: str) -> None:
    await shop.worker()

    shop.rows(f"INSERT INTO jobs (chat_id, prompt, status, run_at) VALUES {row}")
    shop.rows("INSERT INTO jobs (chat_id, prompt) VALUES ('7', 'quick job 7')")

    await shop.job_is(1, JobStatus.DONE)
    assert (await shop.job_is(2, JobStatus.DONE)).result == "result 7"

"""What the queue promises about the ends of a job, and about what follows them.

As in test_queue_contract.py, every check takes a queue and a clock and nothing else.
"""

import json
import sqlite3
from datetime import timedelta
from typing import Any

import pytest
from fakes import START, FakeClock, a_job, claimed, shell

from bridge.clock import moment, stamp
from bridge.errors import JobNotFound, JobRefused
from bridge.models import Artifact, Job, JobStatus
from bridge.queue import Queue

A, B = "w1:11:a", "w2:22:b"


def owed(queue: Queue, kind: str) -> list[dict[str, Any]]:
    """What the deliveries of one kind carry, oldest first."""
    sql = "SELECT payload FROM deliveries WHERE kind = :kind ORDER BY id"
    return [json.loads(row["payload"]) for row in shell(queue.store.path, sql, kind=kind)]


async def status(queue: Queue, job: Job) -> JobStatus:
    """Where the job stands now."""
    return (await queue.get(job.id)).status


async def failed(queue: Queue, **changes: Any) -> Job:
    """A job that failed for good."""
    return await queue.fail(await claimed(queue, A, **changes), "boom", again=False)


# --- finish ---------------------------------------------------------------------------------------


async def test_finished_job_has_its_result_and_owes_it_once(queue: Queue, clock: FakeClock) -> None:
    job = await claimed(queue, A)
    clock.advance(8)

    done = await queue.finish(job, "forty-two \x00\ud83e")

    assert done == await queue.get(job.id)
    assert (done.status, done.result, done.progress) == (JobStatus.DONE, "forty-two ?", 100)
    assert done.completed_at == stamp(clock.now())
    assert owed(queue, "result") == [{"job": job.id}]


async def test_success_after_a_failure_leaves_no_error(queue: Queue, clock: FakeClock) -> None:
    await queue.fail(await claimed(queue, A), "boom")
    clock.advance(2)
    again = await queue.claim(A)
    assert again is not None

    done = await queue.finish(again, "42")

    assert done.error is None


async def test_files_come_with_the_result(queue: Queue, clock: FakeClock) -> None:
    job = await claimed(queue, A)
    chart = Artifact(path="chart.png", name="Chart \ud83e.png", caption="half an emoji \ud83e")

    await queue.finish(job, "42", [chart, Artifact(path="b.csv", name="b.csv"), chart])

    files = await queue.store.read(lambda tx: tx.all("files_of", job_id=job.id))
    assert [tuple(file) for file in files] == [
        ("chart.png", "Chart ?.png", "half an emoji ?"),
        ("b.csv", "b.csv", ""),
    ]


async def test_result_and_delivery_commit_together_or_not_at_all(
    queue: Queue, clock: FakeClock
) -> None:
    job = await claimed(queue, A)
    no_path: Any = None

    with pytest.raises(sqlite3.IntegrityError):
        await queue.finish(job, "42", [Artifact(path=no_path, name="broken")])

    assert await status(queue, job) is JobStatus.RUNNING
    assert owed(queue, "result") == []
    await queue.finish(job, "42")
    assert owed(queue, "result") == [{"job": job.id}]


async def test_callers_effect_rolls_back_with_the_finish(queue: Queue, clock: FakeClock) -> None:
    job = await claimed(queue, A)

    with pytest.raises(ZeroDivisionError):
        await queue.store.write(lambda tx: (queue.finish_in(tx, job, "42"), 1 // 0))

    assert await status(queue, job) is JobStatus.RUNNING
    assert owed(queue, "result") == []


# --- progress -------------------------------------------------------------------------------------


async def test_progress_is_kept_and_an_unknown_percentage_changes_nothing(
    queue: Queue, clock: FakeClock
) -> None:
    job = await claimed(queue, A)

    await queue.progress(job, 40, "half of it \ud83e")
    await queue.progress(job, None, "x" * 500)

    now = await queue.get(job.id)
    assert now.progress == 40
    assert now.step == "x" * 200


# --- fail -----------------------------------------------------------------------------------------


async def test_failures_wait_two_four_and_eight_seconds(queue: Queue, clock: FakeClock) -> None:
    await queue.add(a_job(max_attempts=4))
    waits = []

    for _ in range(3):
        job = await queue.claim(A)
        assert job is not None
        retry = await queue.fail(job, "boom")
        assert retry.status is JobStatus.SCHEDULED
        assert retry.run_at is not None
        wait_s = (moment(retry.run_at) - clock.now()).total_seconds()
        clock.advance(wait_s - 0.01)
        assert await queue.claim(A) is None
        clock.advance(0.01)
        waits.append(wait_s)

    assert waits == [2, 4, 8]
    assert owed(queue, "failure") == []


async def test_jitter_makes_the_wait_a_quarter_longer(queue: Queue, clock: FakeClock) -> None:
    jittery = Queue(store=queue.store, clock=clock, jitter=lambda: 1.0)

    retry = await jittery.fail(await claimed(queue, A), "boom")

    assert retry.run_at == stamp(START + timedelta(seconds=2.5))


async def test_third_failure_is_final_and_owes_one_message(queue: Queue, clock: FakeClock) -> None:
    job = await queue.add(a_job())
    for _ in range(3):
        running = await queue.claim(A)
        assert running is not None
        last = await queue.fail(running, "boom: \ud83e")
        clock.advance(60)

    assert (last.status, last.failures, last.attempt) == (JobStatus.FAILED, 3, 3)
    assert (last.error, last.run_at) == ("boom: ?", None)
    assert last.completed_at is not None
    assert await queue.claim(A) is None
    assert owed(queue, "failure") == [{"job": job.id}]
    assert owed(queue, "result") == []


async def test_failure_that_waiting_does_not_mend_is_final_at_once(
    queue: Queue, clock: FakeClock
) -> None:
    job = await failed(queue)

    assert (job.status, job.failures) == (JobStatus.FAILED, 1)
    assert owed(queue, "failure") == [{"job": job.id}]


async def test_job_that_may_fail_a_thousand_times_still_can(queue: Queue, clock: FakeClock) -> None:
    sql = (
        "INSERT INTO jobs (chat_id, prompt, failures, max_attempts) VALUES ('7', 'Sing', 998, 1000)"
    )
    shell(queue.store.path, sql)
    job = await queue.claim(A)
    assert job is not None

    retry = await queue.fail(job, "boom")

    assert retry.status is JobStatus.SCHEDULED


# --- give back ------------------------------------------------------------------------------------


async def test_drained_job_is_pending_again_and_counts_no_failure(
    queue: Queue, clock: FakeClock
) -> None:
    job = await claimed(queue, A, max_attempts=1)
    for _ in range(5):
        await queue.give_back(job, step="stopped \ud83e")
        back = await queue.get(job.id)
        assert (back.status, back.failures, back.worker_id) == (JobStatus.PENDING, 0, None)
        assert back.step == "stopped ?"
        again = await queue.claim(B)
        assert again is not None
        job = again

    assert job.attempt == 6


async def test_job_given_back_for_a_while_waits_so_long(queue: Queue, clock: FakeClock) -> None:
    job = await claimed(queue, A)

    await queue.give_back(job, wait_s=60)

    clock.advance(59)
    assert await queue.claim(A) is None
    clock.advance(1)
    again = await queue.claim(A)
    assert again is not None
    assert again.failures == 0


# --- cancel ---------------------------------------------------------------------------------------


async def test_cancelled_job_is_never_claimed(queue: Queue, clock: FakeClock) -> None:
    job = await queue.add(a_job())

    cancelled = await queue.cancel(job.id)

    assert cancelled.status is JobStatus.CANCELLED
    assert cancelled.completed_at == stamp(clock.now())
    assert await queue.claim(A) is None


async def test_job_for_later_can_be_cancelled(queue: Queue, clock: FakeClock) -> None:
    job = await queue.add(a_job(run_at="2026-11-22 08:30:00.000"))

    await queue.cancel(job.id)

    clock.advance(7200)
    assert await queue.claim(A) is None


async def test_cancel_leaves_a_done_job_as_it_is(queue: Queue, clock: FakeClock) -> None:
    done = await queue.finish(await claimed(queue, A), "42")
    clock.advance(1)

    assert await queue.cancel(done.id) == done
    assert await queue.get(done.id) == done


async def test_cancel_leaves_a_failed_job_as_it_is(queue: Queue, clock: FakeClock) -> None:
    job = await failed(queue)

    assert await queue.cancel(job.id) == job


# --- retry ----------------------------------------------------------------------------------------


async def test_failed_job_runs_again_with_all_its_attempts(queue: Queue, clock: FakeClock) -> None:
    job = await failed(queue, max_attempts=2)

    again = await queue.retry(job.id)

    assert (again.status, again.failures, again.attempt) == (JobStatus.PENDING, 0, 1)
    assert [again.error, again.result, again.completed_at, again.started_at] == [None] * 4
    running = await queue.claim(B)
    assert running is not None
    assert running.attempt == 2
    assert (await queue.fail(running, "boom")).status is JobStatus.SCHEDULED


async def test_second_end_of_a_retried_job_is_told_too(queue: Queue, clock: FakeClock) -> None:
    job = await failed(queue)
    await queue.retry(job.id)
    running = await queue.claim(A)
    assert running is not None
    await queue.fail(running, "boom", again=False)

    assert owed(queue, "failure") == [{"job": job.id}] * 2


async def test_cancelled_job_can_be_run_again(queue: Queue, clock: FakeClock) -> None:
    job = await claimed(queue, A)
    await queue.cancel(job.id)

    assert (await queue.retry(job.id)).status is JobStatus.PENDING


async def test_retry_leaves_a_done_job_as_it_is(queue: Queue, clock: FakeClock) -> None:
    done = await queue.finish(await claimed(queue, A), "42")
    clock.advance(1)

    assert await queue.retry(done.id) == done
    assert await queue.get(done.id) == done


async def test_retry_leaves_a_job_that_goes_on_as_it_is(queue: Queue, clock: FakeClock) -> None:
    running = await claimed(queue, A)
    pending = await queue.add(a_job())

    assert await queue.retry(running.id) == running
    assert await queue.retry(pending.id) == pending
    assert await queue.held(A) == {(running.id, 1)}


async def test_retry_opens_the_card_again(queue: Queue, clock: FakeClock) -> None:
    job = await failed(queue)
    await queue.store.write(
        lambda tx: tx.run("insert_card", job_id=job.id, message_id=5, shown="failed", final=1)
    )

    await queue.retry(job.id)

    assert shell(queue.store.path, "SELECT final FROM cards") == [{"final": 0}]


async def test_retry_is_refused_while_another_job_has_the_unique_key(
    queue: Queue, clock: FakeClock
) -> None:
    job = await failed(queue, unique_key="daily")
    twin = await queue.add(a_job(unique_key="daily"))

    with pytest.raises(JobRefused, match=f"Job {twin.id} does the same"):
        await queue.retry(job.id)

    await queue.cancel(twin.id)
    assert (await queue.retry(job.id)).status is JobStatus.PENDING


# --- jobs that wait for others --------------------------------------------------------------------


async def test_job_waits_until_all_its_parents_are_done(queue: Queue, clock: FakeClock) -> None:
    first = await claimed(queue, A)
    second = await claimed(queue, A)
    child = await queue.add(a_job(after=(first.id, second.id, first.id)))

    assert child.status is JobStatus.BLOCKED
    assert await queue.claim(A) is None
    await queue.finish(first, "1")
    assert await status(queue, child) is JobStatus.BLOCKED
    await queue.finish(second, "2")
    taken = await queue.claim(A)
    assert taken is not None
    assert taken.id == child.id


async def test_parents_that_are_done_block_nothing(queue: Queue, clock: FakeClock) -> None:
    parent = await queue.finish(await claimed(queue, A), "1")

    child = await queue.add(a_job(after=(parent.id,)))

    assert child.status is JobStatus.PENDING


async def test_unblocked_job_still_waits_for_its_time(queue: Queue, clock: FakeClock) -> None:
    parent = await claimed(queue, A)
    child = await queue.add(a_job(after=(parent.id,), run_at="2026-11-22 08:30:00.000"))

    await queue.finish(parent, "1")

    assert await status(queue, child) is JobStatus.SCHEDULED
    clock.advance(3600)
    taken = await queue.claim(A)
    assert taken is not None
    assert taken.id == child.id


@pytest.mark.parametrize("end", ["failed", "cancelled"])
async def test_nothing_can_wait_for_a_job_that_ended_badly(
    queue: Queue, clock: FakeClock, end: str
) -> None:
    parent = await failed(queue) if end == "failed" else await queue.add(a_job())
    await queue.cancel(parent.id)

    with pytest.raises(JobRefused, match=f"Job {parent.id} is {end}: nothing can wait"):
        await queue.add(a_job(after=(parent.id,)))

    assert len(await queue.jobs()) == 1


@pytest.mark.parametrize("unknown", [99, 0, -1, 2**63, 10**30])
async def test_nothing_can_wait_for_a_job_that_does_not_exist(
    queue: Queue, clock: FakeClock, unknown: int
) -> None:
    with pytest.raises(JobRefused, match=f"There is no job {unknown} to wait for"):
        await queue.add(a_job(after=(unknown,)))

    assert await queue.jobs() == []


async def test_cancel_of_a_parent_ends_the_jobs_that_wait_for_it(
    queue: Queue, clock: FakeClock
) -> None:
    parent = await queue.add(a_job())
    other_parent = await queue.add(a_job())
    child = await queue.add(a_job(after=(parent.id, other_parent.id)))
    grandchild = await queue.add(a_job(after=(child.id,)))

    await queue.cancel(parent.id)

    assert await status(queue, child) is JobStatus.CANCELLED
    assert await status(queue, grandchild) is JobStatus.CANCELLED
    assert await status(queue, other_parent) is JobStatus.PENDING


async def test_final_failure_of_a_parent_ends_the_jobs_that_wait_for_it(
    queue: Queue, clock: FakeClock
) -> None:
    parent = await claimed(queue, A, max_attempts=2)
    child = await queue.add(a_job(after=(parent.id,)))

    await queue.fail(parent, "boom")
    assert await status(queue, child) is JobStatus.BLOCKED

    clock.advance(2)
    again = await queue.claim(A)
    assert again is not None
    await queue.fail(again, "boom")
    assert await status(queue, child) is JobStatus.CANCELLED


@pytest.mark.parametrize(("end", "follows"), [("cancelled", "cancelled"), ("done", "pending")])
async def test_end_of_a_parent_made_by_hand_reaches_the_jobs_that_wait_for_it(
    queue: Queue, clock: FakeClock, end: str, follows: str
) -> None:
    parent = await queue.add(a_job())
    child = await queue.add(a_job(after=(parent.id,)))
    sql = "UPDATE jobs SET status = :end WHERE id = :id"
    shell(queue.store.path, sql, end=end, id=parent.id)

    assert await queue.rescue(A) == []

    assert await status(queue, child) == follows


async def test_child_of_a_parent_ended_by_hand_still_waits_for_its_time(
    queue: Queue, clock: FakeClock
) -> None:
    parent = await queue.add(a_job())
    child = await queue.add(a_job(after=(parent.id,), run_at="2026-11-22 08:30:00.000"))
    shell(queue.store.path, "UPDATE jobs SET status = 'done' WHERE id = :id", id=parent.id)

    await queue.rescue(A)

    assert await status(queue, child) is JobStatus.SCHEDULED


async def test_retried_job_waits_for_its_parents_again(queue: Queue, clock: FakeClock) -> None:
    parent = await claimed(queue, A)
    child = await queue.add(a_job(after=(parent.id,)))
    await queue.cancel(child.id)

    assert (await queue.retry(child.id)).status is JobStatus.BLOCKED

    await queue.finish(parent, "1")
    assert await status(queue, child) is JobStatus.PENDING


# --- looking --------------------------------------------------------------------------------------


async def test_job_of_another_chat_is_not_found(queue: Queue, clock: FakeClock) -> None:
    job = await failed(queue, chat_id="8")

    for act in (queue.get, queue.cancel, queue.retry):
        with pytest.raises(JobNotFound, match=f"There is no job {job.id}"):
            await act(job.id, chat_id="7")

    assert await queue.get(job.id, chat_id="8") == job


@pytest.mark.parametrize("unknown", [99, 0, -1, 2**63, 10**30])
async def test_job_that_does_not_exist_is_not_found(
    queue: Queue, clock: FakeClock, unknown: int
) -> None:
    for act in (queue.get, queue.cancel, queue.retry):
        with pytest.raises(JobNotFound):
            await act(unknown)


async def test_jobs_are_listed_newest_first_and_by_chat_and_status(
    queue: Queue, clock: FakeClock
) -> None:
    for chat_id in ("7", "8", "7", "7"):
        await queue.add(a_job(chat_id=chat_id))
    await queue.cancel(3)
    ended = [JobStatus.CANCELLED, JobStatus.DONE]

    assert [job.id for job in await queue.jobs()] == [4, 3, 2, 1]
    assert [job.id for job in await queue.jobs(chat_id="7")] == [4, 3, 1]
    assert [job.id for job in await queue.jobs(chat_id="7", limit=1, offset=1)] == [3]
    assert [job.id for job in await queue.jobs(statuses=ended)] == [3]
    assert [job.id for job in await queue.jobs(statuses=[JobStatus.PENDING])] == [4, 2, 1]

"""What the queue promises while a job lives: claiming, leases, and the fence.

Every check takes a queue and a clock and nothing else, so that test_queue_mutants.py can run it
against a queue whose statements are broken on purpose.
"""

import asyncio
import json
import sqlite3
import sys
import threading
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from fakes import FakeClock, OpenStore, a_job, claimed, everything, finish_and_claim, shell
from waiting import until

from bridge.errors import LeaseLost
from bridge.models import Job, JobStatus
from bridge.queue import Queue
from bridge.store import Tx

CLAIM_ALL = Path(__file__).with_name("claim_all.py")
A, B = "w1:11:a", "w2:22:b"

Action = Callable[[Queue, Job], Awaitable[object]]
LATE_ACTIONS: dict[str, Action] = {
    "finish": lambda queue, job: queue.finish(job, "late"),
    "finish and claim": lambda queue, job: finish_and_claim(queue, job, "late", A),
    "ask": lambda queue, job: queue.ask(job, "late?"),
    "fail": lambda queue, job: queue.fail(job, "late"),
    "fail for good": lambda queue, job: queue.fail(job, "late", again=False),
    "progress": lambda queue, job: queue.progress(job, 99, "late"),
    "require": lambda queue, job: queue.store.write(lambda tx: queue.require(tx, job)),
}


def bytes_on_disk(queue: Queue) -> tuple[bytes, bytes]:
    """The database and its log, whole."""
    return queue.store.path.read_bytes(), Path(f"{queue.store.path}-wal").read_bytes()


# --- claiming -------------------------------------------------------------------------------------


async def test_claim_takes_the_most_urgent_then_the_oldest(queue: Queue, clock: FakeClock) -> None:
    for number, priority in enumerate([0, 5, -1, 5, 0], 1):
        await queue.add(a_job(prompt=str(number), priority=priority))

    taken = [await queue.claim(A) for _ in range(6)]

    assert [job and job.prompt for job in taken] == ["2", "4", "1", "5", "3", None]


async def test_claim_raises_the_attempt_and_keeps_the_first_start(
    queue: Queue, clock: FakeClock
) -> None:
    first = await claimed(queue, A)
    await queue.give_back(first)
    clock.advance(5)

    second = await queue.claim(B)

    assert second is not None
    assert (first.attempt, first.worker_id) == (1, A)
    assert (second.attempt, second.worker_id) == (2, B)
    assert second.started_at == first.started_at


async def test_job_is_claimed_once(queue: Queue, clock: FakeClock) -> None:
    await queue.add(a_job())

    both = await asyncio.gather(queue.claim(A), queue.claim(B))

    assert [job is None for job in both].count(True) == 1


async def test_idle_worker_writes_nothing(queue: Queue, clock: FakeClock) -> None:
    done = await claimed(queue)
    await queue.finish(done, "42")
    await queue.add(a_job(run_at="2026-11-22 08:30:00.000"))
    onlooker = sqlite3.connect(queue.store.path)
    version = onlooker.execute("PRAGMA data_version").fetchone()
    before = bytes_on_disk(queue)

    assert await queue.claim(A) is None
    assert await queue.rescue(A) == []
    assert await queue.held(A) == set()
    assert await queue.heartbeat(A) == set()

    assert bytes_on_disk(queue) == before
    assert onlooker.execute("PRAGMA data_version").fetchone() == version
    onlooker.close()


async def test_idle_worker_waits_for_no_writer(
    queue: Queue, clock: FakeClock, open_store: OpenStore
) -> None:
    other = await open_store()
    inside, go_on = threading.Event(), threading.Event()

    def write_slowly(tx: Tx) -> None:
        inside.set()
        assert go_on.wait(10)

    writing = asyncio.create_task(other.write(write_slowly))
    await until(inside.is_set)

    async with asyncio.timeout(5):
        assert await queue.claim(A) is None
        assert await queue.rescue(A) == []

    assert not writing.done()
    go_on.set()
    await writing


async def test_two_processes_claim_every_job_exactly_once(queue: Queue, clock: FakeClock) -> None:
    count = 1_000
    await queue.store.write(lambda tx: [queue.insert(tx, a_job()) for _ in range(count)])

    async def start(worker_id: str) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(CLAIM_ALL),
            str(queue.store.path),
            worker_id,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
        return process

    processes = await asyncio.gather(start(A), start(B))
    outputs = await asyncio.gather(*(process.communicate(b"go\n") for process in processes))

    first, second = (json.loads(stdout) for stdout, _ in outputs)
    assert sorted(first + second) == list(range(1, count + 1))
    assert first
    assert second
    rows = shell(queue.store.path, "SELECT DISTINCT status, attempt FROM jobs")
    assert rows == [{"status": "running", "attempt": 1}]


# --- leases ---------------------------------------------------------------------------------------


async def test_expired_lease_returns_the_job_to_pending(queue: Queue, clock: FakeClock) -> None:
    job = await claimed(queue, A)
    clock.advance(30.5)

    rescued = await queue.rescue(B)

    assert rescued == [await queue.get(job.id)]
    assert (rescued[0].status, rescued[0].worker_id) == (JobStatus.PENDING, None)
    assert (rescued[0].attempt, rescued[0].failures) == (1, 1)
    again = await queue.claim(B)
    assert again is not None
    assert again.attempt == 2


async def test_live_lease_is_left_alone(queue: Queue, clock: FakeClock) -> None:
    job = await claimed(queue, A)
    clock.advance(29.5)

    assert await queue.rescue(B) == []
    assert (await queue.get(job.id)).status is JobStatus.RUNNING


async def test_heartbeat_extends_the_lease(queue: Queue, clock: FakeClock) -> None:
    job = await claimed(queue, A)
    clock.advance(29)

    assert await queue.heartbeat(A) == {(job.id, 1)}

    clock.advance(29)
    assert await queue.rescue(B) == []
    clock.advance(2)
    assert [rescued.id for rescued in await queue.rescue(B)] == [job.id]


async def test_heartbeat_extends_only_the_own_leases(queue: Queue, clock: FakeClock) -> None:
    lost = await claimed(queue, A)
    kept = await claimed(queue, B)
    clock.advance(29)

    assert await queue.heartbeat(B) == {(kept.id, 1)}

    clock.advance(2)
    assert [rescued.id for rescued in await queue.rescue(B)] == [lost.id]


async def test_heartbeat_tells_what_is_no_longer_held(queue: Queue, clock: FakeClock) -> None:
    gone = await claimed(queue, A)
    kept = await claimed(queue, A)
    await queue.cancel(gone.id)

    assert await queue.heartbeat(A) == {(kept.id, 1)}
    assert await queue.held(A) == {(kept.id, 1)}


async def test_change_of_the_wall_clock_ends_no_lease(queue: Queue, clock: FakeClock) -> None:
    await claimed(queue, A)
    clock.jump(86_400)

    assert await queue.rescue(B) == []

    clock.jump(-2 * 86_400)
    clock.advance(31)
    assert len(await queue.rescue(B)) == 1


async def test_jobs_of_an_earlier_boot_are_rescued_at_once(queue: Queue, clock: FakeClock) -> None:
    job = await claimed(queue, A)
    clock.boot_id = "boot-2"

    assert [rescued.id for rescued in await queue.rescue(B)] == [job.id]


async def test_claim_after_a_reboot_belongs_to_the_new_boot(queue: Queue, clock: FakeClock) -> None:
    clock.boot_id = "boot-2"
    await claimed(queue, A)

    assert await queue.rescue(B) == []


async def test_heartbeat_after_a_reboot_belongs_to_the_new_boot(
    queue: Queue, clock: FakeClock
) -> None:
    await claimed(queue, A)
    clock.boot_id = "boot-2"

    await queue.heartbeat(A)

    assert await queue.rescue(B) == []


async def test_new_holder_of_a_slot_rescues_the_jobs_of_its_predecessor_at_once(
    queue: Queue, clock: FakeClock
) -> None:
    orphan = await claimed(queue, "w1:11:a")
    mine = await claimed(queue, "w1:12:b")

    rescued = await queue.rescue("w1:12:b")

    assert [job.id for job in rescued] == [orphan.id]
    assert (await queue.get(mine.id)).worker_id == "w1:12:b"


@pytest.mark.parametrize("other", ["w2:11:a", "w11:11:a", "W_1:11:a", "wx1:11:a", "w%1:11:a"])
async def test_jobs_of_another_slot_are_left_alone(
    queue: Queue, clock: FakeClock, other: str
) -> None:
    await claimed(queue, other)

    assert await queue.rescue("w1:12:b") == []
    assert await queue.rescue("w_1:12:b") == []
    assert await queue.rescue("w%:12:b") == []


async def test_running_row_without_a_lease_is_rescued(queue: Queue, clock: FakeClock) -> None:
    sql = "INSERT INTO jobs (chat_id, prompt, status) VALUES ('7', 'Sing', 'running')"
    shell(queue.store.path, sql)

    rescued = await queue.rescue(A)

    assert [job.status for job in rescued] == [JobStatus.PENDING]


async def test_job_whose_worker_died_too_often_fails_and_its_user_is_told(
    queue: Queue, clock: FakeClock
) -> None:
    job = await queue.add(a_job(max_attempts=2))
    for _ in range(2):
        await queue.claim(A)
        clock.advance(31)
        await queue.rescue(B)

    failed = await queue.get(job.id)

    assert (failed.status, failed.error) == (JobStatus.FAILED, "worker_died")
    assert failed.completed_at is not None
    assert await queue.claim(B) is None
    sql = "SELECT payload FROM deliveries WHERE kind = 'failure'"
    assert shell(queue.store.path, sql) == [{"payload": json.dumps({"job": job.id})}]


# --- the fence ------------------------------------------------------------------------------------


async def refused(queue: Queue, job: Job) -> None:
    """Whatever this holder still tries raises LeaseLost and writes nothing."""
    before = everything(queue)
    sentence = f"Job {job.id}, attempt {job.attempt}, is no longer held by {job.worker_id}"
    for name, act in LATE_ACTIONS.items():
        with pytest.raises(LeaseLost, match=sentence):
            await act(queue, job)
        assert everything(queue) == before, f"{name} of a former holder wrote something"
    await queue.give_back(job)
    assert everything(queue) == before, "give_back of a former holder wrote something"


async def test_rescued_job_is_no_longer_its_old_workers(queue: Queue, clock: FakeClock) -> None:
    late = await claimed(queue, A)
    clock.advance(31)
    await queue.rescue(B)

    await refused(queue, late)


async def test_late_worker_cannot_touch_the_attempt_of_another(
    queue: Queue, clock: FakeClock
) -> None:
    late = await claimed(queue, A)
    clock.advance(31)
    await queue.rescue(B)
    current = await queue.claim(B)
    assert current is not None

    await refused(queue, late)

    done = await queue.finish(current, "42")
    assert done.result == "42"


async def test_late_attempt_cannot_touch_the_next_one_of_the_same_worker(
    queue: Queue, clock: FakeClock
) -> None:
    late = await claimed(queue, A)
    clock.advance(31)
    await queue.rescue(B)
    current = await queue.claim(A)
    assert current is not None

    await refused(queue, late)

    await queue.finish(current, "42")


async def test_attempt_of_one_worker_is_not_the_attempt_of_another(
    queue: Queue, clock: FakeClock
) -> None:
    job = await claimed(queue, A)

    await refused(queue, replace(job, worker_id=B))


async def test_finished_job_takes_no_second_end(queue: Queue, clock: FakeClock) -> None:
    job = await claimed(queue, A)
    await queue.finish(job, "42")

    await refused(queue, job)


async def test_failed_attempt_takes_no_second_end(queue: Queue, clock: FakeClock) -> None:
    job = await claimed(queue, A)
    await queue.fail(job, "boom")

    await refused(queue, job)


async def test_cancelled_job_takes_no_result(queue: Queue, clock: FakeClock) -> None:
    job = await claimed(queue, A)
    await queue.cancel(job.id)

    await refused(queue, job)


async def test_status_set_to_cancelled_by_hand_loses_the_lease(
    queue: Queue, clock: FakeClock
) -> None:
    job = await claimed(queue, A)
    shell(queue.store.path, "UPDATE jobs SET status = 'cancelled' WHERE id = :id", id=job.id)

    assert await queue.held(A) == set()
    assert (await queue.get(job.id)).completed_at is not None
    await refused(queue, job)
    clock.advance(31)
    assert await queue.rescue(B) == []


async def test_given_back_job_is_no_longer_held(queue: Queue, clock: FakeClock) -> None:
    job = await claimed(queue, A)
    await queue.give_back(job)

    await refused(queue, job)

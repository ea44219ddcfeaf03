"""Several jobs run in a worker that dies: each runs alone then, so that the right one is blamed."""

from typing import Any

from fakes import FakeClock, a_job, finish_and_claim, shell

from bridge.line import Claimant
from bridge.models import Job, JobStatus, NewJob
from bridge.queue import Queue

A, B, C, D = "w1:1:a", "w2:2:b", "w1:3:c", "w3:4:d"  # C has the slot of A


async def run_together(queue: Queue, *jobs: NewJob, worker_id: str = A) -> list[Job]:
    """Jobs that one worker runs at the same time."""
    for new in jobs:
        await queue.add(new)
    claimed = [await queue.claim(worker_id) for _ in jobs]
    return [job for job in claimed if job is not None]


async def running(queue: Queue) -> list[dict[str, Any]]:
    return shell(queue.store.path, "SELECT id FROM jobs WHERE status = 'running'")


async def claimed_id(queue: Queue, who: Claimant | str) -> int | None:
    job = await queue.claim(who)
    return None if job is None else job.id


async def test_nobody_is_blamed_when_one_of_several_killed_the_worker(queue: Queue) -> None:
    await run_together(queue, a_job(), a_job())

    rescued = await queue.rescue(C)

    assert [(job.id, job.failures, job.rescues) for job in rescued] == [(1, 0, 1), (2, 0, 1)]


async def test_those_that_ran_together_run_alone_from_then_on(queue: Queue) -> None:
    await run_together(queue, a_job(), a_job())
    await queue.rescue(C)

    assert [await claimed_id(queue, C) for _ in range(2)] == [1, None]
    assert [await claimed_id(queue, B) for _ in range(2)] == [2, None]


async def test_worker_with_a_job_that_runs_alone_takes_nothing_else(queue: Queue) -> None:
    await run_together(queue, a_job())
    await queue.rescue(C)
    await queue.add(a_job())

    assert [await claimed_id(queue, C) for _ in range(2)] == [1, None]
    assert await claimed_id(queue, B) == 2


async def test_busy_worker_passes_such_a_job_by_while_another_has_less_to_do(
    queue: Queue,
) -> None:
    await run_together(queue, a_job(), a_job(), worker_id=B)
    await run_together(queue, a_job(), worker_id=D)
    await run_together(queue, a_job())
    await queue.rescue(C)
    await queue.add(a_job())

    assert await claimed_id(queue, B) == 5
    assert await claimed_id(queue, C) == 4


async def test_least_busy_worker_makes_room_for_such_a_job_however_long_the_line(
    queue: Queue,
) -> None:
    (last,) = await run_together(queue, a_job(), worker_id=B)
    await run_together(queue, a_job(), a_job(), worker_id=D)
    (suspect,) = await run_together(queue, a_job())
    await queue.rescue(C)
    line = [await queue.add(a_job(chat_id="8")) for _ in range(5)]

    assert await claimed_id(queue, B) is None
    assert await claimed_id(queue, D) == line[0].id
    following = await finish_and_claim(queue, last, "42", B)

    assert following is not None
    assert following.id == suspect.id


async def test_worker_of_other_kinds_makes_no_room_for_such_a_job(queue: Queue) -> None:
    browser = Claimant(worker_id=B, kinds=("browser",))
    others = Claimant(worker_id=D, except_kinds=("browser",))
    await queue.register(browser, pid=2, host="here")
    await run_together(queue, a_job(), a_job(), worker_id=D)
    await run_together(queue, a_job())
    await queue.rescue(C)
    await queue.add_many([a_job(kind="browser"), a_job(kind="browser"), a_job()])

    assert [await claimed_id(queue, browser) for _ in range(2)] == [4, 5]
    await queue.finish(await queue.get(4), "42")
    assert await claimed_id(queue, others) is None


async def test_of_two_workers_that_are_equally_busy_only_one_makes_room(queue: Queue) -> None:
    await run_together(queue, a_job(), worker_id=B)
    await run_together(queue, a_job(), worker_id=D)
    await run_together(queue, a_job())
    await queue.rescue(C)
    await queue.add_many([a_job(), a_job()])

    assert [await claimed_id(queue, worker) for worker in (B, D)] == [None, 4]


async def test_such_a_job_waits_while_its_chat_runs_as_many_as_it_may(queue: Queue) -> None:
    limited = Queue(store=queue.store, clock=queue.clock, chat_concurrency=1)
    await run_together(limited, a_job())
    await limited.rescue(C)
    await run_together(queue, a_job(priority=1), worker_id=B)
    assert [row["id"] for row in await running(queue)] == [2]

    assert await claimed_id(limited, C) is None


async def test_more_urgent_jobs_go_before_such_a_job(queue: Queue) -> None:
    await run_together(queue, a_job())
    await queue.rescue(C)
    await queue.add(a_job(priority=9))
    await queue.add(a_job())

    assert await claimed_id(queue, C) == 2
    await finish_and_claim(queue, await queue.get(2), "42", C)
    assert await queue.held(C) == {(1, 2)}


async def test_most_urgent_of_such_jobs_is_first(queue: Queue) -> None:
    await run_together(queue, a_job(priority=1), a_job(priority=5), a_job(priority=5))
    await queue.rescue(C)

    assert await claimed_id(queue, C) == 2


async def test_job_that_kills_its_worker_alone_is_set_aside_and_its_companion_is_not(
    queue: Queue,
) -> None:
    await run_together(queue, a_job(), a_job(prompt="poison"))
    await queue.rescue(C)
    innocent = await queue.claim(C)
    assert innocent is not None
    await queue.finish(innocent, "42")

    for number in range(3):
        assert await claimed_id(queue, f"w1:9:{number}") == 2
        await queue.rescue(f"w1:9:{number}+")

    poison = await queue.get(2)
    assert (poison.status, poison.failures, poison.error) == (JobStatus.FAILED, 3, "worker_died")
    assert (await queue.get(1)).status is JobStatus.DONE


async def test_a_reboot_is_no_job_s_fault(queue: Queue, clock: FakeClock) -> None:
    await run_together(queue, a_job())
    clock.boot_id = "boot-2"
    (rescued,) = await queue.rescue(B)
    assert (rescued.failures, rescued.rescues) == (0, 1)

    await queue.add(a_job())

    assert [await claimed_id(queue, B) for _ in range(2)] == [1, 2]


async def test_such_a_job_still_waits_for_a_worker_of_its_kind(queue: Queue) -> None:
    await run_together(queue, a_job(kind="browser"))
    await queue.rescue(C)

    assert await claimed_id(queue, Claimant(worker_id=B, except_kinds=("browser",))) is None
    assert await claimed_id(queue, Claimant(worker_id=B, kinds=("code",))) is None
    await queue.pause("browser")
    assert await claimed_id(queue, B) is None
    await queue.resume("browser")
    assert await claimed_id(queue, B) == 1


async def test_such_a_job_keeps_no_newcomer_in_the_line_waiting(queue: Queue) -> None:
    """It stands in a line of its own: the turns of the others are given as if it were not there."""
    await run_together(queue, a_job(), a_job())
    await queue.rescue(C)
    await queue.add(a_job())
    await queue.add(a_job(chat_id="8"))

    turns = shell(queue.store.path, "SELECT id, turn FROM jobs WHERE alone = 0")

    assert len({row["turn"] for row in turns}) == 1

"""What workers leave in the queue beside ends: questions, rescues, and their own rows.

As in test_queue_contract.py, a check that takes a queue and a clock and nothing else is run by
test_queue_mutants_control.py against broken queues too.
"""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from fakes import START, FakeClock, a_job, claimed, everything, shell
from test_queue_control import (
    PENDING,
    WAITING,
    A,
    B,
    history,
    owed,
    statuses,
)

from bridge.clock import stamp
from bridge.errors import JobNotFound, JobRefused, LeaseLost
from bridge.line import Claimant
from bridge.models import Job
from bridge.queue import Queue

# --- questions ------------------------------------------------------------------------------------


async def asking(queue: Queue, **changes: Any) -> Job:
    """A job that waits for an answer."""
    job = await claimed(queue, A, **changes)
    await queue.ask(job, "Which one? \ud83e")
    return job


async def test_asking_leaves_no_lease_and_owes_the_question(queue: Queue, clock: FakeClock) -> None:
    job = await asking(queue)

    waiting = await queue.get(job.id)
    assert (waiting.status, waiting.question, waiting.answer) == (WAITING, "Which one? ?", None)
    assert (waiting.worker_id, waiting.completed_at) == (None, None)
    assert shell(queue.store.path, "SELECT lease_until FROM jobs") == [{"lease_until": None}]
    assert await queue.held(A) == set()
    assert owed(queue, "question") == [job.id]
    assert history(queue, job.id)[-1] == ("asked", "Which one? ?")


async def test_chat_is_told_of_the_question(queue: Queue, clock: FakeClock) -> None:
    await asking(queue)

    (message,) = shell(queue.store.path, "SELECT conversation, content FROM messages")
    assert message["conversation"] == "chat:7:0"
    text = json.loads(message["content"])[0]["text"]
    assert text == '<kitt-event job="1" status="waiting">Which one? ?</kitt-event>'


async def test_waiting_job_is_not_rescued_or_claimed_however_long_it_waits(
    queue: Queue, clock: FakeClock
) -> None:
    await asking(queue)
    clock.advance(30 * 86_400)
    clock.boot_id = "boot-2"

    assert await queue.rescue(B) == []
    assert await queue.rescue("w1:12:b") == []
    assert await queue.claim(B) is None
    assert await statuses(queue) == [WAITING]


async def test_answered_job_goes_on_in_its_old_turn(queue: Queue, clock: FakeClock) -> None:
    job = await asking(queue)
    await queue.add_many([a_job() for _ in range(3)])

    answered = await queue.answer(job.id, "The blue one \ud83e")

    assert (answered.status, answered.answer) == (PENDING, "The blue one ?")
    assert history(queue, job.id)[-1] == ("answered", "")
    again = await queue.claim(B)
    assert again is not None
    assert (again.id, again.attempt, again.failures) == (job.id, 2, 0)


async def test_second_question_is_owed_too_and_has_no_old_answer(
    queue: Queue, clock: FakeClock
) -> None:
    job = await asking(queue)
    await queue.answer(job.id, "The blue one")
    again = await queue.claim(B)
    assert again is not None

    await queue.ask(again, "And how big?")

    waiting = await queue.get(job.id)
    assert (waiting.question, waiting.answer) == ("And how big?", None)
    assert owed(queue, "question") == [job.id, job.id]


@pytest.mark.parametrize(
    "status", ["pending", "scheduled", "blocked", "running", "done", "failed", "cancelled"]
)
async def test_job_that_does_not_wait_takes_no_answer(
    queue: Queue, clock: FakeClock, status: str
) -> None:
    job = await claimed(queue, A)
    shell(queue.store.path, "UPDATE jobs SET status = :status", status=status)
    before = everything(queue)

    with pytest.raises(JobRefused) as refused:
        await queue.answer(job.id, "The blue one")

    assert str(refused.value) == f"Job 1 is {status}: it waits for no answer."
    assert everything(queue) == before


async def test_job_of_another_chat_takes_no_answer(queue: Queue, clock: FakeClock) -> None:
    job = await asking(queue, chat_id="8")

    with pytest.raises(JobNotFound):
        await queue.answer(job.id, "The blue one", chat_id="7")

    assert await statuses(queue) == [WAITING]


async def lose_by_cancel(queue: Queue, clock: FakeClock) -> None:
    await queue.cancel(1)


async def lose_to_the_same_worker(queue: Queue, clock: FakeClock) -> None:
    clock.advance(31)
    await queue.rescue(B)
    await queue.claim(A)


async def lose_to_another(queue: Queue, clock: FakeClock) -> None:
    await queue.give_back(await queue.get(1))
    await queue.claim(B)


@pytest.mark.parametrize("lose", [lose_by_cancel, lose_to_the_same_worker, lose_to_another])
async def test_late_worker_asks_nothing(
    queue: Queue, clock: FakeClock, lose: Callable[[Queue, FakeClock], Awaitable[None]]
) -> None:
    late = await claimed(queue, A)
    await lose(queue, clock)
    before = everything(queue)

    with pytest.raises(LeaseLost):
        await queue.ask(late, "Which one?")

    assert everything(queue) == before


async def test_waiting_job_can_be_cancelled_and_then_takes_no_answer(
    queue: Queue, clock: FakeClock
) -> None:
    job = await asking(queue)
    await queue.cancel(job.id)

    with pytest.raises(JobRefused, match="Job 1 is cancelled: it waits for no answer"):
        await queue.answer(job.id, "The blue one")


async def test_unique_key_of_a_waiting_job_is_taken(queue: Queue, clock: FakeClock) -> None:
    job = await asking(queue, unique_key="daily")

    assert (await queue.add(a_job(unique_key="daily"))).id == job.id


async def test_question_takes_no_place_of_its_chat(queue: Queue, clock: FakeClock) -> None:
    limited = Queue(store=queue.store, clock=clock, chat_concurrency=1)
    await asking(limited)
    await queue.add(a_job())

    assert await limited.claim(A) is not None


# --- rescues --------------------------------------------------------------------------------------


async def test_attempt_that_a_hand_made_no_number_stops_no_rescue(
    queue: Queue, clock: FakeClock
) -> None:
    job = await claimed(queue, A)
    shell(queue.store.path, "UPDATE jobs SET attempt = 'x' WHERE id = :id", id=job.id)
    clock.advance(31)

    await queue.rescue(B)

    assert (await queue.get(job.id)).status is PENDING


async def test_rescues_are_counted(queue: Queue, clock: FakeClock) -> None:
    await queue.add(a_job())
    for rescues in (1, 2):
        await queue.claim(A)
        clock.advance(31)
        (job,) = await queue.rescue(B)
        assert (job.rescues, job.failures) == (rescues, rescues)


# --- the workers table ----------------------------------------------------------------------------


def workers(queue: Queue) -> list[tuple[Any, ...]]:
    """Slot, state, last job, attempts that ended and how many of them badly."""
    sql = "SELECT slot, state, job_id, processed, failed FROM workers ORDER BY started_at, id"
    return [tuple(row.values()) for row in shell(queue.store.path, sql)]


async def enter(queue: Queue, worker_id: str = A, state: str = "idle", *kinds: str) -> None:
    who = Claimant(worker_id=worker_id, kinds=kinds)
    await queue.register(who, pid=11, host="here", state=state)


async def test_worker_is_idle_then_busy_then_idle_and_its_ends_are_counted(
    queue: Queue, clock: FakeClock
) -> None:
    await enter(queue)
    assert workers(queue) == [("w1", "idle", None, 0, 0)]

    first, second = await claimed(queue, A), await claimed(queue, A)
    assert workers(queue) == [("w1", "busy", 2, 0, 0)]

    await queue.finish(first, "42")
    assert workers(queue) == [("w1", "busy", 2, 1, 0)]
    await queue.fail(second, "boom")
    assert workers(queue) == [("w1", "idle", 2, 2, 1)]


@pytest.mark.parametrize("how", ["given back", "asked"])
async def test_attempt_that_ends_without_an_end_of_its_job_frees_the_worker(
    queue: Queue, clock: FakeClock, how: str
) -> None:
    await enter(queue)
    job = await claimed(queue, A)

    await (queue.give_back(job) if how == "given back" else queue.ask(job, "Which one?"))

    assert workers(queue) == [("w1", "idle", 1, 1, 0)]


async def test_worker_of_a_cancelled_job_is_idle(queue: Queue, clock: FakeClock) -> None:
    await enter(queue)
    job = await claimed(queue, A)

    shell(queue.store.path, "UPDATE jobs SET status = 'cancelled' WHERE id = :id", id=job.id)

    assert workers(queue) == [("w1", "idle", 1, 0, 0)]


async def test_heartbeat_is_a_sign_of_life(queue: Queue, clock: FakeClock) -> None:
    await enter(queue)
    await enter(queue, B)
    await claimed(queue, A)
    clock.advance(10)

    await queue.heartbeat(A)

    beats = shell(queue.store.path, "SELECT id, beat_at FROM workers ORDER BY id")
    assert [row["beat_at"] for row in beats] == [stamp(clock.now()), stamp(START)]


async def test_draining_worker_stays_draining_until_it_is_gone(
    queue: Queue, clock: FakeClock
) -> None:
    await enter(queue)
    job = await claimed(queue, A)
    await enter(queue, A, "draining")
    await claimed(queue, A)
    await queue.finish(job, "42")
    assert workers(queue)[0][1] == "draining"

    await enter(queue, A, "gone")

    assert workers(queue) == [("w1", "gone", 1, 1, 0)]


async def test_predecessor_in_a_slot_is_gone_when_its_successor_comes(
    queue: Queue, clock: FakeClock
) -> None:
    await enter(queue, "w1:11:a")
    await claimed(queue, "w1:11:a")
    await enter(queue, "w2:22:b")
    clock.advance(1)

    await enter(queue, "w1:12:c", "idle", "browser", "code")

    assert workers(queue) == [
        ("w1", "gone", None, 0, 0),
        ("w2", "idle", None, 0, 0),
        ("w1", "idle", None, 0, 0),
    ]
    kinds = shell(queue.store.path, "SELECT kinds FROM workers WHERE id = 'w1:12:c'")
    assert kinds == [{"kinds": "browser,code"}]

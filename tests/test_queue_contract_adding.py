"""What the queue promises to whoever adds a job.

As in test_queue_contract.py, every check takes a queue and a clock and nothing else.
"""

import json

import pytest
from fakes import FakeClock, a_job, claimed, everything, shell

from bridge.clock import moment
from bridge.errors import JobRefused
from bridge.models import JobStatus
from bridge.queue import Queue

A = "w1:11:a"


async def test_added_job_is_pending_and_untouched(queue: Queue, clock: FakeClock) -> None:
    job = await queue.add(a_job(title="Pelicans", kind="research", data='{"a": 1}', user_id="9"))

    assert await queue.get(job.id) == job
    assert (job.status, job.attempt, job.failures) == (JobStatus.PENDING, 0, 0)
    assert moment(job.created_at) == clock.now()
    assert (job.title, job.kind, job.data, job.user_id) == ("Pelicans", "research", '{"a": 1}', "9")
    assert [job.result, job.started_at, job.completed_at, job.worker_id, job.error] == [None] * 5


async def test_added_job_owes_its_card_at_once(queue: Queue, clock: FakeClock) -> None:
    job = await queue.add(a_job(chat_id="-100500", thread_id=3))

    sql = "SELECT kind, chat_id, thread_id, payload FROM deliveries"
    assert shell(queue.store.path, sql) == [
        {"kind": "card", "chat_id": "-100500", "thread_id": 3, "payload": f'{{"job": {job.id}}}'}
    ]


async def test_row_inserted_by_hand_is_claimed_and_gets_a_card(
    queue: Queue, clock: FakeClock
) -> None:
    shell(queue.store.path, "INSERT INTO jobs (chat_id, prompt) VALUES ('7', 'Sing')")

    job = await queue.claim(A)

    assert job is not None
    assert (job.prompt, job.status, job.attempt) == ("Sing", JobStatus.RUNNING, 1)
    moment(job.created_at)  # readable, and written as KITT writes it
    (card,) = shell(queue.store.path, "SELECT kind, chat_id, payload FROM deliveries")
    assert card == {"kind": "card", "chat_id": "7", "payload": json.dumps({"job": job.id})}


async def test_refused_job_stores_nothing(queue: Queue, clock: FakeClock) -> None:
    before = everything(queue)

    with pytest.raises(JobRefused):
        await queue.add(a_job(prompt=" "))

    assert everything(queue) == before


async def test_texts_a_database_cannot_keep_are_cleaned(queue: Queue, clock: FakeClock) -> None:
    job = await queue.add(a_job(prompt="a\x00b\ud83e", title="\ud83e", data='"\ud83e"'))

    assert (job.prompt, job.title, job.data) == ("ab?", "?", '"?"')


async def test_replayed_source_returns_the_job_it_made(queue: Queue, clock: FakeClock) -> None:
    first = await queue.add(a_job(source="update:123:0"))
    await queue.cancel(first.id)

    again = await queue.add(a_job(source="update:123:0", prompt="Something else"))
    other = await queue.add(a_job(source="update:123:1"))

    assert (again.id, again.prompt) == (first.id, first.prompt)
    assert other.id != first.id
    assert len(await queue.jobs()) == 2


async def test_unique_key_makes_one_live_job(queue: Queue, clock: FakeClock) -> None:
    first = await queue.add(a_job(unique_key="daily"))
    second = await queue.add(a_job(unique_key="daily"))
    running = await queue.claim(A)
    third = await queue.add(a_job(unique_key="daily"))

    assert running is not None
    assert first.id == second.id == third.id == running.id


async def test_unique_key_is_free_again_when_its_job_has_ended(
    queue: Queue, clock: FakeClock
) -> None:
    first = await claimed(queue, unique_key="daily")
    await queue.finish(first, "42")

    second = await queue.add(a_job(unique_key="daily"))

    assert second.id != first.id


async def test_job_for_later_is_claimed_at_its_time(queue: Queue, clock: FakeClock) -> None:
    job = await queue.add(a_job(run_at="2026-11-22 08:30:00.000"))

    assert job.status is JobStatus.SCHEDULED
    assert await queue.next_look_at() == "2026-11-22 08:30:00.000"
    clock.advance(3599)
    assert await queue.claim(A) is None
    clock.advance(1)
    taken = await queue.claim(A)
    assert taken is not None
    assert taken.id == job.id
    assert await queue.next_look_at() is None


async def test_job_for_later_stays_behind_when_another_is_claimed(
    queue: Queue, clock: FakeClock
) -> None:
    later = await queue.add(a_job(run_at="2026-11-22 08:30:00.000", priority=9))
    await claimed(queue, A)

    assert await queue.claim(A) is None
    assert (await queue.get(later.id)).status is JobStatus.SCHEDULED


async def test_job_for_a_past_time_is_pending_at_once(queue: Queue, clock: FakeClock) -> None:
    job = await queue.add(a_job(run_at="2026-11-22 07:29:59.999"))

    assert job.status is JobStatus.PENDING

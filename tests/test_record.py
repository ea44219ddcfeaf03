"""What a change of a job leaves behind, and that it goes when the change goes."""

from pathlib import Path
from typing import Any

import pytest
from fakes import FakeClock, a_job, claimed, everything, shell

from bridge import conversation
from bridge.queue import Queue
from bridge.record import DEPENDANTS_AT_ONCE, PARENT_FAILED
from bridge.store import Store
from bridge.wake import Wake


def events(store: Store, job_id: int) -> list[str]:
    """The names of a job's events, oldest first."""
    sql = "SELECT event FROM job_events WHERE job_id = :job ORDER BY id"
    return [row["event"] for row in shell(store.path, sql, job=job_id)]


def owed(store: Store, kind: str) -> list[dict[str, Any]]:
    """Deliveries of one kind, oldest first."""
    return shell(store.path, "SELECT * FROM deliveries WHERE kind = :kind ORDER BY id", kind=kind)


async def told(store: Store, chat_id: str = "7", thread_id: int = 0) -> list[str]:
    """What the chat's conversation was told."""
    name = conversation.chat_conversation(chat_id, thread_id)
    messages = await store.read(lambda tx: conversation.load(tx, name))
    return [message.content[0]["text"] for message in messages]


async def test_history_of_a_job_tells_its_life(queue: Queue, clock: FakeClock) -> None:
    job = await claimed(queue)
    await queue.progress(job, 50, "half way")
    await queue.fail(job, "boom: it broke")
    clock.advance(2)
    again = await queue.claim("w1:1:a")
    assert again is not None
    await queue.finish(again, "42")

    rows = await queue.store.read(lambda tx: tx.all("events_of", job_id=job.id))

    assert [(row["event"], row["attempt"], row["message"] or row["step"]) for row in rows] == [
        ("added", 0, ""),
        ("claimed", 1, "w1:1:a"),
        ("progress", 1, "half way"),
        ("retry", 1, "boom: it broke"),
        ("claimed", 2, "w1:1:a"),
        ("done", 2, ""),
    ]
    assert [row["at"] for row in rows] == sorted(row["at"] for row in rows)


async def test_end_made_by_hand_is_in_the_history_once(queue: Queue) -> None:
    job = await claimed(queue)

    shell(queue.store.path, "UPDATE jobs SET status = 'cancelled' WHERE id = :id", id=job.id)

    assert events(queue.store, job.id) == ["added", "claimed", "cancelled"]
    await queue.cancel(job.id)
    assert events(queue.store, job.id) == ["added", "claimed", "cancelled"]


async def test_long_message_of_an_event_is_cut(queue: Queue) -> None:
    job = await claimed(queue)

    await queue.fail(job, "x" * 5_000)

    (row,) = shell(queue.store.path, "SELECT message FROM job_events WHERE event = 'retry'")
    assert len(row["message"]) == 500


async def test_job_has_one_card_however_often_it_is_claimed(queue: Queue) -> None:
    job = await claimed(queue)
    await queue.give_back(job)
    await queue.claim("w1:1:a")

    cards = owed(queue.store, "card")

    assert [card["payload"] for card in cards] == ['{"job": 1}']


async def test_finished_job_owes_its_result_to_its_own_topic(queue: Queue) -> None:
    job = await claimed(queue, chat_id="-100500", thread_id=3)

    await queue.finish(job, "42")

    (result,) = owed(queue.store, "result")
    assert (result["chat_id"], result["thread_id"]) == ("-100500", 3)
    assert result["payload"] == '{"job": 1}'
    assert await told(queue.store, "-100500", 3) == [
        '<kitt-event job="1" status="done">42</kitt-event>'
    ]


async def test_failed_job_owes_a_failure_and_tells_the_conversation(queue: Queue) -> None:
    job = await claimed(queue, max_attempts=1)

    await queue.fail(job, "provider_refused: no money")

    assert len(owed(queue.store, "failure")) == 1
    assert await told(queue.store) == [
        '<kitt-event job="1" status="failed">provider_refused: no money</kitt-event>'
    ]


async def test_cancelled_job_owes_no_message_but_tells_the_conversation(queue: Queue) -> None:
    job = await queue.add(a_job())

    await queue.cancel(job.id)

    assert owed(queue.store, "result") == owed(queue.store, "failure") == []
    assert await told(queue.store) == ['<kitt-event job="1" status="cancelled"></kitt-event>']


async def test_job_for_nobody_owes_and_tells_nothing(queue: Queue) -> None:
    job = await claimed(queue, chat_id="cli")

    done = await queue.finish(job, "42")

    assert done.result == "42"
    assert shell(queue.store.path, "SELECT * FROM deliveries") == []
    assert shell(queue.store.path, "SELECT * FROM messages") == []


async def test_children_of_a_failed_job_say_why_they_ended(queue: Queue) -> None:
    parent = await claimed(queue, max_attempts=1)
    child = await queue.add(a_job(after=(parent.id,)))

    await queue.fail(parent, "boom")

    assert events(queue.store, child.id) == ["added", PARENT_FAILED, "cancelled"]
    assert (await told(queue.store))[-1] == (
        f'<kitt-event job="{child.id}" status="cancelled">parent_failed</kitt-event>'
    )


async def test_very_long_chain_ends_with_its_first_job_a_slice_at_a_time(queue: Queue) -> None:
    first = await queue.add(a_job())
    parents = range(first.id, first.id + 1_200)
    await queue.store.write(
        lambda tx: [queue.insert(tx, a_job(after=(parent,))) for parent in parents]
    )

    await queue.cancel(first.id)

    left = "SELECT id FROM jobs WHERE status <> 'cancelled'"
    assert len(shell(queue.store.path, left)) == 1_200 - DEPENDANTS_AT_ONCE
    await queue.rescue("w1:1:a")
    assert shell(queue.store.path, left) == []


@pytest.mark.parametrize("end", ["finish", "fail", "cancel"])
async def test_end_of_a_job_wakes_the_bridge(queue: Queue, memory: Path, end: str) -> None:
    job = await claimed(queue, max_attempts=1)
    bridge = Wake(memory / "run")
    bridge.listen("bridge")

    if end == "finish":
        await queue.finish(job, "42")
    elif end == "fail":
        await queue.fail(job, "boom")
    else:
        await queue.cancel(job.id)

    assert await bridge.wait(5)
    bridge.close()


async def test_nothing_is_left_behind_when_the_change_is_rolled_back(queue: Queue) -> None:
    job = await claimed(queue)
    before = everything(queue)

    with pytest.raises(ZeroDivisionError):
        await queue.store.write(lambda tx: (queue.finish_in(tx, job, "42"), 1 // 0))

    assert everything(queue) == before

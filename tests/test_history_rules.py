"""Rules of the history checker that test_history.py does not see fail."""

import json
import sqlite3
from contextlib import closing

import pytest
from fakes import FakeClock, a_job, claimed, shell

from bridge import joining, schedules
from bridge.emulator.telegram import TelegramEmulator
from bridge.models import Job
from bridge.prove import history
from bridge.prove.report import unjoined
from bridge.prove.witness import Witness
from bridge.queue import Queue
from bridge.scheduler import Scheduler
from bridge.schedules import NewSchedule

WORKER = "worker-1:1:a"
SECRET = "7000000001:a-token-nobody-may-see"
NOW = "2026-11-22 08:00:00.000"


def rules(queue: Queue, *secrets: str) -> set[str]:
    """The rules that are broken, in a history in which Telegram has seen nothing."""
    witness = Witness(TelegramEmulator(), secrets=secrets)
    return {finding.rule for finding in history.findings(queue.store.path, witness)}


def owe(queue: Queue, kind: str, payload: object, key: str | None = None) -> None:
    """Owe chat 7 something that the queue would not."""
    shell(
        queue.store.path,
        "INSERT INTO deliveries (chat_id, kind, payload, dedupe_key, created_at) "
        "VALUES ('7', :kind, :payload, :key, :now)",
        kind=kind,
        payload=json.dumps(payload),
        key=key,
        now=NOW,
    )


async def test_job_that_no_chat_is_told_of_breaks_no_rule(queue: Queue) -> None:
    await queue.add(a_job(chat_id="cli"))
    job = await queue.claim(WORKER)
    assert job is not None
    await queue.finish(job, "42")

    assert rules(queue) == set()


async def test_result_of_a_cancelled_job_is_found(queue: Queue) -> None:
    job = await queue.add(a_job(chat_id="cli"))
    await queue.cancel(job.id)
    assert rules(queue) == set()

    owe(queue, "result", {"job": job.id, "parts": []})

    assert "H8" in rules(queue)


async def test_update_with_a_reply_and_a_job_of_one_name_is_found(queue: Queue) -> None:
    job = await queue.add(a_job(chat_id="cli", source="update:700000001:reply"))
    await queue.cancel(job.id)
    assert rules(queue) == set()

    owe(queue, "reply", {"parts": []}, key="update:700000001:reply")

    assert "H2" in rules(queue)


async def test_job_that_its_worker_died_of_and_nobody_was_told_of_is_found(
    queue: Queue, clock: FakeClock
) -> None:
    await claimed(queue, WORKER, max_attempts=1)
    clock.advance(31)
    await queue.rescue("worker-2:1:b")
    shell(queue.store.path, "DELETE FROM deliveries WHERE kind = 'failure'")

    found = history.findings(queue.store.path, Witness(TelegramEmulator()))

    assert "H6: job 1 owes failure 0 times instead of 1" in [str(finding) for finding in found]


async def test_job_that_was_tried_more_often_than_it_may_be_is_found(
    queue: Queue, clock: FakeClock
) -> None:
    await claimed(queue, WORKER, chat_id="cli", max_attempts=1)
    clock.advance(31)
    await queue.rescue("worker-2:1:b")
    assert rules(queue) == set()

    shell(queue.store.path, "UPDATE jobs SET failures = 2")

    assert rules(queue) == {"H7"}


async def test_delivery_of_a_job_that_is_not_there_is_found(queue: Queue) -> None:
    owe(queue, "card", {"job": 99})

    assert "H9" in rules(queue)


async def test_row_that_its_table_does_not_allow_is_found(queue: Queue) -> None:
    assert rules(queue) == set()

    with closing(sqlite3.connect(queue.store.path, isolation_level=None)) as careless:
        careless.execute("PRAGMA ignore_check_constraints = ON")
        careless.execute(
            "INSERT INTO messages (conversation, role, content, created_at) "
            "VALUES ('chat:7:0', 'nobody', '[]', 'now')"
        )

    assert rules(queue) == {"H9"}


async def test_secret_in_a_column_is_found(queue: Queue) -> None:
    job = await queue.add(a_job(chat_id="cli", prompt=f"What is {SECRET}?"))
    await queue.cancel(job.id)

    assert rules(queue, SECRET) == {"H10"}


async def test_file_that_cannot_be_read_is_found(queue: Queue) -> None:
    await queue.store.checkpoint(truncate=True)
    with queue.store.path.open("r+b") as file:
        file.seek(100)
        file.write(b"\xff" * 4096)

    assert rules(queue) == {"H9"}


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1",
        "DELETE FROM jobs WHERE id = 2",
        "UPDATE schedules SET fired = 2",
        "UPDATE schedules SET next_at = '2026-11-22 07:36:00.000'",
        "UPDATE schedules SET next_at = '2026-11-22 07:33:40.000'",
        "UPDATE jobs SET source = 'schedule:1:2026-11-22 07:32:30.000' WHERE id = 2",
        "UPDATE jobs SET created_at = '2026-11-22 07:31:59.000' WHERE id = 2",
    ],
)
async def test_time_of_a_schedule_that_is_not_one_job_is_found(
    queue: Queue, clock: FakeClock, sql: str
) -> None:
    every_minute = NewSchedule(chat_id="cli", prompt="Look", every_s=60)
    await queue.store.write(lambda tx: schedules.add(tx, every_minute, now=clock.now()))
    scheduler = Scheduler(store=queue.store, queue=queue, clock=clock)
    for _ in range(3):
        clock.advance(60)
        await scheduler.run_due()
        await queue.finish(await taken(queue), "done")

    shell(queue.store.path, sql)

    assert ("H12" in rules(queue)) == (sql != "SELECT 1")


async def test_times_that_a_long_job_kept_from_coming_are_no_defect(
    queue: Queue, clock: FakeClock
) -> None:
    every_minute = NewSchedule(chat_id="cli", prompt="Look", every_s=60)
    await queue.store.write(lambda tx: schedules.add(tx, every_minute, now=clock.now()))
    scheduler = Scheduler(store=queue.store, queue=queue, clock=clock)
    for seconds in (60, 60, 150):
        clock.advance(seconds)
        await scheduler.run_due()
    await queue.finish(await taken(queue), "done")

    assert rules(queue) == set()


async def a_whole_with_a_part(queue: Queue) -> None:
    """A job that has waited for its part, and both are done."""
    whole = await claimed(queue, WORKER, chat_id="cli")
    part = await queue.add(a_job(chat_id="cli", parent_id=whole.id))
    await queue.store.write(lambda tx: joining.wait(tx, queue, whole, [part.id], now=NOW))
    await queue.finish(await taken(queue), "result-1-1")
    await queue.finish(await taken(queue), "result-1 joined-1-1")


async def test_job_that_goes_on_before_its_part_has_ended_is_found(queue: Queue) -> None:
    await a_whole_with_a_part(queue)
    assert rules(queue) == set()

    shell(queue.store.path, "UPDATE job_events SET id = 99 WHERE job_id = 2 AND event = 'done'")

    assert rules(queue) == {"H11"}


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("SELECT 1", []),
        ("UPDATE jobs SET result = 'result-1' WHERE id = 1", ["lost"]),
        ("UPDATE jobs SET result = result || ' joined-1-1' WHERE id = 1", ["doubled"]),
        ("UPDATE job_events SET id = 99 WHERE job_id = 2 AND event = 'done'", ["early"]),
    ],
)
async def test_part_that_is_not_told_once_and_in_time_is_found(
    queue: Queue, sql: str, found: list[str]
) -> None:
    await a_whole_with_a_part(queue)

    shell(queue.store.path, sql)

    defects = unjoined(history.History.read(queue.store.path))
    assert ["lost" if d.lost else "doubled" if d.doubled else "early" for d in defects] == found


async def taken(queue: Queue) -> Job:
    """The next job, which there is."""
    job = await queue.claim(WORKER)
    assert job is not None
    return job

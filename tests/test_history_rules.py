"""Rules of the history checker that test_history.py does not see fail."""

import json
import sqlite3
from contextlib import closing

from fakes import FakeClock, a_job, claimed, shell

from bridge.emulator.telegram import TelegramEmulator
from bridge.prove import history
from bridge.prove.witness import Witness
from bridge.queue import Queue

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

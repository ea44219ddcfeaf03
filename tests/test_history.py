"""The history checker is not blind: each rule finds what breaks it, and only that."""

from collections.abc import Callable
from pathlib import Path

import pytest
from fakes import a_job, shell

from bridge.deliveries import owe
from bridge.emulator.telegram import TelegramEmulator
from bridge.line import Claimant
from bridge.prove import history
from bridge.prove.witness import Message, Witness, card_of
from bridge.queue import Queue
from bridge.store import Tx

SECRET = "7000000001:a-token-nobody-may-see"
CARD: Message = (7, card_of(1))
RESULT: Message = (7, "There are 42.")
REPLY: Message = (7, "Hello.")
WORKER = Claimant(worker_id="worker-1:1:a")
EVENT = "INSERT INTO job_events (job_id, at, attempt, event) VALUES (1, '2026-11-22 08:00:00', "


@pytest.fixture
async def witness(queue: Queue) -> Witness:
    """One update that was answered and one job that is done and told, and nothing else."""
    await queue.add(a_job(max_attempts=3))
    job = await queue.claim(WORKER)
    assert job is not None
    await queue.finish(job, RESULT[1])

    def tell(tx: Tx) -> None:
        payload = {"parts": [{"do": "text", "text": REPLY[1]}]}
        key = "update:700000001:reply"
        owe(tx, chat_id="7", thread_id=0, kind="reply", payload=payload, now="now", dedupe_key=key)
        tx.run("update_over", update_id=700000001, state="done", now="2026-11-22 07:30:00.000")

    await queue.store.write(tell)
    change(queue, "UPDATE deliveries SET status = 'sent', attempt = 1")
    parts = '{"job": 1, "parts": [{"do": "text", "text": "There are 42."}]}'
    change(queue, f"UPDATE deliveries SET payload = '{parts}' WHERE kind = 'result'")
    seen = Witness(TelegramEmulator(), secrets=(SECRET,))
    seen.telegram.updates.confirmed_offset = 700000002
    seen.once.update([CARD, RESULT, REPLY])
    return seen


def change(queue: Queue, sql: str) -> None:
    """What no promise allows."""
    shell(queue.store.path, "PRAGMA foreign_keys = OFF")
    shell(queue.store.path, sql)


def rules(queue: Queue, witness: Witness) -> set[str]:
    """The rules that are broken."""
    return {finding.rule for finding in history.findings(queue.store.path, witness)}


async def test_nothing_is_found_where_nothing_went_wrong(queue: Queue, witness: Witness) -> None:
    history.check(queue.store.path, witness)


@pytest.mark.parametrize(
    ("rule", "sql"),
    [
        ("H1", "DELETE FROM inbox"),
        ("H2", "UPDATE inbox SET state = 'new'"),
        ("H2", "UPDATE inbox SET state = 'quarantined'"),
        ("H3", "UPDATE jobs SET status = 'running'"),
        ("H4", f"{EVENT}1, 'done')"),
        ("H4", "DELETE FROM job_events WHERE event = 'done'"),
        ("H4", "UPDATE jobs SET status = 'failed'"),
        ("H5", f"{EVENT}1, 'claimed')"),
        ("H5", f"{EVENT}0, 'progress')"),
        ("H5", "UPDATE jobs SET attempt = 2"),
        ("H6", "DELETE FROM deliveries WHERE kind = 'result'"),
        ("H6", "DELETE FROM deliveries WHERE kind = 'card'"),
        ("H6", "UPDATE deliveries SET status = 'ready' WHERE kind = 'reply'"),
        ("H6", "UPDATE deliveries SET dedupe_key = NULL, kind = 'failure' WHERE kind = 'result'"),
        ("H7", "UPDATE jobs SET failures = 4"),
        ("H9", "DELETE FROM jobs"),
    ],
)
async def test_row_that_breaks_a_promise_is_found(
    queue: Queue, witness: Witness, rule: str, sql: str
) -> None:
    change(queue, sql)

    assert rule in rules(queue, witness)


@pytest.mark.parametrize(
    "happened",
    [
        pytest.param(lambda w: w.once.subtract([RESULT]), id="a result never arrived"),
        pytest.param(lambda w: w.once.update([RESULT]), id="a result arrived twice"),
        pytest.param(lambda w: w.once.update([(8, "Hello.")]), id="another chat heard it"),
        pytest.param(lambda w: w.marked.update([RESULT]), id="sent again without a note"),
    ],
)
async def test_message_that_breaks_a_promise_is_found(
    queue: Queue, witness: Witness, happened: Callable[[Witness], None]
) -> None:
    happened(witness)

    assert rules(queue, witness) == {"H6"}


async def test_repeat_that_says_so_is_no_defect_after_an_unclear_sending(
    queue: Queue, witness: Witness
) -> None:
    change(queue, "UPDATE deliveries SET attempt = 2 WHERE kind = 'result'")
    witness.marked.update([RESULT])

    history.check(queue.store.path, witness)


async def test_attempt_that_begins_while_another_runs_is_found(
    queue: Queue, witness: Witness
) -> None:
    change(queue, "UPDATE jobs SET attempt = 2")
    change(queue, "UPDATE job_events SET attempt = 2 WHERE event = 'done'")
    change(queue, "UPDATE job_events SET id = id + 10 WHERE event = 'done'")
    change(queue, f"{EVENT}2, 'claimed')")
    change(queue, "UPDATE job_events SET id = 5 WHERE event = 'claimed' AND attempt = 2")

    assert rules(queue, witness) == {"H5"}


async def test_result_that_its_last_attempt_did_not_write_is_found(
    queue: Queue, witness: Witness
) -> None:
    change(
        queue,
        "INSERT INTO messages (conversation, role, content, created_at) VALUES "
        """('job:1', 'assistant', '[{"type": "text", "text": "There are 43."}]', 'now')""",
    )

    assert rules(queue, witness) == {"H4"}


@pytest.mark.parametrize(
    ("role", "block"),
    [
        ("assistant", '{"type": "text", "text": "There are 42."}'),
        ("user", '{"type": "tool_result", "tool_use_id": "toolu_1", "content": "42"}'),
    ],
)
async def test_step_that_was_stored_twice_is_found(
    queue: Queue, witness: Witness, role: str, block: str
) -> None:
    for _ in range(2):
        change(
            queue,
            "INSERT INTO messages (conversation, role, content, created_at) "
            f"VALUES ('job:1', '{role}', '[{block}]', 'now')",
        )

    assert rules(queue, witness) == {"H5"}


async def test_cancelled_job_that_goes_on_asking_the_model_is_found(
    queue: Queue, witness: Witness
) -> None:
    job = await queue.add(a_job(chat_id="cli", prompt="Count the herons"))
    await queue.cancel(job.id)
    cancelled_at = queue.clock.now().timestamp()
    witness.asked["Count the herons"] = [cancelled_at + 1]
    assert rules(queue, witness) == set()

    witness.asked["Count the herons"].append(cancelled_at + 60)

    assert rules(queue, witness) == {"H8"}


async def test_secret_in_a_file_or_a_message_is_found(
    queue: Queue, witness: Witness, memory: Path
) -> None:
    (memory / "kitt.log").write_text(f"GET /bot{SECRET}/getMe")
    assert rules(queue, witness) == {"H10"}

    (memory / "kitt.log").unlink()
    witness.leaks.append("a request to the model holds a secret")

    assert rules(queue, witness) == {"H10"}

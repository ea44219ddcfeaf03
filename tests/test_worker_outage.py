"""The model provider is away for a while: jobs wait, none fails, the owner hears of it twice."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from waiting import until
from working import Shop, quick

from bridge.agent.guarded import GuardedModel
from bridge.agent.model import AnthropicModel
from bridge.breaker import Breaker
from bridge.emulator.claude import ClaudeEmulator
from bridge.emulator.claude_faults import Fault
from bridge.models import JobStatus
from bridge.store import Store

OWNER = 11
JOBS = range(1, 9)
AT_ONCE = 2  # jobs in each of two workers


@pytest.fixture
async def shop(tmp_path: Path, store: Store) -> AsyncIterator[Shop]:
    claude = ClaudeEmulator()
    await claude.start()
    opened = Shop(tmp_path, store, claude)
    yield opened
    await opened.close()
    await claude.stop()


async def workers(shop: Shop) -> None:
    """Two workers that hear of an outage from each other."""
    for slot in ("worker-1", "worker-2"):
        model = AnthropicModel(key=shop.claude.key, base_url=shop.claude.base_url)
        breaker = Breaker(shop.store, shop.clock, frozenset({OWNER}))
        await shop.worker(slot=slot, concurrency=AT_ONCE, model=GuardedModel(model, breaker))


def told(shop: Shop) -> list[str]:
    rows = shop.rows("SELECT payload FROM deliveries WHERE kind = 'alert' ORDER BY id")
    return [json.loads(row["payload"])["alert"] for row in rows]


async def idle(shop: Shop) -> None:
    """Wait until no worker holds a job and each has looked for one since."""
    await shop.reads("SELECT id FROM jobs WHERE status = 'running'", [])
    for _ in range(3):
        await shop.look()
    await shop.reads("SELECT id FROM jobs WHERE status = 'running'", [])


async def out_of_order(shop: Shop) -> int:
    """Jobs and workers, and a provider that has gone: how often it was asked until all wait."""
    shop.claude.order(Fault(status=529, times=1_000))
    for number in JOBS:
        await shop.queue.add(quick(number))
    await workers(shop)
    await until(lambda: told(shop))
    await idle(shop)
    return len(shop.claude.requests)


async def test_jobs_wait_through_an_outage_and_all_are_done_after_it(shop: Shop) -> None:
    asked = await out_of_order(shop)
    assert 5 <= asked < 5 + 2 * AT_ONCE  # five that count, and who ran beside the fifth

    shop.advance(10)  # each job for itself would be asked again by now
    await idle(shop)
    assert len(shop.claude.requests) == asked

    shop.advance(20.5)
    await shop.asked(asked + 1)
    await idle(shop)
    assert len(shop.claude.requests) == asked + 1  # one tried for all, and failed

    shop.claude.clear_faults()
    shop.advance(61)
    for job_id in JOBS:
        done = await shop.job_is(job_id, JobStatus.DONE)
        assert (done.result, done.failures, done.rescues) == (f"result {job_id}", 0, 0)
    assert len(shop.claude.requests) == asked + 1 + len(JOBS)
    assert told(shop) == ["breaker_opened", "breaker_closed"]
    assert shop.rows("SELECT * FROM breakers") == []
    assert shop.rows("SELECT * FROM deliveries WHERE kind = 'failure'") == []


async def test_while_one_job_tries_no_other_is_started(shop: Shop) -> None:
    asked = await out_of_order(shop)
    shop.claude.clear_faults()
    shop.claude.order(Fault(hold="the one that tries"))

    shop.advance(31)
    await shop.asked(asked + 1)
    for _ in range(3):
        await shop.look()
    assert len(shop.rows("SELECT id FROM jobs WHERE status = 'running'")) == 1

    shop.claude.release("the one that tries")
    for job_id in JOBS:
        await shop.job_is(job_id, JobStatus.DONE)
    assert told(shop) == ["breaker_opened", "breaker_closed"]


async def test_workers_started_during_an_outage_wait_too(shop: Shop) -> None:
    asked = await out_of_order(shop)
    for worker, _ in shop.running:
        worker.drain()
        await shop.ended(worker)

    await workers(shop)
    await idle(shop)

    assert len(shop.claude.requests) == asked
    shop.claude.clear_faults()
    shop.advance(31)
    for job_id in JOBS:
        await shop.job_is(job_id, JobStatus.DONE)


async def test_a_job_that_waits_for_the_provider_says_so_and_can_be_cancelled(shop: Shop) -> None:
    shop.claude.order(Fault(status=429, retry_after_s=60.0, times=1))
    job = await shop.queue.add(quick(1))
    await shop.worker()

    waiting = await shop.job_is(job.id, JobStatus.SCHEDULED)
    assert (waiting.held_by, waiting.run_at) == ("model", "2026-11-22 07:31:00.000")
    await shop.queue.cancel(job.id)
    shop.advance(61)
    await shop.look()

    assert (await shop.queue.get(job.id)).status is JobStatus.CANCELLED
    assert len(shop.claude.requests) == 1

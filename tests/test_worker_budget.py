"""Jobs and money: they wait for the next day, and end with what they have."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes import a_job
from working import Shop, pelicans, quick

from bridge.budgets import release_held
from bridge.emulator.claude import ClaudeEmulator
from bridge.models import JobStatus
from bridge.store import Store
from bridge.telegram.compose import result_parts


@pytest.fixture
async def shop(tmp_path: Path, store: Store) -> AsyncIterator[Shop]:
    claude = ClaudeEmulator()
    await claude.start()
    claude.script.when(lambda request: True, pelicans)
    opened = Shop(tmp_path, store, claude)
    yield opened
    await opened.close()
    await claude.stop()


def has_used(shop: Shop, conversation: str, micro: int) -> None:
    shop.rows(
        "INSERT INTO usage (at, conversation, model, input_tokens, output_tokens, cache_read,"
        " cache_write, latency_ms, counted_micro)"
        f" VALUES ('2026-11-22 01:00', '{conversation}', 'x', 1, 1, 0, 0, 1, {micro})"
    )


def settings(shop: Shop, **changes: Any) -> None:
    shop.settings = replace(shop.settings, **changes)


async def test_a_job_waits_for_tomorrow_when_the_day_has_no_money_left(shop: Shop) -> None:
    settings(shop, budget_day_micro=1_000_000)
    has_used(shop, "chat:7:0", 1_000_000)
    job = await shop.queue.add(quick(1))

    await shop.worker()

    waiting = await shop.job_is(job.id, JobStatus.SCHEDULED)
    assert (waiting.held_by, waiting.run_at) == ("budget", "2026-11-23 00:00:00.000")
    assert waiting.failures == 0
    assert shop.claude.requests == []

    shop.advance(16.5 * 3_600)
    assert (await shop.job_is(job.id, JobStatus.DONE)).held_by == ""


async def test_money_that_others_hold_is_not_said_to_be_used_up(shop: Shop) -> None:
    settings(shop, budget_day_micro=1_000_000)
    shop.rows(
        "INSERT INTO reservations (conversation, user_id, highest_micro, until, boot_id)"
        f" VALUES ('job:9', '7', 1000000, 1e12, '{shop.clock.boot_id}')"
    )
    job = await shop.queue.add(quick(1))

    await shop.worker()

    assert (await shop.job_is(job.id, JobStatus.SCHEDULED)).held_by == ""
    shop.rows("DELETE FROM reservations")
    shop.advance(30)
    await shop.job_is(job.id, JobStatus.DONE)


async def test_a_larger_budget_lets_waiting_jobs_go(shop: Shop) -> None:
    settings(shop, budget_day_micro=1_000_000)
    has_used(shop, "chat:7:0", 1_000_000)
    job = await shop.queue.add(quick(1))
    other = await shop.queue.add(replace(quick(2), run_at="2026-11-30 00:00:00.000"))
    worker = await shop.worker()
    await shop.job_is(job.id, JobStatus.SCHEDULED)
    worker.drain()
    await shop.ended(worker)

    settings(shop, budget_day_micro=2_000_000)
    await shop.store.write(lambda tx: release_held(tx, shop.clock))
    await shop.worker()

    await shop.job_is(job.id, JobStatus.DONE)
    assert (await shop.queue.get(other.id)).status is JobStatus.SCHEDULED


async def test_a_job_without_money_ends_with_a_part_and_says_so(shop: Shop) -> None:
    shop.claude.script.when(lambda request: True, "There are some.")
    job = await shop.queue.add(a_job())
    has_used(shop, f"job:{job.id}", 1_000_000)

    await shop.worker()

    done = await shop.job_is(job.id, JobStatus.DONE)
    assert done.held_by == "budget"
    (part,) = result_parts(done, [], language="en")
    assert part["text"].startswith("✂️ The budget of this job was used up")
    assert part["text"].endswith("There are some.")
    (request,) = shop.claude.requests
    assert request.body["tool_choice"] == {"type": "none"}


async def test_a_job_uses_the_money_of_who_asked_for_it(shop: Shop) -> None:
    job = await shop.queue.add(a_job(user_id="8"))

    await shop.worker()

    await shop.job_is(job.id, JobStatus.DONE)
    rows = shop.rows("SELECT DISTINCT user_id FROM usage")
    assert json.dumps(rows) == '[{"user_id": "8"}]'
    assert shop.rows("SELECT * FROM reservations") == []

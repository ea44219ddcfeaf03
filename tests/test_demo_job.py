"""The job that shows what jobs are: like any other, but without a model."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fakes import a_job
from waiting import until
from working import Shop

from bridge.demo_job import KIND, Script, script_of
from bridge.emulator.claude import ClaudeEmulator
from bridge.kinds.demo import TAKES_S
from bridge.models import Job, JobStatus
from bridge.store import Store

SCRIPT = Script(steps=("one", "two", "three", "four", "five"), result="That was it.")
STEP_S = TAKES_S / len(SCRIPT.steps)


@pytest.fixture
async def shop(tmp_path: Path, store: Store) -> AsyncIterator[Shop]:
    claude = ClaudeEmulator()
    await claude.start()
    opened = Shop(tmp_path, store, claude)
    yield opened
    await opened.close()
    await claude.stop()


async def demo(shop: Shop, data: str = SCRIPT.data()) -> Job:
    return await shop.queue.add(a_job(kind=KIND, data=data))


async def stands_at(shop: Shop, job: Job, step: str) -> Job:
    """It has said so and waits now."""

    async def there() -> Job | None:
        found = await shop.queue.get(job.id)
        waits = STEP_S in [round(seconds, 3) for seconds in shop.clock.sleeping]
        return found if found.step == step and waits else None

    found = await until(there, 10)
    assert found is not None
    return found


async def test_it_says_each_step_and_ends_after_twenty_seconds(shop: Shop) -> None:
    job = await demo(shop)
    await shop.worker()
    for at, step in enumerate(SCRIPT.steps):
        assert (await stands_at(shop, job, step)).progress == 20 * at
        shop.advance(STEP_S)

    done = await shop.job_is(job.id, JobStatus.DONE)

    assert done.result == "That was it."
    assert shop.rows("SELECT count(*) AS owed FROM deliveries WHERE kind = 'result'") == [
        {"owed": 1}
    ]


async def test_it_asks_no_model(shop: Shop) -> None:
    job = await demo(shop)
    await shop.worker()
    for step in SCRIPT.steps:
        await stands_at(shop, job, step)
        shop.advance(STEP_S)

    await shop.job_is(job.id, JobStatus.DONE)

    assert shop.claude.requests == []


async def test_it_goes_on_where_an_earlier_attempt_stood(shop: Shop) -> None:
    job = await demo(shop)
    claimed = await shop.queue.claim("w9:1:a")
    assert claimed is not None
    await shop.queue.progress(claimed, 60, "four")
    await shop.queue.give_back(claimed)
    await shop.worker()

    await stands_at(shop, job, "four")
    shop.advance(STEP_S)
    await stands_at(shop, job, "five")
    shop.advance(STEP_S)

    assert (await shop.job_is(job.id, JobStatus.DONE)).attempt == 2
    steps = shop.rows("SELECT step FROM job_events WHERE event = 'progress' ORDER BY id")
    assert [row["step"] for row in steps] == ["four", "four", "five"]


async def test_it_stops_when_it_is_cancelled(shop: Shop) -> None:
    job = await demo(shop)
    worker = await shop.worker()
    await stands_at(shop, job, "one")

    await shop.queue.cancel(job.id)
    shop.store.wake.nudge("worker")

    await until(lambda: not worker._running)
    assert (await shop.queue.get(job.id)).status is JobStatus.CANCELLED


@pytest.mark.parametrize(
    "data", ["{}", "[]", '{"demo": 1}', '{"demo": {"steps": [], "result": ""}}']
)
async def test_a_job_of_this_kind_without_a_script_says_why_it_cannot_run(
    shop: Shop, data: str
) -> None:
    job = await demo(shop, data)
    await shop.worker()

    failed = await shop.job_is(job.id, JobStatus.FAILED)

    assert script_of(job) is None
    assert failed.error == "This job only shows what jobs are, and was not told what to say."


def test_a_job_of_another_kind_has_no_script() -> None:
    assert script_of(a_row(data=SCRIPT.data())) == SCRIPT
    assert script_of(a_row(data=SCRIPT.data(), kind="other")) is None


def a_row(*, data: str, kind: str = KIND) -> Job:
    pending = JobStatus.PENDING
    return Job(id=1, chat_id="7", prompt="Show it", status=pending, kind=kind, data=data)

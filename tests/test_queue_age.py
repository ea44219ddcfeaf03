"""How late a job may start: what was chosen for it lasts, also when it is put off or run again."""

from datetime import timedelta

import pytest
from fakes import FakeClock, a_job, claimed, shell

from bridge.clock import moment, stamp
from bridge.errors import JobRefused
from bridge.models import MAX_AGE_S, Job
from bridge.queue import Queue

HOUR = 3600.0


def age_s(job: Job, since: str | None) -> float:
    """Seconds from a time until the job may no longer start."""
    assert job.expires_at is not None
    assert since is not None
    return (moment(job.expires_at) - moment(since)).total_seconds()


@pytest.mark.parametrize("run_at", [None, "2026-11-23 07:30:00.000"])
async def test_chosen_age_lasts_when_a_job_is_put_off(
    queue: Queue, clock: FakeClock, run_at: str | None
) -> None:
    job = await queue.add(a_job(max_age_s=HOUR, run_at=run_at))

    for _ in range(2):
        clock.advance(60)
        job = await queue.snooze(job.id, clock.now() + timedelta(days=2))
        assert age_s(job, job.run_at) == HOUR


async def test_chosen_age_lasts_when_a_job_is_run_again(queue: Queue, clock: FakeClock) -> None:
    job = await claimed(queue, max_age_s=HOUR)
    clock.advance(1800)
    await queue.fail(job, "timeout")  # its next attempt is later than its first start could be
    for _ in range(2):
        clock.advance(2 * HOUR)
        await queue.cancel(job.id)

        again = await queue.retry(job.id)

        assert age_s(again, stamp(clock.now())) == HOUR


async def test_job_without_a_limit_has_none_later_either(queue: Queue, clock: FakeClock) -> None:
    job = await queue.add(a_job(max_age_s=None))

    job = await queue.snooze(job.id, clock.now() + timedelta(days=2))
    await queue.cancel(job.id)

    assert (job.expires_at, (await queue.retry(job.id)).expires_at) == (None, None)


async def test_limit_set_by_hand_becomes_the_usual_one(queue: Queue, clock: FakeClock) -> None:
    shell(
        queue.store.path,
        "INSERT INTO jobs (chat_id, prompt, expires_at) VALUES ('7', 'Sing', '2026-11-23 07:30')",
    )

    job = await queue.snooze(1, clock.now() + timedelta(days=2))

    assert age_s(job, job.run_at) == MAX_AGE_S


async def test_age_counts_from_now_for_a_job_whose_time_is_over(
    queue: Queue, clock: FakeClock
) -> None:
    job = await queue.add(a_job(run_at="2001-01-01 00:00:00.000", max_age_s=HOUR))

    assert age_s(job, stamp(clock.now())) == HOUR
    assert await queue.claim("w1:1:a") is not None


@pytest.mark.parametrize("text", ["", " \n", "\x00"])
async def test_empty_answer_is_refused_and_the_job_still_waits(queue: Queue, text: str) -> None:
    job = await claimed(queue)
    await queue.ask(job, "Which one?")

    with pytest.raises(JobRefused, match="The answer to job 1 is empty"):
        await queue.answer(job.id, text)

    assert (await queue.get(job.id)).status == "waiting"

"""Rows of schedules: adding, looking, pausing, running now; each chat sees its own."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from fakes import FakeClock, shell

from bridge import schedules
from bridge.errors import JobRefused, KittError, ScheduleNotFound, ScheduleRefused
from bridge.queue import Queue
from bridge.schedules import NewSchedule, Schedule
from bridge.store import Store, Tx
from bridge.timing import MIN_EVERY_S

NEWS = NewSchedule(
    chat_id="7", prompt="The news of today", cron="30 7 * * 1-5", zone="Europe/Amsterdam"
)


async def add(store: Store, clock: FakeClock, **changes: Any) -> Schedule:
    new = replace(NEWS, **changes)
    return await store.write(lambda tx: schedules.add(tx, new, now=clock.now()))


async def find(store: Store, schedule_id: int = 1) -> Schedule:
    return await store.read(lambda tx: schedules.find(tx, schedule_id))


# --- adding ---------------------------------------------------------------------------------------


async def test_schedule_keeps_everything_it_is_given(store: Store, clock: FakeClock) -> None:
    given = NewSchedule(
        chat_id="7",
        prompt="Count – ë",
        every_s=600,
        zone="America/New_York",
        title="Pelicans",
        kind="research",
        data='{"n": 3}',
        priority=5,
        thread_id=9,
        user_id="42",
    )

    added = await store.write(lambda tx: schedules.add(tx, given, now=clock.now()))

    (row,) = shell(store.path, "SELECT * FROM schedules")
    assert {name: row[name] for name in NewSchedule.__slots__} == {
        name: getattr(given, name) for name in NewSchedule.__slots__
    }
    assert (row["status"], row["fired"], row["error"]) == ("active", 0, None)
    assert added == await find(store, added.id)


async def test_first_time_of_a_cron_is_the_next_in_its_zone(store: Store, clock: FakeClock) -> None:
    added = await add(store, clock)  # on Sunday 2026-11-22 07:30 UTC

    assert added.next_at == "2026-11-23 06:30:00.000"
    assert added.created_at == "2026-11-22 07:30:00.000"


async def test_first_time_of_an_interval_is_one_interval_away(
    store: Store, clock: FakeClock
) -> None:
    assert (await add(store, clock, cron=None, every_s=90)).next_at == "2026-11-22 07:31:30.000"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"prompt": " "}, "A job needs a prompt: say what is to be done."),
        ({"chat_id": ""}, "A job needs a chat_id."),
        ({"data": "{"}, "The data of a job must be JSON"),
        ({"cron": "0 0 31 2 *"}, "cron '0 0 31 2 *' has no day-of-month that ever comes"),
        ({"zone": "Mars"}, "zone 'Mars' is not known"),
        ({"every_s": 60}, "A schedule needs either cron or every_s"),
        ({"cron": None, "every_s": 0}, "every_s must be whole seconds from 1"),
        ({"priority": 10**20}, "priority must be a whole number; got 100000000000000000000."),
    ],
)
async def test_schedule_that_is_wrong_is_refused_and_not_stored(
    store: Store, clock: FakeClock, changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises((ScheduleRefused, JobRefused)) as refused:
        await add(store, clock, **changes)

    assert str(refused.value).startswith(sentence)
    assert shell(store.path, "SELECT * FROM schedules") == []


@pytest.mark.parametrize("changes", [{"cron": "* * * * *"}, {"cron": None, "every_s": 299}])
async def test_schedule_made_from_a_chat_may_not_come_too_often(
    store: Store, clock: FakeClock, changes: dict[str, Any]
) -> None:
    often = replace(NEWS, **changes)

    with pytest.raises(ScheduleRefused, match="300"):
        await store.write(
            lambda tx: schedules.add(tx, often, now=clock.now(), min_every_s=MIN_EVERY_S)
        )

    assert shell(store.path, "SELECT * FROM schedules") == []


# --- whose it is ----------------------------------------------------------------------------------


async def test_list_has_only_the_schedules_of_the_chat(store: Store, clock: FakeClock) -> None:
    for chat_id in ("7", "8", "7"):
        await add(store, clock, chat_id=chat_id)

    async def ids(chat_id: str | None) -> list[int]:
        found = await store.read(lambda tx: schedules.list_schedules(tx, chat_id=chat_id))
        return [schedule.id for schedule in found]

    assert await ids("7") == [1, 3]
    assert await ids("8") == [2]
    assert await ids("9") == []
    assert await ids(None) == [1, 2, 3]


@pytest.mark.parametrize("what", ["find", "pause", "resume", "remove", "run_now"])
@pytest.mark.parametrize("chat_id", ["8", ""])
async def test_schedule_of_another_chat_is_not_there(
    store: Store, clock: FakeClock, queue: Queue, what: str, chat_id: str
) -> None:
    await add(store, clock)
    before = shell(store.path, "SELECT * FROM schedules")
    acts: dict[str, Callable[[Tx, int], object]] = {
        "find": lambda tx, n: schedules.find(tx, n, chat_id),
        "pause": lambda tx, n: schedules.pause(tx, n, chat_id=chat_id),
        "resume": lambda tx, n: schedules.resume(tx, n, now=clock.now(), chat_id=chat_id),
        "remove": lambda tx, n: schedules.remove(tx, n, chat_id=chat_id),
        "run_now": lambda tx, n: schedules.run_now(tx, queue, n, chat_id=chat_id),
    }

    sentences = []
    for number in (1, 99, 10**30):
        with pytest.raises(ScheduleNotFound) as missing:
            await store.write(lambda tx, n=number: acts[what](tx, n))  # type: ignore[misc]
        sentences.append(str(missing.value))

    assert sentences == [f"There is no schedule {number}." for number in (1, 99, 10**30)]
    assert shell(store.path, "SELECT * FROM schedules") == before
    assert shell(store.path, "SELECT * FROM jobs") == []


async def test_schedule_is_there_for_its_own_chat(store: Store, clock: FakeClock) -> None:
    added = await add(store, clock)

    assert await store.read(lambda tx: schedules.find(tx, added.id, "7")) == added


# --- pause, resume, remove ------------------------------------------------------------------------


async def test_paused_schedule_has_no_next_times(store: Store, clock: FakeClock) -> None:
    added = await add(store, clock)
    assert len(schedules.next_times(added)) == 3

    paused = await store.write(lambda tx: schedules.pause(tx, added.id))

    assert (paused.status, paused.error) == ("paused", None)
    assert schedules.next_times(paused) == []


async def test_resumed_schedule_goes_on_from_now(store: Store, clock: FakeClock) -> None:
    added = await add(store, clock, cron=None, every_s=3600)
    await store.write(lambda tx: schedules.pause(tx, added.id))
    clock.advance(timedelta(days=3).total_seconds())

    resumed = await store.write(lambda tx: schedules.resume(tx, added.id, now=clock.now()))

    assert (resumed.status, resumed.next_at) == ("active", "2026-11-25 08:30:00.000")


async def test_resuming_an_active_schedule_moves_nothing(store: Store, clock: FakeClock) -> None:
    added = await add(store, clock, cron=None, every_s=3600)
    clock.advance(600)

    assert await store.write(lambda tx: schedules.resume(tx, 1, now=clock.now())) == added


async def test_broken_schedule_is_not_resumed_until_it_is_mended(
    store: Store, clock: FakeClock
) -> None:
    await add(store, clock)
    shell(store.path, "UPDATE schedules SET zone = 'Mars', status = 'paused', error = 'no zone'")

    with pytest.raises(ScheduleRefused, match="zone 'Mars' is not known"):
        await store.write(lambda tx: schedules.resume(tx, 1, now=clock.now()))
    assert (await find(store)).error == "no zone"

    shell(store.path, "UPDATE schedules SET zone = 'UTC'")
    resumed = await store.write(lambda tx: schedules.resume(tx, 1, now=clock.now()))
    assert (resumed.status, resumed.error) == ("active", None)
    assert resumed.next_at == "2026-11-23 07:30:00.000"


async def test_pausing_keeps_why_it_was_paused_before(store: Store, clock: FakeClock) -> None:
    await add(store, clock)
    shell(store.path, "UPDATE schedules SET status = 'paused', error = 'no zone'")

    assert (await store.write(lambda tx: schedules.pause(tx, 1))).error == "no zone"


async def test_removed_schedule_is_gone_and_its_job_stays(
    store: Store, clock: FakeClock, queue: Queue
) -> None:
    await add(store, clock)
    await store.write(lambda tx: schedules.run_now(tx, queue, 1))

    removed = await store.write(lambda tx: schedules.remove(tx, 1))

    assert removed.prompt == NEWS.prompt
    with pytest.raises(ScheduleNotFound):
        await find(store)
    assert len(shell(store.path, "SELECT * FROM jobs WHERE status = 'pending'")) == 1
    assert (await add(store, clock)).id == 2


# --- run now --------------------------------------------------------------------------------------


async def test_run_now_starts_the_job_and_moves_no_time(
    store: Store, clock: FakeClock, queue: Queue
) -> None:
    added = await add(store, clock, title="News", priority=3, thread_id=9, user_id="42")

    job = await store.write(lambda tx: schedules.run_now(tx, queue, added.id))

    assert (job.chat_id, job.prompt, job.title) == ("7", NEWS.prompt, "News")
    assert (job.priority, job.thread_id, job.user_id) == (3, 9, "42")
    assert (job.schedule_id, job.status) == (added.id, "pending")
    assert await find(store) == replace(added, fired=1, last_job_id=job.id)


async def test_run_now_waits_for_the_end_of_the_last_job(
    store: Store, clock: FakeClock, queue: Queue
) -> None:
    await add(store, clock)
    job = await store.write(lambda tx: schedules.run_now(tx, queue, 1))

    with pytest.raises(ScheduleRefused) as refused:
        await store.write(lambda tx: schedules.run_now(tx, queue, 1))
    assert str(refused.value) == ("Job 1 of schedule 1 has not ended: wait for it, or cancel it.")

    await queue.cancel(job.id)
    assert (await store.write(lambda tx: schedules.run_now(tx, queue, 1))).id == 2


async def test_paused_schedule_may_run_now(store: Store, clock: FakeClock, queue: Queue) -> None:
    await add(store, clock)
    await store.write(lambda tx: schedules.pause(tx, 1))

    assert (await store.write(lambda tx: schedules.run_now(tx, queue, 1))).id == 1
    assert (await find(store)).status == "paused"


# --- rows made by hand ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        "chat_id = x'ff07', prompt = x'ff', title = x'ff', cron = x'ff', zone = x'ff'",
        "priority = 'high', thread_id = x'ff', next_at = 'soon', last_at = x'ff'",
        "cron = NULL, every_s = 'often', fired = 'never'",
    ],
)
async def test_row_that_holds_anything_is_still_listed(
    store: Store, clock: FakeClock, queue: Queue, changes: str
) -> None:
    await add(store, clock)
    shell(store.path, f"UPDATE schedules SET {changes}")

    (found,) = await store.read(schedules.list_schedules)

    assert found.id == 1
    assert schedules.next_times(found) == []
    with pytest.raises(KittError):
        await store.write(lambda tx: schedules.resume(tx, 1, now=clock.now()))


async def test_next_times_are_shown_in_the_zone(store: Store, clock: FakeClock) -> None:
    added = await add(store, clock)

    assert [time.isoformat() for time in schedules.next_times(added)] == [
        "2026-11-23T07:30:00+01:00",
        "2026-11-24T07:30:00+01:00",
        "2026-11-25T07:30:00+01:00",
    ]
    assert len(schedules.next_times(added, count=1)) == 1

"""Due schedules become jobs: each time once, whatever clocks and processes do."""

import asyncio
import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from blank import lay
from fakes import FakeClock, OpenStore, shell
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge import schedules
from bridge.clock import moment, stamp
from bridge.queue import Queue
from bridge.scheduler import Scheduler
from bridge.schedules import NewSchedule, Schedule
from bridge.store import Store, statements
from bridge.timing import Timing

HOUR_S, DAY_S, YEAR_S = 3600.0, 86_400.0, 365 * 86_400.0
DAILY = NewSchedule(chat_id="7", prompt="The news of today", cron="0 8 * * *")  # 30 min from START


@pytest.fixture
def scheduler(store: Store, queue: Queue, clock: FakeClock) -> Scheduler:
    return Scheduler(store=store, queue=queue, clock=clock)


async def add(scheduler: Scheduler, **changes: Any) -> Schedule:
    new = replace(DAILY, **changes)
    now = scheduler.clock.now()
    return await scheduler.store.write(lambda tx: schedules.add(tx, new, now=now))


async def row(scheduler: Scheduler, schedule_id: int = 1) -> Schedule:
    return await scheduler.store.read(lambda tx: schedules.find(tx, schedule_id))


def jobs(scheduler: Scheduler) -> list[dict[str, Any]]:
    return shell(scheduler.store.path, "SELECT * FROM jobs ORDER BY id")


def times(scheduler: Scheduler) -> list[str]:
    """The planned time of every job a schedule has started."""
    return [str(job["source"]).split(":", 2)[2] for job in jobs(scheduler)]


def end_jobs(scheduler: Scheduler) -> None:
    shell(scheduler.store.path, "UPDATE jobs SET status = 'cancelled' WHERE status = 'pending'")


async def pass_time(scheduler: Scheduler, clock: FakeClock, seconds: float) -> float:
    """Time passes, the jobs before have ended, and the scheduler looks."""
    clock.advance(seconds)
    end_jobs(scheduler)
    return await scheduler.run_due()


async def set_clock(scheduler: Scheduler, clock: FakeClock, seconds: float) -> float:
    """The machine's clock is set, and the scheduler looks."""
    clock.jump(seconds)
    end_jobs(scheduler)
    return await scheduler.run_due()


# --- a time comes ---------------------------------------------------------------------------------


async def test_due_schedule_starts_its_job_and_knows_its_next_time(
    scheduler: Scheduler, clock: FakeClock
) -> None:
    given = {"title": "News", "kind": "research", "data": '{"n": 3}', "priority": 5}
    await add(scheduler, **given, thread_id=9, user_id="42")
    clock.advance(1800)

    await scheduler.run_due()

    (job,) = jobs(scheduler)
    assert (job["chat_id"], job["prompt"], job["status"]) == ("7", DAILY.prompt, "pending")
    assert {name: job[name] for name in given} == given
    assert (job["thread_id"], job["user_id"], job["schedule_id"]) == (9, "42", 1)
    assert (job["source"], job["unique_key"]) == (
        "schedule:1:2026-11-22 08:00:00.000",
        "schedule:1",
    )
    found = await row(scheduler)
    assert (found.next_at, found.last_at) == (
        "2026-11-23 08:00:00.000",
        "2026-11-22 08:00:00.000",
    )
    assert (found.last_job_id, found.fired, found.error) == (1, 1, None)


async def test_schedule_that_is_not_due_starts_nothing(
    scheduler: Scheduler, clock: FakeClock
) -> None:
    await add(scheduler)
    clock.advance(1799.9)

    await scheduler.run_due()

    assert jobs(scheduler) == []


async def test_looking_when_nothing_is_due_writes_nothing(
    scheduler: Scheduler, open_store: OpenStore
) -> None:
    await add(scheduler)
    other = await open_store()
    before = await other.data_version()

    await scheduler.run_due()

    assert await other.data_version() == before


async def test_answer_is_the_seconds_until_the_next_time(
    scheduler: Scheduler, clock: FakeClock
) -> None:
    assert await scheduler.run_due() == 60.0

    await add(scheduler)
    assert await scheduler.run_due() == 60.0

    clock.advance(1787.5)
    assert await scheduler.run_due() == 12.5

    clock.advance(12.5)
    assert await scheduler.run_due() == 60.0

    await add(scheduler, cron=None, every_s=5)
    assert await scheduler.run_due() == 5.0


async def test_paused_schedule_starts_nothing_and_is_not_waited_for(
    scheduler: Scheduler, clock: FakeClock
) -> None:
    await add(scheduler)
    await scheduler.store.write(lambda tx: schedules.pause(tx, 1))
    clock.advance(1800)

    assert await scheduler.run_due() == 60.0
    assert jobs(scheduler) == []


async def test_resumed_schedule_does_not_make_up_for_its_pause(
    scheduler: Scheduler, clock: FakeClock
) -> None:
    await add(scheduler)
    await scheduler.store.write(lambda tx: schedules.pause(tx, 1))
    clock.advance(3 * DAY_S)
    await scheduler.store.write(lambda tx: schedules.resume(tx, 1, now=clock.now()))

    await scheduler.run_due()
    assert jobs(scheduler) == []

    await pass_time(scheduler, clock, 1800)
    assert times(scheduler) == ["2026-11-25 08:00:00.000"]


async def test_job_and_next_time_are_one_commit(open_store: OpenStore, clock: FakeClock) -> None:
    broken = "-- The disk fails here.\nUPDATE schedules SET next_at = raise_an_error(:next_at)"
    store = await open_store(sql={**statements(), "fire_schedule": broken})
    scheduler = Scheduler(store=store, queue=Queue(store=store, clock=clock), clock=clock)
    before = await add(scheduler)
    clock.advance(1800)

    with pytest.raises(Exception, match="raise_an_error"):
        await scheduler.run_due()

    assert jobs(scheduler) == []
    assert await row(scheduler) == before


async def test_two_processes_start_one_job(
    scheduler: Scheduler, clock: FakeClock, open_store: OpenStore
) -> None:
    store = await open_store()
    other = Scheduler(store=store, queue=Queue(store=store, clock=clock), clock=clock)
    for _ in range(5):
        await add(scheduler)
    clock.advance(1800)

    await asyncio.gather(scheduler.run_due(), other.run_due())

    assert sorted(job["schedule_id"] for job in jobs(scheduler)) == [1, 2, 3, 4, 5]
    assert [(await row(scheduler, n)).fired for n in range(1, 6)] == [1] * 5
    assert [(await row(scheduler, n)).error for n in range(1, 6)] == [None] * 5


@pytest.mark.parametrize("changes", [{}, {"cron": None, "every_s": 1800}])
async def test_process_that_looked_before_another_one_started_the_job_changes_nothing(
    scheduler: Scheduler, clock: FakeClock, changes: dict[str, Any]
) -> None:
    await add(scheduler, **changes)
    clock.advance(1800)
    ((schedule_id, at),), _ = await scheduler.store.read(scheduler._due)
    await scheduler.run_due()
    end_jobs(scheduler)
    before = await row(scheduler)
    clock.advance(1)

    await scheduler.store.write(lambda tx: scheduler._take(tx, schedule_id, at))

    assert len(jobs(scheduler)) == 1
    assert await row(scheduler) == before


async def test_schedule_paused_after_somebody_looked_starts_nothing(
    scheduler: Scheduler, clock: FakeClock
) -> None:
    await add(scheduler)
    clock.advance(1800)
    ((schedule_id, at),), _ = await scheduler.store.read(scheduler._due)
    await scheduler.store.write(lambda tx: schedules.pause(tx, schedule_id))

    await scheduler.store.write(lambda tx: scheduler._take(tx, schedule_id, at))

    assert jobs(scheduler) == []


# --- the job of the last time still lives ---------------------------------------------------------


@pytest.mark.parametrize("status", ["pending", "scheduled", "blocked", "running", "waiting"])
async def test_live_job_keeps_the_next_from_starting_and_that_is_counted(
    scheduler: Scheduler, clock: FakeClock, status: str
) -> None:
    await add(scheduler)
    clock.advance(1800)
    await scheduler.run_due()
    shell(scheduler.store.path, "UPDATE jobs SET status = :status", status=status)

    for count in (1, 2, 3):
        clock.advance(DAY_S)
        assert await scheduler.run_due() == 60.0
        found = await row(scheduler)
        assert found.error == f"{count} skipped: job 1 has not ended"
        assert (found.fired, found.next_at) == (1, f"2026-11-{23 + count} 08:00:00.000")

    assert len(jobs(scheduler)) == 1


async def test_schedule_goes_on_when_its_job_has_ended(
    scheduler: Scheduler, clock: FakeClock
) -> None:
    await add(scheduler)
    clock.advance(1800)
    await scheduler.run_due()
    clock.advance(DAY_S)
    await scheduler.run_due()

    await pass_time(scheduler, clock, DAY_S)

    assert times(scheduler) == ["2026-11-22 08:00:00.000", "2026-11-24 08:00:00.000"]
    found = await row(scheduler)
    assert (found.fired, found.last_job_id, found.error) == (2, 2, None)


async def test_job_run_by_hand_keeps_the_next_from_starting_too(
    scheduler: Scheduler, clock: FakeClock
) -> None:
    await add(scheduler)
    await scheduler.store.write(lambda tx: schedules.run_now(tx, scheduler.queue, 1))
    clock.advance(1800)

    await scheduler.run_due()

    assert len(jobs(scheduler)) == 1
    assert (await row(scheduler)).error == "1 skipped: job 1 has not ended"


async def test_schedules_do_not_keep_each_other_from_starting(
    scheduler: Scheduler, clock: FakeClock
) -> None:
    await add(scheduler)
    await add(scheduler)
    clock.advance(1800)

    await scheduler.run_due()

    assert [job["schedule_id"] for job in jobs(scheduler)] == [1, 2]


# --- after a while of nobody looking --------------------------------------------------------------


def late(scheduler: Scheduler) -> list[str]:
    sql = "SELECT message FROM job_events WHERE event = 'late'"
    return [event["message"] for event in shell(scheduler.store.path, sql)]


async def test_missed_times_are_made_up_for_by_one_job(
    scheduler: Scheduler, clock: FakeClock
) -> None:
    await add(scheduler)

    await pass_time(scheduler, clock, 10 * DAY_S)
    await pass_time(scheduler, clock, 60)
    assert times(scheduler) == ["2026-11-22 08:00:00.000"]
    assert (await row(scheduler)).next_at == "2026-12-02 08:00:00.000"

    await pass_time(scheduler, clock, 1740)
    assert times(scheduler) == ["2026-11-22 08:00:00.000", "2026-12-02 08:00:00.000"]


async def test_job_that_makes_up_says_so_and_asks_the_same(
    scheduler: Scheduler, clock: FakeClock
) -> None:
    await add(scheduler)

    await pass_time(scheduler, clock, 10 * DAY_S)

    assert late(scheduler) == ["was due at 2026-11-22 08:00:00.000 UTC"]
    assert jobs(scheduler)[0]["prompt"] == DAILY.prompt


async def test_job_that_is_a_minute_late_is_on_time(scheduler: Scheduler, clock: FakeClock) -> None:
    await add(scheduler)

    await pass_time(scheduler, clock, 1860)

    assert len(jobs(scheduler)) == 1
    assert late(scheduler) == []


async def test_interval_that_was_looked_at_late_does_not_stay_late(
    scheduler: Scheduler, clock: FakeClock
) -> None:
    await add(scheduler, cron=None, every_s=600)

    for seconds in (640, 560, 1830):
        await pass_time(scheduler, clock, seconds)

    assert times(scheduler) == [
        "2026-11-22 07:40:00.000",
        "2026-11-22 07:50:00.000",
        "2026-11-22 08:00:00.000",
    ]
    assert (await row(scheduler)).next_at == "2026-11-22 08:30:00.000"


# --- the machine's clock is set -------------------------------------------------------------------


@pytest.mark.parametrize("ahead_s", [HOUR_S, DAY_S, YEAR_S])
async def test_clock_that_is_set_forward_makes_one_job(
    scheduler: Scheduler, clock: FakeClock, ahead_s: float
) -> None:
    await add(scheduler)

    for seconds in (ahead_s, 1, 60):
        await set_clock(scheduler, clock, seconds)

    assert times(scheduler) == ["2026-11-22 08:00:00.000"]


@pytest.mark.parametrize("back_s", [60.0, HOUR_S, DAY_S - 1, 10 * YEAR_S])
async def test_clock_that_is_set_back_starts_no_time_again(
    scheduler: Scheduler, clock: FakeClock, back_s: float
) -> None:
    await add(scheduler)
    await pass_time(scheduler, clock, 1800)

    await set_clock(scheduler, clock, -back_s)
    for seconds in (60, back_s % DAY_S, 60):
        await pass_time(scheduler, clock, seconds)
    started = [time for time in times(scheduler) if time.startswith("2026")]

    assert started == ["2026-11-22 08:00:00.000"]


async def test_clock_that_was_back_for_a_while_starts_no_time_again(
    scheduler: Scheduler, clock: FakeClock
) -> None:
    await add(scheduler)
    await pass_time(scheduler, clock, 1800)

    await set_clock(scheduler, clock, -10 * YEAR_S)
    await pass_time(scheduler, clock, 60)
    await set_clock(scheduler, clock, 10 * YEAR_S)

    assert times(scheduler) == ["2026-11-22 08:00:00.000"]
    assert (await row(scheduler)).next_at == "2026-11-23 08:00:00.000"


async def test_clock_that_was_ahead_for_a_while_starts_no_time_again(
    scheduler: Scheduler, clock: FakeClock
) -> None:
    await add(scheduler)

    await set_clock(scheduler, clock, HOUR_S)
    await set_clock(scheduler, clock, -HOUR_S)
    await pass_time(scheduler, clock, 1800)
    assert times(scheduler) == ["2026-11-22 08:00:00.000"]

    await pass_time(scheduler, clock, DAY_S)
    assert times(scheduler) == ["2026-11-22 08:00:00.000", "2026-11-23 08:00:00.000"]


async def test_clock_that_is_set_back_does_not_repeat_what_was_made_up_for(
    scheduler: Scheduler, clock: FakeClock
) -> None:
    await add(scheduler, cron="0 * * * *")
    await pass_time(scheduler, clock, 3 * HOUR_S)

    await set_clock(scheduler, clock, -HOUR_S)
    await pass_time(scheduler, clock, 2700)
    assert times(scheduler) == ["2026-11-22 08:00:00.000"]

    await pass_time(scheduler, clock, 2700)
    assert times(scheduler)[1:] == ["2026-11-22 11:00:00.000"]


async def test_clock_that_was_a_year_ahead_does_not_silence_a_schedule_for_a_year(
    scheduler: Scheduler, clock: FakeClock
) -> None:
    await add(scheduler)
    await set_clock(scheduler, clock, YEAR_S)

    await set_clock(scheduler, clock, -YEAR_S)
    assert (await row(scheduler)).next_at == "2026-11-22 08:00:00.000"

    await pass_time(scheduler, clock, 1800)  # that time has had its job, a year ahead
    found = await row(scheduler)
    assert (found.fired, found.error, found.next_at) == (1, None, "2026-11-23 08:00:00.000")

    await pass_time(scheduler, clock, DAY_S)
    assert times(scheduler) == ["2026-11-22 08:00:00.000", "2026-11-23 08:00:00.000"]


async def test_schedule_added_or_kept_waiting_while_the_clock_was_a_year_ahead_is_not_silent(
    scheduler: Scheduler, clock: FakeClock
) -> None:
    await add(scheduler)
    await scheduler.store.write(lambda tx: schedules.run_now(tx, scheduler.queue, 1))
    clock.jump(YEAR_S)
    await add(scheduler)
    await scheduler.run_due()
    assert (await row(scheduler)).error == "1 skipped: job 1 has not ended"

    await set_clock(scheduler, clock, -YEAR_S)

    for number in (1, 2):
        assert (await row(scheduler, number)).next_at == "2026-11-22 08:00:00.000"


async def test_interval_goes_on_after_one_interval_when_the_clock_was_set_back(
    scheduler: Scheduler, clock: FakeClock
) -> None:
    await add(scheduler, cron=None, every_s=600)
    await pass_time(scheduler, clock, 600)

    await set_clock(scheduler, clock, -HOUR_S)
    assert len(jobs(scheduler)) == 1
    await pass_time(scheduler, clock, 599)
    assert len(jobs(scheduler)) == 1
    await pass_time(scheduler, clock, 1)
    assert len(jobs(scheduler)) == 2


async def test_looking_while_the_clock_is_back_writes_nothing(
    scheduler: Scheduler, clock: FakeClock, open_store: OpenStore
) -> None:
    await add(scheduler)
    await add(scheduler, cron=None, every_s=600)
    await pass_time(scheduler, clock, 1800)
    await set_clock(scheduler, clock, -10 * YEAR_S)
    other = await open_store()
    before = await other.data_version()

    await scheduler.run_due()

    assert await other.data_version() == before


# --- rows made by hand ----------------------------------------------------------------------------


def insert(scheduler: Scheduler, **values: Any) -> None:
    """What a person types into the sqlite3 shell."""
    now = stamp(scheduler.clock.now())  # the shell's own would be the machine's
    values = {"chat_id": "7", "prompt": "Sing", "created_at": now, **values}
    names = ", ".join(values)
    marks = ", ".join(f":{name}" for name in values)
    shell(scheduler.store.path, f"INSERT INTO schedules ({names}) VALUES ({marks})", **values)


@pytest.mark.parametrize(
    ("values", "next_at"),
    [
        ({"cron": "0 8 * * *"}, "2026-11-22 08:00:00.000"),
        ({"cron": "0 9 * * *", "zone": "Europe/Amsterdam"}, "2026-11-22 08:00:00.000"),
        ({"every_s": 1800}, "2026-11-22 08:00:00.000"),
        ({"every_s": 1800, "next_at": "soon"}, "2026-11-22 08:00:00.000"),
        ({"every_s": 1800, "next_at": b"\xff"}, "2026-11-22 08:00:00.000"),
        ({"every_s": 1800, "next_at": "07:30"}, "2026-11-22 08:00:00.000"),
    ],
)
async def test_row_made_by_hand_gets_its_time_and_then_runs(
    scheduler: Scheduler, clock: FakeClock, values: dict[str, Any], next_at: str
) -> None:
    await scheduler.run_due()
    insert(scheduler, **values)

    await scheduler.run_due()
    assert (await row(scheduler)).next_at == next_at
    assert jobs(scheduler) == []

    await pass_time(scheduler, clock, 1800)
    assert [job["prompt"] for job in jobs(scheduler)] == ["Sing"]


async def test_row_made_by_hand_may_say_when_it_begins(
    scheduler: Scheduler, clock: FakeClock
) -> None:
    insert(scheduler, every_s=3600, next_at="2026-11-22 07:30")

    await scheduler.run_due()

    assert len(jobs(scheduler)) == 1
    assert (await row(scheduler)).next_at == "2026-11-22 08:30:00.000"


async def test_zone_changed_by_hand_counts_once_the_next_time_is_emptied(
    scheduler: Scheduler,
) -> None:
    await add(scheduler)
    sql = "UPDATE schedules SET zone = 'America/New_York', next_at = NULL"
    shell(scheduler.store.path, sql)

    await scheduler.run_due()

    assert (await row(scheduler)).next_at == "2026-11-22 13:00:00.000"


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"cron": "0 25 * * *"}, "cron '0 25 * * *' has no hour that ever comes"),
        ({"cron": "0 0 31 2 *"}, "cron '0 0 31 2 *' has no day-of-month that ever comes"),
        ({"cron": b"\xff"}, "cron '\N{REPLACEMENT CHARACTER}' has not five fields"),
        ({"cron": "0 7 * * *", "zone": "Mars"}, "zone 'Mars' is not known"),
        ({"every_s": 0}, "every_s must be whole seconds from 1"),
        ({"every_s": "often"}, "every_s must be whole seconds from 1"),
        ({"every_s": 60, "prompt": ""}, "A job needs a prompt"),
        ({"every_s": 60, "chat_id": " "}, "A job needs a chat_id"),
        ({"every_s": 60, "data": "{"}, "The data of a job must be JSON"),
        ({"every_s": 60, "data": "[" * 60_000}, "The data of a job is nested too deeply"),
        ({"every_s": 60, "kind": "Web/*"}, "'Web/*' cannot be a kind"),
        ({"every_s": 60, "kind": b"\xff"}, "'\N{REPLACEMENT CHARACTER}' cannot be a kind"),
        ({"every_s": 60, "priority": "high"}, "priority must be a whole number; got high."),
        ({"every_s": 60, "priority": 1e30}, "priority must be a whole number; got 1e+30."),
        ({"every_s": 60, "thread_id": b"\xff"}, "thread_id must be a whole number"),
    ],
)
@pytest.mark.parametrize("next_at", [None, "2026-11-22 07:30:00.000"])
async def test_row_that_cannot_be_used_is_paused_and_says_why_and_others_go_on(
    scheduler: Scheduler, values: dict[str, Any], error: str, next_at: str | None
) -> None:
    insert(scheduler, **values, next_at=next_at)
    insert(scheduler, every_s=60, next_at="2026-11-22 07:30:00.000")

    assert await scheduler.run_due() == 60.0

    broken = await row(scheduler)
    assert broken.status == "paused"
    assert (broken.error or "").startswith(error)
    assert [job["schedule_id"] for job in jobs(scheduler)] == [2]


@pytest.mark.parametrize("value", [b"\xff\x00", "\udcff".encode("utf-8", "surrogatepass"), 5])
async def test_row_of_bytes_that_are_no_text_starts_a_job(
    scheduler: Scheduler, value: object
) -> None:
    insert(
        scheduler,
        **dict.fromkeys(("chat_id", "prompt", "title", "user_id"), value),
        every_s=60,
        next_at="2026-11-22 07:30:00.000",
    )

    await scheduler.run_due()

    assert len(jobs(scheduler)) == 1


# --- a year ---------------------------------------------------------------------------------------

ZONES = ["Europe/Amsterdam", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "UTC"]
YEARS = dict.fromkeys(ZONES, 2026) | {"Pacific/Apia": 2011}  # a day of it was left out
CHANGES = [  # when the clocks of one of the zones change
    datetime(2026, 3, 8, 7, tzinfo=UTC),
    datetime(2026, 3, 29, 1, tzinfo=UTC),
    datetime(2026, 4, 4, 15, tzinfo=UTC),
    datetime(2026, 10, 3, 15, 30, tzinfo=UTC),
    datetime(2026, 10, 25, 1, tzinfo=UTC),
    datetime(2026, 11, 1, 6, tzinfo=UTC),
    datetime(2011, 4, 2, 14, tzinfo=UTC),
    datetime(2011, 9, 24, 14, tzinfo=UTC),
    datetime(2011, 12, 30, 10, tzinfo=UTC),
]


@st.composite
def years(draw: st.DrawFn) -> tuple[Timing, list[datetime]]:
    """A schedule, and when in a year somebody looks; the first is when it is added."""
    zone = draw(st.sampled_from(ZONES))
    if draw(st.booleans()):
        minutes = ",".join(
            map(str, sorted(draw(st.sets(st.integers(0, 59), min_size=1, max_size=2))))
        )
        hours = draw(st.sampled_from(["2", "1,2,3", "0", "*/6", "1-3", "9", "23"]))
        days = draw(st.sampled_from(["* * *", "* * 0", "* * 1-5", "1,15 * *", "28-31 * *"]))
        timing = Timing(cron=f"{minutes} {hours} {days}", zone=zone)
    else:
        timing = Timing(every_s=draw(st.integers(3600, 30 * 86_400)), zone=zone)
    start = datetime(YEARS[zone], 1, 1, tzinfo=UTC)
    anywhere = st.integers(0, int(YEAR_S)).map(lambda s: start + timedelta(seconds=s))
    near = [change for change in CHANGES if change.year == start.year]
    hours_apart = st.integers(-4 * 3600, 4 * 3600).map(lambda s: timedelta(seconds=s))
    close = st.builds(lambda change, apart: change + apart, st.sampled_from(near), hours_apart)
    looks = draw(st.lists(st.one_of(anywhere, close, close), min_size=4, max_size=25))
    return timing, [start, *sorted(looks)]


def expected(timing: Timing, looks: list[datetime]) -> list[str]:
    """The planned time of each job: the first that came since somebody looked."""
    planned: list[str] = []
    ahead = timing.next_after(looks[0])
    for look in looks[1:]:
        if ahead <= look:
            planned.append(stamp(ahead))
        while ahead <= look:
            ahead = timing.next_after(ahead)
    return planned


@settings(max_examples=30, deadline=None)
@given(year=years())
def test_no_time_of_a_year_is_lost_or_doubled_whenever_somebody_looks(
    year: tuple[Timing, list[datetime]],
) -> None:
    timing, looks = year

    async def live() -> tuple[list[str], Schedule]:
        clock = FakeClock(looks[0])
        with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
            lay(Path(folder) / "kitt.db")
            store = await Store.open(Path(folder) / "kitt.db", Path(folder) / "run")
            try:
                queue = Queue(store=store, clock=clock)
                two = [Scheduler(store=store, queue=queue, clock=clock) for _ in range(2)]
                await add(two[0], cron=timing.cron, every_s=timing.every_s, zone=timing.zone)
                for number, look in enumerate(looks[1:]):
                    await pass_time(two[number % 2], clock, (look - clock.now()).total_seconds())
                return times(two[0]), await row(two[0])
            finally:
                await store.close()

    found, schedule = asyncio.run(live())

    assert found == expected(timing, looks)
    assert schedule.fired == len(found)
    assert schedule.next_at is not None
    assert moment(schedule.next_at) > looks[-1]

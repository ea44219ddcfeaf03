"""The real clock, stamps that sort, and the fake clock the other tests trust."""

import asyncio
import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from fakes import FakeClock
from hypothesis import given
from hypothesis import strategies as st

from bridge.clock import BOOT_ID_FILE, Clock, moment, stamp

MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))


def test_real_clock_tells_utc_and_the_boot() -> None:
    clock = Clock()

    assert clock.now().tzinfo is UTC
    assert abs((clock.now() - datetime.now(UTC)).total_seconds()) < 5
    assert clock.boot_id == BOOT_ID_FILE.read_text().strip()


def test_real_monotonic_time_is_the_one_of_every_process() -> None:
    clock = Clock()

    assert abs(time.clock_gettime(time.CLOCK_MONOTONIC) - clock.monotonic()) < 5


async def test_real_sleep_lets_time_pass() -> None:
    clock = Clock()
    before = clock.monotonic()

    await clock.sleep(0.01)

    assert clock.monotonic() - before >= 0.01


def test_stamp_is_utc_to_the_millisecond() -> None:
    summer = timezone(timedelta(hours=2))

    assert stamp(datetime(2026, 11, 22, 9, 30, 0, 123999, tzinfo=summer)) == (
        "2026-11-22 07:30:00.123"
    )


@given(first=MOMENTS, second=MOMENTS)
def test_stamps_sort_as_their_moments_do(first: datetime, second: datetime) -> None:
    if first <= second:
        assert stamp(first) <= stamp(second)
    else:
        assert stamp(first) >= stamp(second)


@given(when=MOMENTS)
def test_moment_reverses_stamp_to_the_millisecond(when: datetime) -> None:
    assert timedelta(0) <= when - moment(stamp(when)) < timedelta(milliseconds=1)


def test_moment_takes_what_a_person_wrote_without_a_fraction() -> None:
    assert moment("2026-11-22 07:30:00") == datetime(2026, 11, 22, 7, 30, tzinfo=UTC)


async def test_fake_sleeper_wakes_when_the_clock_was_advanced_so_far() -> None:
    clock = FakeClock()
    sleeper = asyncio.create_task(clock.sleep(61))
    await asyncio.sleep(0)

    clock.advance(60.5)
    await asyncio.sleep(0)

    assert clock.sleeping == [0.5]
    assert not sleeper.done()

    clock.advance(0.5)
    await sleeper

    assert clock.sleeping == []


async def test_fake_sleep_can_be_cancelled() -> None:
    clock = FakeClock()
    sleeper = asyncio.create_task(clock.sleep(1))
    await asyncio.sleep(0)

    sleeper.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sleeper
    clock.advance(1)

    assert clock.sleeping == []


def test_fake_clock_advances_both_times_and_jumps_only_one() -> None:
    clock = FakeClock()
    now, monotonic = clock.now(), clock.monotonic()

    clock.advance(10)
    clock.jump(-3600)

    assert clock.now() - now == timedelta(seconds=10 - 3600)
    assert clock.monotonic() - monotonic == 10

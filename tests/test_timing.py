"""When something recurs: cron in zones whose clocks change, and every so many seconds."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.errors import ScheduleRefused
from bridge.timing import EVERY_S_MAX, MIN_EVERY_S, Timing, zone_named

AMSTERDAM, NEW_YORK = "Europe/Amsterdam", "America/New_York"
LORD_HOWE, APIA = "Australia/Lord_Howe", "Pacific/Apia"  # half an hour; a day left out
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
RUNS_MAX = 120  # of one example; a cron of every minute would take them all


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def local_times(cron: str, zone: str, after: str, count: int) -> list[str]:
    """The next times as the clocks of the zone show them."""
    times = Timing(cron=cron, zone=zone).upcoming(at(after), count)
    return [f"{time:%m-%d %H:%M %z}" for time in times]


# --- cron against a reading of the whole window, minute by minute ---------------------------------


@dataclass(frozen=True)
class Cron:
    """The five fields as text and as what they mean."""

    text: str
    minutes: AbstractSet[int]
    hours: AbstractSet[int]
    days: AbstractSet[int]
    weekdays: AbstractSet[int]  # 0 = Sunday
    both_days: bool

    def fits(self, wall: datetime) -> bool:
        if wall.minute not in self.minutes or wall.hour not in self.hours:
            return False
        day, weekday = wall.day in self.days, wall.isoweekday() % 7 in self.weekdays
        return (day and weekday) if self.both_days else (day or weekday)


@st.composite
def field(draw: st.DrawFn, low: int, high: int) -> tuple[str, frozenset[int]]:
    """`*`, `*/n`, a list or a range."""
    everything = range(low, high + 1)
    form = draw(st.sampled_from(["*", "step", "list", "list", "range"]))
    if form == "*":
        return "*", frozenset(everything)
    if form == "step":
        step = draw(st.integers(1, 30))
        return f"*/{step}", frozenset(everything[::step])
    numbers = sorted(draw(st.sets(st.integers(low, high), min_size=1, max_size=3)))
    if form == "list":
        return ",".join(map(str, numbers)), frozenset(numbers)
    return f"{numbers[0]}-{numbers[-1]}", frozenset(range(numbers[0], numbers[-1] + 1))


@st.composite
def crons(draw: st.DrawFn) -> Cron:
    minutes, hours = draw(field(0, 59)), draw(field(0, 23))
    all_days = ("*", frozenset(range(1, 32)))
    all_weekdays = ("*", frozenset(range(7)))
    days = draw(st.one_of(st.just(all_days), field(1, 31)))
    weekdays = draw(st.one_of(st.just(all_weekdays), field(0, 6)))
    return Cron(
        f"{minutes[0]} {hours[0]} {days[0]} * {weekdays[0]}",
        *(minutes[1], hours[1], days[1], weekdays[1]),
        both_days=days[0].startswith("*") or weekdays[0].startswith("*"),
    )


WINDOWS = [
    (zone, at(day))
    for zone, days in {
        AMSTERDAM: ["2026-03-29", "2026-10-25", "2026-12-31"],
        NEW_YORK: ["2026-03-08", "2026-11-01"],
        LORD_HOWE: ["2026-04-04", "2026-10-03"],
        APIA: ["2011-12-30", "2021-04-03"],
        "UTC": ["2028-02-29"],
        "Antarctica/Troll": ["2026-03-29", "2026-10-25"],  # two hours
        "America/Havana": ["2026-03-08", "2026-11-01"],  # at midnight
        "Asia/Beirut": ["2026-03-28", "2026-10-24"],  # back from midnight to the day before
        "Asia/Pyongyang": ["2015-08-14", "2018-05-04"],  # another offset for good
    }.items()
    for day in days
]


@cache
def wall_times(zone: str, start: datetime, minutes: int) -> list[tuple[datetime, datetime]]:
    """Every minute as a moment and as what the clocks show."""
    info = ZoneInfo(zone)
    moments = [start + n * MINUTE for n in range(minutes)]
    return [(moment, moment.astimezone(info).replace(tzinfo=None)) for moment in moments]


def runs_by_the_minute(
    cron: Cron, zone: str, after: datetime, first: datetime, last: datetime
) -> list[datetime]:
    """What must run: read from the rule, without any arithmetic of clock changes.

    A named hour runs when the clocks show its time or a later one for the first time; a cron of
    every hour whenever they show it.
    """
    runs: list[datetime] = []
    shown = (first - 2 * timedelta(days=1)).replace(tzinfo=None)
    for moment, wall in wall_times(zone, first, int((last - first) / MINUTE)):
        if len(cron.hours) == 24:
            fits = cron.fits(wall)
        else:
            passed = range(int((wall - shown) / MINUTE))
            fits = any(cron.fits(wall - n * MINUTE) for n in passed)
            shown = max(shown, wall)
        if fits and moment > after:
            runs.append(moment)
    return runs


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    cron=crons(), window=st.sampled_from(WINDOWS), minute=st.integers(0, 1440 + 720), data=st.data()
)
def test_runs_are_each_minute_that_fits_once(
    cron: Cron, window: tuple[str, datetime], minute: int, data: Any
) -> None:
    zone, day = window
    first, last = day - timedelta(days=1), day + timedelta(days=2)
    after = day - timedelta(hours=12) + minute * MINUTE
    after += timedelta(milliseconds=data.draw(st.sampled_from([0, 1, 59_999])))
    timing = Timing(cron=cron.text, zone=zone)

    found: list[datetime] = []
    moment = timing.next_after(after)
    while moment < last and len(found) < RUNS_MAX:
        found.append(moment)
        moment = timing.next_after(moment)

    assert found == runs_by_the_minute(cron, zone, after, first, last)[:RUNS_MAX]


# --- nights on which the clocks change ------------------------------------------------------------


def test_time_that_does_not_exist_runs_once_at_the_next_moment_that_does() -> None:
    assert local_times("30 2 * * *", AMSTERDAM, "2026-03-28T00:00", 3) == [
        "03-28 02:30 +0100",
        "03-29 03:00 +0200",
        "03-30 02:30 +0200",
    ]


def test_times_that_do_not_exist_run_together_with_the_next_that_does() -> None:
    assert local_times("0,30 2,3 * * *", AMSTERDAM, "2026-03-29T00:00", 3) == [
        "03-29 03:00 +0200",
        "03-29 03:30 +0200",
        "03-30 02:00 +0200",
    ]


@pytest.mark.parametrize("after", ["2026-10-24T22:00", "2026-10-25T00:29"])
def test_time_that_exists_twice_runs_the_first_time(after: str) -> None:
    assert local_times("30 2 * * *", AMSTERDAM, after, 2) == [
        "10-25 02:30 +0200",
        "10-26 02:30 +0100",
    ]


def test_time_that_exists_twice_is_over_between_its_two() -> None:
    assert local_times("30 2 * * *", AMSTERDAM, "2026-10-25T01:10", 1) == ["10-26 02:30 +0100"]


def test_every_hour_goes_on_through_the_hour_that_comes_twice() -> None:
    assert local_times("0 * * * *", AMSTERDAM, "2026-10-24T23:30", 4) == [
        "10-25 02:00 +0200",
        "10-25 02:00 +0100",
        "10-25 03:00 +0100",
        "10-25 04:00 +0100",
    ]


def test_every_hour_does_not_make_up_for_the_hour_that_is_left_out() -> None:
    assert local_times("30 * * * *", AMSTERDAM, "2026-03-29T00:00", 3) == [
        "03-29 01:30 +0100",
        "03-29 03:30 +0200",
        "03-29 04:30 +0200",
    ]


def test_time_of_a_day_that_is_left_out_runs_when_the_next_day_begins() -> None:
    assert local_times("0 9 * * *", APIA, "2011-12-29T18:00", 4) == [
        "12-29 09:00 -1000",
        "12-31 00:00 +1400",
        "12-31 09:00 +1400",
        "01-01 09:00 +1400",
    ]


def test_half_an_hour_of_clock_change_is_half_an_hour() -> None:
    assert local_times("15 2 * * *", LORD_HOWE, "2026-10-03T00:00", 2) == [
        "10-04 02:30 +1100",
        "10-05 02:15 +1100",
    ]


def test_zone_that_changes_for_good_keeps_the_time_of_its_clocks() -> None:
    assert local_times("0 9 * * *", "Asia/Pyongyang", "2018-05-03T12:00", 2) == [
        "05-04 09:00 +0830",
        "05-05 09:00 +0900",
    ]


# --- every so many seconds ------------------------------------------------------------------------


@given(
    every_s=st.integers(1, EVERY_S_MAX),
    steps=st.integers(0, 10_000),
    late_ms=st.integers(0, 10**11),
)
def test_interval_counts_in_whole_steps_from_its_time(
    every_s: int, steps: int, late_ms: int
) -> None:
    after = NOON + timedelta(milliseconds=late_ms)

    found = Timing(every_s=every_s).next_after(after, since=NOON)

    assert (found - NOON) % timedelta(seconds=every_s) == timedelta(0)
    assert timedelta(0) < found - after <= timedelta(seconds=every_s)


def test_interval_without_an_earlier_time_begins_now() -> None:
    times = Timing(every_s=7200, zone=AMSTERDAM).upcoming(NOON)

    assert [f"{time:%H:%M %z}" for time in times] == ["15:00 +0100", "17:00 +0100", "19:00 +0100"]


# --- what is refused ------------------------------------------------------------------------------

FIVE_FIELDS = (
    ": write minute, hour, day of the month, month and day of the week, such as '30 7 * * 1-5'."
)


@pytest.mark.parametrize(
    ("cron", "wrong"),
    [
        ("60 7 * * *", "has no minute that ever comes"),
        ("0 24 * * *", "has no hour that ever comes"),
        ("0 0 32 * *", "has no day-of-month that ever comes"),
        ("0 0 31 2 *", "has no day-of-month that ever comes"),
        ("0 0 30 FEB *", "has no day-of-month that ever comes"),
        ("0 0 1 13 *", "has no month that ever comes"),
        ("0 0 * * 8", "has no day-of-week that ever comes"),
        ("0 0 * * 5L/2", "has no day-of-week that ever comes"),
        ("every day", "has not five fields"),
        ("@daily", "has not five fields"),
        ("0 0 7 * * *", "has not five fields"),
        ("", "has not five fields"),
    ],
)
def test_cron_that_is_wrong_is_refused_with_the_field(cron: str, wrong: str) -> None:
    with pytest.raises(ScheduleRefused) as refused:
        Timing(cron=cron).check(NOON)

    assert str(refused.value) == f"cron {cron!r} {wrong}{FIVE_FIELDS}"


def test_cron_of_thousands_of_digits_is_refused() -> None:
    with pytest.raises(ScheduleRefused, match=r"^cron '9{59}…' cannot be read: "):
        Timing(cron=f"{'9' * 5000} * * * *").check(NOON)


def test_cron_that_waits_for_a_leap_year_is_taken() -> None:
    assert Timing(cron="0 0 29 2 *").next_after(NOON) == at("2028-02-29T00:00")


@given(st.text("0123456789*/,-#LW MON", max_size=20).map(lambda text: f"{text} * * *"))
def test_any_text_is_either_a_cron_or_refused(cron: str) -> None:
    try:
        found = Timing(cron=cron, zone=AMSTERDAM).next_after(NOON)
    except ScheduleRefused as error:
        assert str(error).startswith("cron ")
    else:
        assert found > NOON


@pytest.mark.parametrize(
    "zone",
    ["", "Mars", "Europe", "europe/amsterdam/", "../etc/passwd", "/etc/localtime", "a\x00b",
     "\udcff", "x" * 5000],
)  # fmt: skip
def test_zone_that_is_none_is_refused(zone: str) -> None:
    for timing in (Timing(cron="0 7 * * *", zone=zone), Timing(every_s=60, zone=zone)):
        with pytest.raises(ScheduleRefused, match=r"(?s)^zone '.*' is not known: give a name such"):
            timing.check(NOON)


def test_zone_is_known_by_its_name() -> None:
    assert zone_named(AMSTERDAM).key == AMSTERDAM


@pytest.mark.parametrize("every_s", [0, -5, EVERY_S_MAX + 1, 1.5, "soon", 10**30])
def test_interval_that_is_wrong_is_refused(every_s: Any) -> None:
    with pytest.raises(ScheduleRefused) as refused:
        Timing(every_s=every_s).check(NOON)

    assert str(refused.value) == (
        f"every_s must be whole seconds from 1 to 31622400 (a year); got {every_s}."
    )


@pytest.mark.parametrize("timing", [Timing(), Timing(cron="0 7 * * *", every_s=60)])
def test_either_cron_or_interval(timing: Timing) -> None:
    with pytest.raises(ScheduleRefused, match=r"^A schedule needs either cron or every_s"):
        timing.check(NOON)


@pytest.mark.parametrize(
    "cron", ["* * * * *", "*/4 * * * *", "0,1 7 1 1 *", "59,0 0,23 * * *", "57,0 * 29 2 *"]
)
def test_cron_that_comes_too_often_for_a_chat_is_refused(cron: str) -> None:
    Timing(cron=cron).check(NOON)

    with pytest.raises(ScheduleRefused, match="comes more often than every 300 seconds"):
        Timing(cron=cron).check(NOON, min_every_s=MIN_EVERY_S)


@pytest.mark.parametrize("cron", ["*/5 * * * *", "30 7 * * 1-5", "0 0 29 2 *", "0 0 * 2 MON#5"])
def test_cron_that_is_rare_enough_for_a_chat_is_taken(cron: str) -> None:
    Timing(cron=cron, zone=AMSTERDAM).check(NOON, min_every_s=MIN_EVERY_S)


def test_interval_that_is_too_short_for_a_chat_is_refused() -> None:
    Timing(every_s=300).check(NOON, min_every_s=MIN_EVERY_S)

    with pytest.raises(ScheduleRefused, match=r"^every_s must be whole seconds from 300 to "):
        Timing(every_s=299).check(NOON, min_every_s=MIN_EVERY_S)

"""What people choose: checked before it is kept, and the default again when it is taken back."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from bridge import preferences
from bridge.preferences import PreferenceRefused, Preferences, preferences_of
from bridge.store import Store, Tx

ANNA = "7"


async def choose(store: Store, name: str, value: str, whose: str = ANNA) -> Preferences:
    def change(tx: Tx) -> Preferences:
        preferences.choose(tx, whose, name, value)
        return preferences_of(tx, whose)

    return await store.write(change)


async def test_whoever_has_chosen_nothing_has_the_defaults(store: Store) -> None:
    assert await store.read(lambda tx: preferences_of(tx, ANNA)) == Preferences()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("language", "nl"),
        ("zone", "Europe/Amsterdam"),
        ("quiet", "22:30-07:30"),
        ("night_approvals", "off"),
        ("rich", "auto"),
        ("streaming", "draft"),
        ("costs", "off"),
    ],
)
async def test_a_choice_is_kept_and_can_be_taken_back(store: Store, name: str, value: str) -> None:
    assert getattr(await choose(store, name, value), name) == value
    assert await choose(store, name, "") == Preferences()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("language", "nederlands"),
        ("language", "N1"),
        ("zone", "Mars/Olympus"),
        ("zone", "../etc/passwd"),
        ("quiet", "22:30"),
        ("quiet", "24:00-07:00"),
        ("quiet", "07:00-07:00"),
        ("rich", "yes"),
        ("streaming", "fast"),
        ("colour", "red"),
    ],
)
async def test_what_cannot_be_is_refused_by_name(store: Store, name: str, value: str) -> None:
    with pytest.raises(PreferenceRefused, match=name):
        await choose(store, name, value)


async def test_choices_of_one_person_are_not_those_of_another(store: Store) -> None:
    await choose(store, "rich", "always", whose="8")

    assert await store.read(lambda tx: preferences_of(tx, ANNA)) == Preferences()


async def test_a_row_made_by_hand_that_fits_nothing_is_left_out(store: Store) -> None:
    def by_hand(tx: Tx) -> Preferences:
        tx.run("put_preference", whose=ANNA, name="rich", value="maybe")
        tx.run("put_preference", whose=ANNA, name="colour", value="red")
        tx.run("put_preference", whose=ANNA, name="costs", value="off")
        return preferences_of(tx, ANNA)

    assert await store.write(by_hand) == Preferences(costs="off")


def quiet(hours: str, at: str, zone: str = "Europe/Amsterdam") -> str | None:
    """Until when it is quiet at this time on the wall, as another one; None when it is not."""
    now = datetime.fromisoformat(at).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    end = Preferences(quiet=hours).quiet_until(now, zone)
    return None if end is None else f"{end.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}"


@pytest.mark.parametrize(
    ("at", "until"),
    [
        ("2026-11-22 22:29:59", None),
        ("2026-11-22 22:30", "2026-11-23 07:30"),
        ("2026-11-23 00:00", "2026-11-23 07:30"),
        ("2026-11-23 07:29:59", "2026-11-23 07:30"),
        ("2026-11-23 07:30", None),
        ("2026-11-23 12:00", None),
    ],
)
def test_quiet_hours_go_over_midnight(at: str, until: str | None) -> None:
    assert quiet("22:30-07:30", at) == until


@pytest.mark.parametrize(
    ("at", "until"),
    [
        ("2026-11-22 12:59", None),
        ("2026-11-22 13:00", "2026-11-22 14:00"),
        ("2026-11-22 14:00", None),
    ],
)
def test_quiet_hours_may_lie_within_a_day(at: str, until: str | None) -> None:
    assert quiet("13:00-14:00", at) == until


def test_without_quiet_hours_it_is_never_quiet() -> None:
    assert Preferences().quiet_until(datetime(2026, 11, 22, 3, tzinfo=UTC), "UTC") is None


@pytest.mark.parametrize(
    ("night", "ends_utc"),
    [
        ("2026-03-29 00:30", "2026-03-29 05:30"),  # the clocks go forward: 07:30 is an hour sooner
        ("2026-10-25 00:30", "2026-10-25 06:30"),  # and back
    ],
)
def test_on_a_night_the_clocks_change_quiet_hours_end_by_the_clock_on_the_wall(
    night: str, ends_utc: str
) -> None:
    now = datetime.fromisoformat(night).replace(tzinfo=ZoneInfo("Europe/Amsterdam"))

    end = Preferences(quiet="22:30-07:30").quiet_until(now.astimezone(UTC), "Europe/Amsterdam")

    assert end == datetime.fromisoformat(ends_utc).replace(tzinfo=UTC)


def test_quiet_hours_that_end_at_a_time_left_out_end_when_the_clocks_have_moved() -> None:
    assert quiet("22:00-02:30", "2026-03-29 01:00") == "2026-03-29 03:00"
    assert quiet("22:00-02:30", "2026-03-29 03:00") is None


def test_quiet_hours_are_those_of_a_zone() -> None:
    night_in_tokyo = datetime(2026, 11, 22, 15, tzinfo=UTC)

    chosen = Preferences(quiet="22:30-07:30")

    assert chosen.quiet_until(night_in_tokyo, "UTC") is None
    assert chosen.quiet_until(night_in_tokyo, "Asia/Tokyo") == datetime(
        2026, 11, 22, 22, 30, tzinfo=UTC
    )

"""What people choose: checked before it is kept, and the default again when it is taken back."""

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

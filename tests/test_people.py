"""Who may use the bot: owners by setting or by claim, and nobody else."""

from datetime import timedelta
from pathlib import Path

import pytest
from fakes import FakeClock

from bridge import people
from bridge.store import Store

ANNA, BEN = 123456789, 987654321
NOBODY: frozenset[int] = frozenset()


async def new_claim(store: Store, clock: FakeClock) -> str:
    return await store.write(lambda tx: people.new_claim(tx, clock.now()))


async def claim(store: Store, clock: FakeClock, code: str, user_id: int = ANNA) -> bool:
    return await store.write(lambda tx: people.claim(tx, code, user_id, "Anna", "nl", clock.now()))


async def role(store: Store, user_id: int = ANNA, owners: frozenset[int] = NOBODY) -> people.Role:
    return await store.read(lambda tx: people.role(tx, owners, user_id))


async def remember(store: Store, name: str, language: str) -> None:
    await store.write(lambda tx: people.remember(tx, ANNA, name, language))


async def known_as(store: Store) -> tuple[str, str, str] | None:
    row = await store.read(lambda tx: tx.one("user", user_id=str(ANNA)))
    return None if row is None else (row["role"], row["name"], row["language"])


async def answered(store: Store, clock: FakeClock, user_id: int = BEN) -> bool:
    return await store.write(
        lambda tx: people.stranger_may_be_answered(tx, user_id, "Ben", "en", clock.now())
    )


async def test_everybody_is_a_stranger_at_first(store: Store) -> None:
    assert await role(store) == "stranger"


async def test_a_user_of_the_setting_is_an_owner(store: Store) -> None:
    assert await role(store, owners=frozenset({ANNA})) == "owner"
    assert await role(store, BEN, owners=frozenset({ANNA})) == "stranger"


async def test_being_remembered_makes_no_owner(store: Store) -> None:
    await remember(store, "Anna", "nl")

    assert await role(store) == "stranger"


async def test_being_remembered_takes_no_ownership_away(store: Store, clock: FakeClock) -> None:
    await claim(store, clock, await new_claim(store, clock))

    await remember(store, "Anna Maria", "en")

    assert await role(store) == "owner"


async def test_a_new_name_and_language_are_kept(store: Store) -> None:
    await remember(store, "Anna", "nl")
    await remember(store, "Anna Maria", "en")

    assert await known_as(store) == ("stranger", "Anna Maria", "en")


async def test_someone_unchanged_is_not_written_again(store: Store) -> None:
    await remember(store, "Anna", "nl")
    rows = await store.write(
        lambda tx: tx.run("remember_user", user_id=str(ANNA), name="Anna", language="nl")
    )

    assert rows == 0


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("", ""),
        ("Anna\nBen", "Anna Ben"),
        ("An\x00na", "Anna"),
        ("Anna \ud83d", "Anna ?"),
        ("A" * 128, "A" * 63 + "…"),
    ],
)
async def test_a_name_is_kept_as_one_short_line(store: Store, name: str, kept: str) -> None:
    await remember(store, name, "nl")

    assert await known_as(store) == ("stranger", kept, "nl")


async def test_the_right_code_makes_an_owner(store: Store, clock: FakeClock) -> None:
    code = await new_claim(store, clock)

    assert await claim(store, clock, code)
    assert await role(store) == "owner"
    assert await role(store, BEN) == "stranger"


async def test_a_code_copied_with_spaces_is_right(store: Store, clock: FakeClock) -> None:
    assert await claim(store, clock, f" {await new_claim(store, clock)}\n")


async def test_a_claimed_owner_keeps_name_and_language(store: Store, clock: FakeClock) -> None:
    await claim(store, clock, await new_claim(store, clock))

    assert await known_as(store) == ("owner", "Anna", "nl")


async def test_a_stranger_who_was_refused_can_still_claim(store: Store, clock: FakeClock) -> None:
    await answered(store, clock, ANNA)

    assert await claim(store, clock, await new_claim(store, clock))
    assert await role(store) == "owner"


async def test_a_code_works_once(store: Store, clock: FakeClock) -> None:
    code = await new_claim(store, clock)
    await claim(store, clock, code)

    assert not await claim(store, clock, code, BEN)
    assert await role(store, BEN) == "stranger"


async def test_a_code_works_until_its_last_second(store: Store, clock: FakeClock) -> None:
    code = await new_claim(store, clock)
    clock.advance(599)

    assert await claim(store, clock, code)


async def test_a_code_ends_after_ten_minutes(store: Store, clock: FakeClock) -> None:
    code = await new_claim(store, clock)
    clock.advance(600)

    assert not await claim(store, clock, code)
    assert await role(store) == "stranger"


async def test_a_new_code_ends_older_ones(store: Store, clock: FakeClock) -> None:
    old = await new_claim(store, clock)
    new = await new_claim(store, clock)

    assert not await claim(store, clock, old)
    assert await claim(store, clock, new)


async def test_four_wrong_tries_leave_one(store: Store, clock: FakeClock) -> None:
    code = await new_claim(store, clock)
    for _ in range(4):
        assert not await claim(store, clock, "A" * 22, BEN)

    assert await claim(store, clock, code)


async def test_five_wrong_tries_end_the_code(store: Store, clock: FakeClock) -> None:
    code = await new_claim(store, clock)
    for _ in range(5):
        await claim(store, clock, "A" * 22, BEN)

    assert not await claim(store, clock, code)


async def test_a_new_code_has_all_its_tries(store: Store, clock: FakeClock) -> None:
    await new_claim(store, clock)
    for _ in range(5):
        await claim(store, clock, "A" * 22, BEN)

    assert await claim(store, clock, await new_claim(store, clock))


@pytest.mark.parametrize("nothing", ["", "  "])
async def test_no_code_is_no_try(store: Store, clock: FakeClock, nothing: str) -> None:
    code = await new_claim(store, clock)
    for _ in range(5):
        assert not await claim(store, clock, nothing)

    assert await claim(store, clock, code)


@pytest.mark.parametrize("code", ["", "A" * 22, "None", "\ud800", "'; DROP TABLE users; --"])
async def test_without_a_code_nobody_can_claim(store: Store, clock: FakeClock, code: str) -> None:
    assert not await claim(store, clock, code)
    assert await role(store) == "stranger"


async def test_a_lone_surrogate_is_a_wrong_code(store: Store, clock: FakeClock) -> None:
    await new_claim(store, clock)

    assert not await claim(store, clock, "\ud800")


async def test_codes_are_22_characters_and_never_the_same(store: Store, clock: FakeClock) -> None:
    codes = {await new_claim(store, clock) for _ in range(50)}

    assert len(codes) == 50
    assert all(len(code) == 22 and code.isascii() for code in codes)


async def test_the_database_does_not_hold_the_code(store: Store, clock: FakeClock) -> None:
    code = await new_claim(store, clock)

    files = [path for path in Path(store.path).parent.iterdir() if path.is_file()]
    assert files
    assert not any(code.encode() in path.read_bytes() for path in files)


async def test_owners_are_those_of_the_setting_and_of_claims(
    store: Store, clock: FakeClock
) -> None:
    await claim(store, clock, await new_claim(store, clock))
    await answered(store, clock)

    assert await store.read(lambda tx: people.owners(tx, frozenset({7}))) == {7, ANNA}


async def test_a_row_made_by_hand_without_a_number_is_nobody(store: Store) -> None:
    await store.write(
        lambda tx: tx.run("put_user", user_id="me", role="owner", name="", language="en")
    )

    assert await store.read(lambda tx: people.owners(tx, NOBODY)) == NOBODY


async def test_a_stranger_is_answered_once_a_day(store: Store, clock: FakeClock) -> None:
    assert await answered(store, clock)
    clock.advance(timedelta(hours=23, minutes=59).total_seconds())
    assert not await answered(store, clock)
    clock.advance(60)
    assert await answered(store, clock)


async def test_each_stranger_has_a_day_of_their_own(store: Store, clock: FakeClock) -> None:
    await answered(store, clock)

    assert await answered(store, clock, 555)


async def test_being_refused_does_not_start_the_day_again(store: Store, clock: FakeClock) -> None:
    await answered(store, clock)
    clock.advance(timedelta(hours=20).total_seconds())
    await answered(store, clock)
    clock.advance(timedelta(hours=4).total_seconds())

    assert await answered(store, clock)


async def test_a_stranger_someone_remembered_is_answered(store: Store, clock: FakeClock) -> None:
    await store.write(lambda tx: people.remember(tx, BEN, "Ben", "en"))

    assert await answered(store, clock)

"""Proposals: kept for a day, saved once, by who asked and nobody else."""

from dataclasses import replace
from typing import Any

import pytest
from fakes import FakeClock, OpenStore, shell

from bridge import proposals, schedules
from bridge.clock import stamp
from bridge.errors import JobRefused, KittError, ScheduleNotFound, ScheduleRefused
from bridge.proposals import SCHEDULES_MAX, Proposal
from bridge.schedules import NewSchedule, Schedule
from bridge.store import Store

NEWS = NewSchedule(
    chat_id="7",
    user_id="70",
    thread_id=3,
    title="News",
    prompt="The news of today",
    cron="30 7 * * 1-5",
    zone="Europe/Amsterdam",
)
DAY_S = 86_400.0


async def propose(
    store: Store, clock: FakeClock, source: str = "update:1:p0", **changes: Any
) -> Proposal:
    new = replace(NEWS, **changes)
    now = clock.now()
    return await store.write(lambda tx: proposals.propose(tx, new, source=source, now=now))


async def find(store: Store, number: int = 1, chat: str = "7", user: str = "70") -> Proposal:
    return await store.read(lambda tx: proposals.find(tx, number, chat_id=chat, user_id=user))


async def save(store: Store, clock: FakeClock, proposal: Proposal) -> Schedule:
    return await store.write(lambda tx: proposals.save(tx, proposal, now=clock.now()))


async def test_a_proposal_is_no_schedule(store: Store, clock: FakeClock) -> None:
    proposal = await propose(store, clock)

    assert shell(store.path, "SELECT * FROM schedules") == []
    assert (proposal.status, proposal.expires_at) == ("open", "2026-11-23 07:30:00.000")
    times = [f"{time:%a %d %H:%M %z}" for time in proposal.upcoming(clock.now())]
    assert times == ["Mon 23 07:30 +0100", "Tue 24 07:30 +0100", "Wed 25 07:30 +0100"]


async def test_what_is_saved_is_what_was_proposed(store: Store, clock: FakeClock) -> None:
    proposal = await propose(store, clock)

    schedule = await save(store, clock, proposal)

    assert {name: getattr(schedule, name) for name in NewSchedule.__slots__} == {
        name: getattr(NEWS, name) for name in NewSchedule.__slots__
    }
    saved = await find(store)
    assert (saved.status, saved.schedule_id) == ("saved", schedule.id)


async def test_first_time_counts_from_saving(store: Store, clock: FakeClock) -> None:
    proposal = await propose(store, clock, cron=None, every_s=3600)
    clock.advance(1800)

    assert (await save(store, clock, proposal)).next_at == "2026-11-22 09:00:00.000"


async def test_a_replayed_turn_proposes_once(store: Store, clock: FakeClock) -> None:
    first = await propose(store, clock)

    assert await propose(store, clock) == first
    assert len(shell(store.path, "SELECT * FROM proposals")) == 1


async def test_a_proposal_is_still_there_for_another_process(
    store: Store, clock: FakeClock, open_store: OpenStore
) -> None:
    proposal = await propose(store, clock)

    assert await find(await open_store()) == proposal


@pytest.mark.parametrize(
    ("number", "chat", "user"),
    [(2, "7", "70"), (1, "8", "70"), (1, "7", "71"), (2**80, "7", "70"), (-1, "7", "70")],
)
async def test_it_is_nobody_elses(
    store: Store, clock: FakeClock, number: int, chat: str, user: str
) -> None:
    await propose(store, clock)

    with pytest.raises(ScheduleNotFound, match=f"There is no proposal {number}."):
        await find(store, number, chat, user)


async def test_it_expires_after_a_day(store: Store, clock: FakeClock) -> None:
    proposal = await propose(store, clock)

    clock.advance(DAY_S - 1)
    assert not proposal.expired(clock.now())
    clock.advance(1)
    assert proposal.expired(clock.now())


async def test_what_was_saved_does_not_expire(store: Store, clock: FakeClock) -> None:
    await save(store, clock, await propose(store, clock))
    clock.advance(2 * DAY_S)

    assert not (await find(store)).expired(clock.now())


async def test_what_is_discarded_is_not_open(store: Store, clock: FakeClock) -> None:
    proposal = await propose(store, clock)

    discarded = await store.write(lambda tx: proposals.discard(tx, proposal))

    assert discarded.status == "discarded"
    assert await find(store) == discarded


async def test_what_was_saved_is_not_discarded(store: Store, clock: FakeClock) -> None:
    await save(store, clock, await propose(store, clock))
    saved = await find(store)

    assert await store.write(lambda tx: proposals.discard(tx, saved)) == saved
    assert await find(store) == saved


@pytest.mark.parametrize(
    ("changes", "error", "sentence"),
    [
        ({"cron": "30 7 * *"}, ScheduleRefused, "has not five fields"),
        ({"cron": "* * * * *"}, ScheduleRefused, "comes more often than every 300 seconds"),
        ({"cron": None, "every_s": 299}, ScheduleRefused, "whole seconds from 300"),
        ({"zone": "Mars"}, ScheduleRefused, "zone 'Mars' is not known"),
        ({"prompt": " "}, JobRefused, "needs a prompt"),
    ],
)
async def test_what_cannot_be_is_refused_and_not_kept(
    store: Store,
    clock: FakeClock,
    changes: dict[str, Any],
    error: type[KittError],
    sentence: str,
) -> None:
    with pytest.raises(error, match=sentence):
        await propose(store, clock, **changes)

    assert shell(store.path, "SELECT * FROM proposals") == []


async def test_a_full_chat_is_told_so_and_another_is_not(store: Store, clock: FakeClock) -> None:
    for _ in range(SCHEDULES_MAX):
        await store.write(lambda tx: schedules.add(tx, NEWS, now=clock.now()))

    with pytest.raises(ScheduleRefused, match=r"This chat has 50 schedules.* with /schedule"):
        await propose(store, clock)

    await propose(store, clock, chat_id="8")


async def test_turn_that_begins_again_gets_what_it_made_and_may_propose_something_else(
    store: Store, clock: FakeClock
) -> None:
    first = await propose(store, clock, title="News")

    assert (await propose(store, clock, title="News")).id == first.id
    assert (await propose(store, clock, title="Weather")).title == "Weather"
    assert (await propose(store, clock, title="News", cron="0 8 * * *")).cron == "0 8 * * *"


async def changed(store: Store, clock: FakeClock, number: int, **changes: Any) -> Schedule:
    """A schedule after a proposal to change it so was saved."""
    new, now = replace(NEWS, **changes), clock.now()
    proposal = await store.write(
        lambda tx: proposals.propose(tx, new, source="update:2", now=now, changes=number)
    )
    return await save(store, clock, proposal)


async def test_a_changed_schedule_keeps_its_number_and_what_it_has_done(
    store: Store, clock: FakeClock
) -> None:
    for _ in range(SCHEDULES_MAX):  # a full chat may change them
        await store.write(lambda tx: schedules.add(tx, NEWS, now=clock.now()))
    shell(
        store.path,
        "UPDATE schedules SET kind = 'research', last_job_id = 5, fired = 9, status = 'paused', "
        "error = 'it went wrong' WHERE id = 2",
    )

    schedule = await changed(store, clock, 2, title="Late news", cron="0 9 * * *", prompt="New")

    assert (schedule.id, schedule.last_job_id, schedule.fired) == (2, 5, 9)
    assert (schedule.kind, schedule.status, schedule.error) == ("research", "paused", None)
    assert (schedule.title, schedule.prompt, schedule.cron) == ("Late news", "New", "0 9 * * *")
    assert schedule.next_at == "2026-11-22 08:00:00.000"
    (row,) = shell(store.path, "SELECT count(*) AS n FROM schedules")
    assert row["n"] == SCHEDULES_MAX
    assert (await find(store)).schedule_id == 2


async def test_other_words_leave_the_times_as_they_are(store: Store, clock: FakeClock) -> None:
    hourly = replace(NEWS, cron=None, every_s=3600)
    before = await store.write(lambda tx: schedules.add(tx, hourly, now=clock.now()))
    clock.advance(1800)
    now = clock.now()
    proposal = await store.write(
        lambda tx: proposals.propose(
            tx, replace(hourly, prompt="Other words"), source="update:2", now=now, changes=before.id
        )
    )

    times = await store.read(lambda tx: proposals.upcoming(tx, proposal, now))
    after = await save(store, clock, proposal)

    assert after.next_at == before.next_at
    assert stamp(times[0]) == before.next_at
    assert after.prompt == "Other words"


async def test_a_schedule_of_another_chat_or_one_that_is_gone_is_not_changed(
    store: Store, clock: FakeClock
) -> None:
    await store.write(lambda tx: schedules.add(tx, replace(NEWS, chat_id="8"), now=clock.now()))
    mine = await store.write(lambda tx: schedules.add(tx, NEWS, now=clock.now()))
    with pytest.raises(ScheduleNotFound):
        await changed(store, clock, 1)
    now = clock.now()
    proposal = await store.write(
        lambda tx: proposals.propose(tx, NEWS, source="update:3", now=now, changes=mine.id)
    )

    await store.write(lambda tx: schedules.remove(tx, mine.id))

    with pytest.raises(ScheduleNotFound):
        await save(store, clock, proposal)
    assert (await find(store, proposal.id)).status == "open"

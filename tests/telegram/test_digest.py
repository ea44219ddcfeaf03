"""The morning digest: one message, once, for what came without a sound."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from chatting import CHAT, OTHER, Desk, Person
from fakes import FakeClock, claimed, shell
from waiting import until

from bridge import people, preferences
from bridge.models import Job
from bridge.queue import Queue
from bridge.store import Tx
from bridge.telegram.bells import Bells
from bridge.telegram.buttons import Signer
from bridge.telegram.digest import Digest

QUIET = "07:00-09:00"  # the clock of the tests stands at 07:30
IN_HOURS = timedelta(hours=1, minutes=30)


@pytest.fixture
async def night(desk: Desk) -> AsyncIterator[Desk]:
    """A desk whose two people want no sound now."""
    for chat_id in (CHAT, OTHER):
        await choose(desk, chat_id, quiet=QUIET)
    await desk.start()
    yield desk


async def choose(desk: Desk, /, chat_id: int = CHAT, **values: Any) -> None:
    def change(tx: Tx) -> None:
        for name, value in values.items():
            preferences.choose(tx, str(chat_id), name, value)
        desk.chosen.renew(tx, str(chat_id))

    await desk.store.write(change)


def digest_of(desk: Desk) -> Digest:
    """As a bridge that has just started makes it."""
    bells = Bells(chosen=desk.chosen, clock=desk.clock)
    return Digest(
        store=desk.store, bells=bells, signer=Signer(desk.telegram.token), clock=desk.clock
    )


async def ended(desk: Desk, queue: Queue, *, fails: bool = False, **changes: Any) -> Job:
    """A job has ended and its chat has been told, without a sound."""
    job = await claimed(queue, **changes)
    if fails:
        await queue.fail(job, "error: KeyError", again=False)
    else:
        await queue.finish(job, "Twelve.")
    desk.outbox.notice()
    await desk.over()
    return job


async def morning(desk: Desk, passed: timedelta = IN_HOURS) -> None:
    """Time has passed and a bridge has looked."""
    desk.clock.advance(passed.total_seconds())
    await digest_of(desk).send_due()
    desk.outbox.notice()
    await desk.over()


def digests(desk: Desk, chat_id: int = CHAT) -> list[str]:
    return [text for text in desk.texts(chat_id) if text.startswith("🌅")]


def hushed(desk: Desk) -> list[dict[str, Any]]:
    return shell(desk.path, "SELECT * FROM hushed")


@pytest.mark.parametrize(
    ("language", "title", "view"),
    [("en", "🌅 In your quiet hours:", "View #1"), ("nl", "🌅 In je stille uren:", "Bekijk #1")],
)
async def test_it_names_what_ended_and_rings(
    night: Desk, queue: Queue, language: str, title: str, view: str
) -> None:
    await night.store.write(lambda tx: people.remember(tx, CHAT, "Anna", language))
    await ended(night, queue, title="Pelicans")
    await ended(night, queue, title="Herons", fails=True)

    await morning(night)

    assert digests(night) == [f"{title}\n✅ #1 Pelicans\n❌ #2 Herons"]
    message = night.messages()[-1]
    assert not message.silent
    assert [[button["text"] for button in row] for row in message.buttons] == [[view, "#2"]]
    assert hushed(night) == []


async def test_when_nothing_ended_there_is_none(night: Desk) -> None:
    await morning(night)

    assert night.texts() == []


async def test_before_the_hours_end_there_is_none(night: Desk, queue: Queue) -> None:
    await ended(night, queue)

    await morning(night, timedelta(hours=1))

    assert digests(night) == []
    assert len(hushed(night)) == 1


async def test_each_chat_has_its_own(night: Desk, queue: Queue) -> None:
    await ended(night, queue, title="Pelicans")
    await ended(night, queue, title="Herons", chat_id=str(OTHER))

    await morning(night)

    assert digests(night) == ["🌅 In your quiet hours:\n✅ #1 Pelicans"]
    assert digests(night, OTHER) == ["🌅 In your quiet hours:\n✅ #2 Herons"]


async def test_two_that_start_at_that_moment_make_one(night: Desk, queue: Queue) -> None:
    await ended(night, queue)
    night.clock.advance(IN_HOURS.total_seconds())

    await asyncio.gather(*(digest_of(night).send_due() for _ in range(2)))
    night.outbox.notice()
    await night.over()

    assert len(digests(night)) == 1


async def test_the_next_night_tells_only_what_is_new(night: Desk, queue: Queue) -> None:
    await ended(night, queue, title="Pelicans")
    await morning(night)
    night.clock.advance(timedelta(hours=22, minutes=30).total_seconds())
    await ended(night, queue, title="Herons")

    await morning(night)

    assert digests(night)[1:] == ["🌅 In your quiet hours:\n✅ #2 Herons"]


@pytest.mark.parametrize(
    ("later", "count"), [(timedelta(hours=25), 1), (timedelta(days=1, hours=2), 0)]
)
async def test_a_bridge_that_was_down_then_tells_it_within_a_day(
    night: Desk, queue: Queue, later: timedelta, count: int
) -> None:
    await ended(night, queue)
    await choose(night, quiet="")

    await morning(night, later)

    assert len(digests(night)) == count
    assert hushed(night) == []


@pytest.mark.parametrize(
    ("change", "ends_at"),
    [({"quiet": "07:00-11:00"}, "11:00"), ({"zone": "Atlantic/Azores"}, "10:00")],
)
async def test_hours_that_were_moved_put_it_off(
    night: Desk, queue: Queue, change: dict[str, Any], ends_at: str
) -> None:
    if "zone" in change:
        await choose(night, quiet="06:00-09:00", zone="UTC")
    await ended(night, queue)
    await choose(night, **change)

    await morning(night)

    assert digests(night) == []
    (row,) = hushed(night)
    assert row["due_at"] == f"2026-11-22 {ends_at}:00.000"
    await morning(night, timedelta(hours=2))
    assert len(digests(night)) == 1


async def test_a_question_that_still_waits_is_in_it_and_an_answered_one_is_not(
    night: Desk, queue: Queue
) -> None:
    await choose(night, night_approvals="off")
    for title in ("Pelicans", "Herons"):
        await queue.ask(await claimed(queue, title=title), "How many?")
    night.outbox.notice()
    await night.over()
    await queue.answer(2, "Twelve")

    await morning(night)

    assert digests(night) == ["🌅 In your quiet hours:\n❓ #1 Pelicans"]


async def test_a_long_night_fits_into_one_message(night: Desk, queue: Queue) -> None:
    for number in range(12):
        await ended(night, queue, title=f"Birds {number}")

    await morning(night)

    (text,) = digests(night)
    assert len(text.splitlines()) == 12
    assert text.endswith("… and 2 more: /jobs")
    assert [len(row) for row in night.messages()[-1].buttons] == [5, 5]


async def test_a_job_that_is_gone_is_not_in_it(night: Desk, queue: Queue) -> None:
    await ended(night, queue)
    shell(night.path, "DELETE FROM jobs")

    await morning(night)

    assert digests(night) == []
    assert hushed(night) == []


@pytest.fixture
async def running(night: Desk) -> AsyncIterator[Callable[[], Awaitable[Digest]]]:
    """Digests that run as in a bridge, each started when asked for."""
    tasks: list[asyncio.Task[None]] = []

    async def start() -> Digest:
        digest = digest_of(night)
        tasks.append(asyncio.create_task(digest.run()))
        return digest

    yield start
    for task in tasks:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_it_comes_when_the_hours_end(
    night: Desk, queue: Queue, clock: FakeClock, running: Callable[[], Awaitable[Digest]]
) -> None:
    await ended(night, queue)
    await running()

    while clock.now().hour < 9:
        await until(lambda: clock.sleeping)
        assert digests(night) == []
        clock.advance(clock.sleeping[0] + 1e-6)
    await until(lambda: night.rows("kind = 'digest'"))

    night.outbox.notice()
    await until(lambda: digests(night))


async def test_while_nothing_waits_for_it_no_timer_runs(
    night: Desk, clock: FakeClock, running: Callable[[], Awaitable[Digest]]
) -> None:
    version = await night.store.data_version()

    await running()
    await night.store.read(lambda tx: None)
    clock.advance(timedelta(days=3).total_seconds())
    await night.store.read(lambda tx: None)

    assert clock.sleeping == []
    assert await night.store.data_version() == version


async def test_what_comes_later_starts_the_timer(
    night: Desk, queue: Queue, clock: FakeClock
) -> None:
    bells = night.outbox._bells
    digest = Digest(
        store=night.store, bells=bells, signer=Signer(night.telegram.token), clock=clock
    )
    task = asyncio.create_task(digest.run())
    await night.store.read(lambda tx: None)

    await queue.finish(await claimed(queue), "Twelve.")
    night.outbox.notice()
    await until(lambda: hushed(night))
    await until(lambda: clock.sleeping)

    clock.advance(IN_HOURS.total_seconds())
    await until(lambda: night.rows("kind = 'digest'"))
    task.cancel()


async def test_its_button_shows_the_job(bridge: Any, chat: Person) -> None:
    chat.say("/bg count pelicans")
    await chat.sees("🛠 #1")
    await bridge.queue.finish(await bridge.job_runs(), "Twelve.")
    await bridge.settled()

    chat.press_raw(Signer(bridge.telegram.token).data("jd", 1, str(CHAT)))

    await chat.sees("✅ #1 · count pelicans\ndone")

"""One budget per chat for all that is sent to it; what may be left out is left out first."""

import asyncio

import pytest
from fakes import FakeClock

from bridge.telegram.budget import Budget

CHAT, OTHER, GROUP = "7", "8", "-100"


@pytest.fixture
def budget(clock: FakeClock) -> Budget:
    return Budget(clock)


async def took_s(
    budget: Budget, clock: FakeClock, chat_id: str, *, overdraw: bool = False
) -> float:
    """Seconds one promised call had to wait; the clock is moved until it may go."""
    started = clock.monotonic()
    taking = asyncio.create_task(budget.take(chat_id, overdraw=overdraw))
    while not taking.done():
        for _ in range(3):
            await asyncio.sleep(0)
        if clock.sleeping:
            clock.advance(clock.sleeping[0] + 1e-6)
    await taking
    return clock.monotonic() - started


async def test_a_private_chat_takes_three_at_once_and_then_one_a_second(
    budget: Budget, clock: FakeClock
) -> None:
    waits = [await took_s(budget, clock, CHAT) for _ in range(6)]

    assert waits == pytest.approx([0, 0, 0, 1, 1, 1], abs=0.01)


async def test_a_group_takes_eighteen_a_minute(budget: Budget, clock: FakeClock) -> None:
    waits = [await took_s(budget, clock, GROUP) for _ in range(8)]

    assert waits == pytest.approx([0] * 5 + [60 / 18] * 3, abs=0.01)


async def test_one_chat_does_not_wait_for_another(budget: Budget, clock: FakeClock) -> None:
    for _ in range(6):
        await took_s(budget, clock, CHAT)

    assert await took_s(budget, clock, OTHER) == 0


async def test_all_chats_together_stay_under_twenty_five_a_second(
    budget: Budget, clock: FakeClock
) -> None:
    started = clock.monotonic()
    for chat_id in range(75):
        await took_s(budget, clock, str(chat_id))

    assert clock.monotonic() - started == pytest.approx(2.0, abs=0.1)


async def test_the_answer_to_a_person_may_overdraw(budget: Budget, clock: FakeClock) -> None:
    waits = [await took_s(budget, clock, CHAT, overdraw=True) for _ in range(20)]

    assert waits == [0] * 20
    assert await took_s(budget, clock, CHAT) > 15


async def test_overdrawing_has_an_end(budget: Budget, clock: FakeClock) -> None:
    waits = [await took_s(budget, clock, CHAT, overdraw=True) for _ in range(30)]

    assert max(waits) == pytest.approx(1.0, abs=0.01)


async def test_what_may_be_left_out_leaves_one_call_for_what_may_not(
    budget: Budget, clock: FakeClock
) -> None:
    spared = [budget.spare(CHAT) for _ in range(4)]

    assert spared == [True, True, False, False]
    assert await took_s(budget, clock, CHAT) == 0


async def test_at_most_sixteen_a_minute_may_be_left_out(budget: Budget, clock: FakeClock) -> None:
    spared = 0
    for _ in range(600):
        spared += budget.spare(CHAT)
        clock.advance(0.1)

    assert spared == 16


async def test_in_a_group_at_most_eight_a_minute(budget: Budget, clock: FakeClock) -> None:
    spared = 0
    for _ in range(600):
        spared += budget.spare(GROUP)
        clock.advance(0.1)

    assert spared == 8


async def test_the_room_for_what_may_be_left_out_comes_back(
    budget: Budget, clock: FakeClock
) -> None:
    for _ in range(400):
        budget.spare(CHAT)
        clock.advance(0.1)

    clock.advance(60)

    assert budget.spare(CHAT)


async def test_after_a_flood_the_chat_is_silent_for_as_long_as_telegram_asks(
    budget: Budget, clock: FakeClock
) -> None:
    budget.flooded(CHAT, 30)

    assert not budget.spare(CHAT)
    assert await took_s(budget, clock, CHAT) == pytest.approx(30.5, abs=0.01)


async def test_after_a_flood_even_an_answer_waits(budget: Budget, clock: FakeClock) -> None:
    budget.flooded(CHAT, 30)

    assert await took_s(budget, clock, CHAT, overdraw=True) == pytest.approx(30.5, abs=0.01)


async def test_after_a_flood_a_chat_goes_at_half_speed_for_a_minute(
    budget: Budget, clock: FakeClock
) -> None:
    budget.flooded(CHAT, 2)
    clock.advance(2.5)
    while not await took_s(budget, clock, CHAT):
        pass

    slow = [await took_s(budget, clock, CHAT) for _ in range(3)]
    clock.advance(60)
    while not await took_s(budget, clock, CHAT):
        pass
    fast = [await took_s(budget, clock, CHAT) for _ in range(3)]

    assert slow == pytest.approx([2, 2, 2], abs=0.01)
    assert fast == pytest.approx([1, 1, 1], abs=0.01)


async def test_the_flood_of_one_chat_does_not_slow_another(
    budget: Budget, clock: FakeClock
) -> None:
    budget.flooded(CHAT, 30)

    assert await took_s(budget, clock, OTHER) == 0


async def test_two_who_wait_do_not_take_the_same_call(budget: Budget, clock: FakeClock) -> None:
    for _ in range(3):
        await took_s(budget, clock, CHAT)
    waiting = [asyncio.create_task(budget.take(CHAT)) for _ in range(2)]
    await asyncio.sleep(0)

    clock.advance(1.001)
    for _ in range(5):
        await asyncio.sleep(0)
    done = [task.done() for task in waiting]
    clock.advance(1.001)
    await asyncio.gather(*waiting)

    assert sorted(done) == [False, True]

"""Budgets: the price of a request is held before it is made, by whoever asks, and settled after."""

import asyncio
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fakes import START, FakeClock, OpenStore, a_job, shell

from bridge.budgets import CALL_MAX_S, LAST_TOKENS, SEARCHES, Budgets, Purse, Room, passed
from bridge.errors import BudgetUsedUp, ConfigError, ModelRefused
from bridge.prices import Usage
from bridge.queue import Queue
from bridge.settings import Settings
from bridge.store import Store

SONNET = "claude-sonnet-5-5"  # 2.50 dollars for a million tokens of a new prompt, 10 of a reply
DOLLAR = 1_000_000
CENT = 10_000
TOKENS_OF_A_CENT = 4_000  # read by the model, and put into the cache


def budgets(**changes: Any) -> Budgets:
    none = {"budget_job_micro": 0, "budget_day_micro": 0, "budget_user_day_micro": 0}
    return Budgets.of(Settings(**{**none, "owners": frozenset({7}), **changes}))


def a_purse(store: Store, clock: FakeClock, conversation: str = "chat:7:0", **how: Any) -> Purse:
    limits, user_id = how.pop("limits", budgets()), how.pop("user_id", "7")
    return Purse(
        limits, store=store, clock=clock, conversation=conversation, user_id=user_id, **how
    )


def reserve(purse: Purse, cents: int, model: str = SONNET) -> Any:
    return purse.paying(cents * TOKENS_OF_A_CENT, 0, searches=0)(model)


async def spend(store: Store, purse: Purse, cents: int, model: str = SONNET) -> None:
    purse._due.append((model, Usage(input_tokens=cents * 5_000)))  # 2 dollars for a million
    await store.write(purse.account)


def held(store: Store) -> list[int]:
    rows = shell(store.path, "SELECT highest_micro FROM reservations ORDER BY conversation")
    return [row["highest_micro"] for row in rows]


async def test_the_most_a_request_can_cost_is_held_until_its_reply_is_kept(
    store: Store, clock: FakeClock
) -> None:
    purse = a_purse(store, clock)

    async with purse.paying(4_000, 3_000, searches=0)(SONNET):
        assert held(store) == [CENT + 3 * CENT]
    assert len(held(store)) == 1

    await spend(store, purse, 2)
    assert held(store) == []


async def test_the_providers_own_searches_are_held_for_too(store: Store, clock: FakeClock) -> None:
    async with a_purse(store, clock).paying(4_000, 0, searches=5)(SONNET):
        assert held(store) == [CENT + 5 * CENT]


async def test_racing_processes_pass_a_budget_by_one_request_at_most(
    open_store: OpenStore, clock: FakeClock
) -> None:
    limits = budgets(budget_day_micro=DOLLAR)
    stores = [await open_store() for _ in range(4)]
    asked: list[int] = []
    refused: list[int] = []
    all_tried = asyncio.Event()

    async def ask(number: int) -> None:
        store = stores[number % 4]
        purse = a_purse(store, clock, f"job:{number}", limits=limits, user_id=str(number))
        try:
            async with reserve(purse, 15):
                asked.append(number)
                if len(asked) + len(refused) == 40:
                    all_tried.set()
                await asyncio.wait_for(all_tried.wait(), 20)
        except BudgetUsedUp:
            refused.append(number)
            if len(asked) + len(refused) == 40:
                all_tried.set()

    await asyncio.gather(*(ask(number) for number in range(40)))

    assert len(asked) == 6  # they hold 90 cents, which is the share of jobs
    assert len(refused) == 34


async def test_while_jobs_hold_their_share_an_answer_may_begin(
    store: Store, clock: FakeClock
) -> None:
    limits = budgets(budget_day_micro=DOLLAR, budget_user_day_micro=DOLLAR)
    jobs = [a_purse(store, clock, f"job:{number}", limits=limits) for number in (1, 2)]
    answer = a_purse(store, clock, "chat:7:0", limits=limits)

    async with reserve(jobs[0], 85):
        with pytest.raises(BudgetUsedUp):
            async with reserve(jobs[1], 10):
                raise AssertionError("it must not be asked")
        async with reserve(answer, 10):
            pass


async def test_parts_of_a_job_share_its_budget(store: Store, clock: FakeClock) -> None:
    queue = Queue(store=store, clock=clock)
    whole = await queue.add(a_job())
    parts = [await queue.add(a_job(parent_id=whole.id)) for _ in range(2)]
    purses = [a_purse(store, clock, f"job:{job.id}", job_micro=DOLLAR) for job in (whole, *parts)]

    await spend(store, purses[1], 60)
    await spend(store, purses[2], 30)

    for purse in purses:
        await store.read(purse.look)
        assert purse.late
        assert purse.room(SONNET, 15 * TOKENS_OF_A_CENT, 1_500).last


async def test_what_others_hold_is_soon_free_and_what_is_spent_only_tomorrow(
    store: Store, clock: FakeClock
) -> None:
    limits = budgets(budget_day_micro=DOLLAR, zone="Europe/Amsterdam")
    other, mine = (a_purse(store, clock, name, limits=limits) for name in ("job:1", "job:2"))

    async with reserve(other, 100):
        with pytest.raises(BudgetUsedUp) as soon:
            async with reserve(mine, 1):
                raise AssertionError("it must not be asked")
    await spend(store, other, 100)
    with pytest.raises(BudgetUsedUp) as tomorrow:
        async with reserve(mine, 1):
            raise AssertionError("it must not be asked")

    assert soon.value.until is None
    assert tomorrow.value.until == datetime(2026, 11, 22, 23, tzinfo=UTC)
    assert tomorrow.value.whose == "day"

    clock.jump((tomorrow.value.until - clock.now()).total_seconds())
    async with reserve(mine, 1):
        assert held(store) == [CENT]


async def test_one_person_cannot_use_what_is_for_the_others(store: Store, clock: FakeClock) -> None:
    limits = budgets(budget_user_day_micro=CENT)
    await spend(store, a_purse(store, clock, limits=limits), 1)

    with pytest.raises(BudgetUsedUp) as used_up:
        async with reserve(a_purse(store, clock, "job:1", limits=limits), 1):
            raise AssertionError("it must not be asked")
    assert used_up.value.whose == "user"
    async with reserve(a_purse(store, clock, "chat:8:0", limits=limits, user_id="8"), 1):
        pass
    async with reserve(a_purse(store, clock, "job:2", limits=limits, user_id=""), 1):
        pass


@pytest.mark.parametrize("end", ["its time", "a reboot", "its next request"])
async def test_a_reservation_of_a_killed_process_ends(
    store: Store, clock: FakeClock, end: str
) -> None:
    limits = budgets(budget_day_micro=DOLLAR)
    killed = a_purse(store, clock, "job:1", limits=limits)
    await store.write(lambda tx: killed._reserve(tx, DOLLAR))  # and it says no more
    mine = a_purse(store, clock, "job:1" if end == "its next request" else "job:2", limits=limits)
    if end == "its time":
        clock.advance(CALL_MAX_S)
    elif end == "a reboot":
        clock.boot_id = "boot-2"

    async with reserve(mine, 3):
        assert held(store) == [3 * CENT]


async def test_a_refused_request_costs_nothing(store: Store, clock: FakeClock) -> None:
    with pytest.raises(ModelRefused):
        async with reserve(a_purse(store, clock), 3):
            raise ModelRefused("no")
    await store.write(lambda tx: None)  # what was written soon is written by now

    assert held(store) == []
    assert shell(store.path, "SELECT * FROM usage") == []


async def test_what_was_never_sent_costs_nothing(store: Store, clock: FakeClock) -> None:
    with pytest.raises(ConfigError):
        async with reserve(a_purse(store, clock), 3):
            raise ConfigError("The library of the provider is not installed.")
    await store.write(lambda tx: None)

    assert held(store) == []
    assert shell(store.path, "SELECT * FROM usage") == []


async def test_a_request_that_was_stopped_counts_what_it_had_read(
    store: Store, clock: FakeClock
) -> None:
    with pytest.raises(asyncio.CancelledError):
        async with a_purse(store, clock).paying(5_000, 9_000, searches=0)(SONNET):
            raise asyncio.CancelledError
    await store.write(lambda tx: None)

    assert held(store) == []
    assert shell(store.path, "SELECT user_id, counted_micro FROM usage") == [
        {"user_id": "7", "counted_micro": CENT}
    ]


async def test_a_model_without_a_price_is_not_without_a_limit(
    store: Store, clock: FakeClock
) -> None:
    limits = budgets(budget_day_micro=DOLLAR, price_unknown_micro=(3 * DOLLAR, 9 * DOLLAR))
    purse = a_purse(store, clock, limits=limits)
    used = Usage(input_tokens=100_000, cache_read=200_000, output_tokens=20_000)
    purse._due.append(("deepseek-chat", used))

    await store.write(purse.account)

    assert shell(store.path, "SELECT cost_micro, counted_micro FROM usage") == [
        {"cost_micro": None, "counted_micro": 90 * CENT + 18 * CENT}
    ]
    with pytest.raises(BudgetUsedUp):
        async with reserve(purse, 1, "deepseek-chat"):
            raise AssertionError("it must not be asked")


async def test_each_mark_of_a_day_is_told_once(store: Store, clock: FakeClock) -> None:
    limits = budgets(budget_day_micro=10 * CENT, budget_user_day_micro=20 * CENT)
    purse = a_purse(store, clock, "job:1", limits=limits)

    for _ in range(12):
        await spend(store, purse, 1)
    clock.jump(86_400)
    await spend(store, purse, 9)

    rows = shell(store.path, "SELECT chat_id, payload FROM deliveries ORDER BY id")
    told = [(json.loads(r["payload"])["alert"], json.loads(r["payload"])["values"]) for r in rows]
    money = {"dollars": 0, "cents": "10"}
    assert {row["chat_id"] for row in rows} == {"7"}
    assert told == [
        ("budget_day", {"percent": 50, **money}),
        ("budget_day", {"percent": 80, **money}),
        ("budget_user", {"percent": 50, "dollars": 0, "cents": "20"}),
        ("budget_day", {"percent": 100, **money}),
        ("budget_day", {"percent": 80, **money}),
    ]


def test_only_the_highest_mark_that_was_passed_is_told() -> None:
    assert list(passed(100, 0, 49)) == []
    assert list(passed(100, 49, 50)) == [50]
    assert list(passed(100, 10, 130)) == [100]
    assert list(passed(100, 80, 99)) == []
    assert list(passed(0, 0, 10**9)) == []


async def test_a_job_may_say_less_as_its_budget_gets_less(store: Store, clock: FakeClock) -> None:
    purse = a_purse(store, clock, "job:1", limits=budgets(), job_micro=DOLLAR)
    assert purse.room(SONNET, 4_000, 32_000) == Room(32_000)

    await spend(store, purse, 80)
    assert purse.late
    assert purse.room(SONNET, 4_000, 32_000) == Room(19_000)

    await spend(store, purse, 15)
    assert purse.room(SONNET, 4_000, 32_000) == Room(LAST_TOKENS)

    await spend(store, purse, 1)
    assert purse.room(SONNET, 4_000, 32_000) == Room(LAST_TOKENS, last=True)


async def test_searches_of_the_provider_are_as_many_as_the_budget_of_the_job_leaves(
    store: Store, clock: FakeClock
) -> None:
    purse = a_purse(store, clock, "job:1", limits=budgets(), job_micro=20 * CENT)
    asks = (SONNET, 4_000, 32_000)
    assert purse.room(*asks) == Room(19_000)
    assert purse.room(*asks, searching=True) == Room(14_000, searches=5)

    await spend(store, purse, 12)
    assert purse.room(*asks, searching=True) == Room(LAST_TOKENS, searches=3)

    await spend(store, purse, 3)
    assert purse.room(*asks, searching=True) == Room(LAST_TOKENS, searches=1)

    await spend(store, purse, 1)
    assert purse.room(*asks, searching=True) == Room(LAST_TOKENS, last=True)


async def test_a_job_without_a_budget_searches_no_more_in_a_request_either(
    store: Store, clock: FakeClock
) -> None:
    assert a_purse(store, clock).room(SONNET, 4_000, 32_000, searching=True).searches == SEARCHES


async def test_another_process_knows_what_a_job_has_used(store: Store, clock: FakeClock) -> None:
    await spend(store, a_purse(store, clock, "job:1", job_micro=DOLLAR), 100)
    again = a_purse(store, clock, "job:1", job_micro=DOLLAR)

    await store.read(again.look)

    assert again.room(SONNET, 10, 32_000).last


@pytest.mark.parametrize(
    ("at", "began", "ends"),
    [
        ("2026-11-22T22:59", "2026-11-21T23:00", "2026-11-22T23:00"),
        ("2026-11-22T23:00", "2026-11-22T23:00", "2026-11-23T23:00"),
        ("2026-10-25T12:00", "2026-10-24T22:00", "2026-10-25T23:00"),  # a day of 25 hours
    ],
)
def test_a_day_is_one_of_the_zone(at: str, began: str, ends: str) -> None:
    now, first, last = (datetime.fromisoformat(f"{each}+00:00") for each in (at, began, ends))

    assert budgets(zone="Europe/Amsterdam").day(now) == (first, last)


def test_without_a_zone_a_day_is_one_of_utc() -> None:
    midnight = START.replace(hour=0, minute=0)

    assert budgets().day(START) == (midnight, midnight + timedelta(days=1))


def test_budgets_are_read_as_dollars(tmp_path: Path) -> None:
    environ = {"KITT_BUDGET_JOB": "0", "KITT_BUDGET_DAY": "2.5", "KITT_PRICE_UNKNOWN": "0.3/1.20"}

    settings = Settings.load(environ, env_file=tmp_path / "none")

    assert settings.budget_job_micro == 0
    assert settings.budget_day_micro == 2_500_000
    assert settings.price_unknown_micro == (300_000, 1_200_000)


RACE = """
import asyncio, sys
from pathlib import Path
from bridge.budgets import Budgets, Purse
from bridge.clock import Clock
from bridge.errors import BudgetUsedUp
from bridge.prices import Usage
from bridge.queue import Queue
from bridge.settings import Settings
from bridge.store import Store

async def main(folder, name):
    store = await Store.open(folder / "kitt.db", folder / "run")
    limits = Budgets.of(Settings(budget_day_micro=1_000_000, budget_user_day_micro=0))
    used = Usage(input_tokens=25_000)  # five cents
    for number in range(40):
        purse = Purse(
            limits, store=store, clock=Clock(), conversation=f"job:{name}{number}", user_id=""
        )
        try:
            async with purse.paying(20_000, 0, searches=0)("claude-sonnet-5-5") as meter:
                await asyncio.sleep(0)
                meter.usage = used
            await store.write(purse.account)
        except BudgetUsedUp:
            pass
    await store.close()

asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
"""


async def test_processes_together_pass_a_budget_by_one_request_at_most(
    store: Store, memory: Path
) -> None:
    running = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", RACE, str(memory), str(name))
        for name in (1, 2, 3)
    ]
    ended = await asyncio.wait_for(
        asyncio.gather(*(process.wait() for process in running)), timeout=60
    )

    (row,) = shell(store.path, "SELECT sum(counted_micro) AS spent FROM usage")
    assert ended == [0, 0, 0]
    assert DOLLAR - 5 * CENT < row["spent"] <= DOLLAR + 5 * CENT

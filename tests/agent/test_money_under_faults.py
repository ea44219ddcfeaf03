"""Whatever goes wrong with requests: no budget is passed by more than one of them.

Each request that is sent has its highest price reserved first, also a second try and the other
model's; and what a cut reply has cost is counted.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
from fakes import START, FakeClock
from turns import Desk, opening
from waiting import until

from bridge.agent.fallback import Fallback
from bridge.agent.outcome import Limits
from bridge.budgets import Budgets, Purse
from bridge.conversation import Message
from bridge.emulator.claude_faults import Fault
from bridge.emulator.claude_log import Record
from bridge.emulator.script import Reply
from bridge.emulator.script import Request as Asked
from bridge.errors import BudgetUsedUp, ModelUnavailable
from bridge.prices import Usage, cost_of
from bridge.settings import Settings
from bridge.telegram.watched import RETRY_AFTER_S, Watched

HAIKU, OPUS = "claude-haiku-5-5", "claude-opus-5-5"
STORY = "Pelicans eat fish and fly in a long line over the water at dusk. " * 20
BUDGET_MICRO = 60_000  # about ten replies of Opus
STALLED_S = 0.4
SEEDS = range(4)


def cost_micro(record: Record) -> int:
    """What the provider bills."""
    if record.usage is None:
        return 0
    told: dict[str, Any] = record.usage
    used = Usage(input_tokens=told["input_tokens"], output_tokens=told["output_tokens"])
    cost = cost_of(record.body["model"], used, START)
    assert cost is not None
    return cost


def bill(desk: Desk) -> list[int]:
    return [cost_micro(record) for record in desk.claude.requests]


def a_fault(dice: random.Random) -> Fault:
    events = dice.randrange(1, 160)
    return dice.choice(
        [
            Fault(),
            Fault(status=429, retry_after_s=1),
            Fault(status=529),
            Fault(status=500),
            Fault(outcome="refusal"),
            Fault(outcome="max_tokens"),
            Fault(cut_after_bytes=dice.randrange(1, 20_000)),
            Fault(end_after_events=events),
            Fault(error_after_events=events),
            Fault(stall_after_events=events),  # until somebody stops it
        ]
    )


class Till:
    """One person's chat on a budget of a day; whoever asks twice as `Watched` does."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.clock = FakeClock()
        self.reserved: list[tuple[str, int]] = []
        self.since: dict[int, float] = {}  # when each request was first seen
        desk.claude.script.when(lambda _request: True, self._say)

    def _say(self, request: Asked) -> Reply:
        rows = self.desk.rows("SELECT highest_micro FROM reservations")
        highest = rows[0]["highest_micro"] if rows else 0
        self.reserved.append((request.body["model"], highest))
        return Reply(STORY, delta_chars=8)

    async def ask(self, number: int) -> None:
        """One turn; a provider that says nothing more is left. Raises: BudgetUsedUp."""
        budgets = Budgets.of(Settings(budget_day_micro=BUDGET_MICRO, budget_user_day_micro=0))
        conversation = f"chat:{number}:0"
        how: Any = {"store": self.desk.store, "clock": self.clock, "conversation": conversation}
        turn = self.desk.turn(
            **how,
            purse=Purse(budgets, user_id="7", **how),
            model=Watched(self.desk.model, self.clock, settle=_nothing, words=lambda: None),
            model_name=HAIKU,
            limits=Limits(max_tokens=400),
        )
        before = len(self.desk.claude.requests)
        asking = asyncio.create_task(turn.run(opening("story")))
        while not asking.done():
            await asyncio.sleep(0.005)
            if self.clock.sleeping:
                self.clock.advance(2 * RETRY_AFTER_S)
            sent = self.desk.claude.requests[before:]
            if sent and self._stalls(sent[-1]):
                asking.cancel()
        with suppress(ModelUnavailable, asyncio.CancelledError):
            await asking

    def _stalls(self, record: Record) -> bool:
        now = asyncio.get_running_loop().time()
        since = self.since.setdefault(record.seq, now)
        return not record.finished and now - since > STALLED_S


async def _nothing(_reply: object) -> None:
    pass


@pytest.fixture
async def till(desk: Desk) -> AsyncIterator[Till]:
    desk.model = Fallback(desk.model, OPUS)
    yield Till(desk)


@pytest.mark.parametrize("seed", SEEDS)
async def test_no_faults_make_a_budget_be_passed_by_more_than_one_request(
    till: Till, seed: int
) -> None:
    dice = random.Random(seed)

    with pytest.raises(BudgetUsedUp):
        for number in range(400):
            for _ in range(dice.randrange(4)):
                till.desk.claude.order(a_fault(dice))
            await till.ask(number)
    await until(lambda: all(record.finished for record in till.desk.claude.requests))

    billed = bill(till.desk)
    assert BUDGET_MICRO * 0.7 < sum(billed) <= BUDGET_MICRO + max(billed)
    taken = [record for record in till.desk.claude.requests if record.usage]
    for record, (model, highest) in zip(taken, till.reserved, strict=True):
        assert record.body["model"] == model
        assert cost_micro(record) <= highest


async def test_the_other_model_is_not_asked_when_the_refusal_was_the_last_that_fits(
    till: Till,
) -> None:
    till.desk.claude.order(Fault(outcome="refusal", times=1))
    till.desk.rows(
        "INSERT INTO usage (at, conversation, model, input_tokens, output_tokens, cache_read,"
        " cache_write, latency_ms, counted_micro)"
        f" VALUES ('2026-11-22 01:00', 'job:9', 'x', 1, 1, 0, 0, 1, {BUDGET_MICRO - 1})"
    )

    await till.ask(1)

    assert [record.body["model"] for record in till.desk.claude.requests] == [HAIKU]
    assert till.desk.rows("SELECT * FROM reservations") == []


async def test_a_job_has_no_second_try_when_the_first_took_the_rest_of_its_money(
    till: Till,
) -> None:
    till.desk.claude.order(Fault(outcome="refusal", times=1))
    purse = till.desk.purse(FakeClock(), conversation="job:1", job_micro=1)

    outcome = await till.desk.turn(purse=purse, conversation="job:1").run(opening("story"))

    assert outcome.kind == "refused"
    assert len(till.desk.claude.requests) == 1


async def test_what_cost_nothing_is_sent_again_also_when_a_job_has_no_money_left(
    till: Till,
) -> None:
    thought = {"type": "thinking", "thinking": "Hm.", "signature": "bm90IG91cnM="}
    said = [thought, {"type": "text", "text": "Yes."}]
    history = [
        *opening("story"),
        Message(role="assistant", content=said),
        *opening("the end", source="update:2"),
    ]
    till.desk.rows(
        "INSERT INTO usage (at, conversation, model, input_tokens, output_tokens, cache_read,"
        " cache_write, latency_ms, counted_micro, job_id)"
        " VALUES ('2026-11-22 01:00', 'job:1', 'x', 1, 1, 0, 0, 1, 1, 1)"
    )
    purse = till.desk.purse(FakeClock(), conversation="job:1", job_micro=1)

    outcome = await till.desk.turn(purse=purse, conversation="job:1").run(history)

    assert outcome.kind == "answer"
    refused, answered = till.desk.claude.requests
    assert (refused.status, answered.status) == (400, 200)
    refused.status = 0  # the desk takes no refused request for right

"""A model whose failures and replies the circuit breaker hears of."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator

import pytest
from fakes import FakeClock, OpenStore, shell

from bridge.agent.guarded import GuardedModel
from bridge.agent.model import AnthropicModel, Request
from bridge.breaker import Breaker
from bridge.emulator.claude import KEY, ClaudeEmulator
from bridge.emulator.claude_faults import Fault
from bridge.emulator.script import Reply, Script
from bridge.errors import ModelRefused, ModelUnavailable
from bridge.store import Store

ANSWER = "Pelicans hold more in their beaks than their bellies can."
ASK = Request(
    model="claude-haiku-5-5",
    system="You know birds.",
    messages=[{"role": "user", "content": [{"type": "text", "text": "Tell me about pelicans"}]}],
    tools=[],
    max_tokens=500,
)


@pytest.fixture
async def claude() -> AsyncIterator[ClaudeEmulator]:
    running = ClaudeEmulator(script=Script([lambda _request: Reply(ANSWER)]))
    await running.start()
    yield running
    await running.stop()


@pytest.fixture
async def model(
    claude: ClaudeEmulator, store: Store, clock: FakeClock
) -> AsyncIterator[GuardedModel]:
    breaker = Breaker(store, clock, frozenset())
    opened = GuardedModel(AnthropicModel(key=KEY, base_url=claude.base_url), breaker)
    yield opened
    await opened.close()


def known(store: Store) -> list[tuple[str, str, int, str | None]]:
    """What the breaker knows."""
    rows = shell(store.path, "SELECT name, kind, failures, open_until FROM breakers")
    return [(row["name"], row["kind"], row["failures"], row["open_until"]) for row in rows]


async def ask_in_vain(model: GuardedModel, times: int) -> None:
    for _ in range(times):
        with pytest.raises(ModelUnavailable):
            await model.stream(ASK)


async def test_failures_open_it_for_every_kind_for_as_long_as_the_provider_asks(
    claude: ClaudeEmulator, model: GuardedModel, store: Store
) -> None:
    claude.order(Fault(status=529, retry_after_s=90, times=5))

    await ask_in_vain(model, 5)

    assert known(store) == [("model", "*", 5, "2026-11-22 07:31:30.000")]
    (row,) = shell(store.path, "SELECT reason FROM breakers")
    assert row["reason"] == "The model provider is not available now (overloaded_error)."


async def test_stream_that_breaks_off_is_a_failure(
    claude: ClaudeEmulator, model: GuardedModel, store: Store
) -> None:
    claude.order(Fault(end_after_events=2))

    await ask_in_vain(model, 1)

    assert known(store) == [("model", "*", 1, None)]


async def test_reply_comes_back_and_closes_it(
    claude: ClaudeEmulator, model: GuardedModel, store: Store
) -> None:
    claude.order(Fault(status=529, times=5))
    await ask_in_vain(model, 5)

    reply = await model.stream(ASK)

    assert reply.content == [{"type": "text", "text": ANSWER}]
    assert known(store) == []


async def test_reply_to_a_call_from_before_the_opening_leaves_it_open(
    claude: ClaudeEmulator, model: GuardedModel, store: Store, clock: FakeClock
) -> None:
    claude.order(Fault(hold="an old stream"))
    old = asyncio.create_task(model.stream(ASK))
    await claude.wait_for(lambda records: len(records) == 1)
    clock.advance(60)
    claude.order(Fault(status=529, times=5))
    await ask_in_vain(model, 5)

    claude.release("an old stream")
    await old

    assert [name for name, *_ in known(store)] == ["model"]


async def test_reply_closes_what_a_wrong_clock_has_opened_in_the_future(
    claude: ClaudeEmulator, model: GuardedModel, store: Store, clock: FakeClock
) -> None:
    clock.jump(400 * 86_400)
    claude.order(Fault(status=529, times=5))
    await ask_in_vain(model, 5)
    clock.jump(-400 * 86_400)

    await model.stream(ASK)

    assert known(store) == []


async def test_refused_request_counts_neither_way(
    claude: ClaudeEmulator, model: GuardedModel, store: Store
) -> None:
    claude.order(Fault(status=529, times=4))
    await ask_in_vain(model, 4)
    claude.order(Fault(status=400))

    with pytest.raises(ModelRefused):
        await model.stream(ASK)

    assert known(store) == [("model", "*", 4, None)]


async def test_locked_database_changes_nothing_of_how_a_call_ends(
    claude: ClaudeEmulator, open_store: OpenStore, clock: FakeClock
) -> None:
    store = await open_store(busy_timeout_s=0.02)
    breaker = Breaker(store, clock, frozenset())
    model = GuardedModel(AnthropicModel(key=KEY, base_url=claude.base_url), breaker)
    claude.order(Fault(status=529, times=2))
    await ask_in_vain(model, 1)

    person = sqlite3.connect(store.path, isolation_level=None)
    person.execute("BEGIN EXCLUSIVE")

    await ask_in_vain(model, 1)
    reply = await model.stream(ASK)

    assert reply.content == [{"type": "text", "text": ANSWER}]
    assert known(store) == [("model", "*", 1, None)]
    person.close()
    await model.close()

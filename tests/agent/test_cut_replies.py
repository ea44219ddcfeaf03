"""A reply that is cut was paid for as far as it was written, whoever cut it."""

import asyncio
from typing import Any

import pytest
from fakes import START, FakeClock
from turns import Desk, a_tool, opening
from waiting import until

from bridge.agent.providers import WEB_TOOLS
from bridge.emulator.claude_faults import Fault
from bridge.emulator.script import Reply, Text, ToolUse, searched
from bridge.errors import ModelUnavailable
from bridge.prices import WEB_SEARCH, Usage, cost_of

STORY = "Pelicans eat fish and fly in a long line over the water at dusk. " * 60
LONG = 100  # events, of eight characters each
CUTS = [
    Fault(cut_after_bytes=12_000),
    Fault(end_after_events=LONG),
    Fault(error_after_events=LONG),
]


def used(desk: Desk) -> list[dict[str, Any]]:
    return desk.rows("SELECT input_tokens, output_tokens, counted_micro, estimated FROM usage")


def billed(desk: Desk) -> Usage:
    told = desk.claude.requests[-1].usage
    assert told is not None
    return Usage(input_tokens=told["input_tokens"], output_tokens=told["output_tokens"])


def assert_paid(desk: Desk) -> None:
    """What was read exactly, what was written rather too much, and it is marked."""
    bill = billed(desk)
    (row,) = used(desk)
    assert row["estimated"] == 1
    assert row["input_tokens"] == bill.input_tokens
    assert 100 < bill.output_tokens <= row["output_tokens"] < 1.5 * bill.output_tokens
    cost = cost_of("claude-haiku-5-5", bill, START)
    assert cost is not None
    assert row["counted_micro"] >= cost


@pytest.mark.parametrize("conversation", ["chat:7:0", "job:1"])
async def test_a_reply_that_was_stopped_counts_what_was_written(
    desk: Desk, conversation: str
) -> None:
    desk.says("story", Reply(STORY, delta_chars=8))
    desk.claude.order(Fault(stall_after_events=LONG))
    purse = desk.purse(FakeClock(), conversation=conversation)
    heard: list[str] = []

    class Ears:
        def text(self, delta: str) -> None:
            heard.append(delta)

    turn = desk.turn(conversation=conversation, purse=purse, listener=Ears())
    asking = asyncio.create_task(turn.run(opening("story")))
    await until(lambda: len(heard) > LONG - 5)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking

    await until(lambda: used(desk) and desk.claude.requests[-1].finished)
    assert_paid(desk)
    assert desk.rows("SELECT * FROM reservations") == []


@pytest.mark.parametrize("fault", CUTS)
async def test_a_reply_that_the_provider_cut_counts_what_was_written(
    desk: Desk, fault: Fault
) -> None:
    desk.says("story", Reply(STORY, delta_chars=8))
    desk.claude.order(fault)

    with pytest.raises(ModelUnavailable):
        await desk.turn().run(opening("story"))

    await until(lambda: used(desk))
    assert_paid(desk)


async def test_the_beginning_of_a_call_was_written_too(desk: Desk) -> None:
    note = a_tool("note", properties={"text": {"type": "string"}})
    desk.says("story", Reply([ToolUse("note", {"text": STORY})], delta_chars=8))
    desk.claude.order(Fault(end_after_events=LONG))

    with pytest.raises(ModelUnavailable):
        await desk.turn(tools=[note]).run(opening("story"))

    await until(lambda: used(desk))
    assert_paid(desk)


async def test_a_request_that_was_never_taken_costs_nothing(desk: Desk) -> None:
    desk.claude.order(Fault(status=529))

    with pytest.raises(ModelUnavailable):
        await desk.turn().run(opening("story"))

    await until(lambda: not desk.rows("SELECT * FROM reservations"))
    assert used(desk) == []


async def test_a_whole_reply_is_no_estimate(desk: Desk) -> None:
    desk.says("story", STORY)

    await desk.turn().run(opening("story"))

    (row,) = used(desk)
    bill = billed(desk)
    assert row["estimated"] == 0
    assert (row["input_tokens"], row["output_tokens"]) == (bill.input_tokens, bill.output_tokens)


async def test_searches_that_were_made_before_a_cut_were_paid_for(desk: Desk) -> None:
    found = searched("pelicans", [("https://example.com", "Pelicans")])
    desk.says("story", Reply([*found, Text(STORY)], delta_chars=8))
    desk.claude.order(Fault(end_after_events=LONG))

    with pytest.raises(ModelUnavailable):
        await desk.turn(server_tools=WEB_TOOLS).run(opening("story"))

    await until(lambda: used(desk))
    assert used(desk)[0]["counted_micro"] > WEB_SEARCH

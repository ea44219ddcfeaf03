"""What a turn has used commits with its replies, at the price of the moment."""

import pytest
from fakes import START
from turns import Desk, counting_tool, opening, use
from waiting import until

from bridge.agent.outcome import Outcome
from bridge.emulator.script import Reply
from bridge.prices import Usage, cost_of
from bridge.store import Tx


async def test_cost_commits_with_the_reply(desk: Desk) -> None:
    def end(tx: Tx, _outcome: Outcome) -> None:
        assert desk.rows("SELECT * FROM usage") == []  # nobody else sees it yet
        tx.run("put_meta", name="ended", value="yes")

    desk.says("hello", "Hello yourself.")

    await desk.turn(on_end=end).run(opening("hello"))

    told = desk.claude.requests[0].usage
    assert told is not None
    used = Usage(input_tokens=told["input_tokens"], output_tokens=told["output_tokens"])
    (row,) = desk.rows("SELECT chat_id, job_id, cost_micro FROM usage")
    assert row == {
        "chat_id": "7",
        "job_id": None,
        "cost_micro": cost_of("claude-haiku-5-5", used, START),
    }
    assert row["cost_micro"] > 0


async def test_a_reply_that_could_not_be_stored_was_paid_for_once(desk: Desk) -> None:
    def end(_tx: Tx, _outcome: Outcome) -> None:
        raise LookupError

    desk.says("hello", "Hello yourself.")

    with pytest.raises(LookupError):
        await desk.turn(on_end=end).run(opening("hello"))

    await until(lambda: desk.rows("SELECT * FROM usage"))
    assert len(desk.rows("SELECT * FROM usage")) == 1
    assert desk.rows("SELECT * FROM messages") == []


async def test_each_reply_of_a_turn_is_accounted_for_once(desk: Desk) -> None:
    look, _ = counting_tool("look")
    desk.says("look", Reply([use("look")]), Reply([use("look")]), "There it is.")

    await desk.turn(tools=[look]).run(opening("look"))

    told = [request.usage["output_tokens"] for request in desk.claude.requests if request.usage]
    rows = desk.rows("SELECT output_tokens FROM usage ORDER BY id")
    assert [row["output_tokens"] for row in rows] == told
    assert len(told) == 3


async def test_reply_without_a_word_is_accounted_for_with_the_next(desk: Desk) -> None:
    desk.says("hello", Reply(""), "Hello yourself.")

    await desk.turn().run(opening("hello"))

    assert len(desk.rows("SELECT * FROM usage")) == len(desk.claude.requests) == 2


async def test_model_without_a_known_price_is_accounted_for_without_one(desk: Desk) -> None:
    desk.says("hello", "Hello yourself.")

    await desk.turn(model_name="claude-opus-4-8").run(opening("hello"))

    (row,) = desk.rows("SELECT cost_micro, tokens FROM usage")
    assert row["cost_micro"] is None
    assert row["tokens"] > 0

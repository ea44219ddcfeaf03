"""A job near the end of its money is told so, and ends with what it has."""

import pytest
from fakes import FakeClock, shell
from turns import Desk, counting_tool, opening, use
from waiting import until

from bridge.agent.outcome import Outcome
from bridge.agent.providers import WEB_TOOLS
from bridge.agent.replies import NO_TEXT, SPENT, WRAP_UP
from bridge.emulator.claude_faults import Fault
from bridge.emulator.script import Reply, Request, Text, searched
from bridge.errors import LeaseLost, ModelUnavailable
from bridge.store import Tx

MILLION = 1_000_000


def counted(desk: Desk, micro: int) -> None:
    """Write what it has used, as a person could."""
    shell(
        desk.store.path,
        "INSERT INTO usage (at, conversation, model, input_tokens, output_tokens, cache_read,"
        " cache_write, latency_ms, counted_micro)"
        " VALUES ('2026-11-22', 'job:1', 'x', 1, 1, 0, 0, 1, :micro)",
        micro=micro,
    )


async def test_most_of_the_budget_is_used_and_the_model_is_told_once(desk: Desk) -> None:
    look, _ = counting_tool("look")
    desk.says("look", Reply([use("look")]), Reply([use("look")]), "There it is.")
    counted(desk, 800_000)

    purse = desk.purse(FakeClock(), conversation="job:1", job_micro=MILLION)
    outcome = await desk.turn(tools=[look], purse=purse).run(opening("look"))

    assert outcome == Outcome(kind="answer", text="There it is.")
    assert [text for _, text in desk.spoken()].count(WRAP_UP) == 1


async def test_the_last_call_has_no_tools_and_its_answer_is_cut(desk: Desk) -> None:
    look, runs = counting_tool("look")
    desk.claude.script.when(
        lambda request: True,
        lambda request: Reply(
            "What there is." if SPENT in request.last_user_text else [use("look")]
        ),
    )
    purse = desk.purse(FakeClock(), conversation="job:1", job_micro=MILLION)
    ends: list[Outcome] = []

    def end(tx: Tx, outcome: Outcome) -> None:
        ends.append(outcome)

    counted(desk, 1_000_000)
    await desk.turn(tools=[look], purse=purse, on_end=end).run(opening("look"))

    assert ends == [Outcome(kind="answer", text="What there is.", cut=True)]
    assert runs == []
    (asked,) = desk.claude.requests
    assert asked.body["tool_choice"] == {"type": "none"}
    assert asked.body["max_tokens"] == 1_500


async def test_a_model_that_searches_without_end_is_held_by_what_was_reserved(desk: Desk) -> None:
    pages = [searched(f"lamps {number}", [("https://a.test", "A")]) for number in range(9)]
    blocks = [block for page in pages for block in page]
    held: list[int] = []

    def search(_request: Request) -> Reply:
        rows = shell(desk.store.path, "SELECT highest_micro FROM reservations")
        held.extend(row["highest_micro"] for row in rows)
        return Reply([*blocks, Text("Lamps.")])

    desk.claude.script.when(lambda _: True, search)
    purse = desk.purse(FakeClock(), conversation="job:1", job_micro=MILLION)
    counted(desk, MILLION - 3 * 10_000 - 5_000)
    turn = desk.turn(conversation="job:1", purse=purse, server_tools=WEB_TOOLS)

    await turn.run(opening("lamps"))

    (asked,) = desk.claude.requests
    limits = {tool["name"]: tool.get("max_uses") for tool in asked.body["tools"]}
    assert limits == {"web_search": 3, "web_fetch": None}
    (used,) = desk.rows("SELECT cost_micro, counted_micro FROM usage WHERE model != 'x'")
    assert used["cost_micro"] == used["counted_micro"]
    assert 30_000 < used["counted_micro"] <= held[0] <= 30_000 + 5_000


async def test_a_last_answer_that_is_cut_at_its_length_is_the_result(desk: Desk) -> None:
    desk.says("sing", "La la la la la la la la.")
    desk.claude.order(Fault(outcome="max_tokens", times=1))
    counted(desk, 1_000_000)

    purse = desk.purse(FakeClock(), conversation="job:1", job_micro=MILLION)
    outcome = await desk.turn(purse=purse).run(opening("sing"))

    assert outcome.kind == "answer"
    assert outcome.cut
    assert len(desk.claude.requests) == 1


async def test_a_reply_that_may_not_be_kept_any_more_was_paid_for(desk: Desk) -> None:
    def lost(_tx: Tx) -> None:
        raise LeaseLost("Somebody else has it.")

    with pytest.raises(LeaseLost):
        await desk.turn(guard=lost).run(opening("sing"))

    await until(lambda: desk.rows("SELECT 1 FROM usage WHERE output_tokens > 0"))
    assert desk.rows("SELECT 1 FROM reservations") == []


async def test_a_reply_before_one_that_did_not_come_was_paid_for(desk: Desk) -> None:
    desk.says("sing", "…")
    desk.claude.order(Fault(status=529, match=NO_TEXT, times=1))

    with pytest.raises(ModelUnavailable):
        await desk.turn().run(opening("sing"))

    await until(lambda: desk.rows("SELECT 1 FROM usage WHERE output_tokens > 0"))

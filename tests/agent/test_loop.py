"""A turn: what is asked, what is stored and when, and how it ends."""

import json
from typing import Any

import pytest
from fakes import shell
from turns import Desk, a_tool, counting_tool, opening, use
from waiting import until

from bridge.agent.outcome import Limits, Outcome
from bridge.agent.replies import CUT, NO_TEXT, WRAP_UP
from bridge.agent.tool import Tool, ToolFailed
from bridge.emulator.claude_faults import Fault
from bridge.emulator.script import Reply, Thinking, ToolUse
from bridge.errors import LeaseLost, ModelUnavailable, TurnLimitReached
from bridge.store import Tx

# --- an answer ------------------------------------------------------------------------------------


async def test_answer_ends_the_turn(desk: Desk) -> None:
    desk.says("hello", "Hello yourself.")

    outcome = await desk.turn().run(opening("hello"))

    assert outcome == Outcome(kind="answer", text="Hello yourself.")
    assert desk.spoken() == [("user", "hello"), ("assistant", "Hello yourself.")]
    assert len(desk.claude.requests) == 1


async def test_request_is_accounted_for(desk: Desk) -> None:
    desk.says("hello", "Hello yourself.")

    await desk.turn().run(opening("hello"))

    told = desk.claude.requests[0].usage
    assert told is not None
    (row,) = desk.rows("SELECT * FROM usage")
    assert (row["conversation"], row["model"]) == ("chat:7:0", "claude-haiku-5-5")
    assert row["input_tokens"] == told["input_tokens"]
    assert row["output_tokens"] == told["output_tokens"]


async def test_what_the_end_owes_commits_with_the_answer(desk: Desk) -> None:
    def owe(tx: Tx, outcome: Outcome) -> None:
        assert desk.rows("SELECT * FROM messages") == []  # nobody else sees it yet
        tx.run("put_meta", name="owed", value=outcome.text)

    desk.says("hello", "Hello yourself.")

    await desk.turn(on_end=owe).run(opening("hello"))

    assert desk.rows("SELECT value FROM meta") == [{"value": "Hello yourself."}]


async def test_an_end_that_fails_stores_nothing(desk: Desk) -> None:
    def owe(_tx: Tx, _outcome: Outcome) -> None:
        raise LookupError

    desk.says("hello", "Hello yourself.")

    with pytest.raises(LookupError):
        await desk.turn(on_end=owe).run(opening("hello"))

    assert desk.rows("SELECT * FROM messages") == []


async def test_provider_that_is_away_leaves_no_trace(desk: Desk) -> None:
    desk.claude.order(Fault(status=529))

    with pytest.raises(ModelUnavailable):
        await desk.turn().run(opening("hello"))

    assert desk.rows("SELECT * FROM messages") == []


async def test_lost_lease_stores_nothing(desk: Desk) -> None:
    def guard(_tx: Tx) -> None:
        raise LeaseLost("gone")

    desk.says("hello", "Hello yourself.")

    with pytest.raises(LeaseLost):
        await desk.turn(guard=guard).run(opening("hello"))

    assert desk.rows("SELECT * FROM messages") == []
    await until(lambda: len(desk.rows("SELECT * FROM usage")) == 1)  # it was paid for


async def test_refusal_tells_why(desk: Desk) -> None:
    desk.claude.order(Fault(outcome="refusal"))

    outcome = await desk.turn().run(opening("hello"))

    why = "The emulator was told to refuse this request."
    assert outcome == Outcome(kind="refused", text=why)
    assert desk.spoken()[-1] == ("assistant", why)


# --- tools in the database ------------------------------------------------------------------------


async def test_reply_its_tools_and_their_results_commit_together(desk: Desk) -> None:
    def commit(tx: Tx, _given: dict[str, Any]) -> str:
        tx.run("put_meta", name="word", value="kept")
        return "kept"

    def fail(_tx: Tx, _outcome: Outcome) -> None:
        raise LookupError

    tool = a_tool("keep", commit=commit, terminal=True)
    desk.says("keep it", Reply([use("keep")]))

    with pytest.raises(LookupError):
        await desk.turn(tools=[tool], on_end=fail).run(opening("keep it"))
    assert desk.rows("SELECT * FROM meta") == desk.rows("SELECT * FROM messages") == []
    await desk.turn(tools=[tool]).run(opening("keep it"))

    assert desk.rows("SELECT value FROM meta") == [{"value": "kept"}]
    assert [role for role, _ in desk.spoken()] == ["user", "assistant", "user"]


async def test_terminal_tool_ends_the_turn_with_one_request(desk: Desk) -> None:
    desk.says("keep it", Reply([use("keep")]))

    outcome = await desk.turn(tools=[a_tool("keep", terminal=True)]).run(opening("keep it"))

    assert outcome == Outcome(kind="handed_over")
    assert len(desk.claude.requests) == 1


async def test_failed_terminal_tool_goes_back_to_the_model(desk: Desk) -> None:
    def refuse(_tx: Tx, _given: dict[str, Any]) -> str:
        raise ToolFailed("It is there already.")

    desk.says("keep it", Reply([use("keep")]), "It was there already.")

    outcome = await desk.turn(tools=[a_tool("keep", commit=refuse, terminal=True)]).run(
        opening("keep it")
    )

    assert outcome == Outcome(kind="answer", text="It was there already.")
    (result,) = desk.results()
    assert (result["content"], result["is_error"]) == ("It is there already.", True)


async def test_terminal_tool_beside_another_does_not_end_the_turn(desk: Desk) -> None:
    desk.says("keep and look", Reply([use("keep"), use("look")]), "Both done.")

    outcome = await desk.turn(tools=[a_tool("keep", terminal=True), a_tool("look")]).run(
        opening("keep and look")
    )

    assert outcome.text == "Both done."
    assert len(desk.claude.requests) == 2


async def test_results_come_in_the_order_of_the_calls_and_in_one_message(desk: Desk) -> None:
    """One changes the database, one does not: they are still answered together."""
    outside, count = counting_tool("outside")
    desk.says("do it all", Reply([use("outside", "a"), use("keep", "b"), use("outside", "c")]), "!")

    await desk.turn(tools=[a_tool("keep"), outside]).run(opening("do it all"))

    assert [result["tool_use_id"] for result in desk.results()] == ["a", "b", "c"]
    assert [role for role, _ in desk.spoken()] == ["user", "assistant", "user", "assistant"]
    assert count == ["outside", "outside"]


# --- tools outside --------------------------------------------------------------------------------


async def test_tool_runs_between_two_requests(desk: Desk) -> None:
    tool, count = counting_tool("look")
    desk.says("look", Reply([use("look")]), "I looked.")

    outcome = await desk.turn(tools=[tool]).run(opening("look"))

    assert outcome.text == "I looked."
    assert count == ["look"]
    assert desk.results()[0]["content"] == "look: done"


async def test_tool_the_model_remembers_from_before_is_answered_with_an_error(desk: Desk) -> None:
    old = a_tool("old").to_api()
    desk.says("use the old one", Reply([use("old")]), "It is gone.")

    outcome = await desk.turn(tools=[], schemas=[old]).run(opening("use the old one"))

    assert outcome.text == "It is gone."
    assert desk.results()[0]["content"] == "There is no tool old."
    assert desk.results()[0]["is_error"] is True


@pytest.mark.parametrize("outside", [True, False], ids=["outside", "in the database"])
async def test_wrong_input_goes_back_to_the_model(desk: Desk, outside: bool) -> None:
    count: list[str] = []

    def commit(_tx: Tx, _given: dict[str, Any]) -> str:
        count.append("ran")
        return "ran"

    async def run(_given: dict[str, Any]) -> str:
        count.append("ran")
        return "ran"

    tool = Tool(
        name="book",
        description="Book a table.",
        properties={"people": {"type": "integer"}},
        run=run if outside else None,
        commit=None if outside else commit,
    )
    desk.says("book", Reply([ToolUse("book", {"people": "four"})]), "For how many?")

    outcome = await desk.turn(tools=[tool]).run(opening("book"))

    assert outcome.text == "For how many?"
    assert desk.results()[0]["content"] == "people must be of type integer."
    assert count == []


async def test_tool_that_fails_says_so_to_the_model(desk: Desk) -> None:
    async def run(_given: dict[str, Any]) -> str:
        raise ToolFailed("No such file.")

    desk.says("look", Reply([use("look")]), "It is not there.")

    await desk.turn(tools=[a_tool("look", run=run)]).run(opening("look"))

    assert desk.results()[0]["is_error"] is True
    assert desk.results()[0]["content"] == "No such file."


async def test_result_that_no_json_could_carry_is_cleaned(desk: Desk) -> None:
    async def run(_given: dict[str, Any]) -> str:
        return "a\x00b\ud800c"

    desk.says("look", Reply([use("look")]), "Odd.")

    await desk.turn(tools=[a_tool("look", run=run)]).run(opening("look"))

    assert desk.results()[0]["content"] == "ab?c"


# --- replies that are no answer yet ---------------------------------------------------------------


async def test_reply_cut_at_the_limit_is_continued_and_joined(desk: Desk) -> None:
    desk.says("a poem", "The tide comes in.", " The tide goes out.")
    desk.claude.order(Fault(outcome="max_tokens"))

    outcome = await desk.turn().run(opening("a poem"))

    assert desk.spoken()[2] == ("user", CUT)
    first = desk.spoken()[1][1]
    assert 0 < len(first) < len("The tide comes in.")
    assert outcome.text == first + " The tide goes out."


async def test_answer_before_does_not_run_into_a_continued_one(desk: Desk) -> None:
    desk.says("hello", "Hello yourself.")
    await desk.turn().run(opening("hello", source="update:1"))
    desk.says("a poem", "The tide comes in.", " The tide goes out.")
    desk.claude.order(Fault(outcome="max_tokens"))

    outcome = await desk.turn().run(opening("a poem", source="update:2"))

    assert "yourself" not in outcome.text


@pytest.mark.parametrize(
    "blocks",
    [
        [use("look")],
        [Thinking("A long thought about where to look. " * 3)],
        [Thinking("Where?"), use("look")],
        [{"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}],
    ],
    ids=["a tool call", "a thought", "a thought before a call", "a search"],
)
async def test_what_was_cut_off_before_any_text_leaves_no_trace_in_the_answer(
    desk: Desk, blocks: Any
) -> None:
    look, count = counting_tool("look")
    desk.says("look", Reply(blocks, stop_reason="max_tokens"), "It is over there.")

    outcome = await desk.turn(tools=[look], model_name="claude-sonnet-5-5").run(opening("look"))

    assert outcome.text == "It is over there."
    assert count == []


async def test_paused_reply_goes_back_unchanged(desk: Desk) -> None:
    desk.says("search", "Found it.", "Found it.")
    desk.claude.order(Fault(outcome="pause_turn"))

    outcome = await desk.turn(server_tools=("web_search_20260318",)).run(opening("search"))

    assert outcome.text == "Found it."
    (stored,) = desk.rows("SELECT content FROM messages WHERE stop_reason = 'pause_turn'")
    assert desk.claude.requests[1].body["messages"][-1] == {
        "role": "assistant",
        "content": json.loads(stored["content"]),
    }


async def test_paused_reply_is_not_told_to_wrap_up(desk: Desk) -> None:
    desk.says("search", "Found it.", "Found it.")
    desk.claude.order(Fault(outcome="pause_turn"))

    outcome = await desk.turn(
        server_tools=("web_search_20260318",), limits=Limits(calls_max=2)
    ).run(opening("search"))

    assert outcome.text == "Found it."


@pytest.mark.parametrize("empty", [[], [Thinking("Hm.")]], ids=["nothing", "only a thought"])
async def test_empty_reply_is_asked_once_more(desk: Desk, empty: Any) -> None:
    desk.says("hello", Reply(empty), "Hello yourself.")

    outcome = await desk.turn(model_name="claude-sonnet-5-5").run(opening("hello"))

    assert outcome.text == "Hello yourself."
    assert desk.spoken()[2] == ("user", NO_TEXT)
    assert len(desk.claude.requests) == 2


# --- limits ---------------------------------------------------------------------------------------


async def test_model_that_only_calls_tools_is_told_to_wrap_up_and_then_has_to_answer(
    desk: Desk,
) -> None:
    look, count = counting_tool("look")
    desk.claude.script.when(lambda r: r.can_call("look"), lambda _r: Reply([use("look")]))
    desk.claude.script.when(lambda r: not r.can_call("look"), "This is what I have.")

    outcome = await desk.turn(tools=[look], limits=Limits(calls_max=5)).run(opening("look"))

    assert outcome.text == "This is what I have."
    assert len(count) == 5
    bodies = [record.body for record in desk.claude.requests]
    assert [WRAP_UP in str(body) for body in bodies] == [False] * 3 + [True] * 3
    assert [body.get("tool_choice") for body in bodies] == [None] * 5 + [{"type": "none"}]
    assert str(bodies[-1]).count(WRAP_UP) == 1


async def test_turn_without_an_answer_after_its_last_call_is_over_its_limit(desk: Desk) -> None:
    desk.claude.order(Fault(outcome="max_tokens", times=100))
    desk.says("a poem", "The tide comes in.")

    with pytest.raises(TurnLimitReached):
        await desk.turn(limits=Limits(calls_max=3)).run(opening("a poem"))

    assert len(desk.claude.requests) == 4


async def test_tools_stay_as_the_model_saw_them_first(desk: Desk) -> None:
    look, count = counting_tool("look")
    first = [{**look.to_api(), "description": "As it was called in the release before."}]
    desk.says("look", Reply([use("look")]), "I looked.")

    await desk.turn(tools=[look, a_tool("new")], schemas=first).run(opening("look"))

    assert [record.body["tools"] for record in desk.claude.requests] == [first, first]
    assert count == ["look"]


async def test_conversation_goes_on_where_it_was(desk: Desk) -> None:
    desk.says("hello", "Hello yourself.")
    desk.says("and now", "Goodbye.")
    await desk.turn().run(opening("hello", source="update:1"))

    await desk.turn().run(opening("and now", source="update:2"))

    texts = [m["content"][0]["text"] for m in desk.claude.requests[1].body["messages"]]
    assert texts == ["hello", "Hello yourself.", "and now"]
    ids = shell(desk.store.path, "SELECT id FROM messages ORDER BY id")
    assert len(ids) == 4

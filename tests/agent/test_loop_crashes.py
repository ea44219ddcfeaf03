"""A turn after a crash: what was finished is not asked, run or said again."""

import json
from typing import Any

import pytest
from turns import Desk, Killed, a_tool, counting_tool, opening, use

from bridge.agent.outcome import Outcome
from bridge.agent.replies import UNKNOWN_EFFECT
from bridge.emulator.script import Reply, Text, Thinking
from bridge.store import Tx


async def test_replay_of_an_answered_message_asks_nobody(desk: Desk) -> None:
    ends: list[Outcome] = []
    desk.says("hello", "Hello yourself.")
    await desk.turn().run(opening("hello", source="update:1"))

    again = await desk.turn(on_end=lambda _tx, outcome: ends.append(outcome)).run(
        opening("hello", source="update:1")
    )

    assert again == Outcome(kind="answer", text="Hello yourself.")
    assert ends == [again]  # what the end owes is owed, in case it was lost
    assert len(desk.claude.requests) == 1


async def test_replay_goes_on_after_the_last_finished_step(desk: Desk) -> None:
    first, count = counting_tool("first")
    second, _ = counting_tool("second", crashes=1)
    desk.says("go", Reply([use("first")]), Reply([use("second")]), "Both done.")
    with pytest.raises(Killed):
        await desk.turn(tools=[first, second]).run(opening("go", source="update:1"))

    outcome = await desk.turn(tools=[first, second]).run(opening("go", source="update:1"))

    assert outcome.text == "Both done."
    assert count == ["first"]
    assert len(desk.claude.requests) == 3  # each step once
    assert [text for role, text in desk.spoken() if role == "user" and text] == ["go"]


async def test_same_words_from_another_update_are_another_message(desk: Desk) -> None:
    desk.says("hello", "Hello yourself.")
    await desk.turn().run(opening("hello", source="update:1"))

    await desk.turn().run(opening("hello", source="update:2"))

    assert len(desk.claude.requests) == 2
    assert len(desk.spoken()) == 4


async def test_messages_that_came_together_are_stored_one_by_one(desk: Desk) -> None:
    desk.says("and now", "Hello yourself.")

    await desk.turn().run(opening("hello", "and now"))

    rows = desk.rows("SELECT source FROM messages WHERE role = 'user'")
    assert [row["source"] for row in rows] == ["update:1", "update:2"]
    assert len(desk.claude.requests) == 1


async def test_message_that_joins_a_replay_comes_after_the_results_that_are_owed(
    desk: Desk,
) -> None:
    look, count = counting_tool("look", crashes=1)
    desk.says("look", Reply([use("look")]))
    with pytest.raises(Killed):
        await desk.turn(tools=[look]).run(opening("look"))
    desk.says("and now", "I looked, and now?")

    outcome = await desk.turn(tools=[look]).run(opening("look", "and now"))

    assert outcome.text == "I looked, and now?"
    assert len(count) == 2
    texts = [text for role, text in desk.spoken() if role == "user"]
    assert texts == ["look", "", "and now"]


async def test_once_only_tool_is_not_repeated_after_a_crash(desk: Desk) -> None:
    mail, count = counting_tool("mail", repeat="once", crashes=1)
    desk.says("mail her", Reply([use("mail")]), "I cannot tell whether it went out.")
    with pytest.raises(Killed):
        await desk.turn(tools=[mail]).run(opening("mail her"))

    await desk.turn(tools=[mail]).run(opening("mail her"))

    assert count == ["mail"]
    assert desk.results()[0]["content"] == UNKNOWN_EFFECT
    assert desk.results()[0]["is_error"] is True


@pytest.mark.parametrize("repeat", ["pure", "idempotent"])
async def test_repeatable_tool_is_repeated_after_a_crash(desk: Desk, repeat: Any) -> None:
    look, count = counting_tool("look", repeat=repeat, crashes=1)
    desk.says("look", Reply([use("look")]), "I looked.")
    with pytest.raises(Killed):
        await desk.turn(tools=[look]).run(opening("look"))

    await desk.turn(tools=[look]).run(opening("look"))

    assert count == ["look", "look"]
    assert desk.results()[0]["content"] == "look: done"


async def test_finished_tool_is_not_repeated_when_the_one_after_it_crashed(desk: Desk) -> None:
    mail, mails = counting_tool("mail", repeat="once")
    look, looks = counting_tool("look", crashes=1)
    desk.says("mail and look", Reply([use("mail"), use("look")]), "Done.")
    with pytest.raises(Killed):
        await desk.turn(tools=[mail, look]).run(opening("mail and look"))

    await desk.turn(tools=[mail, look]).run(opening("mail and look"))

    assert (mails, looks) == (["mail"], ["look", "look"])
    assert [result["content"] for result in desk.results()] == ["mail: done", "look: done"]


async def test_database_tool_among_others_acts_once_over_a_crash(desk: Desk) -> None:
    def commit(tx: Tx, _given: dict[str, Any]) -> str:
        value = int(tx.value("meta", name="count") or 0) + 1
        tx.run("put_meta", name="count", value=str(value))
        return f"counted {value}"

    look, _ = counting_tool("look", crashes=1)
    tools = [a_tool("count", commit=commit), look]
    desk.says("count and look", Reply([use("count"), use("look")]), "Done.")
    with pytest.raises(Killed):
        await desk.turn(tools=tools).run(opening("count and look"))

    await desk.turn(tools=tools).run(opening("count and look"))

    assert desk.rows("SELECT value FROM meta") == [{"value": "1"}]
    assert desk.results()[0]["content"] == "counted 1"


async def test_thinking_is_stored_to_the_byte_and_is_still_valid_after_a_crash(desk: Desk) -> None:
    look, _ = counting_tool("look", crashes=1)
    first = Reply([Thinking("Let me see."), Text("I look – „zo“ \u2028."), use("look")])
    desk.says("look", first, Reply([Thinking("Good."), Text("I looked.")]))
    turn = {"tools": [look], "model_name": "claude-sonnet-5-5"}
    with pytest.raises(Killed):
        await desk.turn(**turn).run(opening("look"))
    (stored,) = desk.rows("SELECT content FROM messages WHERE role = 'assistant'")

    outcome = await desk.turn(**turn).run(opening("look"))

    assert outcome.text == "I looked."
    sent = desk.claude.requests[-1].body["messages"][1]["content"]
    assert json.dumps(sent, ensure_ascii=False) == stored["content"]
    assert sent[0]["signature"]
    await desk.turn(**turn).run(opening("look again", source="update:2"))  # and later

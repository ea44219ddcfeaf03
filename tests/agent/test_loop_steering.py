"""What is said during a turn: heard before the next call of the model, stored with its reply."""

from collections.abc import Callable, Sequence

import pytest
from turns import Desk, Killed, counting_tool, opening, use

from bridge.agent.replies import CUT
from bridge.conversation import Message
from bridge.emulator.script import Reply


def saying(*at_call: list[Message]) -> Callable[[Sequence[Message]], list[Message]]:
    """What was said before the first call, the second one, and so on."""
    left = list(at_call)
    return lambda _history: left.pop(0) if left else []


async def test_what_is_said_during_a_tool_is_in_the_next_request(desk: Desk) -> None:
    look, _ = counting_tool("look")
    desk.says("look", Reply([use("look")]))
    desk.says("and now", "I looked, and now?")
    more = opening("and now", source="update:2")

    outcome = await desk.turn(tools=[look], heard=saying([], more)).run(opening("look"))

    assert outcome.text == "I looked, and now?"
    assert [text for role, text in desk.spoken() if role == "user"] == ["look", "", "and now"]


async def test_what_was_heard_is_stored_once_over_a_crash(desk: Desk) -> None:
    look, count = counting_tool("look", crashes=1)
    wait, waits = counting_tool("wait", crashes=1)
    desk.says("look", Reply([use("look")]))
    desk.says("and now", Reply([use("wait")]), "I looked, and now?")
    more = opening("and now", source="update:2")
    with pytest.raises(Killed):  # before it was heard
        await desk.turn(tools=[look, wait], heard=saying([], more)).run(opening("look"))
    with pytest.raises(Killed):  # after it was stored
        await desk.turn(tools=[look, wait], heard=saying(more)).run(opening("look"))

    turn = desk.turn(tools=[look, wait], heard=saying(more))
    outcome = await turn.run(opening("look"))

    assert outcome.text == "I looked, and now?"
    assert [text for role, text in desk.spoken() if role == "user"] == ["look", "", "and now", ""]
    assert turn.told == ["update:1", "update:2"]
    assert (len(count), len(waits)) == (2, 2)


async def test_an_answer_that_was_cut_is_not_torn_apart(desk: Desk) -> None:
    desk.says("count", Reply("One, two,", "max_tokens"), " three.")
    heard: list[int] = []

    def more(history: Sequence[Message]) -> list[Message]:
        heard.append(len(history))
        return []

    outcome = await desk.turn(heard=more).run(opening("count"))

    assert outcome.text == "One, two, three."
    assert heard == [1]
    assert [text for role, text in desk.spoken() if role == "user"] == ["count", CUT]

"""A bridge killed in the middle of an answer: the next goes on, and repeats nothing it need not.

What supervisord does about a killed program is in test_crashes.py.
"""

import asyncio
import fcntl
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import history
import pytest
import pytest_asyncio
from forked import Forked, forked

from bridge.emulator.claude_faults import Fault as ModelFault
from bridge.emulator.script import Reply, Request, ToolUse
from bridge.emulator.telegram_faults import Fault
from bridge.prove.crew import Zygote
from bridge.telegram.chat import JOIN_WITHIN_S
from bridge.telegram.stream import CURSOR

pytestmark = pytest.mark.asyncio(loop_scope="module")
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 30


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def zygote() -> AsyncIterator[Zygote]:
    """What every test of this file forks its bridges from."""
    opened = await Zygote.open()
    yield opened
    await opened.close()


@pytest_asyncio.fixture(loop_scope="module")
async def kitt(tmp_path: Path, zygote: Zygote) -> AsyncIterator[Forked]:
    """A bridge that is up; there is no worker."""
    async with forked(tmp_path, zygote) as stack:
        await stack.start("bridge")
        yield stack


@contextmanager
def held(gate: Path) -> Iterator[None]:
    """Hold a lock file, as a process in the middle of a commit does."""
    with gate.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def check(kitt: Forked) -> None:
    history.check(kitt.database, kitt.telegram, kitt.claude.key)


def copies(kitt: Forked, text: str) -> int:
    """How many messages with this text Telegram has accepted, in any chat."""
    sent = kitt.telegram.calls("sendMessage")
    return sum(call.done and text in str(call.params["text"]) for call in sent)


async def test_a_bridge_killed_before_it_has_stored_an_update_is_sent_it_again(
    kitt: Forked,
) -> None:
    with held(Path(f"{kitt.database}.gate")):  # nobody can commit
        answered = len([c for c in kitt.telegram.calls("getUpdates") if c.status == 200])
        kitt.telegram.send(1, "What is 17 * 23?")
        await kitt.telegram.wait_for(
            lambda e: len([c for c in e.calls("getUpdates") if c.status == 200]) > answered
        )
        await kitt.crash("bridge")
    assert kitt.sql("SELECT count(*) AS n FROM inbox") == [{"n": 0}]
    await kitt.start("bridge")

    await kitt.said(1, "391")
    await kitt.settled()
    assert copies(kitt, "391") == 1
    check(kitt)


async def test_a_bridge_killed_before_telegram_was_told_handles_the_update_once(
    kitt: Forked,
) -> None:
    kitt.claude.order(ModelFault(match="17 * 23", hold="the answer"))
    unasked = kitt.telegram.order(Fault(method="getUpdates", hold=True))
    kitt.telegram.send(1, "What is 17 * 23?")
    await kitt.asked("17 * 23")
    assert kitt.telegram.updates.pending == 1
    assert kitt.sql("SELECT state FROM inbox") == [{"state": "new"}]

    await kitt.crash("bridge")
    unasked.release()
    await kitt.start("bridge")

    await kitt.said(1, "391")
    await kitt.settled()
    assert copies(kitt, "391") == 1
    check(kitt)


async def test_a_bridge_killed_while_an_answer_is_written_goes_on_in_the_same_message(
    kitt: Forked,
) -> None:
    words = "The tide comes in twice a day, and nobody on the beach is surprised. " * 4
    kitt.claude.script.when("the tide", words)
    kitt.claude.order(ModelFault(match="the tide", pace_s=1.0))
    kitt.telegram.send(1, "Tell me about the tide")
    await kitt.telegram.wait_for(lambda e: e.calls("editMessageText"), timeout_s=20)

    await kitt.crash("bridge")
    await kitt.start("bridge")

    await kitt.settled()
    (answer,) = [m for m in kitt.telegram.messages(1) if m.from_bot]
    assert answer.text == words.strip()
    assert CURSOR not in answer.text
    check(kitt)


async def test_a_bridge_killed_while_telegram_takes_a_message_marks_the_second_one(
    kitt: Forked,
) -> None:
    kitt.telegram.send(1, "Hello")  # the first answer is slow, and would be shown as it is written
    await kitt.said(1, "Hello")
    kitt.telegram.order(Fault(method="sendMessage", drop="unanswered"))
    kitt.telegram.send(1, "What is 17 * 23?")
    await kitt.said(1, "391")
    await kitt.crash("bridge")
    await kitt.start("bridge")

    await kitt.settled()
    texts = [m.text for m in kitt.telegram.messages(1) if m.from_bot and "391" in m.text]
    assert len(texts) == 2
    assert texts[1].startswith("↻")
    check(kitt)


async def test_a_bridge_killed_after_it_took_a_message_into_an_answer_answers_both_once(
    kitt: Forked,
) -> None:
    def looks_first(request: Request) -> Reply:
        if "tool_result" in str(request.body):
            return Reply("All told.")
        return Reply([ToolUse("list_jobs", {"status": "all"})])

    kitt.claude.script.when(lambda r: "herons" in r.first_user_text, looks_first)
    kitt.claude.order(ModelFault(match="herons", hold="the look"))
    kitt.claude.order(ModelFault(match="brown ones", hold="the answer"))
    kitt.telegram.send(1, "How many herons are there?")
    await kitt.asked("herons")
    await asyncio.sleep(JOIN_WITHIN_S + 0.1)  # the clock of another process
    kitt.telegram.send(1, "Only the brown ones")
    await kitt.telegram.wait_for(lambda e: e.calls("setMessageReaction"), timeout_s=20)
    kitt.claude.release("the look")
    await kitt.asked("brown ones")

    await kitt.crash("bridge")
    kitt.claude.release("the answer")
    await kitt.start("bridge")

    await kitt.said(1, "All told.")
    await kitt.settled()
    assert copies(kitt, "All told.") == 1
    told = kitt.sql("SELECT content FROM messages WHERE role = 'user' AND source IS NOT NULL")
    assert sum("brown ones" in row["content"] for row in told) == 1
    check(kitt)


async def test_a_bridge_killed_while_an_album_is_fetched_fetches_it_again(kitt: Forked) -> None:
    held = kitt.telegram.order(Fault(method="getFile", times=2, hold=True))
    for number in range(2):
        kitt.telegram.send_photo(
            1, "a.png", PNG + bytes([number]), media_group_id="g", caption="Look"
        )
    await kitt.telegram.wait_for(lambda e: e.calls("getFile"), timeout_s=20)

    await kitt.crash("bridge")
    held.release()
    await kitt.start("bridge")

    await kitt.said(1, "this is what reached me")
    await kitt.settled()
    assert len(await kitt.asked("image/png")) == 1
    assert copies(kitt, "this is what reached me") == 1
    check(kitt)


async def test_a_bridge_killed_between_a_file_and_its_answer_answers_once(kitt: Forked) -> None:
    kitt.claude.order(ModelFault(match="image/png", hold="the answer"))
    kitt.telegram.send_photo(1, "a.png", PNG, caption="What is this?")
    await kitt.asked("image/png")

    await kitt.crash("bridge")
    await kitt.start("bridge")

    await kitt.said(1, "this is what reached me")
    await kitt.settled()
    assert len(kitt.telegram.calls("getFile")) == 1  # it was kept
    assert copies(kitt, "this is what reached me") == 1
    check(kitt)

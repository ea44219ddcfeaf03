"""Any process killed at any moment: nothing is lost, and nothing that was done is done again."""

import asyncio
import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import history
from stack import Stack, running
from waiting import until
from working import WROTE, pelicans

from bridge import supervision
from bridge.emulator.claude_faults import Fault as ModelFault
from bridge.emulator.script import Reply, Request, ToolUse
from bridge.emulator.telegram_faults import Fault
from bridge.telegram.chat import JOIN_WITHIN_S
from bridge.telegram.stream import CURSOR

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 30
PELICANS = "/bg Count the pelicans"


@contextmanager
def held(gate: Path) -> Iterator[None]:
    """Hold a lock file, as a process in the middle of a commit does."""
    with gate.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def check(kitt: Stack) -> None:
    history.check(kitt.database, kitt.telegram, kitt.claude.key)


def copies(kitt: Stack, text: str) -> int:
    """How many messages with this text Telegram has accepted, in any chat."""
    sent = kitt.telegram.calls("sendMessage")
    return sum(call.done and text in str(call.params["text"]) for call in sent)


async def test_a_killed_workers_job_goes_on_from_its_last_finished_step(kitt: Stack) -> None:
    kitt.claude.script.rules.insert(0, pelicans)
    kitt.claude.order(ModelFault(match=WROTE, hold="the answer"))
    kitt.telegram.send(1, PELICANS)
    await kitt.asked(WROTE)

    await kitt.kill("kitt-worker-1")
    killed = time.monotonic()
    await kitt.asked(WROTE, times=2)

    assert time.monotonic() - killed < 5
    await kitt.said(1, "There are 42 pelicans.")
    await kitt.settled()
    work = [record for record in kitt.claude.requests if "report_progress" in str(record.body)]
    assert len(work) == 4  # the two finished ones once, the cut one twice
    assert kitt.sql("SELECT count(*) AS n FROM job_events WHERE event = 'progress'") == [{"n": 1}]
    assert copies(kitt, "There are 42 pelicans.") == 1
    check(kitt)


async def test_a_bridge_killed_before_it_has_stored_an_update_is_sent_it_again(
    kitt: Stack,
) -> None:
    with held(Path(f"{kitt.database}.gate")):  # nobody can commit
        answered = len([c for c in kitt.telegram.calls("getUpdates") if c.status == 200])
        kitt.telegram.send(1, "What is 17 * 23?")
        await kitt.telegram.wait_for(
            lambda e: len([c for c in e.calls("getUpdates") if c.status == 200]) > answered
        )
        pid = await kitt.kill("kitt-bridge")
    assert kitt.sql("SELECT count(*) AS n FROM inbox") == [{"n": 0}]
    await kitt.bridge_is_back(pid)

    await kitt.said(1, "391")
    await kitt.settled()
    assert copies(kitt, "391") == 1
    check(kitt)


async def test_a_bridge_killed_before_telegram_was_told_handles_the_update_once(
    kitt: Stack,
) -> None:
    kitt.claude.order(ModelFault(match="17 * 23", hold="the answer"))
    unasked = kitt.telegram.order(Fault(method="getUpdates", hold=True))
    kitt.telegram.send(1, "What is 17 * 23?")
    await kitt.asked("17 * 23")
    assert kitt.telegram.updates.pending == 1
    assert kitt.sql("SELECT state FROM inbox") == [{"state": "new"}]

    pid = await kitt.kill("kitt-bridge")
    unasked.release()
    await kitt.bridge_is_back(pid)

    await kitt.said(1, "391")
    await kitt.settled()
    assert copies(kitt, "391") == 1
    check(kitt)


async def test_a_bridge_killed_after_telegram_was_told_handles_the_update_from_its_inbox(
    kitt: Stack,
) -> None:
    kitt.claude.order(ModelFault(match="17 * 23", hold="the answer"))
    kitt.telegram.send(1, "What is 17 * 23?")
    await kitt.asked("17 * 23")
    await kitt.telegram.wait_for(lambda e: e.updates.pending == 0)

    pid = await kitt.kill("kitt-bridge")
    await kitt.bridge_is_back(pid)

    await kitt.said(1, "391")
    await kitt.settled()
    assert copies(kitt, "391") == 1
    check(kitt)


async def test_a_bridge_killed_while_an_answer_is_written_goes_on_in_the_same_message(
    kitt: Stack,
) -> None:
    words = "The tide comes in twice a day, and nobody on the beach is surprised. " * 4
    kitt.claude.script.when("the tide", words)
    kitt.claude.order(ModelFault(match="the tide", pace_s=1.0))
    kitt.telegram.send(1, "Tell me about the tide")
    await kitt.telegram.wait_for(lambda e: e.calls("editMessageText"), timeout_s=20)

    pid = await kitt.kill("kitt-bridge")
    await kitt.bridge_is_back(pid)

    await kitt.settled()
    (answer,) = [m for m in kitt.telegram.messages(1) if m.from_bot]
    assert answer.text == words.strip()
    assert CURSOR not in answer.text
    check(kitt)


async def test_a_bridge_killed_while_telegram_takes_a_message_marks_the_second_one(
    kitt: Stack,
) -> None:
    kitt.telegram.send(1, "Hello")  # the first answer is slow, and would be shown as it is written
    await kitt.said(1, "Hello")
    kitt.telegram.order(Fault(method="sendMessage", drop="unanswered"))
    kitt.telegram.send(1, "What is 17 * 23?")
    await kitt.said(1, "391")
    pid = await kitt.kill("kitt-bridge")
    await kitt.bridge_is_back(pid)

    await kitt.settled()
    texts = [m.text for m in kitt.telegram.messages(1) if m.from_bot and "391" in m.text]
    assert len(texts) == 2
    assert texts[1].startswith("↻")
    check(kitt)


async def test_a_bridge_killed_after_it_took_a_message_into_an_answer_answers_both_once(
    kitt: Stack,
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

    pid = await kitt.kill("kitt-bridge")
    kitt.claude.release("the answer")
    await kitt.bridge_is_back(pid)

    await kitt.said(1, "All told.")
    await kitt.settled()
    assert copies(kitt, "All told.") == 1
    told = kitt.sql("SELECT content FROM messages WHERE role = 'user' AND source IS NOT NULL")
    assert sum("brown ones" in row["content"] for row in told) == 1
    check(kitt)


async def test_a_bridge_killed_while_an_album_is_fetched_fetches_it_again(kitt: Stack) -> None:
    held = kitt.telegram.order(Fault(method="getFile", times=2, hold=True))
    for number in range(2):
        kitt.telegram.send_photo(
            1, "a.png", PNG + bytes([number]), media_group_id="g", caption="Look"
        )
    await kitt.telegram.wait_for(lambda e: e.calls("getFile"), timeout_s=20)

    pid = await kitt.kill("kitt-bridge")
    held.release()
    await kitt.bridge_is_back(pid)

    await kitt.said(1, "this is what reached me")
    await kitt.settled()
    assert len(await kitt.asked("image/png")) == 1
    assert copies(kitt, "this is what reached me") == 1
    check(kitt)


async def test_a_bridge_killed_between_a_file_and_its_answer_answers_once(kitt: Stack) -> None:
    kitt.claude.order(ModelFault(match="image/png", hold="the answer"))
    kitt.telegram.send_photo(1, "a.png", PNG, caption="What is this?")
    await kitt.asked("image/png")

    pid = await kitt.kill("kitt-bridge")
    await kitt.bridge_is_back(pid)

    await kitt.said(1, "this is what reached me")
    await kitt.settled()
    assert len(kitt.telegram.calls("getFile")) == 1  # it was kept
    assert copies(kitt, "this is what reached me") == 1
    check(kitt)


async def test_killed_supervisord_leaves_nobody_behind_and_up_works_again(kitt: Stack) -> None:
    kitt.claude.script.rules.insert(0, pelicans)
    kitt.claude.order(ModelFault(match=WROTE, hold="the answer"))
    kitt.telegram.send(1, PELICANS)
    await kitt.asked(WROTE)

    await kitt.kill_supervisord()
    kitt.claude.release("the answer")  # the worker may end its job while it drains
    await until(lambda: not kitt.processes(), timeout_s=5)
    await kitt.up()

    await kitt.said(1, "There are 42 pelicans.")
    await kitt.settled()
    assert copies(kitt, "There are 42 pelicans.") == 1
    check(kitt)


async def test_drain_under_load_loses_nothing(tmp_path: Path) -> None:
    async with running(tmp_path, chats=8, workers=2, concurrency=2) as kitt:
        for chat in range(1, 9):
            kitt.telegram.send(chat, f"/bg quick job {chat} sleep 2")
        await until(lambda: len(kitt.jobs("running")) == 4, 20)
        for chat in range(1, 9):
            kitt.telegram.send(chat, f"What is {chat} + 100? [[delay: 0.5]]")
        assert await kitt.down() == 0
        assert kitt.processes() == []
        assert kitt.jobs("running") == []
        assert len(kitt.jobs("pending")) >= 2

        await kitt.up()

        for chat in range(1, 9):
            await kitt.said(chat, f"result {chat}")
            await kitt.said(chat, str(100 + chat))
        await kitt.settled()
        assert [job["failures"] for job in kitt.jobs()] == [0] * 8
        check(kitt)


async def test_result_of_a_job_that_ends_while_the_bridge_is_down_arrives_after_its_start(
    kitt: Stack,
) -> None:
    kitt.claude.order(ModelFault(match="quick job 7", hold="the work"))
    kitt.telegram.send(1, "/bg quick job 7")
    await kitt.asked("quick job 7")

    await asyncio.to_thread(supervision.stop, kitt.settings, ["bridge"])
    kitt.claude.release("the work")
    await until(lambda: kitt.jobs("done"), 20)
    assert copies(kitt, "result 7") == 0
    await asyncio.to_thread(supervision.start, kitt.settings, ["bridge"])

    await kitt.said(1, "result 7")
    await kitt.settled()
    assert copies(kitt, "result 7") == 1
    check(kitt)

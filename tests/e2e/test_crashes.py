"""Any process killed at any moment: nothing is lost, and nothing that was done is done again."""

import asyncio
import time
from pathlib import Path

import history
from stack import Stack, running
from waiting import until
from working import WROTE, pelicans

from bridge import supervision
from bridge.emulator.claude_faults import Fault as ModelFault

PELICANS = "/bg Count the pelicans"


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

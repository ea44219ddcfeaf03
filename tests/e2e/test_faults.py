"""Faults at a named point: what a crash between two lines leaves, and what a zombie may still do.

F1 to F43 are the numbers of the fault catalogue. Every test ends with the history checker.
"""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import history
import pytest
import pytest_asyncio
from forked import LEASE_S, Forked, forked
from waiting import until
from working import pelicans

from bridge.clock import Clock
from bridge.emulator.claude_faults import Fault as ModelFault
from bridge.models import NewJob
from bridge.prove.crew import Process, Zygote
from bridge.prove.history import FIRST_UPDATE_ID
from bridge.queue import Queue
from bridge.store import Store

pytestmark = pytest.mark.asyncio(loop_scope="module")
PELICANS = "/bg Count the pelicans"
ANSWER = "There are 42 pelicans."
KILL = {"do": "kill", "nth": 1}
CLAIMERS, ROUNDS = 8, 60


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def zygote() -> AsyncIterator[Zygote]:
    """What every test of this file forks its programs from."""
    opened = await Zygote.open()
    yield opened
    await opened.close()


@pytest_asyncio.fixture(loop_scope="module")
async def kitt(tmp_path: Path, zygote: Zygote) -> AsyncIterator[Forked]:
    """A profile with a bridge that is up; the worker counts pelicans in three steps."""
    async with forked(tmp_path, zygote) as stack:
        stack.claude.script.rules.insert(0, pelicans)
        await stack.start("bridge")
        yield stack


def check(kitt: Forked) -> None:
    history.check(kitt.database, kitt.telegram, kitt.claude.key, claude=kitt.claude)


def events(kitt: Forked) -> list[str]:
    """What happened to the jobs, without the steps they reported."""
    rows = kitt.sql("SELECT event FROM job_events WHERE event <> 'progress' ORDER BY id")
    return [row["event"] for row in rows]


def texts(kitt: Forked, text: str) -> list[str]:
    """Every message of the bot in chat 1 that says this."""
    return [m.text for m in kitt.telegram.messages(1) if m.from_bot and text in m.text]


def calls(kitt: Forked) -> int:
    """How often a worker asked the model."""
    return sum("report_progress" in str(record.body) for record in kitt.claude.requests)


def beat_of(kitt: Forked, slot: str) -> str:
    """When a worker last gave a sign of life."""
    (row,) = kitt.sql("SELECT beat_at FROM workers WHERE slot = :slot", slot=slot)
    return str(row["beat_at"])


async def killed(process: Process) -> None:
    """Wait for the end that was ordered."""
    async with asyncio.timeout(20):
        assert await process.ended == -signal.SIGKILL


@pytest.mark.parametrize(
    ("point", "nth", "asked"),
    [
        ("after_claim", 1, 3),  # F1
        ("in_tool", 1, 3),  # F2
        ("after_llm", 2, 4),  # F3: that one reply is paid for again
        ("after_step", 2, 3),  # F4: none is
        ("in_commit", 4, 4),
        ("after_commit", 5, 3),
    ],
)
async def test_job_of_a_worker_killed_in_the_middle_is_done_once_by_the_next(
    kitt: Forked, point: str, nth: int, asked: int
) -> None:
    worker = await kitt.start("worker-1", **{point: {"do": "kill", "nth": nth}})
    kitt.telegram.send(1, PELICANS)
    await killed(worker)

    await kitt.start("worker-1")
    await kitt.said(1, ANSWER, timeout_s=5)

    await kitt.settled()
    assert events(kitt) == ["added", "claimed", "rescued", "claimed", "done"]
    assert calls(kitt) <= asked
    assert texts(kitt, ANSWER) == [ANSWER]
    check(kitt)


async def test_job_whose_worker_is_killed_after_its_end_is_never_run_again(kitt: Forked) -> None:
    """F5."""
    worker = await kitt.start("worker-1", after_finish=KILL)
    kitt.telegram.send(1, PELICANS)
    await killed(worker)

    await kitt.start("worker-1")
    await kitt.said(1, ANSWER)

    await kitt.settled()
    assert events(kitt) == ["added", "claimed", "done"]
    assert calls(kitt) == 3
    assert texts(kitt, ANSWER) == [ANSWER]
    check(kitt)


async def test_message_whose_sender_is_killed_before_it_noted_it_comes_twice_and_says_so(
    tmp_path: Path, zygote: Zygote
) -> None:
    """F6."""
    async with forked(tmp_path, zygote) as kitt:
        bridge = await kitt.start("bridge", after_send=KILL)
        kitt.telegram.send(1, "What is 17 * 23?")
        await killed(bridge)

        await kitt.start("bridge")
        await until(lambda: len(texts(kitt, "391")) == 2, 10)

        await kitt.settled()
        first, second = texts(kitt, "391")
        assert not first.startswith("↻")
        assert second.startswith("↻")
        check(kitt)


@pytest.mark.parametrize(
    "point",
    [
        "before_inbox",  # F7
        "after_inbox",  # F8
        "in_commit",
        "after_commit",
        "after_llm",
        "after_step",
        "before_send",
    ],
)
async def test_message_is_answered_once_whenever_the_bridge_is_killed(
    tmp_path: Path, zygote: Zygote, point: str
) -> None:
    async with forked(tmp_path, zygote) as kitt:
        bridge = await kitt.start("bridge", **{point: KILL})
        kitt.telegram.send(1, "What is 17 * 23?")
        await killed(bridge)

        await kitt.start("bridge")
        await kitt.said(1, "391")

        await kitt.settled()
        assert len(texts(kitt, "391")) == 1
        check(kitt)


async def test_bridge_that_cannot_keep_what_it_received_ends_and_loses_nothing(
    tmp_path: Path, zygote: Zygote
) -> None:
    """F10: it must not stay, deaf."""
    async with forked(tmp_path, zygote) as kitt:
        bridge = await kitt.start("bridge", before_inbox={"do": "raise", "nth": 1})
        kitt.telegram.send(1, "What is 17 * 23?")
        async with asyncio.timeout(20):
            assert await bridge.ended > 0

        await kitt.start("bridge")
        await kitt.said(1, "391")

        await kitt.settled()
        assert len(texts(kitt, "391")) == 1
        check(kitt)


@pytest.mark.parametrize("words", [PELICANS, "Count the pelicans in the background"])
async def test_bridge_killed_between_a_job_and_its_acknowledgement_loses_neither(
    tmp_path: Path, zygote: Zygote, words: str
) -> None:
    """F9."""
    async with forked(tmp_path, zygote) as kitt:
        bridge = await kitt.start("bridge", after_enqueue=KILL)
        kitt.telegram.send(1, words)
        await killed(bridge)
        assert kitt.jobs() == []

        await kitt.start("bridge")
        await kitt.said(1, "#1")
        await kitt.start("worker-1")

        await kitt.settled()
        assert [job["status"] for job in kitt.jobs()] == ["done"]
        assert len(texts(kitt, "#1")) == 1
        check(kitt)


@pytest.mark.parametrize("point", ["after_first_words", "while_streaming"])
async def test_bridge_killed_over_an_answer_it_shows_sends_the_whole_one(
    tmp_path: Path, zygote: Zygote, point: str
) -> None:
    words = "The tide comes in twice a day, and nobody on the beach is surprised. " * 3
    async with forked(tmp_path, zygote) as kitt:
        kitt.claude.script.when("the tide", words)
        kitt.claude.order(ModelFault(match="the tide", pace_s=0.2))
        bridge = await kitt.start("bridge", **{point: KILL})
        kitt.telegram.send(1, "Tell me about the tide")
        await killed(bridge)

        await kitt.start("bridge")
        await until(lambda: words.strip() in texts(kitt, "tide"), 10)

        await kitt.settled()
        begun = len(texts(kitt, "tide")) - 1  # left behind when nobody had noted its number
        assert begun == (1 if point == "after_first_words" else 0)
        check(kitt)


@pytest.mark.parametrize(
    ("point", "nth", "asked"),
    [
        ("after_step", 2, 2),  # fenced before the tool: no file is written
        ("in_tool", 1, 2),  # fenced when it stores what the tool said
        ("after_llm", 3, 3),  # fenced in its end
    ],
)
async def test_frozen_worker_that_comes_back_can_do_nothing_to_its_old_job(
    kitt: Forked, point: str, nth: int, asked: int
) -> None:
    """F33."""
    zombie = await kitt.start("worker-1", **{point: {"do": "stop", "nth": nth}})
    kitt.telegram.send(1, PELICANS)
    await kitt.froze(zombie)
    assert calls(kitt) == asked
    heir = {"do": "sleep", "nth": 1, "seconds": 1.5}  # it holds the job and has done nothing yet
    await kitt.start("worker-2", after_claim=heir)
    await until(lambda: events(kitt)[-2:] == ["rescued", "claimed"], 20 * LEASE_S)
    before = kitt.sql("SELECT * FROM messages")
    written = kitt.profile / "memory" / "jobs" / "1" / "count.md"
    existed = written.exists()
    beats = beat_of(kitt, "worker-1")

    zombie.signal(signal.SIGCONT)
    await until(lambda: beat_of(kitt, "worker-1") != beats, 10)  # it has looked around

    assert kitt.sql("SELECT * FROM messages") == before
    assert written.exists() == existed
    await kitt.said(1, ANSWER)
    await kitt.settled()
    assert events(kitt) == ["added", "claimed", "rescued", "claimed", "done"]
    assert texts(kitt, ANSWER) == [ANSWER]
    check(kitt)


async def test_frozen_worker_that_comes_back_hangs_up_on_the_model(kitt: Forked) -> None:
    """F33: its heartbeat tells it that the job is another's."""
    kitt.claude.order(ModelFault(match="pelicans", hold="the zombie"))
    zombie = await kitt.start("worker-1")
    kitt.telegram.send(1, PELICANS)
    await kitt.asked("report_progress")
    zombie.signal(signal.SIGSTOP)
    await kitt.start("worker-2")
    await kitt.said(1, ANSWER)

    zombie.signal(signal.SIGCONT)
    await until(lambda: any(record.hung_up for record in kitt.claude.requests), 10)

    await kitt.settled()
    assert events(kitt) == ["added", "claimed", "rescued", "claimed", "done"]
    check(kitt)


async def test_worker_whose_loop_is_kept_busy_keeps_its_job(kitt: Forked) -> None:
    """F34."""
    busy = {"do": "sleep", "nth": 1, "seconds": 3 * LEASE_S}
    await kitt.start("worker-1", in_tool=busy)
    await kitt.start("worker-2")
    kitt.telegram.send(1, PELICANS)

    await kitt.said(1, ANSWER)

    await kitt.settled()
    assert events(kitt) == ["added", "claimed", "done"]
    check(kitt)


async def test_eight_processes_claim_one_job_at_once_and_one_of_them_gets_it(
    tmp_path: Path,
) -> None:
    """F36."""
    store = await Store.open(tmp_path / "kitt.db", tmp_path / "run")
    queue = Queue(store=store, clock=Clock())
    players = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            str(Path(__file__).parents[1] / "claim_rounds.py"),
            str(tmp_path / "kitt.db"),
            f"w{number}:1:a",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        for number in range(CLAIMERS)
    ]
    try:
        for player in players:
            assert player.stdout is not None
            assert await player.stdout.readline() == b"ready\n"
        for _ in range(ROUNDS):
            job = await queue.add(NewJob(chat_id="cli", prompt="Count the pelicans"))
            for player in players:
                assert player.stdin is not None
                player.stdin.write(b"go\n")
            got = [int(await p.stdout.readline()) for p in players if p.stdout is not None]
            assert sorted(got) == [0] * (CLAIMERS - 1) + [job.id]
    finally:
        for player in players:
            assert player.stdin is not None
            player.stdin.close()
            await player.wait()
        await store.close()


async def test_repeated_and_reordered_updates_are_handled_once(kitt: Forked) -> None:
    """F43."""
    await kitt.start("worker-1")
    raw: list[dict[str, Any]] = []
    for text, answer in (
        ("What is 17 * 23?", "391"),
        (PELICANS, ANSWER),
        ("What is 12 * 12?", "144"),
    ):
        update_id = FIRST_UPDATE_ID + len(raw)
        raw.append({"update_id": update_id, "message": kitt.telegram.send(1, text)})
        await kitt.said(1, answer)  # before the next one: quick ones are one thought
    await kitt.settled()

    for update in reversed(raw):
        kitt.telegram.push_update(update)
    kitt.telegram.edit(1, raw[1]["message"]["message_id"], "/bg Count the herons")
    old = {**raw[0]["message"], "date": raw[0]["message"]["date"] - 3 * 86_400}
    kitt.telegram.push_update({"message": {**old, "message_id": 900, "text": "What is 2 + 3?"}})

    await kitt.said(1, "5")  # what is old was written while we were away: it is answered
    await kitt.settled()
    assert len(kitt.jobs()) == 1
    for answer in ("391", "144", ANSWER):
        assert len(texts(kitt, answer)) == 1
    check(kitt)

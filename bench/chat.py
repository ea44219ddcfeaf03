"""How long a person waits: replies, acknowledgements, results, and the same while jobs run."""

import asyncio
import sqlite3
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.figures import row, seconds
from bench.stack import Stack, echo, kitt
from bridge.emulator.claude import ClaudeEmulator
from bridge.emulator.script import Reply, Request
from bridge.emulator.telegram import TelegramEmulator

ROUNDS = 30
PACE_S = 0.3  # between messages: a person's fast typing, not a flood


async def ask(
    telegram: TelegramEmulator, chat: int, text: str, has: str = ""
) -> tuple[float, float]:
    """Say something; seconds until the first sign (typing counts) and until the answer."""
    seen = telegram.calls()[-1].seq if telegram.calls() else 0
    started = time.perf_counter()
    telegram.send(chat, text)
    first = 0.0

    def look(emulator: TelegramEmulator) -> bool:
        nonlocal first
        for call in emulator.calls(chat_id=chat, since=seen):
            if call.done and call.method != "getUpdates":
                first = first or time.perf_counter() - started
                if call.method in ("sendMessage", "editMessageText"):
                    shown = str(call.params.get("text", ""))
                    if has in shown and not shown.endswith("▌"):
                        return True
        return False

    await telegram.wait_for(look, timeout_s=60)
    return first, time.perf_counter() - started


async def replies() -> list[dict[str, Any]]:
    """Update → first sign and → reply, model answers at once; idle and with 50 jobs running."""
    async with kitt(concurrency=25) as stack, echo() as bare:
        await ask(stack.telegram, 1, "hello")  # the first one loads the model's library
        await ask(bare, 1, "hello")
        first, final, control = await _series(stack, bare)
        for number in range(50):
            await add_job(stack, f"[[delay: 20]] [[reply: done {number}]]")
        await until(stack, "SELECT count(*) FROM jobs WHERE status = 'running'", 50)
        _, busy, busy_control = await _series(stack, bare)
        running = look(stack, "SELECT count(*) FROM jobs WHERE status IN ('running', 'done')")
    idle, loaded = seconds(final), seconds(busy)
    return [
        row(
            "update → first visible sign, model answers at once",
            seconds(first),
            "p50 ≤ 0.03 s",
            met=seconds(first)["p50_s"] <= 0.03,
            control={"bare echo handler": seconds(control)},
        ),
        row(
            "update → final reply, model answers at once",
            idle,
            "p50 ≤ 0.05 s, p99 ≤ 0.15 s",
            met=idle["p50_s"] <= 0.05 and idle["p99_s"] <= 0.15,
            control={"bare echo handler": seconds(control)},
        ),
        row(
            "the same with 50 jobs running",
            {**loaded, "jobs alive or done": running},
            "p50 ≤ 2 × idle",
            met=loaded["p50_s"] <= 2 * idle["p50_s"] and running == 50,
            control={"bare echo handler": seconds(busy_control)},
        ),
    ]


async def _series(
    stack: Stack, bare: TelegramEmulator
) -> tuple[list[float], list[float], list[float]]:
    first, final, control = [], [], []
    for _ in range(ROUNDS):
        sign, reply = await ask(stack.telegram, 1, "hello")
        first.append(sign)
        final.append(reply)
        await asyncio.sleep(PACE_S)
        control.append((await ask(bare, 1, "hello"))[1])
        await asyncio.sleep(PACE_S)
    return first, final, control


async def hand_over() -> list[dict[str, Any]]:
    """The second message while a job runs, the acknowledgement, and the 8 s job's result."""
    second, acknowledged, results = [], [], []
    async with kitt(workers=2, concurrency=1) as stack:
        telegram = stack.telegram
        await ask(telegram, 1, "hello")
        for number in range(5):
            chat = 2 + number
            started = time.perf_counter()
            _, took = await ask(telegram, chat, _task(number, 8), has=f"#{2 * number + 1}")
            acknowledged.append(took)
            await ask(telegram, 20 + number, _task(100 + number, 8), has="#")
            await asyncio.sleep(1.5)
            second.append((await ask(telegram, chat, "hello"))[1])
            await _wait_for(telegram, chat, f"result {number}!")
            results.append(time.perf_counter() - started)
            await until(stack, "SELECT count(*) FROM jobs WHERE status = 'done'", 2 * number + 2)
    return [
        row(
            "second message while a job runs (two workers busy)",
            seconds(second),
            "p50 ≤ 0.08 s",
            met=seconds(second)["p50_s"] <= 0.08,
        ),
        row(
            "“in the background” → acknowledgement shown",
            seconds(acknowledged),
            "p50 ≤ 0.1 s",
            met=seconds(acknowledged)["p50_s"] <= 0.1,
        ),
        row(
            "8 s job → result in the chat",
            seconds(results),
            "p50 ≤ 8.2 s",
            met=seconds(results)["p50_s"] <= 8.2,
        ),
    ]


async def slow_model() -> list[dict[str, Any]]:
    """A main model of 2 s a call; the second message comes 1.5 s after the first."""
    answers, results, alive = [], [], 0
    async with kitt() as stack:
        telegram = stack.telegram
        await ask(telegram, 1, "hello")
        slow(stack.claude, 2.0)
        for number in range(5):
            chat = 2 + number
            started = time.perf_counter()
            telegram.send(chat, _task(number, 8))
            await asyncio.sleep(1.5)
            sent = time.perf_counter()
            telegram.send(chat, "hello")
            await _wait_for(telegram, chat, "Hello!")
            answers.append(time.perf_counter() - sent)
            await _wait_for(telegram, chat, f"result {number}!")
            results.append(time.perf_counter() - started)
            alive += 1
    return [
        row(
            "second message 1.5 s after the first, main model needs 2 s a call: answer",
            seconds(answers),
            "p50 ≤ 2.6 s; the job lives",
            met=seconds(answers)["p50_s"] <= 2.6 and alive == 5,
        ),
        row(
            "– and the 8 s job's result in the chat",
            seconds(results),
            "p50 ≤ 10.2 s",
            met=seconds(results)["p50_s"] <= 10.2,
        ),
    ]


async def pick_up() -> list[dict[str, Any]]:
    """Job added by another process → a worker has claimed it; two idle workers."""
    from bridge.clock import Clock, moment
    from bridge.models import NewJob
    from bridge.queue import Queue
    from bridge.store import Store

    waits = []
    async with kitt() as stack:
        memory = stack.profile / "memory"
        store = await Store.open(memory / "kitt.db", memory / "run")
        queue = Queue(store=store, clock=Clock())
        for number in range(120):
            job = await queue.add(NewJob(chat_id="cli", prompt=f"[[reply: {number}]]"))
            added = queue.clock.now()
            await until(stack, "SELECT count(*) FROM jobs WHERE status = 'done'", number + 1)
            claimed = moment(str((await queue.get(job.id)).started_at))
            waits.append(max(0.0, (claimed - added).total_seconds()))
        await store.close()
        del waits[:20]  # each worker loads the model's library with its first job
    found = seconds(waits)
    return [
        row(
            "job added → a worker has claimed it",
            found,
            "p50 ≤ 0.001 s, p99 ≤ 0.005 s",
            met=found["p50_s"] <= 0.001 and found["p99_s"] <= 0.005,
        )
    ]


def _task(number: int, sleep_s: int) -> str:
    return f"[[delay: {sleep_s}]] [[reply: result {number}!]] in the background"


async def _wait_for(telegram: TelegramEmulator, chat: int, text: str) -> None:
    await telegram.wait_for(lambda emulator: _said(emulator, chat, text), timeout_s=40)


def _said(emulator: TelegramEmulator, chat: int, text: str) -> bool:
    return any(m.from_bot and text in m.text and "#" not in m.text for m in emulator.messages(chat))


def slow(claude: ClaudeEmulator, seconds_a_call: float) -> None:
    """From now on the main agent's model takes its time; the workers' does not."""
    rules = list(claude.script.rules)

    def late(request: Request) -> Reply | None:
        found = (rule(request) for rule in rules)
        reply = next((reply for reply in found if reply is not None), None)
        if reply is None or request.is_worker:
            return None
        return replace(reply, first_token_s=reply.first_token_s + seconds_a_call)

    claude.script.rules.insert(0, late)


async def add_job(stack: Stack, prompt: str) -> None:
    """A row made by hand, as a person would."""
    with sqlite3.connect(_database(stack)) as connection:
        connection.execute("INSERT INTO jobs (chat_id, prompt) VALUES ('cli', ?)", (prompt,))


def look(stack: Stack, query: str) -> int:
    """One number from the database."""
    with sqlite3.connect(_database(stack)) as connection:
        return int(connection.execute(query).fetchone()[0])


async def until(stack: Stack, query: str, number: int, *, timeout_s: float = 60) -> None:
    """Wait until a count is reached."""
    async with asyncio.timeout(timeout_s):
        while look(stack, query) < number:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.02)


def _database(stack: Stack) -> Path:
    return stack.profile / "memory" / "kitt.db"

"""Does a claim cost the same, whatever lies in the table; and does a crowd keep anyone waiting."""

import asyncio
import statistics
import time
from pathlib import Path
from typing import Any

from bench.figures import row
from bench.queue_kitt import CHAT_CONCURRENCY, Kitt, by_hand
from bench.queue_process import folder
from bridge.models import NewJob

PLACES = ("empty", "finished", "scheduled", "one chat", "full chat")
LOOKS = 200  # of an idle worker, in a round
SERVED_MAX = 50  # claims; a chat that is not served by then waits for all
FINISHED = (
    "chat_id, prompt, status, result, created_at, started_at, completed_at, worker_id, attempt",
    "'cli', n || ' a finished job', 'done', 'its result', '2026-11-22 07:30:00.123', "
    "'2026-11-22 07:30:00.125', '2026-11-22 07:30:01.125', 'worker-1:1:0', 1",
)
SCHEDULED = (
    "chat_id, prompt, status, run_at, priority",
    "'cli', n || ' a later job', 'scheduled', '2999-01-01 00:00:00.000', 9",
)
PENDING = ("chat_id, prompt", "'crowd', n || ' one of very many'")


def flatness(rounds: int, jobs: int, finished: int, crowd: int) -> list[dict[str, Any]]:
    """Claim and finish in a full table over the same in an empty one; fsync left out of both."""
    with folder() as base:
        return asyncio.run(_flatness(base, rounds, jobs, finished, crowd))


async def _flatness(
    base: Path, rounds: int, jobs: int, finished: int, crowd: int
) -> list[dict[str, Any]]:
    queues = {place: await _filled(base / place, place, finished, crowd) for place in PLACES}
    served = await _served(queues["one chat"])
    took: dict[str, list[float]] = {place: [] for place in PLACES}
    looked: dict[str, list[float]] = {"empty": [], "finished": []}
    try:
        for number in range(rounds + 1):
            for place, queue in queues.items():
                measured = await _per_job_ms(queue, jobs, fill=place != "one chat")
                if number:  # the first round warms the caches
                    took[place].append(measured)
            for place, looks in looked.items():
                looks.append(await _per_look_ms(queues[place]))
    finally:
        for queue in queues.values():
            await queue.close()
    per_job = {place: round(statistics.median(of), 3) for place, of in took.items()}
    names = {
        "finished": f"{finished:,} finished rows",
        "scheduled": f"{crowd:,} scheduled rows of higher priority",
        "one chat": f"{crowd:,} pending rows of one chat",
        "full chat": f"{crowd:,} pending rows of a chat that already runs all it may",
    }
    return [
        *(_row(name, took[place], took["empty"], per_job) for place, name in names.items()),
        _look_row(f"{finished:,} finished rows", looked["finished"], looked["empty"]),
        row(
            f"claims until another chat is served, behind {crowd:,} jobs of one",
            served if served <= SERVED_MAX else f"more than {SERVED_MAX}",
            "≤ 2",
            met=served <= 2,
        ),
    ]


def _row(
    name: str, here: list[float], empty: list[float], per_job: dict[str, float]
) -> dict[str, Any]:
    ratio = round(statistics.median(mine / its for mine, its in zip(here, empty, strict=True)), 2)
    return row(
        f"claim + finish with {name}, over an empty table",
        ratio,
        "≤ 1.2",
        met=ratio <= 1.2,
        control={"ms per job": per_job},
    )


def _look_row(name: str, here: list[float], empty: list[float]) -> dict[str, Any]:
    ratio = round(statistics.median(mine / its for mine, its in zip(here, empty, strict=True)), 2)
    looks = {"empty": round(statistics.median(empty), 3), name: round(statistics.median(here), 3)}
    return row(
        f"look of an idle worker at {name}, over an empty table",
        ratio,
        "≤ 1.2",
        met=ratio <= 1.2,
        control={"ms per look": looks},
    )


async def _filled(place: Path, name: str, finished: int, crowd: int) -> Kitt:
    """A queue of its own for each case."""
    place.mkdir()
    queue = await Kitt.open(place, "NORMAL", slot="worker-1")
    columns, values = {"finished": FINISHED, "scheduled": SCHEDULED}.get(name, PENDING)
    if name != "empty":
        count = finished if name == "finished" else crowd
        await asyncio.to_thread(by_hand, place / "kitt.db", count, columns, values)
    if name == "full chat":
        for _ in range(CHAT_CONCURRENCY):
            await queue.queue.claim("worker-2:1:full")
    return queue


async def _served(kitt: Kitt) -> int:
    """How many jobs are claimed until the one of the chat that came last."""
    late = await kitt.queue.add(NewJob(chat_id="late", prompt="0 the only one of its chat"))
    for number in range(1, SERVED_MAX + 1):
        job = await kitt.queue.claim("worker-1:1:served")
        assert job is not None
        await kitt.queue.finish(job, "done")
        if job.id == late.id:
            return number
    return SERVED_MAX + 1


async def _per_job_ms(kitt: Kitt, jobs: int, *, fill: bool) -> float:
    """Milliseconds to look, claim one job and finish it, each for itself."""
    if fill:
        await kitt.fill(jobs)
    started = time.perf_counter()
    for _ in range(jobs):
        found = await kitt.take()
        assert found is not None
        await kitt.let_go()
    return 1000 * (time.perf_counter() - started) / jobs


async def _per_look_ms(kitt: Kitt) -> float:
    """Milliseconds in which a worker finds that there is nothing to do."""
    started = time.perf_counter()
    for _ in range(LOOKS):
        assert await kitt.take() is None
    return 1000 * (time.perf_counter() - started) / LOOKS

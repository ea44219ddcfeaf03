"""A worker killed between any two steps of a job with parts: each part is started and done once."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from forked import Forked, forked
from waiting import until

from bridge.clock import Clock
from bridge.emulator.script import Reply, Request, Text, ToolUse
from bridge.models import NewJob
from bridge.prove.crew import Zygote
from bridge.queue import Queue
from bridge.store import Store

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def zygote() -> AsyncIterator[Zygote]:
    opened = await Zygote.open()
    yield opened
    await opened.close()


def play(request: Request) -> Reply | None:
    """A job with two parts, started and waited for in one reply."""
    if request.first_user_text.startswith("Count the"):
        return Reply("There are 42.")
    if any(message["role"] == "assistant" for message in request.body["messages"]):
        return Reply([Text("Compared.")])
    parts = [
        ToolUse(
            "start_background_job",
            {"title": name, "instructions": f"Count the {name}", "kind": "other"},
        )
        for name in ("pelicans", "herons")
    ]
    return Reply([*parts, ToolUse("wait_for_jobs", {})])


async def add_job(kitt: Forked) -> None:
    store = await Store.open(kitt.database, kitt.settings.run_dir)
    try:
        await Queue(store=store, clock=Clock()).add(NewJob(chat_id="x", prompt="Compare"))
    finally:
        await store.close()


@pytest.mark.parametrize(
    ("point", "nth"),
    [
        ("after_llm", 1),  # its plan is not stored
        ("after_step", 1),  # stored, and no part started
        *[("in_commit", nth) for nth in range(4, 10)],
        *[("after_commit", nth) for nth in range(4, 10)],
        ("after_claim", 2),  # a part, or the job that goes on
        ("after_claim", 4),
        ("in_tool", 1),  # it has heard of its parts and not noted it
    ],
)
async def test_a_part_is_started_and_done_once_whenever_its_worker_dies(
    tmp_path: Path, zygote: Zygote, point: str, nth: int
) -> None:
    async with forked(tmp_path, zygote, concurrency=1) as kitt:
        kitt.claude.script.rules.insert(0, play)
        kitt.settings.run_dir.mkdir(mode=0o700, parents=True)
        await add_job(kitt)

        def done() -> bool:
            return kitt.sql("SELECT status FROM jobs WHERE id = 1") == [{"status": "done"}]

        worker = await kitt.start("worker-1", **{point: {"do": "kill", "nth": nth}})
        await until(lambda: worker.ended.done() or done(), 30)
        assert worker.ended.done(), "the point was never reached"
        await kitt.start("worker-1")
        await until(done, 30)

        rows = kitt.sql("SELECT prompt, status, result FROM jobs ORDER BY id")
        assert rows == [
            {"prompt": "Compare", "status": "done", "result": "Compared."},
            {"prompt": "Count the pelicans", "status": "done", "result": "There are 42."},
            {"prompt": "Count the herons", "status": "done", "result": "There are 42."},
        ]
        ends = kitt.sql("SELECT count(*) AS n FROM job_events WHERE event = 'done'")
        assert ends == [{"n": 3}]

"""A job whose conversation becomes long: summed up between two steps, its task word for word."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
from fakes import a_job
from working import Shop

from bridge.agent.compaction import JOB_CHARS_MAX, KEPT, KEPT_MIN
from bridge.emulator.claude import ClaudeEmulator
from bridge.emulator.script import Reply, Request, Thinking, ToolUse
from bridge.models import JobStatus
from bridge.store import Store

TASK: Final = "Walk along the river and note what stands on each bank."
NOTE: Final = "A pelican stands here. " * 2_000
STEPS: Final = JOB_CHARS_MAX // len(NOTE) + 6
SUMMARY: Final = "Notes: the left bank is done."


@pytest.fixture
async def shop(tmp_path: Path, store: Store) -> AsyncIterator[Shop]:
    claude = ClaudeEmulator()
    await claude.start()
    shop = Shop(tmp_path, store, claude)
    shop.settings = replace(shop.settings, budget_job_micro=0)  # so much text costs some dollars
    claude.script.rules.insert(0, walks)
    yield shop
    await shop.close()
    await claude.stop()


def walks(request: Request) -> Reply | None:
    """A long file at every step, each after a thought; how many there were is in the last name."""
    if "You sum up what KITT" in str(request.body["system"]):
        return Reply(SUMMARY)
    if not request.is_worker:
        return None
    done = [
        int(block["input"]["path"].removesuffix(".md"))
        for message in request.messages
        for block in message["content"]
        if isinstance(block, dict) and block.get("type") == "tool_use"
    ]
    step = max(done, default=0) + 1
    if step > STEPS:
        return Reply("Walked along the river.")
    call = ToolUse("write_file", {"path": f"{step}.md", "content": NOTE})
    return Reply([Thinking(f"Bank {step} is next."), call])


async def test_a_long_job_is_summed_up_between_two_steps_and_goes_on(shop: Shop) -> None:
    job = await shop.queue.add(a_job(prompt=TASK))
    await shop.worker()

    done = await shop.job_is(job.id, JobStatus.DONE)

    assert done.result == "Walked along the river."
    names = sorted(path.name for path in (shop.settings.jobs_dir / str(job.id)).iterdir())
    assert names == sorted(f"{step}.md" for step in range(1, STEPS + 1))
    bodies = [record.body for record in shop.claude.requests if record.body]
    sums = [at for at, body in enumerate(bodies) if "You sum up what" in str(body["system"])]
    assert sums
    after = bodies[sums[0] + 1]["messages"]
    first = after[0]["content"][0]["text"]
    assert first.startswith(f"{TASK}\n\n<kitt-summary>{SUMMARY}")
    assert KEPT_MIN < len(after) <= KEPT
    assert "thinking" not in str(after)
    assert len(bodies) == STEPS + 1 + len(sums)
    assert {record.status for record in shop.claude.requests} == {200}


async def test_a_job_that_was_summed_up_is_not_given_its_task_twice(shop: Shop) -> None:
    job = await shop.queue.add(a_job(prompt=TASK))
    first = await shop.worker()
    await shop.claude.wait_for(
        lambda records: any("<kitt-summary>" in str(record.body) for record in records) or None
    )
    first.drain()
    first.drain()
    await shop.ended(first)

    await shop.worker(slot="worker-2")

    await shop.job_is(job.id, JobStatus.DONE)
    last = [record.body for record in shop.claude.requests if record.body][-1]
    assert str(last["messages"]).count("Walk along the river and") == 1

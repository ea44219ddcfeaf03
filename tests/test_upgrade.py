"""An upgrade of the database while a worker of the version before it lives and works."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fakes import a_job, shell
from waiting import until

from bridge.clock import Clock
from bridge.emulator.claude import ClaudeEmulator
from bridge.emulator.claude_faults import Fault
from bridge.migrate import migrations
from bridge.process import prepare_folders
from bridge.queue import Queue
from bridge.settings import Settings
from bridge.store import Store

STEPS = (*migrations(), "CREATE TABLE songs (name TEXT);\n")


@pytest.fixture
async def claude() -> AsyncIterator[ClaudeEmulator]:
    emulator = ClaudeEmulator()
    await emulator.start()
    yield emulator
    await emulator.stop()


@pytest.fixture
async def worker(
    tmp_path: Path, claude: ClaudeEmulator
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A real worker of this version."""
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("KITT_")},
        "KITT_PROFILE": str(tmp_path),
        "KITT_LEASE_S": "3",
        "ANTHROPIC_API_KEY": claude.key,
        "ANTHROPIC_BASE_URL": claude.base_url,
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bridge", "worker"),
        env=environ,
        cwd=Path(__file__).parent.parent,
        stderr=asyncio.subprocess.PIPE,
    )
    yield process
    if process.returncode is None:
        process.kill()
    await process.wait()


async def test_older_worker_ends_and_its_job_is_taken_over(
    tmp_path: Path, claude: ClaudeEmulator, worker: asyncio.subprocess.Process
) -> None:
    settings = Settings(profile=tmp_path)
    prepare_folders(settings)
    old = await Store.open(settings.database, settings.run_dir)
    claude.order(Fault(hold="the work"))
    job = await Queue(store=old, clock=Clock()).add(a_job())
    await old.close()
    await claude.wait_for(lambda records: list(records) or None)  # the worker is in the middle

    new = await Store.open(settings.database, settings.run_dir, steps=STEPS)
    code = await asyncio.wait_for(worker.wait(), 20)
    queue = Queue(store=new, clock=Clock())

    assert code == 75
    (row,) = shell(settings.database, "SELECT status, attempt FROM jobs")
    assert row == {"status": "running", "attempt": 1}  # the worker could write nothing more
    await until(lambda: queue.rescue("worker-1:1:new"))
    taken = await queue.claim("worker-1:1:new")
    assert taken is not None
    assert (taken.id, taken.attempt) == (job.id, 2)
    await queue.finish(taken, "There are 42.")
    await new.close()


async def test_older_worker_that_is_idle_ends_with_the_next_job(
    tmp_path: Path, worker: asyncio.subprocess.Process
) -> None:
    settings = Settings(profile=tmp_path)
    await until(lambda: list(settings.run_dir.glob("worker-1*.sock")), 10)

    new = await Store.open(settings.database, settings.run_dir, steps=STEPS)
    job = await Queue(store=new, clock=Clock()).add(a_job())
    code = await asyncio.wait_for(worker.wait(), 20)

    assert code == 75
    assert worker.stderr is not None
    said = (await worker.stderr.read()).decode()
    assert "The database was upgraded" in said
    assert "Traceback" not in said
    assert (await Queue(store=new, clock=Clock()).get(job.id)).attempt == 0
    await new.close()

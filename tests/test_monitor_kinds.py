"""What `kitt queue monitor` and `kitt status` say of jobs whose kind no living worker takes."""

import os
import socket
from typing import Final

from fakes import a_job, shell

from bridge import monitor
from bridge.line import Claimant
from bridge.queue import Queue

HERE: Final = socket.gethostname()
NO_PID: Final = 2**22 + 1  # above the highest that Linux gives


async def a_worker(queue: Queue, slot: str, *kinds: str, pid: int | None = None) -> None:
    """A worker that has entered itself; its process is this one."""
    pid = os.getpid() if pid is None else pid
    await queue.register(Claimant(worker_id=f"{slot}:{pid}:a", kinds=kinds), pid=pid, host=HERE)


async def warnings(queue: Queue, *own_kinds: str) -> list[str]:
    summary = await queue.store.read(lambda tx: monitor.summary(tx, queue.clock.now(), own_kinds))
    return list(summary["warnings"])


async def test_kinds_that_no_living_worker_takes_are_named(queue: Queue) -> None:
    for kind in ("browser", "code", "research", "other"):
        await queue.add(a_job(kind=kind))
    await a_worker(queue, "worker-code-1", "code")

    browser = (
        "No worker takes kind browser: `kitt start worker-browser-1` or `kitt scale browser=1`."
    )
    others = "No worker takes kind other, research: `kitt start workers` or `kitt scale 2`."
    assert await warnings(queue, "browser", "code") == [browser, others]
    await a_worker(queue, "worker-1")
    assert await warnings(queue, "browser", "code") == [browser]
    await a_worker(queue, "worker-browser-1", "browser", pid=NO_PID)
    assert await warnings(queue, "browser", "code") == [browser]
    await a_worker(queue, "worker-browser-1", "browser")
    assert await warnings(queue, "browser", "code") == []


async def test_kind_without_workers_of_its_own_is_taken_by_any(queue: Queue) -> None:
    await queue.add(a_job(kind="browser"))
    await a_worker(queue, "worker-1")

    assert await warnings(queue) == []


async def test_kind_whose_jobs_are_only_planned_is_not_named(queue: Queue) -> None:
    await queue.add(a_job(kind="browser", run_at="2096-01-01 00:00:00.000"))
    await a_worker(queue, "worker-1")

    assert await warnings(queue, "browser") == []
    shell(queue.store.path, "UPDATE jobs SET status = 'pending'")
    assert len(await warnings(queue, "browser")) == 1


async def test_monitor_warns_as_the_summary_does(queue: Queue) -> None:
    await queue.add(a_job(kind="browser"))
    await a_worker(queue, "worker-1")

    look = await monitor.Looks(queue, {"browser": 1}).look()

    assert look["warnings"] == await warnings(queue, "browser") != []

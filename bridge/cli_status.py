"""`kitt status`: the processes, what each worker does now and what waits; 80 columns wide."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import timedelta
from typing import Any, Final

from bridge import monitor
from bridge.budgets import Budgets
from bridge.cli_shell import with_queue
from bridge.models import short
from bridge.process import need_database
from bridge.queue import Queue
from bridge.settings import Settings

COLUMNS: Final = 80


def print_status(settings: Settings, *, as_json: bool) -> int:
    """Print how everything stands; 3 when nothing runs."""
    from bridge import supervision

    need_database(settings)
    try:
        processes = supervision.processes(settings)
        sentence, code = "", 0
    except supervision.NotRunning as error:
        processes, sentence, code = [], str(error), error.exit_code

    async def read(queue: Queue) -> dict[str, Any]:
        now = queue.clock.now()
        return await queue.store.read(
            lambda tx: {
                **monitor.summary(tx, now, settings.kind_workers),
                "budget": Budgets.of(settings).said(tx, now),
            }
        )

    look = asyncio.run(with_queue(settings, read))
    if as_json:
        print(json.dumps({"processes": [asdict(p) for p in processes], **look}, indent=2))
        return code
    print(supervision.table(processes) if processes else sentence)
    if processes and (alone := _without_workers(look)):
        warnings = [each for each in look["warnings"] if not each.startswith("No worker ")]
        look = {**look, "warnings": [alone, *warnings]}
    print("\n".join(_lines(look)))
    return code


def _without_workers(look: dict[str, Any]) -> str:
    """What to do when jobs wait, supervisord runs and no worker does."""
    waiting = sum(look["jobs"][status] for status in ("pending", "scheduled", "running"))
    if not waiting or any(worker["state"] != "dead" for worker in look["workers"]):
        return ""
    jobs = "1 job waits" if waiting == 1 else f"{waiting} jobs wait"
    return f"No worker runs and {jobs}: `kitt start workers`, or `kitt scale 2`."


def _lines(look: dict[str, Any]) -> Iterator[str]:
    """What the workers do, how many jobs stand where, and what a person should do."""
    yield from _workers(look)
    yield look["budget"]
    counts = ", ".join(f"{number} {status}" for status, number in look["jobs"].items() if number)
    yield f"Jobs: {counts or 'none yet'}"
    if look["oldest_pending_s"] is not None:
        waited = timedelta(seconds=max(0, round(look["oldest_pending_s"])))
        yield f"The oldest pending job waits {waited}."
    from bridge.monitor_view import harmless

    yield from (f"! {harmless(warning)}" for warning in look["warnings"])


def _workers(look: dict[str, Any]) -> Iterator[str]:
    """One line per running job, behind the worker that runs it."""
    jobs = {job["id"]: job for job in look["running"]}
    width = max((len(worker["slot"]) for worker in look["workers"]), default=0)
    for worker in look["workers"]:
        name = worker["slot"]
        if not worker["jobs"]:
            yield f"{name:<{width}}  {worker['state']}"
        for number in worker["jobs"]:
            yield f"{name:<{width}}  {_job(jobs.pop(number), COLUMNS - width - 2)}"
            name = ""
    for job in jobs.values():  # its worker has gone, and nobody has taken it back yet
        yield _job(job, COLUMNS)


def _job(job: dict[str, Any], columns: int) -> str:
    from bridge.monitor_view import harmless

    percent = "" if job["progress"] is None else f" {job['progress']:.0f}%"
    step = f" – {job['step']}" if job["step"] else ""
    title = short(harmless(job["title"]), columns // 2 if step else columns)
    return short(harmless(f"#{job['id']}{percent} {title}{step}"), columns)

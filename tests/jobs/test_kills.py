"""A worker killed at every place of a job with real tools: nothing is paid for or done twice.

A run is killed at the first pass of a point, the next at the second, and so on, until a run passes
the point less often than that and is not killed any more.
"""

import io
import itertools
import json
import shutil
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio
from fakes import a_job
from forked import Forked, forked
from reportlab.pdfgen.canvas import Canvas
from waiting import until

from bridge import received
from bridge.clock import Clock
from bridge.emulator.script import Reply, Request, Text, ToolUse
from bridge.models import Job, JobStatus
from bridge.prove.crew import Zygote
from bridge.queue import Queue
from bridge.received import Sent
from bridge.store import Store

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(120),
    pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed"),
]
PROGRAM: Final = """
import csv
open("ran.txt", "a").write("x")
rows = list(csv.DictReader(open("input/sales.csv")))
print(len(rows), sum(int(row["amount"]) for row in rows))
"""
PAGES: Final = 20
CALLS: Final = 5  # of the model, when nothing happens


@dataclass(frozen=True)
class Work:
    """A job on a file: what the model does, and what is true of its folder when it is done."""

    file: str
    data: bytes
    script: Callable[[Request], Reply | None]
    good: Callable[[Path, Job], bool]


def table() -> bytes:
    return "\n".join(["id,amount", *(f"{n},{n % 7}" for n in range(1_000)), ""]).encode()


def computes(request: Request) -> Reply | None:
    """Plans, computes once in the sandbox, writes and gives a file; a doubt makes it look first."""
    if not request.is_worker:
        return None
    done = [result.name for result in request.all_tool_results]
    results = {result.name: result for result in request.all_tool_results}
    if "report_progress" not in done:
        return Reply([ToolUse("report_progress", {"step": "1/3 computing", "percent": 10})])
    if "run_python" not in done:
        return Reply([Text("Now the sums."), ToolUse("run_python", {"code": PROGRAM})])
    if results["run_python"].is_error and "list_files" not in done:
        return Reply([ToolUse("list_files", {})])
    if "write_file" not in done:
        note = {"path": "sums.md", "content": "# Sums\n\n1,000 rows."}
        return Reply([ToolUse("write_file", note), ToolUse("read_file", {"path": "sums.md"})])
    if "attach_file" not in done:
        return Reply([ToolUse("attach_file", {"path": "sums.md", "caption": "Sums"})])
    return Reply("1,000 rows.")


def computed(folder: Path, job: Job) -> bool:
    ran = (folder / "ran.txt").read_text()
    return ran == "x" and job.result == "1,000 rows." and (folder / "sums.md").exists()


def report() -> bytes:
    out = io.BytesIO()
    canvas = Canvas(out)
    for page in range(1, PAGES + 1):
        canvas.drawString(60, 780, f"Page {page}: {'words of no weight ' * 3}")
        canvas.showPage()
    canvas.save()
    return out.getvalue()


def reads(request: Request) -> Reply | None:
    """Reads a document in two parts, writes a PDF with a table, gives it."""
    if not request.is_worker:
        return None
    done = Counter(result.name for result in request.all_tool_results)
    if done["read_document"] < 2:
        part = f"{done['read_document'] * 10 + 1}-{done['read_document'] * 10 + 10}"
        return Reply([ToolUse("read_document", {"path": "input/report.pdf", "part": part})])
    if not done["write_document"]:
        markdown = "# Report\n\n| Page | Words |\n|---|---|\n| 1 | 4 |"
        return Reply([ToolUse("write_document", {"path": "out.pdf", "markdown": markdown})])
    if not done["attach_file"]:
        return Reply([ToolUse("attach_file", {"path": "out.pdf", "caption": ""})])
    return Reply("It has twenty pages.")


def wrote(folder: Path, job: Job) -> bool:
    made = (folder / "out.pdf").read_bytes()
    return made.startswith(b"%PDF") and job.result == "It has twenty pages."


WORKS: Final = {
    "computes": Work("sales.csv", table(), computes, computed),
    "reads": Work("report.pdf", report(), reads, wrote),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def zygote() -> AsyncIterator[Zygote]:
    opened = await Zygote.open()
    yield opened
    await opened.close()


async def run(folder: Path, zygote: Zygote, work: Work, point: str, nth: int) -> tuple[bool, int]:
    """One job from its start to its end; was its worker killed, and how often the model answered.

    Everything that must be true afterwards is checked.
    """
    folder.mkdir()
    async with forked(folder, zygote) as kitt:
        kitt.claude.script.rules.insert(0, work.script)
        store = await Store.open(kitt.database, kitt.settings.run_dir)
        queue = Queue(store=store, clock=Clock())
        sent = Sent(chat_id="7", message_id=9, name=work.file, media_type="application/pdf")
        file = received.keep(kitt.settings.files_dir, sent, work.data)
        data = received.job_data([file])
        job = await queue.add(a_job(prompt="Work on the file", data=data))
        worker = await kitt.start("worker-1", **{point: {"do": "kill", "nth": nth}})

        async def over() -> bool:
            return worker.ended.done() or (await queue.get(job.id)).status is JobStatus.DONE

        await until(over, 40)
        killed = worker.ended.done()
        if killed:
            assert worker.ended.result() == -signal.SIGKILL, kitt.log("worker-1")
            await kitt.start("worker-1")
        done = await _done(queue, job.id)
        assert work.good(kitt.settings.jobs_dir / str(job.id), done), kitt.log("worker-1")
        rows = await store.read(lambda tx: tx.all("files_of", job_id=job.id))
        assert len(rows) == 1
        answered = _answered(kitt)
        await store.close()
    assert max(Counter(answered).values()) <= (2 if point == "after_llm" else 1)
    return killed, len(answered)


async def _done(queue: Queue, job_id: int) -> Job:
    async def ended() -> Job | None:
        found = await queue.get(job_id)
        return found if found.status.final else None

    job = await until(ended, 40)
    assert job is not None
    assert job.status is JobStatus.DONE, job.error
    return job


def _answered(kitt: Forked) -> list[str]:
    """The requests that the model has answered whole, by what they said."""
    records = [record for record in kitt.claude.requests if record.body]
    return [json.dumps(record.body["messages"]) for record in records if record.status == 200]


@pytest.mark.parametrize(
    ("name", "point"),
    [
        ("computes", "after_llm"),
        ("computes", "in_tool"),
        ("computes", "after_step"),
        ("reads", "in_tool"),
    ],
)
async def test_a_job_killed_anywhere_is_done_once_and_pays_for_no_step_twice(
    tmp_path: Path, zygote: Zygote, name: str, point: str
) -> None:
    work = WORKS[name]
    kills = 0
    for nth in itertools.count(1):
        killed, calls = await run(tmp_path / f"{point}-{nth}", zygote, work, point, nth)
        if not killed:
            break
        kills += 1
        # A reply that came and was not stored yet is paid for again; a doubt costs one look.
        assert calls <= CALLS + 1
    assert calls == CALLS
    assert kills >= 2

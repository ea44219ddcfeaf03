"""A worker killed at every place of a job with real tools: nothing is paid for or done twice.

A run is killed at the first pass of a point, the next at the second, and so on, until a run passes
the point less often than that and is not killed any more. A browser takes seconds to start: its job
is one run that is killed again and again.
"""

import io
import itertools
import json
import os
import re
import shutil
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import gettempdir
from typing import Any, Final

import pytest
import pytest_asyncio
from aiohttp import web
from fakes import a_job
from forked import Forked, forked
from internet import Internet, Site, environ_of
from reportlab.pdfgen.canvas import Canvas
from waiting import until

from bridge import received
from bridge.agent.replies import UNKNOWN_EFFECT
from bridge.clock import Clock
from bridge.emulator.script import Reply, Request, Text, ToolUse
from bridge.models import Job, JobStatus
from bridge.prove.crew import Process, Zygote
from bridge.queue import Queue
from bridge.received import Sent
from bridge.store import Store
from bridge.tools.chromium import HOME, can_browse

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(300),
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
Kill = tuple[str, int]  # at which point, and at which of its passes


@dataclass(frozen=True, kw_only=True)
class Work:
    """A job: what the model does, and what is true of its folder when it is done."""

    prompt: str = "Work on the file"
    kind: str = "other"
    file: str = ""
    data: bytes = b""
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


START: Final = """<h1>Shop</h1><form method=post action=/orders><input name=lamp aria-label=Lamp>
<button>Order</button></form><a href=/orders>My orders</a>"""


def open_shop(site: Site) -> None:
    """A form that makes an order each time it is sent, and the list of the orders."""
    made: list[str] = []

    async def orders(request: web.Request) -> web.Response:
        if request.method == "POST":
            made.append(str((await request.post())["lamp"]))
        lines = [f"<p>Order {number}: {lamp}</p>" for number, lamp in enumerate(made, 1)]
        return web.Response(text="".join(lines) or "No orders", content_type="text/html")

    site.page("/", START)
    site.pages["/orders"] = orders


@asynccontextmanager
async def shop(outside: Path) -> AsyncIterator[Site]:
    """A new one, for the workers whose internet lies in this folder."""
    internet = Internet()
    site = await internet.site("shop.test")
    open_shop(site)
    internet.publish(outside)
    try:
        yield site
    finally:
        await internet.close()


def buys(request: Request) -> Reply | None:
    """Sends a form once and takes a picture; it looks first only where it is told of a doubt."""
    if not request.is_worker:
        return None
    results = request.all_tool_results
    last = results[-1] if results else None
    ordered = any("Order 1: red lamp" in result.text for result in results)
    if any(result.name == "attach_file" and not result.is_error for result in results):
        return Reply("Order 1 is made.")
    if last is None or last.is_error:
        page = "orders" if ordered or (last and last.text == UNKNOWN_EFFECT) else ""
        return Reply([ToolUse("browser_open", {"url": f"http://shop.test/{page}"})])
    if ordered:
        picture = ToolUse("browser_screenshot", {"path": "order.png"})
        return Reply([picture, ToolUse("attach_file", {"path": "order.png", "caption": ""})])
    refs = dict(re.findall(r'"(\w+)".*?\[ref=(\w+)\]', last.text))
    if "Order" not in refs:
        return Reply([ToolUse("browser_open", {"url": "http://shop.test/"})])
    fill = ToolUse("browser_fill", {"ref": refs["Lamp"], "text": "red lamp"})
    return Reply([fill, ToolUse("browser_click", {"ref": refs["Order"]})])


def bought(folder: Path, job: Job) -> bool:
    picture = (folder / "order.png").read_bytes()
    return picture.startswith(b"\x89PNG") and job.result == "Order 1 is made."


# Where each worker is killed, and how many replies came to it: nothing is known of the last one
# where it is killed `after_llm`. A new worker has no page and opens it anew.
LIVES: Final[list[tuple[Kill, int]]] = [
    (("after_llm", 1), 1),
    (("after_step", 1), 1),  # to open the shop, which nobody has done
    (("in_tool", 1), 0),  # it is open, and is opened again
    (("after_llm", 1), 1),  # to fill and send the form
    (("after_step", 1), 1),
    (("in_tool", 2), 2),  # opened anew, filled
    (("in_tool", 3), 2),  # opened anew, filled, sent
    (("in_tool", 2), 2),  # looked whether it was sent, a picture taken
    (("after_llm", 1), 1),  # the answer
]
WORKS: Final = {
    "computes": Work(file="sales.csv", data=table(), script=computes, good=computed),
    "reads": Work(file="report.pdf", data=report(), script=reads, good=wrote),
    "buys": Work(
        prompt="Order the red lamp at shop.test", kind="browser", script=buys, good=bought
    ),
}


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the workers find their internet."""
    return tmp_path_factory.mktemp("outside")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def zygote(outside: Path) -> AsyncIterator[Zygote]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", environ_of(outside)["PYTHONPATH"])
        opened = await Zygote.open()
    yield opened
    await opened.close()


async def run(folder: Path, zygote: Zygote, work: Work, kills: Sequence[Kill]) -> list[str]:
    """One job from its start to its end, whose workers are killed one after the other.

    Ends with the first that was not killed. Everything that must be true afterwards is checked;
    the answer is what the model was asked and has answered.
    """
    folder.mkdir()
    async with forked(folder, zygote) as kitt:
        kitt.claude.script.rules.insert(0, work.script)
        store = await Store.open(kitt.database, kitt.settings.run_dir)
        queue = Queue(store=store, clock=Clock())
        asked: dict[str, Any] = {"prompt": work.prompt, "kind": work.kind}
        new = a_job(**asked, data=_data(kitt, work), max_attempts=len(kills) + 1)
        job = await queue.add(new)
        for point, nth in kills:
            if not await _killed(kitt, queue, job.id, point, nth):
                break
        else:
            await kitt.start("worker-1")
        done = await _done(queue, job.id)
        assert work.good(kitt.settings.jobs_dir / str(job.id), done), kitt.log("worker-1")
        rows = await store.read(lambda tx: tx.all("files_of", job_id=job.id))
        assert len(rows) == 1
        answered = _answered(kitt)
        await store.close()
    return answered


def _data(kitt: Forked, work: Work) -> str | None:
    if not work.file:
        return None
    sent = Sent(chat_id="7", message_id=9, name=work.file, media_type="application/pdf")
    return received.job_data([received.keep(kitt.settings.files_dir, sent, work.data)])


async def _killed(kitt: Forked, queue: Queue, job_id: int, point: str, nth: int) -> bool:
    """Let a worker work until it is killed there, or the job is done; nothing of it is left."""
    worker = await kitt.start("worker-1", **{point: {"do": "kill", "nth": nth}})
    session = os.getsid(worker.pid)

    async def over() -> bool:
        return worker.ended.done() or (await queue.get(job_id)).status.final

    await until(over, 60)
    if not worker.ended.done():
        return False
    assert worker.ended.result() == -signal.SIGKILL, kitt.log("worker-1")
    await until(lambda: not left_by(worker, session), 20)
    return True


async def _done(queue: Queue, job_id: int) -> Job:
    async def ended() -> Job | None:
        found = await queue.get(job_id)
        return found if found.status.final else None

    job = await until(ended, 90)
    assert job is not None
    assert job.status is JobStatus.DONE, job.error
    return job


def _answered(kitt: Forked) -> list[str]:
    """The requests that the model has answered whole, by what they said."""
    records = [record for record in kitt.claude.requests if record.body]
    return [json.dumps(record.body["messages"]) for record in records if record.status == 200]


def left_by(worker: Process, session: int) -> list[bytes]:
    """What lives on of what a worker has started: its browser, the browser's driver, readers."""
    browser = f"{HOME}{worker.pid}-".encode()
    found = []
    for pid in [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]:
        with suppress(OSError):  # it has just ended
            command = Path(f"/proc/{pid}/cmdline").read_bytes()  # of a zombie there is none
            ours = pid != session and os.getsid(pid) == session  # the zygote leads it, and stays
            if command and (ours or browser in command):
                found.append(command)
    return found


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
    for nth in itertools.count(1):
        answered = await run(tmp_path / f"{point}-{nth}", zygote, work, [(point, nth)])
        assert max(Counter(answered).values()) <= (2 if point == "after_llm" else 1)
        if not (tmp_path / f"{point}-{nth}" / "hits").exists():
            break
        # A reply that came and was not stored yet is paid for again; a doubt costs one look.
        assert len(answered) <= CALLS + 1
    assert len(answered) == CALLS
    assert nth > 2


@pytest.mark.skipif(not can_browse(), reason="there is no browser")
async def test_a_browser_job_whose_workers_are_killed_nine_times_sends_its_form_once(
    tmp_path: Path, zygote: Zygote, outside: Path
) -> None:
    async with shop(outside) as site:
        answered = await run(tmp_path / "buys", zygote, WORKS["buys"], [kill for kill, _ in LIVES])

    killed = [line.split()[2] for line in (tmp_path / "buys" / "hits").read_text().splitlines()]
    assert len(killed) == len(LIVES)
    homes = [home for pid in killed for home in Path(gettempdir()).glob(f"{HOME}{pid}-*")]
    assert len(homes) <= 1  # the next browser of this machine removes it, as it did the others
    assert sum(hit.startswith("POST") for hit in site.hits) == 1
    # Nothing that was stored is paid for again.
    lost = sum(point == "after_llm" for (point, _), _ in LIVES)
    assert len(answered) == sum(calls for _, calls in LIVES) + 1
    assert Counter(Counter(answered).values())[2] == lost
    assert max(Counter(answered).values()) == 2

"""Whole jobs on real input: a table of a million rows, a report of two hundred pages."""

import io
import json
import re
import shutil
from importlib.util import find_spec
from typing import Any, Final

import pypdf
import pytest
from fakes import a_job
from reportlab.pdfgen.canvas import Canvas
from waiting import until
from working import Shop

from bridge import received
from bridge.emulator.script import Reply, Request, ToolUse
from bridge.models import Job, JobStatus
from bridge.received import Sent

ROWS: Final = 1_000_000
PAGES: Final = 200
REGIONS: Final = ("north", "east", "south", "west")
SPLIT_AND_PLOT: Final = """
import json
import pandas
import matplotlib.pyplot as plt
table = pandas.read_csv("input/sales.csv")
sums = table.groupby("region")["amount"].sum()
sums.plot.bar(title="Sales by region")
plt.savefig("chart.png")
print(json.dumps({"rows": len(table), "mean": table["amount"].mean(), **sums.to_dict()}))
"""
pytestmark = [
    pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed"),
    pytest.mark.skipif(find_spec("pandas") is None, reason="the extra `data` is not installed"),
]


async def done(shop: Shop, prompt: str, name: str, data: bytes) -> Job:
    """A job with this file, at its end."""
    sent = Sent(chat_id="7", message_id=9, name=name, media_type="application/octet-stream")
    file = received.keep(shop.settings.files_dir, sent, data)
    job = await shop.queue.add(a_job(prompt=prompt, data=received.job_data([file])))
    await shop.worker()

    async def ended() -> Job | None:
        found = await shop.queue.get(job.id)
        return found if found.status in (JobStatus.DONE, JobStatus.FAILED) else None

    found = await until(ended, 50)
    assert found is not None
    assert found.status is JobStatus.DONE, found.error
    return found


def attached(shop: Shop, job: Job) -> dict[str, bytes]:
    """The files that go to the user with the result."""
    rows = shop.rows("SELECT path FROM job_files ORDER BY id")
    folder = shop.settings.jobs_dir / str(job.id)
    return {row["path"]: (folder / row["path"]).read_bytes() for row in rows}


# A table


def table() -> bytes:
    """A million rows; the amounts of a region add up to a number known beforehand."""
    rows = [f"{n},{REGIONS[n % 4]},{n % 4 + 1}" for n in range(ROWS)]
    return "\n".join(["id,region,amount", *rows, ""]).encode()


def statistician(request: Request) -> Reply | None:
    """Computes and draws with one program, gives the picture, tells what came out."""
    if not request.is_worker:
        return None
    results = request.all_tool_results
    if not results:
        return Reply([ToolUse("run_python", {"code": SPLIT_AND_PLOT})])
    if len(results) == 1:
        return Reply([ToolUse("attach_file", {"path": "chart.png", "caption": "Sales"})])
    found = re.search(r"\{.*\}", results[0].text)
    return Reply(found[0] if found else results[0].text)


async def test_a_million_rows_become_sums_and_a_chart(shop: Shop) -> None:
    shop.claude.script.rules.insert(0, statistician)

    job = await done(shop, "Sales by region, with a chart", "sales.csv", table())

    assert json.loads(job.result or "") == {
        "rows": ROWS,
        "mean": 2.5,
        **{region: (n + 1) * ROWS / 4 for n, region in enumerate(REGIONS)},
    }
    files = attached(shop, job)
    inputs = shop.settings.jobs_dir / str(job.id) / "input"
    assert [path.name for path in inputs.iterdir()] == ["sales.csv"]  # and no text of half of it
    assert list(files) == ["chart.png"]
    assert files["chart.png"].startswith(b"\x89PNG")
    assert len(files["chart.png"]) > 5_000


# A report


def report() -> bytes:
    """Two hundred pages of words, with a figure on every fortieth."""
    out = io.BytesIO()
    canvas = Canvas(out)
    for page in range(1, PAGES + 1):
        for line in range(25):
            canvas.drawString(60, 780 - 20 * line, f"Page {page}, line {line}: words of no weight.")
        if page % 40 == 0:
            canvas.drawString(60, 100, f"Revenue of year {2000 + page // 40}: {page * 3} million.")
        canvas.showPage()
    canvas.save()
    return out.getvalue()


def found_in(request: Request) -> dict[str, tuple[int, int]]:
    """Year → revenue and page, in all that was read so far."""
    text = "\n".join(r.text for r in request.all_tool_results if r.name == "read_document")
    found = {}
    for page in re.split(r"\[Page (?=\d)", text)[1:]:
        number = int(page.partition("]")[0])
        for year, amount in re.findall(r"Revenue of year (\d+): (\d+) million", page):
            found[year] = (int(amount), number)
    return found


def summarizer(request: Request) -> Reply | None:
    """Reads on as long as there is more, draws, writes with the pages as sources."""
    if not request.is_worker:
        return None
    results = request.all_tool_results
    last = results[-1] if results else None
    if last is None:
        return Reply([ToolUse("read_document", {"path": "input/report.pdf"})])
    if last.name == "read_document":
        more = re.search(r"There is more: pages (\d+)-", last.text)
        if more is not None:
            given = {"path": "input/report.pdf", "part": f"{more[1]}-"}
            return Reply([ToolUse("read_document", given)])
        amounts = {year: amount for year, (amount, _) in found_in(request).items()}
        code = (
            "import matplotlib.pyplot as plt\n"
            f"data = {amounts!r}\n"
            "plt.bar(list(data), list(data.values()))\n"
            "plt.savefig('revenue.png')\n"
        )
        return Reply([ToolUse("run_python", {"code": code})])
    if last.name == "run_python":
        rows = [f"| {y} | € {a} | p. {p} |" for y, (a, p) in found_in(request).items()]
        top = ["# Omzet", "", "| Jaar | Miljoen | Bron |", "|---|---|---|"]
        markdown = "\n".join([*top, *rows, "", "![Omzet per jaar](revenue.png)"])
        given = {"path": "summary.pdf", "markdown": markdown}
        return Reply([ToolUse("write_document", given)])
    if last.name == "write_document":
        return Reply([ToolUse("attach_file", {"path": "summary.pdf", "caption": ""})])
    return Reply("The summary is attached.")


async def test_two_hundred_pages_become_a_summary_that_names_its_pages(shop: Shop) -> None:
    shop.claude.script.rules.insert(0, summarizer)

    job = await done(shop, "Summarize the revenue", "report.pdf", report())

    assert job.result == "The summary is attached."
    (page,) = pypdf.PdfReader(io.BytesIO(attached(shop, job)["summary.pdf"])).pages
    text = " ".join(page.extract_text().split())
    for number in range(40, PAGES + 1, 40):
        assert f"{2000 + number // 40} € {number * 3} p. {number}" in text
    assert len(page.images) == 1
    assert calls(shop) < 15


def calls(shop: Shop) -> int:
    """How often the model was asked."""
    requests: list[Any] = list(shop.claude.requests)
    return len(requests)

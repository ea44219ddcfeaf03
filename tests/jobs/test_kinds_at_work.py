"""Every built-in kind does a small piece of its own work with its real tools.

Scripted is only the model, which goes on by what its tools have told it; a tool that did not work
would lead it nowhere.
"""

import io
import json
import re
import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from typing import Any, Final

import pypdf
import pytest
from aiohttp import web
from fakes import a_job
from internet import Internet, Site
from waiting import until
from working import Shop

from bridge import received
from bridge.emulator.script import Reply, Request, ToolResult, ToolUse
from bridge.models import Job, JobStatus
from bridge.received import Sent
from bridge.settings import Secret
from bridge.tools.chromium import can_browse

sandboxed = pytest.mark.skipif(shutil.which("bwrap") is None, reason="there is no bubblewrap")
WORK_S: Final = 60.0
Script = Callable[[list[ToolResult]], Reply]


@pytest.fixture
async def internet() -> AsyncIterator[Internet]:
    made = Internet()
    yield made
    await made.close()


async def begin(shop: Shop, kind: str, given: dict[str, Any], script: Script, **files: str) -> Job:
    """A job of this kind that a worker has taken; `files` by their name without .csv."""

    def model(request: Request) -> Reply | None:
        return script(request.all_tool_results) if request.is_worker else None

    shop.claude.script.rules.insert(0, model)
    kept = [
        received.keep(
            shop.settings.files_dir,
            Sent(chat_id="7", message_id=9, name=f"{name}.csv", media_type="text/csv"),
            text.encode(),
        )
        for name, text in files.items()
    ]
    job = await shop.queue.add(a_job(kind=kind, data=received.job_data(kept, given)))
    await shop.worker()
    return job


async def done(shop: Shop, job: Job) -> tuple[str, dict[str, bytes]]:
    """Its result, and the files that go to the user. It was told its craft and its data."""

    async def ended() -> Job | None:
        found = await shop.queue.get(job.id)
        return found if found.status.final else None

    found = await until(ended, WORK_S)
    assert found is not None
    assert found.status is JobStatus.DONE, found.error
    first = Request(shop.claude.requests[0].body)
    assert "\n\nThis job " in first.system
    shown, _ = json.JSONDecoder().raw_decode(first.first_user_text.partition("Data:\n")[2])
    given = json.loads(job.data or "{}")
    assert shown.items() >= {k: v for k, v in given.items() if k != received.DATA_KEY}.items()
    folder = shop.settings.jobs_dir / str(job.id)
    rows = shop.rows("SELECT path FROM job_files ORDER BY id")
    return found.result or "", {row["path"]: (folder / row["path"]).read_bytes() for row in rows}


def say(*blocks: ToolUse | str) -> Reply:
    """A reply of one text, or of calls."""
    return Reply(blocks[0]) if isinstance(blocks[0], str) else Reply([*blocks])  # type: ignore[list-item]


# research: two sources are found, opened and compared

MAKER, TESTERS = "http://maker.test/stream", "http://testers.test/e-bikes?page=2"


def researcher(results: list[ToolResult]) -> Reply:
    if not results:
        return say(ToolUse("web_search", {"query": "weight of the Stream e-bike"}))
    found = re.findall(r"^http\S+", results[0].text, re.MULTILINE)
    if len(results) == 1:
        return say(*(ToolUse("web_fetch", {"url": url}) for url in found))
    weights = {
        url: w
        for r in results
        for url, w in re.findall(r'source="(\S+)".*?(\d+) kg', r.text, re.DOTALL)
    }
    lines = [f"- {weight} kg: {url}" for url, weight in weights.items()]
    if results[-1].name == "web_fetch":
        note = {"path": "report.md", "content": "\n".join(["# The Stream", *lines])}
        given = {"path": "report.md", "caption": "With all sources"}
        return say(ToolUse("write_file", note), ToolUse("attach_file", given))
    return say("\n".join(["The sources disagree:", *lines]))


async def test_research_searches_opens_its_sources_and_names_them(
    shop: Shop, internet: Internet
) -> None:
    shop.outgoing = internet.outgoing()
    shop.settings = replace(shop.settings, search="searxng", search_url="http://find.test")
    find = await internet.site("find.test")
    hits = [{"url": url, "title": "Stream", "content": "It weighs."} for url in (MAKER, TESTERS)]
    find.page("/search", json.dumps({"results": hits}), kind="application/json")
    maker, testers = await internet.site("maker.test"), await internet.site("testers.test")
    maker.page("/stream", "<html><body><h1>Stream</h1><p>It weighs only 17 kg.</p></body></html>")
    testers.page("/e-bikes", "<html><body><p>On our scales it has 19 kg.</p></body></html>")

    job = await begin(
        shop, "research", {"topic": "How heavy is the Stream?", "depth": 1}, researcher
    )

    result, files = await done(shop, job)
    sources = f"- 17 kg: {MAKER}\n- 19 kg: {TESTERS}"
    assert result == f"The sources disagree:\n{sources}"
    assert files == {"report.md": f"# The Stream\n{sources}".encode()}
    assert find.hits == ["GET find.test/search?q=weight+of+the+Stream+e-bike&format=json"]
    assert (maker.hits, testers.hits) == (
        ["GET maker.test/stream"],
        ["GET testers.test/e-bikes?page=2"],
    )


# data-processing: what does not add up is counted

SUMS: Final = """
import csv
rows = [*csv.DictReader(open("input/sales.csv"), delimiter=";")]
sums = {}
for row in rows:
    if row["price"]:
        price = float(row["price"].replace(",", "."))
        sums[row["town"]] = sums.get(row["town"], 0) + price
with open("sums.csv", "w", newline="") as file:
    csv.writer(file).writerows([("town", "sum"), *sums.items()])
print(f"{len(rows)} rows, {sum(not row['price'] for row in rows)} without a price.")
"""


def accountant(results: list[ToolResult]) -> Reply:
    if not results:
        return say(ToolUse("run_python", {"code": SUMS}))
    if len(results) == 1:
        given = {"path": "sums.csv", "caption": ""}
        return say(ToolUse("read_file", {"path": "sums.csv"}), ToolUse("attach_file", given))
    counted = re.search(r"\d+ rows.*", results[0].text)
    finish = {"summary": counted[0] if counted else "", "result_markdown": results[1].text}
    return say(ToolUse("finish", finish))


@sandboxed
async def test_data_processing_computes_with_a_program_and_gives_a_table(shop: Shop) -> None:
    sales = "town;price\nUtrecht;1999,50\nEde;51,00\nEde;\nUtrecht;0,50\n"

    job = await begin(shop, "data-processing", {"task": "Sums by town"}, accountant, sales=sales)

    result, files = await done(shop, job)
    assert files == {"sums.csv": b"town,sum\r\nUtrecht,2000.0\r\nEde,51.0\r\n"}
    assert "Utrecht,2000.0" in result
    rows = shop.rows("SELECT summary FROM job_results")
    assert rows == [{"summary": "4 rows, 1 without a price."}]


# report-generation: a PDF of the sections that were asked for, with a table and a chart

DRAW: Final = """
import csv, json
import matplotlib.pyplot as plt
costs = {row["year"]: int(row["cost"]) for row in csv.DictReader(open("input/costs.csv"))}
plt.bar(list(costs), list(costs.values()))
plt.savefig("costs.png")
print(json.dumps(costs))
"""
SECTIONS: Final = ["Costs fell by a fifth", "What to do next year"]


def reporter(results: list[ToolResult]) -> Reply:
    if not results:
        return say(ToolUse("run_python", {"code": DRAW}))
    found = re.search(r"\{.*\}", results[0].text)
    costs = json.loads(found[0] if found else "{}")
    if len(results) == 1:
        table = "\n".join(f"| {year} | {cost} |" for year, cost in costs.items())
        markdown = (
            f"# Costs\n\n## {SECTIONS[0]}\n\n| Year | Euro |\n|---|---|\n{table}\n\n"
            f"![Costs by year](costs.png)\n\n## {SECTIONS[1]}\n\nSource: costs.csv."
        )
        written = {"path": "report.pdf", "markdown": markdown}
        given = {"path": "report.pdf", "caption": ""}
        return say(ToolUse("write_document", written), ToolUse("attach_file", given))
    return say(f"From {max(costs.values())} to {min(costs.values())} euro: report.pdf.")


@sandboxed
@pytest.mark.skipif(find_spec("matplotlib") is None, reason="the extra `data` is not installed")
async def test_report_generation_writes_a_pdf_with_its_sections_a_table_and_a_chart(
    shop: Shop,
) -> None:
    given = {"topic": "Costs", "sections": SECTIONS, "format": "pdf"}
    costs = "year,cost\n2025,1000\n2026,800\n"

    job = await begin(shop, "report-generation", given, reporter, costs=costs)

    result, files = await done(shop, job)
    assert result == "From 1000 to 800 euro: report.pdf."
    (page,) = pypdf.PdfReader(io.BytesIO(files["report.pdf"])).pages
    text = " ".join(page.extract_text().split())
    expected = ["Costs", SECTIONS[0], "Year Euro 2025 1000 2026 800", SECTIONS[1], "costs.csv"]
    places = [text.index(part) for part in expected]
    assert places == sorted(places)
    assert len(page.images) == 1


# api-integration: all pages are read, one thing is changed, once and with a tap

KEY: Final = "books-secret-canary"
REMIND: Final = {"invoice": 7}


def bookkeeper(results: list[ToolResult]) -> Reply:
    answers = [json.loads(found[0]) for r in results if (found := re.search(r"\{.*\}", r.text))]
    pages = [answer for answer in answers if "invoices" in answer]
    late = [i["id"] for page in pages for i in page["invoices"] if i["days_late"] > 30]
    reminders = [answer for answer in answers if "reminder" in answer]
    if not pages or pages[-1]["next"]:
        query = f"page={pages[-1]['next'] if pages else 1}"
        return say(ToolUse("http_get", {"api": "books", "path": "/invoices", "query": query}))
    if not reminders:
        body = json.dumps({"invoice": late[0]})
        change = {"api": "books", "method": "POST", "path": "/reminders", "body": body}
        return say(ToolUse("http_request", change))
    number = reminders[0]["reminder"]
    if len(reminders) == 1:
        return say(ToolUse("http_get", {"api": "books", "path": f"/reminders/{number}"}))
    return say(f"Reminder {number} for invoice {reminders[1]['invoice']} is made.")


async def test_api_integration_reads_every_page_and_changes_one_thing_when_it_is_allowed(
    shop: Shop,
) -> None:
    books = Site()
    await books.start()
    made: list[Any] = []

    async def invoices(request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == f"Bearer {KEY}"
        first = request.query["page"] == "1"
        invoice = {"id": 3, "days_late": 2} if first else {"id": 7, "days_late": 45}
        return web.json_response({"invoices": [invoice], "next": 2 if first else None})

    async def reminders(request: web.Request) -> web.Response:
        made.append(await request.json())
        return web.json_response({"reminder": 55}, status=201)

    async def reminder(_request: web.Request) -> web.Response:
        return web.json_response({"reminder": 55, **made[0]})

    books.pages |= {"/v1/invoices": invoices, "/v1/reminders": reminders}
    books.pages["/v1/reminders/55"] = reminder
    (shop.folder / "apis.toml").write_text(
        f'[books]\naddress = "http://127.0.0.1:{books.port}/v1"\nabout = "Our books"\n'
        'methods = ["GET", "POST"]\nkey = "BOOKS_KEY"\n'
    )
    shop.settings = replace(shop.settings, keys={"BOOKS_KEY": Secret(KEY)})
    given = {"task": "Remind who is a month late.", "api": "books"}

    job = await begin(shop, "api-integration", given, bookkeeper)

    waiting = await shop.job_is(job.id, JobStatus.WAITING)
    assert waiting.question == f"1. POST books: /reminders\n{json.dumps(REMIND)}"
    assert made == []
    await shop.queue.store.write(partial(shop.queue.decide_in, job=waiting, allowed=True))
    result, _ = await done(shop, job)
    assert result == "Reminder 55 for invoice 7 is made."
    assert made == [REMIND]
    assert KEY not in str([record.body for record in shop.claude.requests])
    await books.stop()


# browser: a page that shows nothing without its script and a form

HOURS: Final = """<title>Shop</title><h1>Shop</h1><input aria-label="Town" id=t>
<button onclick="document.getElementById('h').textContent = document.getElementById('t').value
+ ': open from 10 to 17'">Show</button><p id=h></p>"""


def visitor(results: list[ToolResult]) -> Reply:
    if not results:
        return say(ToolUse("browser_open", {"url": "http://shop.test/"}))
    refs = dict(re.findall(r'"(\w+)".*?\[ref=(\w+)\]', results[0].text))
    if len(results) == 1:
        fill = ToolUse("browser_fill", {"ref": refs["Town"], "text": "Utrecht"})
        return say(fill, ToolUse("browser_click", {"ref": refs["Show"]}))
    if results[-1].name == "browser_click":
        picture = ToolUse("browser_screenshot", {"path": "hours.png"})
        return say(picture, ToolUse("attach_file", {"path": "hours.png", "caption": ""}))
    shown = re.search(r"\w+: open from \d+ to \d+", results[2].text)
    return say(shown[0] if shown else results[2].text)


@pytest.mark.skipif(not can_browse(), reason="there is no browser")
@pytest.mark.timeout(120)
async def test_browser_fills_a_form_reads_what_it_shows_and_takes_a_picture(
    shop: Shop, internet: Internet
) -> None:
    shop.outgoing = internet.outgoing()
    site = await internet.site("shop.test")
    site.page("/", HOURS)
    given = {"task": "When is the shop in Utrecht open?", "url": "http://shop.test/"}

    job = await begin(shop, "browser", given, visitor)

    result, files = await done(shop, job)
    assert result == "Utrecht: open from 10 to 17"
    assert list(files) == ["hours.png"]
    assert files["hours.png"].startswith(b"\x89PNG")


# code: a program is written, its test is seen to fail, and then to pass

ADDS: Final = """
import csv, sys
def total(lines):
    return sum(float(row["price"]{more}) for row in csv.DictReader(lines, delimiter=";"))
if __name__ == "__main__":
    print(total(sys.stdin))
"""
TESTS: Final = """
import unittest
from adds import total
class Adds(unittest.TestCase):
    def test_nothing(self):
        self.assertEqual(total(["price"]), 0)
    def test_commas(self):
        self.assertEqual(total(["price", "1,5", "2"]), 3.5)
unittest.main()
"""
RUN: Final = ToolUse(
    "run_shell", {"command": "python3 test_adds.py && printf 'price\\n1,5\\n' | python3 adds.py"}
)


def programmer(results: list[ToolResult]) -> Reply:
    runs = [result.text for result in results if result.name == "run_shell"]
    if not runs:
        first = {"path": "adds.py", "content": ADDS.replace("{more}", "")}
        test = {"path": "test_adds.py", "content": TESTS}
        return say(ToolUse("write_file", first), ToolUse("write_file", test), RUN)
    if "ValueError: could not convert string to float: '1,5'" in runs[-1]:
        mended = ADDS.replace("{more}", '.replace(",", ".")')
        return say(ToolUse("write_file", {"path": "adds.py", "content": mended}), RUN)
    if "Exit code 0." in runs[-1] and results[-1].name == "run_shell":
        return say(ToolUse("attach_file", {"path": "adds.py", "caption": ""}))
    said = re.search(r"(Ran \d tests).*\n(\S+)\n</kitt", runs[-1], re.DOTALL)
    ran, total = said.groups() if said else (runs[-1], "?")
    return say(f"{ran}, {len(runs)} times; the sum of 1,5 is {total}.")


@sandboxed
async def test_code_is_written_tested_mended_and_given(shop: Shop) -> None:
    job = await begin(shop, "code", {"task": "A program that adds up prices."}, programmer)

    result, files = await done(shop, job)
    assert result == "Ran 2 tests, 2 times; the sum of 1,5 is 1.5."
    assert list(files) == ["adds.py"]
    assert b'.replace(",", ".")' in files["adds.py"]

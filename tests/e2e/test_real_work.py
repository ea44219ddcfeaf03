"""Real work from chat to chat: a report, a table and a shop go in, and what was made comes back.

A person writes in the emulated Telegram, the bridge and two workers run under supervisord, and the
files that arrive in the chat are looked into. Scripted is only what the model says: it goes on by
what its tools have told it.
"""

import io
import json
import re
import shutil
from collections.abc import AsyncIterator
from importlib.util import find_spec
from typing import Any, Final

import history
import pypdf
import pytest
import pytest_asyncio
from internet import Internet, Site, environ_of
from PIL import Image
from reportlab.pdfgen.canvas import Canvas
from stack import Stack, started

from bridge.emulator.script import Reply, Request, ToolResult, ToolUse
from bridge.emulator.telegram_media import DOWNLOAD_BYTES_MAX
from bridge.tools.chromium import can_browse

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(300),
    pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed"),
    pytest.mark.skipif(find_spec("pandas") is None, reason="the extra `data` is not installed"),
]
WORK_S: Final = 200.0  # of a busy machine; a quiet one needs ten
BARS: Final = (31, 119, 180)  # the colour that matplotlib begins with
Color = tuple[int, int, int]


class Online(Stack):
    """A stack whose processes have the internet of a test."""

    @property
    def environ(self) -> dict[str, str]:
        return {**super().environ, **environ_of(self.folder / "internet")}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def kitt(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Online]:
    """Everything that `kitt up` starts, for three people."""
    stack = Online(tmp_path_factory.mktemp("kitt"), chats=3, workers=2, concurrency=1)
    async with started(stack):
        stack.claude.script.rules.insert(0, errands)
        yield stack
        history.check(stack.database, stack.telegram, stack.claude.key, claude=stack.claude)


def errands(request: Request) -> Reply | None:
    """The main agent hands over; the worker does what its instructions say."""
    said = request.first_user_text if request.is_worker else request.last_user_text
    for words, (kind, work) in ERRANDS.items():
        if words in said and request.is_worker:
            return work(request)
        if words in said:
            given = {"instructions": said, "kind": kind, "priority": "normal"}
            shown = {"acknowledgement": "I begin with it.", "title": words}
            return Reply([ToolUse("start_background_job", {**shown, **given})])
    return None


async def answered(kitt: Online, chat: int, words: str) -> tuple[str, dict[str, bytes]]:
    """The result that holds these words, and the files that came to this chat, by their names."""
    await kitt.said(chat, "I begin with it.", WORK_S)
    result = await kitt.said(chat, words, WORK_S)
    await kitt.settled(WORK_S)
    sent = [message.file for message in kitt.telegram.messages(chat) if message.from_bot]
    assert [job["status"] for job in kitt.jobs() if job["chat_id"] == str(chat)] == ["done"]
    return result, {file.name: file.data for file in sent if file is not None}


def share(picture: Image.Image, color: Color) -> float:
    """How much of a picture has this colour."""
    plain = picture.convert("RGB")
    counted: list[tuple[int, Any]] = plain.getcolors(plain.width * plain.height) or []
    return sum(n for n, seen in counted if seen == color) / (plain.width * plain.height)


def opened(data: bytes) -> Image.Image:
    assert data.startswith(b"\x89PNG")
    return Image.open(io.BytesIO(data))


# A table: statistics and a plot of a million rows

ROWS: Final = 1_000_000
REGIONS: Final = ("north", "east", "south", "west")
PROGRAM: Final = """
import json
import pandas
import matplotlib.pyplot as plt
table = pandas.read_csv("input/sales.csv")
amount, sums = table["amount"], table.groupby("region")["amount"].sum()
sums.plot.bar(title="Sales by region")
plt.savefig("chart.png")
print(json.dumps({"rows": len(table), "mean": amount.mean(), "median": amount.median(),
                  "deviation": round(amount.std(ddof=0), 4), **sums.to_dict()}))
"""


def table() -> bytes:
    """A million rows; every amount from 0 to 999 stands there equally often."""
    rows = [f"{n},{REGIONS[n % 4]},{n * 7919 % 1000}" for n in range(ROWS)]
    return "\n".join(["id,region,amount", *rows, ""]).encode()


def statistician(request: Request) -> Reply:
    """Computes and draws with one program, gives the picture, tells what came out."""
    results = request.all_tool_results
    if not results:
        return Reply([ToolUse("run_python", {"code": PROGRAM})])
    if len(results) == 1:
        return Reply([ToolUse("attach_file", {"path": "chart.png", "caption": "Sales"})])
    found = re.search(r"\{.*\}", results[0].text)
    return Reply(f"Sales: {found[0] if found else results[0].text}")


async def test_a_million_rows_sent_as_a_file_come_back_as_statistics_and_a_plot(
    kitt: Online,
) -> None:
    data = table()
    assert len(data) < DOWNLOAD_BYTES_MAX  # what a bot can fetch
    kitt.telegram.send_document(1, "sales.csv", data, caption="Sales by region, with a plot")

    result, files = await answered(kitt, 1, "Sales: ")

    assert json.loads(result[result.index("{") : result.index("}") + 1]) == {
        "rows": ROWS,
        "mean": 499.5,
        "median": 499.5,
        "deviation": 288.675,
        # 7919 n leaves the rest 3 n by 4: a region has every fourth amount, 1,000 times each
        **{name: 1_000 * sum(range(3 * n % 4, 1_000, 4)) for n, name in enumerate(REGIONS)},
    }
    assert list(files) == ["chart.png"]
    assert 0.1 < share(opened(files["chart.png"]), BARS) < 0.5  # four bars of nearly one height
    inputs = kitt.profile / "memory" / "jobs" / str(job_of(kitt, 1)) / "input"
    assert [path.name for path in inputs.iterdir()] == ["sales.csv"]  # and no text of half of it


def job_of(kitt: Online, chat: int) -> int:
    (job,) = [job["id"] for job in kitt.jobs() if job["chat_id"] == str(chat)]
    return int(job)


# A report: two hundred pages become one, with a table, a chart and the pages as sources

PAGES: Final = 200


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


def summarizer(request: Request) -> Reply:
    """Reads on as long as there is more, draws, writes with the pages as sources."""
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
        return Reply([ToolUse("write_document", {"path": "summary.pdf", "markdown": markdown})])
    if last.name == "write_document":
        return Reply([ToolUse("attach_file", {"path": "summary.pdf", "caption": ""})])
    return Reply("The summary is attached.")


async def test_two_hundred_pages_sent_as_a_file_come_back_as_a_summary_that_names_its_pages(
    kitt: Online,
) -> None:
    kitt.telegram.send_document(2, "report.pdf", report(), caption="Summarize the revenue")

    _, files = await answered(kitt, 2, "The summary is attached.")

    assert list(files) == ["summary.pdf"]
    (page,) = pypdf.PdfReader(io.BytesIO(files["summary.pdf"])).pages
    text = " ".join(page.extract_text().split())
    assert "Jaar Miljoen Bron" in text
    for number in range(40, PAGES + 1, 40):
        assert f"{2000 + number // 40} € {number * 3} p. {number}" in text
    (chart,) = page.images
    assert chart.image is not None
    assert 0.1 < share(chart.image, BARS) < 0.5
    asked = [record for record in kitt.claude.requests if "no weight" in str(record.body)]
    assert len(asked) < 15


# A shop: twelve pages are compared in a real browser, and pictures prove it

PRICES: Final = (49, 35, 52, 18, 27, 61, 44, 23, 39, 30)
PRICE: Final = re.compile(r'source="(\S+)">.*Price: (\d+)', re.DOTALL)
LAMP: Final = re.compile(r"/url: (http://shop\.test/lamp/\d+)")


def paper(lamp: int) -> Color:
    """The colour of the page of a lamp."""
    return (250 - 20 * lamp, 200, 30 + 20 * lamp)


def open_shop(site: Site) -> None:
    """Two pages of a list and ten lamps, whose prices only a script shows."""
    for number, lamps in ((1, range(5)), (2, range(5, 10))):
        links = "".join(f'<li><a href="/lamp/{lamp}">Lamp {lamp}</a></li>' for lamp in lamps)
        more = '<a href="/page/2">More lamps</a>' if number == 1 else ""
        site.page("/" if number == 1 else "/page/2", f"<h1>Lamps</h1><ul>{links}</ul>{more}")
    for lamp, price in enumerate(PRICES):
        site.page(
            f"/lamp/{lamp}",
            f"<title>Lamp {lamp}</title><body style='background: rgb{paper(lamp)}'>"
            f"<h1>Lamp {lamp}</h1><p id=p>…</p><script>setTimeout(() => "
            f"{{ document.getElementById('p').textContent = 'Price: {price} euro'; }}, 50)"
            "</script>",
        )


def comparer(request: Request) -> Reply:
    """Goes on by what it has read: lists, lamps, a picture of both ends, the answer."""
    results = request.all_tool_results
    if not results:
        return Reply([ToolUse("browser_open", {"url": "http://shop.test/"})])
    if len(results) == 1:
        ref = re.search(r'link "More lamps" \[ref=(\w+)\]', results[0].text)
        return Reply([ToolUse("browser_click", {"ref": ref[1] if ref else "none"})])
    lamps = [url for result in results[:2] for url in LAMP.findall(result.text)]
    prices = {found[1]: int(found[2]) for r in results if (found := PRICE.search(r.text))}
    ahead = [url for url in lamps if url not in prices]
    if ahead:
        return Reply([_towards(ahead[0], results[-1])])
    ranked = sorted(lamps, key=lambda url: prices[url])
    taken = {result.input["path"] for result in results if result.name == "browser_screenshot"}
    for path, url in (("cheapest.png", ranked[0]), ("dearest.png", ranked[-1])):
        if path not in taken and not _shows_price(url, results[-1]):
            return Reply([_towards(url, results[-1])])
        if path not in taken:
            picture = ToolUse("browser_screenshot", {"path": path})
            return Reply([picture, ToolUse("attach_file", {"path": path, "caption": url})])
    return Reply("\n".join(["The lamps, cheapest first:", *(f"{prices[u]}: {u}" for u in ranked)]))


def _towards(url: str, last: ToolResult) -> ToolUse:
    """Open a page, or read it once more: its script is not there yet."""
    there = f'source="{url}"' in last.text
    return ToolUse("browser_read", {}) if there else ToolUse("browser_open", {"url": url})


def _shows_price(url: str, last: ToolResult) -> bool:
    found = PRICE.search(last.text)
    return found is not None and found[1] == url


@pytest.mark.skipif(not can_browse(), reason="there is no browser")
async def test_a_shop_is_compared_in_the_browser_and_pictures_of_it_come_to_the_chat(
    kitt: Online,
) -> None:
    internet = Internet()
    site = await internet.site("shop.test")
    open_shop(site)
    internet.publish(kitt.folder / "internet")
    kitt.telegram.send(3, "Which is the cheapest lamp of shop.test, and which the dearest?")

    result, files = await answered(kitt, 3, "The lamps")

    told = re.findall(r"(\d+): http://shop\.test/lamp/(\d+)", result)
    assert told == [(str(price), str(PRICES.index(price))) for price in sorted(PRICES)]
    pages = {hit.partition(" shop.test")[2] for hit in site.hits}
    assert len(pages - {"/favicon.ico"}) == 12
    assert list(files) == ["cheapest.png", "dearest.png"]
    for data, price in zip(files.values(), (min(PRICES), max(PRICES)), strict=True):
        assert 0.9 < share(opened(data), paper(PRICES.index(price))) < 1  # and words on it
    await internet.close()


ERRANDS: Final = {
    "Sales by region": ("data-processing", statistician),
    "Summarize the revenue": ("report-generation", summarizer),
    "cheapest lamp": ("browser", comparer),
}

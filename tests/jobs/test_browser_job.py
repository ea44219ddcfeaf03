"""A job in a real browser: a shop of twelve pages is compared, and pictures prove it."""

import json
import re

import pytest
from fakes import a_job
from internet import Internet, Site
from waiting import until
from working import Shop

from bridge.emulator.script import Reply, Request, Text, ToolUse
from bridge.models import JobStatus
from bridge.tools.chromium import can_browse

pytestmark = [
    pytest.mark.skipif(not can_browse(), reason="there is no browser"),
    pytest.mark.timeout(180),
]
PRICES = [49, 35, 52, 18, 27, 61, 44, 23, 39, 30]
TASK = {"task": "Which is the cheapest lamp of shop.test?", "url": "http://shop.test/"}
PRICE = re.compile(r'source="(\S+)">.*Price: (\d+)', re.DOTALL)
LAMP = re.compile(r"/url: (http://shop\.test/lamp/\d+)")


def open_shop(site: Site) -> None:
    """Two pages of a list and ten lamps, whose prices only a script shows."""
    for number, lamps in ((1, range(5)), (2, range(5, 10))):
        links = "".join(f'<li><a href="/lamp/{lamp}">Lamp {lamp}</a></li>' for lamp in lamps)
        more = '<a href="/page/2">More lamps</a>' if number == 1 else ""
        site.page("/" if number == 1 else "/page/2", f"<h1>Lamps</h1><ul>{links}</ul>{more}")
    for lamp, price in enumerate(PRICES):
        site.page(
            f"/lamp/{lamp}",
            f"<title>Lamp {lamp}</title><h1>Lamp {lamp}</h1><p id=p>…</p><script>setTimeout(() => "
            f"{{ document.getElementById('p').textContent = 'Price: {price} euro'; }}, 50)"
            "</script>",
        )


def compare(request: Request) -> Reply | None:
    """A model that goes on by what it has read: lists, lamps, a picture, the answer."""
    if not request.is_worker or "cheapest lamp" not in request.first_user_text:
        return None
    results = request.all_tool_results
    if not results:
        return Reply([ToolUse("browser_open", {"url": TASK["url"]})])
    if len(results) == 1:
        ref = re.search(r'link "More lamps" \[ref=(\w+)\]', results[0].text)
        return Reply([ToolUse("browser_click", {"ref": ref[1] if ref else "none"})])
    lamps = [url for result in results[:2] for url in LAMP.findall(result.text)]
    prices = {found[1]: int(found[2]) for r in results if (found := PRICE.search(r.text))}
    ahead = [url for url in lamps if url not in prices]
    if ahead and f'source="{ahead[0]}"' in results[-1].text:
        return Reply([ToolUse("browser_read", {})])  # its script is not there yet
    if ahead:
        return Reply([ToolUse("browser_open", {"url": ahead[0]})])
    cheapest = min(lamps, key=lambda url: prices[url])
    proof = [
        ToolUse("browser_screenshot", {"path": "cheapest.png"}),
        ToolUse("browser_pdf", {"path": "cheapest.pdf"}),
        ToolUse("attach_file", {"path": "cheapest.png", "caption": "The cheapest"}),
    ]
    done = [result for result in results if result.name in {step.name for step in proof}]
    if not done and f'source="{cheapest}"' not in results[-1].text:
        return Reply([ToolUse("browser_open", {"url": cheapest})])
    if len(done) < len(proof):
        return Reply([proof[len(done)]])
    return Reply([Text(f"{cheapest} costs {prices[cheapest]} euro, of {len(prices)} lamps.")])


async def test_a_shop_is_compared_and_the_picture_goes_to_the_user(shop: Shop) -> None:
    internet = Internet()
    site = await internet.site("shop.test")
    open_shop(site)
    shop.outgoing = internet.outgoing()
    shop.claude.script.when(lambda request: compare(request) is not None, compare)
    new = a_job(prompt=TASK["task"], kind="browser", data=json.dumps(TASK))
    job = await shop.queue.add(new)
    await shop.worker()

    done = await until(lambda: shop.rows("SELECT result FROM jobs WHERE status = 'done'"), 120)

    assert done == [{"result": "http://shop.test/lamp/3 costs 18 euro, of 10 lamps."}]
    pages = {hit.partition(" shop.test")[2] for hit in site.hits}
    assert len(pages - {"/favicon.ico"}) == 12
    files = shop.rows("SELECT path, caption FROM job_files")
    assert files == [{"path": "cheapest.png", "caption": "The cheapest"}]
    folder = shop.settings.jobs_dir / str(job.id)
    assert (folder / "cheapest.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "cheapest.pdf").read_bytes().startswith(b"%PDF")
    assert (await shop.queue.get(job.id)).status is JobStatus.DONE
    await internet.close()

"""Makes docs/monitor.svg: `kitt queue monitor` beside two real workers at work.

    .venv/bin/python docs/make_monitor_picture.py

The workers are processes of their own on a database of their own; only the model is emulated. One
kind of job is paused, so that there is something to warn of.
"""

import asyncio
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.terminal_theme import TerminalTheme

from bridge import monitor, schedules
from bridge.clock import Clock
from bridge.emulator.claude import ClaudeEmulator
from bridge.emulator.story import story
from bridge.models import NewJob
from bridge.monitor_view import frame
from bridge.queue import Queue
from bridge.schedules import NewSchedule
from bridge.settings import Settings
from bridge.store import Store

PICTURE = Path(__file__).parent / "monitor.svg"
COLUMNS, LINES = 120, 30
PATIENCE_S = 60.0
# The colours of the other pictures.
THEME = TerminalTheme(
    (20, 24, 31),
    (215, 221, 230),
    [
        *((20, 24, 31), (240, 113, 120), (126, 200, 130), (230, 192, 100)),
        *((110, 160, 240), (200, 140, 230), (90, 200, 210), (215, 221, 230)),
    ],
)
JOBS = (
    ("Compare three e-bikes under € 2,000, sleep 30", "research"),
    ("Summarise the minutes of the last three meetings, sleep 60", "other"),
    ("Find a museum that is open on Monday, sleep 45", "research"),
    ("Collect what owners say about the Cortina, sleep 80", "research"),
    ("Convert the recipe to grams, quick job 5", "other"),
    ("Plan a weekend in Ghent by train, sleep 40", "other"),
    ("Translate the letter of the landlord, sleep 30", "translation"),
    ("Check the links of the club's site, sleep 30", "other"),
)


async def main() -> int:
    """Run the workers, photograph the monitor, end them."""
    claude = ClaudeEmulator(script=story(first_token_s=0.1, pace_s=0.0, worker_call_s=0.5))
    await claude.start()
    with tempfile.TemporaryDirectory() as folder:
        environ = {
            "KITT_PROFILE": folder,
            "KITT_WORKER_CONCURRENCY": "2",
            "ANTHROPIC_API_KEY": claude.key,
            "ANTHROPIC_BASE_URL": claude.base_url,
        }
        settings = Settings.load(environ, env_file=Path(folder) / "no.env")
        settings.memory.mkdir(parents=True)
        store = await Store.open(settings.database, settings.run_dir)
        queue = Queue(store=store, clock=Clock())
        workers = [await start(number, environ) for number in (1, 2)]
        try:
            await fill(queue)
            PICTURE.write_text(picture(await look_when_busy(queue)), encoding="utf-8")
        finally:
            for worker in workers:
                worker.kill()
                await worker.wait()
            await store.close()
            await claude.stop()
    return 0


async def start(number: int, environ: dict[str, str]) -> asyncio.subprocess.Process:
    """`kitt worker`, with nothing said on this terminal."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bridge", "worker", "--slot", str(number)),
        env={**os.environ, **environ},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )


async def fill(queue: Queue) -> None:
    """Jobs to run, jobs that wait, and two schedules."""
    await queue.pause("translation")
    for prompt, kind in JOBS:
        title = prompt.rpartition(", ")[0]  # what follows is for the emulated model
        await queue.add(NewJob(chat_id="12345", prompt=prompt, title=title, kind=kind))
    after = NewJob(chat_id="12345", prompt="Book the cheapest of them", after=(1,))
    await queue.add(after)
    news = NewSchedule(
        chat_id="12345", prompt="The news of today", cron="30 7 * * 1-5", zone="Europe/Amsterdam"
    )
    river = NewSchedule(chat_id="12345", prompt="How high is the river?", every_s=21_600)
    for schedule in (news, river):
        await queue.store.write(lambda tx, new=schedule: schedules.add(tx, new, now=Clock().now()))


async def look_when_busy(queue: Queue) -> dict[str, Any]:
    """The first look at which four jobs run, one has ended and another is past half."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            look = await queue.store.read(lambda tx: monitor.summary(tx, queue.clock.now()))
            far = max((job["progress"] or 0 for job in look["running"]), default=0)
            if len(look["running"]) == 4 and look["jobs"]["done"] and far >= 50:
                return look
            await asyncio.sleep(0.2)


def picture(look: dict[str, Any]) -> str:
    """The frame as SVG, without the web font that rich would have the reader fetch."""
    with Path(os.devnull).open("w") as nowhere:
        console = Console(record=True, width=COLUMNS, file=nowhere, force_terminal=True)
        console.print(frame(look, columns=COLUMNS, lines=LINES))
    svg = console.export_svg(title="kitt queue monitor", theme=THEME, unique_id="monitor")
    return re.sub(r"@font-face \{.*?\}", "", svg, flags=re.S)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

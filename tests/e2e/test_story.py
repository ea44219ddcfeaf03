"""`make demo`: it plays its story on the real thing, and says so when a step does not happen."""

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from waiting import until

Demo = asyncio.subprocess.Process
ROOT = Path(__file__).parents[2]
STEPS = (
    "Hello!",
    "#1",
    "What is 17 * 23?",
    "391",
    "card",
    "📎 report.md",
    "What about the second one?",
    "Cortina",
    "SELECT id, status",
    "1|done|",
    "Ending:",
)


@pytest.fixture
def home() -> Iterator[Path]:
    """Where the demo keeps its files; its path is short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="kitt-test-") as folder:
        yield Path(folder)


@pytest.fixture
async def demo(home: Path) -> AsyncIterator[Demo]:
    """`kitt demo --once` in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bridge",
        "demo",
        "--once",
        "--port",
        "0",
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(home)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    yield process
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)  # it ends what it has started
        await process.wait()


def children(pid: int) -> list[int]:
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def test_demo_plays_its_story_and_leaves_nothing_behind(demo: Demo, home: Path) -> None:
    output, errors = await asyncio.wait_for(demo.communicate(), 50)

    told = output.decode()
    assert demo.returncode == 0, errors.decode()
    at = -1
    for step in STEPS:
        at = told.find(step, at + 1)
        assert at >= 0, f"{step!r} is missing, or in another place:\n{told}"
    assert list(home.iterdir()) == []


async def test_demo_fails_when_kitt_ends_in_the_middle_of_the_story(demo: Demo) -> None:
    assert demo.stdout is not None
    while b"Hello!" not in await demo.stdout.readline():
        pass

    (supervisord,) = children(demo.pid)
    programs = children(supervisord)
    os.kill(supervisord, signal.SIGKILL)
    _, errors = await asyncio.wait_for(demo.communicate(), 20)

    assert demo.returncode == 1
    assert errors.decode() == (
        "kitt: `kitt up` ended by itself with exit code -9: it said nothing.\n"
    )
    await until(lambda: not any(_runs(pid) for pid in programs), 20)  # they drain first


def _runs(pid: int) -> bool:
    with suppress(OSError):
        return b"bridge" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False

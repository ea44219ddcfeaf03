"""A loop that stands still ends its process and says where; a worker that grows is renewed."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest
from fakes import FakeClock
from waiting import until

from bridge.process import rss_mb
from bridge.watchdog import LOOK_S, watch_memory

PROGRAM = """
import asyncio, re, sys, threading, time
from pathlib import Path
from bridge import logs, watchdog
from bridge.clock import Clock

def stand_still():
    time.sleep(60)

def hold_the_interpreter():
    re.match("(a+)+$", "a" * 60 + "b")

def leave_a_thread():
    threading.Thread(target=stand_still).start()

async def main():
    async with watchdog.guarded_loop("worker-1", Path(sys.argv[1]), Clock()):
        await asyncio.sleep(0.8)
        print("alive", flush=True)
        if len(sys.argv) > 2:
            globals()[sys.argv[2]]()

watchdog.LOOK_S, watchdog.HUNG_S = 0.1, 0.5
logs.configure(())
asyncio.run(main())
print("ended", flush=True)
"""


def run(folder: Path, *how: str) -> "subprocess.CompletedProcess[str]":
    """A guarded program, to its end; times are 150 times shorter."""
    command = [sys.executable, "-c", PROGRAM, str(folder), *how]
    return subprocess.run(command, capture_output=True, text=True, timeout=20)


@pytest.mark.parametrize("how", ["stand_still", "hold_the_interpreter"])
def test_a_loop_that_stands_still_ends_its_process_and_the_next_one_says_where(
    tmp_path: Path, how: str
) -> None:
    hung = run(tmp_path, how)
    following = run(tmp_path)
    later = run(tmp_path)

    assert (hung.returncode, hung.stdout) == (1, "alive\n")
    assert (following.returncode, following.stdout) == (0, "alive\nended\n")
    assert "worker-1 stood still for 0 s and was ended, in these places:" in following.stderr
    assert f" in {how}\n" in following.stderr
    assert later.stderr == ""
    (alert,) = (tmp_path / "alerts").iterdir()
    found = json.loads(alert.read_text())
    assert (found["alert"], found["program"]) == ("hung", "worker-1")
    assert how not in alert.read_text()


def test_a_process_that_cannot_end_is_ended(tmp_path: Path) -> None:
    left = run(tmp_path, "leave_a_thread")

    assert (left.returncode, left.stdout) == (1, "alive\nended\n")


async def test_a_worker_above_its_limit_drains_once(clock: FakeClock) -> None:
    drained: list[None] = []
    watching = asyncio.create_task(watch_memory(clock, 1, lambda: drained.append(None)))
    await until(lambda: clock.sleeping)
    before = list(drained)

    clock.advance(LOOK_S)
    await asyncio.wait_for(watching, 5)

    assert (before, drained) == ([], [None])


async def test_a_worker_below_its_limit_goes_on(clock: FakeClock) -> None:
    drained: list[None] = []
    held_mb = rss_mb()
    assert held_mb is not None
    limit_mb = round(held_mb) * 2
    watching = asyncio.create_task(watch_memory(clock, limit_mb, lambda: drained.append(None)))
    for _ in range(3):
        await until(lambda: clock.sleeping)
        clock.advance(LOOK_S)

    await until(lambda: clock.sleeping)
    watching.cancel()

    assert drained == []


async def test_without_a_limit_nothing_is_watched(clock: FakeClock) -> None:
    await asyncio.wait_for(watch_memory(clock, 0, lambda: pytest.fail("drained")), 5)

"""What a program checks of itself every 15 s: that its loop turns, and how much memory it holds.

A loop that stands still answers nobody and cannot notice it itself. So the loop puts off its own
end again and again: a thread of faulthandler, which needs neither the loop nor the interpreter,
ends the process when that has not happened for 75 s. Where each thread stood is kept in a file and
logged by the next process of the slot, with a time and redacted like everything in the log.
"""

import asyncio
import faulthandler
import logging
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final

from bridge import alert_box
from bridge.clock import Clock
from bridge.process import rss_mb

log = logging.getLogger(__name__)
LOOK_S: Final = 15.0
HUNG_S: Final = 75.0  # five looks: no tool and no text keeps a loop for so long


@asynccontextmanager
async def guarded_loop(name: str, run_dir: Path, clock: Clock) -> AsyncIterator[None]:
    """End this process, exit code 1, when its loop stands still for 75 s.

    `name` is a slot (`bridge`, `worker-1`) whose lock the caller holds. The end of the process is
    guarded too, after this block: a thread that never returns must not keep the slot.
    """
    stood_still = run_dir / f"{name}.hung"
    _tell_of_the_last(name, stood_still)
    try:  # kept open on purpose: faulthandler writes to the descriptor when nothing else works
        file: IO[Any] = stood_still.open("wb")
    except OSError:  # a full disk must not keep a program from starting
        file = sys.stderr
    _put_off(file)
    guarding = asyncio.create_task(_guard(file, clock))
    try:
        yield
    finally:
        guarding.cancel()
        _put_off(file)


async def watch_memory(clock: Clock, limit_mb: int, drain: Callable[[], None]) -> None:
    """Call `drain` once this process holds more than `limit_mb`, and return; 0 = no limit.

    A worker then gives its jobs back and ends, and supervisord starts a new one in its place.
    """
    while limit_mb:
        await clock.sleep(LOOK_S)
        held_mb = rss_mb() or 0.0
        if held_mb > limit_mb:
            log.warning(
                "%.0f MB is more than KITT_WORKER_MEMORY_MB, %d: draining, to be started anew",
                held_mb,
                limit_mb,
            )
            drain()
            return


async def _guard(file: IO[Any], clock: Clock) -> None:
    while True:
        await clock.sleep(LOOK_S)
        _put_off(file)


def _put_off(file: IO[Any]) -> None:
    faulthandler.dump_traceback_later(HUNG_S, exit=True, file=file)


def _tell_of_the_last(name: str, stood_still: Path) -> None:
    stood = ""
    with suppress(OSError):
        stood = stood_still.read_text(encoding="utf-8", errors="replace")
    if stood:
        log.error("%s stood still for %.0f s and was ended, in these places:", name, HUNG_S)
        for line in stood.splitlines():
            log.error("%s", line)
        alert_box.put(stood_still.parent / alert_box.FOLDER, "hung", name, seconds=round(HUNG_S))

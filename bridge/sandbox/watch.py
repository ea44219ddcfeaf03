"""What all processes of a sandbox use together, looked at from outside.

A limit of the kernel holds for one process; cgroups, which would hold all of them, are for root
alone on most machines. So memory and files are counted again and again, and too much ends the run.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from bridge.sandbox.folder import Unruly, measured
from bridge.sandbox.walls import Limits

EVERY_S: Final = 0.5


async def exceeded(
    pid: int, folder: Path | None, limits: Limits, printed: Callable[[], int]
) -> str:
    """Wait until the processes below `pid` use too much, and say of what.

    A folder that is too full already may not grow. Raises: Unruly when it cannot be looked at.
    """
    used, entries = await asyncio.to_thread(_used, folder)
    used_max = max(used, limits.folder_mb * 1_000_000)
    entries_max = max(entries, limits.folder_entries)
    while True:
        memory_mb = await asyncio.to_thread(_memory_mb, pid)
        if memory_mb > limits.memory_all_mb:
            return f"its processes used more than {limits.memory_all_mb:,} MB of memory"
        try:
            used, entries = await asyncio.to_thread(_used, folder)
        except Unruly as error:
            return f"it made a mess of its folder: {error}"
        if printed() > limits.printed_mb * 1_000_000:
            return f"it printed more than {limits.printed_mb:,} MB"
        if used > used_max:
            return f"its files took more than {used_max // 1_000_000:,} MB"
        if entries > entries_max:
            return f"it made more than {entries_max:,} files and folders"
        await asyncio.sleep(EVERY_S)


def _used(folder: Path | None) -> tuple[int, int]:
    return measured(folder) if folder is not None else (0, 0)


def _memory_mb(pid: int) -> int:
    kilobytes = 0
    for process in _below(pid):
        with suppress(OSError, ValueError, IndexError):  # it has ended meanwhile
            text = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii")
            shares = text.partition("\nPss:")[2]  # what several share is counted once
            kilobytes += int(shares.split(maxsplit=1)[0])
    return kilobytes // 1_000


def _below(pid: int) -> Iterator[int]:
    """A process and all that came from it."""
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            for child in task.read_text(encoding="ascii").split():
                yield from _below(int(child))

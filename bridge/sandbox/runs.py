"""One run of foreign code in the sandbox: what it prints is kept, what it takes too much ends it.

The kernel's limits are for each process; what all of them use together, memory, files and time, is
watched from outside. However a run ends, also by being cancelled, all of its processes are dead
when `run` returns: they live in a namespace that dies with its first process, which dies with ours.
"""

import asyncio
import os
import signal
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bridge.sandbox.calls import filter_to_read
from bridge.sandbox.folder import MEND, Unruly, hand_over, measured
from bridge.sandbox.walls import Limits, Walls
from bridge.sandbox.watch import exceeded

END_S: Final = 5.0  # for the kernel to take down what was killed
FIRST_BYTES: Final = 12_000  # of what is printed; about 5k tokens with the last ones
LAST_BYTES: Final = 8_000
# The program comes through its standard input: an argument would be seen by every user's `ps`.
_SAVE: Final = 'cat >/tmp/program && exec "$0" /tmp/program </dev/null'
PYTHON: Final = ("/bin/sh", "-c", _SAVE, "python3")
SHELL: Final = ("/bin/sh", "-c", _SAVE, "bash")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """How it ended: its exit code, what it printed, and why we ended it, if we did."""

    exit_code: int
    printed: str
    ended: str = ""


@dataclass(slots=True)
class _Printed:
    """The first and the last of what is printed, however much it is."""

    first: bytearray = field(default_factory=bytearray)
    last: bytearray = field(default_factory=bytearray)
    total: int = 0

    def add(self, data: bytes) -> None:
        self.total += len(data)
        room = FIRST_BYTES - len(self.first)
        self.first += data[:room]
        self.last += data[room:]
        del self.last[:-LAST_BYTES]

    def size(self) -> int:
        return self.total

    def text(self) -> str:
        left_out = self.total - len(self.first) - len(self.last)
        middle = f"\n[… {left_out:,} bytes are left out here …]\n".encode() if left_out else b""
        return bytes(self.first + middle + self.last).decode("utf-8", "replace")


async def run(
    walls: Walls,
    folder: Path,
    program: str,
    *,
    language: tuple[str, ...] = PYTHON,
    limits: Limits | None = None,
) -> Ran:
    """Run a program with this folder as its own, which is made when it is not there.

    Raises: OSError when it cannot be started, Unruly when the folder cannot be used.
    """
    await _in_order(walls, folder)
    ran = await _closed_in(walls, folder, language, program, limits or Limits())
    await _in_order(walls, folder)
    return ran


async def _in_order(walls: Walls, folder: Path) -> None:
    """Give the folder to who runs in it; what nobody could look through is mended by a run."""
    try:
        await asyncio.to_thread(hand_over, folder, walls.owner)
        await asyncio.to_thread(measured, folder)
    except Unruly:
        await _closed_in(walls, folder, SHELL, MEND, Limits(), watched=False)
        await asyncio.to_thread(hand_over, folder, walls.owner)


async def _closed_in(
    walls: Walls,
    folder: Path,
    language: tuple[str, ...],
    program: str,
    limits: Limits,
    *,
    watched: bool = True,
) -> Ran:
    with filter_to_read() as filters:
        process = await asyncio.create_subprocess_exec(
            *walls.command(folder, limits, filters),
            *language,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={},
            cwd="/",
            pass_fds=filters,
            start_new_session=True,
        )
    printed = _Printed()
    tasks = [asyncio.create_task(_attend(process, program, printed))]
    if watched:
        tasks.append(asyncio.create_task(exceeded(process.pid, folder, limits, printed.size)))
    ended = f"it took longer than {limits.wall_s:,.0f} s"
    try:
        done, _ = await asyncio.wait(
            tasks, timeout=limits.wall_s, return_when=asyncio.FIRST_COMPLETED
        )
        for task in done:
            ended = task.result()
    finally:
        for task in tasks[1:]:
            task.cancel()
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        await asyncio.wait(tasks, timeout=END_S)
        tasks[0].cancel()
    exit_code = process.returncode if process.returncode is not None else -signal.SIGKILL
    return Ran(exit_code=exit_code, printed=printed.text(), ended=ended)


async def _attend(process: asyncio.subprocess.Process, program: str, printed: _Printed) -> str:
    """Hand the program in, keep what it prints, wait until it has ended by itself."""
    assert process.stdin is not None
    assert process.stdout is not None
    with suppress(BrokenPipeError, ConnectionResetError):
        process.stdin.write(program.encode("utf-8", "replace"))
        await process.stdin.drain()
    process.stdin.close()
    while data := await process.stdout.read(65_536):
        printed.add(data)
    await process.wait()
    return ""

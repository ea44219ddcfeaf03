"""The programs under test: started by the zygote, killed, frozen, and started again.

They are real processes on a real profile; only their start is a fork instead of an interpreter.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from bridge.errors import KittError

PATIENCE_S: Final = 60.0  # of a slow machine; a quiet one starts a zygote in 1.5 s


@dataclass(slots=True, eq=False)
class Process:
    """One life of a program. `ended` gives its exit code, negative for a signal."""

    name: str
    pid: int
    life: int
    ended: "asyncio.Future[int]"
    frozen: bool = False
    armed: bool = False  # with orders for its failpoints

    def signal(self, number: int) -> None:
        """Send a signal; to a process that has just ended, none."""
        if not self.ended.done():
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)


class Zygote:
    """The process that forks the programs; see zygote.py."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._starting: list[tuple[str, int, asyncio.Future[Process]]] = []
        self._alive: dict[int, Process] = {}
        self._reader: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls) -> Self:
        """Start one and wait until it has imported everything."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "bridge.prove.zygote",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for whoever started us
        )
        zygote = cls(process)
        assert process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            if not await process.stdout.readline():
                raise KittError("The process that starts the programs ended at once.")
        zygote._reader = asyncio.create_task(zygote._listen(process.stdout))
        return zygote

    async def close(self) -> None:
        """End it, and with it every program that still runs."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()
        if self._reader is not None:
            await self._reader

    async def start(self, name: str, life: int, order: Mapping[str, Any]) -> Process:
        """Fork one program."""
        assert self._process.stdin is not None
        started: asyncio.Future[Process] = asyncio.get_running_loop().create_future()
        self._starting.append((name, life, started))
        line = json.dumps({"name": name, "life": life, **order})
        self._process.stdin.write(line.encode() + b"\n")
        return await started

    async def _listen(self, stream: asyncio.StreamReader) -> None:
        while line := await stream.readline():
            told = json.loads(line)
            if "started" in told:
                name, life, started = self._starting.pop(0)
                process = Process(name, told["pid"], life, asyncio.Future())
                self._alive[process.pid] = process
                started.set_result(process)
            elif "stopped" in told:
                self._alive[told["stopped"]].frozen = True
            else:
                self._alive.pop(told["ended"]).ended.set_result(told["code"])


@dataclass(slots=True, kw_only=True)
class Crew:
    """Bridge and workers of one profile.

    `plan` are the orders for the failpoints of what starts from now on, `statements` replace those
    of sql/. With `restarting`, what ends is started again at once, as if it had lived long: nobody
    counts its crashes, and `forgive` is awaited before a bridge starts. `heard` is told of every
    end.
    """

    zygote: Zygote
    folder: Path
    environ: Mapping[str, str]
    plan: Path | None = None
    statements: Mapping[str, str] = field(default_factory=dict)
    restarting: bool = False
    heard: Callable[[Process, int], None] = lambda _process, _code: None
    forgive: Callable[[], Awaitable[object]] | None = None
    running: dict[str, Process] = field(default_factory=dict)
    _lives: int = 0
    _watchers: set[asyncio.Task[None]] = field(default_factory=set)

    async def start(self, name: str, *, plan: Path | None = None) -> Process:
        """Start `bridge` or `worker-N`."""
        self._lives += 1
        run_dir = Path(self.environ["KITT_PROFILE"]) / "memory" / "run"
        (run_dir / f"{name}.crashes").unlink(missing_ok=True)
        order = {
            "environ": dict(self.environ),
            "plan": str(plan or self.plan or ""),
            "statements": dict(self.statements),
            "log": str(self.folder / f"{name}.log"),
        }
        process = await self.zygote.start(name, self._lives, order)
        process.armed = bool(order["plan"])
        self.running[name] = process
        watcher = asyncio.create_task(self._watch(process))
        self._watchers.add(watcher)
        watcher.add_done_callback(self._watchers.discard)
        return process

    async def end(self, number: int = signal.SIGTERM) -> list[int]:
        """Send everyone a signal and wait; the exit codes."""
        self.restarting = False
        mine = [process for process in self.running.values() if not process.ended.done()]
        for process in mine:
            process.signal(number)
            process.signal(signal.SIGCONT)
        return [await process.ended for process in mine]

    async def _watch(self, process: Process) -> None:
        code = await process.ended
        self.heard(process, code)
        if self.restarting and self.running.get(process.name) is process:
            if process.name == "bridge" and self.forgive is not None:
                await self.forgive()
            await self.start(process.name)

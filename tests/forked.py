"""The real programs without supervisord, forked from one zygote: a start costs milliseconds.

Tests order their failpoints, kill them and start them again one by one.
"""

import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from stack import Stack
from waiting import until

from bridge.prove.crew import Crew, Process, Zygote

LEASE_S = 1.0  # the shortest there is


class Forked(Stack):
    """One profile, both emulators, and programs that a test starts itself."""

    def __init__(self, folder: Path, zygote: Zygote, *, chats: int, concurrency: int) -> None:
        super().__init__(folder, chats=chats, workers=0, concurrency=concurrency)
        self.profile.mkdir()
        self._zygote = zygote
        self._crew: Crew | None = None

    @property
    def environ(self) -> dict[str, str]:
        return {**super().environ, "KITT_LEASE_S": str(LEASE_S)}

    async def start(self, name: str, **points: dict[str, object]) -> Process:
        """Start `bridge` or `worker-N`, with what it does at which failpoint."""
        if self._crew is None:
            self._crew = Crew(zygote=self._zygote, folder=self.folder, environ=self.environ)
        plan = None
        if points:
            orders = {point: [order] for point, order in points.items()}
            plan = self.folder / f"{name}.plan"
            plan.write_text(json.dumps({"journal": str(self.folder / "hits"), "points": orders}))
        process = await self._crew.start(name, plan=plan)
        if name == "bridge":
            await until(lambda: self.telegram.updates.polled or process.ended.done(), 20)
        return process

    async def crash(self, name: str) -> None:
        """SIGKILL a program and wait for its end."""
        assert self._crew is not None
        process = self._crew.running[name]
        process.signal(signal.SIGKILL)
        await process.ended

    async def froze(self, process: Process) -> None:
        """Wait until a process has stopped."""
        await until(lambda: process.frozen, 20)

    def log(self, name: str) -> str:
        """What all lives of a program wrote."""
        return (self.folder / f"{name}.log").read_text()

    async def close(self) -> None:
        if self._crew is not None:
            await self._crew.end(9)
        await super().close()


@asynccontextmanager
async def forked(
    folder: Path, zygote: Zygote, *, chats: int = 1, concurrency: int = 4
) -> AsyncIterator[Forked]:
    """A fresh profile; chats 1 … `chats` may use it. Nothing is started yet."""
    stack = Forked(folder, zygote, chats=chats, concurrency=concurrency)
    await stack.telegram.start()
    await stack.claude.start()
    try:
        yield stack
    finally:
        await stack.close()

"""A shop with workers inside a test: a real database, real workers, the emulated model."""

import asyncio
from pathlib import Path
from typing import Any, Final

from fakes import FakeClock, a_job, shell
from waiting import until

from bridge.agent.model import AnthropicModel, Model
from bridge.emulator.claude import ClaudeEmulator
from bridge.emulator.claude_log import Record
from bridge.emulator.script import Reply, Request, Text, Thinking, ToolUse
from bridge.kinds.registry import Kinds
from bridge.models import Job, JobStatus, NewJob
from bridge.outgoing import Outgoing
from bridge.queue import Queue
from bridge.settings import Settings
from bridge.store import Store
from bridge.work import Work
from bridge.worker import Worker

WROTE: Final = "Wrote count.md"  # the result of the second step
STEP: Final = "counting the left bank"


class CountingClock(FakeClock):
    """A clock that knows how often a worker has looked at it."""

    looks = 0

    def monotonic(self) -> float:
        self.looks += 1
        return super().monotonic()


class Shop:
    """A database, an emulated model, and the workers of a test."""

    def __init__(self, folder: Path, store: Store, claude: ClaudeEmulator) -> None:
        self.folder = folder
        self.store = store
        self.claude = claude
        self.clock = CountingClock()
        self.queue = Queue(store=store, clock=self.clock, jitter=lambda: 0.0)
        self.settings = Settings(profile=folder, anthropic_base_url=claude.base_url)
        self.outgoing = Outgoing()
        self.running: list[tuple[Worker, asyncio.Task[None]]] = []
        self.stores: list[Store] = []
        self._models: list[Model] = []

    async def worker(
        self,
        *,
        slot: str = "worker-1",
        concurrency: int = 4,
        key: str = "",
        model: Model | None = None,
        busy_timeout_s: float = 10.0,
        kinds: tuple[str, ...] = (),
        except_kinds: tuple[str, ...] = (),
    ) -> Worker:
        """A worker that runs, with connections of its own, as a process has them."""
        store = await Store.open(
            self.store.path, self.store.path.parent / "run", busy_timeout_s=busy_timeout_s
        )
        self.stores.append(store)
        model = model or AnthropicModel(key=key or self.claude.key, base_url=self.claude.base_url)
        self._models.append(model)
        work = Work(
            queue=Queue(store=store, clock=self.clock, jitter=lambda: 0.0),
            model=model,
            clock=self.clock,
            settings=self.settings,
            outgoing=self.outgoing,
            kinds=Kinds(self.settings.profile),
        )
        worker = Worker(
            work=work,
            slot=slot,
            concurrency=concurrency,
            kinds=kinds,
            except_kinds=except_kinds,
        )
        self.running.append((worker, asyncio.create_task(worker.run())))
        return worker

    async def ended(self, worker: Worker) -> None:
        """Wait until a drained worker has ended."""
        (task,) = [task for one, task in self.running if one is worker]
        await asyncio.wait_for(task, 10)

    async def job_is(self, job_id: int, status: JobStatus) -> Job:
        """Wait until a job stands there."""

        async def there() -> Job | None:
            job = await self.queue.get(job_id)
            return job if job.status is status else None

        job = await until(there, 10)
        assert job is not None
        return job

    async def asked(self, number: int) -> list[Record]:
        """Wait until the model was asked so often."""
        return await self.claude.wait_for(
            lambda records: list(records) if len(records) >= number else None
        )

    async def look(self) -> None:
        """Wait until every worker has looked around once more."""
        looks = self.clock.looks
        self.store.wake.nudge("worker")
        await until(lambda: self.clock.looks > looks)

    def advance(self, seconds: float) -> None:
        """Let time pass for everyone."""
        self.clock.advance(seconds)
        self.store.wake.nudge("worker")

    def rows(self, sql: str) -> list[dict[str, Any]]:
        return shell(self.store.path, sql)

    async def reads(self, sql: str, rows: list[dict[str, Any]]) -> None:
        """Wait until the database says so."""
        await until(lambda: self.rows(sql) == rows)

    async def close(self) -> None:
        for worker, _ in self.running:
            worker.drain()
            worker.drain()
        self.claude.clear_faults()
        await asyncio.gather(*(task for _, task in self.running), return_exceptions=True)
        for model in self._models:
            await model.close()
        for store in self.stores:
            await store.close()


def pelicans(request: Request) -> Reply | None:
    """Three model calls: a step, a file, the answer."""
    if not request.is_worker or "pelicans" not in request.first_user_text:
        return None
    calls = [
        ToolUse("report_progress", {"step": STEP, "percent": 50}),
        ToolUse("write_file", {"path": "count.md", "content": "42"}),
    ]
    done = len(request.all_tool_results)
    if done < len(calls):
        return Reply([Thinking(f"Step {done}."), calls[done]])
    return Reply([Thinking("That is all."), Text("There are 42 pelicans.")])


def quick(number: int, **changes: Any) -> NewJob:
    """A job of one model call with `result N`."""
    return a_job(prompt=f"quick job {number}", **changes)

"""A worker: claim → run → finish, fail or give back; several jobs at once, none of them ours.

It never speaks to Telegram: a result, the delivery that carries it and the claim of the next job
are one commit. Its leases are extended while it works, by a thread when the loop is kept busy; what
it no longer holds (cancelled, or taken back while it was frozen) is stopped without writing a word.
On TERM it takes nothing new, lets its jobs finish for a while and gives the rest back, to go on
from their last finished step.
"""

import asyncio
import logging
import os
import secrets
import socket
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from bridge import failpoints, results
from bridge.agent.outcome import Outcome
from bridge.clock import moment, stamp
from bridge.errors import (
    BudgetUsedUp,
    JobWaits,
    KindRefused,
    LeaseLost,
    ModelRefused,
    ModelUnavailable,
    NewerSchema,
    TryLater,
    TurnLimitReached,
)
from bridge.kinds import Failed
from bridge.line import Claimant
from bridge.models import JOB_TIMEOUT_S, Job
from bridge.store import Tx
from bridge.work import Work

log = logging.getLogger(__name__)
IDLE_LOOK_S: Final = 2.0  # for rows made by hand; everything else announces itself
BUSY_LOOK_S: Final = 0.5  # a status set to cancelled by hand stops the job within a second
DRAIN_S: Final = 20.0  # supervisord waits 30 s before it kills
PROVIDER_WAIT_MAX_S: Final = 60.0
RESERVED_WAIT_S: Final = 20.0  # what others reserved of a budget, they soon give back in part


@dataclass(slots=True)
class Running:
    """One attempt that runs here. `late` once it was stopped for taking too long.

    `following` is the job its end has claimed: set before that commit can be seen by anyone.
    """

    job: Job
    task: asyncio.Task[None]
    ends_at: float  # monotonic seconds
    late: bool = False
    following: Job | None = None


class Worker:
    """One worker process. `run` ends after `drain` was called.

    `kinds` are the only ones it takes, `except_kinds` those that have workers of their own.
    """

    def __init__(
        self,
        *,
        work: Work,
        slot: str,
        concurrency: int,
        kinds: tuple[str, ...] = (),
        except_kinds: tuple[str, ...] = (),
    ) -> None:
        self.worker_id = f"{slot}:{os.getpid()}:{secrets.token_hex(4)}"
        self._who = Claimant(worker_id=self.worker_id, kinds=kinds, except_kinds=except_kinds)
        self._work = work
        self._queue = work.queue
        self._clock = work.clock
        self._concurrency = concurrency
        self._running: dict[tuple[int, int], Running] = {}
        self._provider_waits: dict[int, int] = {}
        self._draining = False
        self._over = threading.Event()
        self._beat_at = self._rescue_at = 0.0

    def drain_soon(self) -> None:
        """Take nothing new; when it drains already, that changes nothing."""
        if not self._draining:
            self.drain()

    def drain(self) -> None:
        """Take nothing new. A second call gives back what runs at once."""
        if self._draining:
            for running in self._running.values():
                running.task.cancel()
        self._draining = True
        self._queue.store.wake.notify()

    async def run(self) -> None:
        """Work until drained. An idle worker writes nothing."""
        self._queue.store.wake.listen(self._who.slot)
        await self._is("idle")
        threading.Thread(target=self._beat_for_a_busy_loop, daemon=True).start()
        try:
            await self._work_until_drained()
            await self._is("draining")
            await self._give_back()
            await self._is("gone")
        finally:
            self._over.set()

    async def _work_until_drained(self) -> None:
        wake = self._queue.store.wake
        version, due, look = -1, None, True
        while not self._draining:
            try:
                await self._upkeep()
                if not look:
                    before, version = version, await self._queue.store.data_version()
                    look = version != before or self._is_due(due)
                if look:
                    await self._take()
                    due = await self._queue.next_look_at()
                look = await wake.wait(self._look_s(due))
            except TryLater as error:
                log.warning("%s", error)
                await self._clock.sleep(IDLE_LOOK_S)

    async def _is(self, state: str) -> None:
        """Enter what this worker does in `workers`; a busy database must not stop it."""
        try:
            await self._queue.register(
                self._who, pid=os.getpid(), host=socket.gethostname(), state=state
            )
        except TryLater as error:
            log.warning("%s", error)

    def _beat_for_a_busy_loop(self) -> None:
        """In a thread: code that holds the loop must not cost the leases of what runs."""
        while not self._over.wait(self._queue.lease_s / 3):
            if self._running and self._clock.monotonic() > self._beat_at:
                self._queue.store.write_soon(lambda tx: self._queue.beat(tx, self.worker_id))

    def _is_due(self, due: str | None) -> bool:
        return due is not None and due <= stamp(self._clock.now())

    def _look_s(self, due: str | None) -> float:
        """How long to sleep at most."""
        look_s = BUSY_LOOK_S if self._running else IDLE_LOOK_S
        if due is None or len(self._running) >= self._concurrency:
            return look_s
        try:
            due_s = (moment(due) - self._clock.now()).total_seconds()
        except ValueError:  # written by hand
            return look_s
        return min(look_s, max(0.001, due_s))

    async def _take(self) -> None:
        """Stop what is no longer ours, then fill the free places."""
        await self._compare(self._queue.held)
        while len(self._running) < self._concurrency and not self._draining:
            job = await self._queue.claim(self._who)
            if job is None:
                return
            task = asyncio.create_task(self._run_jobs(job))
            self._runs(job, task)
            task.add_done_callback(self._left)

    def _runs(self, job: Job, task: asyncio.Task[None]) -> None:
        ends_at = self._clock.monotonic() + (job.timeout_s or JOB_TIMEOUT_S)
        self._running[job.id, job.attempt] = Running(job, task, ends_at)

    def _left(self, task: asyncio.Task[None]) -> None:
        (key,) = [key for key, running in self._running.items() if running.task is task]
        del self._running[key]
        if not task.cancelled() and task.exception() is not None:
            log.error("The end of job %d could not be written: %s", key[0], task.exception())
        self._queue.store.wake.notify()  # there is a free place

    async def _upkeep(self) -> None:
        """Extend our leases, stop what takes too long, take back the jobs of dead workers."""
        now = self._clock.monotonic()
        if self._running and now >= self._beat_at:
            await self._compare(self._queue.heartbeat)
            self._beat_at = now + self._queue.lease_s / 3
        for running in self._running.values():
            if now >= running.ends_at and not running.late:
                running.late = True
                running.task.cancel()
        if now >= self._rescue_at:
            for job in await self._queue.rescue(self.worker_id):
                log.warning("Job %d is taken back from its worker", job.id)
            self._rescue_at = now + self._queue.lease_s / 2

    async def _compare(self, ask: Callable[[str], Awaitable[set[tuple[int, int]]]]) -> None:
        """Stop what we run and no longer hold; return what we hold and do not run."""
        known = set(self._running)  # a job that begins while we ask is not in the answer
        held = await ask(self.worker_id)
        for key, running in self._running.items():
            if key in known and key not in held and running.following is None:
                running.task.cancel()
        for job_id, attempt in held - self._ours():  # its end could not be written
            job = await self._queue.get(job_id)
            if job.attempt == attempt and (job_id, attempt) not in self._ours():
                await self._queue.give_back(job)

    def _ours(self) -> set[tuple[int, int]]:
        following = [r.following for r in self._running.values() if r.following is not None]
        return self._running.keys() | {(job.id, job.attempt) for job in following}

    async def _give_back(self) -> None:
        """Let jobs finish for a while; cancel the rest, which return themselves."""
        log.info("Draining: %d jobs are running", len(self._running))
        deadline = self._clock.monotonic() + DRAIN_S
        while self._running and self._clock.monotonic() < deadline:
            try:
                await self._upkeep()
                await self._compare(self._queue.held)
            except TryLater as error:
                log.warning("%s", error)
            if self._running:
                tasks = [running.task for running in self._running.values()]
                await asyncio.wait(tasks, timeout=BUSY_LOOK_S)
        late = [running.task for running in self._running.values()]
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        with suppress(TryLater):  # then whoever has the slot next takes it back
            await self._compare(self._queue.held)

    async def _run_jobs(self, job: Job) -> None:
        """One attempt, then the one that was claimed with its end, and so on."""
        task = asyncio.current_task()
        assert task is not None
        following: Job | None = job
        while following is not None:
            job = following
            running = self._running[job.id, job.attempt]
            in_order = await self._run_job(running)
            following = running.following
            if following is not None and in_order:
                del self._running[job.id, job.attempt]
                self._runs(following, task)
            else:
                # If its commit did not fail, we hold a job that does not run: `_compare` finds it.
                following = None

    async def _run_job(self, running: Running) -> bool:
        """One attempt; True when it came to its end in order.

        Whatever happens ends in a status, or the job was not ours any more.
        """
        job = running.job
        log.info("Job %d, attempt %d", job.id, job.attempt)  # never what it is about
        try:
            failpoints.hit("after_claim")
            await self._attempt(running)
            failpoints.hit("after_finish")
            self._provider_waits.pop(job.id, None)
            return True
        except LeaseLost as error:
            log.warning("%s Its work is dropped.", error)
        except JobWaits as error:
            log.info("%s", error)
        except asyncio.CancelledError:
            if running.late:
                await self._end(job, "timeout", again=False)
            elif self._draining:
                await self._queue.give_back(job)
        except ModelUnavailable as error:
            await self._wait_for_provider(job, error)
        except BudgetUsedUp as error:
            await self._wait_for_budget(job, error)
        except ModelRefused as error:
            log.error("Job %d: %s", job.id, error)
            await self._end(job, f"model_refused: {error}", again=False)
        except NewerSchema as error:
            log.warning("Job %d: %s", job.id, error)
        except TurnLimitReached:
            await self._end(job, "limit", again=False)
        except KindRefused as error:
            await self._end(job, f"bad_data: {error}", again=False)
        except Failed as error:
            await self._end(job, str(error), again=False)
        except Exception as error:  # a job must end in a status whatever its tools do
            log.exception("Job %d failed", job.id)
            await self._end(job, f"error: {type(error).__name__}", again=True)
        return False

    async def _end(self, job: Job, error: str, *, again: bool) -> None:
        try:
            await self._queue.fail(job, error, again=again)
        except LeaseLost as lost:
            log.warning("%s", lost)

    async def _wait_for_provider(self, job: Job, error: ModelUnavailable) -> None:
        """Not the job's fault: it waits in the queue, visibly, without using up an attempt."""
        waits = self._provider_waits.get(job.id, 0)
        self._provider_waits[job.id] = min(waits + 1, 6)
        wait_s = error.retry_after_s or min(PROVIDER_WAIT_MAX_S, 2.0 * 2**waits)
        log.warning("Job %d waits %.0f s for the model provider: %s", job.id, wait_s, error)
        await self._queue.give_back(job, wait_s=wait_s, held_by="model")

    async def _wait_for_budget(self, job: Job, error: BudgetUsedUp) -> None:
        """It goes on when the next day begins, or when what others reserved is given back."""
        wait_s, held_by = RESERVED_WAIT_S, ""
        if error.until is not None:
            held_by = "budget"  # which its card says is used up
            wait_s = max(1.0, (error.until - self._clock.now()).total_seconds())
        log.warning("Job %d waits %.0f s for money: %s", job.id, wait_s, error)
        await self._queue.give_back(job, wait_s=wait_s, held_by=held_by)

    async def _attempt(self, running: Running) -> None:
        """Work on a job; its end claims the next one in the same commit."""
        job = running.job

        def end(tx: Tx, outcome: Outcome) -> None:
            if outcome.kind == "refused":
                self._queue.fail_in(tx, job, f"refused: {outcome.text}", again=False)
            else:
                cut_by = "budget" if outcome.cut else "fallback" if outcome.by else ""
                done = self._queue.finish_in(tx, job, outcome.text, cut_by=cut_by)
                if outcome.summary or outcome.metrics:
                    said = outcome.summary
                    results.keep(tx, done, summary=said, metrics=outcome.metrics)
            if not self._draining:
                running.following = self._queue.claim_in(tx, self._who)

        def within(seconds: float) -> None:
            if job.timeout_s is None:  # what was said of this one job comes first
                running.ends_at = self._clock.monotonic() + seconds

        from bridge.attempt import attempt_at  # with all tools: not before there is a job

        await attempt_at(self._work, job, end, within)

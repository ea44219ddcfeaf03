"""What workers do with jobs: claim them, keep them, end them, take back those of the dead.

A claim raises `attempt`, and every later write of that run says `id, worker, attempt, running`;
when it changes no row the lease is lost and the writer must stop (a worker that was frozen and
comes back can do no harm). How a job ends and what is owed for it commit together: the delivery of
the result, the note in the chat's conversation, the jobs it unblocks, and the claim of the next.
"""

import json
import random
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from bridge import breaker, line, record
from bridge.clock import Clock, stamp
from bridge.errors import LeaseLost
from bridge.line import Claimant
from bridge.models import Artifact, Job, JobStatus, clean_text, retry_delay_s
from bridge.store import Store, Tx

WORKER_DIED: Final = "worker_died"
EXPIRED: Final = "expired"
STRANDED_AT_ONCE: Final = 100
EXPIRED_AT_ONCE_MAX: Final = 20  # a longer row of them must not keep others from the database
STEP_CHARS_MAX: Final = 200


class Leases:
    """The half of the queue that workers use. `jitter` gives numbers from 0 to 1 for the backoff.

    `chat_concurrency` is how many jobs of one chat may run at once.
    """

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        lease_s: float = 30.0,
        chat_concurrency: int = 1_000_000,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.store = store
        self.clock = clock
        self.lease_s = lease_s
        self._chat_concurrency = chat_concurrency
        self._jitter = jitter

    async def claim(self, claimant: Claimant | str) -> Job | None:
        """Take the next job, or None; writes nothing when there is none.

        The most urgent first; among equals each chat in its turn. What is paused, fails too often,
        belongs to others or to a chat that runs enough already stays where it is.
        """
        who = Claimant(worker_id=claimant) if isinstance(claimant, str) else claimant
        return await self.store.write_if(
            lambda tx: bool(tx.value("claimable", now=self._now())),
            lambda tx: self.claim_in(tx, who),
            durable=False,
        )

    def claim_in(self, tx: Tx, who: Claimant) -> Job | None:
        """`claim` inside the caller's transaction."""
        now = self._now()
        tx.run("promote_due", now=now)
        for _ in range(EXPIRED_AT_ONCE_MAX):
            job_id = line.first(tx, who, now=now, chat_concurrency=self._chat_concurrency)
            if job_id is None:
                return None
            row = tx.one(
                "take_job",
                id=job_id,
                worker_id=who.worker_id,
                lease_until=self.clock.monotonic() + self.lease_s,
                boot_id=self.clock.boot_id,
                now=now,
            )
            assert row is not None  # it was pending a moment ago, in this transaction
            job = Job.from_row(row)
            record.note(tx, job, "claimed", who.worker_id, now=now)
            begun = job.started_at != now  # before this claim, and since it was last retried
            if begun or job.expires_at is None or job.expires_at > now:
                break
            self.fail_in(tx, job, EXPIRED, again=False)
        else:
            tx.wake("worker")  # there may be more behind them
            return None
        tx.run("worker_claimed", id=who.worker_id, job_id=job.id, now=now)
        breaker.probe(tx, job.kind, now=now)
        if job.attempt == 1 and tx.one("card", job_id=job.id) is None:
            record.owe_card(tx, job, now=now)  # a row inserted by hand has none yet
        tx.wake("bridge")
        return job

    async def heartbeat(self, worker_id: str) -> set[tuple[int, int]]:
        """Extend the worker's leases; the (job id, attempt) pairs it still holds."""
        return await self.store.write(lambda tx: self.beat(tx, worker_id), durable=False)

    def beat(self, tx: Tx, worker_id: str) -> set[tuple[int, int]]:
        """`heartbeat` inside the caller's transaction."""
        rows = tx.all(
            "heartbeat",
            worker_id=worker_id,
            lease_until=self.clock.monotonic() + self.lease_s,
            boot_id=self.clock.boot_id,
        )
        tx.run("worker_beat", id=worker_id, now=self._now())
        return {(row["id"], row["attempt"]) for row in rows}

    async def held(self, worker_id: str) -> set[tuple[int, int]]:
        """The (job id, attempt) pairs this worker still holds; writes nothing."""
        return await self.store.read(
            lambda tx: {(row["id"], row["attempt"]) for row in tx.all("held", worker_id=worker_id)}
        )

    def require(self, tx: Tx, job: Job) -> None:
        """Raise LeaseLost unless this attempt may still write."""
        if tx.one("holds", **_fence(job)) is None:
            raise _lost(job)

    async def progress(self, job: Job, percent: float | None, step: str) -> None:
        """Say where a job stands. Raises: LeaseLost."""

        def say(tx: Tx) -> None:
            self.note_progress(tx, job, percent, step)

        await self.store.write(say, durable=False)

    def note_progress(self, tx: Tx, job: Job, percent: float | None, step: str) -> None:
        """`progress` inside the caller's transaction."""
        text = clean_text(step)[:STEP_CHARS_MAX]
        if not tx.run("progress_job", **_fence(job), percent=percent, step=text):
            raise _lost(job)
        data = None if percent is None else {"percent": percent}
        record.note(tx, job, "progress", step=text, data=data, now=self._now())
        tx.wake("bridge")

    async def finish(self, job: Job, result: str, files: Iterable[Artifact] = ()) -> Job:
        """The job is done: result, delivery and note in one commit. Raises: LeaseLost."""
        return await self.store.write(lambda tx: self.finish_in(tx, job, result, files))

    def finish_in(
        self, tx: Tx, job: Job, result: str, files: Iterable[Artifact] = (), *, cut_by: str = ""
    ) -> Job:
        """`finish` inside the caller's transaction; `cut_by` says what made it end early."""
        now = self._now()
        result = clean_text(result)
        if not tx.run("finish_job", **_fence(job), result=result, now=now, cut_by=cut_by):
            raise _lost(job)
        for file in files:
            self.attach(tx, job, file)
        done = replace(
            job, status=JobStatus.DONE, result=result, progress=100.0, error=None, completed_at=now
        )
        record.ended(tx, done, text=result, delivery="result", now=now)
        self._left(tx, job, now=now)
        return done

    def attach(self, tx: Tx, job: Job, file: Artifact) -> None:
        """Give the user a file of this job, with its result."""
        name, caption = clean_text(file.name), clean_text(file.caption)
        tx.run("insert_file", job_id=job.id, path=file.path, name=name, caption=caption)

    async def fail(self, job: Job, error: str, *, again: bool = True) -> Job:
        """An attempt failed: scheduled again with backoff, or failed for good. Raises: LeaseLost.

        `error` is `code` or `code: detail`; the code is what the chat translates.
        """
        return await self.store.write(lambda tx: self.fail_in(tx, job, error, again=again))

    def fail_in(self, tx: Tx, job: Job, error: str, *, again: bool) -> Job:
        """`fail` inside the caller's transaction."""
        error = clean_text(error)[:2000]
        moment = self.clock.now()
        now = stamp(moment)
        failures = job.failures + 1
        retry = again and failures < job.max_attempts
        delay = timedelta(seconds=retry_delay_s(failures, jitter=self._jitter()))
        row = tx.one(
            "fail_job",
            **_fence(job),
            status=JobStatus.SCHEDULED if retry else JobStatus.FAILED,
            error=error,
            run_at=stamp(moment + delay) if retry else None,
            completed_at=None if retry else now,
        )
        if row is None:
            raise _lost(job)
        failed = Job.from_row(row)
        if retry:
            record.note(tx, failed, "retry", error, level="warning", now=now)
        else:
            record.ended(tx, failed, text=error, delivery="failure", now=now)
        if error != EXPIRED:  # nothing was tried
            self._left(tx, job, now=now, failed=True)
        tx.wake("worker")  # its sleep must end at run_at
        tx.wake("bridge")
        return failed

    async def give_back(
        self, job: Job, *, wait_s: float = 0.0, step: str | None = None, held_by: str = ""
    ) -> None:
        """Return a job that could not be worked on now; no failure is counted.

        A draining worker gives it back at once, a worker whose provider is away after `wait_s`;
        `held_by` says what it waits for ("model", "budget").
        Without `step` it keeps showing the last one that was reported.
        """
        text = None if step is None else clean_text(step)[:STEP_CHARS_MAX]

        def back(tx: Tx) -> None:
            run_at = stamp(self.clock.now() + timedelta(seconds=wait_s)) if wait_s else None
            status = JobStatus.SCHEDULED if wait_s else JobStatus.PENDING
            how = {"status": status, "run_at": run_at, "step": text, "held_by": held_by}
            if tx.run("give_back_job", **_fence(job), **how):
                now = self._now()
                why = f"waits for the {held_by}" if held_by else ""
                record.note(tx, job, "given back", text or why, now=now)
                self._left(tx, job, now=now)
                tx.wake("worker")
                tx.wake("bridge")

        await self.store.write(back)

    async def ask(
        self,
        job: Job,
        question: str,
        *,
        options: Sequence[str] = (),
        approve_by: str | None = None,
    ) -> None:
        """The job waits for its user's answer and holds no worker. Raises: LeaseLost.

        `options` may be tapped as an answer. With `approve_by` (a stamp) it asks to be allowed
        something, which nothing but a tap before then can do.
        """
        asked = {
            "question": clean_text(question),
            "options": clean_text(json.dumps([*options], ensure_ascii=False)) if options else None,
            "approve_by": approve_by,
        }

        def wait(tx: Tx) -> None:
            row = tx.one("ask_job", **_fence(job), **asked)
            if row is None:
                raise _lost(job)
            now = self._now()
            record.asked(tx, Job.from_row(row), now=now)
            self._left(tx, job, now=now)

        await self.store.write(wait)

    async def rescue(self, worker_id: str) -> list[Job]:
        """Take back jobs whose worker is gone; writes nothing when there are none.

        `worker_id` is `slot:pid:nonce`; who holds a slot knows that its former holders are dead.
        """
        slot = Claimant(worker_id=worker_id).slot

        def orphans(tx: Tx) -> list[sqlite3.Row]:
            return tx.all(
                "orphans",
                monotonic=self.clock.monotonic(),
                boot_id=self.clock.boot_id,
                slot=slot,
                worker_id=worker_id,
            )

        def take_back(tx: Tx) -> list[Job]:
            for row in tx.all("stranded", limit=STRANDED_AT_ONCE):
                self._unstrand(tx, row["id"], in_vain=bool(row["in_vain"]))
            for row in tx.all("orphaned", limit=STRANDED_AT_ONCE):
                self._unstrand(tx, row["id"], in_vain=True)
            rows = orphans(tx)
            loads = {row["worker_id"]: line.load(tx, row["worker_id"])[0] for row in rows}
            return [
                self._rescue(
                    tx,
                    row,
                    same_boot=row["boot_id"] == self.clock.boot_id,
                    was_alone=loads[row["worker_id"]] <= 1,
                )
                for row in rows
            ]

        def look(tx: Tx) -> bool:
            left = tx.all("stranded", limit=1) or tx.all("orphaned", limit=1)
            return bool(left or orphans(tx))

        rescued: list[Job] = []
        while (some := await self.store.write_if(look, take_back)) is not None:
            rescued += some
        return rescued

    async def register(
        self, claimant: Claimant, *, pid: int, host: str, state: str = "idle"
    ) -> None:
        """Enter a worker in `workers`; its predecessors in the slot are gone."""

        def enter(tx: Tx) -> None:
            tx.run("slot_taken", slot=claimant.slot, id=claimant.worker_id)
            tx.run(
                "worker_is",
                id=claimant.worker_id,
                slot=claimant.slot,
                pid=pid,
                host=host,
                kinds=",".join(claimant.kinds),
                state=state,
                now=self._now(),
            )

        await self.store.write(enter, durable=False)

    async def next_look_at(self) -> str | None:
        """Stamp of the next moment at which something may be claimed, or None."""
        return await self.store.read(lambda tx: tx.value("next_look_at", now=self._now()))

    def _unstrand(self, tx: Tx, job_id: int, *, in_vain: bool) -> None:
        """A parent was ended by hand: its dependants end or go on as if we had ended it."""
        now = self._now()
        if not in_vain:
            tx.run("unblock_job", id=job_id, now=now)
            tx.wake("worker")
            return
        row = tx.one("cancel_job", id=job_id, now=now)
        if row is not None:
            record.ended(tx, Job.from_row(row), text="", delivery=None, now=now)

    def _rescue(self, tx: Tx, row: sqlite3.Row, *, same_boot: bool, was_alone: bool) -> Job:
        """Take a job back from a worker that is gone.

        It counts as a failure only if the job ran alone there: of several, nobody knows which one
        killed the worker, so each runs alone next time. A reboot is no job's fault.
        """
        job = Job.from_row(row)
        blamed = same_boot and was_alone
        dead = blamed and job.failures + 1 >= job.max_attempts
        now = self._now()
        changed = tx.one(
            "rescue_job",
            id=job.id,
            attempt=row["attempt"],  # as it stands there: a hand may have written it
            status=JobStatus.FAILED if dead else JobStatus.PENDING,
            error=WORKER_DIED,
            completed_at=now if dead else None,
            blamed=blamed,
            alone=same_boot,
        )
        assert changed is not None  # it was running a moment ago, in this transaction
        rescued = Job.from_row(changed)
        record.note(tx, rescued, "rescued", job.worker_id or "", level="warning", now=now)
        if dead:
            record.ended(tx, rescued, text=WORKER_DIED, delivery="failure", now=now)
        tx.wake("worker")
        tx.wake("bridge")
        return rescued

    def _left(self, tx: Tx, job: Job, *, now: str, failed: bool = False) -> None:
        """The worker has one attempt less to look after."""
        tx.run("worker_ended", id=job.worker_id, failed=failed, now=now)

    def _now(self) -> str:
        return stamp(self.clock.now())


def _fence(job: Job) -> dict[str, object]:
    return {"id": job.id, "worker_id": job.worker_id, "attempt": job.attempt}


def _lost(job: Job) -> LeaseLost:
    return LeaseLost(f"Job {job.id}, attempt {job.attempt}, is no longer held by {job.worker_id}.")

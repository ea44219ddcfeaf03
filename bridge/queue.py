"""The queue: every change of a job's status, each in one transaction.

A claim raises `attempt`, and every later write of that run says `id, worker, attempt, running`;
when it changes no row the lease is lost and the writer must stop (a worker that was frozen and
comes back can do no harm). How a job ends and what is owed for it commit together: the delivery of
the result, the note in the chat's conversation, the jobs it unblocks.
"""

import json
import random
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Final

from bridge import record
from bridge.clock import Clock, stamp
from bridge.errors import JobNotFound, JobRefused, LeaseLost
from bridge.models import (
    Artifact,
    Job,
    JobStatus,
    NewJob,
    check_new,
    clean_text,
    retry_delay_s,
)
from bridge.store import Store, Tx

WORKER_DIED: Final = "worker_died"


class Queue:
    """Jobs in one SQLite file. `jitter` gives numbers from 0 to 1 for the backoff."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        lease_s: float = 30.0,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.store = store
        self.clock = clock
        self.lease_s = lease_s
        self._jitter = jitter

    async def add(self, new: NewJob) -> Job:
        """Store a job; it is safe on disk when this returns.

        A `source` or live `unique_key` seen before returns the job it made. Raises: JobRefused.
        """
        return await self.store.write(lambda tx: self.insert(tx, new))

    def insert(self, tx: Tx, new: NewJob) -> Job:
        """`add` inside the caller's transaction."""
        check_new(new)
        for name, key in (("job_by_source", "source"), ("live_job_by_key", "unique_key")):
            value = getattr(new, key)
            found = tx.one(name, **{key: value}) if value is not None else None
            if found is not None:
                return Job.from_row(found)
        now = self._now()
        open_parents = self._open_parents(tx, new.after)
        status = JobStatus.PENDING
        if open_parents:
            status = JobStatus.BLOCKED
        elif new.run_at is not None and new.run_at > now:
            status = JobStatus.SCHEDULED
        job_id = tx.insert(
            "insert_job",
            chat_id=new.chat_id,
            prompt=clean_text(new.prompt),
            status=status,
            title=clean_text(new.title),
            kind=new.kind,
            data=None if new.data is None else clean_text(new.data),
            priority=new.priority,
            run_at=new.run_at,
            max_attempts=new.max_attempts,
            thread_id=new.thread_id,
            user_id=new.user_id,
            acknowledgement=clean_text(new.acknowledgement),
            request_message_id=new.request_message_id,
            unique_key=new.unique_key,
            source=new.source,
            now=now,
        )
        for parent in open_parents:
            tx.run("insert_after", job_id=job_id, after_id=parent)
        job = self.find(tx, job_id)
        record.note(tx, job, "added", now=self._now())
        record.owe_card(tx, job, now=now)
        tx.wake("worker")
        return job

    async def claim(self, worker_id: str) -> Job | None:
        """Take the most urgent, then oldest job, or None; writes nothing when there is none."""

        def look(tx: Tx) -> bool:
            return bool(tx.value("claimable", now=self._now()))

        def take(tx: Tx) -> Job | None:
            now = self._now()
            tx.run("promote_due", now=now)
            row = tx.one(
                "claim_job",
                worker_id=worker_id,
                lease_until=self.clock.monotonic() + self.lease_s,
                boot_id=self.clock.boot_id,
                now=now,
            )
            if row is None:
                return None
            job = Job.from_row(row)
            record.note(tx, job, "claimed", worker_id, now=self._now())
            record.owe_card(tx, job, now=now)  # a row inserted by hand has none yet
            tx.wake("bridge")
            return job

        if not await self.store.read(look):
            return None
        return await self.store.write(take, durable=False)

    async def heartbeat(self, worker_id: str) -> set[tuple[int, int]]:
        """Extend the worker's leases; the (job id, attempt) pairs it still holds."""

        def beat(tx: Tx) -> set[tuple[int, int]]:
            rows = tx.all(
                "heartbeat",
                worker_id=worker_id,
                lease_until=self.clock.monotonic() + self.lease_s,
                boot_id=self.clock.boot_id,
            )
            return {(row["id"], row["attempt"]) for row in rows}

        return await self.store.write(beat, durable=False)

    async def held(self, worker_id: str) -> set[tuple[int, int]]:
        """The (job id, attempt) pairs this worker still holds; writes nothing."""
        return await self.store.read(
            lambda tx: {(row["id"], row["attempt"]) for row in tx.all("held", worker_id=worker_id)}
        )

    async def progress(self, job: Job, percent: float | None, step: str) -> None:
        """Say where a job stands. Raises: LeaseLost."""

        def say(tx: Tx) -> None:
            self.note_progress(tx, job, percent, step)

        await self.store.write(say, durable=False)

    def note_progress(self, tx: Tx, job: Job, percent: float | None, step: str) -> None:
        """`progress` inside the caller's transaction."""
        text = clean_text(step)[:200]
        if not tx.run("progress_job", **_fence(job), percent=percent, step=text):
            raise _lost(job)
        record.note(tx, job, "progress", text, now=self._now())
        tx.wake("bridge")

    def require(self, tx: Tx, job: Job) -> None:
        """Raise LeaseLost unless this attempt may still write."""
        if tx.one("holds", **_fence(job)) is None:
            raise _lost(job)

    async def finish(self, job: Job, result: str, files: Iterable[Artifact] = ()) -> Job:
        """The job is done: result, delivery and note in one commit. Raises: LeaseLost."""
        return await self.store.write(lambda tx: self.finish_in(tx, job, result, files))

    def finish_in(self, tx: Tx, job: Job, result: str, files: Iterable[Artifact] = ()) -> Job:
        """`finish` inside the caller's transaction."""
        row = tx.one("finish_job", **_fence(job), result=clean_text(result), now=self._now())
        if row is None:
            raise _lost(job)
        for file in files:
            self.attach(tx, job, file)
        done = Job.from_row(row)
        record.ended(tx, done, text=done.result or "", delivery="result", now=self._now())
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
        now = self.clock.now()
        failures = job.failures + 1
        retry = again and failures < job.max_attempts
        delay = timedelta(seconds=retry_delay_s(failures, jitter=self._jitter()))
        row = tx.one(
            "fail_job",
            **_fence(job),
            status=JobStatus.SCHEDULED if retry else JobStatus.FAILED,
            error=error,
            run_at=stamp(now + delay) if retry else None,
            completed_at=None if retry else stamp(now),
        )
        if row is None:
            raise _lost(job)
        failed = Job.from_row(row)
        if retry:
            record.note(tx, failed, "retry", error, now=self._now())
        else:
            record.ended(tx, failed, text=error, delivery="failure", now=self._now())
        tx.wake("worker")  # its sleep must end at run_at
        tx.wake("bridge")
        return failed

    async def give_back(self, job: Job, *, wait_s: float = 0.0, step: str | None = None) -> None:
        """Return a job that could not be worked on now; no failure is counted.

        A draining worker gives it back at once, a worker whose provider is away after `wait_s`.
        Without `step` it keeps showing the last one that was reported.
        """
        text = None if step is None else clean_text(step)[:200]

        def back(tx: Tx) -> None:
            run_at = stamp(self.clock.now() + timedelta(seconds=wait_s)) if wait_s else None
            status = JobStatus.SCHEDULED if wait_s else JobStatus.PENDING
            if tx.run("give_back_job", **_fence(job), status=status, run_at=run_at, step=text):
                record.note(tx, job, "given back", text or "", now=self._now())
                tx.wake("worker")
                tx.wake("bridge")

        await self.store.write(back)

    async def cancel(self, job_id: int, *, chat_id: str | None = None) -> Job:
        """Cancel a job that has not ended; whoever runs it stops within a second.

        Returns the job as it now is: one that had ended already is unchanged. Raises: JobNotFound.
        """
        return await self.store.write(lambda tx: self.cancel_in(tx, job_id, chat_id=chat_id))

    def cancel_in(self, tx: Tx, job_id: int, *, chat_id: str | None) -> Job:
        """`cancel` inside the caller's transaction."""
        self.find(tx, job_id, chat_id)
        row = tx.one("cancel_job", id=job_id, now=self._now())
        if row is None:
            return self.find(tx, job_id)
        job = Job.from_row(row)
        record.ended(tx, job, text="", delivery=None, now=self._now())
        tx.wake("worker")
        return job

    async def retry(self, job_id: int, *, chat_id: str | None = None) -> Job:
        """Run a failed or cancelled job again from its last finished step.

        Returns the job as it now is: one that runs, waits or is done is unchanged.
        Raises: JobNotFound, JobRefused when a live job has its unique key.
        """
        return await self.store.write(lambda tx: self.retry_in(tx, job_id, chat_id=chat_id))

    def retry_in(self, tx: Tx, job_id: int, *, chat_id: str | None) -> Job:
        """`retry` inside the caller's transaction."""
        found = self.find(tx, job_id, chat_id)
        twin = tx.value("live_job_by_key", unique_key=found.unique_key)
        if twin not in (None, job_id):
            raise JobRefused(f"Job {twin} does the same: wait for it, or cancel it first.")
        row = tx.one("retry_job", id=job_id)
        if row is None:
            return found
        job = Job.from_row(row)
        record.note(tx, job, "retried", now=self._now())
        tx.run("reopen_card", job_id=job_id)
        tx.wake("worker")
        tx.wake("bridge")
        return job

    async def rescue(self, worker_id: str) -> list[Job]:
        """Take back jobs whose worker is gone; writes nothing when there are none.

        `worker_id` is `slot:pid:nonce`; who holds a slot knows that its former holders are dead.
        """
        slot = worker_id.partition(":")[0]

        def orphans(tx: Tx) -> list[Job]:
            rows = tx.all(
                "orphans",
                monotonic=self.clock.monotonic(),
                boot_id=self.clock.boot_id,
                slot=slot,
                worker_id=worker_id,
            )
            return [Job.from_row(row) for row in rows]

        def take_back(tx: Tx) -> list[Job]:
            for row in tx.all("stranded"):
                self._unstrand(tx, row["id"], in_vain=bool(row["in_vain"]))
            return [rescued for job in orphans(tx) if (rescued := self._rescue(tx, job))]

        def look(tx: Tx) -> bool:
            return bool(orphans(tx) or tx.all("stranded"))

        return await self.store.write(take_back) if await self.store.read(look) else []

    async def get(self, job_id: int, *, chat_id: str | None = None) -> Job:
        """One job. Raises: JobNotFound, also when it belongs to another chat."""
        return await self.store.read(lambda tx: self.find(tx, job_id, chat_id))

    async def jobs(
        self,
        *,
        chat_id: str | None = None,
        statuses: Iterable[JobStatus] = (),
        limit: int = 20,
        offset: int = 0,
    ) -> list[Job]:
        """Jobs, newest first."""
        return await self.store.read(
            lambda tx: list_jobs(tx, chat_id=chat_id, statuses=statuses, limit=limit, offset=offset)
        )

    async def next_run_at(self) -> str | None:
        """Stamp of the next scheduled job, or None."""
        return await self.store.read(lambda tx: tx.value("next_run_at"))

    def _unstrand(self, tx: Tx, job_id: int, *, in_vain: bool) -> None:
        """A parent was ended by hand: its dependants end or go on as if we had ended it."""
        if in_vain:
            self.cancel_in(tx, job_id, chat_id=None)
        else:
            tx.run("unblock_job", id=job_id, now=self._now())
            tx.wake("worker")

    def _rescue(self, tx: Tx, job: Job) -> Job | None:
        dead = job.failures + 1 >= job.max_attempts
        row = tx.one(
            "rescue_job",
            id=job.id,
            attempt=job.attempt,
            status=JobStatus.FAILED if dead else JobStatus.PENDING,
            error=WORKER_DIED,
            completed_at=self._now() if dead else None,
        )
        if row is None:
            return None
        rescued = Job.from_row(row)
        record.note(tx, rescued, "rescued", job.worker_id or "", now=self._now())
        if dead:
            record.ended(tx, rescued, text=WORKER_DIED, delivery="failure", now=self._now())
        tx.wake("worker")
        tx.wake("bridge")
        return rescued

    def _open_parents(self, tx: Tx, after: tuple[int, ...]) -> list[int]:
        """Parents that are not done yet. Raises: JobRefused for one that never will be."""
        still_open: list[int] = []
        for parent_id in after:
            try:
                status = self.find(tx, parent_id).status
            except JobNotFound:
                raise JobRefused(f"There is no job {parent_id} to wait for.") from None
            if status in (JobStatus.FAILED, JobStatus.CANCELLED):
                raise JobRefused(f"Job {parent_id} is {status}: nothing can wait for it.")
            if status is not JobStatus.DONE:
                still_open.append(parent_id)
        return still_open

    def _now(self) -> str:
        return stamp(self.clock.now())

    def find(self, tx: Tx, job_id: int, chat_id: str | None = None) -> Job:
        """`get` inside the caller's transaction."""
        row = tx.one("job", id=job_id, chat_id=chat_id) if 0 < job_id < 2**63 else None
        if row is None:
            raise JobNotFound(f"There is no job {job_id}.")
        return Job.from_row(row)


def list_jobs(
    tx: Tx, *, chat_id: str | None, statuses: Iterable[JobStatus], limit: int, offset: int = 0
) -> list[Job]:
    """Jobs, newest first, inside the caller's transaction."""
    rows = tx.all(
        "all_jobs" if chat_id is None else "jobs_of",
        **({} if chat_id is None else {"chat_id": chat_id}),
        statuses=json.dumps([str(status) for status in statuses]),
        limit=limit,
        offset=offset,
    )
    return [Job.from_row(row) for row in rows]


def _fence(job: Job) -> dict[str, object]:
    return {"id": job.id, "worker_id": job.worker_id, "attempt": job.attempt}


def _lost(job: Job) -> LeaseLost:
    return LeaseLost(f"Job {job.id}, attempt {job.attempt}, is no longer held by {job.worker_id}.")

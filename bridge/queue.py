"""The queue: every change of a job's status, each in one transaction.

This half is what users do: add, look, cancel, retry, put off, answer, pause. What workers do with
jobs, and why no two of them ever end the same one, is in leases.py.
"""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from bridge import record
from bridge.breaker import EVERY_KIND
from bridge.clock import moment, stamp
from bridge.errors import JobNotFound, JobRefused
from bridge.leases import Leases
from bridge.models import MAX_AGE_S, Job, JobStatus, NewJob, check_new, clean_text
from bridge.store import Tx

URGENT_PRIORITY: Final = 10
ALLOWED: Final = "The user allowed it."  # what a job hears that asked to be allowed something
AT_ONCE: Final = 100  # more of them take another transaction, so that others get a turn


class Queue(Leases):
    """Jobs in one SQLite file."""

    async def add(self, new: NewJob) -> Job:
        """Store a job; it is safe on disk when this returns.

        A `source` or live `unique_key` seen before returns the job it made. Raises: JobRefused.
        """
        return await self.store.write(lambda tx: self.insert(tx, new))

    async def add_many(self, jobs: Sequence[NewJob]) -> list[Job]:
        """`add` for all of them in one commit: all are stored or none. Raises: JobRefused."""
        return await self.store.write(lambda tx: [self.insert(tx, new) for new in jobs])

    def insert(self, tx: Tx, new: NewJob) -> Job:
        """`add` inside the caller's transaction."""
        check_new(new)
        for name, key in (("job_by_source", "source"), ("live_job_by_key", "unique_key")):
            value = getattr(new, key)
            found = tx.one(name, **{key: value}) if value is not None else None
            if found is not None:
                return Job.from_row(found)
        now = self._now()
        open_parents = self.open_parents(tx, new)
        status = JobStatus.PENDING
        if open_parents:
            status = JobStatus.BLOCKED
        elif new.run_at is not None and new.run_at > now:
            status = JobStatus.SCHEDULED
        values: dict[str, Any] = {
            "chat_id": new.chat_id,
            "prompt": clean_text(new.prompt),
            "status": status,
            "title": clean_text(new.title),
            "kind": new.kind,
            "data": None if new.data is None else clean_text(new.data),
            "priority": new.priority,
            "run_at": new.run_at,
            "max_attempts": new.max_attempts,
            "thread_id": new.thread_id,
            "user_id": new.user_id,
            "acknowledgement": clean_text(new.acknowledgement),
            "request_message_id": new.request_message_id,
            "unique_key": new.unique_key,
            "source": new.source,
            "if_parent_fails": new.if_parent_fails,
            "parent_id": new.parent_id,
            "timeout_s": new.timeout_s,
            "expires_at": self._expiry(max(new.run_at or now, now), new.max_age_s),
            "max_age_s": new.max_age_s,
            "schedule_id": new.schedule_id,
            "continues": new.continues,
            "persona": new.persona,
            "created_at": now,
        }
        job = Job(id=tx.insert("insert_job", **values), **values)
        for parent in open_parents:
            tx.run("insert_after", job_id=job.id, after_id=parent)
        record.note(tx, job, "added", self._condition(new, open_parents), now=now)
        record.owe_card(tx, job, now=now)
        tx.wake("worker")
        return job

    async def cancel(self, job_id: int, *, chat_id: str | None = None) -> Job:
        """Cancel a job that has not ended; whoever runs it stops within a second.

        Returns the job as it now is: one that had ended already is unchanged. Raises: JobNotFound.
        """
        return await self.store.write(lambda tx: self.cancel_in(tx, job_id, chat_id=chat_id))

    def cancel_in(self, tx: Tx, job_id: int, *, chat_id: str | None) -> Job:
        """`cancel` inside the caller's transaction."""
        self.find(tx, job_id, chat_id)
        now = self._now()
        row = tx.one("cancel_job", id=job_id, now=now)
        if row is None:
            return self.find(tx, job_id)
        job = Job.from_row(row)
        record.ended(tx, job, text="", delivery=None, now=now)
        tx.wake("worker")
        return job

    async def cancel_tree(self, job_id: int, *, chat_id: str | None = None) -> list[Job]:
        """Cancel a job and all that came from it or waits for it; a hundred in one commit.

        Returns those that had not ended, as they now are. Raises: JobNotFound.
        """

        def cut(tx: Tx) -> list[Job]:
            self.find(tx, job_id, chat_id)
            tree = [row["id"] for row in tx.all("live_tree", id=job_id, limit=AT_ONCE)]
            return [self.cancel_in(tx, one, chat_id=None) for one in tree]

        cancelled: list[Job] = []
        while len(some := await self.store.write(cut)) == AT_ONCE:
            cancelled += some
        return [*cancelled, *some][::-1]

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
            raise JobRefused(
                f"Job {twin} does the same: wait for it, or cancel it first.", "twin", id=twin
            )
        now = self._now()
        row = tx.one("retry_job", id=job_id, expires_at=self._new_expiry(found, now))
        if row is None:
            return found
        tx.run("drop_failed_parents", job_id=job_id)
        job = Job.from_row(row)
        record.note(tx, job, "retried", now=now)
        tx.run("reopen_card", job_id=job_id)
        if found.parent_id is not None:
            record.owe_card(tx, job, now=now)  # while it was a part of another it had none
        tx.wake("worker")
        tx.wake("bridge")
        return job

    def first_in(self, tx: Tx, job_id: int, *, chat_id: str | None) -> Job:
        """Put a job before all others that wait; one that does not is returned as it is.

        Raises: JobNotFound.
        """
        found = self.find(tx, job_id, chat_id)
        row = tx.one("raise_job", id=job_id, priority=URGENT_PRIORITY)
        if row is None:
            return found
        job = Job.from_row(row)
        record.note(tx, job, "put first", now=self._now())
        tx.wake("bridge")
        return job

    async def retry_all(self, *, kind: str | None = None, chat_id: str | None = None) -> list[int]:
        """Run every failed job again; one whose unique key a live job has stays as it is.

        Returns the ids of those that run again.
        """
        retried: list[int] = []
        after_id = 0

        def some(tx: Tx) -> tuple[int, list[int]]:
            values = {"after_id": after_id, "kind": kind, "chat_id": chat_id}
            dead = [row["id"] for row in tx.all("dead_ids", **values, limit=AT_ONCE)]
            again = []
            for job_id in dead:
                try:
                    again.append(self.retry_in(tx, job_id, chat_id=None).id)
                except JobRefused:
                    continue
            return (dead[-1] if dead else -1), again

        while after_id >= 0:
            after_id, again = await self.store.write(some)
            retried += again
        return retried

    async def snooze(self, job_id: int, until: datetime, *, chat_id: str | None = None) -> Job:
        """Put a job off that has not started; one that waits for others keeps waiting for them too.

        Raises: JobNotFound, JobRefused when it runs or has ended.
        """

        def put_off(tx: Tx) -> Job:
            found = self.find(tx, job_id, chat_id)
            run_at = stamp(until)
            expires_at = self._new_expiry(found, run_at)
            row = tx.one("snooze_job", id=job_id, run_at=run_at, expires_at=expires_at)
            if row is None:
                raise JobRefused(
                    f"Job {job_id} is {found.status}: only one that waits can be put off.",
                    "not_put_off",
                    id=job_id,
                )
            job = Job.from_row(row)
            record.note(tx, job, "snoozed", f"until {run_at} UTC", now=self._now())
            tx.wake("worker")
            tx.wake("bridge")
            return job

        return await self.store.write(put_off)

    async def answer(self, job_id: int, text: str, *, chat_id: str | None = None) -> Job:
        """Answer what a waiting job asked; it goes on. Raises: JobNotFound, JobRefused."""
        return await self.store.write(lambda tx: self.answer_in(tx, job_id, text, chat_id=chat_id))

    def answer_in(self, tx: Tx, job_id: int, text: str, *, chat_id: str | None) -> Job:
        """`answer` inside the caller's transaction."""
        found = self.find(tx, job_id, chat_id)
        if not clean_text(text).strip():
            raise JobRefused(
                f"The answer to job {job_id} is empty: say what it is to go on with.",
                "no_answer",
                id=job_id,
            )
        if found.status is JobStatus.WAITING and found.approve_by is not None:
            raise JobRefused(
                f"Job {job_id} asks to be allowed something: only its buttons in the chat can do "
                "that.",
                "needs_a_tap",
                id=job_id,
            )
        return self._answered(tx, found, text)

    def decide_in(self, tx: Tx, job: Job, *, allowed: bool, late: bool = False) -> Job:
        """Allow or refuse what a waiting job asked to be allowed. Raises: JobRefused.

        Called by nothing but a tap of the person it was asked: no text and no model can allow it.
        """
        if job.approve_by is None:
            raise JobRefused(f"Job {job.id} asks for no permission.", "asks_nothing", id=job.id)
        late_words = "Nobody allowed it in time: do not do it."
        refused = late_words if late else "The user refused: do not do it."
        return self._answered(tx, job, ALLOWED if allowed else refused)

    async def refuse_late(self) -> int:
        """Let jobs go on that nobody allowed in time what they asked; how many those were."""

        def late(tx: Tx) -> list[Job]:
            rows = tx.all("late_approvals", now=self._now(), limit=AT_ONCE)
            return [Job.from_row(row) for row in rows]

        def refuse(tx: Tx) -> int:
            return len([self.decide_in(tx, job, allowed=False, late=True) for job in late(tx)])

        return await self.store.write_if(lambda tx: bool(late(tx)), refuse) or 0

    def _answered(self, tx: Tx, found: Job, text: str) -> Job:
        job_id = found.id
        row = tx.one("answer_job", id=job_id, answer=clean_text(text))
        if row is None:
            raise JobRefused(
                f"Job {job_id} is {found.status}: it waits for no answer.",
                "asks_nothing",
                id=job_id,
            )
        job = Job.from_row(row)
        record.note(tx, job, "answered", now=self._now())  # what was said is not for the history
        tx.wake("worker")
        tx.wake("bridge")
        return job

    async def pause(self, kind: str = EVERY_KIND) -> None:
        """Start no more jobs of this kind until `resume`; what runs goes on."""
        await self.store.write(lambda tx: tx.run("pause_kind", kind=kind, now=self._now()))

    async def resume(self, kind: str = EVERY_KIND) -> bool:
        """Start jobs of this kind again; False when it was not paused."""

        def again(tx: Tx) -> bool:
            tx.wake("worker")
            return bool(tx.run("resume_kind", kind=kind))

        return await self.store.write(again)

    async def get(self, job_id: int, *, chat_id: str | None = None) -> Job:
        """One job. Raises: JobNotFound, also when it belongs to another chat."""
        return await self.store.read(lambda tx: self.find(tx, job_id, chat_id))

    def find(self, tx: Tx, job_id: int, chat_id: str | None = None) -> Job:
        """`get` inside the caller's transaction."""
        row = tx.one("job", id=job_id, chat_id=chat_id) if 0 < job_id < 2**63 else None
        if row is None:
            raise JobNotFound(f"There is no job {job_id}.")
        return Job.from_row(row)

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

    def open_parents(self, tx: Tx, new: NewJob) -> list[int]:
        """Parents that have not ended. Raises: JobRefused for one that never will be done."""
        still_open: list[int] = []
        for parent_id in new.after:
            try:
                status = self.find(tx, parent_id).status
            except JobNotFound:
                raise JobRefused(
                    f"There is no job {parent_id} to wait for.", "no_parent", id=parent_id
                ) from None
            if status in (JobStatus.FAILED, JobStatus.CANCELLED) and new.if_parent_fails != "run":
                raise JobRefused(
                    f"Job {parent_id} is {status}: nothing can wait for it.",
                    "parent_over",
                    id=parent_id,
                )
            if not status.final:
                still_open.append(parent_id)
        return still_open

    def _condition(self, new: NewJob, parents: list[int]) -> str:
        """What was chosen when the job was added, for its history."""
        if not parents:
            return ""
        names = ", ".join(map(str, parents))
        also = (
            "then or when one fails" if new.if_parent_fails == "run" else "cancelled if one fails"
        )
        return f"after {names}; {also}"

    def _new_expiry(self, job: Job, start: str) -> str | None:
        """When a job that was put off or is run again is too old; by hand it may have no age."""
        return None if job.expires_at is None else self._expiry(start, job.max_age_s or MAX_AGE_S)

    def _expiry(self, start: str, max_age_s: float | None) -> str | None:
        if max_age_s is None:
            return None
        try:
            return stamp(moment(start) + timedelta(seconds=max_age_s))
        except (ValueError, OverflowError):  # at the end of all time
            return None


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

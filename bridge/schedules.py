"""Schedules: what recurs, for whom, and whether it is paused.

Every function works inside the caller's transaction. With a `chat_id` only a schedule of that chat
exists: another chat's is not found, in the same words as one that never was. Starting jobs when
their time comes is scheduler.py.
"""

import sqlite3
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final

from bridge.clock import moment, stamp
from bridge.errors import ScheduleNotFound, ScheduleRefused
from bridge.models import Job, NewJob, check_new, clean_text, short
from bridge.queue import Queue
from bridge.store import Tx
from bridge.timing import Timing, zone_named

NUMBER_MAX: Final = 10**18  # SQLite holds no more


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSchedule:
    """What is asked for: the job, and either `cron` in `zone` or `every_s`."""

    chat_id: str
    prompt: str
    cron: str | None = None
    every_s: int | None = None
    zone: str = "UTC"
    title: str = ""
    kind: str = "other"
    data: str | None = None
    priority: int = 0
    thread_id: int = 0
    user_id: str = ""

    @property
    def timing(self) -> Timing:
        return Timing(cron=self.cron, every_s=self.every_s, zone=self.zone)

    @property
    def name(self) -> str:
        """The title, or the beginning of the prompt when nobody gave one."""
        return self.title or short(self.prompt, 60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule(NewSchedule):
    """One row of `schedules`. Made by hand it may hold anything; `job` and `timing.check` tell."""

    id: int
    status: str = "active"  # or "paused"
    next_at: str | None = None  # UTC stamp; None = not computed yet
    last_at: str | None = None  # when its time last came; run_now is beside it
    last_job_id: int | None = None
    fired: int = 0
    error: str | None = None  # why it was paused, or why its last time started no job
    created_at: str = ""

    @classmethod
    def from_row(cls, row: sqlite3.Row) -> "Schedule":
        """A row of `SELECT * FROM schedules`; columns this version does not know are left out."""
        values = {name: row[name] for name in row.keys() if name in _FIELDS}  # noqa: SIM118
        return cls(**{name: _readable(value) for name, value in values.items()})

    @property
    def unique_key(self) -> str:
        """Of its jobs: only one of them lives at a time."""
        return f"schedule:{self.id}"


_FIELDS: Final = {item.name for item in fields(Schedule)}


def add(tx: Tx, new: NewSchedule, *, now: datetime, min_every_s: int = 1) -> Schedule:
    """Store a schedule; its first time is after `now`.

    What comes from a chat passes timing.MIN_EVERY_S. Raises: ScheduleRefused, JobRefused.
    """
    job_of(new)
    new.timing.check(now, min_every_s=min_every_s)
    schedule_id = tx.insert(
        "insert_schedule",
        chat_id=new.chat_id,
        prompt=clean_text(new.prompt),
        cron=new.cron,
        every_s=new.every_s,
        zone=new.zone,
        next_at=stamp(new.timing.next_after(now)),
        thread_id=new.thread_id,
        user_id=new.user_id,
        title=clean_text(new.title),
        kind=new.kind,
        data=None if new.data is None else clean_text(new.data),
        priority=new.priority,
        now=stamp(now),
    )
    return find(tx, schedule_id)


def find(tx: Tx, schedule_id: int, chat_id: str | None = None) -> Schedule:
    """One schedule. Raises: ScheduleNotFound, also when it belongs to another chat."""
    # A number SQLite cannot hold is nobody's either.
    row = None
    if abs(schedule_id) < 2**63:
        row = tx.one("schedule", id=schedule_id, chat_id=chat_id)
    if row is None:
        raise ScheduleNotFound(f"There is no schedule {schedule_id}.")
    return Schedule.from_row(row)


def list_schedules(tx: Tx, *, chat_id: str | None = None) -> list[Schedule]:
    """The schedules of a chat, or of all, oldest first."""
    name = "all_schedules" if chat_id is None else "schedules_of"
    return [Schedule.from_row(row) for row in tx.all(name, chat_id=chat_id)]


def next_times(schedule: Schedule, *, count: int = 3) -> list[datetime]:
    """When it comes next, in its zone's own time; none while it is paused or not planned yet."""
    if schedule.status != "active" or schedule.next_at is None:
        return []
    try:
        first = moment(schedule.next_at)
        rest = schedule.timing.upcoming(first, count - 1)
        return [first.astimezone(zone_named(schedule.zone)), *rest]
    except (ScheduleRefused, ValueError):  # a row made by hand, not looked at yet
        return []


def change(
    tx: Tx, schedule_id: int, new: NewSchedule, *, now: datetime, min_every_s: int = 1
) -> Schedule:
    """Give it the words and times of `new`; its number, its history and its chat's stay.

    Times that are as they were go on from where they were. Raises: ScheduleNotFound, also when it
    is another chat's, ScheduleRefused, JobRefused.
    """
    known = find(tx, schedule_id, new.chat_id)
    job_of(new)
    new.timing.check(now, min_every_s=min_every_s)
    same = known.timing == new.timing and known.next_at is not None
    tx.run(
        "change_schedule",
        id=schedule_id,
        prompt=clean_text(new.prompt),
        title=clean_text(new.title),
        cron=new.cron,
        every_s=new.every_s,
        zone=new.zone,
        next_at=known.next_at if same else stamp(new.timing.next_after(now)),
    )
    return find(tx, schedule_id)


def pause(tx: Tx, schedule_id: int, *, chat_id: str | None = None) -> Schedule:
    """No more times until it is resumed; a job it started goes on. Raises: ScheduleNotFound."""
    find(tx, schedule_id, chat_id)
    tx.run("pause_schedule", id=schedule_id, error=None)
    return find(tx, schedule_id)


def resume(tx: Tx, schedule_id: int, *, now: datetime, chat_id: str | None = None) -> Schedule:
    """Go on from `now`; what was missed while it was paused is not made up for.

    Raises: ScheduleNotFound, ScheduleRefused when its row can still not be used, JobRefused.
    """
    schedule = find(tx, schedule_id, chat_id)
    job_of(schedule)
    next_at = stamp(schedule.timing.next_after(now))
    tx.run("resume_schedule", id=schedule_id, next_at=next_at)
    return find(tx, schedule_id)


def remove(tx: Tx, schedule_id: int, *, chat_id: str | None = None) -> Schedule:
    """The schedule as it was; jobs it started stay. Raises: ScheduleNotFound."""
    schedule = find(tx, schedule_id, chat_id)
    tx.run("delete_schedule", id=schedule_id)
    return schedule


def run_now(tx: Tx, queue: Queue, schedule_id: int, *, chat_id: str | None = None) -> Job:
    """Start its job beside its times, which stay as they are; a paused one may run too.

    Raises: ScheduleNotFound, ScheduleRefused while its last job has not ended, JobRefused.
    """
    schedule = find(tx, schedule_id, chat_id)
    live = tx.one("job_of_schedule", source=None, unique_key=schedule.unique_key)
    if live is not None:
        raise ScheduleRefused(
            f"Job {live['id']} of schedule {schedule_id} has not ended: wait for it, or cancel it.",
            "busy",
            id=live["id"],
        )
    job = queue.insert(tx, job_of(schedule))
    tx.run("run_schedule", id=schedule_id, job_id=job.id)
    return job


def job_of(new: NewSchedule, *, source: str | None = None) -> NewJob:
    """The job a schedule starts. Raises: JobRefused, ScheduleRefused for what no job can have."""
    for field in ("priority", "thread_id"):
        number = getattr(new, field)
        if not isinstance(number, int) or abs(number) > NUMBER_MAX:
            raise ScheduleRefused(
                f"{field} must be a whole number; got {short(str(number), 40)}.",
                "number",
                name=field,
            )
    stored = new if isinstance(new, Schedule) else None
    job = NewJob(
        chat_id=new.chat_id,
        prompt=new.prompt,
        title=new.title,
        kind=new.kind,
        data=new.data,
        priority=new.priority,
        thread_id=new.thread_id,
        user_id=new.user_id,
        unique_key=stored.unique_key if stored else None,
        schedule_id=stored.id if stored else None,
        source=source,
    )
    check_new(job)
    return job


def _readable(value: Any) -> Any:
    """A blob of a row made by hand as text."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value

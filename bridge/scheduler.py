"""Due schedules become jobs.

Each schedule is one transaction: its job and its next time, later than now, commit together, so a
time is never lost and two processes never both take it. Whatever was missed is made up for by one
job. A row that cannot be used is paused and says why; the others go on.

When the clock is set back, nothing runs twice: a cron waits until the clock is where it was. Only a
clock that was ahead by more than a day had it all wrong, and then it goes by the new time.
"""

import logging
import re
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from bridge import record, schedules
from bridge.clock import Clock, moment, stamp
from bridge.errors import JobRefused, ScheduleRefused
from bridge.queue import Queue
from bridge.schedules import Schedule
from bridge.store import Store, Tx

log = logging.getLogger(__name__)

SLEEP_S_MAX: Final = 60.0  # rows made by hand are found by then
LATE: Final = timedelta(minutes=2)  # more than one sleep: somebody was away
WRONG_BY: Final = timedelta(days=1)


class Scheduler:
    """Starts what is due; several processes may have one."""

    def __init__(self, *, store: Store, queue: Queue, clock: Clock) -> None:
        self.store = store
        self.queue = queue
        self.clock = clock

    async def run_due(self) -> float:
        """Start the jobs of every schedule whose time has come; seconds until the next, 60 at most.

        Writes nothing when there is none.
        """
        due, next_at = await self.store.read(self._due)
        for schedule_id, at in due:
            try:
                await self.store.write(partial(self._take, schedule_id=schedule_id, next_at=at))
            except (ScheduleRefused, JobRefused) as error:
                log.warning("schedule %d is paused: %s", schedule_id, error)
                await self.store.write(partial(_pause, schedule_id=schedule_id, error=str(error)))
        if due:
            next_at = await self.store.read(lambda tx: tx.value("next_schedule_at"))
        following = _moment_or_none(next_at)
        if following is None:
            return SLEEP_S_MAX
        return min(max((following - self.clock.now()).total_seconds(), 0.0), SLEEP_S_MAX)

    def _due(self, tx: Tx) -> tuple[list[tuple[int, str | None]], str | None]:
        """What to look at, as its id and time, and the earliest time of all."""
        now = self.clock.now()
        due = [(row["id"], row["next_at"]) for row in tx.all("schedules_due", now=stamp(now))]
        for row in tx.all("schedules_from_later", now=stamp(now)):
            if _planned_too_late(Schedule.from_row(row), now):
                due.append((row["id"], row["next_at"]))
        return due, tx.value("next_schedule_at")

    def _take(self, tx: Tx, schedule_id: int, next_at: str | None) -> None:
        """Start a schedule's job, or only plan it, unless another process or a person was first.

        Raises: ScheduleRefused, JobRefused for a row that cannot be used.
        """
        row = tx.one("schedule", id=schedule_id, chat_id=None)
        if row is None or row["status"] != "active" or row["next_at"] != next_at:
            return
        schedule, now = Schedule.from_row(row), self.clock.now()
        planned = _moment_or_none(schedule.next_at)
        if planned is not None and planned > now:  # the clock was set back: not a time of now
            planned = None
        new = schedules.job_of(schedule, source=f"schedule:{schedule.id}:{schedule.next_at}")
        values = {
            "id": schedule.id,
            "next_at": stamp(schedule.timing.next_after(now, since=planned)),
        }
        if planned is None or _over(schedule, planned, now):
            tx.run("plan_schedule", **values)
            return
        there = tx.all("job_of_schedule", source=new.source, unique_key=new.unique_key)
        if there:
            made = any(job["source"] == new.source for job in there)
            error = schedule.error if made else _skipped(schedule.error, there[0]["id"])
            tx.run("skip_schedule", **values, now=stamp(now), error=error)
            return
        job = self.queue.insert(tx, new)
        if now - planned > LATE:
            record.note(tx, job, "late", f"was due at {schedule.next_at} UTC", now=stamp(now))
        tx.run("fire_schedule", **values, now=stamp(now), job_id=job.id)


def _pause(tx: Tx, schedule_id: int, error: str) -> None:
    tx.run("pause_schedule", id=schedule_id, error=error)


def _planned_too_late(schedule: Schedule, now: datetime) -> bool:
    """Whether the clock was so far ahead that waiting for it would be wrong."""
    try:
        sooner = stamp(schedule.timing.next_after(now)) < str(schedule.next_at)
    except ScheduleRefused:
        return True
    last = _moment_or_none(schedule.last_at)
    return sooner and (schedule.every_s is not None or last is None or last - now > WRONG_BY)


def _over(schedule: Schedule, planned: datetime, now: datetime) -> bool:
    """Planned while the clock was set back for a while: what was due then has run before."""
    last = _moment_or_none(schedule.last_at)
    return last is not None and planned <= last <= now


def _skipped(error: str | None, job_id: int) -> str:
    """What a schedule says while its job of an earlier time keeps it from starting another."""
    before = re.match(r"(\d+) skipped", error or "")
    return f"{int(before[1]) + 1 if before else 1} skipped: job {job_id} has not ended"


def _moment_or_none(text: str | None) -> datetime | None:
    """A stamp of the database as a moment; None for what a person wrote that is none."""
    try:
        return moment(text or "")
    except ValueError:
        return None

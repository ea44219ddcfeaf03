"""Proposals: schedules as the model understood them, until their person has said yes.

The model stores nothing in `schedules`: it proposes, the person sees the next times, and only a
tap on Save makes a schedule of it, once, however often it is tapped. A proposal belongs to the chat
and the person that asked; for everybody else there is none. Every function works inside the
caller's transaction.
"""

import sqlite3
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from itertools import count
from typing import Final

from bridge import schedules
from bridge.clock import moment, stamp
from bridge.errors import ScheduleNotFound, ScheduleRefused
from bridge.models import clean_text
from bridge.schedules import NewSchedule, Schedule
from bridge.store import Tx
from bridge.timing import MIN_EVERY_S

EXPIRES_AFTER: Final = timedelta(days=1)
SCHEDULES_MAX: Final = 50  # of one chat
CRON_CHARS_MAX: Final = 100  # to read 100,000 takes half a second, while others wait to write


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal(NewSchedule):
    """One row of `proposals`."""

    id: int
    status: str = "open"  # or "saved", "discarded"
    schedule_id: int | None = None  # what it became
    changes: int | None = None  # the schedule it is to change; None = it is to be a new one
    created_at: str = ""
    expires_at: str = ""

    @classmethod
    def from_row(cls, row: sqlite3.Row) -> "Proposal":
        """A row of `SELECT * FROM proposals`."""
        return cls(**{name: row[name] for name in row.keys() if name in _FIELDS})  # noqa: SIM118

    def expired(self, now: datetime) -> bool:
        """Too old to be saved; what was saved or discarded in time stays so."""
        return self.status == "open" and now >= moment(self.expires_at)

    def upcoming(self, now: datetime, count: int = 3) -> list[datetime]:
        """When it would come, saved now, in its zone's own time. Raises: ScheduleRefused."""
        return self.timing.upcoming(now, count)


_FIELDS: Final = {item.name for item in fields(Proposal)}


def propose(
    tx: Tx, new: NewSchedule, *, source: str, now: datetime, changes: int | None = None
) -> Proposal:
    """Keep what was understood, for a day. A turn that begins again gets what it made before.

    `changes` is a schedule of this chat that is to become so. Raises: ScheduleRefused with what to
    do, also when the chat is full; ScheduleNotFound; JobRefused.
    """
    for number in count():
        row = tx.one("proposal_by_source", source=f"{source}:p{number}")
        if row is None:
            break
        known = Proposal.from_row(row)
        if _same(known, new) and known.changes == changes:
            return known
    schedules.job_of(new)
    if len(new.cron or "") > CRON_CHARS_MAX:
        raise ScheduleRefused(
            f"cron has more than {CRON_CHARS_MAX} characters: write it shorter, such as 1-5.",
            "cron",
        )
    new.timing.check(now, min_every_s=MIN_EVERY_S)
    if changes is not None:
        schedules.find(tx, changes, new.chat_id)
    elif full(tx, new.chat_id):
        raise ScheduleRefused(
            f"This chat has {SCHEDULES_MAX} schedules, the most there may be: one must be removed "
            "first, with /schedule.",
            "full",
            count=SCHEDULES_MAX,
        )
    proposal_id = tx.insert(
        "insert_proposal",
        source=f"{source}:p{number}",
        chat_id=new.chat_id,
        thread_id=new.thread_id,
        user_id=new.user_id,
        title=clean_text(new.title),
        prompt=clean_text(new.prompt),
        cron=new.cron,
        every_s=new.every_s,
        zone=new.zone,
        changes=changes,
        now=stamp(now),
        expires_at=stamp(now + EXPIRES_AFTER),
    )
    return _find(tx, proposal_id, new.chat_id)


def find(tx: Tx, proposal_id: int, *, chat_id: str, user_id: str) -> Proposal:
    """One proposal. Raises: ScheduleNotFound, also for another chat's or another person's."""
    proposal = _find(tx, proposal_id, chat_id)
    if proposal.user_id != user_id:
        raise ScheduleNotFound(f"There is no proposal {proposal_id}.")
    return proposal


def save(tx: Tx, proposal: Proposal, *, now: datetime) -> Schedule:
    """Make it a schedule, or change the one it is about; the caller has seen that it is open.

    A first time is after `now`. Raises: ScheduleRefused, JobRefused when it cannot be used any
    more, ScheduleNotFound when what it changes is gone.
    """
    assert proposal.status == "open", "a proposal is saved once"
    new = NewSchedule(**{item.name: getattr(proposal, item.name) for item in fields(NewSchedule)})
    if proposal.changes is None:
        schedule = schedules.add(tx, new, now=now, min_every_s=MIN_EVERY_S)
    else:
        schedule = schedules.change(tx, proposal.changes, new, now=now, min_every_s=MIN_EVERY_S)
    tx.run("proposal_saved", id=proposal.id, schedule_id=schedule.id)
    return schedule


def upcoming(tx: Tx, proposal: Proposal, now: datetime) -> list[datetime]:
    """Its next times, saved now. Raises: ScheduleNotFound, ScheduleRefused."""
    if proposal.changes is not None:
        known = schedules.find(tx, proposal.changes, proposal.chat_id)
        if known.timing == proposal.timing and (times := schedules.next_times(known)):
            return times  # they go on
    return proposal.upcoming(now)


def discard(tx: Tx, proposal: Proposal) -> Proposal:
    """It is not wanted; what was saved stays saved."""
    if tx.run("proposal_discarded", id=proposal.id):
        return replace(proposal, status="discarded")
    return proposal


def full(tx: Tx, chat_id: str) -> bool:
    """Has this chat as many schedules as it may have?"""
    return int(tx.value("count_schedules", chat_id=chat_id)) >= SCHEDULES_MAX


def _same(known: Proposal, new: NewSchedule) -> bool:
    """Is that what was proposed? Its words may be others: they are the model's."""
    return (known.cron, known.every_s, known.zone) == (new.cron, new.every_s, new.zone) and (
        known.title == clean_text(new.title)
    )


def _find(tx: Tx, proposal_id: int, chat_id: str) -> Proposal:
    row = None
    if abs(proposal_id) < 2**63:  # a number SQLite cannot hold is nobody's either
        row = tx.one("proposal", id=proposal_id, chat_id=chat_id)
    if row is None:
        raise ScheduleNotFound(f"There is no proposal {proposal_id}.")
    return Proposal.from_row(row)

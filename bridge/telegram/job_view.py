"""What of a job can be seen beside its row, read in one transaction."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from bridge import results, usage
from bridge.clock import moment, stamp
from bridge.models import Job, JobStatus
from bridge.store import Tx
from bridge.telegram.times import local_clock
from bridge.usage import Spent

CARD_STEPS: Final = 3
PARENTS_NAMED: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Something a job has reported, and when."""

    at: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """A job as a chat may show it."""

    job: Job
    now: datetime
    before: int = 0  # jobs, of whatever chat, that start before it
    spent: Spent = field(default_factory=Spent)
    waits_for: tuple[int, ...] = ()  # jobs it is blocked by
    heard_at: str = ""  # when something was last heard of it, while it runs
    steps: tuple[Step, ...] = field(default=())  # the last ones, oldest first
    unfolded: bool = False  # its card shows them
    zone: str = "UTC"  # in which its chat is told times
    summary: str = ""  # of its result

    @property
    def elapsed_s(self) -> float:
        """Seconds since it was first claimed."""
        return self._since(self.job.started_at)

    @property
    def silent_s(self) -> float:
        """Seconds since something was last heard of it."""
        return self._since(self.heard_at)

    def clock(self, at: str) -> str:
        """The time of day of a stamp, as the chat is told it."""
        return local_clock(at, self.zone)

    def _since(self, at: str | None) -> float:
        return max(0.0, (self.now - moment(at)).total_seconds()) if at else 0.0


def look(
    tx: Tx,
    job: Job,
    now: datetime,
    *,
    zone: str = "UTC",
    unfolded: bool = False,
    steps: int = 0,
) -> JobView:
    """The view of a job; `steps` is how many of its last steps are wanted, with its summary."""
    pending, running = job.status is JobStatus.PENDING, job.status is JobStatus.RUNNING
    blocked = job.status is JobStatus.BLOCKED
    parents = tx.all("open_parents_of", job_id=job.id, limit=PARENTS_NAMED) if blocked else []
    rows = tx.all("last_steps", job_id=job.id, limit=steps) if steps else []
    heard_at = tx.value("last_event_at", job_id=job.id) if running else None
    return JobView(
        job=job,
        now=now,
        before=int(tx.value("jobs_before", id=job.id, now=stamp(now)) or 0) if pending else 0,
        spent=usage.on_card(tx, job.id, job.chat_id),
        waits_for=tuple(row["after_id"] for row in parents),
        heard_at=heard_at or "",
        steps=tuple(Step(at=row["at"], text=row["step"]) for row in reversed(rows)),
        unfolded=unfolded,
        zone=zone,
        summary=results.summary_of(tx, job) if steps else "",
    )

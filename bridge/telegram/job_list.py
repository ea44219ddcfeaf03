"""The list of a chat's jobs: its pages, its filters, its buttons.

A page is named by one number, so that it fits into a button: page × 8 + filter.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from bridge.clock import moment
from bridge.models import Job, JobStatus, short
from bridge.store import Tx
from bridge.telegram.api import Buttons
from bridge.telegram.buttons import Signer
from bridge.telegram.compose import Part
from bridge.telegram.cost_words import bar
from bridge.telegram.job_card import clock_text, numbered
from bridge.telegram.marked import Marked
from bridge.telegram.texts import say, words

PAGE: Final = 6
NAME_CHARS: Final = 40
TODAY: Final = timedelta(hours=20)  # so long a time of day alone says when, in any zone
NO_BREAK: Final = "\u00a0"  # a bar is not torn apart at the end of a line
SIGNS: Final = {
    JobStatus.PENDING: "⏳",
    JobStatus.SCHEDULED: "🕓",
    JobStatus.BLOCKED: "⛓",
    JobStatus.RUNNING: "🛠",
    JobStatus.WAITING: "❓",
    JobStatus.DONE: "✅",
    JobStatus.FAILED: "❌",
    JobStatus.CANCELLED: "⏹",
}
LIVE: Final = tuple(status for status in JobStatus if not status.final)
ENDED: Final = tuple(status for status in JobStatus if status.final)
# By their number in a button; `filter_<name>` of a language are the words for it.
FILTERS: Final[tuple[tuple[str, tuple[JobStatus, ...]], ...]] = (
    ("all", (*LIVE, *ENDED)),
    ("running", (JobStatus.RUNNING,)),
    ("waiting", tuple(status for status in LIVE if status is not JobStatus.RUNNING)),
    ("done", (JobStatus.DONE,)),
    ("failed", (JobStatus.FAILED,)),
    ("cancelled", (JobStatus.CANCELLED,)),
)
FILTERS_MAX: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some jobs of a chat, and where they stand among all of them."""

    jobs: Sequence[Job]
    counts: dict[JobStatus, int]  # of the whole chat
    number: int  # from 0
    pages: int
    filter: int  # in FILTERS

    @property
    def live(self) -> int:
        """How many jobs of the chat have not ended."""
        return sum(self.counts.get(status, 0) for status in LIVE)

    def code(self, number: int) -> int:
        """The number of a button that shows another page of the same list."""
        return number * FILTERS_MAX + self.filter


def filter_of(word: str) -> int | None:
    """The filter a word means in any language; None when it means none."""
    word = word.strip().casefold()
    named = (n for n, (name, _) in enumerate(FILTERS) if word in words(f"filter_{name}"))
    return next(named, None)


def counts_of(tx: Tx, chat_id: str) -> dict[JobStatus, int]:
    """How many jobs of a chat stand where; statuses without any are left out."""
    live = {row["status"]: row["jobs"] for row in tx.all("live_counts", chat_id=chat_id)}
    row = tx.one("ended_counts", chat_id=chat_id)
    assert row is not None  # sums are always a row
    found = {**live, **{str(status): int(row[str(status)]) for status in ENDED}}
    return {JobStatus(status): jobs for status, jobs in found.items() if jobs}


def page_of(tx: Tx, chat_id: str, code: int) -> Page:
    """The page a button names, or the last one when there are fewer."""
    number, which = divmod(code, FILTERS_MAX)
    which = which if which < len(FILTERS) else 0
    counts, wanted = counts_of(tx, chat_id), FILTERS[which][1]
    live = sum(counts.get(status, 0) for status in wanted if not status.final)
    total = sum(counts.get(status, 0) for status in wanted)
    pages = max(1, -(-total // PAGE))
    number = min(number, pages - 1)
    start, statuses = number * PAGE, json.dumps([*wanted])
    about = {"chat_id": chat_id, "statuses": statuses}
    rows = tx.all("live_page", **about, limit=PAGE, offset=start) if start < live else []
    room = PAGE - len(rows)
    if room and start + len(rows) < total:
        offset = max(0, start - live)
        rows += tx.all("ended_page", **about, limit=room, offset=offset)
    return Page(
        jobs=[Job.from_row(row) for row in rows],
        counts=counts,
        number=number,
        pages=pages,
        filter=which,
    )


def list_part(page: Page, signer: Signer, chat_id: str, *, language: str, now: datetime) -> Part:
    """The page as a message; edited in place by its own buttons."""
    if not page.counts:
        return Marked().add(say(language, "no_jobs")).part()
    running = page.counts.get(JobStatus.RUNNING, 0)
    made = Marked().add(say(language, "jobs_title", running=running, waiting=page.live - running))
    if page.filter:
        made.add(f" · {say(language, f'filter_name_{FILTERS[page.filter][0]}')}", "italic")
    for job in page.jobs:
        _line(made, job, language, now)
    if not page.jobs:
        made.line(say(language, "jobs_none_such"))
    return made.part(buttons=_rows(page, signer, chat_id, language))


def _line(made: Marked, job: Job, language: str, now: datetime) -> None:
    made.line(f"{SIGNS[job.status]} #{job.id} {short(job.name, NAME_CHARS)} · ")
    if job.status is JobStatus.RUNNING:
        elapsed_s = (now - moment(job.started_at)).total_seconds() if job.started_at else 0.0
        step, of = numbered(job.step)
        state = say(language, "card_step", step=of) if of else short(step, 30)
        if job.progress is not None:
            state = bar(job.progress, 5)
        told = " · ".join(filter(None, (state, clock_text(elapsed_s))))
        made.add(told.replace(" ", NO_BREAK))
    elif job.status.final and job.completed_at:
        made.time(job.completed_at, "t" if now - moment(job.completed_at) < TODAY else "d")
    else:
        made.add(say(language, f"status_{job.status}"))


def _rows(page: Page, signer: Signer, chat_id: str, language: str) -> Buttons:
    rows = signer.row(chat_id, *((f"{job.id}", "jo", job.id) for job in page.jobs))
    ways = [("‹", "jl", page.code(page.number - 1))] if page.number else []
    if page.pages > 1:
        ways.append((f"{page.number + 1}/{page.pages}", "jl", page.code(page.number)))
    if page.number + 1 < page.pages:
        ways.append(("›", "jl", page.code(page.number + 1)))
    ways.append(("🔄", "jl", page.code(page.number)))
    if page.live:
        ways.append((say(language, "button_cancel_all"), "jx", 0))
    return [*(row for row in rows if row), *signer.row(chat_id, *ways)]


def sure_part(live: int, signer: Signer, chat_id: str, *, language: str) -> Part:
    """Asks before everything is cancelled."""
    text = say(language, "cancel_all_sure", count=live)
    yes = (say(language, "button_cancel_all_sure"), "jy", 0)
    buttons = signer.row(chat_id, yes, (say(language, "button_keep"), "jl", 0))
    return Marked().add(text).part(buttons=buttons)

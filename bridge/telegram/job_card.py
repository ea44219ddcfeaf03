"""The card of a job: what it shows, from the queue to its end.

Pure functions from a view to a message; when it is edited is cards.py.
"""

import re
from typing import Final

from bridge.clock import moment
from bridge.models import Job, JobStatus, short
from bridge.telegram import job_buttons
from bridge.telegram.buttons import Signer
from bridge.telegram.compose import Part
from bridge.telegram.cost_words import CENT_MICRO, bar, money
from bridge.telegram.job_view import JobView
from bridge.telegram.marked import FOLDED_QUOTE, Marked
from bridge.telegram.texts import say
from bridge.telegram.times import local_text
from bridge.usage import Spent

SILENT_S: Final = 90.0  # nothing heard for so long is said
ETA_PERCENT_MIN: Final = 15.0  # before that, and in the first seconds, it would be a guess
ETA_ELAPSED_MIN_S: Final = 20.0
ROUNDED: Final = ((120, 10), (900, 30))  # what is left below so many seconds: rounded to so many
HELD_BY: Final = ("model", "budget")
NUMBERED: Final = re.compile(r"(\d{1,3})/(\d{1,3})\b[\s:.,–·-]*(.*)", re.DOTALL)
BEFORE_MAX: Final = 100  # jobs that go before another are counted so far
FOLD: Final = "📋 "  # begins the line above the last steps
AGAIN: Final = "🔁 "  # begins the line about an earlier attempt


def card_part(view: JobView, signer: Signer, *, language: str) -> Part:
    """The card as it is sent for the first time."""
    job = view.job
    return card(view, language=language).part(
        do="card",
        job=job.id,
        final=job.status.final,
        reply_to=job.request_message_id,
        silent=True,
        buttons=job_buttons.card_rows(view, signer, language=language),
    )


def card(view: JobView, *, language: str) -> Marked:
    """The card of a job as it stands now; edited in place until the job has ended."""
    job = view.job
    made = Marked()
    if job.acknowledgement:
        made.line(job.acknowledgement).line("")
    if job.status.final:
        for line in _final_lines(view, language):
            made.line(line)
        return made
    made.line(f"🛠 #{job.id} · {job.name}")
    if job.status is not JobStatus.RUNNING:
        return made.line(_waits(view, language))
    for line in _running_lines(view, language):
        made.line(line)
    if view.unfolded:
        steps = "\n".join(f"{view.clock(step.at)} {short(step.text, 80)}" for step in view.steps)
        made.line(f"{FOLD}{say(language, 'card_steps')}")
        made.line(steps or say(language, "card_no_steps"), FOLDED_QUOTE)
    return made


def _final_lines(view: JobView, language: str) -> list[str]:
    """One line for what went well; two when its first must say more than a sign does."""
    job, costs = view.job, cost_facts(view.spent, language)
    took = clock_text(duration_s(job)) if job.started_at else ""
    if job.status is JobStatus.DONE:
        return [" · ".join(filter(None, (f"✅ #{job.id}", job.name, took, *costs)))]
    if job.status is JobStatus.FAILED:
        facts = filter(None, (say(language, "card_failed"), took, *costs))
        return [f"❌ #{job.id} · {job.name}", " · ".join(facts)]
    key = "card_cancelled_after" if took else "card_cancelled"
    end = " · ".join([say(language, key, time=took), *costs])
    return [f"⏹ #{job.id} · {job.name}", end]


def _waits(view: JobView, language: str) -> str:
    job = view.job
    if job.status is JobStatus.PENDING:
        key = "card_pending_after" if view.before else "card_pending"
        before = str(view.before) if view.before < BEFORE_MAX else f"{BEFORE_MAX}+"
        return say(language, key, before=before)
    if job.status is JobStatus.SCHEDULED:
        key = f"card_waits_{job.held_by}" if job.held_by in HELD_BY else "card_scheduled"
        return say(language, key, at=local_text(job.run_at or "", view.zone, language))
    if job.status is JobStatus.BLOCKED and view.waits_for:
        return say(language, "card_blocked_by", jobs=numbers(view.waits_for))
    return say(language, f"card_{job.status}")


def _running_lines(view: JobView, language: str) -> list[str]:
    job, elapsed_s = view.job, view.elapsed_s
    step, of = numbered(job.step)
    counted = f"  {say(language, 'card_step', step=of)}" if of else ""
    lines = [f"{bar(job.progress, 10)}{counted}"] if job.progress is not None else []
    if job.progress is None and counted:
        lines.append(counted.strip())
    lines.append(f"⚙️ {step or say(language, 'card_started')}")
    facts = [f"⏱ {clock_text(elapsed_s)}"]
    if (left_s := remaining_s(elapsed_s, job.progress)) is not None:
        facts.append(say(language, "card_left", time=clock_text(left_s)))
    facts += used_facts(view.spent, language)
    lines.append(" · ".join(facts))
    if view.silent_s >= SILENT_S:
        lines.append(say(language, "card_silent", time=clock_text(view.silent_s // 30 * 30)))
    if job.failures:
        tries = {"attempt": job.failures + 1, "max_attempts": job.max_attempts}
        lines.append(say(language, "card_again", **tries))
    elif job.rescues:
        lines.append(say(language, "card_rescued"))
    return lines


def used_facts(spent: Spent, language: str) -> list[str]:
    """Tokens, when they are worth telling, and what they cost."""
    tokens = spent.tokens
    many = [say(language, "card_tokens", tokens=round(tokens / 1_000))] if tokens >= 1_000 else []
    return many + cost_facts(spent, language)


def cost_facts(spent: Spent, language: str) -> list[str]:
    """What it has cost, when all of it is known and it is a cent at least."""
    cost_micro = spent.whole_micro
    return [] if cost_micro is None or cost_micro < CENT_MICRO else [money(cost_micro, language)]


def numbered(step: str) -> tuple[str, str]:
    """A step without its number, and the number: `3/7 reading` is `reading` and `3/7`."""
    found = NUMBERED.match(step)
    if found is None or not 0 < int(found[1]) <= int(found[2]):
        return step, ""
    return found[3].strip(), f"{found[1]}/{found[2]}"


def remaining_s(elapsed_s: float, progress: float | None) -> float | None:
    """About how long it will still take, rounded; None while nobody can know."""
    if progress is None or not ETA_PERCENT_MIN <= progress < 100 or elapsed_s < ETA_ELAPSED_MIN_S:
        return None
    left_s = elapsed_s * (100 - progress) / progress
    to_s = next((to_s for below_s, to_s in ROUNDED if left_s < below_s), 60)
    return max(to_s, round(left_s / to_s) * to_s)


def without_clock(text: str) -> str:
    """The card without its running times, which alone are no news."""
    return "\n".join(line for line in text.split("\n") if not line.startswith(("⏱", "💤")))


def outline(text: str) -> tuple[bool, bool]:
    """What a change of is news at once: does this card show steps, and that it was begun again?"""
    return f"\n{FOLD}" in text, f"\n{AGAIN}" in text


def numbers(ids: tuple[int, ...]) -> str:
    """`#41, #43`."""
    return ", ".join(f"#{number}" for number in ids)


def duration_s(job: Job) -> float:
    """Seconds from the first claim to the end; 0 when it has not both."""
    if not job.started_at or not job.completed_at:
        return 0.0
    return (moment(job.completed_at) - moment(job.started_at)).total_seconds()


def clock_text(seconds: float) -> str:
    """`1:48`, or `1:02:05` from an hour."""
    minutes, rest = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"

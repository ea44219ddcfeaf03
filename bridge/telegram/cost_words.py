"""Money in words, and the answer to /cost: what a chat has cost, and what for."""

from datetime import datetime
from typing import Final

from bridge import people, usage
from bridge.budgets import Budgets
from bridge.clock import stamp
from bridge.models import short
from bridge.store import Tx
from bridge.telegram.texts import say
from bridge.timing import zone_named
from bridge.usage import JobSpent, Spent

CENT_MICRO: Final = 10_000  # millionths of a dollar
JOBS_SHOWN: Final = 3
PAD: Final = "\N{FIGURE SPACE}"  # as wide as a digit, also where letters differ in width


def budget_report(tx: Tx, budgets: Budgets, user_id: str, language: str, now: datetime) -> str:
    """How much of the day's budgets is used: each person's own; everyone's, for an owner."""
    everyone, user = budgets.today(tx, user_id, now)
    sees_all = user_id.isdecimal() and int(user_id) in people.owners(tx, budgets.owners)
    lines = [
        f"{bar(100 * spent / limit, 10)}  {money(limit, language)}  {say(language, key)}"
        for key, limit, spent in (
            ("cost_budget_user", budgets.user_micro, user),
            ("cost_budget_day", budgets.day_micro if sees_all else 0, everyone),
        )
        if limit
    ]
    return "\n".join(lines)


def bar(progress: float, width: int) -> str:
    """`▰▰▰▰▱▱▱▱▱▱ 41 %`."""
    full = round(min(100.0, max(0.0, progress)) * width / 100)
    return f"{'▰' * full}{'▱' * (width - full)} {progress:.0f} %"


def cost_report(tx: Tx, chat_id: str, language: str, now: datetime, zone: str) -> str:
    """What this chat has cost; its days and months begin at midnight in `zone` ("" = UTC).

    The cost of models without a known price is not in the sums, and is said.
    """
    today = now.astimezone(zone_named(zone or "UTC")).replace(
        hour=0, minute=0, second=0, microsecond=0
    )
    since = stamp(today.replace(day=1))
    month = usage.of_chat(tx, chat_id, since)
    if not month.tokens:
        return say(language, "cost_none")
    jobs = usage.of_jobs(tx, chat_id, since)
    sums = [
        (usage.of_chat(tx, chat_id, stamp(today)).cost_micro, say(language, "cost_today")),
        (month.cost_micro, say(language, "cost_month")),
        (month.cost_micro - jobs.cost_micro, say(language, "cost_answers")),
        (jobs.cost_micro, say(language, "cost_jobs")),
    ]
    dearest = usage.dearest_jobs(tx, chat_id, since, limit=JOBS_SHOWN)
    named = [(job.spent.cost_micro, _name(job)) for job in dearest]
    width = max(len(money(cost_micro, language)) for cost_micro, _ in [*sums, *named])
    lines = [say(language, "cost_title"), *_aligned(sums, width, language)]
    if named:
        lines += ["", say(language, "cost_dearest"), *_aligned(named, width, language)]
    if month.unpriced_tokens:
        lines += ["", *_unpriced(usage.by_model(tx, chat_id, since), language)]
    return "\n".join(lines)


def money(cost_micro: int, language: str) -> str:
    """`$ 0.11` from millionths of a dollar; less than a cent is not shown as nothing."""
    if 0 < cost_micro < CENT_MICRO:
        return say(language, "money_least")
    dollars, cents = divmod((cost_micro + CENT_MICRO // 2) // CENT_MICRO, 100)
    return say(language, "money", dollars=dollars, cents=f"{cents:02}")


def _aligned(sums: list[tuple[int, str]], width: int, language: str) -> list[str]:
    """The amounts one below the other, each with what it is for."""
    return [f"{money(micro, language).rjust(width, PAD)}  {what}" for micro, what in sums]


def _name(job: JobSpent) -> str:
    return f"#{job.job_id} {short(job.name, 40)}".rstrip()


def _unpriced(models: dict[str, Spent], language: str) -> list[str]:
    return [
        say(
            language,
            "cost_unpriced",
            tokens=_tokens(spent.unpriced_tokens),
            model=short(model, 60),
        )
        for model, spent in models.items()
        if spent.unpriced_tokens
    ]


def _tokens(tokens: int) -> str:
    return f"{round(tokens / 1_000)}k" if tokens >= 1_000 else f"{tokens}"

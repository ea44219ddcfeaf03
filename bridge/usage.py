"""What the model calls have used and cost: written with each reply, read as sums.

Money is whole millionths of a dollar. A sum knows how many of its tokens had no known price, so
that nobody is told a part as if it were all. `since` is a UTC stamp; "" is since ever.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from sqlite3 import Row

from bridge.clock import stamp
from bridge.conversation import job_conversation, whose
from bridge.models import short
from bridge.preferences import preferences_of
from bridge.prices import Usage, cost_of
from bridge.store import Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """A sum over requests."""

    tokens: int = 0  # read and written
    cost_micro: int = 0  # of those whose price is known
    unpriced_tokens: int = 0  # of `tokens`, the others

    @property
    def whole_micro(self) -> int | None:
        """The cost when all of it is known, else None."""
        return None if self.unpriced_tokens else self.cost_micro


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpent:
    """What one job has used; `name` is empty when the job is no longer kept."""

    job_id: int
    name: str
    spent: Spent


def account(
    tx: Tx,
    *,
    conversation: str,
    model: str,
    usage: Usage,
    now: datetime,
    user_id: str = "",
    counted_micro: int | None = None,
) -> None:
    """Write down one request with the price of today, in the transaction that keeps its reply.

    `counted_micro` is what it takes from budgets (budgets.py); None is its price.
    """
    chat_id, job_id = whose(conversation)
    tx.run(
        "insert_usage",
        now=stamp(now),
        conversation=conversation,
        model=model,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read=usage.cache_read,
        cache_write=usage.cache_write,
        latency_ms=usage.latency_ms,
        estimated=usage.estimated,
        cost_micro=cost_of(model, usage, now),
        counted_micro=counted_micro,
        user_id=user_id,
        chat_id=chat_id,
        job_id=job_id,
    )


def of_conversation(tx: Tx, conversation: str) -> Spent:
    """Everything one conversation or one job has used."""
    return _spent(tx.one("spent_in_conversation", conversation=conversation))


def on_card(tx: Tx, job_id: int, chat_id: str) -> Spent:
    """What the card of a job tells: no money in a chat that chose to see none."""
    spent = of_conversation(tx, job_conversation(job_id))
    hidden = spent.cost_micro and preferences_of(tx, chat_id).costs == "off"
    return replace(spent, cost_micro=0) if hidden else spent


def of_chat(tx: Tx, chat_id: str, since: str = "") -> Spent:
    """What a chat has used, with its jobs."""
    return _spent(tx.one("spent_in_chat", chat_id=chat_id, since=since))


def of_jobs(tx: Tx, chat_id: str, since: str = "") -> Spent:
    """The part of it that was used by jobs."""
    return _spent(tx.one("spent_on_jobs", chat_id=chat_id, since=since))


def by_model(tx: Tx, chat_id: str, since: str = "") -> dict[str, Spent]:
    """What a chat has used of each model, the dearest first."""
    rows = tx.all("spent_by_model", chat_id=chat_id, since=since)
    return {row["model"]: _spent(row) for row in rows}


def dearest_jobs(tx: Tx, chat_id: str, since: str = "", *, limit: int) -> list[JobSpent]:
    """The jobs of a chat that have cost most, the dearest first."""
    rows = tx.all("dearest_jobs", chat_id=chat_id, since=since, limit=limit)
    return [
        JobSpent(
            job_id=row["job_id"],
            name=row["title"] or short(row["prompt"] or "", 60),
            spent=_spent(row),
        )
        for row in rows
    ]


def _spent(row: Row | None) -> Spent:
    assert row is not None  # a sum always has a row
    return Spent(
        tokens=row["tokens"],
        cost_micro=row["cost_micro"],
        unpriced_tokens=row["unpriced_tokens"],
    )

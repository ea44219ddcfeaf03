"""Who is next: which waiting job a worker may start now.

The head of the line, as a rule: the most urgent first, among equals each chat in its turn. When the
head has to wait (its kind is paused, keeps failing or has workers of its own; its chat runs as many
jobs as it may), the best of those behind it that need not. A job that may have killed a worker runs
where nothing else does.
"""

import json
from dataclasses import dataclass

from bridge.breaker import EVERY_KIND
from bridge.store import Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimant:
    """Who claims: `worker_id` is `slot:pid:nonce`; `kinds` only these, `except_kinds` not these."""

    worker_id: str
    kinds: tuple[str, ...] = ()
    except_kinds: tuple[str, ...] = ()

    @property
    def slot(self) -> str:
        """Who holds a slot knows that its former holders are dead."""
        return self.worker_id.partition(":")[0]


def first(tx: Tx, who: Claimant, *, now: str, chat_concurrency: int) -> int | None:
    """The id of the job this worker may start next, or None.

    One that must run alone goes to a worker that has nothing else to do. Since the line may never
    end, the least busy worker takes nothing that comes later, and so will have nothing else to do.
    """
    jobs, alone = load(tx, who.worker_id)
    closed = {row["kind"] for row in tx.all("closed_kinds", now=now)}
    if alone or EVERY_KIND in closed:
        return None
    may = {
        "kinds": json.dumps(who.kinds),
        "closed": json.dumps([*closed, *who.except_kinds]),
        "chat_concurrency": chat_concurrency,
    }
    in_line: int | None = tx.value("head_of_line", **may)
    if in_line is None:
        in_line = tx.value("best_of_lanes", **may)
    suspect: int | None = tx.value("best_alone", **may)
    if suspect is None or tx.value("first_of", one=suspect, other=in_line) != suspect:
        return in_line
    if not jobs:
        return suspect
    kinds = ",".join(who.kinds)
    least_busy = tx.value("least_busy", worker_id=who.worker_id, jobs=jobs, kinds=kinds)
    return None if least_busy else in_line


def load(tx: Tx, worker_id: str | None) -> tuple[int, bool]:
    """How many jobs a worker runs, and whether one of them is to run alone."""
    row = tx.one("load", worker_id=worker_id)
    assert row is not None
    return row["jobs"], bool(row["alone"])

"""The circuit breaker: what keeps failing is left alone for a while, and jobs that need it wait.

A row of `breakers` counts the failures in a row of one thing (the model provider, a tool's host),
as all processes have seen them. The fifth opens it: no job of its kind is claimed before
`open_until`. Then one claim passes, and that job tries for all that wait. When it has failed, the
wait begins again and is longer; when it says nothing for a minute, the next one may try. A success
deletes the row. Jobs that run are not touched. The owners are told once that it opened and once
that it closed, in the commit that does it.
"""

import sqlite3
from collections.abc import Set as AbstractSet
from datetime import timedelta
from typing import Final

from bridge import people
from bridge.alerts import tell_owners
from bridge.clock import Clock, stamp
from bridge.models import clean_text, short
from bridge.store import Store, Tx

MODEL: Final = "model"  # other names are hosts of tools: 'host:api.example.org'
EVERY_KIND: Final = "*"
FAILURES_MAX: Final = 5  # in a row
OPEN_FIRST_S: Final = 30.0  # then 1 and 2 minutes: a probe is one small request
OPEN_MAX_S: Final = 120.0
RETRY_AFTER_MAX_S: Final = 3600.0  # nobody is believed who asks for more
PROBE_S: Final = 60.0  # the one that tries has this time for itself
REASON_CHARS_MAX: Final = 200


class Breaker:
    """Hears how calls ended. `owners` are those of KITT_OWNER; the others are in the database."""

    def __init__(self, store: Store, clock: Clock, owners: AbstractSet[int]) -> None:
        self.clock = clock
        self._store = store
        self._owners = owners

    async def failed(
        self, name: str, kind: str, reason: str, retry_after_s: float | None = None
    ) -> None:
        """A call got no answer. `kind` is the kind of job that needs `name`, '*' for every kind.

        `retry_after_s` is what the other side asked for; it may make the wait longer, to an hour.
        """
        reason = short(clean_text(reason), REASON_CHARS_MAX)
        await self._store.write(lambda tx: self._fail(tx, name, kind, reason, retry_after_s or 0.0))

    async def succeeded(self, name: str, kind: str, began: str | None = None) -> None:
        """A call was answered; one read when nothing had failed.

        `began` is when the call did (UTC stamp): one from before the opening does not close it,
        since whoever refuses new calls often still finishes old ones.
        """

        def proven(tx: Tx) -> sqlite3.Row | None:
            row = tx.one("breaker", name=name, kind=kind)
            if row is None:
                return None
            opened_at = row["opened_at"] or ""
            # One that opened in the future did so by a clock that was wrong.
            before = began is not None and began < opened_at <= stamp(self.clock.now())
            return None if before else row

        def close(tx: Tx) -> None:
            row = proven(tx)  # another process may have been first
            if row is None:
                return
            tx.run("drop_breaker", name=name, kind=kind)
            if row["opened_at"] is not None:
                alert = "breaker_closed" if name == MODEL else "host_closed"
                self._tell(tx, alert, name, kind, row["opened_at"])
                tx.wake("worker")

        if await self._store.read(proven) is not None:
            await self._store.write(close)

    def _fail(self, tx: Tx, name: str, kind: str, reason: str, retry_after_s: float) -> None:
        row = tx.one("count_failure", name=name, kind=kind, reason=reason)
        assert row is not None
        if row["failures"] < FAILURES_MAX:
            return
        now = self.clock.now()
        wait_s = max(_wait_s(row["failures"]), min(retry_after_s, RETRY_AFTER_MAX_S))
        until = stamp(now + timedelta(seconds=wait_s))
        tx.run("shut_breaker", name=name, kind=kind, now=stamp(now), until=until)
        if row["opened_at"] is None:
            alert = "breaker_opened" if name == MODEL else "host_opened"
            self._tell(tx, alert, name, kind, stamp(now), reason=reason)

    def _tell(
        self, tx: Tx, alert: str, name: str, kind: str, opened_at: str, **values: str
    ) -> None:
        tell_owners(
            tx,
            people.owners(tx, self._owners),
            alert,
            key=f"{alert}:{name}:{kind}:{opened_at}",
            now=stamp(self.clock.now()),
            name=name.removeprefix("host:"),
            **values,
        )


def probe(tx: Tx, kind: str, now: str) -> None:
    """A job of this kind was claimed: where a wait is over, it is the one that tries.

    Belongs into the claim's own transaction, so that exactly one claim passes.
    """
    tx.run("probe_breakers", kind=kind, now=now, probe_s=PROBE_S)


def _wait_s(failures: int) -> float:
    """Seconds an open breaker stays shut to all: 30, and twice as long with every probe."""
    return min(OPEN_FIRST_S * 2.0 ** min(failures - FAILURES_MAX, 10), OPEN_MAX_S)

"""What may be spent: by one job, by one person in a day, and by everyone in a day.

Before a request is sent, the first time and any other, the most it can cost is reserved in the
database, where all processes see it; the commit that keeps the reply takes the reservation away and
counts what it did cost. One that was cut counts as far as it came. A request may begin while
anything is left, so that a budget is passed by one request at most. A reservation whose process
died is replaced by the next request of its conversation, and ends by itself. A model without a
known price counts at KITT_PRICE_UNKNOWN: nothing is without a limit by accident. Money is
millionths of a dollar; 0 means no limit. A day begins at midnight in KITT_ZONE.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from bridge import people, usage
from bridge.alerts import tell_owners
from bridge.clock import Clock, stamp
from bridge.conversation import whose
from bridge.errors import BudgetUsedUp, KittError
from bridge.prices import MILLION, WEB_SEARCH, Meter, Price, Usage, cost_at, cost_of, price_of
from bridge.settings import Settings
from bridge.store import Store, Tx
from bridge.timing import zone_named

CALL_MAX_S: Final = 1200.0  # no request takes longer: whoever reserved for it is gone
SEARCHES: Final = 5  # by the provider, in one request: it makes no more, and they are reserved
LAST_TOKENS: Final = 4_000  # of the last reply, which has no more tools
JOBS_SHARE: Final = 0.9  # of a day: what jobs may hold together, so that answers go on
LATE: Final = 0.8  # of a job's budget: from here on it is told to come to an end
TOLD_AT: Final = (100, 80, 50)  # percent of a day, each said once


@dataclass(frozen=True, slots=True, kw_only=True)
class Budgets:
    """What the settings allow."""

    job_micro: int = 0
    user_micro: int = 0
    day_micro: int = 0
    zone: str = ""
    owners: frozenset[int] = frozenset()
    unknown: Price

    @classmethod
    def of(cls, settings: Settings) -> "Budgets":
        """Those of the settings."""
        read, written = settings.price_unknown_micro
        return cls(
            job_micro=settings.budget_job_micro,
            user_micro=settings.budget_user_day_micro,
            day_micro=settings.budget_day_micro,
            zone=settings.zone,
            owners=settings.owners,
            unknown=Price(
                input=read,
                output=written,
                cache_read=read,
                cache_write=read,
                cache_write_1h=read,
            ),
        )

    def day(self, now: datetime) -> tuple[datetime, datetime]:
        """When the day began in which `now` lies, and when the next one begins."""
        here = now.astimezone(zone_named(self.zone or "UTC"))
        midnight = here.replace(hour=0, minute=0, second=0, microsecond=0)
        noon = midnight.replace(hour=12) + timedelta(days=1)  # a day may have 23 hours
        return midnight, noon.replace(hour=0)

    def today(self, tx: Tx, user_id: str, now: datetime) -> tuple[int, int]:
        """What everyone has used of this day, and what this person has."""
        since = stamp(self.day(now)[0])
        everyone = tx.value("counted_since", since=since)
        one = tx.value("counted_for_user_since", user_id=user_id, since=since) if user_id else 0
        return everyone, one

    def said(self, tx: Tx, now: datetime) -> str:
        """`Today $ 1.20 of $ 10.00; a person $ 5.00 a day, a job no limit.`"""
        everyone, _ = self.today(tx, "", now)
        day, user, job = (
            f"$ {micro / MILLION:.2f}" if micro else "no limit"
            for micro in (self.day_micro, self.user_micro, self.job_micro)
        )
        return (
            f"Budget: $ {everyone / MILLION:.2f} of {day} used today; a person {user}, a job {job}."
        )

    def counted(self, model: str, used: Usage, now: datetime) -> int:
        """What a request takes from its budgets."""
        cost_micro = cost_of(model, used, now)
        return cost_at(self.unknown, used) if cost_micro is None else cost_micro


@dataclass(frozen=True, slots=True)
class Room:
    """What a job's budget leaves for its next request; `last` when there is none for another.

    `searches` are those that the provider may make in it.
    """

    max_tokens: int
    searches: int = 0
    last: bool = False


class Purse:
    """The money of one turn. An answer in the chat has only the budgets of the day."""

    def __init__(
        self,
        budgets: Budgets,
        *,
        store: Store,
        clock: Clock,
        conversation: str,
        user_id: str,
        job_micro: int = 0,
        kind_micro: int = 0,
    ) -> None:
        """`job_micro` is for a job and all its parts together, `kind_micro` for this one alone."""
        self._budgets = budgets
        self._store = store
        self._clock = clock
        self._conversation = conversation
        self._user_id = user_id
        self._job_id = whose(conversation)[1]
        self._job_micro = job_micro
        self._kind_micro = kind_micro
        self._used: list[tuple[int, int]] = []  # each limit, and what was used of it
        self._due: list[tuple[str, Usage]] = []  # requests that are over: their model, their use

    def look(self, tx: Tx) -> None:
        """Read what the job has used so far."""
        used = []
        if self._job_micro:
            used.append((self._job_micro, tx.value("counted_in_tree", job_id=self._job_id)))
        if self._kind_micro:
            own = tx.value("counted_in_conversation", conversation=self._conversation)
            used.append((self._kind_micro, own))
        self._used = used

    @property
    def late(self) -> bool:
        """Should the job come to an end?"""
        return any(limit * LATE <= spent for limit, spent in self._used)

    def room(
        self, model: str, prompt_tokens: int, max_tokens: int, *, searching: bool = False
    ) -> Room:
        """How much the next reply may say, so that the job stays within its budget.

        Where the provider searches it may do so once at least: a tool that is there works.
        """
        searches = SEARCHES if searching else 0
        if not (self._job_micro or self._kind_micro):
            return Room(max_tokens, searches)
        price = self._price(model, prompt_tokens)
        unused = [limit - spent for limit, spent in self._used]
        left = min(unused, default=self._job_micro) - _prompt_micro(price, prompt_tokens)
        shortest = min(LAST_TOKENS, max_tokens)
        least = shortest * price.output // MILLION
        if left < least:
            return Room(shortest, last=True)
        if searching:
            searches = min(SEARCHES, max(1, (left - least) // WEB_SEARCH))
        words = max(least, left - searches * WEB_SEARCH)
        affordable = words * MILLION // price.output if price.output else max_tokens
        return Room(max(shortest, min(max_tokens, affordable)), searches)

    def paying(
        self, prompt_tokens: int, max_tokens: int, *, searches: int
    ) -> Callable[[str], AbstractAsyncContextManager[Meter]]:
        """For one request: what is entered with a model's name whenever it is sent.

        It may be sent again, also to another model. Once it has cost something, only while a job's
        budget has anything left: until then it is what `room` has allowed.
        """
        paid = False

        @asynccontextmanager
        async def paying(model: str) -> AsyncIterator[Meter]:
            nonlocal paid
            async with self._reserved(
                model, prompt_tokens, max_tokens, searches=searches, again=paid
            ) as meter:
                try:
                    yield meter
                finally:
                    paid = paid or meter.begun

        return paying

    @asynccontextmanager
    async def _reserved(
        self, model: str, prompt_tokens: int, max_tokens: int, *, searches: int, again: bool
    ) -> AsyncIterator[Meter]:
        """Hold the price of one request while it is made; `account` lets it go.

        One that was cut counts what it had read and written by then. Raises: BudgetUsedUp.
        """
        price = self._price(model, prompt_tokens)
        highest = _prompt_micro(price, prompt_tokens) + max_tokens * price.output // MILLION
        highest += searches * WEB_SEARCH
        if self._due:  # the reply that this one is to replace
            await self._store.write(self.account, durable=False)
        await self._store.write(lambda tx: self._reserve(tx, highest, again=again), durable=False)
        meter = Meter(Usage(input_tokens=prompt_tokens))
        try:
            yield meter
        except BaseException as error:
            if meter.begun or not isinstance(error, KittError):
                self._due.append((model, meter.cut))
            self._store.write_soon(self.account)
            raise
        self._due.append((model, meter.usage))

    def account(self, tx: Tx) -> None:
        """Write down the requests that are over, in the transaction that keeps their replies."""
        now = self._clock.now()
        counted_micro, due = 0, len(self._due)
        for model, used in self._due[:due]:
            counted = self._budgets.counted(model, used, now)
            counted_micro += counted
            usage.account(
                tx,
                conversation=self._conversation,
                model=model,
                usage=used,
                now=now,
                user_id=self._user_id,
                counted_micro=counted,
            )
        tx.run("settle", conversation=self._conversation)
        self.look(tx)
        self._warn(tx, counted_micro, now)
        tx.committed.append(lambda: self._paid(due))

    def account_soon(self) -> None:
        """The same where no reply is kept: it was paid for as well."""
        if self._due:
            self._store.write_soon(self.account)

    def _paid(self, number: int) -> None:
        del self._due[:number]

    def _price(self, model: str, prompt_tokens: int) -> Price:
        return price_of(model, prompt_tokens, self._clock.now()) or self._budgets.unknown

    def _reserve(self, tx: Tx, highest_micro: int, *, again: bool = False) -> None:
        self.look(tx)
        for limit, spent in self._used if again else ():
            if spent >= limit:
                raise BudgetUsedUp("job", limit, None)
        boot_id, monotonic = self._clock.boot_id, self._clock.monotonic()
        boot = {"boot_id": boot_id, "monotonic": monotonic}
        whose = {"conversation": self._conversation, "user_id": self._user_id}
        now, budgets = self._clock.now(), self._budgets
        everyone, user = budgets.today(tx, self._user_id, now)
        held = tx.one("reserved", **whose, **boot)
        assert held is not None  # a sum always has a row
        for name, limit, spent, waiting in (
            ("user", budgets.user_micro if self._user_id else 0, user, held["user"]),
            ("day", budgets.day_micro, everyone, held["everyone"]),
        ):
            if limit and not self._fits(limit, spent, waiting, highest_micro):
                tomorrow = budgets.day(now)[1] if spent >= limit else None
                raise BudgetUsedUp(name, limit, tomorrow)
        tx.run("drop_left_reservations", **boot)
        until = monotonic + CALL_MAX_S
        tx.run("reserve", **whose, highest_micro=highest_micro, until=until, boot_id=boot_id)

    def _fits(self, limit: int, spent: int, waiting: int, highest_micro: int) -> bool:
        """May a request begin? Jobs at the same time leave the chat its share of what is left."""
        if self._job_id is None or not waiting:
            return spent + waiting < limit
        return spent + waiting + highest_micro <= limit * JOBS_SHARE

    def _warn(self, tx: Tx, counted_micro: int, now: datetime) -> None:
        """Say once a day that half of it is used, most of it, all of it."""
        budgets = self._budgets
        everyone, user = budgets.today(tx, self._user_id, now)
        day = budgets.day(now)[0].date().isoformat()
        known = self._user_id.isdecimal() and people.role(
            tx, budgets.owners, int(self._user_id)
        ) in ("owner", "allowed")
        to_user = [self._user_id] if known else []
        for alert, whom, limit, spent in (
            ("budget_user", to_user, budgets.user_micro, user),
            ("budget_day", people.owners(tx, budgets.owners), budgets.day_micro, everyone),
        ):
            for percent in passed(limit, spent - counted_micro, spent):
                dollars, cents = divmod(limit // 10_000, 100)
                tell_owners(
                    tx,
                    whom,
                    alert,
                    key=f"{alert}:{day}:{percent}",
                    now=stamp(now),
                    percent=percent,
                    dollars=dollars,
                    cents=f"{cents:02}",
                )


def passed(limit: int, before: int, after: int) -> Iterator[int]:
    """The highest mark of a day's budget that was passed just now, if any was."""
    for percent in TOLD_AT:
        mark = limit * percent // 100
        if limit and after >= mark:
            if before < mark:
                yield percent
            return


def release_held(tx: Tx, clock: Clock) -> None:
    """At the start of a worker: a larger budget may have been set meanwhile."""
    tx.run("drop_left_reservations", boot_id=clock.boot_id, monotonic=clock.monotonic())
    if tx.run("release_held_by_budget"):
        tx.wake("bridge")


def _prompt_micro(price: Price, tokens: int) -> int:
    """What a prompt costs of which nothing is in the cache, and all of it is put there."""
    return -(-tokens * max(price.input, price.cache_write) // MILLION)

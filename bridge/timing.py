"""When something recurs: five cron fields in a time zone, or every so many seconds.

A time of day that does not exist on the night the clocks go forward (or on a day a zone leaves out)
is taken at the next moment that does; one that exists twice is taken once, the first time. Only a
cron of every hour (`*`) goes on by the hours that really pass: it neither makes up for an hour that
was left out nor waits through the one that comes twice.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise, takewhile
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from bridge.errors import ScheduleRefused
from bridge.models import short

if TYPE_CHECKING:
    from cronsim import CronSim

EVERY_S_MAX: Final = 366 * 86_400
MIN_EVERY_S: Final = 300  # for what is asked for in a chat: a model may not fill the queue
RUNS_OF_A_DAY: Final = 300  # more than a day can have at MIN_EVERY_S
OFFSETS_DIFFER: Final = timedelta(hours=3)  # no zone sets its clocks back by more than two


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Either `cron`, read in `zone`, or `every_s`; may be wrong until `check` was asked."""

    cron: str | None = None
    every_s: int | None = None
    zone: str = "UTC"

    def check(self, after: datetime, *, min_every_s: int = 1) -> None:
        """Refuse what cannot be read, never comes or comes too often. Raises: ScheduleRefused."""
        if self.cron is None:
            self._every(min_every_s)
        self.next_after(after)
        if self.cron is not None and min_every_s > 60:
            runs = _cron(self.cron, after.replace(tzinfo=None))
            soon = takewhile(lambda run: run.year < after.year + 50, islice(runs, RUNS_OF_A_DAY))
            if any((b - a).total_seconds() < min_every_s for a, b in pairwise(soon)):
                raise ScheduleRefused(
                    f"cron {short(self.cron, 60)!r} comes more often than every {min_every_s} "
                    "seconds, the most that is allowed here: make it rarer.",
                    "too_often",
                    minutes=min_every_s // 60,
                )

    def next_after(self, after: datetime, *, since: datetime | None = None) -> datetime:
        """The first moment later than `after`, in UTC.

        `every_s` counts in whole steps from `since` (from `after` without it), so that what was
        late once does not stay late. Raises: ScheduleRefused.
        """
        zone = zone_named(self.zone)
        if self.cron is not None and self.every_s is None:
            return _next_of_cron(self.cron, zone, after)
        every = timedelta(seconds=self._every(1))
        since = after if since is None else since
        return since + ((after - since) // every + 1) * every

    def upcoming(self, after: datetime, count: int = 3) -> list[datetime]:
        """The next moments in the zone's own time. Raises: ScheduleRefused."""
        moments: list[datetime] = []
        for _ in range(count):
            after = self.next_after(after)
            moments.append(after.astimezone(zone_named(self.zone)))
        return moments

    def _every(self, low: int) -> int:
        if (self.cron is None) == (self.every_s is None):
            raise ScheduleRefused(
                "A schedule needs either cron or every_s, and not both.", "no_times"
            )
        if not isinstance(self.every_s, int) or not low <= self.every_s <= EVERY_S_MAX:
            raise ScheduleRefused(
                f"every_s must be whole seconds from {low} to {EVERY_S_MAX} (a year); "
                f"got {short(str(self.every_s), 40)}.",
                "every",
                seconds=low,
            )
        return self.every_s


def zone_named(name: str) -> ZoneInfo:
    """The time zone of an IANA name. Raises: ScheduleRefused."""
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError):  # unknown, no relative path, a folder
        raise ScheduleRefused(
            f"zone {short(name, 40)!r} is not known: give a name such as Europe/Amsterdam or UTC.",
            "zone",
            zone=short(name, 40),
        ) from None


def _cron(cron: str, local: datetime) -> "CronSim":
    """The times on the wall after `local` that fit, without end. Raises: ScheduleRefused."""
    from cronsim import CronSim, CronSimError

    if len(cron.split()) == 5:
        try:
            return CronSim(cron, local)
        except CronSimError as error:
            wrong = f"has no {str(error).removeprefix('Bad ')} that ever comes"
        except ValueError:  # a number of thousands of digits
            wrong = "cannot be read"
    else:
        wrong = "has not five fields"
    raise ScheduleRefused(
        f"cron {short(cron, 60)!r} {wrong}: write minute, hour, day of the month, month and "
        "day of the week, such as '30 7 * * 1-5'.",
        "cron",
    )


def _next_of_cron(cron: str, zone: ZoneInfo, after: datetime) -> datetime:
    # cronsim is asked for times on the wall only. Given a zone it may answer with a moment before
    # `after` when that lies in the hour that comes twice, and at Lord Howe it misses runs.
    local = after.astimezone(zone).replace(tzinfo=None)
    every_hour = len(_cron(cron, local).hours) == 24
    look_back = timedelta(0)
    if every_hour and _offset(zone, after - OFFSETS_DIFFER) != _offset(
        zone, after + OFFSETS_DIFFER
    ):
        look_back = OFFSETS_DIFFER  # times on the wall that are over come once more
    found: datetime | None = None
    for on_the_wall in _cron(cron, local - look_back):
        if found is not None and on_the_wall > local + look_back:
            break
        later = [m for m in _moments(on_the_wall, zone, every_hour=every_hour) if m > after]
        found = min(later if found is None else [found, *later], default=None)
        if found is not None and not look_back:
            break
    if found is None:
        raise ScheduleRefused(
            f"cron {short(cron, 60)!r} never comes: there is no such day.", "never"
        )
    return found


def _moments(on_the_wall: datetime, zone: ZoneInfo, *, every_hour: bool) -> Iterator[datetime]:
    """When the clocks of a zone show this time, as moments in UTC."""
    first = on_the_wall.replace(tzinfo=zone).astimezone(UTC)
    second = on_the_wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    if first <= second:
        yield first
        if every_hour:
            yield second
    elif not every_hour:  # a gap: `second` lies before it, `first` after it
        before, end = second, first
        while end - before > timedelta(seconds=1):
            middle = (before + (end - before) / 2).replace(microsecond=0)
            if _offset(zone, middle) == _offset(zone, second):
                before = middle
            else:
                end = middle
        yield end


def _offset(zone: ZoneInfo, moment: datetime) -> timedelta | None:
    return moment.astimezone(zone).utcoffset()

"""Times as a person reads them: on the clock of their own zone, in their language."""

from datetime import datetime

from bridge.clock import moment
from bridge.telegram.texts import names
from bridge.timing import zone_named


def time_text(time: datetime, language: str, *, now: datetime) -> str:
    """`Mon 30 Nov 07:30`; with the year when it is another one."""
    month = names(language, "months")[time.month - 1]
    year = f" {time.year}" if time.year != now.year else ""
    day = names(language, "days")[time.weekday()]
    return f"{day} {time.day} {month}{year} {time:%H:%M}"


def local_text(stamp: str, zone: str, language: str) -> str:
    """A time of the database, which is UTC, on the clock of a zone: `Mon 30 Nov 07:30`."""
    time = _local(stamp, zone)
    return stamp if time is None else time_text(time, language, now=time)


def local_clock(stamp: str, zone: str) -> str:
    """The same without the day: `07:30:12`."""
    time = _local(stamp, zone)
    return stamp if time is None else f"{time:%H:%M:%S}"


def _local(stamp: str, zone: str) -> datetime | None:
    try:
        return moment(stamp).astimezone(zone_named(zone))
    except ValueError:  # written by hand
        return None

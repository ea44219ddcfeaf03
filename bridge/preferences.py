"""What a person or a group has chosen in `/settings`, checked before it is kept.

`whose` is a user id or the id of a group; in a private chat both are the same, so that a person's
choices are also those of their chat.
"""

import re
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Final, Literal

from bridge.errors import KittError, ScheduleRefused
from bridge.store import Tx
from bridge.timing import Timing, zone_named

Rich = Literal["off", "auto", "always"]
Streaming = Literal["edit", "draft", "off"]
CHOICES: Final[dict[str, tuple[str, ...]]] = {
    "rich": ("off", "auto", "always"),
    "streaming": ("edit", "draft", "off"),
    "costs": ("on", "off"),
    "night_approvals": ("on", "off"),
}
CLOCK: Final = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]"
QUIET: Final = re.compile(f"({CLOCK})-({CLOCK})")


class PreferenceRefused(KittError):
    """A value that its preference cannot have; `name` is which."""

    def __init__(self, name: str, value: str) -> None:
        super().__init__(f"{name} cannot be “{value}”.")
        self.name = name


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """All of them; the fields are the names in the table, their values the defaults."""

    language: str = ""  # ISO 639-1; empty = that of their Telegram
    zone: str = ""  # IANA name; empty = KITT_ZONE
    quiet: str = ""  # hours without sound, `22:30-07:30` in their zone; empty = none
    night_approvals: str = "on"  # whether a question may ring in them
    rich: str = "off"  # Rich Messages: off, auto (when a text needs them), always
    streaming: str = "edit"  # how an answer is shown while it is written: edit, draft, off
    costs: str = "on"  # money on cards
    persona: str = ""  # a file of profile/personas; empty = KITT

    def quiet_until(self, now: datetime, zone: str) -> datetime | None:
        """When the quiet hours end in which `now` lies, in UTC; None outside them.

        `zone` is theirs. The hours are those on the wall, also on a night the clocks change.
        """
        hours = QUIET.fullmatch(self.quiet)
        if hours is None:
            return None
        start, end = (_next_at(clock, zone, now) for clock in hours.groups())
        return end if end < start else None


NAMES: Final = tuple(field.name for field in fields(Preferences))
IN_SETTINGS: Final = tuple(name for name in NAMES if name != "persona")  # it has its own command


def preferences_of(tx: Tx, whose: str) -> Preferences:
    """Everything chosen; a row made by hand that fits nothing is left out."""
    found = Preferences()
    for row in tx.all("preferences_of", whose=whose):
        try:
            found = replace(found, **{row["name"]: checked(row["name"], row["value"])})
        except PreferenceRefused:
            continue
    return found


def choose(tx: Tx, whose: str, name: str, value: str) -> None:
    """Keep a choice; the empty one is the default. Raises: PreferenceRefused."""
    if value := checked(name, value):
        tx.run("put_preference", whose=whose, name=name, value=value)
    else:
        tx.run("drop_preference", whose=whose, name=name)


def checked(name: str, value: str) -> str:
    """The value as it is kept. Raises: PreferenceRefused."""
    value = value.strip()
    if name not in NAMES:
        raise PreferenceRefused(name, value)
    if value and not _fits(name, value):
        raise PreferenceRefused(name, value)
    return value


def _fits(name: str, value: str) -> bool:
    if name in CHOICES:
        return value in CHOICES[name]
    if name == "zone":
        return _is_zone(value)
    if name == "quiet":
        hours = QUIET.fullmatch(value)
        return hours is not None and hours[1] != hours[2]
    if name == "persona":
        return re.fullmatch("[a-z0-9-]{1,60}", value) is not None
    return re.fullmatch("[a-z]{2}", value) is not None


def _next_at(clock: str, zone: str, now: datetime) -> datetime:
    hour, minute = clock.split(":")
    return Timing(cron=f"{int(minute)} {int(hour)} * * *", zone=zone).next_after(now)


def _is_zone(value: str) -> bool:
    try:
        zone_named(value)
    except ScheduleRefused:
        return False
    return True

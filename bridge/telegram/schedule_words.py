"""Schedules in words and buttons: when, the next times, the list, one of it, a proposal.

Pure functions from rows to parts; what a tap does is schedule_commands.py.
"""

import re
from datetime import datetime
from typing import Final

from bridge import schedules
from bridge.errors import Refused
from bridge.models import short
from bridge.proposals import Proposal
from bridge.schedules import NewSchedule, Schedule
from bridge.telegram import compose
from bridge.telegram.api import Buttons
from bridge.telegram.buttons import Signer
from bridge.telegram.compose import Part
from bridge.telegram.texts import names, reason, say
from bridge.telegram.times import time_text

PAGE: Final = 8  # schedules of one message, with a row of buttons each
UNITS: Final = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))
NAMED_DAYS: Final = {
    name: str(number)
    for number, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"))
}


def when(new: NewSchedule, language: str) -> str:
    """When it recurs, in words; a cron that has none is shown as it is."""
    if new.every_s is not None:
        return _every(new.every_s, language)
    cron = " ".join(str(new.cron).split())
    if steps := re.fullmatch(r"(?:\*/(\d{1,2}) \*|0 \*/(\d{1,2})) \* \* \*", cron):
        whole, seconds = (60, 60) if steps[1] else (24, 3_600)
        count = int(steps[1] or steps[2])
        if count and whole % count == 0:
            return _every(count * seconds, language)
    plain = re.fullmatch(r"(\d{1,2}) (\d{1,2}|\*) (\d{1,2}|\*) \* (\S+)", cron)
    if plain is not None:
        minute, hour, day, days = plain.groups()
        time = f"{int(hour):02}:{int(minute):02}" if hour != "*" else ""
        numbers = _days(days)
        if not time and (day, days) == ("*", "*"):
            return say(language, "when_hourly", minute=f"{int(minute):02}")
        if time and day != "*" and days == "*":
            return say(language, "when_monthly", day=int(day), time=time)
        if time and day == "*" and len(numbers) == 7:
            return say(language, "when_daily", time=time)
        if time and day == "*" and numbers == [0, 1, 2, 3, 4]:
            return say(language, "when_weekdays", time=time)
        if time and day == "*" and numbers:
            chosen = ", ".join(names(language, "days")[number] for number in numbers)
            return say(language, "when_days", days=chosen, time=time)
    return say(language, "when_cron", cron=short(cron, 60))


def list_part(
    found: list[Schedule], page: int, signer: Signer, chat_id: str, *, language: str, now: datetime
) -> Part:
    """A page of a chat's schedules, each with its buttons."""
    how = say(language, "schedule_how")
    if not found:
        return {**compose.plain_part(f"{say(language, 'no_schedules')}\n\n{how}"), "buttons": []}
    pages = -(-len(found) // PAGE)
    page = min(page, pages - 1)
    shown = found[page * PAGE : (page + 1) * PAGE]
    lines = [say(language, "schedules_title", count=len(found))]
    lines += [_lines_of(schedule, language, now) for schedule in shown]
    if pages > 1:
        lines.append(say(language, "schedules_page", page=page + 1, pages=pages))
    buttons: Buttons = []
    for schedule in shown:
        number = schedule.id
        pausing = ("⏸", "sp") if schedule.status == "active" else ("⏯", "su")
        row = [("▶", "sn"), pausing, ("🗑", "sr")]
        buttons += signer.row(chat_id, *((f"{sign} {number}", verb, number) for sign, verb in row))
    turns = [("‹", page - 1)] if page else []
    turns += [("›", page + 1)] if page + 1 < pages else []
    if turns:
        buttons += signer.row(chat_id, *((sign, "sl", number) for sign, number in turns))
    return {**compose.plain_part("\n\n".join([*lines, how])), "buttons": buttons}


def one_part(schedule: Schedule, signer: Signer, *, language: str, now: datetime) -> Part:
    """Everything of one schedule, and what can be done with it."""
    active = schedule.status == "active"
    lines = [f"🗓 {schedule.id} · {short(schedule.name, 100)}", _begin(when(schedule, language))]
    lines += _times(schedules.next_times(schedule), schedule.zone, language, now)
    if not active:
        lines.append(say(language, "schedule_paused"))
    if schedule.error:
        lines.append(say(language, "schedule_error", why=_error(schedule, language, now)))
    lines.append(f"» {short(schedule.prompt, 300)}")
    if schedule.last_job_id:
        lines.append(say(language, "schedule_last", id=schedule.last_job_id))
    number = schedule.id
    pausing = ("button_pause", "sp") if active else ("button_resume", "su")
    buttons = signer.row(
        schedule.chat_id,
        (say(language, "button_run"), "sn", number),
        (say(language, pausing[0]), pausing[1], number),
    ) + signer.row(
        schedule.chat_id,
        (say(language, "button_edit"), "sc", number),
        (say(language, "button_remove"), "sr", number),
    )
    return {
        **compose.plain_part("\n".join(lines)),
        "buttons": buttons + all_button(signer, schedule.chat_id, language),
    }


def removal_part(schedule: Schedule, signer: Signer, *, language: str) -> Part:
    """Asked once more before it is gone."""
    lines = [
        f"🗓 {schedule.id} · {short(schedule.name, 100)}",
        _begin(when(schedule, language)),
        "",
        say(language, "schedule_remove_sure"),
    ]
    buttons = signer.row(
        schedule.chat_id,
        (say(language, "button_remove_sure"), "sx", schedule.id),
        (say(language, "button_keep"), "sd", schedule.id),
    )
    return {**compose.plain_part("\n".join(lines)), "buttons": buttons}


def all_button(signer: Signer, chat_id: str, language: str) -> Buttons:
    """The way back to the list."""
    return signer.row(chat_id, (say(language, "button_schedules"), "sl", 0))


def proposal_part(
    proposal: Proposal,
    times: list[datetime],
    signer: Signer,
    *,
    language: str,
    now: datetime,
    acknowledgement: str = "",
    guessed: bool = False,
) -> Part:
    """What was understood, when it would come, and the two buttons; `guessed`: its zone."""
    lines = [acknowledgement, ""] if acknowledgement else []
    lines += proposal_lines(proposal, times, language, now)
    lines += [say(language, "proposal_zone")] if guessed else []
    lines += ["", say(language, "proposal_how")]
    buttons = signer.row(
        proposal.chat_id,
        (say(language, "button_save"), "ps", proposal.id),
        (say(language, "button_discard"), "pd", proposal.id),
    )
    return {**compose.plain_part("\n".join(lines)), "buttons": buttons}


def proposal_lines(
    proposal: Proposal, times: list[datetime], language: str, now: datetime
) -> list[str]:
    """A proposal without its buttons, also when it is over."""
    key = "proposal_what" if proposal.changes is None else "proposal_change"
    return [
        say(language, key, name=short(proposal.name, 100), id=proposal.changes),
        _begin(when(proposal, language)),
        f"» {short(proposal.prompt, 600)}",
        *_times(times, proposal.zone, language, now),
    ]


def _times(times: list[datetime], zone: str, language: str, now: datetime) -> list[str]:
    lines = [say(language, "schedule_times")] if times else []
    lines += [f"• {time_text(time, language, now=now)}" for time in times]
    return [*lines, say(language, "schedule_zone", zone=short(zone, 40))]


def _lines_of(schedule: Schedule, language: str, now: datetime) -> str:
    """A schedule in the list: two lines, and a third for what is wrong."""
    times = schedules.next_times(schedule, count=1)
    if schedule.status != "active":
        state = say(language, "schedule_paused")
    elif times:
        time = time_text(times[0], language, now=now)
        state = f"{say(language, 'schedule_next', time=time)} ({short(schedule.zone, 40)})"
    else:
        state = say(language, "schedule_soon")
    lines = [
        f"{schedule.id} · {short(schedule.name, 60)}",
        f"{when(schedule, language)} · {state}",
    ]
    if schedule.error:
        why = short(_error(schedule, language, now), 160)
        lines.append(say(language, "schedule_error", why=why))
    return "\n".join(lines)


def _error(schedule: Schedule, language: str, now: datetime) -> str:
    """Why it is paused or left one out, in the language of the chat where that is known."""
    error = str(schedule.error)
    skipped = re.fullmatch(r"(\d+) skipped: job (\d+) has not ended", error)
    if skipped is not None:
        return say(language, "schedule_skipped", times=skipped[1], id=skipped[2])
    try:
        schedules.job_of(schedule)
        schedule.timing.next_after(now)
    except Refused as refused:  # for the same reason still: this one can be translated
        if str(refused) == error:
            return reason(language, refused)
    return short(error, 300)


def _every(every_s: int, language: str) -> str:
    if not isinstance(every_s, int) or every_s < 1:  # a row made by hand
        return say(language, "when_cron", cron=short(str(every_s), 40))
    unit, seconds = next(pair for pair in UNITS if every_s % pair[1] == 0)
    count = every_s // seconds
    if count == 1:
        return say(language, f"when_one_{unit}")
    return say(language, "when_every", count=count, unit=say(language, f"unit_{unit}s"))


def _days(text: str) -> list[int]:
    """The days of a cron field, 0 = Monday; none when it says more than days and ranges."""
    found: set[int] = set()
    for piece in text.upper().split(","):
        for name, number in NAMED_DAYS.items():
            piece = piece.replace(name, number)
        ends = re.fullmatch(r"([0-7])(?:-([0-7]))?", "0-6" if piece == "*" else piece)
        if ends is None:
            return []
        first, last = int(ends[1]), int(ends[2] or ends[1])
        found |= {(day - 1) % 7 for day in range(first, last + 1)}
    return sorted(found)


def _begin(text: str) -> str:
    """As the beginning of a line; `capitalize` would change the rest too."""
    return text[:1].upper() + text[1:]

"""How the default story reads "every weekday at 7:30 the news", in English and Dutch."""

from __future__ import annotations

import re

from bridge.emulator.script import ToolUse
from bridge.emulator.story_texts import say
from bridge.emulator.story_words import title_of

DAYS = (
    ("1", "monday|maandag"),
    ("2", "tuesday|dinsdag"),
    ("3", "wednesday|woensdag"),
    ("4", "thursday|donderdag"),
    ("5", "friday|vrijdag"),
    ("6", "saturday|zaterdag"),
    ("0", "sunday|zondag"),
    ("1-5", "weekday|workday|working day|werkdag|doordeweekse dag"),
    ("*", "day|morning|evening|dag|ochtend|avond"),
)
EVERY = re.compile(
    r"\b(?:every|each|elke?|iedere?)\s+(?:(?:(?P<count>\d{1,6})\s*)?"
    r"(?P<unit>minutes?|min|hours?|minuut|minuten|uur|uren)|"
    rf"(?P<days>(?:{'|'.join(words for _, words in DAYS)})"
    rf"(?:(?:\s*,\s*|\s+and\s+|\s+en\s+)(?:{'|'.join(words for _, words in DAYS)}))*))\b",
    re.IGNORECASE,
)
AT = re.compile(
    r"\b(?:at|om)\s+(?P<hour>\d{1,2})(?:[:.](?P<minute>\d{2}))?\s*(?P<half>am|pm)?(?:\s*uur)?\b",
    re.IGNORECASE,
)
ZONE = re.compile(r"\s*\b(?:in\s+)?([A-Z][A-Za-z]+/[A-Z][A-Za-z_]+)\b")
SCHEDULES = re.compile(
    r"\b(?:my|which|what|list|show|mijn|welke|wat|toon)\b.{0,20}"
    r"(?:\bschedules?\b|\bplanning(?:en)?\b|\bgepland\b)",
    re.IGNORECASE,
)
HOUR_DEFAULT = "9"


def proposal(text: str, dutch: bool) -> ToolUse | None:
    """The call of `propose_schedule` for a wish that recurs; None for any other text."""
    every = EVERY.search(text)
    if every is None:
        return None
    zone = ZONE.search(text)
    task = AT.sub(" ", EVERY.sub(" ", ZONE.sub(" ", text)))
    title = title_of(task, say("job", dutch))
    cron, every_s = "", 0
    if every["unit"]:
        hours = every["unit"].lower().startswith(("h", "u"))
        every_s = int(every["count"] or 1) * (3600 if hours else 60)
    else:
        cron = _cron(every["days"], AT.search(text))
    return ToolUse(
        "propose_schedule",
        {
            "acknowledgement": say("proposed", dutch),
            "title": title,
            "instructions": f"{title}\n\nAnswer in {'Dutch' if dutch else 'English'}, as Markdown.",
            "cron": cron,
            "every_s": every_s,
            "zone": zone[1] if zone else "",
        },
    )


def _cron(days: str, at: re.Match[str] | None) -> str:
    """Five fields; nine o'clock when no time is said."""
    hour, minute = int(at["hour"] if at else HOUR_DEFAULT), int((at and at["minute"]) or 0)
    if at and at["half"]:
        hour = hour % 12 + (12 if at["half"].lower() == "pm" else 0)
    spoken = [word for word in re.split(r"\s*,\s*|\s+and\s+|\s+en\s+", days.lower()) if word]
    fields = [
        field
        for word in spoken
        for field, words in DAYS
        if re.fullmatch(words, word, re.IGNORECASE)
    ]
    return f"{minute} {hour} * * {'*' if '*' in fields else ','.join(fields)}"

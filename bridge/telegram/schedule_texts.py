"""What KITT says of schedules, in every language; part of TEXTS in texts.py."""

from typing import Final

# The days of a week from Monday, and the months: short, as they stand beside a time.
DAYS: Final = (
    ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
    ("ma", "di", "wo", "do", "vr", "za", "zo"),
)
MONTHS: Final = (
    ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
    ("jan", "feb", "mrt", "apr", "mei", "jun", "jul", "aug", "sep", "okt", "nov", "dec"),
)

SCHEDULE_TEXTS: Final[dict[str, tuple[str, str]]] = {
    "command_schedule": ("what recurs: /schedule 3", "wat terugkeert: /schedule 3"),
    # when, in words
    "when_weekdays": ("every weekday at {time}", "elke werkdag om {time}"),
    "when_daily": ("every day at {time}", "elke dag om {time}"),
    "when_days": ("every {days} at {time}", "elke {days} om {time}"),
    "when_monthly": (
        "every month on day {day} at {time}",
        "elke maand op dag {day} om {time}",
    ),
    "when_hourly": ("every hour at :{minute}", "elk uur om :{minute}"),
    "when_every": ("every {count} {unit}", "elke {count} {unit}"),
    "when_one_day": ("every day", "elke dag"),
    "when_one_hour": ("every hour", "elk uur"),
    "when_one_minute": ("every minute", "elke minuut"),
    "when_one_second": ("every second", "elke seconde"),
    "when_cron": ("by “{cron}”", "volgens “{cron}”"),
    "unit_days": ("days", "dagen"),
    "unit_hours": ("hours", "uur"),
    "unit_minutes": ("minutes", "minuten"),
    "unit_seconds": ("seconds", "seconden"),
    # the list and one of it
    "schedules_title": ("Schedules ({count})", "Gepland ({count})"),
    "schedules_page": ("Page {page} of {pages}", "Bladzijde {page} van {pages}"),
    "no_schedules": ("Nothing recurs yet.", "Er keert nog niets terug."),
    "schedule_how": (
        "To make one, say it: “every weekday at 7:30 the news in three lines”.",
        "Een nieuwe maak je door het te zeggen: “elke werkdag om 7:30 het nieuws in drie regels”.",
    ),
    "schedule_next": ("next {time}", "volgende {time}"),
    "schedule_soon": ("is being planned", "wordt ingepland"),
    "schedule_paused": ("⏸ paused", "⏸ gepauzeerd"),
    "schedule_error": ("⚠️ {why}", "⚠️ {why}"),
    "schedule_skipped": (
        "left out {times} ×: job {id} has not ended",
        "{times} × overgeslagen: taak {id} is nog niet klaar",
    ),
    "schedule_zone": ("Time zone: {zone}", "Tijdzone: {zone}"),
    "schedule_times": ("Next times:", "Volgende keren:"),
    "schedule_last": ("Its last job: /job {id}", "De laatste taak: /job {id}"),
    "no_schedule": (
        "There is no schedule {id} here. /schedule shows them.",
        "Er is hier geen planning {id}. /schedule laat ze zien.",
    ),
    "schedule_started": ("▶ Job {id} started.", "▶ Taak {id} is gestart."),
    "schedule_busy": (
        "Job {id} of it has not ended yet.",
        "Taak {id} ervan is nog niet klaar.",
    ),
    "schedule_unfit": ("That cannot be: {why}", "Dat kan niet: {why}"),
    "schedule_is_paused": ("⏸ Schedule {id} is paused.", "⏸ Planning {id} is gepauzeerd."),
    "schedule_is_resumed": ("▶ Schedule {id} goes on.", "▶ Planning {id} gaat verder."),
    "schedule_remove_sure": (
        "Remove this schedule for good? Jobs it started stay.",
        "Deze planning voorgoed verwijderen? Taken die al liepen blijven.",
    ),
    "schedule_is_removed": ("🗑 Schedule {id} is removed.", "🗑 Planning {id} is verwijderd."),
    "button_run": ("▶ Run now", "▶ Nu"),
    "button_pause": ("⏸ Pause", "⏸ Pauzeer"),
    "button_resume": ("▶ Resume", "▶ Hervat"),
    "button_remove": ("🗑 Remove", "🗑 Verwijder"),
    "button_remove_sure": ("🗑 Yes, remove", "🗑 Ja, verwijder"),
    "button_keep": ("Keep it", "Laat staan"),
    "button_schedules": ("‹ All", "‹ Alles"),
    # proposals
    "proposal_what": ("🗓 {name}", "🗓 {name}"),
    "proposal_how": (
        "Not saved yet. You have a day to save it.",
        "Nog niet opgeslagen. Je hebt een dag om dat te doen.",
    ),
    "proposal_saved": ("✅ Saved as schedule {id}.", "✅ Opgeslagen als planning {id}."),
    "proposal_saved_already": (
        "It is saved already, as schedule {id}.",
        "Het is al opgeslagen, als planning {id}.",
    ),
    "proposal_discarded": ("✖ Discarded.", "✖ Weggegooid."),
    "proposal_discarded_already": (
        "It was discarded. Ask for it again.",
        "Het is weggegooid. Vraag het opnieuw.",
    ),
    "proposal_expired": (
        "This is more than a day old. Ask for it again.",
        "Dit is meer dan een dag oud. Vraag het opnieuw.",
    ),
    "proposal_full": (
        "You have {count} schedules, the most there may be. Remove one first: /schedule.",
        "Je hebt {count} planningen, meer kan niet. Verwijder er eerst een: /schedule.",
    ),
    "no_proposal": ("There is no such proposal here.", "Zo'n voorstel is er hier niet."),
    "button_save": ("✅ Save", "✅ Opslaan"),
    "button_discard": ("✖ Discard", "✖ Weggooien"),
}

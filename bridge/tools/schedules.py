"""Tools by which the main agent proposes what recurs, and sees what does.

The model only proposes: it gives what it understood, the person is shown the next times and taps
Save or Discard. `show` puts that message into the transaction that stores the model's call.
"""

from collections.abc import Callable
from datetime import datetime

from bridge import schedules
from bridge.agent.tool import Input, Tool, ToolFailed
from bridge.clock import Clock
from bridge.conversation import without_tags
from bridge.errors import JobRefused, ScheduleNotFound, ScheduleRefused
from bridge.models import short
from bridge.proposals import Proposal, propose, upcoming
from bridge.schedules import NewSchedule, Schedule
from bridge.store import Tx
from bridge.tools.jobs import Origin

Show = Callable[[Tx, Proposal, str], None]  # the proposal and the acknowledgement

PROPOSE_DESCRIPTION = (
    "Propose work that recurs ('every weekday at 7:30'). Nothing is saved: the "
    "user sees the next times and taps Save or Discard, so never say that it is set."
)


def schedule_tools(clock: Clock, origin: Origin, *, zone: str, show: Show) -> list[Tool]:
    """The tools in a fixed order. `zone` is the one that is set, "" when none is."""
    default = f"empty = {zone}" if zone else "ask when you do not know it"
    return [
        Tool(
            name="propose_schedule",
            description=PROPOSE_DESCRIPTION,
            properties={
                "acknowledgement": {
                    "type": "string",
                    "description": "A short sentence to the user, in their language.",
                },
                "title": {"type": "string", "description": "At most 60 characters."},
                "instructions": {
                    "type": "string",
                    "description": "The whole task of one time, for a worker that sees no chat; "
                    "without the times.",
                },
                "cron": {
                    "type": "string",
                    "description": "5 fields, such as 30 7 * * 1-5; empty with every_s.",
                },
                "every_s": {"type": "integer", "description": "Seconds, 300 or more; 0 with cron."},
                "zone": {"type": "string", "description": f"IANA zone of the user; {default}."},
                "changes": {
                    "type": "integer",
                    "description": "Schedule to change; 0 or empty: as it is.",
                },
            },
            optional=("changes",),
            commit=_propose(clock, origin, zone or "UTC", show),
            terminal=True,
        ),
        Tool(
            name="list_schedules",
            description="This chat's schedules.",
            properties={},
            commit=lambda tx, _given: _list(tx, origin.chat_id),
        ),
    ]


def _propose(clock: Clock, origin: Origin, zone: str, show: Show) -> Callable[[Tx, Input], str]:
    def act(tx: Tx, given: Input) -> str:
        now, changes = clock.now(), int(given.get("changes") or 0) or None
        try:
            known = None if changes is None else _known(tx, origin, changes)
            new = _understood(given, origin, zone, known)
            proposal = propose(tx, new, source=origin.source, now=now, changes=changes)
            times = upcoming(tx, proposal, now)
        except (ScheduleNotFound, ScheduleRefused, JobRefused) as error:
            raise ToolFailed(str(error)) from None
        show(tx, proposal, short(str(given["acknowledgement"]), 300))
        return (
            f"Shown with the times {_times(times)} ({proposal.zone}). "
            f"{'It is no schedule' if changes is None else 'Nothing is changed'} until the user "
            "taps Save."
        )

    return act


def _known(tx: Tx, origin: Origin, number: int) -> Schedule:
    """The schedule that is to change. Raises: ScheduleNotFound, ToolFailed."""
    known = schedules.find(tx, number, origin.chat_id)
    if origin.only_own and known.user_id != origin.user_id:
        raise ToolFailed(
            f"Schedule {number} belongs to someone else here: only they or an owner may change it."
        )
    return known


def _understood(given: Input, origin: Origin, zone: str, known: Schedule | None) -> NewSchedule:
    """What was asked for, with all that `known` has where nothing was said. Raises: ToolFailed."""
    cron, every_s = str(given["cron"]).strip(), int(given["every_s"])
    title, prompt = short(str(given["title"]), 60), str(given["instructions"])
    zone_said = str(given["zone"]).strip()
    if known is not None:
        if not cron and not every_s:
            cron, every_s = known.cron or "", known.every_s or 0
        title, prompt = title or known.title, prompt.strip() or known.prompt
        zone_said = zone_said or known.zone
    if bool(cron) == bool(every_s):
        raise ToolFailed(
            "Give either cron (and every_s 0) or every_s (and an empty cron), not both."
        )
    return NewSchedule(
        chat_id=origin.chat_id,
        thread_id=origin.thread_id,
        user_id=origin.user_id,
        title=title,
        prompt=prompt,
        cron=cron or None,
        every_s=every_s or None,
        zone=zone_said or zone,
    )


def _list(tx: Tx, chat_id: str) -> str:
    found = schedules.list_schedules(tx, chat_id=chat_id)
    return "\n".join(_line(schedule) for schedule in found) or "No schedules."


def _line(schedule: Schedule) -> str:
    when = schedule.cron or f"every {schedule.every_s} s"
    times = schedules.next_times(schedule, count=1)
    state = f"next {_times(times)}" if times else schedule.status
    error = f" – {schedule.error}" if schedule.error else ""
    name = short(schedule.name, 60)
    return without_tags(f"#{schedule.id} “{name}” {when} {schedule.zone}, {state}{error}")


def _times(times: list[datetime]) -> str:
    return ", ".join(f"{time:%a %Y-%m-%d %H:%M}" for time in times)

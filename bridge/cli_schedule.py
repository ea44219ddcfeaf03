"""`kitt schedule …`: what recurs, from the shell, for people and for pipes."""

import argparse
import re
import sys
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from bridge import schedules
from bridge.cli_kinds import fitted
from bridge.cli_shell import looking, on_queue, say, whose
from bridge.cli_words import number
from bridge.errors import ScheduleRefused
from bridge.kinds.registry import Kinds
from bridge.models import clean_text, short
from bridge.queue import Queue
from bridge.schedules import NewSchedule, Schedule
from bridge.store import Tx
from bridge.timing import EVERY_S_MAX, zone_named

UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}  # seconds


def add_schedule_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `kitt schedule` with its own commands."""
    schedule = commands.add_parser(
        "schedule",
        help="jobs that come back: add, list, show, pause, resume, run and remove",
        epilog='Example: kitt schedule add "the news of today" --cron "30 7 * * 1-5" '
        "--zone Europe/Amsterdam",
    )
    actions = schedule.add_subparsers(title="commands", metavar="COMMAND", required=True)
    add = actions.add_parser("add", help="add a schedule; prints its number and next times")
    add.add_argument("prompt", help="what is to be done; - reads it from standard input")
    when = add.add_mutually_exclusive_group(required=True)
    when.add_argument(
        "--cron", type=clean_text, metavar="FIELDS", help="minute hour day month weekday"
    )
    when.add_argument("--every", metavar="TIME", help="30s, 15m, 2h or 1d")
    add.add_argument(
        "--zone", type=clean_text, metavar="NAME", help="such as Europe/Amsterdam (this machine's)"
    )
    add.add_argument(
        "--chat", type=clean_text, metavar="ID", help="who is told (the only owner, else nobody)"
    )
    add.add_argument("--title", type=clean_text, default="", metavar="TEXT", help="a short name")
    add.add_argument("--kind", type=clean_text, default="other", metavar="K", help="kind (other)")
    add.add_argument("--data", type=clean_text, metavar="JSON", help="data for the kind")
    add.add_argument("--priority", type=number, metavar="N", help="higher runs first (0)")
    add.set_defaults(action=on_queue(_add))
    listing = actions.add_parser("list", help="oldest first")
    listing.add_argument("--chat", type=clean_text, metavar="ID", help="only of this chat")
    listing.set_defaults(action=looking(_list))
    for name, action, text in (
        ("show", _show, "everything about one schedule"),
        ("pause", _pause, "no more times until it is resumed"),
        ("resume", _resume, "go on from now"),
        ("run", _run_now, "start its job now; prints the job's number"),
        ("remove", _remove, "forget it; jobs it started stay"),
    ):
        command = actions.add_parser(name, help=text)
        command.add_argument("id", type=number, metavar="ID")
        command.set_defaults(action=(looking if action is _show else on_queue)(action))
    for command in actions.choices.values():
        command.add_argument("--json", action="store_true", help="print JSON")


def machine_zone(etc: Path = Path("/etc")) -> str:
    """The IANA name of this machine's time zone; UTC when it does not say one."""
    try:
        candidates = [(etc / "timezone").read_text(encoding="utf-8").strip()]
    except (OSError, UnicodeDecodeError):
        candidates = []
    candidates.append(str((etc / "localtime").resolve()).partition("/zoneinfo/")[2])
    for name in candidates:
        try:
            return zone_named(name).key
        except ScheduleRefused:
            continue
    return "UTC"


async def _add(queue: Queue, arguments: argparse.Namespace) -> int:
    prompt = sys.stdin.read() if arguments.prompt == "-" else arguments.prompt
    every_s = None if arguments.every is None else _seconds(arguments.every)
    given = {"prompt": prompt, "kind": arguments.kind}
    if arguments.priority is not None:
        given["priority"] = arguments.priority
    kinds = Kinds(arguments.settings.profile)
    filled = fitted(kinds, given, arguments.data, called=lambda name: f"--{name}")

    def add(tx: Tx) -> Schedule:
        new = NewSchedule(
            chat_id=whose(tx, arguments),
            prompt=prompt,
            cron=arguments.cron,
            every_s=every_s,
            zone=arguments.zone or machine_zone(),
            title=arguments.title,
            kind=arguments.kind,
            data=arguments.data,
            priority=filled.get("priority", 0),
        )
        return schedules.add(tx, new, now=queue.clock.now())

    schedule = await queue.store.write(add)
    lines = [str(schedule.id), *_times(schedule)]
    say(arguments, _data(schedule), "\n".join(lines))
    return 0


async def _list(queue: Queue, arguments: argparse.Namespace) -> int:
    found = await queue.store.read(lambda tx: schedules.list_schedules(tx, chat_id=arguments.chat))
    lines = [_line(schedule) for schedule in found] or ["No schedules."]
    say(arguments, [_data(schedule) for schedule in found], "\n".join(lines))
    return 0


async def _show(queue: Queue, arguments: argparse.Namespace) -> int:
    schedule = await queue.store.read(lambda tx: schedules.find(tx, arguments.id))
    last = f"{schedule.last_at[:19]} UTC" if schedule.last_at else "never"
    lines = [
        _line(schedule),
        f"Prompt: {schedule.prompt}",
        f"Chat: {schedule.chat_id}; kind: {schedule.kind}; priority: {schedule.priority}",
        f"Jobs started: {schedule.fired}; its time last came: {last}",
        *_times(schedule),
    ]
    say(arguments, _data(schedule), "\n".join(lines))
    return 0


async def _pause(queue: Queue, arguments: argparse.Namespace) -> int:
    schedule = await queue.store.write(lambda tx: schedules.pause(tx, arguments.id))
    say(arguments, _data(schedule), f"Schedule {schedule.id} is paused.")
    return 0


async def _resume(queue: Queue, arguments: argparse.Namespace) -> int:
    schedule = await queue.store.write(
        lambda tx: schedules.resume(tx, arguments.id, now=queue.clock.now())
    )
    lines = [f"Schedule {schedule.id} is active.", *_times(schedule)]
    say(arguments, _data(schedule), "\n".join(lines))
    return 0


async def _run_now(queue: Queue, arguments: argparse.Namespace) -> int:
    job = await queue.store.write(lambda tx: schedules.run_now(tx, queue, arguments.id))
    say(arguments, {"id": job.id, "status": job.status}, str(job.id))
    return 0


async def _remove(queue: Queue, arguments: argparse.Namespace) -> int:
    schedule = await queue.store.write(lambda tx: schedules.remove(tx, arguments.id))
    say(arguments, _data(schedule), f"Schedule {schedule.id} is removed.")
    return 0


def _seconds(text: str) -> int:
    match = re.fullmatch(r"([0-9]{1,9})([smhd])", text.strip())
    seconds = int(match[1]) * UNITS[match[2]] if match else 0
    if not 0 < seconds <= EVERY_S_MAX:
        raise ScheduleRefused(
            "--every takes a time such as 30s, 15m, 2h or 1d, from 1s to 366d; "
            f"got {short(text, 40)!r}."
        )
    return seconds


def _data(schedule: Schedule) -> dict[str, Any]:
    upcoming = [time.isoformat() for time in schedules.next_times(schedule)]
    return {**asdict(schedule), "upcoming": upcoming}


def _times(schedule: Schedule) -> list[str]:
    return [f"  {_time(time)} {schedule.zone}" for time in schedules.next_times(schedule)]


def _time(time: datetime) -> str:
    return f"{time:%a %Y-%m-%d %H:%M:%S}"


def _line(schedule: Schedule) -> str:
    next_time = next(iter(schedules.next_times(schedule, count=1)), None)
    parts = [
        f"#{schedule.id:<5}{schedule.status:<7}",
        f"{_time(next_time)} {schedule.zone}" if next_time else "-",
        f"({schedule.cron or f'every {schedule.every_s} s'})",
        f"job {schedule.last_job_id}" if schedule.last_job_id else "no job yet",
        schedule.name,
    ]
    return "  ".join(parts) + (f"\n      {schedule.error}" if schedule.error else "")

"""`kitt queue add`: a job from options, or one from every line of a file."""

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from bridge.cli_kinds import fitted
from bridge.cli_shell import say, whose
from bridge.cli_words import NUMBER_END
from bridge.clock import stamp
from bridge.errors import JobRefused
from bridge.kinds.registry import Kinds
from bridge.models import MAX_AGE_S, NewJob, check_new, clean_text, short
from bridge.queue import Queue
from bridge.store import Tx

IN_ONE_COMMIT: Final = 100
SECONDS_MAX: Final = 10 * 365 * 86_400
LONG_AGO: Final = timedelta(days=1)  # a time sooner than this may be meant in another zone
BATCH_TYPES: Final[Mapping[str, type | tuple[type, ...]]] = {
    "prompt": str,
    "chat": (str, int),
    "title": str,
    "kind": str,
    "persona": str,
    "data": object,
    "priority": int,
    "in": (int, float),
    "at": str,
    "after": list,
    "if_parent_fails": str,
    "key": str,
    "timeout": (int, float),
    "max_age": (int, float),
}


async def add(queue: Queue, arguments: argparse.Namespace) -> int:
    """One job, or every line of a file, a hundred a commit; a line that does not fit stops all."""
    names = (name for name in BATCH_TYPES if name not in ("prompt", "chat"))
    said = {name: getattr(arguments, name, None) for name in names}
    given = {name: value for name, value in said.items() if value is not None}
    chat = await queue.store.read(lambda tx: whose(tx, arguments))
    if arguments.batch is not None:
        if given:
            name = next(iter(given))
            raise JobRefused(
                f'{_option(name)} does not go with --batch: say "{name}" in the lines it is for.'
            )
        return await _add_batch(queue, arguments, chat)
    data = given.pop("data", None)
    given["prompt"] = sys.stdin.read() if arguments.prompt == "-" else arguments.prompt or ""
    kinds = Kinds(arguments.settings.profile)
    given = fitted(kinds, given, data, called=_option)
    job = await queue.add(_new_job(queue, given, data=data, chat=chat, called=_option))
    say(arguments, {"id": job.id, "status": job.status}, str(job.id))
    return 0


def later(queue: Queue, seconds: float, name: str) -> datetime:
    """So many seconds from now. Raises: JobRefused, naming what was given as `name`."""
    if not 0 <= seconds <= SECONDS_MAX:
        raise JobRefused(
            f"{name} takes seconds from now, from 0 to {SECONDS_MAX} (ten years); "
            f"got {short(str(seconds), 40)}."
        )
    return queue.clock.now() + timedelta(seconds=seconds)


async def _add_batch(queue: Queue, arguments: argparse.Namespace, chat: str) -> int:
    lines = await asyncio.to_thread(_lines_of, arguments.batch)
    kinds = Kinds(arguments.settings.profile)
    jobs: list[NewJob] = []

    def read_and_check(tx: Tx) -> None:
        for number, line in enumerate(lines, 1):
            try:
                if line.strip():
                    jobs.append(_from_line(queue, kinds, line, chat))
                    queue.open_parents(tx, jobs[-1])
            except JobRefused as error:
                raise JobRefused(f"{arguments.batch}, line {number}: {error}") from None

    await queue.store.read(read_and_check)
    rows = []
    for start in range(0, len(jobs), IN_ONE_COMMIT):
        added = await queue.add_many(jobs[start : start + IN_ONE_COMMIT])
        rows += [{"id": job.id, "status": job.status} for job in added]
        if not arguments.json:  # what is stored is said, also if the next hundred fails
            say(arguments, None, "\n".join(str(job.id) for job in added))
    if arguments.json:
        say(arguments, rows, "")
    return 0


def _lines_of(name: str) -> list[str]:
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise JobRefused(f"{name} cannot be read: {reason}.") from None
    return text.removeprefix("\ufeff").split("\n")  # some editors begin a file with this mark


def _from_line(queue: Queue, kinds: Kinds, line: str, chat: str) -> NewJob:
    try:
        given = json.loads(line)
        if not isinstance(given, dict):
            raise JobRefused('it is no JSON object with a "prompt".')
        data = json.dumps(given["data"], ensure_ascii=False) if "data" in given else None
    except RecursionError:
        raise JobRefused("it is nested too deeply.") from None
    except ValueError as error:
        raise JobRefused(f"it is no JSON ({error}).") from None
    _check_fields(given)
    given = fitted(kinds, given, data, called=str)
    if "prompt" not in given:
        raise JobRefused('it is no JSON object with a "prompt".')
    new = _new_job(queue, given, data=data, chat=chat, called=str)
    check_new(new)
    return new


def _check_fields(given: Mapping[str, Any]) -> None:
    for name, value in given.items():
        if name not in BATCH_TYPES:
            raise JobRefused(f"{name} is not known; known are {', '.join(BATCH_TYPES)}.")
        if not isinstance(value, BATCH_TYPES[name]) or isinstance(value, bool):
            raise JobRefused(f"{name} has a value of the wrong type.")
    if any(type(parent) is not int for parent in given.get("after", [])):
        raise JobRefused("after is a list of numbers of jobs.")
    if given.get("if_parent_fails", "cancel") not in ("cancel", "run"):
        raise JobRefused('if_parent_fails is "cancel" or "run".')
    if abs(given.get("priority", 0)) >= NUMBER_END:
        raise JobRefused("priority is too large.")
    if "in" in given and "at" in given:
        raise JobRefused("in and at do not go together: say one of them.")


def _new_job(
    queue: Queue,
    given: Mapping[str, Any],
    *,
    data: str | None,
    chat: str,
    called: Callable[[str], str],
) -> NewJob:
    """The job of these fields; `called` is how the user knows a field."""
    for name in ("timeout", "max_age"):
        if not 0 < given.get(name, 1) <= SECONDS_MAX:
            raise JobRefused(
                f"{called(name)} takes seconds, more than 0 and at most {SECONDS_MAX} (ten years); "
                f"got {short(str(given[name]), 40)}."
            )
    return NewJob(
        chat_id=clean_text(str(given.get("chat") or chat)),
        prompt=given.get("prompt", ""),
        title=given.get("title", ""),
        kind=clean_text(given.get("kind", "other")),
        data=data,
        persona=clean_text(given.get("persona", "")),
        priority=given.get("priority", 0),
        run_at=_run_at(queue, given, called),
        after=tuple(given.get("after", ())),
        if_parent_fails=given.get("if_parent_fails", "cancel"),
        unique_key=clean_text(given["key"]) if "key" in given else None,
        timeout_s=given.get("timeout"),
        max_age_s=given.get("max_age", MAX_AGE_S),
    )


def _run_at(queue: Queue, given: Mapping[str, Any], called: Callable[[str], str]) -> str | None:
    """When the job may start, as a stamp. Raises: JobRefused for a time that cannot be meant."""
    if "in" in given:
        return stamp(later(queue, given["in"], called("in")))
    if "at" not in given:
        return None
    name, text = called("at"), short(given["at"], 40)
    try:
        moment = datetime.fromisoformat(given["at"])
        moment = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):  # the last and first hours of all time have no UTC
        raise JobRefused(
            f"{name} takes a time such as 2026-12-01T07:30+01:00; got {text!r}."
        ) from None
    if moment < queue.clock.now() - LONG_AGO:
        raise JobRefused(f"{name} takes a time to come; {text} is long over: leave it out for now.")
    return stamp(moment)


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"

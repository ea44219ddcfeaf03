"""What `kitt queue …` does: each action takes the queue and what was said, gives the exit code."""

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from bridge import monitor as monitoring
from bridge.cli_shell import say, whose
from bridge.clock import stamp
from bridge.errors import JobRefused
from bridge.models import MAX_AGE_S, Job, JobStatus, NewJob, check_new, clean_text
from bridge.queue import EVERY_KIND, Queue
from bridge.store import Tx

IN_ONE_COMMIT: Final = 100
SECONDS_MAX: Final = 10 * 365 * 86_400.0
PRIORITY_END: Final = 10**9
BATCH_TYPES: Final[Mapping[str, type | tuple[type, ...]]] = {
    "prompt": str,
    "chat": (str, int),
    "title": str,
    "kind": str,
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
    chat = await queue.store.read(lambda tx: whose(tx, arguments))
    if arguments.batch is not None:
        return await _add_batch(queue, arguments, chat)
    prompt = sys.stdin.read() if arguments.prompt == "-" else arguments.prompt
    given = {
        "prompt": prompt,
        "kind": arguments.kind,
        "priority": arguments.priority,
        "in": arguments.in_s,
        "at": arguments.at,
        "after": arguments.after,
        "if_parent_fails": arguments.if_parent_fails,
        "key": arguments.key,
        "timeout": arguments.timeout,
        "max_age": arguments.max_age,
    }
    new = _new_job(queue, given, data=arguments.data, chat=chat)
    job = await queue.add(new)
    say(arguments, {"id": job.id, "status": job.status}, str(job.id))
    return 0


async def _add_batch(queue: Queue, arguments: argparse.Namespace, chat: str) -> int:
    lines = await asyncio.to_thread(_lines_of, arguments.batch)
    jobs: list[NewJob] = []

    def read_and_check(tx: Tx) -> None:
        for number, line in enumerate(lines, 1):
            try:
                if line.strip():
                    jobs.append(_from_line(queue, line, chat))
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
    return text.split("\n")


def _from_line(queue: Queue, line: str, chat: str) -> NewJob:
    try:
        given = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise JobRefused(f"it is no JSON ({error}).") from None
    if not isinstance(given, dict) or "prompt" not in given:
        raise JobRefused('it is no JSON object with a "prompt".')
    for name, value in given.items():
        if name not in BATCH_TYPES:
            raise JobRefused(f"{name} is not known; known are {', '.join(BATCH_TYPES)}.")
        if not isinstance(value, BATCH_TYPES[name]) or isinstance(value, bool):
            raise JobRefused(f"{name} has a value of the wrong type.")
    if any(type(parent) is not int for parent in given.get("after", [])):
        raise JobRefused("after is a list of numbers of jobs.")
    if given.get("if_parent_fails", "cancel") not in ("cancel", "run"):
        raise JobRefused('if_parent_fails is "cancel" or "run".')
    if abs(given.get("priority", 0)) >= PRIORITY_END:
        raise JobRefused("priority is too large.")
    data = json.dumps(given["data"], ensure_ascii=False) if "data" in given else None
    new = _new_job(queue, given, data=data, chat=chat)
    check_new(new)
    return new


def _new_job(queue: Queue, given: Mapping[str, Any], *, data: str | None, chat: str) -> NewJob:
    timeout_s, max_age_s = given.get("timeout"), given.get("max_age")
    for name, seconds in (("timeout", timeout_s), ("max-age", max_age_s)):
        if seconds is not None and not 0 < seconds <= SECONDS_MAX:
            raise JobRefused(f"--{name} takes seconds, more than 0.")
    return NewJob(
        chat_id=clean_text(str(given.get("chat") or chat)),
        prompt=given["prompt"],
        title=given.get("title", ""),
        kind=clean_text(given.get("kind", "other")),
        data=data,
        priority=given.get("priority", 0),
        run_at=_run_at(queue, given.get("in"), given.get("at")),
        after=tuple(given.get("after", ())),
        if_parent_fails=given.get("if_parent_fails", "cancel"),
        unique_key=clean_text(given["key"]) if given.get("key") is not None else None,
        timeout_s=timeout_s,
        max_age_s=max_age_s or MAX_AGE_S,
    )


async def show_list(queue: Queue, arguments: argparse.Namespace) -> int:
    """Jobs, newest first."""
    statuses = [JobStatus(arguments.status)] if arguments.status else []
    jobs = await queue.jobs(chat_id=arguments.chat, statuses=statuses, limit=arguments.limit)
    lines = [_line(job) for job in jobs] or ["No jobs."]
    say(arguments, [asdict(job) for job in jobs], "\n".join(lines))
    return 0


async def show(queue: Queue, arguments: argparse.Namespace) -> int:
    """One job with its history."""
    job = await queue.get(arguments.id)

    def look(tx: Tx) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[int]]:
        events = [dict(row) for row in tx.all("events_of", job_id=job.id)]
        files = [dict(row) for row in tx.all("files_of", job_id=job.id)]
        return events, files, [row["after_id"] for row in tx.all("parents_of", job_id=job.id)]

    events, files, after = await queue.store.read(look)
    lines = [_line(job), f"Prompt: {job.prompt}"]
    if after:
        lines.append(f"After: {', '.join(map(str, after))}; if one fails: {job.if_parent_fails}")
    lines += [f"  {e['at']}  {e['event']:<10} {e['step'] or e['message']}" for e in events]
    lines += [f"File: {file['path']}" for file in files]
    lines += [f"Asks: {job.question}"] if job.status is JobStatus.WAITING else []
    lines += [f"Error: {job.error}"] if job.error else []
    lines += [f"Result:\n{job.result}"] if job.result else []
    data = {**asdict(job), "after": after, "events": events, "files": files}
    say(arguments, data, "\n".join(lines))
    return 0


async def cancel(queue: Queue, arguments: argparse.Namespace) -> int:
    """One job, or its whole tree."""
    if arguments.tree:
        jobs = await queue.cancel_tree(arguments.id)
        rows = [{"id": job.id, "status": job.status} for job in jobs]
        names = ", ".join(str(job.id) for job in jobs)
        say(arguments, rows, f"Cancelled: {names}." if jobs else "Nothing of it was alive.")
        return 0 if jobs else 1
    job = await queue.cancel(arguments.id)
    _say_status(arguments, job)
    return 0 if job.status is JobStatus.CANCELLED else 1


async def retry(queue: Queue, arguments: argparse.Namespace) -> int:
    """One job, or all that failed."""
    if arguments.all:
        ids = await queue.retry_all(kind=arguments.kind)
        say(arguments, ids, f"Run again: {', '.join(map(str, ids)) or 'none'}.")
        return 0
    before = await queue.get(arguments.id)
    job = await queue.retry(arguments.id)
    _say_status(arguments, job)
    return 0 if before.status in (JobStatus.FAILED, JobStatus.CANCELLED) else 1


async def snooze(queue: Queue, arguments: argparse.Namespace) -> int:
    """Not before some seconds from now."""
    until = _later(queue, arguments.seconds, "SECONDS")
    job = await queue.snooze(arguments.id, until)
    say(
        arguments,
        {"id": job.id, "status": job.status, "run_at": job.run_at},
        f"Job {job.id} is {job.status}, not before {job.run_at} UTC.",
    )
    return 0


async def answer(queue: Queue, arguments: argparse.Namespace) -> int:
    """What a waiting job asked for."""
    _say_status(arguments, await queue.answer(arguments.id, arguments.text))
    return 0


async def pause(queue: Queue, arguments: argparse.Namespace) -> int:
    """No more jobs are started."""
    await queue.pause(arguments.kind)
    say(arguments, {"paused": arguments.kind}, f"{_kind(arguments)} wait; what runs goes on.")
    return 0


async def resume(queue: Queue, arguments: argparse.Namespace) -> int:
    """They are started again; 1 when they were not paused."""
    was_paused = await queue.resume(arguments.kind)
    text = "are started again" if was_paused else "were not paused"
    say(arguments, {"resumed": arguments.kind}, f"{_kind(arguments)} {text}.")
    return 0 if was_paused else 1


async def stats(queue: Queue, arguments: argparse.Namespace) -> int:
    """How many jobs stand where."""
    summary = await queue.store.read(lambda tx: monitoring.summary(tx, queue.clock.now()))
    lines = [f"{status:<10}{number:>8}" for status, number in summary["jobs"].items()]
    say(arguments, summary, "\n".join(lines))
    return 0


async def monitor(queue: Queue, arguments: argparse.Namespace) -> int:
    """The queue, live."""
    return await monitoring.watch(queue, every_s=arguments.every, as_json=arguments.json)


def _run_at(queue: Queue, in_s: float | None, at: str | None) -> str | None:
    """When the job may start, as a stamp. Raises: JobRefused for a time nobody can read."""
    if in_s is not None:
        return stamp(_later(queue, in_s, "--in"))
    if at is None:
        return None
    try:
        moment = datetime.fromisoformat(at)
        return stamp(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (ValueError, OverflowError):  # the last and first hours of all time have no UTC
        raise JobRefused(f"--at takes a time such as 2026-12-01T07:30+01:00; got {at!r}.") from None


def _later(queue: Queue, seconds: float, name: str) -> datetime:
    if not 0 <= seconds <= SECONDS_MAX:
        raise JobRefused(f"{name} takes seconds from now, 0 or more.")
    return queue.clock.now() + timedelta(seconds=seconds)


def _kind(arguments: argparse.Namespace) -> str:
    return "All jobs" if arguments.kind == EVERY_KIND else f"Jobs of kind {arguments.kind}"


def _line(job: Job) -> str:
    progress = f" {job.progress:.0f}%" if job.progress is not None and not job.status.final else ""
    return f"#{job.id:<5} {job.status}{progress}  {job.name}"


def _say_status(arguments: argparse.Namespace, job: Job) -> None:
    say(arguments, {"id": job.id, "status": job.status}, f"Job {job.id} is {job.status}.")

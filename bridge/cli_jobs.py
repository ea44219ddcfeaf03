"""What `kitt queue …` does: each action takes the queue and what was said, gives the exit code."""

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from bridge import monitor as monitoring
from bridge import results
from bridge.breaker import EVERY_KIND
from bridge.cli_add import later
from bridge.cli_shell import say
from bridge.clock import moment, stamp
from bridge.errors import JobRefused
from bridge.models import Job, JobStatus
from bridge.prices import MILLION
from bridge.queue import Queue
from bridge.store import Tx


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

    now = queue.clock.now()

    def look(tx: Tx) -> dict[str, Any]:
        return {
            "after": [row["after_id"] for row in tx.all("parents_of", job_id=job.id)],
            "events": [dict(row) for row in tx.all("events_of", job_id=job.id)],
            "files": [dict(row) for row in tx.all("files_of", job_id=job.id)],
            "outcome": results.of_job(tx, job),
            "warnings": monitoring.nobody_takes(tx, now, job, arguments.settings.kind_workers),
        }

    seen = await queue.store.read(look)
    text = "\n".join(_everything(job, seen, now))
    say(arguments, {**asdict(job), **seen}, text)
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
    if job.status is not JobStatus.CANCELLED:
        raise JobRefused(
            f"Job {job.id} is {job.status}: only one that has not ended can be cancelled; "
            f"`kitt queue show {job.id}` tells how it ended."
        )
    _say_status(arguments, job)
    return 0


async def retry(queue: Queue, arguments: argparse.Namespace) -> int:
    """One job, or all that failed."""
    if arguments.all:
        ids = await queue.retry_all(kind=arguments.kind)
        say(arguments, ids, f"Run again: {', '.join(map(str, ids)) or 'none'}.")
        return 0
    if arguments.kind is not None:
        raise JobRefused(f"--kind goes with --all only: leave it out for job {arguments.id}.")
    before = await queue.get(arguments.id)
    job = await queue.retry(arguments.id)
    if before.status not in (JobStatus.FAILED, JobStatus.CANCELLED):
        instead = {
            JobStatus.DONE: "add a new one with `kitt queue add`",
            JobStatus.WAITING: f"answer it with `kitt queue answer {job.id} TEXT`",
        }.get(before.status, "wait for it, or cancel it first")
        raise JobRefused(
            f"Job {job.id} is {before.status}: only a failed or cancelled one can run again; "
            f"{instead}."
        )
    _say_status(arguments, job)
    return 0


async def snooze(queue: Queue, arguments: argparse.Namespace) -> int:
    """Not before some seconds from now."""
    until = later(queue, arguments.seconds, "SECONDS")
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
    kinds = arguments.settings.kind_workers
    summary = await queue.store.read(lambda tx: monitoring.summary(tx, queue.clock.now(), kinds))
    lines = [f"{status:<10}{number:>8}" for status, number in summary["jobs"].items()]
    say(arguments, summary, "\n".join(lines))
    return 0


async def monitor(queue: Queue, arguments: argparse.Namespace) -> int:
    """The queue, live."""
    own_kinds = arguments.settings.kind_workers
    return await monitoring.watch(
        queue, every_s=arguments.every, as_json=arguments.json, own_kinds=own_kinds
    )


def _kind(arguments: argparse.Namespace) -> str:
    return "All jobs" if arguments.kind == EVERY_KIND else f"Jobs of kind {arguments.kind}"


def _line(job: Job) -> str:
    progress = f" {job.progress:.0f}%" if job.progress is not None and not job.status.final else ""
    when = f" {_time(job.run_at)}" if job.status is JobStatus.SCHEDULED and job.run_at else ""
    return f"#{job.id:<5} {job.status}{progress}{when}  {job.name}"


def _everything(job: Job, seen: dict[str, Any], now: datetime) -> Iterator[str]:
    yield _line(job)
    yield f"Prompt: {job.prompt}"
    yield f"Chat: {job.chat_id}; kind: {job.kind}; priority: {job.priority}"
    yield f"Attempts: {job.attempt}; failed: {job.failures} of {job.max_attempts}"
    yield from _times(job, now)
    if seen["after"]:
        parents = ", ".join(map(str, seen["after"]))
        yield f"After: {parents}; if one fails: {job.if_parent_fails}"
    for event in seen["events"]:
        failed = event["event"] in ("failed", "retry")
        said = event["step"] or (_meaning(event["message"]) if failed else event["message"])
        yield f"  {event['at']}  {event['event']:<10} {said}"
    yield from (f"File: {file['path']}" for file in seen["files"])
    if took := _took(seen["outcome"]["metrics"]):
        yield f"Took: {took}"
    yield from (f"! {warning}" for warning in seen["warnings"])
    if job.status is JobStatus.WAITING:
        yield f"Asks: {job.question}"
    if job.error:
        yield f"Error: {_meaning(job.error)}"
    if job.result:
        yield f"Summary: {seen['outcome']['summary']}"
        yield f"Result:\n{job.result}"


def _took(metrics: dict[str, Any]) -> str:
    """What it used, as far as it was counted: "6 model calls, 4 tool calls, $ 0.0123"."""
    words = [
        f"{metrics[name]:,} {name.replace('_', ' ')}"
        for name in ("model_calls", "tool_calls", "tokens")
        if metrics.get(name)
    ]
    if metrics.get("cost_micro"):
        words.append(f"$ {metrics['cost_micro'] / MILLION:.4f}")
    return ", ".join(words)


def _times(job: Job, now: datetime) -> Iterator[str]:
    """When it was added, starts or started and ended, and how long each took."""
    yield f"Added: {_time(job.created_at)}"
    present = stamp(now)
    if job.status is JobStatus.SCHEDULED and job.run_at:
        yield f"Starts: {_time(job.run_at)}{_span(', in ', present, job.run_at)}"
    if job.started_at:
        yield f"Started: {_time(job.started_at)}{_span(', after ', job.created_at, job.started_at)}"
    elif not job.status.final:
        yield f"Waits{_span(' for ', job.created_at, present)}"
    if job.completed_at:
        began = job.started_at or job.created_at
        yield f"Ended: {_time(job.completed_at)}{_span(', after ', began, job.completed_at)}"
    elif job.status is JobStatus.RUNNING and job.started_at:
        yield f"Runs{_span(' for ', job.started_at, present)}"


def _time(text: str) -> str:
    return f"{text[:19]} UTC"


def _span(word: str, start: str, end: str) -> str:
    """The whole seconds between two times, behind its word; nothing when one cannot be read."""
    try:
        seconds = (moment(end) - moment(start)).total_seconds()
    except ValueError:  # made by hand
        return ""
    return f"{word}{timedelta(seconds=max(0, round(seconds)))}"


def _meaning(error: str) -> str:
    """A code of `jobs.error` in words; what is none stays as it is."""
    from bridge.telegram.texts import cause

    return cause("en", error) if error else ""


def _say_status(arguments: argparse.Namespace, job: Job) -> None:
    say(arguments, {"id": job.id, "status": job.status}, f"Job {job.id} is {job.status}.")

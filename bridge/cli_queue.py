"""`kitt queue …` and `kitt status`: the queue from the shell, for people and for pipes."""

import argparse
import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from bridge import people
from bridge.clock import Clock, stamp
from bridge.errors import JobRefused
from bridge.models import Job, JobStatus, NewJob, clean_text, short
from bridge.process import prepare_folders
from bridge.queue import Queue
from bridge.settings import Settings
from bridge.store import Store, Tx

T = TypeVar("T")
NOBODY = "cli"  # chat_id of a job whose result nobody is sent


def add_queue_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `kitt queue` with its own commands."""
    queue = commands.add_parser(
        "queue",
        help="add, list, show, cancel and retry jobs",
        epilog='Example: kitt queue add "compare three e-bikes" --chat 12345 --in 60',
    )
    actions = queue.add_subparsers(title="commands", metavar="COMMAND", required=True)
    add = actions.add_parser("add", help="add a job; prints its number")
    add.add_argument("prompt", help="what is to be done; - reads it from standard input")
    add.add_argument(
        "--chat", type=clean_text, metavar="ID", help="who is told (the only owner, else nobody)"
    )
    add.add_argument("--kind", type=clean_text, default="other", metavar="K", help="kind (other)")
    add.add_argument("--data", type=clean_text, metavar="JSON", help="data for the kind")
    add.add_argument(
        "--priority", type=_whole, default=0, metavar="N", help="higher runs first (0)"
    )
    when = add.add_mutually_exclusive_group()
    when.add_argument("--in", dest="in_s", type=float, metavar="SECONDS", help="not before then")
    when.add_argument("--at", metavar="TIME", help="not before, e.g. 2026-12-01T07:30+01:00 (UTC)")
    add.add_argument(
        "--after",
        type=int,
        action="append",
        default=[],
        metavar="JOB",
        help="when that one is done",
    )
    add.add_argument(
        "--key",
        type=clean_text,
        metavar="KEY",
        help="one live job per key; prints the one there is",
    )
    add.set_defaults(action=_run(_add))
    listing = actions.add_parser("list", help="newest first")
    listing.add_argument("--status", choices=[str(s) for s in JobStatus], help="only these")
    listing.add_argument("--chat", type=clean_text, metavar="ID", help="only of this chat")
    listing.add_argument("--limit", type=_whole, default=20, metavar="N", help="at most (20)")
    listing.set_defaults(action=_run(_list))
    for name, action, text in (
        ("show", _show, "everything about one job"),
        ("cancel", _cancel, "stop one job"),
        ("retry", _retry, "run a failed or cancelled job again"),
    ):
        command = actions.add_parser(name, help=text)
        command.add_argument("id", type=int, metavar="ID")
        command.set_defaults(action=_run(action))
    stats = actions.add_parser("stats", help="how many jobs stand where")
    stats.set_defaults(action=_run(_stats))
    monitor = actions.add_parser("monitor", help="watch the queue until Ctrl-C")
    monitor.add_argument("--every", type=float, default=1.0, metavar="SECONDS", help="(1)")
    monitor.set_defaults(action=_run(_monitor))
    for command in actions.choices.values():
        command.add_argument("--json", action="store_true", help="print JSON")


def print_status(settings: Settings, *, as_json: bool) -> int:
    """Processes and jobs; 3 when nothing runs."""
    from bridge import supervision

    try:
        processes = supervision.processes(settings)
        sentence, code = "", 0
    except supervision.NotRunning as error:
        processes, sentence, code = [], str(error), error.exit_code
    summary = asyncio.run(_with_queue(settings, _summary))
    if as_json:
        print(json.dumps({"processes": [asdict(p) for p in processes], **summary}, indent=2))
        return code
    print(supervision.table(processes) if processes else sentence)
    jobs = ", ".join(f"{number} {status}" for status, number in summary["jobs"].items() if number)
    print(f"Jobs: {jobs or 'none yet'}")
    if summary["oldest_pending"]:
        print(f"The oldest waits since {summary['oldest_pending']} UTC.")
    for job in summary["running"]:
        print(f"  #{job['id']} on {job['worker']}: {job['title']} – {job['step'] or 'started'}")
    return code


def _run(
    action: Callable[[Queue, argparse.Namespace], Awaitable[int]],
) -> Callable[[argparse.Namespace], int]:
    """A command on the queue: open the store, act, close."""

    def run(arguments: argparse.Namespace) -> int:
        arguments.settings = Settings.load()
        return asyncio.run(_with_queue(arguments.settings, lambda queue: action(queue, arguments)))

    return run


async def _with_queue(settings: Settings, act: Callable[[Queue], Awaitable[T]]) -> T:
    prepare_folders(settings)
    store = await Store.open(settings.database, settings.run_dir)
    try:
        return await act(Queue(store=store, clock=Clock(), lease_s=settings.lease_s))
    finally:
        await store.close()


async def _add(queue: Queue, arguments: argparse.Namespace) -> int:
    prompt = sys.stdin.read() if arguments.prompt == "-" else arguments.prompt
    new = NewJob(
        chat_id=arguments.chat or await queue.store.read(partial(_only_owner, arguments.settings)),
        prompt=prompt,
        kind=arguments.kind,
        data=arguments.data,
        priority=arguments.priority,
        run_at=_run_at(queue, arguments),
        after=tuple(arguments.after),
        unique_key=arguments.key,
    )
    job = await queue.add(new)
    _print(arguments, {"id": job.id, "status": job.status}, str(job.id))
    return 0


async def _list(queue: Queue, arguments: argparse.Namespace) -> int:
    statuses = [JobStatus(arguments.status)] if arguments.status else []
    jobs = await queue.jobs(chat_id=arguments.chat, statuses=statuses, limit=arguments.limit)
    lines = [_line(job) for job in jobs] or ["No jobs."]
    _print(arguments, [asdict(job) for job in jobs], "\n".join(lines))
    return 0


async def _show(queue: Queue, arguments: argparse.Namespace) -> int:
    job = await queue.get(arguments.id)

    def look(tx: Tx) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        events = [dict(row) for row in tx.all("events_of", job_id=job.id)]
        return events, [dict(row) for row in tx.all("files_of", job_id=job.id)]

    events, files = await queue.store.read(look)
    lines = [_line(job), f"Prompt: {job.prompt}"]
    lines += [f"  {e['at']}  {e['event']:<10} {e['message']}" for e in events]
    lines += [f"File: {file['path']}" for file in files]
    lines += [f"Error: {job.error}"] if job.error else []
    lines += [f"Result:\n{job.result}"] if job.result else []
    _print(arguments, {**asdict(job), "events": events, "files": files}, "\n".join(lines))
    return 0


async def _cancel(queue: Queue, arguments: argparse.Namespace) -> int:
    job = await queue.cancel(arguments.id)
    _print(arguments, {"id": job.id, "status": job.status}, f"Job {job.id} is {job.status}.")
    return 0 if job.status is JobStatus.CANCELLED else 1


async def _retry(queue: Queue, arguments: argparse.Namespace) -> int:
    before = await queue.get(arguments.id)
    job = await queue.retry(arguments.id)
    _print(arguments, {"id": job.id, "status": job.status}, f"Job {job.id} is {job.status}.")
    return 0 if before.status in (JobStatus.FAILED, JobStatus.CANCELLED) else 1


async def _stats(queue: Queue, arguments: argparse.Namespace) -> int:
    summary = await _summary(queue)
    lines = [f"{status:<10}{number:>8}" for status, number in summary["jobs"].items()]
    _print(arguments, summary, "\n".join(lines))
    return 0


async def _monitor(queue: Queue, arguments: argparse.Namespace) -> int:
    """One look after the other; on a terminal each replaces the last."""
    clear = "\x1b[2J\x1b[H" if sys.stdout.isatty() and not arguments.json else ""
    while True:
        summary = await _summary(queue)
        counts = ", ".join(f"{number} {name}" for name, number in summary["jobs"].items() if number)
        jobs = await queue.jobs(limit=15)
        text = "\n".join([f"{stamp(queue.clock.now())}  {counts}", *map(_line, jobs)])
        if arguments.json:
            print(json.dumps(summary), flush=True)
        else:
            print(f"{clear}{text}", flush=True)
        await queue.clock.sleep(max(0.1, arguments.every))


async def _summary(queue: Queue) -> dict[str, Any]:
    def look(tx: Tx) -> dict[str, Any]:
        found = {row["status"]: row["jobs"] for row in tx.all("count_by_status")}
        running = [
            {
                "id": row["id"],
                "worker": (row["worker_id"] or "").partition(":")[0],
                "title": row["title"] or short(row["prompt"], 60),
                "progress": row["progress"],
                "step": row["step"],
            }
            for row in tx.all("running_jobs")
        ]
        return {
            "jobs": {str(status): found.get(status, 0) for status in JobStatus},
            "oldest_pending": tx.value("oldest_pending"),
            "running": running,
            "deliveries": {r["status"]: r["deliveries"] for r in tx.all("count_deliveries")},
        }

    return await queue.store.read(look)


def _run_at(queue: Queue, arguments: argparse.Namespace) -> str | None:
    """When the job may start, as a stamp. Raises: JobRefused for a time nobody can read."""
    if arguments.in_s is not None:
        if not 0 <= arguments.in_s <= 10 * 365 * 86_400:
            raise JobRefused("--in takes seconds from now, 0 or more.")
        return stamp(queue.clock.now() + timedelta(seconds=arguments.in_s))
    if arguments.at is None:
        return None
    try:
        moment = datetime.fromisoformat(arguments.at)
        return stamp(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (ValueError, OverflowError):  # the last and first hours of all time have no UTC
        raise JobRefused(
            f"--at takes a time such as 2026-12-01T07:30+01:00; got {arguments.at!r}."
        ) from None


def _whole(text: str) -> int:
    """A number the database can hold and a person may mean."""
    try:
        number = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
    if abs(number) >= 10**9:
        raise argparse.ArgumentTypeError(f"{text} is too large")
    return number


def _only_owner(settings: Settings, tx: Tx) -> str:
    owners = people.owners(tx, settings.owners)
    return str(*owners) if len(owners) == 1 else NOBODY


def _line(job: Job) -> str:
    progress = f" {job.progress:.0f}%" if job.progress is not None and not job.status.final else ""
    return f"#{job.id:<5} {job.status}{progress}  {job.name}"


def _print(arguments: argparse.Namespace, data: object, text: str) -> None:
    print(json.dumps(data, ensure_ascii=False, indent=2) if arguments.json else text)

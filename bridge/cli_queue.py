"""`kitt queue …`: the queue from the shell. Here is what can be said; cli_jobs.py does it."""

import argparse
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from bridge import cli_add, cli_jobs, cli_kinds
from bridge.breaker import EVERY_KIND
from bridge.cli_shell import looking, on_queue
from bridge.cli_words import count, number, priority, seconds
from bridge.models import JobStatus, clean_text
from bridge.queue import Queue

Action: TypeAlias = Callable[[Queue, argparse.Namespace], Awaitable[int]]
Actions: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_queue_commands(commands: Actions) -> None:
    """Add `kitt queue` with its own commands."""
    queue = commands.add_parser(
        "queue",
        help="add, list, show, cancel and retry jobs",
        epilog='Example: kitt queue add "compare three e-bikes" --chat 12345 --in 60',
    )
    actions = queue.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_add(actions)
    _add_looks(actions)
    _add_changes(actions)
    for command in actions.choices.values():
        command.add_argument("--json", action="store_true", help="print JSON")


def _add_add(actions: Actions) -> None:
    add = actions.add_parser(
        "add",
        help="add a job; prints its number",
        epilog="With --kind and --data no prompt is needed: --kind research --data "
        """'{"topic": "e-bikes"}'; `kitt queue kinds` lists what each takes. """
        'A line of --batch: {"prompt": "Sing", "chat": "12345", "kind": "other", '
        '"data": {}, "priority": 0, "in": 60, "after": [7], "key": "song"}; prompt or kind is '
        "needed.",
    )
    what = add.add_mutually_exclusive_group()
    what.add_argument(
        "prompt", nargs="?", help="what is to be done; - reads it from standard input"
    )
    what.add_argument("--batch", metavar="FILE", help="one JSON object a line; - is standard input")
    add.add_argument(
        "--chat", type=clean_text, metavar="ID", help="who is told (the only owner, else nobody)"
    )
    add.add_argument("--kind", type=clean_text, metavar="K", help="kind (other); see kinds")
    add.add_argument("--persona", type=clean_text, metavar="P", help="who does it (KITT)")
    add.add_argument("--data", type=clean_text, metavar="JSON", help="data for the kind")
    add.add_argument("--priority", type=priority, metavar="N", help="higher first (0)")
    when = add.add_mutually_exclusive_group()
    when.add_argument("--in", type=seconds, metavar="SECONDS", help="not before then")
    when.add_argument("--at", metavar="TIME", help="not before, e.g. 2026-12-01T07:30+01:00 (UTC)")
    add.add_argument(
        "--after",
        type=number,
        action="append",
        metavar="JOB",
        help="when that one is done",
    )
    add.add_argument(
        "--if-parent-fails",
        choices=("cancel", "run"),
        help="what becomes of it when a job of --after fails or is cancelled (cancel)",
    )
    add.add_argument(
        "--key",
        type=clean_text,
        metavar="KEY",
        help="one live job per key; prints the one there is",
    )
    add.add_argument(
        "--timeout", type=seconds, metavar="S", help="an attempt that takes longer fails it (2 h)"
    )
    add.add_argument(
        "--max-age", type=seconds, metavar="SECONDS", help="never start it later than this (7 days)"
    )
    add.set_defaults(action=_saying_what(add))


def _saying_what(add: argparse.ArgumentParser) -> Callable[[argparse.Namespace], int]:
    """`add`, when it was said what is to be done."""
    action = on_queue(cli_add.add)

    def run(arguments: argparse.Namespace) -> int:
        if arguments.prompt is None and arguments.batch is None and arguments.kind is None:
            add.error("say what is to be done: a prompt, or --kind with --data, or --batch")
        return action(arguments)

    return run


def _add_looks(actions: Actions) -> None:
    listing = actions.add_parser("list", help="newest first")
    listing.add_argument("--status", choices=[str(s) for s in JobStatus], help="only these")
    listing.add_argument("--chat", type=clean_text, metavar="ID", help="only of this chat")
    listing.add_argument("--limit", type=count, default=20, metavar="N", help="at most (20)")
    listing.set_defaults(action=looking(cli_jobs.show_list))
    show = _with_id(actions, "show", cli_jobs.show, "everything about one job")
    show.set_defaults(action=looking(cli_jobs.show))
    kinds = actions.add_parser("kinds", help="the kinds of jobs, and the data each takes")
    kinds.set_defaults(action=cli_kinds.show_kinds)
    stats = actions.add_parser("stats", help="how many jobs stand where")
    stats.set_defaults(action=looking(cli_jobs.stats))
    monitor = actions.add_parser("monitor", help="watch the queue until q or Ctrl-C")
    monitor.add_argument("--every", type=seconds, default=1.0, metavar="SECONDS", help="(1)")
    monitor.set_defaults(action=looking(cli_jobs.monitor))


def _add_changes(actions: Actions) -> None:
    cancel = _with_id(actions, "cancel", cli_jobs.cancel, "stop one job")
    cancel.add_argument("--tree", action="store_true", help="and all that came from or awaits it")
    retry = actions.add_parser("retry", help="run a failed or cancelled job again")
    which = retry.add_mutually_exclusive_group(required=True)
    which.add_argument("id", type=number, nargs="?", metavar="ID")
    which.add_argument("--all", action="store_true", help="every failed job")
    retry.add_argument("--kind", type=clean_text, metavar="K", help="with --all: only of this kind")
    retry.set_defaults(action=on_queue(cli_jobs.retry))
    snooze = _with_id(actions, "snooze", cli_jobs.snooze, "put off a job that has not started")
    snooze.add_argument("seconds", type=seconds, metavar="SECONDS", help="from now")
    answer = _with_id(actions, "answer", cli_jobs.answer, "answer what a waiting job asked")
    answer.add_argument("text", metavar="TEXT")
    for name, action, text in (
        ("pause", cli_jobs.pause, "start no more jobs, of one kind or of all"),
        ("resume", cli_jobs.resume, "start them again"),
    ):
        command = actions.add_parser(name, help=text)
        command.add_argument("kind", type=clean_text, nargs="?", default=EVERY_KIND, metavar="KIND")
        command.set_defaults(action=on_queue(action))


def _with_id(actions: Actions, name: str, action: Action, text: str) -> argparse.ArgumentParser:
    command = actions.add_parser(name, help=text)
    command.add_argument("id", type=number, metavar="ID")
    command.set_defaults(action=on_queue(action))
    return command

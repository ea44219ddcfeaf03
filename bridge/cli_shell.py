"""What the commands on the queue share: opening it, whose jobs they are, and printing."""

import argparse
import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from bridge import people
from bridge.clock import Clock
from bridge.process import need_database, prepare_folders
from bridge.queue import Queue
from bridge.settings import Settings
from bridge.store import Store, Tx

T = TypeVar("T")
NOBODY: Final = "cli"  # chat_id of a job whose result nobody is sent


def on_queue(
    action: Callable[[Queue, argparse.Namespace], Awaitable[int]],
) -> Callable[[argparse.Namespace], int]:
    """A command on the queue: open the store, act, close."""

    def run(arguments: argparse.Namespace) -> int:
        arguments.settings = Settings.load()
        return asyncio.run(with_queue(arguments.settings, lambda queue: action(queue, arguments)))

    return run


def looking(
    action: Callable[[Queue, argparse.Namespace], Awaitable[int]],
) -> Callable[[argparse.Namespace], int]:
    """A command that only looks: where there is no database it makes none."""

    def run(arguments: argparse.Namespace) -> int:
        need_database(Settings.load())
        return on_queue(action)(arguments)

    return run


async def with_queue(settings: Settings, act: Callable[[Queue], Awaitable[T]]) -> T:
    """Open the queue of this profile, act on it, close it."""
    prepare_folders(settings)
    store = await Store.open(settings.database, settings.run_dir)
    try:
        return await act(Queue(store=store, clock=Clock(), lease_s=settings.lease_s))
    finally:
        await store.close()


def whose(tx: Tx, arguments: argparse.Namespace) -> str:
    """The chat of a new job: the one that was named, else the only owner, else nobody's."""
    owners = people.owners(tx, arguments.settings.owners)
    return arguments.chat or (str(*owners) if len(owners) == 1 else NOBODY)


def say(arguments: argparse.Namespace, data: object, text: str) -> None:
    """Print the data with --json, else the text."""
    if arguments.json:
        text = json.dumps(data, ensure_ascii=sys.stdout.isatty(), indent=2)
    elif sys.stdout.isatty():  # what a chat has written must not move anybody's cursor
        from bridge.monitor_view import harmless

        text = "\n".join(harmless(line) for line in text.split("\n"))
    print(text)

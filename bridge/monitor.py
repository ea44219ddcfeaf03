"""`kitt queue monitor`: what the queue does now, gathered in one snapshot, and watched.

`summary` is what `--json` prints and what `monitor_view` draws. Times in it are UTC text and
seconds. It changes nothing and waits for no writer, so a monitor may be left open beside a busy
queue.
"""

import asyncio
import json
import os
import shlex
import signal
import socket
import sqlite3
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any, Final

from bridge.clock import Clock, moment, stamp
from bridge.models import Job, JobStatus, short
from bridge.queue import Queue
from bridge.store import Tx

EVERY_MIN_S: Final = 0.1
EVERY_MAX_S: Final = 3600.0
FRESH_S: Final = 1.0  # what happens without a commit (a worker dies, a time comes) shows by then
ROWS_MAX: Final = 50  # of each list; no terminal is longer
# Counting all that has ever ended reads the whole table (a million jobs: 0.4 s), so it may take no
# more than this part of the time, and none while nothing changes.
COUNTING_MAX: Final = 0.005
PLAIN_COLUMNS: Final = 100  # where there is no terminal that could say how wide it is

Ended = tuple[dict[str, int], dict[str, int]]


def summary(tx: Tx, now: datetime, own_kinds: Collection[str] = ()) -> dict[str, Any]:
    """Where everything stands, as JSON can hold it; `now` is the moment ages are counted from.

    `jobs` and `deliveries` are counts by status. Of running jobs, schedules and events it has the
    first 50. A worker whose process is gone from this machine is `dead`. `own_kinds` are those with
    workers of their own, which no other worker takes.
    """
    return _gather(tx, now, _ended(tx), own_kinds)


def nobody_takes(tx: Tx, now: datetime, job: Job, own_kinds: Collection[str]) -> list[str]:
    """Why a job that may start is not started, and what to do; empty when somebody could."""
    if job.status is not JobStatus.PENDING:
        return []
    workers = [_worker(row, [], now) for row in tx.all("watched_workers")]
    if all(worker["state"] == "dead" for worker in workers):
        return ["No worker is alive: run `kitt up`."]
    return list(_without_worker({job.kind}, workers, own_kinds))


async def watch(
    queue: Queue, *, every_s: float, as_json: bool, own_kinds: Collection[str] = ()
) -> int:
    """Show the queue every `every_s` seconds until q or Ctrl-C; the exit code.

    On a terminal it takes the whole screen and gives it back as it was. Elsewhere it prints one
    look after the other, and with `as_json` one JSON object a line.
    """
    every_s = min(max(EVERY_MIN_S, every_s), EVERY_MAX_S)
    looks = Looks(queue, own_kinds)
    if as_json:
        return await _print(looks, every_s, json.dumps)
    if sys.stdout.isatty():
        return await _on_screen(looks, every_s)
    from bridge.monitor_view import frame

    return await _print(looks, every_s, lambda look: f"{frame(look, columns=PLAIN_COLUMNS)}\n")


async def _print(looks: "Looks", every_s: float, form: Callable[[dict[str, Any]], str]) -> int:
    while True:
        print(form(await looks.look()), flush=True)
        await looks.clock.sleep(every_s)


async def _on_screen(looks: "Looks", every_s: float) -> int:
    from rich.console import Console
    from rich.live import Live

    from bridge.monitor_view import frame

    console = Console()
    wake = looks.wake
    stopping = asyncio.Event()

    def stop() -> None:
        stopping.set()
        wake.notify()

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop)
    loop.add_signal_handler(signal.SIGWINCH, wake.notify)
    # Nothing may be written beside the frame, and nobody else draws: no thread, no redirection.
    live = Live(
        console=console,
        screen=True,
        auto_refresh=False,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    with _keys(stop), live:
        while not stopping.is_set():
            look = await looks.look()
            size = console.size
            live.update(frame(look, columns=size.width, lines=size.height), refresh=True)
            await wake.wait(every_s)
    return 0


@contextmanager
def _keys(stop: Callable[[], None]) -> Iterator[None]:
    """Hear single keys, unseen, while inside: q stops."""
    if not sys.stdin.isatty():
        yield
        return
    import termios
    import tty

    fd = sys.stdin.fileno()
    loop = asyncio.get_running_loop()

    def heard() -> None:
        keys = b""
        with suppress(OSError):
            keys = os.read(fd, 64)
        if not keys:  # the terminal is gone
            loop.remove_reader(fd)
        if not keys or b"q" in keys.lower():
            stop()

    before = termios.tcgetattr(fd)
    tty.setcbreak(fd)
    without_stop = termios.tcgetattr(fd)
    without_stop[6][termios.VSUSP] = b"\0"  # Ctrl-Z would leave the shell behind our screen
    termios.tcsetattr(fd, termios.TCSANOW, without_stop)
    loop.add_reader(fd, heard)
    try:
        yield
    finally:
        loop.remove_reader(fd)
        termios.tcsetattr(fd, termios.TCSAFLUSH, before)


class Looks:
    """Reads the queue when something has changed or a second has passed, and not before."""

    def __init__(self, queue: Queue, own_kinds: Collection[str] = ()) -> None:
        self._own_kinds = own_kinds
        self.clock: Clock = queue.clock
        self.wake = queue.store.wake
        self._store = queue.store
        self._version = self._counted_version = -1
        self._read_at = self._count_at = float("-inf")
        self._look: dict[str, Any] = {}
        self._counted: Ended = ({}, {})

    async def look(self) -> dict[str, Any]:
        """The newest look at the queue; the same object as before when it was not read again."""
        before, self._version = self._version, await self._store.data_version()
        now = self.clock.monotonic()
        if self._version != before or now - self._read_at >= FRESH_S:
            self._look = await self._store.read(self._read)
            self._read_at = now
        return self._look

    def _read(self, tx: Tx) -> dict[str, Any]:
        started = self.clock.monotonic()
        if started >= self._count_at and self._version != self._counted_version:
            self._counted, self._counted_version = _ended(tx), self._version
            ended = self.clock.monotonic()
            self._count_at = ended + (ended - started) / COUNTING_MAX
        return _gather(tx, self.clock.now(), self._counted, self._own_kinds)


def _ended(tx: Tx) -> Ended:
    """Counts of jobs that have ended, and of deliveries nothing more happens to."""
    return (
        {row["status"]: row["jobs"] for row in tx.all("watched_ended")},
        {row["status"]: row["deliveries"] for row in tx.all("watched_settled")},
    )


def _gather(tx: Tx, now: datetime, ended: Ended, own_kinds: Collection[str]) -> dict[str, Any]:
    backlog = [_plain(row, now) for row in tx.all("watched_backlog")]
    live: dict[str, int] = {}
    for row in backlog:
        live[row["status"]] = live.get(row["status"], 0) + row["jobs"]
    counts = {**ended[0], **live}
    oldest = [row["oldest_at"] for row in backlog if row["status"] == JobStatus.PENDING]
    owed = {row["status"]: row["deliveries"] for row in tx.all("watched_owed")}
    running = [_running(row, now) for row in tx.all("watched_running", limit=ROWS_MAX)]
    look: dict[str, Any] = {
        "at": stamp(now),
        "jobs": {str(status): counts.get(status, 0) for status in JobStatus},
        "oldest_pending": min(oldest, default=None),
        "oldest_pending_s": _seconds(min(oldest, default=None), now),
        "running": running,
        "backlog": [row for row in backlog if row["status"] != JobStatus.RUNNING],
        "workers": [_worker(row, running, now) for row in tx.all("watched_workers")],
        "schedules": [_schedule(row, now) for row in tx.all("watched_schedules", limit=ROWS_MAX)],
        "breakers": [_plain(row, now) for row in tx.all("open_breakers")],
        "paused": [_plain(row, now) for row in tx.all("watched_queues")],
        "deliveries": {**ended[1], **owed},
        "events": [_plain(row, now) for row in tx.all("watched_events", limit=ROWS_MAX)],
    }
    return {**look, "warnings": _warnings(look, own_kinds)}


def _plain(row: sqlite3.Row, now: datetime) -> dict[str, Any]:
    """A row as JSON can hold it, with the age of every time in it: `oldest_at` → `oldest_s`.

    A time that cannot be read has none.
    """
    found = {
        name: value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        for name, value in zip(row.keys(), row, strict=True)
    }
    ages = {
        f"{name.removesuffix('_at')}_s": _seconds(value, now)
        for name, value in found.items()
        if name.endswith("_at")
    }
    return {**found, **ages}


def _running(row: sqlite3.Row, now: datetime) -> dict[str, Any]:
    found = _plain(row, now)
    found["worker"] = str(found["worker_id"] or "").partition(":")[0]
    return found


def _schedule(row: sqlite3.Row, now: datetime) -> dict[str, Any]:
    found = _plain(row, now)
    since = found.pop("next_s")
    return {**found, "in_s": None if since is None else -since}


def _worker(row: sqlite3.Row, running: list[dict[str, Any]], now: datetime) -> dict[str, Any]:
    found = _plain(row, now)
    state = found["state"] if _lives(row["host"], row["pid"]) else "dead"
    jobs = [job["id"] for job in running if job["worker_id"] == row["id"]]
    names = ("id", "slot", "pid", "host", "kinds", "started_at", "started_s", "beat_at")
    kept = {name: found[name] for name in (*names, "processed", "failed")}
    return {**kept, "state": state, "jobs": jobs}


def _lives(host: str, pid: int) -> bool:
    """False when the process is surely gone; who runs elsewhere is believed."""
    if host == socket.gethostname():
        with suppress(PermissionError):  # it belongs to someone else, so it is there
            try:
                os.kill(pid, 0)
            except (ProcessLookupError, OverflowError):
                return False
    return True


def _seconds(text: str | None, now: datetime) -> float | None:
    """Seconds from a stamp until now, or None for a time nobody can read (made by hand)."""
    try:
        return None if text is None else round((now - moment(text)).total_seconds(), 1)
    except (TypeError, ValueError):
        return None


def _warnings(look: dict[str, Any], own_kinds: Collection[str]) -> list[str]:
    """What a person should do something about, the worst first."""
    stuck = look["jobs"]["pending"] + look["jobs"]["running"]
    found = []
    if stuck and all(worker["state"] == "dead" for worker in look["workers"]):
        waits = _number(stuck, "job waits", "jobs wait")
        found.append(f"No worker is alive and {waits}: run `kitt up`.")
    else:
        pending = {r["kind"] for r in look["backlog"] if r["status"] == JobStatus.PENDING}
        found += _without_worker(pending, look["workers"], own_kinds)
    for row in look["breakers"]:
        until = str(row["open_until"])
        waits = f"{_kind(row['kind'])} wait until {until[11:19]} UTC"
        then = waits if until > look["at"] else "the next job tries again"
        found.append(f"{row['name']} failed {row['failures']} times, {then}: {row['reason']}")
    for row in look["paused"]:
        kind = "" if row["kind"] == "*" else f" {shlex.quote(row['kind'])}"
        found.append(f"{_kind(row['kind'])} are paused: `kitt queue resume{kind}`.")
    held = look["deliveries"].get("held", 0)
    if held:
        found.append(f"{_number(held, 'message is', 'messages are')} held: the bot is blocked.")
    return [text[:1].upper() + text[1:] for text in found]


def _without_worker(
    kinds: Collection[str], workers: list[dict[str, Any]], own_kinds: Collection[str]
) -> Iterator[str]:
    """A sentence for what none of the workers that live takes."""
    taken = [set(filter(None, w["kinds"].split(","))) for w in workers if w["state"] != "dead"]
    left = sorted(kind for kind in kinds if not any(kind in of_one for of_one in taken))
    for kind in left:
        if kind in own_kinds:
            yield (
                f"No worker takes kind {kind}: `kitt start worker-{kind}-1` "
                f"or `kitt scale {kind}=1`."
            )
    others = [kind for kind in left if kind not in own_kinds]
    if others and all(taken):
        names = short(", ".join(others), 60)
        yield (f"No worker takes kind {names}: `kitt start workers` or `kitt scale 2`.")


def _number(number: int, one: str, more: str) -> str:
    return f"{number} {one if number == 1 else more}"


def _kind(kind: str) -> str:
    return "all jobs" if kind == "*" else f"jobs of kind {kind}"

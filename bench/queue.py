"""The queue beside its peers: `python -m bench.queue [--json] [--quick]`.

KITT's real Store and Queue in real processes, beside Huey, persist-queue and litequeue with the
same durability, and beside bare SQLite commits measured just before in the same round. Machines are
noisy: compare within a run. What a killed process may lose is no figure but a promise: the tests
hold it.
"""

import argparse
import asyncio
import json
import os
import platform
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from typing import Any

from bench import queue_flat, queue_rates, queue_waits


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much of everything."""

    rounds: int = 5
    adds: int = 600
    drained: int = 900
    drained_once: int = 100_000
    picked_up: int = 60
    idle_s: float = 30.0
    claim_rounds: int = 9
    claims: int = 300
    finished: int = 1_000_000
    crowd: int = 100_000
    load_s: float = 2.5
    backlog: int = 15_000  # more than two workers drain in that time


FULL = Size()
QUICK = Size(
    rounds=1,
    adds=400,
    drained=600,
    drained_once=3_000,
    picked_up=60,
    idle_s=4.0,
    claim_rounds=5,
    claims=150,
    finished=100_000,
    crowd=20_000,
    load_s=1.5,
    backlog=9_000,
)


def sections(size: Size) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """The parts of the bench, each a few rows."""
    yield lambda: queue_rates.adding(size.rounds, size.adds)
    yield lambda: queue_rates.draining(size.rounds, size.drained, size.drained_once)
    yield lambda: queue_waits.pick_up(size.rounds, size.picked_up)
    yield lambda: queue_waits.idle(size.idle_s)
    yield lambda: queue_flat.flatness(size.claim_rounds, size.claims, size.finished, size.crowd)
    yield lambda: queue_rates.adding_under_load(size.rounds, size.load_s, size.backlog)


def measure(size: Size) -> list[dict[str, Any]]:
    """Every row."""
    if not all(find_spec(name) for name in ("huey", "litequeue", "persistqueue")):
        sys.exit("The peers are not installed: run `make bench`, or install the extra `bench`.")
    return [found for section in sections(size) for found in section()]


async def queue() -> list[dict[str, Any]]:
    """The queue's figures, for `python -m bench`."""
    return await asyncio.to_thread(measure, FULL)


def document(size: Size) -> dict[str, Any]:
    """The rows, and what they were measured on."""
    started, load = time.monotonic(), os.getloadavg()[0]
    rows = measure(size)
    return {
        "rows": rows,
        "missed": [found["figure"] for found in rows if not found["met"]],
        "size": asdict(size),
        "took_s": round(time.monotonic() - started),
        "load": {"before": round(load, 1), "after": round(os.getloadavg()[0], 1)},
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "cores": os.cpu_count(),
    }


def table(rows: list[dict[str, Any]]) -> str:
    """The rows for a reader."""
    lines = []
    for found in rows:
        lines.append(
            f"{'ok    ' if found['met'] else 'MISSED'} {found['figure']}  [{found['goal']}]"
        )
        lines.append(f"         {_plain(found['value'])}")
        if "control" in found:
            lines.append(f"         beside: {_plain(found['control'])}")
    return "\n".join(lines)


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_plain(its)}" for name, its in value.items())
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def main() -> int:
    """Exit code 1 when a goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.queue", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.add_argument("--quick", action="store_true", help="fewer of everything")
    arguments = parser.parse_args()
    found = document(QUICK if arguments.quick else FULL)
    if arguments.json:
        print(json.dumps(found, ensure_ascii=False, indent=1))
    else:
        print(table(found["rows"]))
    return 1 if found["missed"] else 0


if __name__ == "__main__":
    sys.exit(main())

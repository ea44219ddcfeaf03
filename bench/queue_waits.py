"""What an idle queue costs, and how soon it notices a job."""

import hashlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.figures import row, seconds
from bench.queue_process import REPOSITORY, die_with_us, folder, together
from bench.stack import SETTINGS
from bridge.process import pss_mb

PACE_S = 0.02  # between jobs; the one that waits is asleep again long before
SLOW_PACE_S = 0.2  # for Huey as it comes, which looks every 0.1 s and less and less often
SETTLED_S = 4.0  # after a start; what a program does once is no idle cost


def waits(role: str, count: int, pace_s: float = PACE_S, **plan: Any) -> list[float]:
    """Seconds from "the commit had returned" to "it is ours" in another process."""
    prefix = "" if role == "kitt" else f"{role}_"
    with folder() as empty:
        plan = {"peer": role, "folder": empty, "count": count, **plan}
        waiting = {**plan, "role": f"{prefix}wait", "slot": "worker-1"}
        sending = {**plan, "role": f"{prefix}send", "pace_s": pace_s}
        with together(waiting, start=False) as (receiver,), together(sending) as (sender,):
            receiver.tell()
            sent, got = sender.result(), receiver.result()
    return [max(0.0, there - here) for here, there in zip(sent, got, strict=True)]


def pick_up(rounds: int, count: int) -> list[dict[str, Any]]:
    """A job added by one process, claimed by another that sleeps; Huey and a datagram beside."""
    found: dict[str, list[float]] = {"datagram": [], "KITT": [], "tuned": [], "Huey": []}
    for _ in range(rounds):
        found["datagram"] += waits("datagram", count)
        found["KITT"] += waits("kitt", count)
        found["tuned"] += waits("huey", count, tuned=True)
        found["Huey"] += waits("huey", max(2, count // 8), SLOW_PACE_S, tuned=False)
    p50 = {name: statistics.median(of) for name, of in found.items()}
    ours = seconds(found["KITT"])
    control = {
        "bare datagram": seconds(found["datagram"]),
        "Huey polling each 5 ms": seconds(found["tuned"]),
        "Huey as it comes, just after activity": seconds(found["Huey"]),
    }
    ratios = {
        "p50 x tuned Huey": round(p50["KITT"] / p50["tuned"], 3),
        "p50 x Huey": round(p50["KITT"] / p50["Huey"], 4),
        "p50 x datagram": round(p50["KITT"] / p50["datagram"], 2),
    }
    return [
        row(
            "job committed → claimed by an idle process",
            ours,
            "p50 ≤ 0.001 s, p99 ≤ 0.005 s",
            met=ours["p50_s"] <= 0.001 and ours["p99_s"] <= 0.005,
            control=control,
        ),
        row(
            "– beside the others",
            ratios,
            "≤ 0.4 × tuned Huey, ≤ 1/80 × Huey, ≤ 5 × datagram",
            met=p50["KITT"] <= 0.4 * p50["tuned"]
            and p50["KITT"] <= p50["Huey"] / 80
            and p50["KITT"] <= 5 * p50["datagram"],
        ),
    ]


def idle(idle_s: float) -> list[dict[str, Any]]:
    """A real worker, a process with the queue alone and a tuned Huey, all with nothing to do."""
    with folder() as empty, worker(empty / "profile") as pid:
        (empty / "queue").mkdir()
        plan = {"folder": empty / "queue", "count": 1}
        bare = {"role": "wait", "peer": "kitt", "slot": "worker-1", **plan}
        tuned = {"role": "huey_wait", "tuned": True, **plan}
        with together(bare, tuned) as (alone, huey):
            time.sleep(SETTLED_S)
            memory = empty / "profile" / "memory"
            pids = {"worker": pid, "queue alone": alone.pid, "tuned Huey": huey.pid}
            before, content = _spent(pids), _content(memory)
            written = _written(pid)
            time.sleep(idle_s)
            after = _spent(pids)
            written, changed = _written(pid) - written, _content(memory) != content
            pss = {name: round(pss_mb(pid) or 0.0, 1) for name, pid in pids.items()}
    cpu = {name: round((after[name] - before[name]) * 60 / idle_s, 4) for name in pids}
    return [
        row(
            "CPU of an idle `kitt worker`, seconds a minute",
            {**cpu, "x tuned Huey": round(cpu["worker"] / cpu["tuned Huey"], 4)},
            "≤ 0.05, ≤ 1/40 of tuned Huey",
            met=cpu["worker"] <= min(0.05, cpu["tuned Huey"] / 40),
        ),
        row(
            "bytes an idle `kitt worker` writes",
            {"bytes": written, "database changed": changed},
            "0",
            met=written == 0 and not changed,
        ),
        row(
            "PSS, MB",
            pss,
            "≤ 30 MB for Python with the queue alone",
            met=pss["queue alone"] <= 30,
        ),
    ]


@contextmanager
def worker(profile: Path) -> Iterator[int]:
    """The pid of a real worker on an empty profile, once it listens."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(SETTINGS)}
    log = profile.with_name("worker.log")
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "bridge", "worker", "--slot", "1"],
            cwd=REPOSITORY,
            env={**inherited, "KITT_PROFILE": str(profile), "ANTHROPIC_API_KEY": "unused"},
            stderr=file,
            preexec_fn=die_with_us,
        )
    socket = profile / "memory" / "run" / "worker-1.sock"
    try:
        deadline = time.monotonic() + 30
        while not socket.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"`kitt worker` did not start: {log.read_text()[-2000:]}")
            time.sleep(0.05)
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def _spent(pids: dict[str, int]) -> dict[str, float]:
    """Processor seconds so far, as the scheduler counts: clock ticks are too coarse for idling."""
    return {
        name: sum(
            int((task / "schedstat").read_text().split()[0]) / 1e9
            for task in Path(f"/proc/{pid}/task").iterdir()
        )
        for name, pid in pids.items()
    }


def _written(pid: int) -> int:
    """Bytes the process has caused to be written to a disk."""
    lines = Path(f"/proc/{pid}/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("write_bytes"))


def _content(memory: Path) -> dict[str, str]:
    """A fingerprint of the database and its log."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(memory.glob("kitt.db*"))
        if not path.name.endswith("-shm")
    }

"""One process of the queue bench: `python -m bench.queue_child '{"role": "add", …}'`.

It opens its queue, says "ready", waits for a line, does its part and prints what it measured as
JSON. Moments are monotonic seconds, which every process of one boot shares.
"""

import asyncio
import json
import random
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from bench.queue_kitt import Kitt
from bench.queue_peers import PEERS, Control, Peer

Plan = dict[str, Any]  # role, peer, folder and what the role wants to know
TUNED_S = 0.005  # Huey's polling when somebody wants it quick; its own is 0.1 s growing to 10 s


async def opened(plan: Plan) -> Peer:
    """The queue a plan names."""
    folder, sync = Path(plan["folder"]), plan.get("sync", "FULL")
    if plan["peer"] == "kitt":
        return await Kitt.open(
            folder, sync, slot=plan.get("slot", "bench"), chats=plan.get("chats", False)
        )
    return PEERS[plan["peer"]](folder, sync)


async def fill(peer: Peer, plan: Plan) -> Any:
    """Jobs that are there beforehand."""
    await peer.fill(plan["count"])


async def add(peer: Peer, plan: Plan) -> Any:
    """One job after the other; the jobs per second."""
    started = time.perf_counter()
    for number in range(plan["count"]):
        await peer.add(number)
    return plan["count"] / (time.perf_counter() - started)


async def add_many(peer: Peer, plan: Plan) -> Any:
    """A hundred jobs per commit; the jobs per second."""
    assert isinstance(peer, Kitt | Control)
    started = time.perf_counter()
    for first in range(0, plan["count"], 100):
        await peer.add_many(range(first, first + 100))
    return plan["count"] / (time.perf_counter() - started)


async def drain(peer: Peer, plan: Plan) -> Any:
    """Work until nothing is left; when that was, and which jobs came by."""
    started, numbers = time.monotonic(), []
    while (number := await peer.next()) is not None:
        numbers.append(number)
    return {"started": started, "ended": time.monotonic(), "numbers": numbers}


async def work(peer: Peer, plan: Plan) -> Any:
    """Work until a line comes; how many jobs were done, and whether any was left."""
    stop = asyncio.create_task(asyncio.to_thread(sys.stdin.readline))
    done, left = 0, True
    while left and not stop.done():
        left = await peer.next() is not None
        done += left
        await asyncio.sleep(0)
    await stop
    return {"done": done, "left": left}


async def stream(peer: Peer, plan: Plan) -> Any:
    """Add a job now and then, as the bridge does; how long each took, in seconds."""
    took: list[float] = []
    until = time.monotonic() + plan["seconds"]
    while time.monotonic() < until:
        started = time.perf_counter()
        await peer.add(len(took))
        took.append(time.perf_counter() - started)
        await asyncio.sleep(plan["pace_s"])
    return took


async def send(peer: Peer, plan: Plan) -> Any:
    """Add jobs to an idle queue; when each commit had returned."""
    moments = []
    for number in range(plan["count"]):
        await asyncio.sleep(plan["pace_s"] * random.uniform(0.5, 1.5))
        moments.append(await peer.add(number))
    return moments


async def wait(peer: Peer, plan: Plan) -> Any:
    """Take jobs as they come; when each was ours. The last one ends it."""
    assert isinstance(peer, Kitt)
    moments: dict[int, float] = {}
    while len(moments) < plan["count"]:
        number = await peer.wait()
        moments[number] = time.monotonic()
    return [moments[number] for number in range(plan["count"])]


def huey_app(plan: Plan) -> tuple[Any, Any]:
    """Huey as an application uses it, and a task that notes when it runs."""
    filename = str(Path(plan["folder"]) / "huey.db")
    app = import_module("huey").SqliteHuey(filename=filename, fsync=True, results=False)
    moments: list[float] = []

    @app.task(name="note")  # type: ignore[untyped-decorator]
    def note() -> None:
        moments.append(time.monotonic())

    app.moments = moments
    return app, note


def huey_send(plan: Plan) -> list[float]:
    """`send`, through Huey's task."""
    _, note = huey_app(plan)
    ready()
    moments = []
    for _ in range(plan["count"]):
        time.sleep(plan["pace_s"] * random.uniform(0.5, 1.5))
        note()
        moments.append(time.monotonic())
    return moments


def huey_wait(plan: Plan) -> list[float]:
    """`wait`, through the loop of Huey's own worker: its polling, its back-off."""
    app, _ = huey_app(plan)
    polling = (TUNED_S, TUNED_S, 1.0) if plan["tuned"] else (0.1, 10.0, 1.15)
    worker = import_module("huey.consumer").Worker(app, threading.Event(), *polling)
    ready()
    moments: list[float] = app.moments
    while len(moments) < plan["count"]:
        worker.loop()
    return moments


def datagram_send(plan: Plan) -> list[float]:
    """The control of `send`: one byte to the process that waits."""
    sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    ready()
    moments = []
    for _ in range(plan["count"]):
        time.sleep(plan["pace_s"] * random.uniform(0.5, 1.5))
        moments.append(time.monotonic())
        sender.sendto(b"\0", str(Path(plan["folder"]) / "control.sock"))
    return moments


def datagram_wait(plan: Plan) -> list[float]:
    """The control of `wait`: no loop, no database."""
    receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    receiver.bind(str(Path(plan["folder"]) / "control.sock"))
    ready()
    moments = []
    for _ in range(plan["count"]):
        receiver.recv(1)
        moments.append(time.monotonic())
    return moments


ROLES: dict[str, Callable[[Peer, Plan], Awaitable[Any]]] = {
    role.__name__: role for role in (fill, add, add_many, drain, work, stream, send, wait)
}
BARE_ROLES: dict[str, Callable[[Plan], list[float]]] = {
    role.__name__: role for role in (huey_send, huey_wait, datagram_send, datagram_wait)
}


def ready() -> None:
    """Say so, and wait until the others are."""
    print("ready", flush=True)
    sys.stdin.readline()


async def play(plan: Plan) -> Any:
    """Open, wait for the start, do one role, close."""
    peer = await opened(plan)
    if isinstance(peer, Kitt) and plan["role"] == "wait":
        peer.listen()
    ready()
    try:
        return await ROLES[plan["role"]](peer, plan)
    finally:
        await peer.close()


if __name__ == "__main__":
    given: Plan = json.loads(sys.argv[1])
    bare = BARE_ROLES.get(given["role"])
    print(json.dumps(asyncio.run(play(given)) if bare is None else bare(given)), flush=True)

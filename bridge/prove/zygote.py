"""A small process that forks the real programs, so that a restart costs milliseconds.

A fresh interpreter needs 1.5 s of processor time before it has imported what the bridge needs; a
fork of one that has done so needs none of it. What runs in the fork is `run_bridge` or `run_worker`
and nothing else. The zygote has one thread and no event loop, so a fork is safe at any moment.

It reads orders, one JSON object a line, and says what happened the same way. When its orders end,
so do all its children.
"""

import asyncio
import ctypes
import gc
import json
import os
import select
import signal
import ssl
import sys
import traceback
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Final, NoReturn

from bridge import failpoints
from bridge.agent.model import AnthropicModel, Request
from bridge.emulator.claude import ClaudeEmulator
from bridge.emulator.script import Block, Reply, Script, Text, Thinking, ToolUse
from bridge.errors import KittError
from bridge.migrate import migrations
from bridge.programs import run_bridge, run_worker
from bridge.settings import Settings
from bridge.store import statements

_PR_SET_PDEATHSIG: Final = 1
WANTED: Final = (
    "anyio._backends._asyncio",
    "bridge.attempt",
    "bridge.telegram.app",
    "bridge.telegram.rich",
    "bridge.worker",
    "httpcore",
)
READ_BYTES: Final = 65_536


def main() -> int:
    """Serve until standard input ends."""
    _warm_up()
    wake_up, told = os.pipe()
    for end in (wake_up, told):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(told)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    _say({"ready": os.getpid()})
    children: set[int] = set()
    pending = b""
    while True:
        ready, _, _ = select.select([0, wake_up], [], [])
        if wake_up in ready:
            with suppress(BlockingIOError):
                os.read(wake_up, READ_BYTES)
            _look_after(children)
        if 0 in ready:
            data = os.read(0, READ_BYTES)
            if not data:
                break
            *lines, pending = (pending + data).split(b"\n")
            for line in lines:
                children.add(_start(json.loads(line)))
    for pid in children:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return 0


def _warm_up() -> None:
    """Import what the programs would import, once; their garbage collector need not look at it."""
    for name in WANTED:
        import_module(name)
    import httpx
    import httpx2

    statements()
    migrations()
    # Loading 140 certificates, for connections that never leave this machine, is half of a start.
    ssl.create_default_context = cache(ssl.create_default_context)  # type: ignore[assignment]
    httpx.create_ssl_context()
    httpx2.create_ssl_context()
    asyncio.run(_one_reply())
    gc.collect()
    gc.freeze()


async def _one_reply() -> None:
    """Let the SDK build what it needs to read one: half of what the first one costs a process."""
    content: list[Block] = [Thinking("Hm."), Text("So."), ToolUse("look", {})]
    claude = ClaudeEmulator(script=Script(rules=[lambda _request: Reply(content)]))
    await claude.start()
    model = AnthropicModel(key=claude.key, base_url=claude.base_url)
    tool = {"name": "look", "description": "Look.", "input_schema": {"type": "object"}}
    asked = {"role": "user", "content": "Well?"}
    await model.stream(
        Request(
            model=Settings().model, system="Look.", messages=[asked], tools=[tool], max_tokens=4_096
        )
    )
    await model.close()
    await claude.stop()


def _say(what: dict[str, Any]) -> None:
    os.write(1, json.dumps(what).encode() + b"\n")


def _look_after(children: set[int]) -> None:
    """Tell of every child that has ended or was stopped."""
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
        if not pid:
            return
        if os.WIFSTOPPED(status):
            _say({"stopped": pid})
        else:
            children.discard(pid)
            _say({"ended": pid, "code": os.waitstatus_to_exitcode(status)})


def _start(order: dict[str, Any]) -> int:
    """Fork one program; its pid."""
    pid = os.fork()
    if pid == 0:
        _be(order)
    _say({"started": order["name"], "pid": pid})
    return pid


def _be(order: dict[str, Any]) -> NoReturn:
    """In the child: cut every tie to the zygote and run the program; never returns."""
    code = 70
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        null = os.open(os.devnull, os.O_RDONLY)
        log = os.open(order["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        for end, target in ((null, 0), (log, 1), (log, 2)):
            os.dup2(end, target)
        os.closerange(3, 64)
        code = asyncio.run(_program(order))
    except KittError as error:
        print(f"kitt: {error}", file=sys.stderr)
        code = error.exit_code
    except BaseException:  # noqa: BLE001 - a fork must never go on as its parent
        traceback.print_exc()
    os._exit(code)


async def _program(order: dict[str, Any]) -> int:
    name = str(order["name"])
    statements().update(order["statements"])
    if order["plan"]:
        failpoints.arm(Path(order["plan"]), name=f"{name}/{order['life']}")
    settings = Settings.load(order["environ"], env_file=Path(order["log"]).with_name("no.env"))
    if name == "bridge":
        return await run_bridge(settings, supervised=False)
    return await run_worker(settings, int(name.removeprefix("worker-")), supervised=False)


if __name__ == "__main__":
    sys.exit(main())

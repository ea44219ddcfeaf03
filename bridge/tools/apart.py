"""Work on what comes from anyone, in another process: a parser may hang, fill the memory or crash.

A module does such work when it is run as `python -m bridge.tools.NAME`: the order as JSON in the
first line of standard input and bytes after it; the answer as JSON in the first line of standard
output and bytes after it. The process has limits, holds no secret, and is killed when it takes too
long or nobody wants its answer any more. However many jobs a worker has, few of these run at once.
"""

import asyncio
import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from weakref import WeakKeyDictionary

from bridge.agent.tool import ToolFailed
from bridge.settings import harmless_environment

SECONDS: Final = 30.0
AT_ONCE: Final = 2  # of one worker, for all of its jobs: each takes about 130 MB
MEMORY_BYTES_MAX: Final = 1_500_000_000
Answer = tuple[dict[str, Any], bytes]
_places: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


class NoAnswer(Exception):
    """It took too long, or the process ended without a word; says which, to go after a subject."""


class Unusable(Exception):
    """What it was given cannot be used; a sentence for the model. Raised in the other process."""


async def ask(module: str, order: dict[str, Any], data: bytes = b"") -> Answer:
    """What that module makes of it, after those that came before.

    Raises: NoAnswer; ToolFailed with what it says is wrong.
    """
    async with _places.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(AT_ONCE)):
        return await _ask(module, order, data)


async def _ask(module: str, order: dict[str, Any], data: bytes) -> Answer:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        f"bridge.tools.{module}",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=Path(__file__).parents[2],
        env=harmless_environment(),
    )
    try:
        async with asyncio.timeout(SECONDS):
            output, _ = await process.communicate(json.dumps(order).encode() + b"\n" + data)
    except TimeoutError:
        raise NoAnswer(f"took longer than {SECONDS:.0f} s") from None
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    if process.returncode != 0:
        raise NoAnswer("failed")
    first, _, rest = output.partition(b"\n")
    answer: dict[str, Any] = json.loads(first)
    if "unusable" in answer:
        raise ToolFailed(str(answer["unusable"]))
    return answer, rest


def serve(work: Callable[[dict[str, Any], bytes], Answer]) -> None:
    """The other process: limits, the order, the answer."""
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
    resource.setrlimit(resource.RLIMIT_CPU, (int(SECONDS), int(SECONDS)))
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    order = json.loads(sys.stdin.buffer.readline())
    try:
        answer, data = work(order, sys.stdin.buffer.read())
    except Unusable as error:
        answer, data = {"unusable": str(error)}, b""
    with os.fdopen(os.dup(1), "wb") as out:
        out.write(json.dumps(answer).encode() + b"\n" + data)

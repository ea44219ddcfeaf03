"""The processes of the queue bench, seen from the one that measures."""

import ctypes
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, cast

REPOSITORY = Path(__file__).parent.parent
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


def die_with_us() -> None:
    """Run in a new process before its program: a killed bench leaves nothing behind that polls."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


class Child:
    """A started process of the bench that is ready and waits for its line."""

    def __init__(self, **plan: Any) -> None:
        plan["folder"] = str(plan["folder"])
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.queue_child", json.dumps(plan)],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=die_with_us,
        )
        self.pid = self._process.pid
        self._in = cast(IO[str], self._process.stdin)
        self._out = cast(IO[str], self._process.stdout)

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._in.close()
        self._out.close()

    def until_ready(self) -> None:
        """Wait until it has opened its queue."""
        if self._out.readline() != "ready\n":
            raise RuntimeError("A process of the bench ended early: its reason is above.")

    def tell(self) -> None:
        """Start it, or stop one that works until told."""
        self._in.write("\n")
        self._in.flush()

    def result(self) -> Any:
        """What it measured, once it is through."""
        line = self._out.readline()
        if not line:
            raise RuntimeError("A process of the bench ended early: its reason is above.")
        return json.loads(line)


def run(**plan: Any) -> Any:
    """One process from start to result."""
    with together(plan) as (child,):
        return child.result()


@contextmanager
def together(*plans: dict[str, Any], start: bool = True) -> Iterator[list[Child]]:
    """Several processes, all opened before the first may begin."""
    with ExitStack() as stack:
        children = [stack.enter_context(Child(**plan)) for plan in plans]
        for child in children:
            child.until_ready()
        if start:
            for child in children:
                child.tell()
        yield children


@contextmanager
def folder() -> Iterator[Path]:
    """An empty folder on the disk that is measured."""
    with tempfile.TemporaryDirectory(prefix="kitt-queue-") as name:
        yield Path(name)

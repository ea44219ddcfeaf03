"""Runs inside the sandbox and prints what it should not have been able to do: nothing, if it holds.

It is given the limits it was started with and the names it may find in its environment.
"""

import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

HOLDS = "it holds"
NOT_TO_WRITE = ("/made", "/dev/made", "/usr/made", "/proc/self/oom_score_adj")
OF_A_SHELL = {"PWD", "SHLVL", "_", "LC_CTYPE"}


def broken(memory_mb: int, file_mb: int, processes: int, names: list[str]) -> Iterator[str]:
    """A few words for each wall that is missing."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    status = {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if not os.getuid() or int(status["CapEff"], 16) or status["NoNewPrivs"] != "1":
        yield "it has privileges"
    if {name for _, name in socket.if_nameindex()} - {"lo"}:
        yield "it has a network"
    if os.environ.keys() - {*names, *OF_A_SHELL}:
        yield "it has the environment of KITT"
    for path in NOT_TO_WRITE:
        with suppress(OSError), Path(path).open("w", encoding="ascii"):
            yield f"it can write {path}"
    with suppress(MemoryError):
        bytearray(2 * memory_mb * 1_000_000)
        yield "its memory has no limit"
    with suppress(OSError):
        Path("/tmp/made").write_bytes(bytes(2 * file_mb * 1_000_000))  # noqa: S108
        yield "its files have no limit"
    with suppress(OSError):
        _fork(2 * processes)
        yield "its processes have no limit"


def _fork(number: int) -> None:
    reading, _writing = os.pipe()  # never written to: the children wait until they are killed
    for _ in range(number):
        if not os.fork():
            os.read(reading, 1)
            os._exit(0)


if __name__ == "__main__":
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    memory_mb, file_mb, processes = (int(word) for word in sys.argv[1:4])
    sys.stdout.write("; ".join(broken(memory_mb, file_mb, processes, sys.argv[4:])) or HOLDS)
    sys.stdout.flush()
    os.kill(0, signal.SIGKILL)  # and the children with it

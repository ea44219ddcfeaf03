"""`kitt …` in forks of one warm process, which need not start an interpreter and import.

Each command is a process of its own, with the standard streams, the environment and the folder it
is given; it ends as the interpreter ends. Only the start of an interpreter is missing: what a
command does without it (streams that are closed, other encodings) is tested with a real one.
"""

import atexit
import gc
import json
import os
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from functools import cache
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path
from tempfile import TemporaryFile
from threading import Lock
from typing import Any, Final

IMPORTED: Final = ("bridge.cli_schedule", "bridge.monitor_view", "bridge.process", "bridge.backup")
LENGTH_BYTES: Final = 8
STREAMS: Final = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))


class Warm:
    """The process that forks, seen from the tests; it ends with them."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        self._one_at_a_time = Lock()
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(theirs.fileno())], pass_fds=(theirs.fileno(),)
        )
        theirs.close()
        atexit.register(self.close)

    def run(
        self, arguments: list[str], *, folder: Path, environ: dict[str, str], given: bytes
    ) -> "subprocess.CompletedProcess[bytes]":
        """Run one command to its end."""
        order = json.dumps([arguments, str(folder), environ]).encode()
        with self._one_at_a_time, ExitStack() as files:
            stdin, out, err = (files.enter_context(TemporaryFile()) for _ in STREAMS)
            stdin.write(given)
            stdin.seek(0)
            fds = [file.fileno() for file in (stdin, out, err)]
            socket.send_fds(self._socket, [len(order).to_bytes(LENGTH_BYTES)], fds)
            self._socket.sendall(order)
            code = int.from_bytes(_read(self._socket, LENGTH_BYTES), signed=True)
            out.seek(0)
            err.seek(0)
            return subprocess.CompletedProcess(arguments, code, out.read(), err.read())

    def close(self) -> None:
        self._socket.close()
        self._process.wait()


@cache
def warm() -> Warm:
    """That of this process of pytest."""
    return Warm()


def serve(orders: socket.socket) -> None:
    """Fork for each order and tell how it ended; in the fork, return with everything set up."""
    for name in IMPORTED:
        import_module(name)
    gc.freeze()
    while True:
        header, fds, _, _ = socket.recv_fds(orders, LENGTH_BYTES, len(STREAMS))
        if not header:
            sys.exit()
        arguments, folder, environ = json.loads(_read(orders, int.from_bytes(header)))
        pid = os.fork()
        if not pid:
            orders.close()
            return _become(arguments, folder, environ, fds)
        for fd in fds:
            os.close(fd)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        orders.sendall(code.to_bytes(LENGTH_BYTES, signed=True))


def _become(arguments: list[str], folder: str, environ: dict[str, str], fds: list[int]) -> None:
    os.environ.clear()
    os.environ.update(environ)
    time.tzset()
    os.chdir(folder)
    sys.argv = ["kitt", *arguments]
    for fd, (name, mode) in enumerate(STREAMS):
        before: Any = getattr(sys, name)
        os.dup2(fds[fd], fd)
        os.close(fds[fd])
        stream = open(fd, f"{mode}b", closefd=False)  # noqa: SIM115 - as long as the process
        wrapped = TextIOWrapper(
            stream,
            encoding=before.encoding,
            errors=before.errors,
            line_buffering=name == "stderr",
        )
        setattr(sys, name, wrapped)


def _read(connection: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        more = connection.recv(length - len(data))
        assert more, "the other side has ended"
        data += more
    return data


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
    from bridge.cli import main

    sys.exit(main())

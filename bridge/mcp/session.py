"""One running MCP server and the talk with it, over its standard input and output.

It runs in the sandbox and is believed nothing. It is read from only while it owes an answer, up to
a limit, so a server that floods us waits in its own pipe; one that is late, prints what is no
message, says too much or uses too much is ended, with all of its processes.
"""

import asyncio
import json
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from bridge.mcp.servers import Server
from bridge.mcp.talk import ANSWER_BYTES_MAX, Broken, Talk, message_in, result_of
from bridge.sandbox.calls import filter_to_read
from bridge.sandbox.folder import Unruly, hand_over
from bridge.sandbox.walls import SITES, Limits, Walls
from bridge.sandbox.watch import exceeded

END_S: Final = 5.0  # for the kernel to take down what was killed
ERRORS_BYTES_MAX: Final = 1_000  # of its last words
NO_SUCH_METHOD: Final = -32601
# Node reserves far more addresses than it ever uses, so the pages of all together are the limit.
LIMITS: Final = Limits(memory_mb=200_000, memory_all_mb=1_000, cpu_s=3_600)
# Its secrets come through its standard input, up to an empty line: every user sees arguments.
# A file of the job must not be taken for a module of the server: it does not start among them.
LAUNCH: Final = (
    "/bin/sh",
    "-c",
    f'cd /; PATH="$PATH:/usr/local/bin"; PYTHONPATH={":".join(SITES)}; '
    'while IFS= read -r line && [ -n "$line" ]; do export "$line"; done; exec "$@"',
    "mcp",
)


class Session(Talk):
    """One process of a server. `close` ends it, whatever it does."""

    def __init__(
        self, server: Server, process: asyncio.subprocess.Process, folder: Path | None
    ) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        super().__init__(server)
        self._process = process
        self._in, self._out = process.stdin, process.stdout
        self._asked = 0
        self._too_much = ""
        self._errors = b""
        self._tasks = (
            asyncio.create_task(self._watch(folder)),
            asyncio.create_task(self._hear_errors(process.stderr)),
        )

    @classmethod
    async def open(cls, walls: Walls, server: Server, folder: Path | None) -> "Session":
        """Start it; `folder` is the job's, when it may see that. Raises: Broken."""
        opened = walls.opened(network=server.network, shown=server.shows)
        try:
            if folder is not None:
                await asyncio.to_thread(hand_over, folder, walls.owner)
            with filter_to_read() as filters:
                process = await asyncio.create_subprocess_exec(
                    *opened.command(folder, LIMITS, filters),
                    *LAUNCH,
                    *server.command,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.PIPE,
                    env={},
                    cwd="/",
                    pass_fds=filters,
                    start_new_session=True,
                    limit=ANSWER_BYTES_MAX,
                )
        except (OSError, Unruly) as error:
            raise Broken(f"could not be started ({error})") from None
        session = cls(server, process, folder)
        lines = [f"{name}={secret.reveal()}\n" for name, secret in server.env.items()]
        session._in.write("".join([*lines, "\n"]).encode())
        return session

    @property
    def errors(self) -> str:
        """The last it wrote on its standard error, on one line; for its owner alone."""
        return " ".join(self._errors.decode("utf-8", "replace").split())

    async def tell(self, method: str, within_s: float) -> None:
        """Say what has no answer. Raises: Broken."""
        try:
            async with asyncio.timeout(within_s):
                await self._send({"method": method})
        except (OSError, TimeoutError):
            raise Broken(self._too_much or "ended by itself") from None

    async def close(self) -> None:
        """End it and all that came from it."""
        self._kill()
        for task in self._tasks:
            task.cancel()
        self._in.close()
        await asyncio.wait(self._tasks, timeout=END_S)
        with suppress(TimeoutError):
            async with asyncio.timeout(END_S):
                await self._process.communicate()  # reads the rest, so that its pipes close

    async def ask(self, method: str, params: dict[str, Any], within_s: float) -> dict[str, Any]:
        """The result. Raises: Broken, Refused."""
        self._asked += 1
        try:
            async with asyncio.timeout(within_s):
                await self._send({"id": self._asked, "method": method, "params": params})
                return await self._answer(self._asked)
        except TimeoutError:
            raise Broken(f"did not answer within {within_s:,.0f} s") from None
        except OSError:
            raise Broken(self._too_much or "ended by itself") from None

    async def _answer(self, number: int) -> dict[str, Any]:
        """Read until it answers; whatever else it asks for is not there."""
        bytes_read = 0
        while True:
            try:
                line = await self._out.readline()
            except ValueError:  # longer than the limit
                line = b" " * ANSWER_BYTES_MAX
            bytes_read += len(line)
            if not line:
                raise Broken(self._too_much or "ended by itself")
            if bytes_read >= ANSWER_BYTES_MAX:
                raise Broken(f"said more than {ANSWER_BYTES_MAX // 1_000_000} MB")
            message = message_in(line)
            if "method" in message:
                if "id" in message:
                    await self._send({"id": message["id"], **_not_here(message["method"])})
            elif message.get("id") == number:
                return result_of(message)

    async def _send(self, message: dict[str, Any]) -> None:
        self._in.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
        await self._in.drain()

    async def _watch(self, folder: Path | None) -> None:
        try:
            self._too_much = await exceeded(self._process.pid, folder, LIMITS, lambda: 0)
        except (OSError, Unruly) as error:
            self._too_much = f"made a mess of the job's folder: {error}"
        self._too_much = f"was stopped: {self._too_much}"
        self._kill()

    async def _hear_errors(self, stream: asyncio.StreamReader) -> None:
        while data := await stream.read(65_536):
            self._errors = (self._errors + data)[-ERRORS_BYTES_MAX:]

    def _kill(self) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)


def _not_here(method: Any) -> dict[str, Any]:
    if method == "ping":
        return {"result": {}}
    return {"error": {"code": NO_SUCH_METHOD, "message": "Not supported."}}

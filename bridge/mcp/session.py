"""One running MCP server and the talk with it: JSON-RPC over its standard input and output.

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

from bridge.errors import KittError
from bridge.mcp.offer import TOOLS_MAX, Offer
from bridge.mcp.servers import Server
from bridge.sandbox.calls import filter_to_read
from bridge.sandbox.folder import Unruly, hand_over
from bridge.sandbox.walls import SITES, Limits, Walls
from bridge.sandbox.watch import exceeded

PROTOCOLS: Final = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")
START_S: Final = 20.0
END_S: Final = 5.0  # for the kernel to take down what was killed
ANSWER_BYTES_MAX: Final = 4_000_000
ERRORS_BYTES_MAX: Final = 1_000  # of its last words
PAGES_MAX: Final = 20
DEPTH_MAX: Final = 100
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


class Broken(KittError):
    """This server is of no use any more; the message goes on after "it"."""


class Refused(KittError):
    """The server answered with an error; the message is in its own words."""


class Session:
    """One process of a server. `close` ends it, whatever it does."""

    def __init__(
        self, server: Server, process: asyncio.subprocess.Process, folder: Path | None
    ) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self._server = server
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

    async def offer(self) -> Offer:
        """Greet it, and ask what it has. Raises: Broken."""
        about = {
            "protocolVersion": PROTOCOLS[0],
            "capabilities": {},
            "clientInfo": {"name": "kitt", "version": "1"},
        }
        within_s = min(START_S, self._server.seconds)
        try:
            greeting = await self._ask("initialize", about, within_s)
            if greeting.get("protocolVersion") not in PROTOCOLS:
                raise Broken("speaks another version of MCP")
            async with asyncio.timeout(within_s):
                await self._send({"method": "notifications/initialized"})
            offer = Offer.of(greeting.get("serverInfo"), await self._tools(within_s))
        except Refused:
            raise Broken("did not say what it offers") from None
        except (OSError, TimeoutError):
            raise Broken(self._too_much or "ended by itself") from None
        if any(secret.reveal().encode() in offer.raw for secret in self._server.env.values()):
            raise Broken("tells a secret it was given in what it says of itself")
        return offer

    async def call(self, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """The result of a tool as it came. Raises: Broken, Refused."""
        asked = {"name": tool, "arguments": arguments}
        return await self._ask("tools/call", asked, self._server.seconds)

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

    async def _tools(self, within_s: float) -> list[Any]:
        found: list[Any] = []
        cursor: dict[str, Any] = {}
        for _ in range(PAGES_MAX):
            page = await self._ask("tools/list", cursor, within_s)
            tools = page.get("tools")
            found += tools if isinstance(tools, list) else []
            if not isinstance(page.get("nextCursor"), str) or len(found) > TOOLS_MAX:
                break
            cursor = {"cursor": page["nextCursor"]}
        return found

    async def _ask(self, method: str, params: dict[str, Any], within_s: float) -> dict[str, Any]:
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
            message = _message(line)
            if "method" in message:
                if "id" in message:
                    await self._send({"id": message["id"], **_not_here(message["method"])})
            elif message.get("id") == number:
                return _result(message)

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


def _message(line: bytes) -> dict[str, Any]:
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        message = None
    if not isinstance(message, dict) or _is_deep(message):
        raise Broken("printed what is no message of MCP")
    return message


def _is_deep(message: Any) -> bool:
    """Does it lie in itself so deep that nobody could write it down again?"""
    level = [message]
    for _ in range(DEPTH_MAX):
        level = [
            inner
            for part in level
            if isinstance(part, dict | list)
            for inner in (part.values() if isinstance(part, dict) else part)
        ]
    return bool(level)


def _not_here(method: Any) -> dict[str, Any]:
    if method == "ping":
        return {"result": {}}
    return {"error": {"code": NO_SUCH_METHOD, "message": "Not supported."}}


def _result(message: dict[str, Any]) -> dict[str, Any]:
    if "error" in message:
        error = message["error"]
        raise Refused(str(error.get("message", "")) if isinstance(error, dict) else str(error))
    if not isinstance(message.get("result"), dict):
        raise Broken("answered without a result")
    return dict(message["result"])

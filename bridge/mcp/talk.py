"""What is said between KITT and an MCP server, whatever carries it: JSON-RPC, and four messages.

A server is believed nothing. What it asks for on its side is not there.
"""

import json
from typing import Any, Final

from bridge.errors import KittError
from bridge.mcp.offer import TOOLS_MAX, Offer
from bridge.mcp.servers import Server

PROTOCOLS: Final = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")
START_S: Final = 20.0
ANSWER_BYTES_MAX: Final = 4_000_000
PAGES_MAX: Final = 20
DEPTH_MAX: Final = 100


class Broken(KittError):
    """This server is of no use any more; the message goes on after "it"."""


class Refused(KittError):
    """The server answered with an error; the message is in its own words."""


class Talk:
    """A talk with one server. What carries it says how one is asked, told and left."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.protocol = ""  # once it has greeted

    @property
    def errors(self) -> str:
        """Its last words about what went wrong, on one line; for its owner alone."""
        return ""

    async def ask(self, method: str, params: dict[str, Any], within_s: float) -> dict[str, Any]:
        """The result. Raises: Broken, Refused."""
        raise NotImplementedError

    async def tell(self, method: str, within_s: float) -> None:
        """Say what has no answer. Raises: Broken."""
        raise NotImplementedError

    async def close(self) -> None:
        """End it, whatever the server does."""
        raise NotImplementedError

    async def offer(self) -> Offer:
        """Greet it, and ask what it has. Raises: Broken."""
        about = {
            "protocolVersion": PROTOCOLS[0],
            "capabilities": {},
            "clientInfo": {"name": "kitt", "version": "1"},
        }
        within_s = min(START_S, self.server.seconds)
        try:
            greeting = await self.ask("initialize", about, within_s)
            if greeting.get("protocolVersion") not in PROTOCOLS:
                raise Broken("speaks another version of MCP")
            self.protocol = str(greeting["protocolVersion"])
            await self.tell("notifications/initialized", within_s)
            offer = Offer.of(greeting.get("serverInfo"), await self._tools(within_s))
        except Refused:
            raise Broken("did not say what it offers") from None
        secrets = [secret.reveal() for secret in (*self.server.env.values(), self.server.key)]
        if any(secret.encode() in offer.raw for secret in secrets if secret):
            raise Broken("tells a secret it was given in what it says of itself")
        return offer

    async def call(self, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """The result of a tool as it came. Raises: Broken, Refused."""
        asked = {"name": tool, "arguments": arguments}
        return await self.ask("tools/call", asked, self.server.seconds)

    async def _tools(self, within_s: float) -> list[Any]:
        found: list[Any] = []
        cursor: dict[str, Any] = {}
        for _ in range(PAGES_MAX):
            page = await self.ask("tools/list", cursor, within_s)
            tools = page.get("tools")
            found += tools if isinstance(tools, list) else []
            if not isinstance(page.get("nextCursor"), str) or len(found) > TOOLS_MAX:
                break
            cursor = {"cursor": page["nextCursor"]}
        return found


def message_in(line: bytes) -> dict[str, Any]:
    """One message. Raises: Broken."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        message = None
    if not isinstance(message, dict) or _is_deep(message):
        raise Broken("printed what is no message of MCP")
    return message


def result_of(message: dict[str, Any]) -> dict[str, Any]:
    """What an answer brings. Raises: Broken, Refused."""
    if "error" in message:
        error = message["error"]
        raise Refused(str(error.get("message", "")) if isinstance(error, dict) else str(error))
    if not isinstance(message.get("result"), dict):
        raise Broken("answered without a result")
    return dict(message["result"])


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

"""Tools of the MCP servers that an owner wrote down and approved: in the sandbox, or over HTTP.

A job knows them by what was approved; a server is started when one of its tools is called, and must
then say of itself just that. Whatever goes wrong with it costs one call an error, and the server is
started once more.
"""

import asyncio
import json
import logging
from typing import TYPE_CHECKING, Any, Final

from bridge.agent.tool import Input, Tool, ToolFailed
from bridge.errors import ConfigError
from bridge.logs import redactor
from bridge.mcp.offer import Offer, Offered, keep, kept
from bridge.mcp.remote import Remote
from bridge.mcp.servers import Server, read_servers
from bridge.mcp.session import Session
from bridge.mcp.talk import Broken, Refused, Talk
from bridge.sandbox.folder import Unruly, hand_over
from bridge.sandbox.probe import sandbox_of
from bridge.sandbox.walls import Walls
from bridge.tools.addressed import check_addresses
from bridge.tools.approval import need_approval
from bridge.tools.untrusted import carries, heard_so_far, wrapped

if TYPE_CHECKING:
    from bridge.tools.toolbox import Context

log = logging.getLogger(__name__)
RESULT_CHARS_MAX: Final = 20_000
ARGUMENTS_CHARS_MAX: Final = 100_000
STARTS_MAX: Final = 2


class _Used:
    """A server as one attempt at a job uses it."""

    def __init__(self, context: "Context", server: Server, walls: Walls | None) -> None:
        self.context = context
        self.server = server
        self._walls = walls
        self._talk: Talk | None = None
        self._starts = 0

    async def running(self) -> tuple[Talk, Offer | None]:
        """The server, started when it is not there, and then what it offers. Raises: Broken."""
        if self._talk is not None:
            return self._talk, None
        if self._starts >= STARTS_MAX:
            raise Broken("is off for the rest of this job")
        self._starts += 1
        self._talk = await self._begun()
        offer = await self._talk.offer()
        if offer.sha256 != self.server.sha256:
            self._starts = STARTS_MAX
            raise Broken("says something else of its tools than an owner has approved")
        return self._talk, offer

    async def _begun(self) -> Talk:
        if self.server.url:
            return Remote(self.context.outgoing, self.server, f"Job {self.context.job.id}")
        assert self._walls is not None
        folder = self.context.workspace.root if self.server.files else None
        return await Session.open(self._walls, self.server, folder)

    async def call(self, tool: str, arguments: Input) -> dict[str, Any]:
        """The result of a tool. Raises: Broken, Refused, Unruly."""
        talk, _ = await self.running()
        if (
            self.server.files and self._walls is not None
        ):  # what we have put there since must be its to read
            root = self.context.workspace.root
            await asyncio.to_thread(hand_over, root, self._walls.owner)
        return await talk.call(tool, arguments)

    async def close(self) -> None:
        """End it; the next call starts it anew."""
        talk, self._talk = self._talk, None
        if talk is not None:
            await talk.close()


async def mcp_tools(context: "Context") -> list[Tool]:
    """The tools; none of programs without a sandbox, none when the file is wrong."""
    try:
        servers = await asyncio.to_thread(read_servers, context.settings)
    except ConfigError as error:
        log.warning("No MCP server is used: %s", error)
        return []
    walls, _ = sandbox_of(context.settings.profile) if servers else (None, "")
    can_be = [server for server in servers if server.sha256 and (server.url or walls)]
    used = [_Used(context, server, walls) for server in can_be]
    for one in used:
        context.closing.push_async_callback(one.close)
    found = await asyncio.gather(*(_tools_of(one) for one in used))
    return [tool for tools in found for tool in tools]


async def _tools_of(used: _Used) -> list[Tool]:
    server, folder = used.server, used.context.settings.memory / "mcp"
    offer = await asyncio.to_thread(kept, folder, server.sha256)
    if offer is None:
        try:
            _, offer = await used.running()
        except Broken as error:
            log.warning("The MCP server %s is off: it %s", server.name, error)
            await used.close()
            return []
        assert offer is not None
        await asyncio.to_thread(keep, folder, offer)
    offered = offer.tools
    allowed = [*((name, False) for name in server.tools), *((name, True) for name in server.writes)]
    return [_tool(used, offered[name], writes) for name, writes in allowed if name in offered]


def _tool(used: _Used, offered: Offered, writes: bool) -> Tool:
    server, name = used.server, used.server.called(offered.name)
    queue, job = used.context.queue, used.context.job

    async def allow(given: Input) -> None:
        text = _checked(used, given)
        if not (writes or server.network):
            return
        heard = await heard_so_far(queue, job)
        if writes and heard.outside:
            await need_approval(queue, job, name, f"{server.name}: {offered.name}\n{text}")
        elif not writes:
            check_addresses(heard, given, used.context.settings.secrets)

    async def run(given: Input) -> str:
        return await _called(used, offered.name, given, writes=writes)

    about = f"From the MCP server {server.name}, in its own words: {offered.description}"
    return Tool(
        name=name,
        description=about,
        schema=offered.schema,
        allow=allow,
        run=run,
        repeat="once" if writes else "idempotent",
    )


def _checked(used: _Used, given: Input) -> str:
    """The arguments as text. Raises: ToolFailed."""
    text = json.dumps(given, ensure_ascii=False, indent=1)
    if len(text) > ARGUMENTS_CHARS_MAX:
        raise ToolFailed(f"The arguments have more than {ARGUMENTS_CHARS_MAX:,} characters.")
    if carries(text, used.context.settings.secrets):
        raise ToolFailed("This carries a secret of this machine: it is never sent.")
    return text


async def _called(used: _Used, tool: str, given: Input, *, writes: bool) -> str:
    name, secrets = used.server.name, used.context.settings.secrets
    try:
        result = await used.call(tool, given)
    except Refused as error:
        raise ToolFailed(_shown(str(error), name, secrets)) from None
    except (Broken, OSError, Unruly) as error:
        await used.close()
        log.warning("The MCP server %s failed: it %s", name, error)
        effect = " Whether it has done something is unknown: look before you repeat it."
        raise ToolFailed(f"The MCP server {name} {error}.{effect if writes else ''}") from None
    text = _shown(_text(result), name, secrets)
    if result.get("isError") is True:
        raise ToolFailed(text)
    return text


def _shown(text: str, name: str, secrets: tuple[str, ...]) -> str:
    text = redactor(secrets)(text)  # some answer with what they were given
    if len(text) > RESULT_CHARS_MAX:
        cut = f"(cut: {RESULT_CHARS_MAX:,} of {len(text):,} characters)"
        text = f"{text[:RESULT_CHARS_MAX]}\n{cut}"
    return wrapped(text, name)


def _text(result: dict[str, Any]) -> str:
    """What can be read of a result."""
    content = result.get("content")
    blocks = content if isinstance(content, list) else []
    texts = [_of_block(block) for block in blocks if isinstance(block, dict)]
    if not texts and "structuredContent" in result:
        return json.dumps(result["structuredContent"], ensure_ascii=False)
    return "\n".join(texts)


def _of_block(block: dict[str, Any]) -> str:
    kind = block.get("type")
    inner = block.get("resource") if kind == "resource" else block
    text = inner.get("text") if isinstance(inner, dict) else None
    if isinstance(text, str):
        return text
    if kind == "resource_link":
        return f"({block.get('name')}: {block.get('uri')})"
    return f"({kind}, which is not shown)"

"""What the MCP servers of `profile/mcp.toml` offer, as `kitt doctor` shows it.

Each is started to be asked, in the sandbox like in a job; that is how an owner reads what it tells
the model, before they approve it.
"""

import asyncio
import json
from pathlib import Path
from tempfile import TemporaryDirectory

from bridge.doctor_jobs import Check
from bridge.logs import redactor
from bridge.mcp.offer import Offer
from bridge.mcp.servers import FILE, Server, read_servers
from bridge.mcp.session import Broken, Session
from bridge.sandbox.walls import Walls
from bridge.settings import Settings


async def mcp_checks(settings: Settings) -> list[Check]:
    """What each MCP server offers, until that is approved."""
    from bridge.sandbox.probe import sandbox_of  # only here: it is tried by running it

    servers = await asyncio.to_thread(read_servers, settings)
    if not servers:
        text = f"Jobs use no MCP servers; {settings.profile / FILE} could name some."
        return [Check("mcp", "ok", text)]
    walls, problem = await asyncio.to_thread(sandbox_of, settings.profile)
    if walls is None:
        return [Check("mcp", "warning", f"MCP servers are off. {problem}")]
    found = await asyncio.gather(*(_server(settings, walls, server) for server in servers))
    return [check for checks in found for check in checks]


async def _server(settings: Settings, walls: Walls, server: Server) -> list[Check]:
    session = None
    with TemporaryDirectory(prefix="kitt-mcp-", ignore_cleanup_errors=True) as folder:
        try:
            session = await Session.open(walls, server, Path(folder) if server.files else None)
            offer = await session.offer()
        except Broken as error:
            words = redactor(settings.secrets)(_line(session.errors if session else ""))
            last = f" Its last words: {words}" if words else ""
            return [Check("mcp", "warning", f"{server.name} is off: it {error}.{last}")]
        finally:
            if session is not None:
                await session.close()
    return _said_of(settings, server, offer)


def _said_of(settings: Settings, server: Server, offer: Offer) -> list[Check]:
    offered = offer.tools
    if missing := sorted({*server.tools, *server.writes} - offered.keys()):
        there = ", ".join(sorted(offered)) or "none"
        text = f"{server.name} has no tool {', '.join(missing)}; it has {there}."
        return [Check("mcp", "warning", text)]
    if offer.sha256 == server.sha256:
        text = f"{server.name} ({_line(offer.version)}) may be used: "
        named = [*server.tools, *(f"{tool} (asks after others' text)" for tool in server.writes)]
        return [Check("mcp", "ok", f"{text}{', '.join(named) or 'no tool of it is named'}.")]
    checks = []
    for tool in offered.values():
        schema = json.dumps(tool.schema, ensure_ascii=False)
        text = _line(f"{server.name} says of {tool.name}: {tool.description} {schema}")
        checks.append(Check("mcp", "warning", text))
    changed = "says something else than was approved" if server.sha256 else "is not approved yet"
    text = (
        f"{server.name} ({_line(offer.version)}) {changed} and is off: read what it offers, and "
        f"approve it in {settings.profile / FILE} below [servers.{server.name}] with: "
        f'sha256 = "{offer.sha256}"'
    )
    return [*checks, Check("mcp", "warning", text)]


def _line(text: str) -> str:
    """On one line, without signs that move a terminal."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())

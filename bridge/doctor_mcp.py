"""What the MCP servers of `profile/mcp.toml` offer, as `kitt doctor` shows it.

Each is asked as a job asks it: a program is started in the sandbox. That is how an owner reads what
it tells the model, before they approve it.
"""

import asyncio
import json
from pathlib import Path
from tempfile import TemporaryDirectory

from bridge.doctor_jobs import Check
from bridge.logs import redactor
from bridge.mcp.offer import Offer
from bridge.mcp.remote import Remote
from bridge.mcp.servers import FILE, Server, read_servers
from bridge.mcp.session import Session
from bridge.mcp.talk import Broken, Talk
from bridge.outgoing import Outgoing
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
    usable = [server for server in servers if server.url or walls is not None]
    found = await asyncio.gather(*(_server(settings, walls, server) for server in usable))
    off = f"MCP servers are off. {problem}"
    without = [Check("mcp", "warning", off)] if len(usable) < len(servers) else []
    return [*without, *(check for checks in found for check in checks)]


async def _server(settings: Settings, walls: Walls | None, server: Server) -> list[Check]:
    talk: Talk | None = None
    with TemporaryDirectory(prefix="kitt-mcp-", ignore_cleanup_errors=True) as folder:
        try:
            if walls is None or server.url:
                talk = Remote(Outgoing(), server, "kitt doctor")
            else:
                talk = await Session.open(walls, server, Path(folder) if server.files else None)
            offer = await talk.offer()
        except Broken as error:
            words = redactor(settings.secrets)(_line(talk.errors if talk else ""))
            last = f" Its last words: {words}" if words else ""
            return [Check("mcp", "warning", f"{server.name} is off: it {error}.{last}")]
        finally:
            if talk is not None:
                await talk.close()
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

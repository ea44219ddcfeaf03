"""A strict MCP server over HTTP for tests: it refuses what the protocol does not allow.

`how` says which way it goes wrong, or answers.
"""

import asyncio
import json
from typing import Any, Final

from aiohttp import web

TEXT: Final = {"type": "string"}
VERSION: Final = "2025-11-25"
TOOLS: Final = [
    {
        "name": name,
        "description": about,
        "inputSchema": {"type": "object", "properties": {"text": TEXT}, "required": ["text"]},
    }
    for name, about in (("search", "Searches."), ("create", "Creates."), ("forbidden", "No."))
]


class McpSite:
    """One endpoint, `/mcp`, with sessions; `key` is what it must be asked with."""

    def __init__(self, key: str = "") -> None:
        self.key = key
        self.how = "json"  # of its answers
        self.about = "Searches."
        self.called: list[dict[str, Any]] = []
        self.wrong: list[str] = []  # what no client may do
        self.hits = 0
        self.sessions: set[str] = set()
        self.port = 0
        self._made = 0
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/mcp"

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/mcp", self._post)
        app.router.add_delete("/mcp", self._delete)
        app.router.add_post("/elsewhere", self._post)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _delete(self, request: web.Request) -> web.Response:
        self.sessions.discard(request.headers.get("Mcp-Session-Id", ""))
        return web.Response(status=204)

    async def _post(self, request: web.Request) -> web.StreamResponse:
        self.hits += 1
        if self.key and request.headers.get("Authorization") != f"Bearer {self.key}":
            return web.Response(status=401)
        if self.how == "redirect":
            return web.Response(status=307, headers={"Location": "/elsewhere"})
        message = json.loads(await request.read())
        if problem := self._problem(request, message):
            self.wrong.append(problem)
            return web.Response(status=400, text=problem)
        if message["method"] == "initialize":
            self._made += 1
            self.sessions.add(f"s{self._made}")
            return await self._answer(request, message, {"Mcp-Session-Id": f"s{self._made}"})
        if request.headers["Mcp-Session-Id"] not in self.sessions:
            return web.Response(status=404)
        if "id" not in message:
            return web.Response(status=202)
        return await self._answer(request, message, {})

    def _problem(self, request: web.Request, message: dict[str, Any]) -> str:
        accepted = {part.strip() for part in request.headers.get("Accept", "").split(",")}
        if not {"application/json", "text/event-stream"} <= accepted:
            return "Accept must name both"
        if request.content_type != "application/json" or message.get("jsonrpc") != "2.0":
            return "no JSON-RPC"
        first = message["method"] == "initialize"
        if not first and "Mcp-Session-Id" not in request.headers:
            return "no session"
        if not first and request.headers.get("MCP-Protocol-Version") != VERSION:
            return "no version"
        return ""

    async def _answer(
        self, request: web.Request, message: dict[str, Any], headers: dict[str, str]
    ) -> web.StreamResponse:
        answer = {"jsonrpc": "2.0", "id": message["id"], **self._result(message)}
        how = self.how if message["method"] == "tools/call" else self.how.partition(":")[0]
        if how == "json" or how in ("hang", "flood", "garbage", "short", "500"):
            if message["method"] != "tools/call" or how == "json":
                return web.json_response(answer, headers=headers)
            return await self._badly(request, how)
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream", **headers})
        await stream.prepare(request)
        asks = {"jsonrpc": "2.0", "id": message["id"], "method": "sampling/createMessage"}
        await stream.write(b": hello\r\n\r\nid: 1\r\ndata:\r\n\r\n")
        await stream.write(f"data: {json.dumps(asks)}\n\n".encode())
        lines = json.dumps(answer, indent=1).splitlines()
        for line in ["event: message", *(f"data: {line}" for line in lines), "", ""]:
            await stream.write(f"{line}\n".encode())
        if how == "sse-open":  # and never closes it
            await asyncio.sleep(1_000)
        return stream

    async def _badly(self, request: web.Request, how: str) -> web.StreamResponse:
        if how == "500":
            return web.Response(status=500)
        if how == "garbage":
            return web.Response(text="{", content_type="application/json")
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await stream.prepare(request)
        if how == "hang":
            await asyncio.sleep(1_000)
        while how == "flood":
            await stream.write(b"data: " + b" " * 90_000 + b"{}\n\n")
        return stream

    def _result(self, message: dict[str, Any]) -> dict[str, Any]:
        match message["method"]:
            case "initialize":
                about = {"name": "Wiki", "version": "3"}
                return {"result": {"protocolVersion": VERSION, "serverInfo": about}}
            case "tools/list":
                tools = [{**TOOLS[0], "description": self.about}, *TOOLS[1:]]
                half = bool(message["params"].get("cursor"))
                page = {"tools": tools[1:]} if half else {"tools": tools[:1], "nextCursor": "2"}
                return {"result": page}
            case "tools/call":
                self.called.append(message["params"])
                text = str(message["params"]["arguments"].get("text"))
                if text == "refuse":
                    return {"error": {"code": -32602, "message": "Not like that."}}
                return {"result": {"content": [{"type": "text", "text": f"found {text}"}]}}
            case _:
                return {"error": {"code": -32601, "message": "What?"}}

"""The emulated Messages API's own endpoints, for tests and benches in other processes.

`POST /emulator/fault` takes the fields of a `Fault`, `POST /emulator/release` {"name"} lets go of
what a fault holds, `POST /emulator/clear` forgets all faults, and
`GET /emulator/requests?since=SEQ&wait_s=S` gives the requests after number SEQ, waiting up to S
seconds for the first of them.
"""

from __future__ import annotations

from aiohttp import web

from bridge.emulator.claude_faults import Fault, Faults
from bridge.emulator.claude_log import Log


def control_routes(*, faults: Faults, log: Log) -> list[web.RouteDef]:
    """The routes; a wrong order is answered with 400 and a sentence."""

    async def order(http: web.Request) -> web.Response:
        try:
            faults.order(Fault.from_json(await http.json()))
        except ValueError as wrong:
            return web.json_response({"error": str(wrong)}, status=400)
        return web.json_response({"ok": True})

    async def release(http: web.Request) -> web.Response:
        name = str((await http.json()).get("name"))
        released = faults.release(name)
        return web.json_response({"ok": released}, status=200 if released else 404)

    async def clear(http: web.Request) -> web.Response:
        faults.clear()
        return web.json_response({"ok": True})

    async def requests(http: web.Request) -> web.Response:
        since, wait_s = int(http.query.get("since", "0")), float(http.query.get("wait_s", "0"))
        try:
            found = await log.wait_for(lambda _: log.since(since), timeout_s=wait_s)
        except TimeoutError:
            found = []
        return web.json_response([record.json() for record in found])

    return [
        web.post("/emulator/fault", order),
        web.post("/emulator/release", release),
        web.post("/emulator/clear", clear),
        web.get("/emulator/requests", requests),
    ]

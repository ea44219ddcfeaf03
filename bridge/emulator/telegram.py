"""A stand-in for api.telegram.org that speaks the real Bot API over HTTP.

Used by the demo, the tests and the benches, in the same process or another one. A client needs
only `base_url` and `base_file_url`; a person may join at `page_url`. What it promises: the same
answers, refusals and limits as the real server, at once and without a network; every call in a
log; any fault on order. What it does not do: it keeps nothing on disk.

Run alone: `python -m bridge.emulator.telegram --port 8081`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from aiohttp import web

from bridge.emulator.telegram_account import GET_UPDATES, METHOD_NAMES, METHODS
from bridge.emulator.telegram_control import add_control_routes
from bridge.emulator.telegram_faults import (
    Fault,
    FaultDesk,
    FloodControl,
    FloodLimits,
    OrderedFault,
)
from bridge.emulator.telegram_gestures import Gestures
from bridge.emulator.telegram_groups import Groups
from bridge.emulator.telegram_media import DOWNLOAD_BYTES_MAX
from bridge.emulator.telegram_params import Params
from bridge.emulator.telegram_presses import Presses
from bridge.emulator.telegram_state import ApiError, Call
from bridge.emulator.telegram_wire import BODY_BYTES_MAX, cut, drop, error_answer, read_params

DEMO_BOT = "7000000001:AAKittDemoBotOnLoopbackOnly00000000"
NOTICE = "The model in this demo is scripted"
_TOKEN = re.compile(r"[0-9]{6,12}:[A-Za-z0-9_-]{30,}")


class TelegramEmulator(Presses, Gestures, Groups):
    """The emulated server. `start` it, point a bot at `base_url`, `stop` it.

    `flood` switches Telegram's limits on, with the usual figures or with those given.
    `notice` is the line the chat page shows about itself; `page_chat_id` its default chat.
    `privacy` and `topics_enabled` are what BotFather sets: privacy mode in groups, and topics
    in private chats.
    """

    def __init__(
        self,
        *,
        token: str = DEMO_BOT,
        username: str = "kitt_demo_bot",
        flood: bool | FloodLimits = False,
        notice: str = NOTICE,
        page_chat_id: int = 1,
        privacy: bool = True,
        topics_enabled: bool = False,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(
            token=token,
            username=username,
            privacy=privacy,
            topics_enabled=topics_enabled,
            clock=clock,
            now=now,
        )
        self.notice = notice
        self.page_chat_id = page_chat_id
        self.faults = FaultDesk()
        limits = flood if isinstance(flood, FloodLimits) else FloodLimits()
        self._flood = FloodControl(limits, clock=clock) if flood else None
        self._runner: web.AppRunner | None = None
        self._origin = ""
        self.closing = False

    @property
    def base_url(self) -> str:
        """What a client calls its base URL; the token follows it."""
        return f"{self._origin}/bot"

    @property
    def base_file_url(self) -> str:
        """Where files are downloaded; the token and the path follow it."""
        return f"{self._origin}/file/bot"

    @property
    def page_url(self) -> str:
        """The chat page for a person."""
        return f"{self._origin}/"

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen; port 0 takes a free one. Raises: OSError when the port is taken."""
        self.closing = False
        app = web.Application(client_max_size=BODY_BYTES_MAX)
        app.router.add_route("*", "/bot{token}/{method}", self._handle_call)
        app.router.add_get("/file/bot{token}/{path:.+}", self._handle_file)
        add_control_routes(app, self)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        name = f"[{host}]" if ":" in host else host
        self._origin = f"http://{name}:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Close every connection, held and waiting ones too, as a server that goes away."""
        self.closing = True
        self.faults.clear()
        self.updates.close()
        self.touch()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def order(self, fault: Fault) -> OrderedFault:
        """Order a fault for calls to come; the answer counts its hits and can be released."""
        return self.faults.order(fault)

    async def _handle_call(self, request: web.Request) -> web.StreamResponse:
        """One call of a Bot API method, with whatever fault is due for it."""
        wrong_token = self._refuse_token(request)
        if wrong_token is not None:
            return error_answer(wrong_token)
        asked = request.match_info["method"]
        method = METHOD_NAMES.get(asked.lower())
        try:
            params = await read_params(request)
        except ApiError as exc:
            self.end_call(self.begin_call(method or asked, {}), exc.status)
            return error_answer(exc)
        call = self.begin_call(method or asked, params.log_form())
        ordered = self.faults.take(call.method, call.chat_id)
        fault = ordered.fault if ordered else None
        if ordered is not None:
            await _wait_as_ordered(ordered)
        if self.closing or (fault and fault.drop == "refused"):
            self.end_call(call, 0)
            return drop(request)
        status, body = await self._carry_out(call, method, params, fault)
        if self.closing or (fault and fault.drop == "unanswered"):
            self.end_call(call, 0)
            return drop(request)
        self.end_call(call, status)
        payload = json.dumps(body, separators=(",", ":")).encode()
        if fault and fault.cut_after is not None:
            return await cut(request, status, payload, fault.cut_after)
        return web.Response(status=status, body=payload, content_type="application/json")

    async def _carry_out(
        self, call: Call, method: str | None, params: Params, fault: Fault | None
    ) -> tuple[int, dict[str, Any]]:
        """Apply a call; the status and body of its answer."""
        try:
            ordered_error = fault.error() if fault else None
            if ordered_error is not None:
                raise ordered_error
            if method is None:
                raise ApiError(404, "Not Found: method not found")
            if method == GET_UPDATES:
                result: Any = await self.updates.fetch(params)
            else:
                if self._flood is not None:
                    self._flood.check(method, params)
                result = METHODS[method](self, params)
        except ApiError as exc:
            return exc.status, exc.body()
        call.done = True
        return 200, {"ok": True, "result": result}

    async def _handle_file(self, request: web.Request) -> web.StreamResponse:
        """The bytes of a file, at the path getFile answered."""
        wrong_token = self._refuse_token(request)
        if wrong_token is not None:
            return error_answer(wrong_token)
        stored = self.files_by_path.get(request.match_info["path"])
        if stored is None or len(stored.data) > DOWNLOAD_BYTES_MAX:
            return error_answer(ApiError(404, "Not Found"))
        return web.Response(body=stored.data, content_type="application/octet-stream")

    def _refuse_token(self, request: web.Request) -> ApiError | None:
        """401 for a token nobody has, 404 for what is no token at all, as the server does."""
        token = request.match_info["token"]
        if token == self.token:
            return None
        if _TOKEN.fullmatch(token):
            return ApiError(401, "Unauthorized")
        return ApiError(404, "Not Found")


async def _wait_as_ordered(ordered: OrderedFault) -> None:
    if ordered.fault.delay_s:
        await asyncio.sleep(ordered.fault.delay_s)
    if ordered.fault.hold:
        await ordered.released.wait()


async def run_alone(arguments: list[str]) -> None:
    """Serve until SIGTERM or SIGINT; one JSON line on standard output says where."""
    parser = argparse.ArgumentParser(prog="python -m bridge.emulator.telegram", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--token", default=DEMO_BOT)
    parser.add_argument("--flood", action="store_true", help="switch Telegram's limits on")
    parser.add_argument("--chat", type=int, default=1, help="the chat the page opens")
    parser.add_argument("--topics", action="store_true", help="topics in private chats")
    parser.add_argument("--no-privacy", action="store_true", help="show the bot whole groups")
    parser.add_argument("--notice", default=NOTICE, help="the line the page shows about itself")
    options = parser.parse_args(arguments)
    emulator = TelegramEmulator(
        token=options.token,
        flood=options.flood,
        notice=options.notice,
        page_chat_id=options.chat,
        privacy=not options.no_privacy,
        topics_enabled=options.topics,
    )
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await emulator.start(options.host, options.port)
    where = {
        "base_url": emulator.base_url,
        "base_file_url": emulator.base_file_url,
        "page_url": emulator.page_url,
    }
    sys.stdout.write(json.dumps(where) + "\n")
    sys.stdout.flush()
    await stopped.wait()
    await emulator.stop()


if __name__ == "__main__":
    asyncio.run(run_alone(sys.argv[1:]))

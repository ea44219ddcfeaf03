"""A strict stand-in for api.anthropic.com on loopback.

It speaks the real Messages API over HTTP, so that unchanged clients in any process can be run
against it: the demo, the benches and the tests set `ANTHROPIC_BASE_URL` and nothing else. It
refuses what the real API refuses (`claude_rules`, `claude_messages`, `claude_turns`), signs
thinking, keeps the account of the prompt cache, streams real SSE, fails when it is told to
(`claude_faults`) and remembers every request (`claude_log`). What it answers is a script
(`script`, by default `story`).

Other processes order faults and read the log under `/emulator/` (`claude_control`).

`python -m bridge.emulator.claude --port N` runs it alone and prints one JSON line.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeVar

from aiohttp import web

from bridge.emulator.claude_control import control_routes
from bridge.emulator.claude_faults import NO_FAULT, Fault, Faults
from bridge.emulator.claude_log import Log, Record
from bridge.emulator.claude_messages import check_messages, check_thinking
from bridge.emulator.claude_models import MODELS, Model
from bridge.emulator.claude_prompt import Prompt, PromptCache, Signer
from bridge.emulator.claude_reply import Event, Rendered, ScriptError, render, used_by
from bridge.emulator.claude_rules import Refused, check
from bridge.emulator.claude_stream import Cut, Sender
from bridge.emulator.claude_wire import (
    BODY_BYTES_MAX,
    admit,
    error_body,
    parsed,
    response_headers,
    too_large,
)
from bridge.emulator.script import Reply, Request, Script
from bridge.emulator.story import story

Json = dict[str, Any]
T = TypeVar("T")

KEY = "sk-ant-emulator-0000000000000000"
# The rest of a too large body is read and dropped: a client in mid-send would not see the 413.
READ_BYTES_MAX = 4 * BODY_BYTES_MAX


@dataclass(slots=True)
class Exchange:
    """One request on its way through: what came, what is ordered for it, what is noted of it."""

    http: web.Request
    record: Record
    fault: Fault = NO_FAULT
    body: Any = None

    @property
    def betas(self) -> list[str]:
        return [b.strip() for b in self.http.headers.get("anthropic-beta", "").split(",")]


Handler = Callable[[Exchange], Awaitable[web.StreamResponse]]


class ClaudeEmulator:
    """The emulated API: start it, order faults, read what it was asked.

    `script`: what it answers, the default story when None. `key`: the only accepted API key;
    thinking is signed with it too, so a restarted emulator honours its earlier signatures.
    `clock`: seconds, monotonic; prompt-cache entries age by it.
    """

    def __init__(
        self,
        *,
        script: Script | None = None,
        key: str = KEY,
        clock: Callable[[], float] = time.monotonic,
        caches: bool = True,
    ) -> None:
        """`caches`: off, it is a provider that knows no prompt cache."""
        self.script = script if script is not None else story()
        self.key = key
        self._log = Log(clock=clock)
        self._faults = Faults()
        self._cache = PromptCache(clock=clock)
        self._caches = caches
        self._signer = Signer(key)
        self._runner: web.AppRunner | None = None
        self._stopping = False

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen; port 0 takes a free one, see `base_url`."""
        app = web.Application(client_max_size=READ_BYTES_MAX)
        app.router.add_post("/v1/messages", self._api(self._create))
        app.router.add_post("/v1/messages/count_tokens", self._api(self._count))
        app.router.add_get("/v1/models", self._api(self._models))
        app.router.add_get("/v1/models/{id}", self._api(self._model))
        app.router.add_routes(control_routes(faults=self._faults, log=self._log))
        app.router.add_route("*", "/{path:.*}", self._api(self._nothing_here))
        self._stopping = False
        # Cancelling handlers is how a caller that hangs up in mid-stream is noticed.
        self._runner = web.AppRunner(
            app, handler_cancellation=True, access_log=None, shutdown_timeout=0.05
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port, backlog=1024).start()

    async def stop(self) -> None:
        """Break what is still open and stop listening; a second call does nothing."""
        self._stopping = True
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()

    @property
    def base_url(self) -> str:
        """`http://host:port`, as `ANTHROPIC_BASE_URL` wants it: without `/v1`."""
        assert self._runner is not None, "the emulator is not started"
        host, port = self._runner.addresses[0][:2]
        return f"http://{host}:{port}"

    @property
    def requests(self) -> list[Record]:
        """The newest requests (5,000, or 32 MB of bodies), oldest first. They change."""
        return self._log.records

    async def wait_for(
        self, predicate: Callable[[Sequence[Record]], T | None], timeout_s: float = 10.0
    ) -> T:
        """The predicate's first true value over `requests`, asked at every change.

        Raises:
            TimeoutError: it stayed false.
        """
        return await self._log.wait_for(predicate, timeout_s=timeout_s)

    def order(self, fault: Fault) -> None:
        """Order a fault for the next requests that match it."""
        self._faults.order(fault)

    def release(self, name: str) -> bool:
        """Let go of requests that a fault with `hold=name` holds; False when there is none."""
        return self._faults.release(name)

    def clear_faults(self) -> None:
        """Forget all ordered faults and release what they hold."""
        self._faults.clear()

    def _api(self, handler: Handler) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """An API endpoint: noted, checked for its key, disturbed as ordered, errors in JSON."""

        async def handle(http: web.Request) -> web.StreamResponse:
            record = self._log.open(
                method=http.method,
                path=http.path,
                headers=http.headers,
                request_id="req_" + secrets.token_hex(12),
            )
            try:
                return await self._answer(Exchange(http, record), handler)
            except Refused as refused:
                return self._error(record, refused.status, refused.kind, str(refused))
            except (asyncio.CancelledError, ConnectionError):
                # Who leaves after the last event has missed nothing.
                record.hung_up = not (self._stopping or record.finished)
                raise
            finally:
                record.finished = True
                self._log.notify()

        return handle

    async def _answer(self, exchange: Exchange, handler: Handler) -> web.StreamResponse:
        record = exchange.record
        try:
            raw = await exchange.http.read()
        except web.HTTPRequestEntityTooLarge as larger:
            raise too_large() from larger
        record.size = len(raw)
        if len(raw) > BODY_BYTES_MAX:
            raise too_large()
        admit(exchange.http.headers, self.key)
        if exchange.http.method == "POST":
            exchange.body = record.body = parsed(raw)
        self._log.notify()
        fault = exchange.fault = self._faults.take(exchange.http.path, raw.decode(errors="replace"))
        await self._faults.before_answer(fault)
        if fault.status is not None:
            return self._error(record, fault.status, fault.kind, fault.sentence, fault)
        return await handler(exchange)

    async def _create(self, exchange: Exchange) -> web.StreamResponse:
        body, record = exchange.body, exchange.record
        model = check(body, betas=exchange.betas)
        prompt = self._checked(body, model)
        reply = self._scripted(Request(body, record.headers))
        tokens_min = model.cache_tokens_min if self._caches else prompt.tokens + 1
        account = self._cache.account(prompt, tokens_min=tokens_min)
        try:
            rendered = render(
                reply,
                body,
                model=model,
                prompt=prompt,
                account=account,
                signer=self._signer,
                outcome=exchange.fault.outcome,
            )
        except ScriptError as wrong:
            raise Refused(str(wrong), status=500, kind="api_error") from wrong
        record.usage = rendered.message["usage"]
        record.status = HTTPStatus.OK
        self._log.notify()
        if body.get("stream"):
            return await self._stream(exchange, reply, rendered)
        return await self._whole(exchange, reply, rendered)

    def _checked(self, body: Json, model: Model) -> Prompt:
        check_messages(body, model)
        prompt = Prompt.of(body)
        check_thinking(prompt, model, self._signer)
        if prompt.tokens > model.max_input_tokens:
            raise Refused(
                f"prompt is too long: {prompt.tokens} tokens > {model.max_input_tokens} maximum"
            )
        return prompt

    def _scripted(self, request: Request) -> Reply:
        try:
            return self.script.reply(request)
        except Exception as bug:
            # A rule is a test's code: its bug must reach the caller, and by name.
            sentence = f"the emulator's script failed: {type(bug).__name__}: {bug}"
            raise Refused(sentence, status=500, kind="api_error") from bug

    async def _stream(
        self, exchange: Exchange, reply: Reply, rendered: Rendered
    ) -> web.StreamResponse:
        fault, record = exchange.fault, exchange.record
        headers = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}
        response = web.StreamResponse(headers=response_headers(record.request_id) | headers)
        await response.prepare(exchange.http)
        sender = Sender(response, fault)

        def error() -> Event:
            return Event(error_body(record.request_id, fault.kind, fault.sentence))

        try:
            ended = await sender.events(
                rendered.events,
                first_token_s=_either(fault.first_token_s, reply.first_token_s),
                pace_s=_either(fault.pace_s, reply.pace_s),
                error=error,
            )
        except Cut:
            return _cut(exchange.http, response)
        finally:
            record.usage = used_by(rendered, sender.written)
        if ended:
            record.stop_reason = rendered.message["stop_reason"]
        # Before the last chunk: who has read the answer's end also finds it in the log.
        record.finished = True
        self._log.notify()
        await response.write_eof()
        return response

    async def _whole(
        self, exchange: Exchange, reply: Reply, rendered: Rendered
    ) -> web.StreamResponse:
        fault, record = exchange.fault, exchange.record
        deltas = sum(event.wait == "delta" for event in rendered.events)
        pace_s = _either(fault.pace_s, reply.pace_s)
        await asyncio.sleep(_either(fault.first_token_s, reply.first_token_s) + deltas * pace_s)
        data = json.dumps(rendered.message, ensure_ascii=False).encode()
        response = web.StreamResponse(
            headers=response_headers(record.request_id) | {"content-type": "application/json"}
        )
        response.content_length = len(data)
        await response.prepare(exchange.http)
        sender = Sender(response, fault)
        try:
            await sender.bytes(data)
            await sender.flush()
        except Cut:
            return _cut(exchange.http, response)
        record.stop_reason = rendered.message["stop_reason"]
        return response

    async def _count(self, exchange: Exchange) -> web.StreamResponse:
        model = check(exchange.body, betas=exchange.betas, counting=True)
        return self._json(exchange, {"input_tokens": self._checked(exchange.body, model).tokens})

    async def _models(self, exchange: Exchange) -> web.StreamResponse:
        data = [model.info() for model in MODELS.values()]
        ends = {"first_id": data[0]["id"], "last_id": data[-1]["id"], "has_more": False}
        return self._json(exchange, {"data": data, **ends})

    async def _model(self, exchange: Exchange) -> web.StreamResponse:
        model = MODELS.get(exchange.http.match_info["id"])
        if model is None:
            sentence = f"model: {exchange.http.match_info['id']}"
            raise Refused(sentence, status=404, kind="not_found_error")
        return self._json(exchange, model.info())

    async def _nothing_here(self, exchange: Exchange) -> web.StreamResponse:
        raise Refused("Not found", status=404, kind="not_found_error")

    def _json(self, exchange: Exchange, data: Json) -> web.Response:
        exchange.record.status = HTTPStatus.OK
        return web.json_response(data, headers=response_headers(exchange.record.request_id))

    def _error(
        self, record: Record, status: int, kind: str, sentence: str, fault: Fault = NO_FAULT
    ) -> web.Response:
        record.status, record.error = status, sentence
        headers = response_headers(record.request_id)
        if fault.retry_after_s is not None:
            headers["retry-after"] = f"{fault.retry_after_s:g}"
        return web.json_response(
            error_body(record.request_id, kind, sentence), status=status, headers=headers
        )


def _either(ordered: float | None, scripted: float) -> float:
    return scripted if ordered is None else ordered


def _cut(http: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    """Close the connection under a response that has not ended."""
    if http.transport is not None:
        http.transport.close()
    return response


async def serve(host: str, port: int, key: str, script: Script) -> None:
    """Run alone until SIGTERM or SIGINT, after one JSON line with the address and the key."""
    emulator = ClaudeEmulator(key=key, script=script)
    await emulator.start(host, port)
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    print(json.dumps({"base_url": emulator.base_url, "key": key}), flush=True)
    await told.wait()
    await emulator.stop()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="A stand-in for api.anthropic.com.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--key", default=KEY)
    parser.add_argument("--first-token-s", type=float, default=0.0, help="of the main agent")
    parser.add_argument("--pace-s", type=float, default=0.0, help="between its deltas")
    options = parser.parse_args()
    script = story(first_token_s=options.first_token_s, pace_s=options.pace_s)
    asyncio.run(serve(options.host, options.port, options.key, script))


if __name__ == "__main__":
    main()

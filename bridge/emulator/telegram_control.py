"""The emulator's own HTTP interface: the chat page, and what another process may order.

The Bot API is spoken elsewhere; all this lives at `/` and under `/emulator/`. It answers only
to a loopback name in Host, and in Origin when a browser sends one, so that no web page a
person visits can reach it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict
from importlib.resources import files
from typing import TYPE_CHECKING, cast
from urllib.parse import quote, urlsplit

from aiohttp import web

from bridge.emulator.telegram_faults import fault_from_json
from bridge.emulator.telegram_objects import message_to_view
from bridge.emulator.telegram_page import PAGE_FILES, chat_to_view
from bridge.emulator.telegram_people import Who
from bridge.emulator.telegram_state import (
    ApiError,
    Chat,
    ChatEvent,
    FileKind,
    Json,
)
from bridge.emulator.telegram_wire import drop, read_multipart

if TYPE_CHECKING:
    from bridge.emulator.telegram import TelegramEmulator

LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})
KEEP_ALIVE_S = 15.0  # a silent event stream proves it is alive, and finds readers that are gone
# What people do that needs nothing but its arguments: each is the method of that name.
_ACTS: tuple[str, ...] = (
    "react",
    "forward",
    "stop_draft",
    "forge",
    "replay",
    "join",
    "add_bot",
    "remove_bot",
)
_ACTS += ("promote_bot", "migrate", "create_topic", "client_shows_rich", "open_group")
_PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

_PLAIN = (str, int, dict, list)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def add_control_routes(app: web.Application, emulator: TelegramEmulator) -> None:
    """Put the page and the orders on the server of `emulator`."""
    control = Control(emulator=emulator)
    for path in PAGE_FILES:
        app.router.add_get(path, _guarded(control.page))
    for name in ("send", "upload", "press", "edit", "block", "fault", "release"):
        app.router.add_post(f"/emulator/{name}", _guarded(getattr(control, name)))
    for name in _ACTS:
        app.router.add_post(f"/emulator/{name}", _guarded(control.act))
    for name in ("messages", "calls", "events", "file", "about", "chat"):
        app.router.add_get(f"/emulator/{name}", _guarded(getattr(control, name)))


def _guarded(handler: Handler) -> Handler:
    """Refuse strangers, and say in JSON what is wrong with an order."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        origin = request.headers.get("Origin", "")
        if not _is_loopback(f"//{request.host}") or (origin and not _is_loopback(origin)):
            return web.json_response({"error": "only for loopback"}, status=403)
        try:
            return await handler(request)
        except LookupError as exc:
            return web.json_response({"error": f"not found: {exc}"}, status=404)
        except (ApiError, ValueError, TypeError) as exc:
            return web.json_response({"error": str(exc)}, status=400)

    return guarded


def _is_loopback(url: str) -> bool:
    return urlsplit(url).hostname in LOOPBACK_NAMES


class Control:
    """One method for each path."""

    def __init__(self, *, emulator: TelegramEmulator) -> None:
        self._emulator = emulator
        folder = files("bridge.emulator")
        self._pages = {path: folder.joinpath(name) for path, (name, _) in PAGE_FILES.items()}

    async def page(self, request: web.Request) -> web.StreamResponse:
        """The chat page and its files."""
        return web.Response(
            body=self._pages[request.path].read_bytes(),
            content_type=PAGE_FILES[request.path][1],
            charset="utf-8",
            headers=_PAGE_HEADERS,
        )

    async def about(self, request: web.Request) -> web.StreamResponse:
        """What the page, or a bench, must know about this emulator."""
        emulator = self._emulator
        return web.json_response(
            {
                "name": emulator.me["first_name"],
                "username": emulator.me["username"],
                "notice": emulator.notice,
                "chat_id": emulator.page_chat_id,
                "commands": emulator.commands.get(("default", ""), []),
                "confirmed_offset": emulator.confirmed_offset,
                "pending_updates": emulator.updates.pending,
                "polled": emulator.updates.polled,
            }
        )

    async def send(self, request: web.Request) -> web.StreamResponse:
        """{chat_id, text, …}: as `People.send`."""
        order = await _order(request)
        message = self._emulator.send(int(order.pop("chat_id")), str(order.pop("text")), **order)
        return web.json_response(message)

    async def upload(self, request: web.Request) -> web.StreamResponse:
        """Multipart chat_id, file, caption?, duration?, and who sends as in `People.send`.

        as=document|photo|voice|audio|video_note says how; a picture is a photo by itself.
        """
        fields, uploads = await read_multipart(request)
        upload, chat_id = uploads["file"], int(fields["chat_id"])
        who = Who(language=fields.get("language", "en"))
        if "user_id" in fields:
            who["user_id"] = int(fields["user_id"])
        if "thread_id" in fields:
            who["thread_id"] = int(fields["thread_id"])
        kind = fields.get("as") or (
            "photo" if upload.mime_type.startswith("image/") else "document"
        )
        caption = fields.get("caption", "")
        if kind in ("document", "photo"):
            send = self._emulator.send_photo if kind == "photo" else self._emulator.send_document
            return web.json_response(
                send(chat_id, upload.name, upload.data, caption=caption, **who)
            )
        message = self._emulator.send_sound(
            chat_id,
            upload.data,
            kind=cast(FileKind, kind),
            duration=int(fields.get("duration", "3")),
            name=upload.name,
            mime_type=upload.mime_type,
            **who,
        )
        return web.json_response(message)

    async def act(self, request: web.Request) -> web.StreamResponse:
        """The arguments of the method of this name; what it returns, if that is plain."""
        method = getattr(self._emulator, request.path.rpartition("/")[2])
        order = await _order(request)
        result = method(*order.pop("arguments", []), **order)
        return web.json_response({"result": result if isinstance(result, _PLAIN) else None})

    async def chat(self, request: web.Request) -> web.StreamResponse:
        """?chat_id=&user_id=&lang=: as `chat_to_view`."""
        chat_id = int(request.query["chat_id"])
        user_id = int(request.query.get("user_id", chat_id))
        language = request.query.get("lang", "en")
        return web.json_response(chat_to_view(self._emulator, chat_id, user_id, language))

    async def press(self, request: web.Request) -> web.StreamResponse:
        """{chat_id, message_id, button, user_id?, language?}: as `Presses.press`."""
        order = await _order(request)
        chat_id, message_id = int(order.pop("chat_id")), int(order.pop("message_id"))
        query_id = self._emulator.press(chat_id, message_id, str(order.pop("button")), **order)
        return web.json_response({"query_id": query_id})

    async def edit(self, request: web.Request) -> web.StreamResponse:
        """{chat_id, message_id, text}: as `People.edit`."""
        order = await _order(request)
        message = self._emulator.edit(
            int(order["chat_id"]), int(order["message_id"]), str(order["text"])
        )
        return web.json_response(message)

    async def block(self, request: web.Request) -> web.StreamResponse:
        """{chat_id, blocked}: as `People.block` and `unblock`."""
        order = await _order(request)
        act = self._emulator.block if order.get("blocked", True) else self._emulator.unblock
        act(int(order["chat_id"]))
        return web.json_response({})

    async def fault(self, request: web.Request) -> web.StreamResponse:
        """The fields of a Fault; the number of the order."""
        ordered = self._emulator.order(fault_from_json(await _order(request)))
        return web.json_response({"number": ordered.number})

    async def release(self, request: web.Request) -> web.StreamResponse:
        """{number?}: let held calls go on."""
        number = (await _order(request)).get("number")
        return web.json_response({"released": self._emulator.faults.release(number)})

    async def messages(self, request: web.Request) -> web.StreamResponse:
        """?chat_id=: the visible messages, and the number of the newest event they include."""
        chat = self._emulator.chats.get(int(request.query["chat_id"]))
        shown = [message_to_view(m, chat) for m in chat.messages.values()] if chat else []
        return web.json_response({"seq": self._emulator.event_seq, "messages": shown})

    async def calls(self, request: web.Request) -> web.StreamResponse:
        """?since=seq&method=&chat_id=: the log of calls, oldest first."""
        chat_id = request.query.get("chat_id")
        found = self._emulator.calls(
            request.query.get("method"),
            int(chat_id) if chat_id else None,
            since=int(request.query.get("since", "0")),
        )
        return web.json_response({"calls": [asdict(call) for call in found]})

    async def file(self, request: web.Request) -> web.StreamResponse:
        """?file_id=: pictures to be shown, anything else to be saved."""
        stored = self._emulator.file(request.query["file_id"])
        kind = "inline" if stored.kind == "photo" else "attachment"
        return web.Response(
            body=stored.data,
            headers={
                **_PAGE_HEADERS,
                "Content-Type": stored.mime_type,
                "Content-Disposition": f"{kind}; filename*=UTF-8''{quote(stored.name)}",
            },
        )

    async def events(self, request: web.Request) -> web.StreamResponse:
        """?chat_id=&since=seq: what happens in a chat from then on, each with its number.

        As server-sent events, or over a WebSocket to a client that asks for one; the page does,
        because a browser counts an open stream as a page that is still loading.
        """
        chat_id = int(request.query["chat_id"])
        since = int(request.headers.get("Last-Event-ID") or request.query.get("since", "0"))
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._events_over_websocket(request, chat_id, since)
        stream = web.StreamResponse(headers={**_PAGE_HEADERS, "Content-Type": "text/event-stream"})
        await stream.prepare(request)
        async for news in self._news(chat_id, since, lambda: False):
            lines = [f"id: {n['seq']}\nevent: {n['kind']}\ndata: {json.dumps(n)}\n\n" for n in news]
            await stream.write("".join(lines or [": still here\n\n"]).encode())
        return stream

    async def _events_over_websocket(
        self, request: web.Request, chat_id: int, since: int
    ) -> web.StreamResponse:
        socket = web.WebSocketResponse(heartbeat=KEEP_ALIVE_S)
        await socket.prepare(request)
        # Someone has to read, or a closed socket is never noticed.
        reader = asyncio.create_task(_read_to_end(socket))
        reader.add_done_callback(lambda _: self._emulator.touch())
        try:
            async for news in self._news(chat_id, since, lambda: reader.done()):
                for item in news:
                    await socket.send_json(item)
        finally:
            reader.cancel()
        # A polite close would wait for the browser, and a server that goes away does not.
        return drop(request)

    async def _news(
        self, chat_id: int, since: int, gone: Callable[[], bool]
    ) -> AsyncIterator[list[Json]]:
        """The events of a chat above `since`, as they come; an empty list after a silence."""
        while not self._emulator.closing and not gone():
            chat = self._emulator.chats.get(chat_id)
            events = [event for event in chat.events if event.seq > since] if chat else []
            if chat is not None and events:
                since = events[-1].seq
                yield [shown for event in events if (shown := _shown(event, chat))]
                continue
            try:
                async with asyncio.timeout(KEEP_ALIVE_S):
                    await self._emulator.changed()
            except TimeoutError:
                yield []


async def _read_to_end(socket: web.WebSocketResponse) -> None:
    async for _ in socket:
        pass  # the page only listens


async def _order(request: web.Request) -> Json:
    # A form of another site can post JSON only as another type; this asks for the real one.
    if request.content_type != "application/json":
        raise ValueError("send application/json")
    order = await request.json()
    if not isinstance(order, dict):
        raise ValueError("send a JSON object")
    return order


def _shown(event: ChatEvent, chat: Chat) -> Json | None:
    """An event with its data; a message as it is now, or None when it is gone again."""
    data = event.data
    if event.kind == "message":
        message = chat.messages.get(data["message_id"])
        if message is None:
            return None
        data = message_to_view(message, chat)
    return {"seq": event.seq, "kind": event.kind, "data": data}

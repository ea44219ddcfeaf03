"""The emulator's own interface: orders from another process, the chat page, running alone."""

from __future__ import annotations

import asyncio
import json
import signal
import struct
import sys
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from typing import Any

import aiohttp
import httpx
import pytest

from bridge.emulator.telegram import TelegramEmulator

CHAT = 1
PNG = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 640, 360) + b"\x08\x02\0\0\0"


@pytest.fixture
async def emulator() -> AsyncIterator[TelegramEmulator]:
    emulator = TelegramEmulator(notice="Nobody is real here", page_chat_id=5)
    await emulator.start()
    yield emulator
    await emulator.stop()


@pytest.fixture
async def http(emulator: TelegramEmulator) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=emulator.page_url) as http:
        yield http


async def call(
    http: httpx.AsyncClient, emulator: TelegramEmulator, method: str, **arguments: Any
) -> Any:
    answer = await http.post(f"/bot{emulator.token}/{method}", json=arguments)
    return answer.json()


# Orders


async def test_another_process_can_write_press_edit_and_see_the_chat(
    emulator: TelegramEmulator, http: httpx.AsyncClient
) -> None:
    said = (await http.post("/emulator/send", json={"chat_id": CHAT, "text": "/hi"})).json()
    edit = {"chat_id": CHAT, "message_id": said["message_id"], "text": "/hello"}
    await http.post("/emulator/edit", json=edit)
    markup = {"inline_keyboard": [[{"text": "Go", "callback_data": "go:1"}]]}
    sent = await call(http, emulator, "sendMessage", chat_id=CHAT, text="a", reply_markup=markup)
    press = {"chat_id": CHAT, "message_id": sent["result"]["message_id"], "button": "Go"}
    pressed = (await http.post("/emulator/press", json=press)).json()
    updates = (await call(http, emulator, "getUpdates"))["result"]

    assert [next(iter(set(u) - {"update_id"})) for u in updates] == [
        "message",
        "edited_message",
        "callback_query",
    ]
    assert updates[2]["callback_query"]["id"] == pressed["query_id"]
    shown = (await http.get("/emulator/messages", params={"chat_id": CHAT})).json()
    assert [(m["from_bot"], m["text"]) for m in shown["messages"]] == [
        (False, "/hello"),
        (True, "a"),
    ]


async def test_another_process_can_upload_and_fetch_files(
    emulator: TelegramEmulator, http: httpx.AsyncClient
) -> None:
    for name, data, kind in (("a.png", PNG, "image/png"), ("<b>.html", b"<p>", "text/html")):
        form = {"chat_id": f"{CHAT}", "caption": name}
        await http.post("/emulator/upload", data=form, files={"file": (name, data, kind)})

    photo, document = emulator.messages(CHAT)
    assert photo.photo is not None and (photo.photo.width, photo.photo.height) == (640, 360)
    assert document.document is not None and document.text == "<b>.html"
    got = await http.get("/emulator/file", params={"file_id": document.document.file_id})
    assert got.content == b"<p>"
    assert got.headers["Content-Disposition"].startswith("attachment")


async def test_another_process_can_order_and_release_faults_and_read_the_log(
    emulator: TelegramEmulator, http: httpx.AsyncClient
) -> None:
    emulator.open_chat(CHAT)
    order = {"method": "sendMessage", "hold": True, "status": 500}
    number = (await http.post("/emulator/fault", json=order)).json()["number"]
    sending = asyncio.create_task(call(http, emulator, "sendMessage", chat_id=CHAT, text="x"))
    await emulator.wait_for(lambda e: e.calls("sendMessage"))

    await http.post("/emulator/release", json={"number": number})

    assert (await sending)["error_code"] == 500
    log = (await http.get("/emulator/calls", params={"method": "sendMessage"})).json()["calls"]
    assert [(c["seq"], c["chat_id"], c["status"]) for c in log] == [(1, CHAT, 500)]
    later = await http.get("/emulator/calls", params={"since": log[0]["seq"]})
    assert later.json() == {"calls": []}


@pytest.mark.parametrize(
    ("path", "order", "status"),
    [
        ("press", {"chat_id": 9, "message_id": 1, "button": "x"}, 404),
        ("send", {"chat_id": 9, "text": ""}, 400),
        ("send", {"text": "x"}, 404),
        ("fault", {"methd": "x"}, 400),
    ],
)
async def test_a_wrong_order_is_explained(
    http: httpx.AsyncClient, path: str, order: dict[str, Any], status: int
) -> None:
    answer = await http.post(f"/emulator/{path}", json=order)

    assert answer.status_code == status and answer.json()["error"]


@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example"}, {"Origin": "https://evil.example"}, {"Origin": "null"}]
)
async def test_only_loopback_may_order_and_look(
    http: httpx.AsyncClient, emulator: TelegramEmulator, headers: dict[str, str]
) -> None:
    sent = await http.post("/emulator/send", json={"chat_id": 1, "text": "x"}, headers=headers)
    page = await http.get("/", headers=headers)

    assert (sent.status_code, page.status_code) == (403, 403)
    assert emulator.messages(1) == []


async def test_a_form_of_another_site_cannot_order(
    http: httpx.AsyncClient, emulator: TelegramEmulator
) -> None:
    body = json.dumps({"chat_id": 1, "text": "x"})

    answer = await http.post("/emulator/send", content=body, headers={"Content-Type": "text/plain"})

    assert answer.status_code == 400 and emulator.messages(1) == []


async def test_another_process_can_do_what_people_do(
    emulator: TelegramEmulator, http: httpx.AsyncClient
) -> None:
    await http.post("/emulator/open_group", json={"arguments": [-7, [8, "Anna"]], "title": "Birds"})
    sent = await call(http, emulator, "sendMessage", chat_id=-7, text="hi")
    reaction = {"chat_id": -7, "message_id": sent["result"]["message_id"], "emoji": "🔥"}
    await http.post("/emulator/react", json=reaction | {"user_id": 8})
    moved = (await http.post("/emulator/migrate", json={"chat_id": -7})).json()["result"]

    shown = (await http.get("/emulator/messages", params={"chat_id": -7})).json()["messages"]
    assert shown[0]["reactions"] == [{"emoji": "🔥", "user_ids": [8]}]
    chat = (await http.get("/emulator/chat", params={"chat_id": moved})).json()
    assert (chat["title"], chat["members"], chat["commands"]) == ("Birds", ["Anna"], [])


async def test_another_process_can_speak(
    emulator: TelegramEmulator, http: httpx.AsyncClient
) -> None:
    form = {"chat_id": f"{CHAT}", "as": "voice", "duration": "9", "user_id": "1"}
    files = {"file": ("a.oga", b"OggS", "audio/ogg")}

    said = (await http.post("/emulator/upload", data=form, files=files)).json()

    assert said["voice"]["duration"] == 9 and emulator.messages(CHAT)[0].voice


async def test_the_page_is_told_what_its_viewer_is_offered(
    emulator: TelegramEmulator, http: httpx.AsyncClient
) -> None:
    for language, name in (("", "jobs"), ("nl", "taken")):
        given = {"commands": [{"command": name, "description": name}], "language_code": language}
        await call(http, emulator, "setMyCommands", **given)
    await call(http, emulator, "setMyDescription", description="Never waits")

    for chat_id in (404, CHAT):
        about: dict[str, str] = {"chat_id": f"{chat_id}", "lang": "nl"}
        chat = (await http.get("/emulator/chat", params=about)).json()
        assert [c["command"] for c in chat["commands"]] == ["taken"]
        assert chat["description"] == "Never waits"
        emulator.open_chat(CHAT)


# Events


async def test_events_tell_what_the_page_must_show(
    emulator: TelegramEmulator, http: httpx.AsyncClient
) -> None:
    emulator.send(CHAT, "before")
    since = emulator.event_seq

    async with aiohttp.ClientSession() as session:
        url = f"{emulator.page_url}emulator/events?chat_id={CHAT}&since={since}"
        async with session.ws_connect(url) as socket:
            await call(http, emulator, "sendChatAction", chat_id=CHAT, action="typing")
            await call(http, emulator, "sendMessage", chat_id=CHAT, text="hi")
            await call(http, emulator, "editMessageText", chat_id=CHAT, message_id=2, text="hello")
            await call(http, emulator, "sendMessageDraft", chat_id=CHAT, draft_id=1, text="Hm")
            await call(http, emulator, "deleteMessage", chat_id=CHAT, message_id=1)
            events = [await socket.receive_json(timeout=2) for _ in range(5)]

    assert [e["kind"] for e in events] == ["action", "message", "message", "draft", "deleted"]
    assert events[2]["data"]["text"] == "hello" and events[2]["data"]["edits"] == 1
    assert [e["seq"] for e in events] == [since + n for n in range(1, 6)]


async def test_an_event_stream_goes_on_where_it_was_left(
    emulator: TelegramEmulator, http: httpx.AsyncClient
) -> None:
    for text in ("one", "two"):
        emulator.send(CHAT, text)

    async with http.stream(
        "GET", f"/emulator/events?chat_id={CHAT}", headers={"Last-Event-ID": "1"}
    ) as stream:
        lines = stream.aiter_lines()
        first = [await anext(lines) for _ in range(3)]

    assert first[:2] == ["id: 2", "event: message"]
    assert json.loads(first[2].removeprefix("data: "))["data"]["text"] == "two"


# The page


SCRIPTS = [f"/chat.{part}.js" for part in ("compose", "render", "rich", "text", "words")]


class Outline(HTMLParser):
    """Addresses a page loads, and what must not be in it."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.inline: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        address = given.get("src") or given.get("href")
        if address:
            self.addresses.append(address)
        self.inline += [name for name in given if name.startswith("on") or name == "style"]
        if tag == "style" or (tag == "script" and "src" not in given):
            self.inline.append(tag)


async def test_the_page_loads_nothing_from_elsewhere_and_nothing_inline(
    http: httpx.AsyncClient,
) -> None:
    page = await http.get("/")
    outline = Outline()
    outline.feed(page.text)

    assert page.headers["Content-Security-Policy"].startswith("default-src 'self'")
    assert outline.inline == []
    assert outline.addresses and all(address.startswith("/") for address in outline.addresses)
    for address in [*outline.addresses, *SCRIPTS]:
        answer = await http.get(address)
        assert answer.status_code == 200
        assert "innerHTML" not in answer.text and "outerHTML" not in answer.text


async def test_the_page_is_told_what_it_is(http: httpx.AsyncClient) -> None:
    about = (await http.get("/emulator/about")).json()

    assert (about["name"], about["notice"], about["chat_id"]) == ("KITT", "Nobody is real here", 5)


# Alone


async def test_it_runs_alone_until_it_is_told_to_stop() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bridge.emulator.telegram",
        "--token=77777777:" + "x" * 35,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    where = json.loads(await process.stdout.readline())

    async with httpx.AsyncClient() as http:
        me = (await http.get(f"{where['base_url']}77777777:{'x' * 35}/getMe")).json()
    process.send_signal(signal.SIGTERM)

    assert me["result"]["id"] == 77777777
    assert await process.wait() == 0

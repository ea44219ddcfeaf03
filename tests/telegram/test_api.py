"""Telegram's Bot API in our words: what was sent, and what an error means for whoever sends."""

import asyncio
import ssl
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from bridge.emulator.telegram import TelegramEmulator
from bridge.emulator.telegram_faults import Fault
from bridge.errors import ConfigError, KittError
from bridge.telegram.api import (
    Ambiguous,
    Api,
    ChatMoved,
    Elsewhere,
    Flooded,
    NotDelivered,
    Rejected,
)

CHAT = "7"


def api_for(base_url: str, token: str = "123456789:" + "A" * 35) -> Api:
    return Api(token=token, base_url=base_url, base_file_url=base_url)


@pytest.fixture
async def api(telegram: TelegramEmulator) -> AsyncIterator[Api]:
    made = api_for(telegram.base_url, telegram.token)
    await made.open()
    yield made
    await made.close()


async def test_open_checks_the_token_and_names_the_bot(telegram: TelegramEmulator) -> None:
    api = api_for(telegram.base_url, telegram.token)

    assert await api.open() == "kitt_demo_bot"
    await api.close()


def test_certificates_are_loaded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[ssl.SSLContext] = []
    load = ssl.SSLContext.load_verify_locations

    def counted(context: ssl.SSLContext, *files: str, **named: str) -> None:
        loaded.append(context)
        load(context, *files, **named)

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", counted)

    api_for("https://127.0.0.1:1/bot")

    assert len(loaded) == 1


async def test_a_wrong_token_is_an_error_of_the_settings(telegram: TelegramEmulator) -> None:
    api = api_for(telegram.base_url)

    with pytest.raises(ConfigError, match="TELEGRAM_BOT_TOKEN"):
        await api.open()
    await api.close()


async def test_telegram_away_at_the_start_is_worth_another_try() -> None:
    api = api_for("http://127.0.0.1:1/bot")

    with pytest.raises(NotDelivered, match="cannot be reached"):
        await api.open()
    await api.close()


async def test_a_text_is_sent_with_all_that_belongs_to_it(
    api: Api, telegram: TelegramEmulator
) -> None:
    asked = telegram.send(7, "Hello?")["message_id"]

    message_id = await api.send_text(
        CHAT,
        "Hello https://example.org",
        entities=[{"type": "bold", "offset": 0, "length": 5}],
        reply_to=asked,
        silent=True,
        buttons=[[{"text": "Go", "data": "x"}]],
    )

    message = telegram.chats[7].messages[message_id]
    assert message.entities[0] == {"type": "bold", "offset": 0, "length": 5}
    assert (message.reply_to, message.silent) == (asked, True)
    assert message.buttons == [[{"text": "Go", "callback_data": "x"}]]
    assert message.link_preview == {"is_disabled": True}


async def test_an_edit_replaces_text_and_buttons(api: Api, telegram: TelegramEmulator) -> None:
    message_id = await api.send_text(CHAT, "One", buttons=[[{"text": "Go", "data": "x"}]])

    await api.edit_text(CHAT, message_id, "Two")

    message = telegram.chats[7].messages[message_id]
    assert (message.text, message.buttons) == ("Two", [])


async def test_the_same_edit_again_is_no_error(api: Api, telegram: TelegramEmulator) -> None:
    message_id = await api.send_text(CHAT, "One")

    await api.edit_text(CHAT, message_id, "One")

    assert [call.status for call in telegram.calls("editMessageText")] == [400]


async def test_the_general_topic_is_left_out_and_another_is_named(
    api: Api, telegram: TelegramEmulator
) -> None:
    telegram.open_chat(7).threads.add(11)

    general = await api.send_text(CHAT, "One", thread_id=1)
    other = await api.send_text(CHAT, "Two", thread_id=11)

    assert telegram.chats[7].messages[general].thread_id is None
    assert telegram.chats[7].messages[other].thread_id == 11


async def test_a_method_is_called_as_in_the_bot_api(api: Api, telegram: TelegramEmulator) -> None:
    menu = [{"command": "jobs", "description": "je taken"}]

    await api.call("setMyCommands", commands=menu, scope={"type": "default"}, language_code="nl")

    assert list(telegram.commands.values()) == [menu]


async def test_an_error_of_such_a_method_is_one_of_ours(
    api: Api, telegram: TelegramEmulator
) -> None:
    telegram.order(Fault(method="setMyCommands", status=429, retry_after=9))

    with pytest.raises(Flooded) as flooded:
        await api.call("setMyCommands", commands=[])

    assert flooded.value.retry_after_s == 9


async def test_an_answer_to_a_press_that_comes_too_late_is_no_error(
    api: Api, telegram: TelegramEmulator
) -> None:
    await api.answer_callback("4300000000000000099", "Hello")

    assert [call.status for call in telegram.calls("answerCallbackQuery")] == [400]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault(status=403, description="Forbidden: bot was blocked by the user"), "blocked"),
        (Fault(status=403, description="Forbidden: user is deactivated"), "blocked"),
        (Fault(status=400, description="Bad Request: can't parse entities: x"), "entities"),
        (Fault(status=400, description="Bad Request: ENTITY_BOUNDS_INVALID"), "entities"),
        (Fault(status=400, description="Bad Request: message to edit not found"), "edit_gone"),
        (Fault(status=400, description="Bad Request: message can't be edited"), "edit_gone"),
        (
            Fault(status=400, description="Bad Request: message to be replied not found"),
            "reply_gone",
        ),
        (Fault(status=400, description="Bad Request: QUOTE_TEXT_INVALID"), "reply_gone"),
        (Fault(status=400, description="Bad Request: message thread not found"), "thread_gone"),
        (Fault(status=400, description="Bad Request: chat not found"), "chat_gone"),
        (Fault(status=413), "too_big"),
        (Fault(status=400, description="Bad Request: file is too big"), "too_big"),
        (Fault(status=400, description="Bad Request: something new"), "other"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.description or str(value.status),
)
async def test_a_refusal_carries_its_reason(
    api: Api, telegram: TelegramEmulator, fault: Fault, reason: str
) -> None:
    telegram.order(fault)

    with pytest.raises(Rejected) as refused:
        await api.send_text(CHAT, "Hello")

    assert refused.value.reason == reason


async def test_a_flood_says_how_long_to_wait(api: Api, telegram: TelegramEmulator) -> None:
    telegram.order(Fault(status=429, retry_after=33))

    with pytest.raises(Flooded) as flooded:
        await api.send_text(CHAT, "Hello")

    assert flooded.value.retry_after_s == 33


@pytest.mark.parametrize(
    "fault",
    [
        Fault(drop="unanswered"),
        Fault(drop="refused"),
        Fault(cut_after=20),
        Fault(status=500),
        Fault(status=502),
    ],
    ids=["unanswered", "dropped", "cut", "500", "502"],
)
async def test_a_break_after_the_request_was_out_may_have_delivered(
    api: Api, telegram: TelegramEmulator, fault: Fault
) -> None:
    telegram.order(fault)

    with pytest.raises(Ambiguous):
        await api.send_text(CHAT, "Hello")


async def test_a_refused_connection_has_surely_not_delivered(
    api: Api, telegram: TelegramEmulator
) -> None:
    await telegram.stop()

    with pytest.raises(NotDelivered):
        await api.send_text(CHAT, "Hello")


async def test_a_second_poller_is_told_apart(api: Api, telegram: TelegramEmulator) -> None:
    first = asyncio.create_task(api.get_updates(None))
    await telegram.wait_for(lambda e: e.updates.polled)

    second = asyncio.create_task(api.get_updates(None))
    with pytest.raises(Elsewhere, match="Another program"):
        await first

    telegram.send(7, "Hello")
    assert [u["message"]["text"] for u in await second if u["message"]] == ["Hello"]


async def test_a_chat_that_moved_names_its_new_id() -> None:
    async def moved(request: web.Request) -> web.Response:
        if request.match_info["method"] == "getMe":
            me = {"id": 1, "is_bot": True, "first_name": "KITT", "username": "kitt_bot"}
            return web.json_response({"ok": True, "result": me})
        body = {
            "ok": False,
            "error_code": 400,
            "description": "Bad Request: group chat was upgraded to a supergroup chat",
            "parameters": {"migrate_to_chat_id": -1001},
        }
        return web.json_response(body, status=400)

    app = web.Application()
    app.router.add_post("/bot{token}/{method}", moved)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    api = api_for(f"http://127.0.0.1:{runner.addresses[0][1]}/bot")
    await api.open()

    with pytest.raises(ChatMoved) as error:
        await api.send_text("-1", "Hello")

    assert error.value.new_id == -1001
    await api.close()
    await runner.cleanup()


async def test_no_error_shows_the_token(api: Api, telegram: TelegramEmulator) -> None:
    secret = telegram.token.partition(":")[2]
    await telegram.stop()

    with pytest.raises(KittError) as error:
        await api.send_text(CHAT, "Hello")

    assert secret not in str(error.value)
    assert secret not in repr(error.value.__cause__)

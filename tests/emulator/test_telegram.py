"""The emulated Bot API: calls and their log, updates, sending and editing."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from bots import CHAT, GROUP, SUPERGROUP, client, keyboard
from telegram import (
    Bot,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    ReplyParameters,
)
from telegram.error import BadRequest, Conflict, EndPointNotFound, Forbidden

from bridge.emulator.telegram import TelegramEmulator

# Tokens, methods, bodies


async def test_a_wrong_token_is_unauthorized_and_a_broken_one_not_found(
    emulator: TelegramEmulator,
) -> None:
    async with httpx.AsyncClient() as http:
        wrong = await http.post(f"{emulator.base_url}123456789:{'A' * 35}/getMe")
        broken = await http.post(f"{emulator.base_url}nonsense/getMe")

    unauthorized = {"ok": False, "error_code": 401, "description": "Unauthorized"}
    assert (wrong.status_code, wrong.json()) == (401, unauthorized)
    assert broken.status_code == 404


async def test_an_unknown_method_is_not_found(bot: Bot) -> None:
    with pytest.raises(EndPointNotFound):
        await bot.do_api_request("sendTelepathy")


async def test_get_me_names_the_bot_of_the_token(bot: Bot, emulator: TelegramEmulator) -> None:
    assert bot.id == int(emulator.token.partition(":")[0])
    assert bot.username == "kitt_demo_bot"


@pytest.mark.parametrize("form", ["json", "data", "params"])
async def test_arguments_may_come_as_json_form_or_query(
    emulator: TelegramEmulator, form: str
) -> None:
    emulator.open_chat(CHAT)
    arguments: dict[str, Any] = {form: {"chat_id": CHAT, "text": "hello"}}

    async with httpx.AsyncClient() as http:
        url = f"{emulator.base_url}{emulator.token}/SENDMESSAGE"
        answer = (await http.post(url, **arguments)).json()

    assert answer["ok"] and answer["result"]["text"] == "hello"


async def test_the_log_keeps_every_call_and_never_the_token(
    bot: Bot, emulator: TelegramEmulator
) -> None:
    await bot.send_message(CHAT, "hello", reply_markup=keyboard("go"))
    with pytest.raises(BadRequest):
        await bot.send_message(999, "hello")

    sent, refused = emulator.calls("sendMessage")
    assert (sent.status, sent.done, sent.chat_id) == (200, True, CHAT)
    assert sent.params["reply_markup"]["inline_keyboard"][0][0]["callback_data"] == "go"
    assert (refused.status, refused.done, refused.seq) == (400, False, sent.seq + 1)
    assert emulator.calls("sendMessage", CHAT) == [sent]
    assert emulator.token not in str(emulator.calls())


# Updates


async def test_an_update_is_delivered_until_a_higher_offset_confirms_it(
    bot: Bot, emulator: TelegramEmulator
) -> None:
    emulator.send(CHAT, "one")
    emulator.send(CHAT, "two")

    first = await bot.get_updates()
    again = await bot.get_updates()
    rest = await bot.get_updates(offset=first[0].update_id + 1)

    assert [u.update_id for u in first] == [u.update_id for u in again]
    assert [u.message and u.message.text for u in rest] == ["two"]
    assert emulator.confirmed_offset == first[1].update_id


async def test_a_negative_offset_keeps_only_the_newest(
    bot: Bot, emulator: TelegramEmulator
) -> None:
    for text in ("one", "two", "three"):
        emulator.send(CHAT, text)

    newest = await bot.get_updates(offset=-2)

    assert [u.message and u.message.text for u in newest] == ["two", "three"]
    assert emulator.updates.pending == 2


async def test_the_limit_holds(bot: Bot, emulator: TelegramEmulator) -> None:
    for number in range(5):
        emulator.send(CHAT, f"{number}")

    assert len(await bot.get_updates(limit=3)) == 3


async def test_a_waiting_poll_wakes_at_once(bot: Bot, emulator: TelegramEmulator) -> None:
    poll = asyncio.create_task(bot.get_updates(timeout=30))
    await emulator.wait_for(lambda e: e.updates.polled)

    emulator.send(CHAT, "wake up")

    async with asyncio.timeout(2):
        assert len(await poll) == 1


async def test_a_poll_with_nothing_to_say_ends_after_its_timeout(
    bot: Bot, emulator: TelegramEmulator
) -> None:
    async with asyncio.timeout(3):
        assert await bot.get_updates(timeout=1) == ()

    call = emulator.calls("getUpdates")[0]
    assert call.ended_at is not None and call.ended_at - call.at > 0.9


async def test_a_second_poll_ends_the_first_with_a_conflict(
    bot: Bot, emulator: TelegramEmulator
) -> None:
    first = asyncio.create_task(bot.get_updates(timeout=30))
    await emulator.wait_for(lambda e: e.updates.polled)

    async with client(emulator) as other:
        second = asyncio.create_task(other.get_updates(timeout=30))
        with pytest.raises(Conflict, match="terminated by other getUpdates request"):
            await first
        emulator.send(CHAT, "for the second")
        assert len(await second) == 1


async def test_allowed_updates_are_remembered_and_decide_what_is_made(
    bot: Bot, emulator: TelegramEmulator
) -> None:
    await bot.get_updates(allowed_updates=["callback_query"])
    await bot.get_updates()

    emulator.send(CHAT, "not asked for")

    assert await bot.get_updates() == ()
    assert (await bot.get_webhook_info()).allowed_updates == ("callback_query",)


async def test_pending_updates_can_be_dropped(bot: Bot, emulator: TelegramEmulator) -> None:
    emulator.send(CHAT, "old")

    await bot.delete_webhook(drop_pending_updates=True)

    assert await bot.get_updates() == ()


# Sending


async def test_a_sent_message_is_visible_with_all_it_carries(
    bot: Bot, emulator: TelegramEmulator
) -> None:
    asked = emulator.send(CHAT, "How are you today?")

    sent = await bot.send_message(
        CHAT,
        "Fine",
        reply_parameters=ReplyParameters(asked["message_id"], quote="How are you"),
        disable_notification=True,
        reply_markup=keyboard("more", text="More"),
    )

    assert sent.reply_to_message and sent.reply_to_message.text == "How are you today?"
    assert sent.quote and sent.quote.position == 0
    question, answer = emulator.messages(CHAT)
    assert (question.from_bot, answer.from_bot) == (False, True)
    assert (answer.message_id, answer.text, answer.silent) == (sent.message_id, "Fine", True)
    assert answer.reply_to == question.message_id
    assert answer.buttons == [[{"text": "More", "callback_data": "more"}]]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "message text is empty"),
        (" \n ", "message text is empty"),
        ("x" * 4097, "message is too long"),
        ("😀" * 2049, "message is too long"),
    ],
)
async def test_a_text_must_have_1_to_4096_units(bot: Bot, text: str, reason: str) -> None:
    with pytest.raises(BadRequest, match=f"(?i){reason}"):
        await bot.send_message(CHAT, text)


async def test_4096_units_between_blanks_are_not_too_long(bot: Bot) -> None:
    sent = await bot.send_message(CHAT, "\n" + "😀" * 2048 + " ")

    assert sent.text == "😀" * 2048


async def test_a_parse_mode_is_refused(bot: Bot) -> None:
    with pytest.raises(BadRequest, match="parse_mode"):
        await bot.send_message(CHAT, "<b>x</b>", parse_mode="HTML")


async def test_a_chat_nobody_opened_is_not_found(bot: Bot) -> None:
    with pytest.raises(BadRequest, match="Chat not found"):
        await bot.send_message(CHAT + 1, "hello?")


async def test_a_chat_that_blocked_the_bot_forbids_until_it_unblocks(
    bot: Bot, emulator: TelegramEmulator
) -> None:
    emulator.block(CHAT)

    with pytest.raises(Forbidden, match="bot was blocked by the user"):
        await bot.send_message(CHAT, "hello?")

    emulator.unblock(CHAT)
    await bot.send_message(CHAT, "hello!")
    changes = [u.my_chat_member for u in await bot.get_updates()]
    assert [c and c.new_chat_member.status for c in changes] == ["kicked", "member"]


async def test_a_reply_to_nothing_is_refused_unless_allowed(bot: Bot) -> None:
    with pytest.raises(BadRequest, match="Message to be replied not found"):
        await bot.send_message(CHAT, "x", reply_parameters=ReplyParameters(99))

    reply = ReplyParameters(99, allow_sending_without_reply=True)
    assert (await bot.send_message(CHAT, "x", reply_parameters=reply)).reply_to_message is None


async def test_a_replied_message_is_nested_once_and_no_deeper(
    bot: Bot, emulator: TelegramEmulator
) -> None:
    first = emulator.send(CHAT, "first")["message_id"]
    second = emulator.send(CHAT, "second", reply_to=first)["message_id"]

    third = await bot.send_message(CHAT, "third", reply_parameters=ReplyParameters(second))

    assert third.reply_to_message and third.reply_to_message.text == "second"
    assert third.reply_to_message.reply_to_message is None


async def test_a_quote_must_be_in_the_message(bot: Bot, emulator: TelegramEmulator) -> None:
    asked = emulator.send(CHAT, "one two")

    with pytest.raises(BadRequest, match=r"(?i)quote_text_invalid"):
        reply = ReplyParameters(asked["message_id"], quote="three")
        await bot.send_message(CHAT, "x", reply_parameters=reply)


@pytest.mark.parametrize(
    ("markup", "reason"),
    [
        (keyboard("x" * 65), "(?i)button_data_invalid"),
        (keyboard("é" * 33), "(?i)button_data_invalid"),
        (keyboard(*"123456789"), "(?i)button_row_too_long"),
        (InlineKeyboardMarkup([[InlineKeyboardButton("x", callback_data="x")]] * 101), "too long"),
        (keyboard("x", text=""), "must be non-empty"),
        (InlineKeyboardMarkup([[InlineKeyboardButton("x", url="ftp://x")]]), "is invalid"),
        (InlineKeyboardMarkup([[InlineKeyboardButton("nothing")]]), "unallowed"),
    ],
)
async def test_a_keyboard_telegram_would_refuse_is_refused(
    bot: Bot, markup: InlineKeyboardMarkup, reason: str
) -> None:
    with pytest.raises(BadRequest, match=reason):
        await bot.send_message(CHAT, "x", reply_markup=markup)


async def test_a_topic_nobody_wrote_in_is_not_found(bot: Bot, emulator: TelegramEmulator) -> None:
    emulator.send(SUPERGROUP, "in a topic", user_id=7, thread_id=12)

    assert (await bot.send_message(SUPERGROUP, "x", message_thread_id=12)).message_thread_id == 12
    with pytest.raises(BadRequest, match="Message thread not found"):
        await bot.send_message(SUPERGROUP, "x", message_thread_id=13)


async def test_supergroups_count_their_messages_for_themselves(
    bot: Bot, emulator: TelegramEmulator
) -> None:
    ids = [emulator.send(chat_id, "x")["message_id"] for chat_id in (CHAT, GROUP, SUPERGROUP)]

    assert ids == [1, 2, 1]


# Editing and deleting


async def test_an_edit_changes_the_message_and_drops_a_keyboard_not_sent_again(
    bot: Bot, emulator: TelegramEmulator
) -> None:
    sent = await bot.send_message(CHAT, "one", reply_markup=keyboard("go"))

    edited = await bot.edit_message_text("two", CHAT, sent.message_id)

    assert not isinstance(edited, bool) and edited.edit_date is not None
    shown = emulator.messages(CHAT)[0]
    assert (shown.text, shown.buttons, shown.edits) == ("two", [], 1)


async def test_an_edit_that_changes_nothing_is_refused(bot: Bot) -> None:
    sent = await bot.send_message(CHAT, "one", reply_markup=keyboard("go"))

    with pytest.raises(BadRequest, match="Message is not modified: "):
        await bot.edit_message_text("one", CHAT, sent.message_id, reply_markup=keyboard("go"))
    with pytest.raises(BadRequest, match="Message is not modified: "):
        await bot.edit_message_reply_markup(CHAT, sent.message_id, reply_markup=keyboard("go"))


async def test_only_the_bots_own_visible_messages_can_be_edited(
    bot: Bot, emulator: TelegramEmulator
) -> None:
    theirs = emulator.send(CHAT, "mine")["message_id"]
    gone = (await bot.send_message(CHAT, "going")).message_id
    await bot.delete_message(CHAT, gone)

    with pytest.raises(BadRequest, match="Message can't be edited"):
        await bot.edit_message_text("x", CHAT, theirs)
    with pytest.raises(BadRequest, match="Message to edit not found"):
        await bot.edit_message_text("x", CHAT, gone)
    with pytest.raises(BadRequest, match="Message to delete not found"):
        await bot.delete_message(CHAT, gone)
    assert [m.text for m in emulator.messages(CHAT)] == ["mine"]


async def test_the_keyboard_alone_can_be_taken_away(bot: Bot, emulator: TelegramEmulator) -> None:
    sent = await bot.send_message(CHAT, "one", reply_markup=keyboard("go"))

    await bot.edit_message_reply_markup(CHAT, sent.message_id)

    assert emulator.messages(CHAT)[0].buttons == []

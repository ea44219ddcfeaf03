"""The emulated Bot API: buttons, reactions, groups, and what a bot says about itself."""

from __future__ import annotations

import pytest
from bots import CHAT, GROUP, client, keyboard
from telegram import (
    Bot,
    BotCommand,
    BotCommandScopeChat,
    MenuButtonCommands,
)
from telegram.error import BadRequest, Forbidden

from bridge.emulator.telegram import TelegramEmulator
from bridge.emulator.telegram_signs import REACTIONS


@pytest.mark.parametrize("button", ["job:42", "Cancel"])
async def test_a_press_by_data_or_text_becomes_a_query_that_can_be_answered(
    bot: Bot, emulator: TelegramEmulator, button: str
) -> None:
    sent = await bot.send_message(CHAT, "card", reply_markup=keyboard("job:42", text="Cancel"))

    query_id = emulator.press(CHAT, sent.message_id, button)
    query = (await bot.get_updates())[0].callback_query

    assert query is not None and (query.id, query.data) == (query_id, "job:42")
    assert query.message is not None and query.message.message_id == sent.message_id
    await query.answer("Cancelled", show_alert=True)
    answer = emulator.messages(CHAT)[0].answers[0]
    assert (answer.text, answer.show_alert, answer.query_id) == ("Cancelled", True, query_id)


async def test_a_press_speaks_the_language_of_the_persons_last_message(
    bot: Bot, emulator: TelegramEmulator
) -> None:
    sent = await bot.send_message(CHAT, "card", reply_markup=keyboard("job:42"))
    for language in ("en", "nl"):
        emulator.send(CHAT, "Hallo", language=language)

    emulator.press(CHAT, sent.message_id, "job:42")

    query = (await bot.get_updates())[-1].callback_query
    assert query is not None and query.from_user.language_code == "nl"


async def test_a_button_that_is_not_there_cannot_be_pressed(
    bot: Bot, emulator: TelegramEmulator
) -> None:
    sent = await bot.send_message(CHAT, "card", reply_markup=keyboard("job:42"))

    with pytest.raises(LookupError, match="no button 'job:43'"):
        emulator.press(CHAT, sent.message_id, "job:43")


async def test_an_unknown_or_old_query_cannot_be_answered() -> None:
    time = [1000.0]
    emulator = TelegramEmulator(clock=lambda: time[0])
    await emulator.start()
    emulator.open_chat(CHAT)
    async with client(emulator) as bot:
        sent = await bot.send_message(CHAT, "card", reply_markup=keyboard("go"))
        old = emulator.press(CHAT, sent.message_id, "go")
        time[0] += 61

        for query_id in (old, "12345"):
            with pytest.raises(BadRequest, match="Query is too old"):
                await bot.answer_callback_query(query_id)
    await emulator.stop()


@pytest.mark.parametrize("emoji", ["⏳", "✅", "❌", "⚙"])
async def test_a_reaction_outside_the_fixed_set_is_refused(
    bot: Bot, emulator: TelegramEmulator, emoji: str
) -> None:
    asked = emulator.send(CHAT, "hello")["message_id"]

    with pytest.raises(BadRequest, match=r"(?i)reaction_invalid"):
        await bot.set_message_reaction(CHAT, asked, emoji)


async def test_a_reaction_replaces_the_one_before(bot: Bot, emulator: TelegramEmulator) -> None:
    asked = emulator.send(CHAT, "hello")["message_id"]

    await bot.set_message_reaction(CHAT, asked, "👀")
    await bot.set_message_reaction(CHAT, asked, "👨‍💻")

    assert emulator.messages(CHAT)[0].reaction == "👨‍💻"
    assert len(REACTIONS) == 73


async def test_a_draft_is_for_private_chats_only(bot: Bot, emulator: TelegramEmulator) -> None:
    emulator.send(GROUP, "hello")

    assert await bot.send_message_draft(CHAT, 7, "Let me th")
    with pytest.raises(BadRequest, match="private chats"):
        await bot.send_message_draft(GROUP, 7, "Let me th")
    assert [m.text for m in emulator.messages(CHAT)] == []


async def test_an_unknown_chat_action_is_refused(bot: Bot) -> None:
    assert await bot.send_chat_action(CHAT, "typing")
    with pytest.raises(BadRequest, match="Wrong parameter action"):
        await bot.send_chat_action(CHAT, "dancing")


async def test_commands_are_kept_for_each_scope_and_language(bot: Bot) -> None:
    await bot.set_my_commands([BotCommand("start", "Begin")])
    await bot.set_my_commands([BotCommand("start", "Begin hier")], language_code="nl")
    await bot.set_my_commands([BotCommand("logs", "Logs")], scope=BotCommandScopeChat(CHAT))

    assert [c.description for c in await bot.get_my_commands(language_code="nl")] == ["Begin hier"]
    await bot.delete_my_commands(language_code="nl")
    assert await bot.get_my_commands(language_code="nl") == ()
    assert [c.command for c in await bot.get_my_commands()] == ["start"]
    with pytest.raises(BadRequest, match=r"(?i)bot_command_invalid"):
        await bot.set_my_commands([BotCommand("Not-A-Command", "x")])


async def test_descriptions_and_the_menu_button_are_kept(
    bot: Bot, emulator: TelegramEmulator
) -> None:
    await bot.set_my_description("Never makes you wait")
    await bot.set_my_short_description("Snel", language_code="nl")
    await bot.set_chat_menu_button(menu_button=MenuButtonCommands())

    assert emulator.texts["description", ""] == "Never makes you wait"
    assert emulator.texts["short_description", "nl"] == "Snel"
    assert emulator.menu_button == {"type": "commands"}
    with pytest.raises(BadRequest, match=r"(?i)too_long"):
        await bot.set_my_short_description("x" * 121)


async def test_a_bot_that_left_a_group_neither_writes_nor_hears_there(
    bot: Bot, emulator: TelegramEmulator
) -> None:
    emulator.send(GROUP, "/hello", user_id=7)
    assert (await bot.get_chat(GROUP)).type == "group"

    await bot.leave_chat(GROUP)

    with pytest.raises(Forbidden, match="bot is not a member of the group chat"):
        await bot.send_message(GROUP, "hello?")
    emulator.send(GROUP, "/gone at last", user_id=7)
    heard, last = await bot.get_updates()
    assert heard.message and heard.message.text == "/hello"
    assert last.my_chat_member and last.my_chat_member.new_chat_member.status == "left"


async def test_a_person_can_edit_and_speak_dutch_in_a_group(
    bot: Bot, emulator: TelegramEmulator
) -> None:
    said = emulator.send(GROUP, "/jobs@kitt_demo_bot nu", user_id=7, language="nl")
    emulator.edit(GROUP, said["message_id"], "/job 42")

    first, second = await bot.get_updates()

    assert first.message and first.message.from_user
    assert (first.message.from_user.id, first.message.from_user.language_code) == (7, "nl")
    assert [e.type for e in first.message.entities] == ["bot_command"]
    assert first.message.entities[0].length == len("/jobs@kitt_demo_bot")
    assert second.edited_message and second.edited_message.text == "/job 42"


async def test_any_update_can_be_pushed(bot: Bot, emulator: TelegramEmulator) -> None:
    emulator.push_update({"stopped_message_generation": {"chat": {"id": CHAT}, "draft_id": 7}})

    update = (await bot.get_updates())[0]

    assert update.api_kwargs["stopped_message_generation"]["draft_id"] == 7


async def test_waiting_in_vain_names_the_last_calls(bot: Bot, emulator: TelegramEmulator) -> None:
    with pytest.raises(TimeoutError, match="getMe -> 200"):
        await emulator.wait_for(lambda e: e.messages(CHAT), timeout_s=0.01)

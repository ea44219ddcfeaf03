"""The emulated Bot API: the commands a person is offered, texts about the bot, and how often."""

from __future__ import annotations

import pytest
from bots import CHAT, GROUP, client
from telegram import (
    Bot,
    BotCommand,
    BotCommandScope,
    BotCommandScopeAllGroupChats,
    BotCommandScopeAllPrivateChats,
    BotCommandScopeChat,
    BotCommandScopeChatAdministrators,
    BotCommandScopeChatMember,
)
from telegram.error import BadRequest, RetryAfter

from bridge.emulator.telegram import TelegramEmulator
from bridge.emulator.telegram_faults import FloodLimits
from bridge.emulator.telegram_menu import commands_for

ANNA, BRAM = 7, 8


def offered(emulator: TelegramEmulator, chat_id: int, user_id: int, language: str = "en") -> str:
    """The first command."""
    commands = commands_for(emulator, emulator.chats[chat_id], user_id, language)
    return str(commands[0]["command"]) if commands else ""


async def give(bot: Bot, name: str, scope: BotCommandScope | None = None, nl: bool = False) -> None:
    """One command in a scope."""
    language = "nl" if nl else None
    await bot.set_my_commands([BotCommand(name, "x")], scope=scope, language_code=language)


async def test_the_narrowest_scope_wins_and_a_language_within_it(
    bot: Bot, emulator: TelegramEmulator
) -> None:
    await give(bot, "everybody")
    await give(bot, "iedereen", nl=True)
    assert offered(emulator, CHAT, CHAT) == "everybody"
    assert offered(emulator, CHAT, CHAT, "nl") == "iedereen"

    await give(bot, "private", BotCommandScopeAllPrivateChats())
    assert offered(emulator, CHAT, CHAT, "nl") == "private"
    await give(bot, "owner", BotCommandScopeChat(CHAT))
    assert offered(emulator, CHAT, CHAT, "nl") == "owner"
    await bot.delete_my_commands(BotCommandScopeChat(CHAT))
    assert offered(emulator, CHAT, CHAT) == "private"


async def test_in_a_group_it_depends_on_who_looks(bot: Bot, emulator: TelegramEmulator) -> None:
    emulator.open_group(GROUP, (ANNA, "Anna"), (BRAM, "Bram"), owner=ANNA)
    await give(bot, "private", BotCommandScopeAllPrivateChats())
    assert offered(emulator, GROUP, BRAM) == ""
    await give(bot, "groups", BotCommandScopeAllGroupChats())
    await give(bot, "admins", BotCommandScopeChatAdministrators(GROUP))
    assert [offered(emulator, GROUP, user) for user in (ANNA, BRAM)] == ["admins", "groups"]

    await give(bot, "bram", BotCommandScopeChatMember(GROUP, BRAM))

    assert [offered(emulator, GROUP, user) for user in (ANNA, BRAM)] == ["admins", "bram"]
    with pytest.raises(BadRequest, match="private chats"):
        await give(bot, "x", BotCommandScopeChatMember(CHAT, CHAT))


async def test_texts_about_the_bot_fall_back_to_the_common_language(bot: Bot) -> None:
    await bot.set_my_description("Never waits")
    await bot.set_my_short_description("Snel", language_code="nl")

    assert (await bot.get_my_description("nl")).description == "Never waits"
    assert (await bot.get_my_short_description("nl")).short_description == "Snel"
    assert (await bot.get_my_short_description()).short_description == ""
    assert (await bot.get_chat_menu_button(CHAT)).type == "default"


async def test_a_bot_that_keeps_telling_about_itself_is_told_to_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PTB_TIMEDELTA", "1")
    time = [0.0]
    limits = FloodLimits(settings_per_minute=2)
    emulator = TelegramEmulator(flood=limits, clock=lambda: time[0])
    await emulator.start()
    async with client(emulator) as bot:
        for name in ("one", "two"):
            await give(bot, name)
        with pytest.raises(RetryAfter, match="Retry in 0:01:00"):
            await bot.set_my_description("three")
        time[0] = 60.0
        assert await bot.set_my_description("three")
    await emulator.stop()

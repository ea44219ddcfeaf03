"""The Bot API's methods about the bot and its chats, and the table of all methods."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from bridge.emulator.telegram_media import get_file, send_document, send_media_group, send_photo
from bridge.emulator.telegram_methods import (
    answer_callback_query,
    delete_message,
    edit_message_reply_markup,
    edit_message_text,
    open_chat_of,
    send_chat_action,
    send_message,
    send_message_draft,
    set_message_reaction,
)
from bridge.emulator.telegram_params import Params
from bridge.emulator.telegram_state import Json, bad_request
from bridge.emulator.telegram_text import utf16_len
from bridge.emulator.telegram_world import TelegramWorld

COMMANDS_MAX = 100  # BotCommandLimit.MAX_COMMAND_NUMBER
COMMAND_DESCRIPTION_UNITS_MAX = 256  # BotCommandLimit.MAX_DESCRIPTION
DESCRIPTION_UNITS_MAX = 512  # BotDescriptionLimit.MAX_DESCRIPTION_LENGTH
SHORT_DESCRIPTION_UNITS_MAX = 120  # BotDescriptionLimit.MAX_SHORT_DESCRIPTION_LENGTH

_COMMAND = re.compile(r"[a-z0-9_]{1,32}")
_LANGUAGE = re.compile(r"([a-z]{2})?")
_SCOPES = frozenset(
    {"default", "all_private_chats", "all_group_chats", "all_chat_administrators"}
    | {"chat", "chat_administrators", "chat_member"}
)


def get_me(world: TelegramWorld, params: Params) -> Json:
    """getMe."""
    return world.me | {
        "can_join_groups": True,
        "can_read_all_group_messages": True,
        "supports_inline_queries": False,
        "can_connect_to_business": False,
        "has_main_web_app": False,
        "has_topics_enabled": False,
    }


def get_webhook_info(world: TelegramWorld, params: Params) -> Json:
    """getWebhookInfo: there is never a webhook."""
    info: Json = {
        "url": "",
        "has_custom_certificate": False,
        "pending_update_count": world.updates.pending,
    }
    allowed = world.updates.allowed_updates
    return info if allowed is None else info | {"allowed_updates": allowed}


def delete_webhook(world: TelegramWorld, params: Params) -> bool:
    """deleteWebhook; with drop_pending_updates it forgets what was not fetched."""
    if params.flag("drop_pending_updates"):
        world.updates.drop_all()
    return True


def get_chat(world: TelegramWorld, params: Params) -> Json:
    """getChat."""
    chat = open_chat_of(world, params, write=False)
    return chat.info | {
        "accent_color_id": 0,
        "max_reaction_count": 11,
        "accepted_gift_types": dict.fromkeys(
            (
                "unlimited_gifts",
                "limited_gifts",
                "unique_gifts",
                "premium_subscription",
                "gifts_from_channels",
            ),
            False,
        ),
    }


def leave_chat(world: TelegramWorld, params: Params) -> bool:
    """leaveChat: groups only."""
    chat = open_chat_of(world, params)
    if chat.private:
        raise bad_request("chat member status can't be changed in private chats")
    chat.left = True
    world.emit(chat, "status", {"left": True})
    return True


def set_my_commands(world: TelegramWorld, params: Params) -> bool:
    """setMyCommands: one list for each scope and language."""
    commands = params.mappings("commands", "expected an Array of BotCommand")
    if len(commands) > COMMANDS_MAX:
        raise bad_request("BOT_COMMANDS_TOO_MUCH")
    for command in commands:
        if not _COMMAND.fullmatch(str(command.get("command", "")).removeprefix("/")):
            raise bad_request("BOT_COMMAND_INVALID")
        if not 1 <= utf16_len(str(command.get("description", ""))) <= COMMAND_DESCRIPTION_UNITS_MAX:
            raise bad_request("BOT_COMMAND_DESCRIPTION_INVALID")
    world.commands[_scope_key(world, params)] = [
        {"command": str(c["command"]).removeprefix("/"), "description": str(c["description"])}
        for c in commands
    ]
    return True


def get_my_commands(world: TelegramWorld, params: Params) -> list[Json]:
    """getMyCommands: exactly this scope and language, without falling back to another."""
    return world.commands.get(_scope_key(world, params), [])


def delete_my_commands(world: TelegramWorld, params: Params) -> bool:
    """deleteMyCommands."""
    world.commands.pop(_scope_key(world, params), None)
    return True


def set_my_description(world: TelegramWorld, params: Params) -> bool:
    """setMyDescription: shown in an empty chat."""
    return _set_text(world, params, "description", DESCRIPTION_UNITS_MAX)


def set_my_short_description(world: TelegramWorld, params: Params) -> bool:
    """setMyShortDescription: shown on the bot's profile."""
    return _set_text(world, params, "short_description", SHORT_DESCRIPTION_UNITS_MAX)


def set_chat_menu_button(world: TelegramWorld, params: Params) -> bool:
    """setChatMenuButton, for one private chat or for all."""
    button = params.mapping("menu_button", "can't parse menu button: MenuButton must be an Object")
    button = button or {"type": "default"}
    if str(button.get("type")) not in {"default", "commands", "web_app"}:
        raise bad_request("can't parse menu button: MenuButton has unsupported type")
    app = button.get("web_app")
    secure = isinstance(app, dict) and str(app.get("url")).startswith("https://")
    if button["type"] == "web_app" and not secure:
        raise bad_request("can't parse menu button: Web App URL must use HTTPS")
    if params.get("chat_id"):
        open_chat_of(world, params, write=False).menu_button = button
    else:
        world.menu_button = button
    return True


def _set_text(world: TelegramWorld, params: Params, name: str, units_max: int) -> bool:
    text, language = params.text(name), params.text("language_code")
    if utf16_len(text) > units_max:
        raise bad_request("DESCRIPTION_TOO_LONG")
    if not _LANGUAGE.fullmatch(language):
        raise bad_request("invalid language code specified")
    world.texts[name, language] = text
    return True


def _scope_key(world: TelegramWorld, params: Params) -> tuple[str, str]:
    """A scope as one word, and the language. Raises: ApiError 400 for a scope or chat that is
    not there."""
    scope = params.mapping(
        "scope", "can't parse BotCommandScope: BotCommandScope must be an Object"
    )
    kind, language = str(scope.get("type", "default")), params.text("language_code")
    if kind not in _SCOPES:
        raise bad_request("can't parse BotCommandScope: Unsupported type specified")
    if not _LANGUAGE.fullmatch(language):
        raise bad_request("invalid language code specified")
    if kind.startswith("chat"):
        chat_id = scope.get("chat_id")
        if not isinstance(chat_id, int) or chat_id not in world.chats:
            raise bad_request("chat not found")
        return f"{kind} {chat_id} {scope.get('user_id', '')}".strip(), language
    return kind, language


Method = Callable[[TelegramWorld, Params], Any]

# getUpdates is not here: it waits, and is handled by the update queue.
METHODS: dict[str, Method] = {
    "answerCallbackQuery": answer_callback_query,
    "deleteMessage": delete_message,
    "deleteMyCommands": delete_my_commands,
    "deleteWebhook": delete_webhook,
    "editMessageReplyMarkup": edit_message_reply_markup,
    "editMessageText": edit_message_text,
    "getChat": get_chat,
    "getFile": get_file,
    "getMe": get_me,
    "getMyCommands": get_my_commands,
    "getWebhookInfo": get_webhook_info,
    "leaveChat": leave_chat,
    "sendChatAction": send_chat_action,
    "sendDocument": send_document,
    "sendMediaGroup": send_media_group,
    "sendMessage": send_message,
    "sendMessageDraft": send_message_draft,
    "sendPhoto": send_photo,
    "setChatMenuButton": set_chat_menu_button,
    "setMessageReaction": set_message_reaction,
    "setMyCommands": set_my_commands,
    "setMyDescription": set_my_description,
    "setMyShortDescription": set_my_short_description,
}
GET_UPDATES = "getUpdates"
# The server does not care about upper and lower case in a method's name.
METHOD_NAMES = {name.lower(): name for name in [*METHODS, GET_UPDATES]}

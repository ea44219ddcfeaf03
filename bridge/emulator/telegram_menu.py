"""The Bot API's methods about what a bot says of itself: commands, descriptions, menu button."""

from __future__ import annotations

import re

from bridge.emulator.telegram_methods import open_chat_of
from bridge.emulator.telegram_params import Params
from bridge.emulator.telegram_state import Chat, Json, bad_request
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
    _tell(world)
    return True


def get_my_commands(world: TelegramWorld, params: Params) -> list[Json]:
    """getMyCommands: exactly this scope and language, without falling back to another."""
    return world.commands.get(_scope_key(world, params), [])


def delete_my_commands(world: TelegramWorld, params: Params) -> bool:
    """deleteMyCommands."""
    world.commands.pop(_scope_key(world, params), None)
    _tell(world)
    return True


def _tell(world: TelegramWorld) -> None:
    for chat in world.chats.values():
        world.emit(chat, "menu", {})


def commands_for(world: TelegramWorld, chat: Chat, user_id: int, language: str) -> list[Json]:
    """The commands a client offers someone: those of the narrowest scope that has any, in the
    language of the person before those for everyone."""
    place = chat.chat_id
    if chat.private:
        scopes = [f"chat {place}", "all_private_chats", "default"]
    else:
        admin = user_id in chat.admins
        scopes = [
            f"chat_member {place} {user_id}",
            *([f"chat_administrators {place}"] if admin else []),
            f"chat {place}",
            *(["all_chat_administrators"] if admin else []),
            "all_group_chats",
            "default",
        ]
    keys = [(scope, spoken) for scope in scopes for spoken in (language, "")]
    return next((world.commands[key] for key in keys if key in world.commands), [])


def text_for(world: TelegramWorld, name: str, language: str) -> str:
    """A description as someone reads it: in their language, or the one for everyone."""
    return world.texts.get((name, language)) or world.texts.get((name, ""), "")


def get_my_description(world: TelegramWorld, params: Params) -> Json:
    """getMyDescription."""
    return {"description": text_for(world, "description", params.text("language_code"))}


def get_my_short_description(world: TelegramWorld, params: Params) -> Json:
    """getMyShortDescription."""
    shown = text_for(world, "short_description", params.text("language_code"))
    return {"short_description": shown}


def get_chat_menu_button(world: TelegramWorld, params: Params) -> Json:
    """getChatMenuButton, of one private chat or of all."""
    own = open_chat_of(world, params, write=False).menu_button if params.get("chat_id") else None
    return own or world.menu_button


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
        chat = open_chat_of(world, params, write=False)
        if not chat.private:
            raise bad_request("the chat is not a private chat")
        chat.menu_button = button
    else:
        world.menu_button = button
    _tell(world)
    return True


def _set_text(world: TelegramWorld, params: Params, name: str, units_max: int) -> bool:
    text, language = params.text(name), params.text("language_code")
    if utf16_len(text) > units_max:
        raise bad_request("DESCRIPTION_TOO_LONG")
    if not _LANGUAGE.fullmatch(language):
        raise bad_request("invalid language code specified")
    world.texts[name, language] = text
    _tell(world)
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
        if kind != "chat" and chat_id > 0:
            raise bad_request("can't use the scope in private chats")
        if kind == "chat_member" and not isinstance(scope.get("user_id"), int):
            raise bad_request("can't parse BotCommandScope: Can't find field \"user_id\"")
        return f"{kind} {chat_id} {scope.get('user_id', '')}".strip(), language
    return kind, language

"""The Bot API's methods about who is in a chat."""

from __future__ import annotations

from bridge.emulator.telegram_methods import open_chat_of
from bridge.emulator.telegram_objects import membership
from bridge.emulator.telegram_params import Params
from bridge.emulator.telegram_state import Chat, Json, bad_request
from bridge.emulator.telegram_world import TelegramWorld


def leave_chat(world: TelegramWorld, params: Params) -> bool:
    """leaveChat: groups only."""
    chat = open_chat_of(world, params)
    if chat.private:
        raise bad_request("chat member status can't be changed in private chats")
    was, chat.bot_status = chat.bot_status, "left"
    world.report_membership(chat, world.me, was, "left")
    world.emit(chat, "status", {"left": True})
    return True


def get_chat_member(world: TelegramWorld, params: Params) -> Json:
    """getChatMember: someone of a group, or the bot itself. Raises: ApiError 400."""
    chat = open_chat_of(world, params)
    user_id = params.number("user_id")
    if user_id == world.me["id"]:
        return membership(world.me, chat.bot_status)
    if user_id not in chat.members:
        raise bad_request("member not found")
    return _member(chat, user_id)


def get_chat_administrators(world: TelegramWorld, params: Params) -> list[Json]:
    """getChatAdministrators, without bots other than this one."""
    chat = _group(world, params)
    found = [_member(chat, user_id) for user_id in sorted(chat.admins & chat.members.keys())]
    if chat.bot_status == "administrator":
        found.append(membership(world.me, "administrator"))
    return found


def get_chat_member_count(world: TelegramWorld, params: Params) -> int:
    """getChatMemberCount, the bot included."""
    chat = open_chat_of(world, params)
    return 2 if chat.private else len(chat.members) + 1


def _group(world: TelegramWorld, params: Params) -> Chat:
    chat = open_chat_of(world, params)
    if chat.private:
        raise bad_request("there are no administrators in the private chat")
    return chat


def _member(chat: Chat, user_id: int) -> Json:
    status = "creator" if user_id in chat.admins else "member"
    return membership(chat.members[user_id], status)

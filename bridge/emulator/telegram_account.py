"""The Bot API's methods about the bot and its chats, and the table of all methods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bridge.emulator.telegram_drafts import send_message_draft, send_rich_message_draft
from bridge.emulator.telegram_media import (
    get_file,
    send_audio,
    send_document,
    send_media_group,
    send_photo,
    send_voice,
)
from bridge.emulator.telegram_members import (
    get_chat_administrators,
    get_chat_member,
    get_chat_member_count,
    leave_chat,
)
from bridge.emulator.telegram_menu import (
    delete_my_commands,
    get_chat_menu_button,
    get_my_commands,
    get_my_description,
    get_my_short_description,
    set_chat_menu_button,
    set_my_commands,
    set_my_description,
    set_my_short_description,
)
from bridge.emulator.telegram_methods import (
    delete_message,
    delete_messages,
    edit_message_caption,
    edit_message_reply_markup,
    edit_message_text,
    open_chat_of,
    pin_chat_message,
    send_message,
    send_rich_message,
    unpin_chat_message,
)
from bridge.emulator.telegram_params import Params
from bridge.emulator.telegram_signs import (
    answer_callback_query,
    send_chat_action,
    set_message_reaction,
)
from bridge.emulator.telegram_state import Json
from bridge.emulator.telegram_topics import (
    close_forum_topic,
    create_forum_topic,
    delete_forum_topic,
    edit_forum_topic,
    reopen_forum_topic,
)
from bridge.emulator.telegram_world import TelegramWorld


def get_me(world: TelegramWorld, params: Params) -> Json:
    """getMe."""
    return world.me | {
        "can_join_groups": True,
        "can_read_all_group_messages": not world.privacy,
        "supports_inline_queries": False,
        "can_connect_to_business": False,
        "has_main_web_app": False,
        "has_topics_enabled": world.topics_enabled,
        "allows_users_to_create_topics": world.topics_enabled,
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


Method = Callable[[TelegramWorld, Params], Any]

# getUpdates is not here: it waits, and is handled by the update queue.
METHODS: dict[str, Method] = {
    "answerCallbackQuery": answer_callback_query,
    "closeForumTopic": close_forum_topic,
    "createForumTopic": create_forum_topic,
    "deleteForumTopic": delete_forum_topic,
    "deleteMessage": delete_message,
    "deleteMessages": delete_messages,
    "deleteMyCommands": delete_my_commands,
    "deleteWebhook": delete_webhook,
    "editForumTopic": edit_forum_topic,
    "editMessageCaption": edit_message_caption,
    "editMessageReplyMarkup": edit_message_reply_markup,
    "editMessageText": edit_message_text,
    "getChat": get_chat,
    "getChatAdministrators": get_chat_administrators,
    "getChatMember": get_chat_member,
    "getChatMemberCount": get_chat_member_count,
    "getChatMenuButton": get_chat_menu_button,
    "getFile": get_file,
    "getMe": get_me,
    "getMyCommands": get_my_commands,
    "getMyDescription": get_my_description,
    "getMyShortDescription": get_my_short_description,
    "getWebhookInfo": get_webhook_info,
    "leaveChat": leave_chat,
    "pinChatMessage": pin_chat_message,
    "reopenForumTopic": reopen_forum_topic,
    "sendAudio": send_audio,
    "sendChatAction": send_chat_action,
    "sendDocument": send_document,
    "sendMediaGroup": send_media_group,
    "sendMessage": send_message,
    "sendMessageDraft": send_message_draft,
    "sendPhoto": send_photo,
    "sendRichMessage": send_rich_message,
    "sendRichMessageDraft": send_rich_message_draft,
    "sendVoice": send_voice,
    "setChatMenuButton": set_chat_menu_button,
    "setMessageReaction": set_message_reaction,
    "setMyCommands": set_my_commands,
    "setMyDescription": set_my_description,
    "setMyShortDescription": set_my_short_description,
    "unpinChatMessage": unpin_chat_message,
}
GET_UPDATES = "getUpdates"
# The server does not care about upper and lower case in a method's name.
METHOD_NAMES = {name.lower(): name for name in [*METHODS, GET_UPDATES]}

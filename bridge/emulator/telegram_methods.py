"""The Bot API's methods about messages: send, edit, delete.

Each method is a plain function of the world and the arguments, named as in the Bot API, and
answers what the real one answers. It either does all of its work or raises ApiError having
done nothing. Descriptions are the server's (tdlib and the Bot API's Client.cpp).
"""

from __future__ import annotations

from bridge.emulator.telegram_keyboards import any_keyboard, inline_keyboard
from bridge.emulator.telegram_objects import message_to_api
from bridge.emulator.telegram_params import Params
from bridge.emulator.telegram_rich import RICH_FIELD, rich_of
from bridge.emulator.telegram_state import (
    ApiError,
    Chat,
    ChatMessage,
    Json,
    bad_request,
)
from bridge.emulator.telegram_text import (
    CAPTION_UNITS_MAX,
    TEXT_UNITS_MAX,
    formatted,
    utf16_len,
)
from bridge.emulator.telegram_world import TelegramWorld

QUOTE_UNITS_MAX = 1024  # the limit of TextQuote in a reply
DELETE_MAX = 100  # BulkRequestLimit.MAX_LIMIT
DELETE_S_MAX = 48 * 3600  # an older message stays
GENERAL_THREAD = 1  # every forum has it; sends must leave it out


def open_chat_of(world: TelegramWorld, params: Params, *, write: bool = True) -> Chat:
    """The chat a call names. Raises: ApiError 400 for one nobody opened with this bot or that
    has another id now, 403 for one that blocked it or that it left when the call wants to
    write."""
    if not params.get("chat_id"):
        raise bad_request("chat_id is empty")
    chat = world.chats.get(params.number("chat_id"))
    if chat is None:
        raise bad_request("chat not found")
    if chat.migrated_to is not None:
        upgraded = "Bad Request: group chat was upgraded to a supergroup chat"
        raise ApiError(400, upgraded, migrate_to=chat.migrated_to)
    if write and chat.blocked:
        raise ApiError(403, "Forbidden: bot was blocked by the user")
    if write and chat.left:
        kind = chat.info["type"]
        where = "was kicked from" if chat.bot_status == "kicked" else "is not a member of"
        raise ApiError(403, f"Forbidden: bot {where} the {kind} chat")
    return chat


def check_thread(chat: Chat, params: Params, *, general: bool = False) -> int | None:
    """The thread a call names, None without one. Raises: ApiError 400 when it is not there.

    The General topic has an id only for signs (`general`): a message to it must leave it out.
    """
    thread_id = params.number("message_thread_id") or None
    if thread_id == GENERAL_THREAD and general:
        return None
    if thread_id is not None and thread_id not in chat.threads - {GENERAL_THREAD}:
        raise bad_request("message thread not found")
    return thread_id


def new_message(world: TelegramWorld, chat: Chat, params: Params) -> ChatMessage:
    """A message of the bot with what all sends share; not visible yet.

    Raises: ApiError 400 for a reply, quote, thread or keyboard that cannot be.
    """
    refuse_parse_mode(params)
    thread_id = check_thread(chat, params)
    topic = chat.topics.get(thread_id) if thread_id is not None else None
    if topic is not None and topic.closed and chat.bot_status != "administrator":
        raise bad_request("TOPIC_CLOSED")
    reply_to, quote = _reply(chat, params)
    buttons, keyboard = any_keyboard(params)
    return ChatMessage(
        message_id=0,
        chat_id=chat.chat_id,
        from_bot=True,
        sender=world.me,
        date=int(world.now()),
        reply_to=reply_to,
        quote=quote,
        buttons=buttons,
        keyboard=keyboard,
        thread_id=thread_id,
        silent=params.flag("disable_notification"),
    )


def show_new(world: TelegramWorld, chat: Chat, message: ChatMessage) -> Json:
    """Give a message its id and make it visible."""
    message.message_id = world.next_message_id(chat.chat_id)
    world.add_message(chat, message)
    return message_to_api(message, chat)


def refuse_parse_mode(params: Params) -> None:
    """KITT sends entities, never markup: a parse mode is a mistake, and the answer says so."""
    if params.get("parse_mode"):
        raise bad_request("can't parse entities: this bot must send entities, not a parse_mode")


def send_message(world: TelegramWorld, params: Params) -> Json:
    """sendMessage."""
    chat = open_chat_of(world, params)
    message = new_message(world, chat, params)
    message.text, message.entities = _message_text(params)
    message.link_preview = params.get("link_preview_options")
    return show_new(world, chat, message)


def send_rich_message(world: TelegramWorld, params: Params) -> Json:
    """sendRichMessage: a message of blocks instead of a text."""
    chat = open_chat_of(world, params)
    message = new_message(world, chat, params)
    message.rich = rich_of(params)
    return show_new(world, chat, message)


def edit_message_text(world: TelegramWorld, params: Params) -> Json:
    """editMessageText, to a text or to a rich message; either becomes the other. A keyboard that
    is not sent again is removed, as the server does."""
    chat = open_chat_of(world, params)
    refuse_parse_mode(params)
    message = _own_message(chat, params)
    if params.get(RICH_FIELD) is not None:
        if params.text("text"):
            raise bad_request("can't use both text and rich message")
        text, entities, rich = "", list[Json](), rich_of(params)
    else:
        (text, entities), rich = _message_text(params), None
    buttons = inline_keyboard(params)
    if message.file is not None or message.service is not None:
        raise bad_request("there is no text in the message to edit")
    shown = (message.text, message.entities, message.rich, message.buttons)
    if (text, entities, rich, buttons) == shown:
        raise _not_modified()
    message.text, message.entities, message.rich = text, entities, rich
    if "link_preview_options" in params.values:
        message.link_preview = params.get("link_preview_options")
    return _show_edit(world, chat, message, buttons)


def edit_message_caption(world: TelegramWorld, params: Params) -> Json:
    """editMessageCaption."""
    chat = open_chat_of(world, params)
    refuse_parse_mode(params)
    message = _own_message(chat, params)
    if message.file is None:
        raise bad_request("there is no caption in the message to edit")
    caption, entities = formatted(
        params.text("caption"), params.get("caption_entities"), units_max=CAPTION_UNITS_MAX
    )
    buttons = inline_keyboard(params)
    if (caption, entities, buttons) == (message.text, message.entities, message.buttons):
        raise _not_modified()
    message.text, message.entities = caption, entities
    return _show_edit(world, chat, message, buttons)


def edit_message_reply_markup(world: TelegramWorld, params: Params) -> Json:
    """editMessageReplyMarkup."""
    chat = open_chat_of(world, params)
    message = _own_message(chat, params)
    buttons = inline_keyboard(params)
    if buttons == message.buttons:
        raise _not_modified()
    return _show_edit(world, chat, message, buttons)


def delete_message(world: TelegramWorld, params: Params) -> bool:
    """deleteMessage. In a group a bot that is no administrator deletes only its own; and nobody
    anything older than two days."""
    chat = open_chat_of(world, params)
    message = chat.messages.get(params.number("message_id"))
    if message is None:
        raise bad_request("message to delete not found")
    if not _may_delete(world, chat, message):
        raise bad_request("message can't be deleted")
    world.remove_message(chat, message.message_id)
    return True


def delete_messages(world: TelegramWorld, params: Params) -> bool:
    """deleteMessages: up to a hundred; those that are not there or may not go are skipped."""
    chat = open_chat_of(world, params)
    ids = params.get("message_ids")
    if not isinstance(ids, list) or not all(isinstance(number, int) for number in ids):
        raise bad_request("can't parse message identifiers JSON object")
    if not 1 <= len(ids) <= DELETE_MAX:
        raise bad_request("there must be from 1 to 100 message identifiers")
    for message in [chat.messages[number] for number in ids if number in chat.messages]:
        if _may_delete(world, chat, message):
            world.remove_message(chat, message.message_id)
    return True


def pin_chat_message(world: TelegramWorld, params: Params) -> bool:
    """pinChatMessage. In a group only an administrator may."""
    chat = _pinnable(world, params)
    message_id = params.number("message_id")
    if message_id not in chat.messages:
        raise bad_request("message to pin not found")
    chat.pinned = [*(pinned for pinned in chat.pinned if pinned != message_id), message_id]
    world.emit(chat, "status", {})
    return True


def unpin_chat_message(world: TelegramWorld, params: Params) -> bool:
    """unpinChatMessage: this one, or without an id the newest."""
    chat = _pinnable(world, params)
    newest = chat.pinned[-1] if chat.pinned else 0
    message_id = params.number("message_id") or newest
    if message_id not in chat.pinned:
        raise bad_request("message to unpin not found")
    chat.pinned.remove(message_id)
    world.emit(chat, "status", {})
    return True


def _pinnable(world: TelegramWorld, params: Params) -> Chat:
    chat = open_chat_of(world, params)
    if not chat.private and chat.bot_status != "administrator":
        raise bad_request("not enough rights to manage pinned messages in the chat")
    return chat


def _may_delete(world: TelegramWorld, chat: Chat, message: ChatMessage) -> bool:
    foreign = not chat.private and not message.from_bot and chat.bot_status != "administrator"
    return not foreign and world.now() - message.date <= DELETE_S_MAX


def _message_text(params: Params) -> tuple[str, list[Json]]:
    text, entities = formatted(
        params.text("text"), params.get("entities"), units_max=TEXT_UNITS_MAX
    )
    if not text:
        raise bad_request("message text is empty")
    return text, entities


def _reply(chat: Chat, params: Params) -> tuple[int | None, Json | None]:
    """The replied message's id and the quote; both None when the reply may be dropped."""
    reply = params.mapping("reply_parameters", "object expected as reply parameters")
    if not reply:
        return None, None
    message_id = reply.get("message_id")
    if not isinstance(message_id, int):
        raise bad_request('can\'t find field "message_id"')
    original = chat.messages.get(message_id)
    if original is None:
        if reply.get("allow_sending_without_reply"):
            return None, None
        raise bad_request("message to be replied not found")
    text = str(reply.get("quote") or "")
    if not text:
        return message_id, None
    if text not in original.text or utf16_len(text) > QUOTE_UNITS_MAX:
        raise bad_request("QUOTE_TEXT_INVALID")
    position = utf16_len(original.text[: original.text.index(text)])
    return message_id, {"text": text, "position": position, "is_manual": True}


def _own_message(chat: Chat, params: Params) -> ChatMessage:
    message = chat.messages.get(params.number("message_id"))
    if message is None:
        raise bad_request("message to edit not found")
    if not message.from_bot:
        raise bad_request("message can't be edited")
    return message


def _not_modified() -> ApiError:
    return bad_request(
        "message is not modified: specified new message content and reply markup are exactly "
        "the same as a current content and reply markup of the message"
    )


def _show_edit(
    world: TelegramWorld, chat: Chat, message: ChatMessage, buttons: list[list[Json]]
) -> Json:
    message.buttons = buttons
    message.edits += 1
    message.edited_at = int(world.now())
    world.show(chat, message)
    return message_to_api(message, chat)

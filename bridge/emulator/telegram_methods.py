"""The Bot API's methods about messages: send, edit, delete, react, answer, type.

Each method is a plain function of the world and the arguments, named as in the Bot API, and
answers what the real one answers. It either does all of its work or raises ApiError having
done nothing. Descriptions are the server's (tdlib and the Bot API's Client.cpp).
"""

from __future__ import annotations

from bridge.emulator.telegram_params import Params, inline_keyboard
from bridge.emulator.telegram_state import (
    ApiError,
    CallbackAnswer,
    Chat,
    ChatMessage,
    Json,
    bad_request,
    message_to_api,
)
from bridge.emulator.telegram_text import TEXT_UNITS_MAX, formatted, utf16_len
from bridge.emulator.telegram_world import TelegramWorld

ANSWER_UNITS_MAX = 200  # CallbackQueryLimit.ANSWER_CALLBACK_QUERY_TEXT_LENGTH
QUOTE_UNITS_MAX = 1024  # the limit of TextQuote in a reply
GENERAL_THREAD = 1  # every forum has it; sends must leave it out
ACTION_S = 5.0  # a typing sign lasts five seconds or until the next message

CHAT_ACTIONS = frozenset(
    {"typing", "upload_photo", "record_video", "upload_video", "record_voice", "upload_voice"}
    | {"upload_document", "choose_sticker", "find_location", "record_video_note"}
    | {"upload_video_note"}
)
# The whole set a bot may use (ReactionEmoji). An hourglass, a tick, a cross, a gear are not in it.
_JOINED_REACTIONS = frozenset(
    {"❤\ufe0f\u200d🔥", "👨\u200d💻", "🤷\u200d♂\ufe0f", "🤷\u200d♀\ufe0f"}
)
REACTIONS = _JOINED_REACTIONS | frozenset(
    "👍👎❤🔥🥰👏😁🤔🤯😱🤬😢🎉🤩🤮💩🙏👌🕊🤡🥱🥴😍🐳🌚🌭💯🤣⚡🍌🏆💔🤨😐"
    "🍓🍾💋🖕😈😴😭🤓👻👀🎃🙈😇😨🤝✍🤗🫡🎅🎄☃💅🤪🗿🆒💘🙉🦄😘💊🙊😎👾🤷😡"
)


def open_chat_of(world: TelegramWorld, params: Params, *, write: bool = True) -> Chat:
    """The chat a call names. Raises: ApiError 400 for one nobody opened with this bot, 403 for
    one that blocked or left it when the call wants to write."""
    if not params.get("chat_id"):
        raise bad_request("chat_id is empty")
    chat = world.chats.get(params.number("chat_id"))
    if chat is None:
        raise bad_request("chat not found")
    if write and chat.blocked:
        raise ApiError(403, "Forbidden: bot was blocked by the user")
    if write and chat.left:
        kind = chat.info["type"]
        raise ApiError(403, f"Forbidden: bot is not a member of the {kind} chat")
    return chat


def new_message(world: TelegramWorld, chat: Chat, params: Params) -> ChatMessage:
    """A message of the bot with what all sends share; not visible yet.

    Raises: ApiError 400 for a reply, quote, thread or keyboard that cannot be.
    """
    refuse_parse_mode(params)
    thread_id = params.number("message_thread_id") or None
    if thread_id is not None and thread_id not in chat.threads - {GENERAL_THREAD}:
        raise bad_request("message thread not found")
    reply_to, quote = _reply(chat, params)
    return ChatMessage(
        message_id=0,
        chat_id=chat.chat_id,
        from_bot=True,
        sender=world.me,
        date=int(world.now()),
        reply_to=reply_to,
        quote=quote,
        buttons=inline_keyboard(params),
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


def edit_message_text(world: TelegramWorld, params: Params) -> Json:
    """editMessageText. A keyboard that is not sent again is removed, as the server does."""
    chat = open_chat_of(world, params)
    refuse_parse_mode(params)
    message = _own_message(chat, params)
    text, entities = _message_text(params)
    buttons = inline_keyboard(params)
    if message.file is not None:
        raise bad_request("there is no text in the message to edit")
    if (text, entities, buttons) == (message.text, message.entities, message.buttons):
        raise _not_modified()
    message.text, message.entities = text, entities
    if "link_preview_options" in params.values:
        message.link_preview = params.get("link_preview_options")
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
    """deleteMessage. In a group a bot that is no administrator deletes only its own."""
    chat = open_chat_of(world, params)
    message = chat.messages.get(params.number("message_id"))
    if message is None:
        raise bad_request("message to delete not found")
    if not chat.private and not message.from_bot:
        raise bad_request("message can't be deleted")
    world.remove_message(chat, message.message_id)
    return True


def send_chat_action(world: TelegramWorld, params: Params) -> bool:
    """sendChatAction."""
    chat = open_chat_of(world, params)
    action = params.text("action")
    if action not in CHAT_ACTIONS:
        raise bad_request("wrong parameter action in request")
    world.emit(chat, "action", {"action": action, "seconds": ACTION_S})
    return True


def send_message_draft(world: TelegramWorld, params: Params) -> bool:
    """sendMessageDraft: a passing preview in a private chat; an empty one shows "Thinking…"."""
    chat = open_chat_of(world, params)
    refuse_parse_mode(params)
    if not chat.private:
        raise bad_request("method is available only in private chats")
    if not params.number("draft_id"):
        raise bad_request("RANDOM_ID_INVALID")
    text, entities = formatted(
        params.text("text"), params.get("entities"), units_max=TEXT_UNITS_MAX
    )
    world.emit(
        chat,
        "draft",
        {
            "draft_id": params.number("draft_id"),
            "text": text,
            "entities": entities,
            "can_stop": params.flag("can_stop"),
        },
    )
    return True


def set_message_reaction(world: TelegramWorld, params: Params) -> bool:
    """setMessageReaction: at most one emoji of the fixed set, or none to take it away."""
    chat = open_chat_of(world, params)
    message = chat.messages.get(params.number("message_id"))
    if message is None:
        raise bad_request("message to react not found")
    reactions = []
    if params.get("reaction"):
        reactions = params.mappings("reaction", "expected an Array of ReactionType")
    if len(reactions) > 1:
        raise bad_request("REACTIONS_TOO_MANY")
    if any(r.get("type") != "emoji" or str(r.get("emoji")) not in REACTIONS for r in reactions):
        raise bad_request("REACTION_INVALID")
    message.reaction = reactions[0]["emoji"] if reactions else None
    world.show(chat, message)
    return True


def answer_callback_query(world: TelegramWorld, params: Params) -> bool:
    """answerCallbackQuery. The text shows as a toast, with show_alert as a dialog."""
    query = world.live_query(params.text("callback_query_id"))
    text = params.text("text")
    if utf16_len(text) > ANSWER_UNITS_MAX:
        raise bad_request("MESSAGE_TOO_LONG")
    answer = CallbackAnswer(
        query_id=query.query_id,
        data=query.data,
        text=text,
        show_alert=params.flag("show_alert"),
    )
    chat = world.chats[query.chat_id]
    message = chat.messages.get(query.message_id)
    if message is not None:
        message.answers = [*message.answers, answer]
    world.emit(
        chat,
        "toast",
        {"query_id": query.query_id, "text": text, "show_alert": answer.show_alert},
    )
    return True


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

"""The Bot API's methods that leave no message: typing, reactions, answers to presses."""

from __future__ import annotations

from bridge.emulator.telegram_methods import check_thread, open_chat_of
from bridge.emulator.telegram_params import Params
from bridge.emulator.telegram_state import CallbackAnswer, bad_request
from bridge.emulator.telegram_text import utf16_len
from bridge.emulator.telegram_world import TelegramWorld

ANSWER_UNITS_MAX = 200  # CallbackQueryLimit.ANSWER_CALLBACK_QUERY_TEXT_LENGTH
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


def send_chat_action(world: TelegramWorld, params: Params) -> bool:
    """sendChatAction. Here the General topic may be named."""
    chat = open_chat_of(world, params)
    thread_id = check_thread(chat, params, general=True)
    action = params.text("action")
    if action not in CHAT_ACTIONS:
        raise bad_request("wrong parameter action in request")
    world.emit(chat, "action", {"action": action, "seconds": ACTION_S, "thread_id": thread_id})
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

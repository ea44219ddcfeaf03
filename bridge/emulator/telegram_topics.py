"""The Bot API's methods about topics, in forum supergroups and in private chats.

A topic's id is that of the message that made it. The General topic has no such message: sends
must leave its id out.
"""

from __future__ import annotations

from bridge.emulator.telegram_methods import GENERAL_THREAD, open_chat_of
from bridge.emulator.telegram_params import Params
from bridge.emulator.telegram_state import Chat, ChatMessage, Json, Topic, bad_request
from bridge.emulator.telegram_text import utf16_len
from bridge.emulator.telegram_world import TelegramWorld

NAME_UNITS_MAX = 128  # ForumTopicLimit.MAX_NAME_LENGTH
TOPIC_COLOR = 0x6FB9F0  # the blue a client takes when nobody chooses
COLORS = frozenset({TOPIC_COLOR, 0xFFD67E, 0xCB86DB, 0x8EEE98, 0xFF93B2, 0xFB6F5F})


def new_topic(
    world: TelegramWorld, chat: Chat, creator: Json, name: str, color: int, *, from_bot: bool
) -> ChatMessage:
    """Add a topic; the message about it, whose id is the topic's and which nobody sees yet."""
    thread_id = world.next_message_id(chat.chat_id)
    if thread_id == GENERAL_THREAD:  # the first message of a forum is never a topic
        thread_id = world.next_message_id(chat.chat_id)
    chat.threads.add(thread_id)
    chat.topics[thread_id] = Topic(thread_id=thread_id, name=name, icon_color=color)
    world.emit(chat, "topics", {})
    return ChatMessage(
        message_id=thread_id,
        chat_id=chat.chat_id,
        from_bot=from_bot,
        sender=creator,
        date=int(world.now()),
        service={"forum_topic_created": {"name": name, "icon_color": color}},
        thread_id=thread_id,
    )


def create_forum_topic(world: TelegramWorld, params: Params) -> Json:
    """createForumTopic. Raises: ApiError 400 without topics, rights or a name."""
    chat = _forum(world, params, "create a topic")
    name = _name(params)
    if not name:
        raise bad_request("TOPIC_TITLE_EMPTY")
    color = params.number("icon_color", TOPIC_COLOR)
    if color not in COLORS:
        raise bad_request("TOPIC_ICON_COLOR_INVALID")
    message = new_topic(world, chat, world.me, name, color, from_bot=True)
    world.add_message(chat, message)
    return {"message_thread_id": message.message_id, "name": name, "icon_color": color}


def edit_forum_topic(world: TelegramWorld, params: Params) -> bool:
    """editForumTopic: its name. An unchanged one is refused."""
    chat = _forum(world, params, "edit the topic")
    topic, name = _topic(chat, params), _name(params)
    if not name or name == topic.name:
        raise bad_request("TOPIC_NOT_MODIFIED")
    topic.name = name
    world.emit(chat, "topics", {})
    return True


def close_forum_topic(world: TelegramWorld, params: Params) -> bool:
    """closeForumTopic: nobody but administrators writes there any more. Groups only."""
    return _set_closed(world, params, closed=True)


def reopen_forum_topic(world: TelegramWorld, params: Params) -> bool:
    """reopenForumTopic."""
    return _set_closed(world, params, closed=False)


def delete_forum_topic(world: TelegramWorld, params: Params) -> bool:
    """deleteForumTopic, with all its messages."""
    chat = _forum(world, params, "delete the topic")
    thread_id = _topic(chat, params).thread_id
    for message_id in [m.message_id for m in chat.messages.values() if m.thread_id == thread_id]:
        world.remove_message(chat, message_id)
    del chat.topics[thread_id]
    chat.threads.discard(thread_id)
    world.emit(chat, "topics", {})
    return True


def _set_closed(world: TelegramWorld, params: Params, *, closed: bool) -> bool:
    chat = _forum(world, params, "close the topic" if closed else "reopen the topic")
    if chat.private:
        raise bad_request("the chat is not a supergroup forum")
    topic = _topic(chat, params)
    if topic.closed == closed:
        raise bad_request("TOPIC_NOT_MODIFIED")
    topic.closed = closed
    world.emit(chat, "topics", {})
    return True


def _forum(world: TelegramWorld, params: Params, what: str) -> Chat:
    chat = open_chat_of(world, params)
    if not world.has_topics(chat):
        raise bad_request("the chat is not a forum")
    if not chat.private and chat.bot_status != "administrator":
        raise bad_request(f"not enough rights to {what}")
    return chat


def _topic(chat: Chat, params: Params) -> Topic:
    topic = chat.topics.get(params.number("message_thread_id"))
    if topic is None:
        raise bad_request("TOPIC_ID_INVALID")
    return topic


def _name(params: Params) -> str:
    name = params.text("name").strip()
    if utf16_len(name) > NAME_UNITS_MAX:
        raise bad_request("TOPIC_TITLE_TOO_LONG")
    return name

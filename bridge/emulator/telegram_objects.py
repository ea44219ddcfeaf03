"""Messages in the words of the Bot API, and as the page and the control API show them."""

from __future__ import annotations

from bridge.emulator.telegram_state import Chat, ChatMessage, Json, StoredFile

_RIGHTS = (
    "can_manage_chat",
    "can_delete_messages",
    "can_manage_video_chats",
    "can_restrict_members",
    "can_promote_members",
    "can_change_info",
    "can_invite_users",
    "can_post_stories",
    "can_edit_stories",
    "can_delete_stories",
    "can_pin_messages",
    "can_manage_topics",
)


def message_to_api(message: ChatMessage, chat: Chat, *, with_reply: bool = True) -> Json:
    """The Bot API's Message object. The replied message is nested once, never deeper."""
    api: Json = {
        "message_id": message.message_id,
        "from": message.sender,
        "chat": chat.info,
        "date": message.date,
    }
    api |= _thread(message, chat)
    if message.edited_at is not None:
        api["edit_date"] = message.edited_at
    for name in ("media_group_id", "forward_origin", "quote"):
        if getattr(message, name) is not None:
            api[name] = getattr(message, name)
    if message.forward_origin is not None:
        api["forward_date"] = message.forward_origin["date"]
    api |= _content(message)
    if message.link_preview is not None:
        api["link_preview_options"] = message.link_preview
    if message.buttons:
        api["reply_markup"] = {"inline_keyboard": message.buttons}
    if with_reply:
        original = _replied(message, chat)
        if original is not None:
            api["reply_to_message"] = message_to_api(original, chat, with_reply=False)
    return api


def _content(message: ChatMessage) -> Json:
    if message.service is not None:
        return message.service
    if message.rich is not None:
        return {"rich_message": message.rich}
    content: Json = {}
    file = message.file
    if file is not None:
        content[file.kind] = [file.to_api()] if file.kind == "photo" else file.to_api()
    if message.text:
        content["text" if file is None else "caption"] = message.text
    if message.entities:
        content["entities" if file is None else "caption_entities"] = message.entities
    return content


def _thread(message: ChatMessage, chat: Chat) -> Json:
    """A topic; or, in a supergroup without topics, the message that a chain of replies goes back
    to: an id that looks like a topic and to which nothing can be sent."""
    if message.thread_id is not None:
        return {"message_thread_id": message.thread_id, "is_topic_message": True}
    root = message
    while root.reply_to is not None and root.reply_to in chat.messages:
        root = chat.messages[root.reply_to]
    if root is message or chat.info["type"] != "supergroup" or chat.info.get("is_forum"):
        return {}
    return {"message_thread_id": root.message_id}


def _replied(message: ChatMessage, chat: Chat) -> ChatMessage | None:
    """The message it replies to. In a topic of a group everything else replies, for the Bot
    API, to the message that made the topic."""
    if message.reply_to is not None:
        return chat.messages.get(message.reply_to)
    if message.thread_id is None or chat.private or message.thread_id == message.message_id:
        return None
    return chat.messages.get(message.thread_id)


def message_to_view(message: ChatMessage, chat: Chat) -> Json:
    """What the page and the control API show; files by their id, never their bytes."""
    file = message.file
    return {
        "message_id": message.message_id,
        "from_bot": message.from_bot,
        "user_id": message.sender["id"],
        "name": message.sender["first_name"],
        "date": message.date,
        "text": message.text,
        "entities": message.entities,
        "reply_to": message.reply_to,
        "quote": message.quote and message.quote["text"],
        "buttons": message.buttons,
        "keyboard": message.keyboard,
        "document": _file_view(message.document),
        "photo": _file_view(message.photo),
        "sound": _file_view(file) if file and file.kind in ("voice", "audio") else None,
        "video_note": _file_view(file) if file and file.kind == "video_note" else None,
        "rich": message.rich,
        "shows_rich": chat.shows_rich,
        "forwarded_from": message.forward_origin and _origin_name(message.forward_origin),
        "service": message.service,
        "media_group_id": message.media_group_id,
        "thread_id": message.thread_id,
        "silent": message.silent,
        "edits": message.edits,
        "reaction": message.reaction,
        "reactions": _reactions(message),
        "answers": [
            {"query_id": a.query_id, "data": a.data, "text": a.text, "show_alert": a.show_alert}
            for a in message.answers
        ],
    }


def _file_view(file: StoredFile | None) -> Json | None:
    return None if file is None else file.to_api() | {"kind": file.kind}


def _origin_name(origin: Json) -> str:
    user = origin.get("sender_user")
    return str(user["first_name"] if user else origin.get("sender_user_name", ""))


def _reactions(message: ChatMessage) -> list[Json]:
    """Each emoji with the people who chose it; the bot is 0."""
    chosen: dict[str, list[int]] = {}
    if message.reaction:
        chosen[message.reaction] = [0]
    for user_id, emoji in message.reactions.items():
        chosen.setdefault(emoji, []).append(user_id)
    return [{"emoji": emoji, "user_ids": users} for emoji, users in chosen.items()]


def membership(user: Json, status: str) -> Json:
    """The Bot API's ChatMember."""
    member: Json = {"user": user, "status": status}
    if status == "kicked":
        return member | {"until_date": 0}
    if status == "administrator":
        return (
            member | {"can_be_edited": False, "is_anonymous": False} | dict.fromkeys(_RIGHTS, True)
        )
    if status == "creator":
        return member | {"is_anonymous": False}
    return member

"""What a bot is shown of a group: with privacy on, only what is meant for it."""

from __future__ import annotations

from bridge.emulator.telegram_state import Chat, ChatMessage, Json


def reaches_bot(message: ChatMessage, chat: Chat, me: Json, *, privacy: bool) -> bool:
    """False for a message of a group the server keeps from the bot.

    Commands without a name and those with this bot's, mentions, replies to the bot and service
    messages reach it; an administrator, and a bot without privacy mode, sees everything.
    """
    if chat.private:
        return True
    if chat.left:
        return False
    if not privacy or chat.bot_status == "administrator" or message.service is not None:
        return True
    replied = chat.messages.get(message.reply_to) if message.reply_to is not None else None
    if replied is not None and replied.from_bot:
        return True
    return any(_is_for(entity, message.text, me) for entity in message.entities)


def _is_for(entity: Json, text: str, me: Json) -> bool:
    units = text.encode("utf-16-le", "surrogatepass")
    begin = entity["offset"] * 2
    shown = units[begin : begin + entity["length"] * 2].decode("utf-16-le", "replace").lower()
    name = f"@{me['username']}".lower()
    if entity["type"] == "mention":
        return shown == name
    if entity["type"] == "text_mention":
        return bool(entity["user"].get("id") == me["id"])
    if entity["type"] == "bot_command":
        return "@" not in shown or shown.endswith(name)
    return False

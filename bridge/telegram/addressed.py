"""Which messages of a group are for the bot: a mention, a reply to it, or a command.

Everything else in a group is other people's conversation and goes no further.
"""

import re
from dataclasses import dataclass
from typing import Final

from telegram import Message, MessageEntity

COMMAND: Final = re.compile(r"/[A-Za-z0-9_]{1,32}(?:@(\w{1,64}))?(?=\s|$)")


@dataclass(frozen=True, slots=True)
class Me:
    """The bot itself, as Telegram knows it."""

    id: int
    username: str


def addressed(message: Message, me: Me) -> str | None:
    """The words of a message of a group that is for the bot, without the mention; else None."""
    words = message.text or message.caption or ""
    command = COMMAND.match(words)
    if command is not None:
        meant = command[1]
        return words if not meant or meant.lower() == me.username.lower() else None
    mentions = [place for place in _mentions(message, words) if _is_me(place, words, me)]
    if mentions:
        return _without(words, mentions)
    return words if _replies_to(message, me) else None


def _mentions(message: Message, words: str) -> list[MessageEntity]:
    entities = message.entities if message.text else message.caption_entities
    return [each for each in entities if each.type in ("mention", "text_mention")]


def _is_me(entity: MessageEntity, words: str, me: Me) -> bool:
    if entity.type == "text_mention":
        return entity.user is not None and entity.user.id == me.id
    return _cut(words, entity.offset, entity.length).lower() == f"@{me.username}".lower()


def _replies_to(message: Message, me: Me) -> bool:
    """In a topic every message that replies to nothing says it replies to what made the topic."""
    replied = message.reply_to_message
    if replied is None or replied.from_user is None or replied.forum_topic_created is not None:
        return False
    return replied.from_user.id == me.id


def _without(words: str, mentions: list[MessageEntity]) -> str:
    """The words that are left; each mention goes with the comma and the space behind it."""
    kept, end = "", 0
    for entity in sorted(mentions, key=lambda each: each.offset):
        kept += _cut(words, end, entity.offset - end)
        end = entity.offset + entity.length
        rest = _cut(words, end, len(words) * 2)
        glue = len(rest) - len(re.sub(r"^[,:]?[ \t]+|^[,:]", "", rest))
        end += glue  # these signs are one unit each
    return (kept + _cut(words, end, len(words) * 2)).strip()


def _cut(words: str, offset: int, length: int) -> str:
    """Part of a text by UTF-16 units, as Telegram counts."""
    units = words.encode("utf-16-le", "surrogatepass")
    return units[2 * offset : 2 * (offset + length)].decode("utf-16-le", "replace")

"""What happens to a group as a whole: the bot comes in or goes out, the group gets another id."""

from dataclasses import dataclass
from typing import Final

from telegram import ChatMember, ChatMemberRestricted, Update

from bridge.models import clean_text
from bridge.telegram.texts import language_of

GROUPS: Final = ("group", "supergroup")


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """The bot was brought into a group (`inside`), or is no longer in it, by this person."""

    update_id: int
    chat_id: str
    title: str
    user_id: str
    name: str
    language: str
    inside: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """A group became a supergroup with another id; Telegram says it twice."""

    update_id: int
    old_id: str
    new_id: str


def read(update: Update) -> Membership | Moved | None:
    """What an update says of a group as a whole, or None."""
    message = update.message
    if message is not None and message.chat.type in GROUPS:
        here = str(message.chat.id)
        if message.migrate_to_chat_id is not None:
            to = str(message.migrate_to_chat_id)
            return Moved(update_id=update.update_id, old_id=here, new_id=to)
        if message.migrate_from_chat_id is not None:
            old = str(message.migrate_from_chat_id)
            return Moved(update_id=update.update_id, old_id=old, new_id=here)
    change = update.my_chat_member
    if change is None or change.chat.type not in GROUPS:
        return None
    before, after = _inside(change.old_chat_member), _inside(change.new_chat_member)
    if before == after:
        return None  # other rights, the same place
    return Membership(
        update_id=update.update_id,
        chat_id=str(change.chat.id),
        title=clean_text(change.chat.title or ""),
        user_id=str(change.from_user.id),
        name=clean_text(change.from_user.full_name),
        language=language_of(change.from_user.language_code),
        inside=after,
    )


def _inside(member: ChatMember) -> bool:
    if isinstance(member, ChatMemberRestricted):
        return member.is_member
    return member.status in ("member", "administrator", "creator")

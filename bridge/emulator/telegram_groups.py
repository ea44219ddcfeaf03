"""Groups: who is in them, topics made by people, and a group that becomes a supergroup."""

from __future__ import annotations

from bridge.emulator.telegram_people import People, Who, person
from bridge.emulator.telegram_state import Chat, ChatMessage, Json
from bridge.emulator.telegram_topics import TOPIC_COLOR, new_topic

_SUPERGROUP_OFFSET = -1_000_000_000_000


class Groups(People):
    """People in groups."""

    def open_group(
        self,
        chat_id: int,
        *members: tuple[int, str],
        title: str = "Group",
        forum: bool = False,
        owner: int | None = None,
    ) -> Chat:
        """A group with these people in it, each an id and a first name. `owner` runs it."""
        chat = self.open_chat(chat_id, title=title, forum=forum)
        for user_id, name in members:
            self.join(chat_id, user_id, name)
        if owner is not None:
            chat.admins.add(owner)
        return chat

    def join(
        self, chat_id: int, user_id: int, name: str, *, username: str = "", language: str = "en"
    ) -> None:
        """Someone is a member from now on; without a message about it."""
        user: Json = {
            "id": user_id,
            "is_bot": False,
            "first_name": name,
            "language_code": language,
        }
        chat = self.open_chat(chat_id)
        chat.members[user_id] = user | {"username": username} if username else user
        self.emit(chat, "status", {})

    def add_bot(self, chat_id: int, *, user_id: int, title: str = "Group") -> None:
        """Someone puts the bot into a group, new or known: `my_chat_member` and a message."""
        chat = self.open_chat(chat_id, title=title)
        chat.bot_status = "member"
        actor = person(chat, Who(user_id=user_id))
        self.report_membership(chat, actor, "left", "member")
        self.report(chat, actor, {"new_chat_members": [self.me], "new_chat_member": self.me})
        self.emit(chat, "status", {"left": False})

    def remove_bot(self, chat_id: int, *, user_id: int) -> None:
        """Someone throws the bot out: from now on every call to this chat is answered 403."""
        chat = self.chats[chat_id]
        was, chat.bot_status = chat.bot_status, "kicked"
        actor = person(chat, Who(user_id=user_id))
        self.report_membership(chat, actor, was, "kicked")
        self.emit(chat, "status", {"left": True})

    def promote_bot(self, chat_id: int, *, user_id: int) -> None:
        """Someone makes the bot an administrator: it sees all messages and reactions."""
        chat = self.chats[chat_id]
        was, chat.bot_status = chat.bot_status, "administrator"
        self.report_membership(chat, person(chat, Who(user_id=user_id)), was, "administrator")
        self.touch()

    def migrate(self, chat_id: int) -> int:
        """The group becomes a supergroup; its new id. Calls to the old one are refused with it.

        Raises: ValueError for what is no group, or not any more.
        """
        old = self.chats[chat_id]
        if old.info["type"] != "group" or old.migrated_to is not None:
            raise ValueError(f"chat {chat_id} is no group that can become a supergroup")
        new_id = _SUPERGROUP_OFFSET + chat_id - 1_000_000
        new = self.open_chat(new_id, title=old.info["title"])
        new.members, new.admins, new.bot_status = old.members, old.admins, old.bot_status
        actor = person(old, Who(user_id=next(iter([*old.admins, *old.members]), None)))
        self.report(old, actor, {"migrate_to_chat_id": new_id})
        old.migrated_to = new_id
        self.report(new, actor, {"migrate_from_chat_id": chat_id})
        return new_id

    def create_topic(
        self, chat_id: int, name: str, *, user_id: int | None = None, language: str = "en"
    ) -> int:
        """A person makes a topic; its thread id. Raises: ValueError where there are none."""
        chat = self.open_chat(chat_id)
        if not self.has_topics(chat):
            raise ValueError(f"chat {chat_id} has no topics")
        creator = person(chat, Who(user_id=user_id, language=language))
        message = new_topic(self, chat, creator, name, TOPIC_COLOR, from_bot=False)
        self.deliver(chat, message)
        return message.message_id

    def report(self, chat: Chat, actor: Json, service: Json) -> None:
        """A message that only says what happened."""
        message = ChatMessage(
            message_id=self.next_message_id(chat.chat_id),
            chat_id=chat.chat_id,
            from_bot=False,
            sender=actor,
            date=int(self.now()),
            service=service,
        )
        self.deliver(chat, message)

"""The emulated Telegram without its network: chats, ids, events, and what a test may observe.

Everything happens on one event loop and in one thread. Whatever changes calls `touch`, which
wakes every `wait_for` at once: nothing here polls or sleeps.
"""

from __future__ import annotations

import asyncio
import copy
import time
from collections import deque
from collections.abc import Callable, Iterable
from itertools import count
from typing import Self, TypeVar

from bridge.emulator.telegram_objects import membership
from bridge.emulator.telegram_state import (
    CALLS_MAX,
    Call,
    CallbackQuery,
    Chat,
    ChatEvent,
    ChatMessage,
    EventKind,
    Json,
    StoredFile,
    bad_request,
)
from bridge.emulator.telegram_updates import UpdateQueue

T = TypeVar("T")

CALLBACK_TTL_S = 60.0  # not published; a bot should answer within seconds
_SUPERGROUP_IDS_BELOW = -1_000_000_000_000  # ids of supergroups start with -100


class TelegramWorld:
    """All state of the emulator. `clock` gives monotonic and `now` Unix seconds.

    `privacy` is the bot's privacy mode in groups, `topics_enabled` its topics in private chats.
    """

    def __init__(
        self,
        *,
        token: str,
        username: str,
        privacy: bool = True,
        topics_enabled: bool = False,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.token = token
        self.privacy = privacy
        self.topics_enabled = topics_enabled
        self.clock = clock
        self.now = now
        self.me: Json = {
            "id": int(token.partition(":")[0]),
            "is_bot": True,
            "first_name": "KITT",
            "username": username,
        }
        self.chats: dict[int, Chat] = {}
        self.files: dict[str, StoredFile] = {}
        self.files_by_path: dict[str, StoredFile] = {}
        self.queries: dict[str, CallbackQuery] = {}
        self.updates = UpdateQueue()
        self.commands: dict[tuple[str, str], list[Json]] = {}
        self.texts: dict[tuple[str, str], str] = {}
        self.menu_button: Json = {"type": "default"}
        self._log: deque[Call] = deque(maxlen=CALLS_MAX)
        self._call_seq = count(1)
        self._event_seq = 0
        self._shared_message_ids = count(1)
        self._group_message_ids: dict[int, count[int]] = {}
        self._album_ids = count(13_000_000_000_000_001)
        self._query_ids = count(4_300_000_000_000_000_001)
        self._waiters: list[asyncio.Future[None]] = []

    # What a test observes

    @property
    def confirmed_offset(self) -> int:
        """The highest offset of a getUpdates; every update below it is confirmed."""
        return self.updates.confirmed_offset

    def messages(self, chat_id: int) -> list[ChatMessage]:
        """Copies of the visible messages of a chat, oldest first; none for an unknown chat."""
        chat = self.chats.get(chat_id)
        return [copy.copy(m) for m in chat.messages.values()] if chat else []

    def file(self, file_id: str) -> StoredFile:
        """An uploaded file with its bytes. Raises: KeyError for an unknown id."""
        return self.files[file_id]

    def calls(
        self, method: str | None = None, chat_id: int | None = None, *, since: int = 0
    ) -> list[Call]:
        """The logged calls with a `seq` above `since`, oldest first."""
        return [
            call
            for call in self._log
            if call.seq > since
            and (method is None or call.method == method)
            and (chat_id is None or call.chat_id == chat_id)
        ]

    async def wait_for(self, predicate: Callable[[Self], T | None], timeout_s: float = 15.0) -> T:
        """The first truthy result of `predicate`, tried now and after every change.

        Raises: TimeoutError that names the last calls, after `timeout_s` seconds.
        """
        try:
            async with asyncio.timeout(timeout_s):
                while not (found := predicate(self)):
                    await self.changed()
                return found
        except TimeoutError as exc:
            last = [f"{call.method} -> {call.status}" for call in list(self._log)[-8:]]
            raise TimeoutError(f"not seen within {timeout_s} s; last calls: {last}") from exc

    async def changed(self) -> None:
        """Return after the next change of anything."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        await waiter

    def touch(self) -> None:
        """Wake all who wait for a change."""
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    # What the methods and the people change

    def open_chat(
        self, chat_id: int, *, first_name: str = "Sam", title: str = "Group", forum: bool = False
    ) -> Chat:
        """The chat, made known to the bot if it is not yet: from now on the bot may write."""
        chat = self.chats.get(chat_id)
        if chat is None:
            if chat_id > 0:
                info: Json = {"id": chat_id, "type": "private", "first_name": first_name}
            else:
                kind = "supergroup" if chat_id < _SUPERGROUP_IDS_BELOW else "group"
                info = {"id": chat_id, "type": kind, "title": title}
            if forum:
                info["is_forum"] = True
            chat = self.chats[chat_id] = Chat(chat_id=chat_id, info=info)
        return chat

    def next_message_id(self, chat_id: int) -> int:
        """Supergroups count for themselves, all other chats of a bot share one count."""
        if chat_id < _SUPERGROUP_IDS_BELOW:
            return next(self._group_message_ids.setdefault(chat_id, count(1)))
        return next(self._shared_message_ids)

    def next_media_group_id(self) -> str:
        """An id for the members of one album."""
        return str(next(self._album_ids))

    def next_query_id(self) -> str:
        """An id for one press of a button."""
        return str(next(self._query_ids))

    def has_topics(self, chat: Chat) -> bool:
        """True for a forum, and for every private chat of a bot with topics."""
        return self.topics_enabled if chat.private else bool(chat.info.get("is_forum"))

    def add_message(self, chat: Chat, message: ChatMessage) -> None:
        """Make a message visible. One of the bot takes the place of a draft."""
        chat.keep(message)
        if message.from_bot:
            self.end_draft(chat, message.thread_id)
        self.show(chat, message)

    def show(self, chat: Chat, message: ChatMessage) -> None:
        """Tell the page that a message is new or changed."""
        self.emit(chat, "message", {"message_id": message.message_id})

    def remove_message(self, chat: Chat, message_id: int) -> None:
        """Take a message out of the chat."""
        del chat.messages[message_id]
        if message_id in chat.pinned:
            chat.pinned.remove(message_id)
        self.emit(chat, "deleted", {"message_id": message_id})

    def report_membership(self, chat: Chat, actor: Json, was: str, is_now: str) -> None:
        """Queue `my_chat_member`: `actor` changed the bot's status in a chat."""
        change: Json = {
            "chat": chat.info,
            "from": actor,
            "date": int(self.now()),
            "old_chat_member": membership(self.me, was),
            "new_chat_member": membership(self.me, is_now),
        }
        self.updates.push("my_chat_member", change)

    def end_draft(self, chat: Chat, thread_id: int | None) -> None:
        """Take the draft of a thread away, if there is one."""
        if chat.drafts.pop(thread_id, None) is not None:
            self.emit(chat, "draft_ended", {"thread_id": thread_id})

    def emit(self, chat: Chat, kind: EventKind, data: Json) -> None:
        """Record something for the page of this chat and wake all who wait."""
        self._event_seq += 1
        chat.events.append(ChatEvent(seq=self._event_seq, kind=kind, data=data))
        self.touch()

    @property
    def event_seq(self) -> int:
        """The number of the newest event."""
        return self._event_seq

    def store_file(self, stored: StoredFile) -> StoredFile:
        """Keep a file under its id and its path."""
        self.files[stored.file_id] = stored
        self.files_by_path[stored.path] = stored
        return stored

    def begin_call(self, method: str, params: Json) -> Call:
        """Log a call that has just arrived."""
        chat_id = params.get("chat_id")
        call = Call(
            seq=next(self._call_seq),
            at=self.clock(),
            method=method,
            params=params,
            chat_id=chat_id if isinstance(chat_id, int) else None,
        )
        self._log.append(call)
        self.touch()
        return call

    def end_call(self, call: Call, status: int) -> None:
        """Log how a call ended; status 0 means its connection was dropped."""
        call.status = status
        call.ended_at = self.clock()
        self.touch()

    def live_query(self, query_id: str) -> CallbackQuery:
        """Raises: ApiError 400 for a button press that is unknown or too old to answer."""
        query = self.queries.get(query_id)
        if query is None or self.clock() - query.at > CALLBACK_TTL_S:
            raise bad_request(
                "query is too old and response timeout expired or query ID is invalid"
            )
        return query


def rows_of(buttons: Iterable[Iterable[Json]]) -> list[Json]:
    """The buttons of a keyboard in reading order."""
    return [button for row in buttons for button in row]

"""Fetches the files of messages, and joins what was sent as one request.

The members of an album come as updates of their own, without a word how many there are: they are
one request 1.2 s after the last one, and after 5 s at most. Only then they are fetched, so that a
slow download splits no album. A file alone is fetched at once. Everything here runs beside the
rest, in a task of its own for each request. The updates wait in the inbox all the time: a bridge
that is killed meanwhile begins again with them.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from bridge import received
from bridge.clock import Clock
from bridge.errors import KittError
from bridge.received import Received, Sent
from bridge.telegram.api import Api, Flooded, Rejected
from bridge.telegram.attached import Attached
from bridge.telegram.gate import Incoming
from bridge.telegram.hearing import Hearing
from bridge.transcribe import NotTranscribed

log = logging.getLogger(__name__)
ALBUM_PAUSE_S: Final = 1.2  # after the last member
ALBUM_MAX_S: Final = 5.0
JOIN_WITHIN_S: Final = 1.0  # a file, and what is to be done with it
DOWNLOAD_BYTES_MAX: Final = 20 * 1024 * 1024  # Telegram gives a bot no larger file
DOWNLOAD_S: Final = 120.0
RETRY_S: Final = 1.0
FLOOD_MAX_S: Final = 60.0
NOT_HEARD: Final = {
    "failed": "hearing_failed",
    "too_long": "hearing_too_long",
    "silent": "hearing_silent",
}
AT_ONCE: Final = 2  # of one request: a file is in memory as a whole

Tell = Callable[..., None]


@dataclass(slots=True, kw_only=True, eq=False)
class _Group:
    """What becomes one request."""

    key: tuple[str, int]
    album: str
    first_at: float
    last_at: float
    items: list[Incoming] = field(default_factory=list)
    task: asyncio.Task[None] | None = None


class _NotFetched(KittError):
    """No file, or a `file` in which nothing was heard; `key` is the sentence for the person."""

    def __init__(self, key: str, file: Received | None = None) -> None:
        super().__init__(key)
        self.key = key
        self.files = (file,) if file is not None else ()


class Attachments:
    """Files on their way. `arrived` takes the messages of one request, `asked` files without words.

    `end` answers a message with one sentence; `tell` says one about a message that goes on.
    """

    def __init__(
        self,
        *,
        api: Api,
        clock: Clock,
        files_dir: Path,
        arrived: Callable[[list[Incoming]], None],
        asked: Callable[[Incoming], None],
        end: Tell,
        tell: Tell,
        hearing: Hearing,
    ) -> None:
        self._api = api
        self._clock = clock
        self._files_dir = files_dir
        self._arrived = arrived
        self._asked = asked
        self._end = end
        self._tell = tell
        self._hearing = hearing
        self._groups: list[_Group] = []

    @property
    def hears(self) -> bool:
        """True when there is something that listens to sound."""
        return self._hearing.available

    def take(self, message: Incoming) -> None:
        """A message with a file; returns at once."""
        if self._join(message):
            return
        now = self._clock.monotonic()
        group = _Group(key=_key(message), album=message.album, first_at=now, last_at=now)
        group.items.append(message)
        self._groups.append(group)
        group.task = asyncio.create_task(self._gather(group))

    def takes_words(self, message: Incoming) -> bool:
        """True when these words, sent right after a file that is on its way, belong to it."""
        return bool(self._groups) and self._join(message)

    def drop(self, key: tuple[str, int], *, of: str = "") -> Incoming | None:
        """Fetch nothing more for this chat, or only for this person (`of`) in it.

        The messages that were waiting, as one to answer.
        """
        dropped = [
            group
            for group in self._groups
            if group.key == key and of in ("", group.items[0].user_id)
        ]
        self._groups = [group for group in self._groups if group not in dropped]
        for group in dropped:
            if group.task is not None:
                group.task.cancel()
        waiting = [item for group in dropped for item in group.items]
        ids = tuple(item.update_id for item in waiting[1:])
        return replace(waiting[0], also=ids) if waiting else None

    async def close(self) -> None:
        """Stop; what was on its way is in the inbox."""
        tasks = [group.task for group in self._groups if group.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._hearing.close()

    def _join(self, message: Incoming) -> bool:
        now = self._clock.monotonic()
        for group in reversed(self._groups):
            if group.key != _key(message) or group.items[0].user_id != message.user_id:
                continue
            same_album = message.album and message.album == group.album
            same_thought = message.album in ("", group.album)
            if same_album or (same_thought and now - group.last_at <= JOIN_WITHIN_S):
                group.items.append(message)
                group.last_at = now
                return True
        return False

    async def _gather(self, group: _Group) -> None:
        try:
            await self._until_whole(group)
            outcomes: list[Incoming | _NotFetched] = []
            while len(outcomes) < len(group.items):  # more may come in the meantime
                new = group.items[len(outcomes) :]
                outcomes += await self._fetch_all(new)
                await self._until_words(group)
            self._groups.remove(group)
            self._hand_on(group.items, outcomes)
        except Exception:  # the person must not be left without a word
            log.exception("A file could not be received")
            if group in self._groups:
                self._groups.remove(group)
            for item in _joined(group.items):
                self._end(item, "something_wrong")

    async def _until_whole(self, group: _Group) -> None:
        while group.album:
            ends_at = min(group.last_at + ALBUM_PAUSE_S, group.first_at + ALBUM_MAX_S)
            left_s = ends_at - self._clock.monotonic()
            if left_s <= 0:
                return
            await self._clock.sleep(left_s)

    async def _until_words(self, group: _Group) -> None:
        """What came without a word is asked about; the words may be on their way."""
        while all(_is_mute(item) for item in group.items):
            left_s = group.last_at + JOIN_WITHIN_S - self._clock.monotonic()
            if left_s <= 0:
                return
            await self._clock.sleep(left_s)

    async def _fetch_all(self, items: list[Incoming]) -> list[Incoming | _NotFetched]:
        places = asyncio.Semaphore(AT_ONCE)

        async def one(item: Incoming) -> Incoming | _NotFetched:
            if item.attached is None:
                return item
            try:
                async with places:
                    file = await self._fetch(item, item.attached)
                if item.is_sound:
                    return replace(item, heard=await self._hear(item, file))
                return replace(item, files=(file,))
            except _NotFetched as error:
                return error

        return list(await asyncio.gather(*(one(item) for item in items)))

    async def _hear(self, item: Incoming, file: Received) -> str:
        """What is said in a file. Raises: _NotFetched, with the file."""
        try:
            return await self._hearing.hear(item, file)
        except NotTranscribed as error:
            log.warning("Nothing was heard in %s: %s", file.file, error)
            raise _NotFetched(NOT_HEARD[error.reason], file) from error

    async def _fetch(self, item: Incoming, attached: Attached) -> Received:
        """A file on our disk. Raises: _NotFetched."""
        if attached.size > DOWNLOAD_BYTES_MAX:
            raise _NotFetched("file_too_large")
        sent = Sent(
            chat_id=item.chat_id,
            message_id=item.message_id,
            name=attached.name,
            media_type=attached.media_type,
        )
        known = await asyncio.to_thread(received.find, self._files_dir, sent, size=attached.size)
        if known is not None:
            return known
        data = await self._download(attached)
        try:
            return await asyncio.to_thread(received.keep, self._files_dir, sent, data)
        except OSError as error:
            log.error("A file cannot be kept: %s", error)
            raise _NotFetched("file_failed") from error

    async def _download(self, attached: Attached) -> bytes:
        """The bytes; tried twice. Raises: _NotFetched."""
        wait_s = RETRY_S
        for attempt in (1, 2):
            try:
                async with asyncio.timeout(DOWNLOAD_S):
                    return await self._api.download(attached.file_id)
            except TimeoutError:
                log.warning("A file did not come within %.0f s", DOWNLOAD_S)
            except Rejected as error:
                if error.reason == "too_big":
                    raise _NotFetched("file_too_large") from error
                log.warning("A file is refused: %s", error)
            except Flooded as error:
                wait_s = min(error.retry_after_s, FLOOD_MAX_S)
            except KittError as error:
                log.warning("A file did not come (%s)", type(error).__name__)
            if attempt == 1:
                await self._clock.sleep(wait_s)
        raise _NotFetched("file_failed")

    def _hand_on(self, items: list[Incoming], outcomes: list[Incoming | _NotFetched]) -> None:
        """One request of what came, with the words of what did not; a sentence for such a file."""
        fetched = list(zip(items, outcomes, strict=True))
        any_came = any(not isinstance(o, _NotFetched) or o.files for o in outcomes)
        here: list[Incoming] = []
        for item, outcome in fetched:
            if not isinstance(outcome, _NotFetched):
                here.append(outcome)
                continue
            item = replace(item, files=outcome.files)
            goes_on = any_came and bool(item.text.strip())
            here += [item] if goes_on else []
            assert item.attached is not None
            size_mb = f"{item.attached.size / 1024**2:.0f}"
            name = received.safe_name(item.attached.name)
            (self._tell if goes_on else self._end)(item, outcome.key, name=name, size_mb=size_mb)
        if here and all(_is_mute(item) for item in here):
            self._asked(_as_one(here))
        elif here:
            self._arrived(_joined(here))


def _is_mute(item: Incoming) -> bool:
    """A file, and nothing that says what it is for. A group is not asked."""
    said = item.words.strip() or item.quote or item.is_sound
    return not said and not item.in_group


def _as_one(items: list[Incoming]) -> Incoming:
    return replace(
        items[0],
        files=tuple(file for item in items for file in item.files),
        also=tuple(i for item in items for i in (item.update_id, *item.also))[1:],
    )


def _joined(items: list[Incoming]) -> list[Incoming]:
    """The members of an album as one message; other messages as they are.

    What was forwarded stays by itself: it is never an instruction, nor what an instruction says.
    """
    joined: list[Incoming] = []
    for item in items:
        before = joined[-1] if joined else None
        if before is None or not item.album or _bond(item) != _bond(before):
            joined.append(item)
            continue
        joined[-1] = replace(
            before,
            text="\n".join(text for text in (before.text, item.text) if text.strip()),
            quote=before.quote or item.quote,
            heard="\n".join(text for text in (before.heard, item.heard) if text),
            files=(*before.files, *item.files),
            also=(*before.also, item.update_id),
        )
    return joined


def _bond(message: Incoming) -> tuple[str, bool]:
    return message.album, message.forwarded


def _key(message: Incoming) -> tuple[str, int]:
    return message.chat_id, message.thread_id

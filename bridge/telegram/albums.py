"""Albums in groups: the mention stands on one member, and all of them are meant.

Telegram sends the members as updates of their own, in any order. One that is not for the bot by
itself waits as long as an album takes to come; then it is other people's conversation after all.
With privacy mode on Telegram keeps those members to itself.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from bridge.clock import Clock
from bridge.telegram.attachments import ALBUM_MAX_S
from bridge.telegram.gate import Incoming


@dataclass(slots=True)
class _Album:
    meant: bool = False
    waiting: list[Incoming] = field(default_factory=list)


class Albums:
    """Members of albums on their way. `over` ends the update of one that was not for the bot."""

    def __init__(self, *, clock: Clock, over: Callable[[int], None]) -> None:
        self._clock = clock
        self._over = over
        self._albums: dict[tuple[str, str, str], _Album] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def meant(self, message: Incoming) -> list[Incoming]:
        """The messages that are for the bot, now that this one is here."""
        if not message.in_group or not message.album:
            return [message]
        key = (message.chat_id, message.user_id, message.album)
        if key not in self._albums:
            self._albums[key] = _Album()
            task = asyncio.create_task(self._end(key))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        album = self._albums[key]
        album.meant |= message.meant
        album.waiting.append(replace(message, meant=True))
        if not album.meant:
            return []
        meant, album.waiting = album.waiting, []
        return meant

    async def close(self) -> None:
        """Stop; what still waits is in the inbox."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _end(self, key: tuple[str, str, str]) -> None:
        await self._clock.sleep(ALBUM_MAX_S)
        for message in self._albums.pop(key).waiting:
            self._over(message.update_id)

"""Files on their way out: from the disk or the database to Telegram, a piece at a time.

A file is opened when its turn comes and streamed; what is too large for memory never is in it. One
that is gone by then is said to be gone. What Telegram has already got is named and not sent again,
as long as it is the same file: size and time of change are part of its key.
"""

import asyncio
import contextlib
import io
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, cast

from bridge import received
from bridge.agent.tool import ToolFailed
from bridge.clock import Clock
from bridge.errors import KittError
from bridge.models import Delivery
from bridge.received import Received
from bridge.store import Store
from bridge.telegram import uploads
from bridge.telegram.api import Api, Rejected
from bridge.telegram.budget import Budget
from bridge.telegram.compose import Part
from bridge.telegram.gate import language_of_chat
from bridge.telegram.large_files import Piece
from bridge.telegram.render import first_units
from bridge.telegram.texts import say
from bridge.telegram.uploads import Sent, Upload
from bridge.tools.workspace import Workspace

log = logging.getLogger(__name__)
KINDS: Final = ("document", "photo", "album")
CAPTION_UNITS_MAX: Final = 1_024
KNOWN_MAX: Final = 500  # files whose ids are remembered
SIGN_BYTES: Final = 1_000_000  # a smaller file is there before a sign of it
SIGN_EVERY_S: Final = 4.5  # Telegram shows it for 5 s
SIGN_AGAIN_S: Final = 1.0  # while the budget is short

Key = tuple[object, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Open:
    file: IO[bytes]
    size: int
    key: Key | None = None  # None: it is in no folder, so it is never sent again


class FilesOut:
    """Sends the parts that are files."""

    def __init__(
        self, *, store: Store, api: Api, budget: Budget, clock: Clock, jobs_dir: Path
    ) -> None:
        self._store = store
        self._api = api
        self._budget = budget
        self._clock = clock
        self._jobs_dir = jobs_dir
        self._known: OrderedDict[Key, str] = OrderedDict()

    async def send(self, delivery: Delivery, part: Part, *, doubtful: bool) -> int:
        """Send a file or an album, or say that one is gone; the (last) new message's id."""
        language = await self._store.read(lambda tx: language_of_chat(tx, delivery.chat_id))
        mark = say(language, "repeated") + "\n" if doubtful else ""
        members = part["files"] if part["do"] == "album" else [part]
        async with AsyncExitStack() as stack:
            opened = []
            for member in members:
                try:
                    opened.append(found := await self._open(member))
                except ToolFailed as error:
                    log.warning("Delivery %d: %s", delivery.id, error)
                    return await self._missing(delivery, members, member["name"], language)
                stack.enter_context(closing(found.file))
            if sum(found.size for found in opened) >= SIGN_BYTES:
                await stack.enter_async_context(self._signs(delivery))
            try:
                return await self._upload(delivery, part, members, opened, mark)
            except Rejected as error:
                if error.reason == "blocked" or not self._forget(opened):
                    raise
                return await self._upload(delivery, part, members, opened, mark)

    async def _upload(
        self, delivery: Delivery, part: Part, members: list[Part], opened: list[_Open], mark: str
    ) -> int:
        made = [
            Upload(
                file=self._known.get(cast(Key, found.key)) or found.file,
                name=member["name"],
                caption=first_units(mark + member.get("caption", ""), CAPTION_UNITS_MAX),
                photo=member["do"] == "photo",
            )
            for member, found in zip(members, opened, strict=True)
        ]
        thread_id = part.get("thread_id", delivery.thread_id)
        silent = members[0].get("silent", False)
        if part["do"] == "album":
            sent = await uploads.send_album(
                self._api, delivery.chat_id, made, thread_id=thread_id, silent=silent
            )
        else:
            one = await uploads.send_file(
                self._api, delivery.chat_id, made[0], thread_id=thread_id, silent=silent
            )
            sent = [one]
        self._remember(opened, sent)
        return sent[-1].message_id

    async def _missing(
        self, delivery: Delivery, members: list[Part], name: str, language: str
    ) -> int:
        """A file is gone: said in a sentence; of an album the others are sent one by one."""
        if len(members) > 1:
            raise Rejected("gone", f"{name} is gone.")
        return await self._api.send_text(
            delivery.chat_id,
            say(language, "file_missing", name=name),
            thread_id=delivery.thread_id,
            silent=True,
        )

    async def _open(self, part: Part) -> _Open:
        """A text, a result, a received file, or one in its job's folder and nowhere else."""
        if "received" in part:
            data = await asyncio.to_thread(self._received, part["received"])
            return _Open(file=io.BytesIO(data), size=len(data))
        if "content" in part or "result_of" in part:
            data = (
                str(part["content"]).encode()
                if "content" in part
                else await self._result(part["result_of"])
            )
            return _Open(file=io.BytesIO(data), size=len(data))
        return await asyncio.to_thread(self._from_disk, part)

    def _from_disk(self, part: Part) -> _Open:
        file, status = Workspace(self._jobs_dir / str(part["job"])).opened(part["path"])
        start = part.get("start", 0)
        key = (part["job"], part["path"], status.st_size, status.st_mtime_ns, start, part["do"])
        if "bytes" not in part:
            return _Open(file=file, size=status.st_size, key=key)
        piece = cast(IO[bytes], Piece(file, start, part["bytes"]))
        return _Open(file=piece, size=part["bytes"], key=key)

    def _received(self, block: dict[str, Any]) -> bytes:
        """A file that a person has sent, by its reference."""
        file = Received.of(block)
        data = received.read(self._jobs_dir.parent / "files", file) if file is not None else None
        if data is None:
            raise ToolFailed("It is no longer kept.")
        return data

    async def _result(self, job_id: int) -> bytes:
        data = await self._store.read(lambda tx: tx.value("result_bytes", id=job_id))
        if data is None:
            raise ToolFailed(f"Job {job_id} is gone.")
        return bytes(data)

    def _remember(self, opened: list[_Open], sent: list[Sent]) -> None:
        for found, message in zip(opened, sent, strict=True):
            if found.key is not None and message.file_id:
                self._known[found.key] = message.file_id
                self._known.move_to_end(found.key)
        while len(self._known) > KNOWN_MAX:
            self._known.popitem(last=False)

    def _forget(self, opened: list[_Open]) -> bool:
        """Telegram may no longer know an id; True when there was one."""
        gone = [self._known.pop(cast(Key, found.key), None) for found in opened]
        return any(gone)

    @asynccontextmanager
    async def _signs(self, delivery: Delivery) -> AsyncIterator[None]:
        """A sign that a file is on its way, as long as it is, where the budget allows it."""
        task = asyncio.create_task(self._sign(delivery))
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _sign(self, delivery: Delivery) -> None:
        with contextlib.suppress(KittError):  # a comfort; the file does not depend on it
            while True:
                shown = self._budget.spare(delivery.chat_id)
                if shown:
                    await uploads.show_upload(self._api, delivery.chat_id, delivery.thread_id)
                await self._clock.sleep(SIGN_EVERY_S if shown else SIGN_AGAIN_S)

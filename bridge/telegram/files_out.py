"""Files on their way out: from the disk or the database to Telegram, a piece at a time.

A file is opened when its turn comes and streamed; what is too large for memory never is in it. One
that is gone by then is said to be gone.
"""

import asyncio
import io
import logging
from contextlib import closing
from pathlib import Path
from typing import IO, Final

from bridge.agent.tool import ToolFailed
from bridge.models import Delivery
from bridge.store import Store
from bridge.telegram.api import Api
from bridge.telegram.compose import Part
from bridge.telegram.gate import language_of_chat
from bridge.telegram.render import first_units
from bridge.telegram.texts import say
from bridge.tools.workspace import Workspace

log = logging.getLogger(__name__)
CAPTION_UNITS_MAX: Final = 1_024


class FilesOut:
    """Sends the parts that are files."""

    def __init__(self, *, store: Store, api: Api, jobs_dir: Path) -> None:
        self._store = store
        self._api = api
        self._jobs_dir = jobs_dir

    async def send(self, delivery: Delivery, part: Part, *, doubtful: bool) -> int:
        """Send one file, or say that it is gone; the new message's id."""
        language = await self._store.read(lambda tx: language_of_chat(tx, delivery.chat_id))
        try:
            file = await self._open(part)
        except ToolFailed as error:
            log.warning("Delivery %d: %s", delivery.id, error)
            return await self._api.send_text(
                delivery.chat_id,
                say(language, "file_missing", name=part["name"]),
                thread_id=delivery.thread_id,
                silent=True,
            )
        mark = say(language, "repeated") + "\n" if doubtful else ""
        with closing(file):
            return await self._api.send_file(
                delivery.chat_id,
                file,
                name=part["name"],
                caption=first_units(mark + part.get("caption", ""), CAPTION_UNITS_MAX),
                thread_id=part.get("thread_id", delivery.thread_id),
                silent=part.get("silent", False),
                photo=part["do"] == "photo",
            )

    async def _open(self, part: Part) -> IO[bytes]:
        """A text, the result of a job, or a regular file in its job's folder and nowhere else."""
        if "content" in part:
            return io.BytesIO(str(part["content"]).encode())
        if "result_of" in part:
            return io.BytesIO(await self._result(part["result_of"]))
        workspace = Workspace(self._jobs_dir / str(part["job"]))
        return await asyncio.to_thread(workspace.open, part["path"])

    async def _result(self, job_id: int) -> bytes:
        data = await self._store.read(lambda tx: tx.value("result_bytes", id=job_id))
        if data is None:
            raise ToolFailed(f"Job {job_id} is gone.")
        return bytes(data)

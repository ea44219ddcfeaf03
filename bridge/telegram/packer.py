"""Makes what was asked of a file that is too large to send: a zip of it, or its pieces.

One at a time, in a thread, a little of the file in memory; a lane of the outbox never waits for it.
The delivery stays what it is until it is ready to be sent, so a crash only begins again.
"""

import asyncio
import json
import logging
from pathlib import Path
from typing import Final

from bridge.agent.tool import ToolFailed
from bridge.deliveries import from_row
from bridge.errors import KittError
from bridge.models import Delivery
from bridge.store import Store, Tx
from bridge.telegram import compose
from bridge.telegram.buttons import Signer
from bridge.telegram.compose import Part
from bridge.telegram.file_plan import UPLOAD_BYTES_MAX, pieces
from bridge.telegram.gate import language_of_chat
from bridge.telegram.large_files import MB
from bridge.telegram.texts import say
from bridge.tools.workspace import Workspace

log = logging.getLogger(__name__)
FOLDER: Final = ".kitt-zip"  # in the folder of the job; it goes with it
COPY_BYTES: Final = 1 << 20


class Packer:
    """Works while there is something to pack; `look` when there may be."""

    def __init__(self, *, store: Store, signer: Signer, jobs_dir: Path) -> None:
        self._store = store
        self._signer = signer
        self._jobs_dir = jobs_dir
        self._task: asyncio.Task[None] | None = None

    def look(self) -> None:
        """There is something to pack; returns at once."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())

    def stop(self) -> None:
        """Leave what is being packed; it begins again after the next start."""
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        try:
            while row := await self._store.read(lambda tx: tx.one("next_packing")):
                await self._pack(from_row(row))
        except KittError as error:
            log.warning("Packing pauses: %s", error)
        except Exception:  # the next look tries again
            log.exception("A file could not be packed")

    async def _pack(self, delivery: Delivery) -> None:
        language = await self._store.read(lambda tx: language_of_chat(tx, delivery.chat_id))
        parts = await asyncio.to_thread(self._packed, delivery, language)
        payload = json.dumps({"parts": parts}, ensure_ascii=False)

        def ready(tx: Tx) -> None:
            tx.run("packed", id=delivery.id, payload=payload)
            tx.wake("bridge")

        await self._store.write(ready)

    def _packed(self, delivery: Delivery, language: str) -> list[Part]:
        file = delivery.payload
        workspace = Workspace(self._jobs_dir / str(file["job"]))
        try:
            if file["how"] == "pieces":
                return _pieces(workspace, file, language)
            return self._zip(workspace, file, delivery.chat_id, language)
        except ToolFailed as error:
            log.warning("%s cannot be packed: %s", file["name"], error)
            return [compose.plain_part(say(language, "file_not_packed", name=file["name"]))]

    def _zip(self, workspace: Workspace, file: Part, chat_id: str, language: str) -> list[Part]:
        import shutil  # with the first file that is too large
        import zipfile

        path = f"{FOLDER}/{file['of']}.zip"
        inside = zipfile.ZipInfo(file["name"])
        inside.compress_type = zipfile.ZIP_DEFLATED
        with (
            workspace.open(file["path"]) as source,
            workspace.create(path) as target,
            zipfile.ZipFile(target, "w") as archive,
            archive.open(inside, "w", force_zip64=True) as entry,
        ):
            shutil.copyfileobj(source, entry, COPY_BYTES)
        size = workspace.size(path)
        if size <= UPLOAD_BYTES_MAX:
            name = f"{file['name']}.zip"
            return [{"do": "document", "job": file["job"], "path": path, "name": name}]
        size_mb = f"{size / MB:,.0f}"
        part = compose.plain_part(say(language, "zip_large", name=file["name"], size_mb=size_mb))
        part["buttons"] = self._signer.row(
            chat_id, (say(language, "button_pieces"), "rp", file["of"])
        )
        return [part]


def _pieces(workspace: Workspace, file: Part, language: str) -> list[Part]:
    """How to join them, and each of them."""
    name = file["name"]
    ranges = pieces(workspace.size(file["path"]))
    return [
        compose.plain_part(say(language, "pieces_how", name=name, count=len(ranges))),
        *(
            {
                "do": "document",
                "job": file["job"],
                "path": file["path"],
                "name": f"{name}.{number:03}",
                "start": start,
                "bytes": length,
                "silent": True,
            }
            for number, (start, length) in enumerate(ranges, 1)
        ),
    ]

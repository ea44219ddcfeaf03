"""`/files`: the files of a chat's jobs and those its people sent, to have them once more.

What is no longer on the disk is said to be gone by the outbox, which reads it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from bridge import received
from bridge.clock import stamp
from bridge.errors import JobNotFound
from bridge.models import short
from bridge.queue import Queue
from bridge.received import Received
from bridge.store import Tx
from bridge.telegram import compose
from bridge.telegram.api import Buttons
from bridge.telegram.buttons import Signer
from bridge.telegram.compose import Part, in_place
from bridge.telegram.gate import Incoming, Press
from bridge.telegram.marked import Marked
from bridge.telegram.texts import say

PAGE: Final = 8
LISTED_MAX: Final = 400  # of either kind, the newest


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A file that can be had again; `verb` and `number` are those of its button."""

    name: str
    at: str
    verb: str
    number: int
    from_job: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFiles:
    """Lists files and sends them again."""

    queue: Queue
    signer: Signer
    files_dir: Path
    names = ("files",)
    read_only = ("files",)
    verbs = ("jp", "fl", "fj", "fr")

    def command(self, tx: Tx, message: Incoming, _name: str, _argument: str) -> list[Part]:
        """`/files`."""
        return [self._list(tx, message, 0)]

    def press(self, tx: Tx, press: Press, verb: str, number: int) -> tuple[str, list[Part]]:
        """All files of a job, a page, or one file."""
        if verb == "fl":
            return "", in_place(press, self._list(tx, press, number))
        try:
            parts = {"jp": self._of_job, "fj": self._one, "fr": self._received}[verb](
                tx, press, number
            )
        except JobNotFound:
            return say(press.language, "no_job", id=number), []
        return ("", parts) if parts else (say(press.language, "file_gone"), [])

    def _of_job(self, tx: Tx, press: Press, number: int) -> list[Part]:
        job = self.queue.find(tx, number, chat_id=press.chat_id)
        return _sent_again(job.id, tx.all("files_to_send", job_id=job.id))

    def _one(self, tx: Tx, press: Press, number: int) -> list[Part]:
        row = tx.one("file_of_chat", id=number, chat_id=press.chat_id)
        return [] if row is None else _sent_again(row["job"], [{**dict(row), "file": number}])

    def _received(self, _tx: Tx, press: Press, number: int) -> list[Part]:
        files = received.kept_of(self.files_dir, press.chat_id)
        return [received_part(file) for at, message_id, file in files if message_id == number]

    def _list(self, tx: Tx, to: Incoming | Press, page: int) -> Part:
        rows = tx.all("files_of_chat", chat_id=to.chat_id, limit=LISTED_MAX)
        files = [
            Listed(
                name=row["name"], at=row["at"], verb="fj", number=row["id"], from_job=row["job_id"]
            )
            for row in rows
        ]
        kept = received.kept_of(self.files_dir, to.chat_id)[:LISTED_MAX]
        files += [
            Listed(
                name=file.name,
                at=stamp(datetime.fromtimestamp(at, UTC)),
                verb="fr",
                number=message_id,
            )
            for at, message_id, file in kept
        ]
        files.sort(key=lambda file: file.at, reverse=True)
        return page_part(files, page, self.signer, to.chat_id, language=to.language)


def _sent_again(job_id: int, rows: Iterable[Any]) -> list[Part]:
    files = [{key: row[key] for key in ("file", "path", "name", "caption")} for row in rows]
    return [{**part, "of_job": (job_id, "result")} for part in compose.files_part(job_id, files)]


def received_part(file: Received) -> Part:
    """A file that someone sent, on its way back."""
    return {"do": "document", "name": file.name, "received": file.block()}


def page_part(
    files: list[Listed], page: int, signer: Signer, chat_id: str, *, language: str
) -> Part:
    """A page of the list: a line and a button for each file."""
    if not files:
        return Marked().add(say(language, "no_files")).part()
    pages = -(-len(files) // PAGE)
    page = min(page, pages - 1)
    shown = files[page * PAGE : (page + 1) * PAGE]
    made = Marked().add(say(language, "files_title", count=len(files)))
    for place, file in enumerate(shown, 1):
        of = "" if file.from_job is None else f" · #{file.from_job}"
        made.line(f"{place} · {short(file.name, 60)}{of} · ").time(file.at)
    rows: Buttons = signer.row(
        chat_id, *((f"{place}", file.verb, file.number) for place, file in enumerate(shown, 1))
    )
    ways = [("‹", "fl", page - 1)] if page else []
    ways += [(f"{page + 1}/{pages}", "fl", page)] if pages > 1 else []
    ways += [("›", "fl", page + 1)] if page + 1 < pages else []
    return made.part(buttons=[*rows, *(signer.row(chat_id, *ways) if ways else [])])

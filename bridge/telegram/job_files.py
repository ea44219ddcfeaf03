"""The files of jobs, once more."""

from dataclasses import dataclass

from bridge.errors import JobNotFound
from bridge.queue import Queue
from bridge.store import Tx
from bridge.telegram import compose
from bridge.telegram.compose import Part
from bridge.telegram.gate import Incoming, Press
from bridge.telegram.texts import say


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFiles:
    """Sends files of jobs again; one that is gone is said to be gone by who sends it."""

    queue: Queue
    names = ()
    read_only = ()
    verbs = ("jp",)

    def command(self, tx: Tx, message: Incoming, name: str, argument: str) -> list[Part]:
        """There are no commands here."""
        raise NotImplementedError(name)

    def press(self, tx: Tx, press: Press, verb: str, number: int) -> tuple[str, list[Part]]:
        """All files of a job."""
        try:
            job = self.queue.find(tx, number, chat_id=press.chat_id)
        except JobNotFound:
            return say(press.language, "no_job", id=number), []
        files = [dict(row) for row in tx.all("files_to_send", job_id=job.id)]
        parts = compose.files_part(job.id, files)
        return "", [{**part, "of_job": (job.id, "result")} for part in parts]

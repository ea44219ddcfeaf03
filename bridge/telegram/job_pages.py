"""`/jobs` and `/job 12`: looking at jobs, and cancelling all of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from bridge.clock import Clock
from bridge.errors import JobNotFound
from bridge.queue import Queue
from bridge.store import Tx
from bridge.telegram import job_list, job_view
from bridge.telegram.buttons import Signer
from bridge.telegram.chosen import Chosen
from bridge.telegram.compose import Part, in_place, plain_part
from bridge.telegram.gate import Incoming, Press
from bridge.telegram.job_details import STEPS, details_part
from bridge.telegram.texts import say

CANCELLED_AT_ONCE: Final = 300  # in one transaction; of more, the rest is offered again
Done = tuple[str, list[Part]]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPages:
    """Shows jobs. `username` is that of the bot, "" while it is not known."""

    queue: Queue
    signer: Signer
    clock: Clock
    chosen: Chosen
    username: Callable[[], str] = lambda: ""
    names = ("jobs", "job")
    read_only = ("jobs", "job")
    verbs = ("jl", "jo", "jd", "jx", "jy")

    def command(self, tx: Tx, message: Incoming, name: str, argument: str) -> list[Part]:
        """`/jobs`, `/jobs done`, `/jobs 12` and `/job 12`."""
        number = number_of(argument)
        if number is not None:
            return self.shown(tx, message, number)
        if name == "job":
            return [plain_part(say(message.language, "job_how", command=name))]
        which = job_list.filter_of(argument) if argument else 0
        if which is None:
            return [plain_part(say(message.language, "jobs_how"))]
        return [self._list(tx, message, which)]

    def press(self, tx: Tx, press: Press, verb: str, number: int) -> Done:
        """A page, one job, or the end of all of them."""
        try:
            if verb == "jl":
                return "", in_place(press, self._list(tx, press, number))
            if verb == "jo":
                return "", in_place(press, self.details(tx, press, number))
            if verb == "jd":
                return "", [self.details(tx, press, number)]
        except JobNotFound:
            return say(press.language, "no_job", id=number), []
        return self._ask_to_cancel_all(tx, press) if verb == "jx" else self._cancel_all(tx, press)

    def shown(self, tx: Tx, message: Incoming, number: int) -> list[Part]:
        """One job of this chat, or that there is none."""
        try:
            return [self.details(tx, message, number)]
        except JobNotFound:
            return [plain_part(say(message.language, "no_job", id=str(number)[:20]))]

    def details(self, tx: Tx, to: Incoming | Press, number: int) -> Part:
        """Everything about a job of this chat. Raises: JobNotFound."""
        job = self.queue.find(tx, number, to.chat_id)
        zone = self.chosen.zone_of_chat(to.chat_id)
        view = job_view.look(tx, job, self.clock.now(), zone=zone, steps=STEPS)
        files = [row["name"] for row in tx.all("files_of", job_id=job.id)]
        username = self.username()
        link = f"https://t.me/{username}?start=job_{job.id}" if username else ""
        return details_part(view, files, link, self.signer, language=to.language)

    def all_sure(self, tx: Tx, to: Incoming | Press) -> Part | None:
        """The question before everything is cancelled; None when nothing is left to cancel."""
        counts = job_list.counts_of(tx, to.chat_id)
        live = sum(counts.get(status, 0) for status in job_list.LIVE)
        if not live:
            return None
        return job_list.sure_part(live, self.signer, to.chat_id, language=to.language)

    def _list(self, tx: Tx, to: Incoming | Press, code: int) -> Part:
        page = job_list.page_of(tx, to.chat_id, code)
        now = self.clock.now()
        return job_list.list_part(page, self.signer, to.chat_id, language=to.language, now=now)

    def _ask_to_cancel_all(self, tx: Tx, press: Press) -> Done:
        part = self.all_sure(tx, press)
        if part is None:
            return say(press.language, "nothing_to_cancel"), []
        return "", in_place(press, part)

    def _cancel_all(self, tx: Tx, press: Press) -> Done:
        rows = tx.all("live_jobs_of", chat_id=press.chat_id, limit=CANCELLED_AT_ONCE)
        for row in reversed(rows):  # what waits for a job is over before the job itself is
            self.queue.cancel_in(tx, row["id"], chat_id=press.chat_id)
        text = say(press.language, "cancelled_all", count=len(rows))
        return text, in_place(press, self.all_sure(tx, press) or self._list(tx, press, 0))


def number_of(argument: str) -> int | None:
    """The job's number in `12` or `#12`, or None."""
    digits = argument.strip().removeprefix("#").strip()
    return int(digits[:19]) if digits.isascii() and digits.isdigit() else None

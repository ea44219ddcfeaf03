"""What a job asks, and the buttons that answer it: one of some answers, or allow and refuse.

A button holds the attempt that asked, so that one of an older question answers no newer one.
"""

import json
from dataclasses import dataclass
from typing import Final

from bridge.clock import Clock, stamp
from bridge.errors import JobNotFound, JobRefused
from bridge.models import Job, JobStatus, short
from bridge.queue import Queue
from bridge.store import Tx
from bridge.telegram import job_buttons
from bridge.telegram.api import Buttons
from bridge.telegram.buttons import Signer
from bridge.telegram.compose import Part, plain_part, text_parts
from bridge.telegram.gate import Incoming, Press
from bridge.telegram.texts import reason, say
from bridge.telegram.times import local_text

OPTION_CHARS: Final = 60
ATTEMPTS: Final = 4_096
CHOICES: Final = 8
ALLOW, REFUSE = 1, 0


def question_parts(job: Job, signer: Signer, *, language: str, zone: str = "UTC") -> list[Part]:
    """A job asks its user something: how it can be answered, and the buttons for it."""
    options = options_of(job)
    if job.approve_by is not None:
        how = say(language, "question_approve", until=local_text(job.approve_by, zone, language))
    else:
        how = say(language, "question_tap" if options else "question_how")
    made = text_parts(
        f"**❓ #{job.id}** · {job.name}\n\n{job.question}\n\n{how}",
        language=language,
        file_name=f"kitt-{job.id}.md",
        reply_to=job.request_message_id,
    )
    rows = _rows(job, options, signer, language)
    if rows:
        last = max(number for number, part in enumerate(made) if part["do"] == "text")
        made[last]["buttons"] = rows
    return made


def _rows(job: Job, options: list[str], signer: Signer, language: str) -> Buttons:
    if job.approve_by is not None:
        allow = (say(language, "button_let"), "qa", _code(job, ALLOW))
        return signer.row(
            job.chat_id, allow, (say(language, "button_let_not"), "qa", _code(job, REFUSE))
        )
    return [
        row
        for number, option in enumerate(options)
        for row in signer.row(job.chat_id, (short(option, OPTION_CHARS), "qo", _code(job, number)))
    ]


def options_of(job: Job) -> list[str]:
    """The answers a question offers; none when it is open."""
    try:
        found = json.loads(job.options or "[]")
    except ValueError:  # written by hand
        return []
    texts = [str(option) for option in found] if isinstance(found, list) else []
    return [text for text in texts if text.strip()][:CHOICES]


def _code(job: Job, choice: int) -> int:
    return (job.id * ATTEMPTS + job.attempt % ATTEMPTS) * CHOICES + choice


@dataclass(frozen=True, slots=True, kw_only=True)
class JobQuestions:
    """Takes answers that are tapped."""

    queue: Queue
    signer: Signer
    clock: Clock
    names = ()
    read_only = ()
    verbs = ("qo", "qa")

    def command(self, tx: Tx, message: Incoming, name: str, argument: str) -> list[Part]:
        """There are no commands here."""
        raise NotImplementedError(name)

    def press(self, tx: Tx, press: Press, verb: str, number: int) -> tuple[str, list[Part]]:
        """One answer, once."""
        asked, choice = divmod(number, CHOICES)
        job_id, attempt = divmod(asked, ATTEMPTS)
        language, done = press.language, job_buttons.with_buttons(press, [])
        try:
            job = self.queue.find(tx, job_id, chat_id=press.chat_id)
            if job.status is not JobStatus.WAITING or job.attempt % ATTEMPTS != attempt:
                return say(language, "answered_already", id=job_id), done
            if press.in_group and job.user_id not in ("", press.user_id):
                return say(language, "not_your_job"), []
            if verb == "qa":
                return self._decide(tx, press, job, allowed=choice == ALLOW)
            options = options_of(job)
            if choice >= len(options):
                return say(language, "answered_already", id=job_id), done
            self.queue.answer_in(tx, job_id, options[choice], chat_id=press.chat_id)
        except JobNotFound:
            return say(language, "no_job", id=job_id), []
        except JobRefused as error:
            return reason(language, error), []
        return say(language, "answered_it", id=job_id), done

    def _decide(self, tx: Tx, press: Press, job: Job, *, allowed: bool) -> tuple[str, list[Part]]:
        """Only who asked for the job may allow it something, and not for ever."""
        language, done = press.language, job_buttons.with_buttons(press, [])
        if job.user_id not in ("", press.user_id):
            return say(language, "approve_not_yours"), []
        late = (job.approve_by or "") <= stamp(self.clock.now())
        self.queue.decide_in(tx, job, allowed=allowed and not late, late=late)
        if late:
            text = say(language, "approve_late", id=job.id)
            return text, [*done, plain_part(text)]
        return say(language, "approved" if allowed else "disallowed", id=job.id), done

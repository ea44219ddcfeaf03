"""`/bg`, `/jobs`, `/job`, `/cancel`, `/retry`, and the buttons of jobs."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from bridge import conversation
from bridge.clock import Clock, moment, stamp
from bridge.conversation import Message
from bridge.errors import JobNotFound, JobRefused
from bridge.models import Job, JobStatus, short
from bridge.queue import Queue, list_jobs
from bridge.store import Tx
from bridge.telegram import compose
from bridge.telegram.buttons import Signer
from bridge.telegram.chat_commands import counts_of
from bridge.telegram.compose import Part
from bridge.telegram.gate import Incoming, Press
from bridge.telegram.openings import text_block, with_context, with_quote
from bridge.telegram.texts import cause, say
from bridge.tools.jobs import Origin, start_job

JOBS_SHOWN: Final = 10
SIGNS: Final = {
    JobStatus.PENDING: "⏳",
    JobStatus.SCHEDULED: "🕓",
    JobStatus.BLOCKED: "⛓",
    JobStatus.RUNNING: "🛠",
    JobStatus.WAITING: "❓",
    JobStatus.DONE: "✅",
    JobStatus.FAILED: "❌",
    JobStatus.CANCELLED: "⏹",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class JobCommands:
    """Carries out what concerns jobs."""

    queue: Queue
    signer: Signer
    clock: Clock
    names = ("bg", "jobs", "job", "cancel", "retry")
    read_only = ("jobs", "job")
    verbs = ("jc", "jr", "jd")

    def command(self, tx: Tx, message: Incoming, name: str, argument: str) -> list[Part]:
        """Carry out one of `names`."""
        actions: dict[str, Callable[[Tx, Incoming, str], list[Part]]] = {
            "bg": self._bg,
            "jobs": self._jobs,
            "job": self._job,
            "cancel": self._cancel,
            "retry": self._retry,
        }
        return actions[name](tx, message, argument)

    def press(self, tx: Tx, press: Press, verb: str, number: int) -> tuple[str, list[Part]]:
        """Carry out one of `verbs` on a job."""
        try:
            if verb == "jc":
                return self._cancel_text(tx, press, number), []
            if verb == "jr":
                return self._retry_text(tx, press, number), []
            return "", self._details(tx, press, number)
        except JobNotFound:
            return say(press.language, "no_job", id=number), []
        except JobRefused as error:
            return str(error), []

    def _bg(self, tx: Tx, message: Incoming, argument: str) -> list[Part]:
        if not argument:
            return [compose.plain_part(say(message.language, "bg_how"))]
        name = conversation.chat_conversation(message.chat_id, message.thread_id)
        source = f"update:{message.update_id}"
        origin = Origin(
            chat_id=message.chat_id,
            thread_id=message.thread_id,
            user_id=message.user_id,
            message_id=message.message_id,
            source=source,
            files=message.files,
        )
        acknowledgement = say(message.language, "acknowledged")
        try:
            job = start_job(
                tx,
                self.queue,
                origin,
                prompt=with_context(
                    tx, name, with_quote(replace(message, text=argument)), source=source
                ),
                title=argument,
                acknowledgement=acknowledgement,
            )
        except JobRefused as error:
            return [compose.plain_part(str(error))]
        now = stamp(self.clock.now())
        said = [file.block("other") for file in message.files]
        said.append(text_block(conversation.without_tags(argument)))
        answer = [text_block(f"{acknowledgement} (job {job.id})")]
        for role, content, of in (("user", said, source), ("assistant", answer, None)):
            conversation.append(tx, name, Message(role=role, content=content, source=of), now=now)
        return []  # the card acknowledges

    def _jobs(self, tx: Tx, message: Incoming, _argument: str) -> list[Part]:
        language = message.language
        jobs = list_jobs(tx, chat_id=message.chat_id, statuses=(), limit=JOBS_SHOWN)
        if not jobs:
            return [compose.plain_part(say(language, "no_jobs"))]
        counts = counts_of(tx, message.chat_id)
        lines = [
            say(
                language,
                "jobs_title",
                running=counts["running"],
                waiting=counts["pending"] + counts["scheduled"] + counts["blocked"],
            )
        ]
        lines += [self._line(job, language) for job in jobs]
        buttons = self.signer.row(
            message.chat_id, *((f"{job.id}", "jd", job.id) for job in jobs[:8])
        )
        return [{**compose.plain_part("\n".join(lines)), "buttons": buttons}]

    def _job(self, tx: Tx, message: Incoming, argument: str) -> list[Part]:
        return self._with_id(message, "job", argument, lambda i: self._details(tx, message, i))

    def _cancel(self, tx: Tx, message: Incoming, argument: str) -> list[Part]:
        return self._with_id(
            message,
            "cancel",
            argument,
            lambda i: [compose.plain_part(self._cancel_text(tx, message, i))],
        )

    def _retry(self, tx: Tx, message: Incoming, argument: str) -> list[Part]:
        return self._with_id(
            message,
            "retry",
            argument,
            lambda i: [compose.plain_part(self._retry_text(tx, message, i))],
        )

    def _with_id(
        self, message: Incoming, command: str, argument: str, act: Callable[[int], list[Part]]
    ) -> list[Part]:
        digits = argument.removeprefix("#").strip()
        if not (digits.isascii() and digits.isdigit()):
            return [compose.plain_part(say(message.language, "job_how", command=command))]
        try:
            return act(int(digits[:19]))  # more digits than any id has
        except JobNotFound:
            return [compose.plain_part(say(message.language, "no_job", id=digits[:20]))]
        except JobRefused as error:
            return [compose.plain_part(str(error))]

    def _cancel_text(self, tx: Tx, to: Incoming | Press, job_id: int) -> str:
        before = self.queue.find(tx, job_id, chat_id=to.chat_id).status
        self.queue.cancel_in(tx, job_id, chat_id=to.chat_id)
        if before.final:
            status = say(to.language, f"status_{before}")
            return say(to.language, "already_over", id=job_id, status=status)
        return say(to.language, "cancelled_it", id=job_id)

    def _retry_text(self, tx: Tx, to: Incoming | Press, job_id: int) -> str:
        before = self.queue.find(tx, job_id, chat_id=to.chat_id).status
        self.queue.retry_in(tx, job_id, chat_id=to.chat_id)
        if before not in (JobStatus.FAILED, JobStatus.CANCELLED):
            status = say(to.language, f"status_{before}")
            return say(to.language, "cannot_retry", id=job_id, status=status)
        return say(to.language, "retried_it", id=job_id)

    def _details(self, tx: Tx, to: Incoming | Press, job_id: int) -> list[Part]:
        job = self.queue.find(tx, job_id, chat_id=to.chat_id)
        language = to.language
        lines = [
            f"{SIGNS[job.status]} #{job.id} · {job.name}",
            say(language, f"status_{job.status}")
            + (f" · {compose.clock_text(compose.duration_s(job))}" if job.completed_at else ""),
            f"» {short(job.prompt, 300)}",
        ]
        for row in tx.all("events_of", job_id=job.id)[-8:]:
            what = short(row["step"] or row["message"], 80)
            lines.append(f"{moment(row['at']):%H:%M:%S} {row['event']} {what}")
        if job.error and job.status is JobStatus.FAILED:
            lines.append(say(language, "cause", cause=cause(language, job.error)))
        files = [row["name"] for row in tx.all("files_of", job_id=job.id)]
        lines += [f"📎 {', '.join(files)}"] if files else []
        part = compose.plain_part(short_text("\n".join(lines)))
        if not job.status.final:
            part["buttons"] = self.signer.row(
                to.chat_id, (say(language, "button_cancel"), "jc", job.id)
            )
        elif job.status is not JobStatus.DONE:
            part["buttons"] = self.signer.row(
                to.chat_id, (say(language, "button_retry"), "jr", job.id)
            )
        return [part]

    def _line(self, job: Job, language: str) -> str:
        state = say(language, f"status_{job.status}")
        if job.status is JobStatus.RUNNING and job.progress is not None:
            full = round(job.progress / 20)
            state = f"{'▰' * full}{'▱' * (5 - full)} {job.progress:.0f} %"
        return f"{SIGNS[job.status]} #{job.id} {short(job.name, 40)} · {state}"


def short_text(text: str, chars_max: int = 2_000) -> str:
    """Several lines, cut at the end."""
    return text if len(text) <= chars_max else text[: chars_max - 1] + "…"

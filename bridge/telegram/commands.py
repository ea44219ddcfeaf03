"""Slash commands and buttons: what needs no model.

Every command is one transaction: its effect, the sentence owed to the person, and the update being
done. They do not wait for an answer that is being made.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from bridge import conversation
from bridge.clock import Clock, moment, stamp
from bridge.conversation import Message
from bridge.deliveries import owe
from bridge.errors import JobNotFound, JobRefused
from bridge.models import Job, JobStatus, short
from bridge.queue import Queue, list_jobs
from bridge.store import Tx
from bridge.telegram import compose, schedule_commands
from bridge.telegram.buttons import Signer
from bridge.telegram.compose import Part
from bridge.telegram.gate import Incoming, Press
from bridge.telegram.inbox import all_over, over
from bridge.telegram.openings import text_block, with_context, with_quote
from bridge.telegram.schedule_commands import ScheduleCommands
from bridge.telegram.texts import cause, say
from bridge.tools.jobs import Origin, start_job

MENU: Final = ("new", "stop", "bg", "jobs", "job", "cancel", "retry", "schedule", "status", "help")
READ_ONLY: Final = ("help", "jobs", "job", "schedule", "status")  # they need no write lock to look
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
class Commands:
    """Carries commands out."""

    queue: Queue
    signer: Signer
    clock: Clock
    schedules: ScheduleCommands
    model_name: str

    async def handle(self, message: Incoming) -> None:
        """Carry out one command; an unknown one gets a sentence."""
        name, argument = message.command or ("", "")
        actions: dict[str, Callable[[Tx, Incoming, str], list[Part]]] = {
            "start": self._start,
            "help": lambda _tx, m, _a: [compose.plain_part(say(m.language, "help"))],
            "new": self._new,
            "bg": self._bg,
            "jobs": self._jobs,
            "job": self._job,
            "cancel": self._cancel,
            "retry": self._retry,
            "schedule": self.schedules.command,
            "status": self._status,
        }
        act = actions.get(name, self._unknown)

        def carry_out(tx: Tx) -> None:
            if self._over(tx, message) and (parts := act(tx, message, argument)):
                self._owe(tx, message, parts)

        if name not in READ_ONLY:
            await self.queue.store.write(carry_out)
            return
        parts = await self.queue.store.read(lambda tx: act(tx, message, argument))

        def answer(tx: Tx) -> None:
            if self._over(tx, message):
                self._owe(tx, message, parts)

        await self.queue.store.write(answer)

    async def press(self, press: Press, verb: str, job_id: int) -> str:
        """Carry out a button; the short text shown to who pressed it."""

        def act(tx: Tx) -> str:
            if not self._over(tx, press):
                return ""
            if verb in schedule_commands.VERBS:
                text, parts = self.schedules.press(tx, press, verb, job_id)
                if parts:
                    self._owe(tx, press, parts)
                return text
            try:
                if verb == "jc":
                    return self._cancel_text(tx, press, job_id)
                if verb == "jr":
                    return self._retry_text(tx, press, job_id)
                parts = self._details(tx, press, job_id)
            except JobNotFound:
                return say(press.language, "no_job", id=job_id)
            except JobRefused as error:
                return str(error)
            self._owe(tx, press, parts)
            return ""

        return await self.queue.store.write(act)

    async def say(
        self, message: Incoming | Press, key: str, *, state: str = "done", **values: object
    ) -> None:
        """Answer with one of our own sentences."""
        part = compose.plain_part(say(message.language, key, **values))

        def end(tx: Tx) -> None:
            if self._over(tx, message, state=state):
                self._owe(tx, message, [part])

        await self.queue.store.write(end)

    async def tell(self, item: Incoming | Press, key: str, **values: object) -> None:
        """Say something about an update, which goes on or is over already."""
        part = compose.plain_part(say(item.language, key, **values))
        await self.queue.store.write(lambda tx: self._owe(tx, item, [part], what="told"))

    async def over(self, update_id: int, *, state: str = "done") -> None:
        """The update needs nothing (more)."""
        now = stamp(self.clock.now())
        await self.queue.store.write(
            lambda tx: over(tx, update_id, state=state, now=now), durable=False
        )

    def _over(self, tx: Tx, item: Incoming | Press, *, state: str = "done") -> bool:
        also = item.also if isinstance(item, Incoming) else ()
        ids = (item.update_id, *also)
        return all_over(tx, ids, state=state, now=stamp(self.clock.now()))

    def _owe(self, tx: Tx, to: Incoming | Press, parts: list[Part], *, what: str = "reply") -> None:
        owe(
            tx,
            chat_id=to.chat_id,
            thread_id=to.thread_id,
            kind="reply",
            payload={"parts": parts},
            dedupe_key=f"update:{to.update_id}:{what}",
            now=stamp(self.clock.now()),
        )

    def _start(self, _tx: Tx, message: Incoming, _argument: str) -> list[Part]:
        return [compose.plain_part(say(message.language, "welcome", name=message.name))]

    def _new(self, tx: Tx, message: Incoming, _argument: str) -> list[Part]:
        name = conversation.chat_conversation(message.chat_id, message.thread_id)
        tx.run("forget_conversation", conversation=name)
        return [compose.plain_part(say(message.language, "new_conversation"))]

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
        counts = self._counts(tx, message.chat_id)
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

    def _status(self, tx: Tx, message: Incoming, _argument: str) -> list[Part]:
        text = say(
            message.language,
            "status_report",
            **self._counts(tx, message.chat_id),
            owed=tx.value("count_owed", chat_id=message.chat_id),
            model=self.model_name,
        )
        return [compose.plain_part(text)]

    def _unknown(self, _tx: Tx, message: Incoming, _argument: str) -> list[Part]:
        command = short(message.text.split()[0], 40)
        return [compose.plain_part(say(message.language, "unknown_command", command=command))]

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

    def _counts(self, tx: Tx, chat_id: str) -> dict[str, int]:
        found = {row["status"]: row["jobs"] for row in tx.all("count_of_chat", chat_id=chat_id)}
        return {str(status): found.get(status, 0) for status in JobStatus}

    def _line(self, job: Job, language: str) -> str:
        state = say(language, f"status_{job.status}")
        if job.status is JobStatus.RUNNING and job.progress is not None:
            full = round(job.progress / 20)
            state = f"{'▰' * full}{'▱' * (5 - full)} {job.progress:.0f} %"
        return f"{SIGNS[job.status]} #{job.id} {short(job.name, 40)} · {state}"


def short_text(text: str, chars_max: int = 2_000) -> str:
    """Several lines, cut at the end."""
    return text if len(text) <= chars_max else text[: chars_max - 1] + "…"

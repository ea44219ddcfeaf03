"""`/bg`, `/cancel`, `/retry`, and what the buttons below a job do to it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from bridge import conversation
from bridge.clock import Clock, stamp
from bridge.conversation import Message
from bridge.errors import JobNotFound, JobRefused
from bridge.models import Job, JobStatus
from bridge.queue import Queue, list_jobs
from bridge.store import Tx
from bridge.telegram import compose, job_buttons
from bridge.telegram.buttons import Signer
from bridge.telegram.compose import Part, in_place
from bridge.telegram.gate import Incoming, Press
from bridge.telegram.job_list import LIVE, filter_of
from bridge.telegram.job_pages import Done, JobPages, number_of
from bridge.telegram.job_replies import NEXT
from bridge.telegram.openings import text_block, with_context, with_quote
from bridge.telegram.texts import reason, say
from bridge.tools.jobs import Origin, start_again, start_job

CHOICE: Final = 8  # jobs offered when a command does not say which
OF_GROUP: Final = 100  # jobs of a group looked through for those of one person
RETRIED: Final = (JobStatus.FAILED, JobStatus.CANCELLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobCommands:
    """Carries out what concerns jobs."""

    queue: Queue
    signer: Signer
    clock: Clock
    pages: JobPages
    names = ("bg", "cancel", "retry")
    read_only = ()
    verbs = ("jc", "jz", "jk", "jr", "je", "jv", "jt", "jf", "ja", "jn", "jw")

    def command(self, tx: Tx, message: Incoming, name: str, argument: str) -> list[Part]:
        """Carry out one of `names`."""
        actions: dict[str, Callable[[Tx, Incoming, str], list[Part]]] = {
            "bg": self._bg,
            "cancel": self._cancel,
            "retry": self._retry,
        }
        return actions[name](tx, message, argument)

    def press(self, tx: Tx, press: Press, verb: str, number: int) -> Done:
        """Carry out one of `verbs` on a job."""
        acts: dict[str, Callable[[Tx, Press, int], Done]] = {
            "jc": lambda tx, press, number: (self._cancel_text(tx, press, number), []),
            "jz": self._cancel_in_details,
            "jk": self._cancel_chosen,
            "jr": self._retry_failure,
            "je": self._retry_in_details,
            "jv": self._retry_chosen,
            "jt": self._fold,
            "jf": self._first,
            "ja": self._again,
            "jn": self._never_mind,
            "jw": self._what_next,
        }
        try:
            return acts[verb](tx, press, number)
        except JobNotFound:
            return say(press.language, "no_job", id=number), []
        except JobRefused as error:
            return reason(press.language, error), []

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
            replied_to=message.replied_to,
        )
        acknowledgement = say(message.language, "acknowledged")
        try:
            job = start_job(
                tx,
                self.queue,
                origin,
                prompt=with_context(
                    tx, name, with_quote(replace(message, text=argument, heard="")), source=source
                ),
                title=argument,
                acknowledgement=acknowledgement,
            )
        except JobRefused as error:
            return [compose.plain_part(reason(message.language, error))]
        now = stamp(self.clock.now())
        said = [file.block("other") for file in message.files]
        said.append(text_block(conversation.without_tags(argument)))
        answer = [text_block(f"{acknowledgement} (job {job.id})")]
        for role, content, of in (("user", said, source), ("assistant", answer, None)):
            conversation.append(tx, name, Message(role=role, content=content, source=of), now=now)
        return []  # the card acknowledges

    def _cancel(self, tx: Tx, message: Incoming, argument: str) -> list[Part]:
        if argument and filter_of(argument) == 0:  # all of them
            sure = self.pages.all_sure(tx, message)
            return [sure or compose.plain_part(say(message.language, "nothing_to_cancel"))]
        if not argument and (jobs := self._fitting(tx, message, LIVE)):
            return self._of(tx, message, jobs, "cancel_which", "jk", self._cancel_text)
        return self._with_id(tx, message, "cancel", argument, self._cancel_text)

    def _retry(self, tx: Tx, message: Incoming, argument: str) -> list[Part]:
        if not argument and (jobs := self._fitting(tx, message, RETRIED)):
            return self._of(tx, message, jobs, "retry_which", "jv", self._retry_text)
        return self._with_id(tx, message, "retry", argument, self._retry_text)

    def _fitting(self, tx: Tx, to: Incoming | Press, statuses: tuple[JobStatus, ...]) -> list[Job]:
        """The newest that may be meant; in a group only those of who is asking."""
        limit = OF_GROUP if to.in_group else CHOICE
        jobs = list_jobs(tx, chat_id=to.chat_id, statuses=statuses, limit=limit)
        return [job for job in jobs if not to.in_group or job.user_id == to.user_id][:CHOICE]

    def _of(
        self,
        tx: Tx,
        message: Incoming,
        jobs: list[Job],
        key: str,
        verb: str,
        act: Callable[[Tx, Incoming | Press, int], str],
    ) -> list[Part]:
        """No number was given: the only job that fits is meant, or the person is asked which."""
        if len(jobs) > 1:
            return [self._choice(jobs, key, verb, message)]
        return self._tried(message, str(jobs[0].id), lambda: act(tx, message, jobs[0].id))

    def _choice(self, jobs: list[Job], key: str, verb: str, to: Incoming | Press) -> Part:
        buttons = job_buttons.choice_rows(jobs, verb, self.signer, to.chat_id)
        return {**compose.plain_part(say(to.language, key)), "buttons": buttons}

    def _with_id(
        self,
        tx: Tx,
        message: Incoming,
        command: str,
        argument: str,
        act: Callable[[Tx, Incoming | Press, int], str],
    ) -> list[Part]:
        number = number_of(argument)
        if number is None:
            return [compose.plain_part(say(message.language, "job_how", command=command))]
        return self._tried(message, str(number)[:20], lambda: act(tx, message, number))

    def _tried(self, message: Incoming, number: str, act: Callable[[], str]) -> list[Part]:
        try:
            return [compose.plain_part(act())]
        except JobNotFound:
            return [compose.plain_part(say(message.language, "no_job", id=number))]
        except JobRefused as error:
            return [compose.plain_part(reason(message.language, error))]

    def _cancel_in_details(self, tx: Tx, press: Press, number: int) -> Done:
        text = self._cancel_text(tx, press, number)
        return text, in_place(press, self.pages.details(tx, press, number))

    def _cancel_chosen(self, tx: Tx, press: Press, number: int) -> Done:
        text = self._cancel_text(tx, press, number)
        return text, self._rest(tx, press, text, LIVE, "cancel_which", "jk")

    def _retry_failure(self, tx: Tx, press: Press, number: int) -> Done:
        return self._retry_text(tx, press, number), job_buttons.with_buttons(press, [])

    def _retry_in_details(self, tx: Tx, press: Press, number: int) -> Done:
        text = self._retry_text(tx, press, number)
        return text, in_place(press, self.pages.details(tx, press, number))

    def _retry_chosen(self, tx: Tx, press: Press, number: int) -> Done:
        text = self._retry_text(tx, press, number)
        return text, self._rest(tx, press, text, RETRIED, "retry_which", "jv")

    def _rest(
        self,
        tx: Tx,
        press: Press,
        text: str,
        statuses: tuple[JobStatus, ...],
        key: str,
        verb: str,
    ) -> list[Part]:
        """The choice without what was chosen; the last word when nothing is left."""
        jobs = self._fitting(tx, press, statuses)
        part = self._choice(jobs, key, verb, press) if jobs else compose.plain_part(text)
        return in_place(press, part)

    def _fold(self, tx: Tx, press: Press, number: int) -> Done:
        self.queue.find(tx, number, chat_id=press.chat_id)
        tx.run("fold_card", job_id=number)
        tx.wake("bridge")
        return "", []

    def _first(self, tx: Tx, press: Press, number: int) -> Done:
        job = self.queue.first_in(tx, number, chat_id=press.chat_id)
        key = "is_first" if job.status is JobStatus.PENDING else "is_not_waiting"
        status = say(press.language, f"status_{job.status}")
        return say(press.language, key, id=number, status=status), []

    def _again(self, tx: Tx, press: Press, number: int) -> Done:
        earlier = self.queue.find(tx, number, chat_id=press.chat_id)
        origin = Origin(
            chat_id=press.chat_id,
            thread_id=press.thread_id,
            user_id=press.user_id,
            message_id=press.message_id,
            source=f"update:{press.update_id}",
        )
        job, new = start_again(tx, self.queue, origin, earlier, now=stamp(self.clock.now()))
        return say(press.language, "again_started" if new else "again_runs", id=job.id), []

    def _never_mind(self, tx: Tx, press: Press, number: int) -> Done:
        self.queue.find(tx, number, chat_id=press.chat_id)
        return say(press.language, "never_minded"), job_buttons.with_buttons(press, [])

    def _what_next(self, tx: Tx, press: Press, number: int) -> Done:
        """The reply to this is a job that goes on with that one's work."""
        job = self.queue.find(tx, number, chat_id=press.chat_id)
        key = "next_how" if job.status is JobStatus.DONE else "change_how"
        part = compose.plain_part(
            say(press.language, key, id=number), reply_to=press.message_id, silent=True
        )
        return "", [{**part, "of_job": (number, NEXT)}]

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

"""`/schedule`, its buttons, and the two of a proposal.

Everything happens inside the one transaction of the command or the press: the effect, what the
message shows from then on, and the update being done. A tap changes the message it was made on.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bridge import conversation, proposals, schedules
from bridge.clock import Clock, stamp
from bridge.conversation import Message
from bridge.deliveries import owe
from bridge.errors import JobRefused, ScheduleNotFound, ScheduleRefused
from bridge.models import short
from bridge.proposals import Proposal
from bridge.queue import Queue
from bridge.schedules import Schedule
from bridge.store import Tx
from bridge.telegram import compose, schedule_words
from bridge.telegram.buttons import Signer
from bridge.telegram.chosen import Chosen
from bridge.telegram.compose import Part, in_place, plain_part
from bridge.telegram.gate import Incoming, Press
from bridge.telegram.texts import reason, say

TOAST_CHARS_MAX = 190  # Telegram shows 200
Done = tuple[str, list[Part]]  # the short text for who pressed, and what the chat is owed


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleCommands:
    """Carries out what concerns schedules."""

    queue: Queue
    signer: Signer
    clock: Clock
    chosen: Chosen
    names = ("schedule",)
    read_only = ("schedule",)
    verbs = ("sl", "sd", "sn", "sp", "su", "sc", "sr", "sx", "ps", "pd")

    def command(self, tx: Tx, message: Incoming, _name: str, argument: str) -> list[Part]:
        """`/schedule` and `/schedule 3`; anything else behind it is for the agent."""
        number = number_of(argument)
        if number is None:
            return [self._list(tx, message, 0)]
        try:
            return [self._one(tx, message, number)]
        except ScheduleNotFound:
            return [plain_part(say(message.language, "no_schedule", id=number))]

    def press(self, tx: Tx, press: Press, verb: str, number: int) -> Done:
        """Carry out a button whose signature was read."""
        acts: dict[str, Callable[[Tx, Press, int], Done]] = {
            "sl": lambda tx, press, page: ("", in_place(press, self._list(tx, press, page))),
            "sd": lambda tx, press, number: ("", in_place(press, self._one(tx, press, number))),
            "sn": self._run,
            "sp": self._pause,
            "su": self._resume,
            "sc": self._ask_what_to_change,
            "sr": self._ask_to_remove,
            "sx": self._remove,
            "ps": self._save,
            "pd": self._discard,
        }
        language = press.language
        try:
            return acts[verb](tx, press, number)
        except ScheduleNotFound:
            if verb in ("ps", "pd"):
                return say(language, "no_proposal"), []
            return say(language, "no_schedule", id=number), []
        except (ScheduleRefused, JobRefused) as error:
            return short(
                say(language, "schedule_unfit", why=reason(language, error)), TOAST_CHARS_MAX
            ), []

    def show(self, tx: Tx, proposal: Proposal, acknowledgement: str, language: str) -> Part:
        """The message that asks whether a proposal is what was meant. Raises: ScheduleRefused."""
        now = self.clock.now()
        about: dict[str, Any] = {"user_id": proposal.user_id, "chat_id": proposal.chat_id}
        guessed = not self.chosen.zone_of(**about)
        first = tx.value("earlier_proposal", user_id=proposal.user_id, id=proposal.id) is None
        return schedule_words.proposal_part(
            proposal,
            proposals.upcoming(tx, proposal, now),
            self.signer,
            language=language,
            now=now,
            acknowledgement=acknowledgement,
            guessed=guessed and first,
        )

    def offer(self, tx: Tx, proposal: Proposal, acknowledgement: str, language: str) -> None:
        """Owe that message, as its own kind: what the model said before it comes before it."""
        part = self.show(tx, proposal, acknowledgement, language)
        owe(
            tx,
            chat_id=proposal.chat_id,
            thread_id=proposal.thread_id,
            kind="proposal",
            payload={"parts": [part]},
            dedupe_key=f"proposal:{proposal.id}",
            now=stamp(self.clock.now()),
        )

    def _list(self, tx: Tx, to: Incoming | Press, page: int) -> Part:
        return schedule_words.list_part(
            schedules.list_schedules(tx, chat_id=to.chat_id),
            page,
            self.signer,
            to.chat_id,
            language=to.language,
            now=self.clock.now(),
        )

    def _one(self, tx: Tx, to: Incoming | Press, number: int) -> Part:
        schedule = schedules.find(tx, number, to.chat_id)
        return schedule_words.one_part(
            schedule, self.signer, language=to.language, now=self.clock.now()
        )

    def _run(self, tx: Tx, press: Press, number: int) -> Done:
        schedule = schedules.find(tx, number, press.chat_id)
        live = tx.one("job_of_schedule", source=None, unique_key=schedule.unique_key)
        if live is not None:
            return say(press.language, "schedule_busy", id=live["id"]), []
        job = schedules.run_now(tx, self.queue, number, chat_id=press.chat_id)
        return say(press.language, "schedule_started", id=job.id), []  # its card tells the chat

    def _pause(self, tx: Tx, press: Press, number: int) -> Done:
        schedules.pause(tx, number, chat_id=press.chat_id)
        text = say(press.language, "schedule_is_paused", id=number)
        return text, in_place(press, self._one(tx, press, number))

    def _resume(self, tx: Tx, press: Press, number: int) -> Done:
        schedules.resume(tx, number, now=self.clock.now(), chat_id=press.chat_id)
        text = say(press.language, "schedule_is_resumed", id=number)
        return text, in_place(press, self._one(tx, press, number))

    def _ask_what_to_change(self, tx: Tx, press: Press, number: int) -> Done:
        """What is said next is for the agent, which knows what it is about."""
        schedule = schedules.find(tx, number, press.chat_id)
        said = conversation.without_tags(_as_it_is(schedule))
        event = f'<kitt-event schedule="{number}" status="to-change">{said}</kitt-event>'
        self._note(tx, press.chat_id, press.thread_id, event, f"update:{press.update_id}:change")
        how = say(press.language, "schedule_change_how", id=number)
        return "", [compose.plain_part(how, reply_to=press.message_id, silent=True)]

    def _ask_to_remove(self, tx: Tx, press: Press, number: int) -> Done:
        schedule = schedules.find(tx, number, press.chat_id)
        part = schedule_words.removal_part(schedule, self.signer, language=press.language)
        return "", in_place(press, part)

    def _remove(self, tx: Tx, press: Press, number: int) -> Done:
        schedule = schedules.remove(tx, number, chat_id=press.chat_id)
        text = say(press.language, "schedule_is_removed", id=number)
        part = plain_part(f"{text}\n{short(schedule.name, 100)}")
        back = schedule_words.all_button(self.signer, press.chat_id, press.language)
        return text, in_place(press, {**part, "buttons": back})

    def _save(self, tx: Tx, press: Press, number: int) -> Done:
        proposal = proposals.find(tx, number, chat_id=press.chat_id, user_id=press.user_id)
        language, now = press.language, self.clock.now()
        if proposal.status == "saved":
            return say(language, "proposal_saved_already", id=proposal.schedule_id), []
        if proposal.status == "discarded":
            return say(language, "proposal_discarded_already"), []
        if proposal.expired(now):
            text = say(language, "proposal_expired")
            return text, self._closed(press, proposal, text)
        if proposal.changes is None and proposals.full(tx, press.chat_id):
            return say(language, "proposal_full", count=proposals.SCHEDULES_MAX), []
        try:
            schedule = proposals.save(tx, proposal, now=now)
        except ScheduleNotFound:  # what it was to change
            text = say(language, "no_schedule", id=proposal.changes)
            return text, self._closed(press, proposal, text)
        if proposal.changes is None:
            text = say(language, "proposal_saved", id=schedule.id)
            self._remember(tx, proposal, f"saved as schedule {schedule.id}")
        else:
            text = say(language, "schedule_is_changed", id=schedule.id)
            self._remember(tx, proposal, f"schedule {schedule.id} is changed so")
        part = self._one(tx, press, schedule.id)
        return text, in_place(press, {**part, "text": f"{text}\n\n{part['text']}"})

    def _discard(self, tx: Tx, press: Press, number: int) -> Done:
        proposal = proposals.find(tx, number, chat_id=press.chat_id, user_id=press.user_id)
        language = press.language
        if proposal.status == "saved":
            return say(language, "proposal_saved_already", id=proposal.schedule_id), []
        if proposal.status == "open":
            self._remember(tx, proposals.discard(tx, proposal), "discarded")
        text = say(language, "proposal_discarded")
        return text, self._closed(press, proposal, text)

    def _closed(self, press: Press, proposal: Proposal, text: str) -> list[Part]:
        """The proposal as it was, without buttons, and what became of it."""
        lines = schedule_words.proposal_lines(proposal, [], press.language, self.clock.now())
        return in_place(press, plain_part("\n".join([*lines, "", text])))

    def _remember(self, tx: Tx, proposal: Proposal, end: str) -> None:
        """The model knows what became of what it proposed."""
        about = conversation.without_tags(proposal.name)
        event = f'<kitt-event proposal="{proposal.id}" status="over">“{about}”: {end}</kitt-event>'
        source = f"proposal:{proposal.id}:over"
        self._note(tx, proposal.chat_id, proposal.thread_id, event, source)

    def _note(self, tx: Tx, chat_id: str, thread_id: int, event: str, source: str) -> None:
        message = Message(role="user", content=[{"type": "text", "text": event}], source=source)
        name = conversation.chat_conversation(chat_id, thread_id)
        conversation.append(tx, name, message, now=stamp(self.clock.now()))


def _as_it_is(schedule: Schedule) -> str:
    """A schedule as the model is told it, to propose a change of it."""
    when = schedule.cron or f"every {schedule.every_s} s"
    return (
        f"The user taps Change below schedule {schedule.id} “{schedule.name}” ({when}, "
        f"{schedule.zone}): {short(schedule.prompt, 1_000)}\nWhat they say next is probably what "
        f"is to be different: propose_schedule with changes={schedule.id}."
    )


def number_of(argument: str) -> int | None:
    """The number behind the command, or None."""
    digits = re.fullmatch(r"#?\s*([0-9]{1,19})", argument.strip(), re.ASCII)
    return int(digits[1]) if digits else None


def for_the_agent(argument: str) -> bool:
    """`/schedule every weekday at 7:30 the news` is a request like any other."""
    return bool(argument.strip()) and number_of(argument) is None

"""The first message to someone: what KITT is, and examples that a tap carries out, once each.

One example is a job that shows what jobs are (demo_job.py); the others are asked as if the person
had written them.
"""

from dataclasses import dataclass
from typing import Final

from bridge.clock import Clock, stamp
from bridge.deliveries import owe
from bridge.demo_job import KIND, Script
from bridge.models import NewJob
from bridge.queue import Queue
from bridge.store import Tx
from bridge.telegram import settings_words
from bridge.telegram.api import Buttons
from bridge.telegram.buttons import Signer
from bridge.telegram.chosen import Chosen
from bridge.telegram.compose import Part, plain_part
from bridge.telegram.gate import Incoming, Press
from bridge.telegram.inbox import over
from bridge.telegram.job_buttons import with_buttons
from bridge.telegram.texts import names as lines
from bridge.telegram.texts import say
from bridge.tools.jobs import note_queued

# Only ever longer at its end: a button carries the place of its example.
QUESTIONS: Final = ("example_question", "example_schedule")
SIGNS: Final = {"example_question": "💬", "example_schedule": "🗓"}
CHOICES: Final = ("language", "quiet")  # offered below the examples, as in /settings
DEMO: Final = "od"
ASK: Final = "oq"
CHOOSE: Final = "os"


@dataclass(frozen=True, slots=True, kw_only=True)
class Welcome:
    """Makes the message, and carries out what is tapped on it."""

    queue: Queue
    signer: Signer
    clock: Clock
    chosen: Chosen
    names = ()
    read_only = ()
    verbs = (DEMO, CHOOSE)

    def part(self, chat_id: str, name: str, language: str, *, key: str = "") -> Part:
        """The message; `key` is that of a text that has more to say before it."""
        text = say(language, "welcome", name=name or "👋")
        if key:
            text = say(language, key, welcome=text)
        return {**plain_part(text), "buttons": self._buttons(chat_id, language, set())}

    def command(self, tx: Tx, message: Incoming, name: str, argument: str) -> list[Part]:
        """There are no commands here."""
        raise NotImplementedError(name)

    def press(self, tx: Tx, press: Press, verb: str, number: int) -> tuple[str, list[Part]]:
        """Start the job that shows what jobs are, or show a setting."""
        if verb == CHOOSE:
            return "", self._setting(tx, press, number)
        if not self._take(tx, press, DEMO, 0):
            return say(press.language, "example_done"), []
        job = self.queue.insert(tx, self._demo(press))
        note_queued(tx, job, job.name, now=self._now())
        return "", self._without_taken(tx, press)

    async def asked(self, press: Press, number: int) -> Incoming | None:
        """An example as if the person had written it; None when it was asked before.

        The update is over with the answer. One that is handled again after a crash asks again.
        """
        return await self.queue.store.write(lambda tx: self._asked(tx, press, number))

    def _asked(self, tx: Tx, press: Press, number: int) -> Incoming | None:
        if number >= len(QUESTIONS) or not self._take(tx, press, ASK, number):
            over(tx, press.update_id, state="done", now=self._now())
            return None
        if parts := self._without_taken(tx, press):
            owe(
                tx,
                chat_id=press.chat_id,
                thread_id=press.thread_id,
                kind="reply",
                payload={"parts": parts},
                dedupe_key=f"update:{press.update_id}:taken",
                now=self._now(),
            )
        return Incoming(
            update_id=press.update_id,
            chat_id=press.chat_id,
            thread_id=press.thread_id,
            user_id=press.user_id,
            name=press.name,
            language=press.language,
            message_id=press.message_id or 0,
            text=say(press.language, QUESTIONS[number]),
        )

    def _take(self, tx: Tx, press: Press, verb: str, number: int) -> bool:
        """This example of this message is this update's; False when it is another's already."""
        name = _name(press, verb, number)
        taken_by = tx.value("meta", name=name)
        if taken_by is None:
            tx.run("put_meta", name=name, value=str(press.update_id))
        return taken_by in (None, str(press.update_id))

    def _without_taken(self, tx: Tx, press: Press) -> list[Part]:
        examples = [(DEMO, 0), *((ASK, number) for number in range(len(QUESTIONS)))]
        taken = {at for at in examples if tx.value("meta", name=_name(press, *at)) is not None}
        return with_buttons(press, self._buttons(press.chat_id, press.language, taken))

    def _buttons(self, chat_id: str, language: str, taken: set[tuple[str, int]]) -> Buttons:
        rows: Buttons = []
        examples = [("▶", "button_demo", DEMO, 0)]
        examples += [(SIGNS[key], key, ASK, number) for number, key in enumerate(QUESTIONS)]
        for sign, key, verb, number in examples:
            if (verb, number) not in taken:
                rows += self.signer.row(chat_id, (f"{sign} {say(language, key)}", verb, number))
        choices = [
            (
                f"{settings_words.SIGNS[name]} {say(language, f'setting_{name}')}",
                CHOOSE,
                CHOICES.index(name),
            )
            for name in CHOICES
        ]
        return [*rows, *self.signer.row(chat_id, *choices)]

    def _setting(self, tx: Tx, press: Press, number: int) -> list[Part]:
        """As a new message: the welcome stays to be read."""
        part = settings_words.setting_part(
            CHOICES[number % len(CHOICES)],
            self.chosen.renew(tx, press.chat_id),
            self.signer,
            press.chat_id,
            language=press.language,
            zone=self.chosen.zone_of_bot or "UTC",
        )
        return [part]

    def _demo(self, press: Press) -> NewJob:
        language = press.language
        steps, result = lines(language, "demo_steps"), say(language, "demo_result")
        return NewJob(
            chat_id=press.chat_id,
            thread_id=press.thread_id,
            user_id=press.user_id,
            prompt=say(language, "demo_task"),
            title=say(language, "demo_title"),
            acknowledgement=say(language, "demo_acknowledged"),
            kind=KIND,
            data=Script(steps=tuple(steps), result=result).data(),
            source=f"update:{press.update_id}:0",
        )

    def _now(self) -> str:
        return stamp(self.clock.now())


def _name(press: Press, verb: str, number: int) -> str:
    """In the table meta. Without a message, the update alone tells one tap from another."""
    where = press.message_id if press.message_id is not None else f"u{press.update_id}"
    return f"example:{press.chat_id}:{where}:{verb}{number}"

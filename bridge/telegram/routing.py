"""Where an update goes: to a chat, a command, a button, or nowhere.

Nothing here waits: an update is handed on in microseconds, so that one slow chat never delays
another.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final

from telegram import Update

from bridge.clock import Clock
from bridge.models import PROMPT_CHARS_MAX
from bridge.store import Tx
from bridge.telegram import drafts, gate, held, membership
from bridge.telegram.admission import Admission
from bridge.telegram.albums import Albums
from bridge.telegram.answer import Answer
from bridge.telegram.api import Api
from bridge.telegram.attachments import Attachments
from bridge.telegram.buttons import Signer
from bridge.telegram.chat import Chat
from bridge.telegram.chosen import Chosen
from bridge.telegram.commands import Commands
from bridge.telegram.edits import AGAIN, Edits, again
from bridge.telegram.errands import Errands
from bridge.telegram.file_questions import FileQuestions
from bridge.telegram.gate import Incoming, Press
from bridge.telegram.openings import says_stop
from bridge.telegram.outbox import Outbox
from bridge.telegram.people_commands import OWNERS_ONLY as PEOPLE_COMMANDS
from bridge.telegram.people_commands import VERBS_OF_OWNERS as PEOPLE_VERBS
from bridge.telegram.restarting import BEGIN, Restart
from bridge.telegram.rights import Rights
from bridge.telegram.schedule_commands import for_the_agent
from bridge.telegram.signs import Signs
from bridge.telegram.texts import say
from bridge.telegram.welcome import ASK, Welcome

OWNERS_ONLY: Final = (*PEOPLE_COMMANDS, "logs", "restart")
VERBS_OF_OWNERS: Final = (*PEOPLE_VERBS, "ga", "gr", BEGIN, "rk")
OF_THE_ANSWER: Final = ("ts", "tb")  # that is being made


class Routing:
    """Hands every update on, and keeps the chats. `answer` makes the answer to some messages."""

    def __init__(
        self,
        *,
        answer: Callable[[list[Incoming]], Answer],
        admission: Admission,
        chosen: Chosen,
        commands: Commands,
        attachments: Attachments,
        questions: FileQuestions,
        errands: Errands,
        outbox: Outbox,
        api: Api,
        signer: Signer,
        rights: Rights,
        welcome: Welcome,
        signs: Signs,
        edits: Edits,
        restart: Restart,
        clock: Clock,
    ) -> None:
        self._answer = answer
        self._admission = admission
        self._chosen = chosen
        self._commands = commands
        self._attachments = attachments
        self._questions = questions
        self._errands = errands
        self._outbox = outbox
        self._api = api
        self._signer = signer
        self._rights = rights
        self._welcome = welcome
        self._signs = signs
        self._edits = edits
        self._held: dict[tuple[str, int], set[int]] = {}
        self._restart = restart
        self._clock = clock
        self._albums = Albums(clock=clock, over=self._not_meant)
        self._chats: dict[tuple[str, int], Chat] = {}

    def load(self, tx: Tx) -> None:
        """What was held when the last bridge ended."""
        self._held = held.all_held(tx)

    def handle(self, update: Update) -> None:
        """Hand an update on; never waits, never raises."""
        if (pressed := drafts.stopped(update)) is not None:
            self._draft_stopped(update.update_id, pressed)
            return
        item = gate.read(update, self._api.me)
        change = membership.read(update) if item is None else None
        if change is not None:
            self._errands.run(self._admission.changed, change)
        elif item is None:
            self._not_meant(update.update_id)
        elif not self._admission.admits(item) and isinstance(item, Incoming) and not item.meant:
            self._not_meant(item.update_id)
        elif not self._admission.admits(item):
            self._errands.run(self._stranger, item)
        else:
            self._admitted(item)

    def _draft_stopped(self, update_id: int, pressed: drafts.Stopped) -> None:
        chat = self._chats.get((pressed.chat_id, pressed.thread_id))
        if chat is not None and chat.draft_id == pressed.draft_id:
            chat.stop(lambda _stopped: self._commands.over(update_id))
        else:  # that answer is over
            self._errands.run(self._commands.over, update_id)

    def _admitted(self, item: Incoming | Press) -> None:
        self._admission.meet(item)
        item = self._chosen.in_their_language(item)
        if isinstance(item, Press):
            self._errands.run(self._press, item)
        else:
            for message in self._albums.meant(item):
                self._message(message)

    def _not_meant(self, update_id: int) -> None:
        self._errands.run(self._commands.over, update_id, state="refused")

    async def _stranger(self, item: Incoming | Press) -> None:
        if await self._admission.stranger(item):
            self._admitted(item)

    def _message(self, message: Incoming) -> None:
        chat = self._chat(message)
        command = message.command
        if message.edited:
            self._edited(chat, message)
        elif command is not None and command[0] in ("stop", "new") and self._is_of_another(message):
            self._errands.run(self._commands.say, message, "not_your_job")
        elif command is not None and command[0] in ("stop", "new"):
            self._interrupt(chat, message, command[0])
        elif chat.busy and says_stop(message) and not self._is_of_another(message):
            self._interrupt(chat, message, "stop")
        elif message.is_sound and not self._attachments.hears:
            owner = int(message.user_id) in self._admission.owners
            key = "not_heard_how" if owner else "not_heard"
            self._errands.run(self._commands.say, message, key)
        elif message.attached is not None and (command is None or command[0] == "bg"):
            self._attachments.take(message)
        elif command is not None and command[0] == "schedule" and message.attached is not None:
            self._errands.run(self._commands.say, message, "schedule_no_files")
        elif command is not None and command[0] == "schedule" and for_the_agent(command[1]):
            chat.receive(replace(message, text=command[1]))
        elif command is not None:
            if command[0] == "bg" and command[1]:
                message = self._questions.with_files(message)
            self._errands.run(self._command, message, *command)
        elif not message.text.strip():
            self._errands.run(self._commands.say, message, "not_this_kind")
        elif len(message.text) > PROMPT_CHARS_MAX:
            chars = len(message.text)
            self._errands.run(
                self._commands.say, message, "too_long", chars=chars, chars_max=PROMPT_CHARS_MAX
            )
        elif not self._attachments.takes_words(message):
            chat.receive(self._questions.with_files(message))

    def _edited(self, chat: Chat, message: Incoming) -> None:
        if message.command is not None or not message.text.strip():
            self._errands.run(self._commands.over, message.update_id)
        elif not chat.edit(message):
            self._errands.run(self._edits.offer, message)

    async def _again(self, press: Press) -> str:
        """Answer a message as it was changed; the offer has served."""
        message = again(press)
        if message is None or self._chat(press).answers(message.message_id):
            await self._commands.over(press.update_id)
            return say(press.language, "send_it_again") if message is None else ""
        self._chat(press).receive(message)
        if press.message_id is not None:
            self._errands.run(self._api.delete, press.chat_id, press.message_id)
        return ""

    def arrived(self, messages: list[Incoming]) -> None:
        """A request with files, which are here now."""
        for message in messages:
            if message.command is not None:
                self._errands.run(self._command, message, *message.command)
        if others := [self._questions.with_files(m) for m in messages if m.command is None]:
            self._chat(others[0]).receive(*others)

    def asks(self, message: Incoming) -> None:
        """Files without a word."""
        self._questions.ask(message)
        self._errands.run(self._questions.put, message)

    def _interrupt(self, chat: Chat, message: Incoming, command: str) -> None:
        whose = "" if self._admission.is_owner(message) else message.user_id
        dropped = self._attachments.drop((message.chat_id, message.thread_id), of=whose)
        if command == "new":
            self._questions.forget(message.chat_id, message.thread_id)
        alone = command == "stop" and not message.in_group  # in a group others wait too
        interrupt = chat.stop if alone else chat.interrupt
        interrupt(partial(self._interrupted, message, command, dropped))

    async def _interrupted(
        self, message: Incoming, command: str, dropped: Incoming | None, stopped: bool
    ) -> None:
        """`stopped`: an answer was, and has said so."""
        if dropped is not None and not stopped:
            await self._commands.say(dropped, "stopped")
        elif dropped is not None:
            for update_id in (dropped.update_id, *dropped.also):
                await self._commands.over(update_id)
        if command == "new":
            await self._questions.forgotten(message.chat_id, message.thread_id)
            await self._commands.handle(message)
        elif stopped or dropped is not None:
            await self._commands.over(message.update_id)
        else:
            await self._commands.say(message, "nothing_to_stop")

    async def _command(self, message: Incoming, name: str, argument: str) -> None:
        if name in OWNERS_ONLY and not self._may_decide(message):
            await self._commands.unknown(message)
        elif not await self._rights.may_command(message, name, argument):
            await self._commands.say(message, "not_your_job")
        else:
            await self._commands.handle(message)
            if name in OWNERS_ONLY:
                await self._admission.reload()

    def _may_decide(self, item: Incoming | Press) -> bool:
        """What concerns people and groups is for an owner, and not for a group to read."""
        return self._admission.is_owner(item) and not item.in_group

    def _is_of_another(self, item: Incoming | Press) -> bool:
        """Is the answer that is being made in this group another person's?"""
        chat = self._chat(item)
        others = chat.busy and not chat.is_of(item.user_id)
        return item.in_group and others and not self._admission.is_owner(item)

    async def _press(self, press: Press) -> None:
        """A button: check it, act, answer. Unknown data is never anyone's message."""
        known = self._signer.read(press.data, press.chat_id)
        if known is None or (known[0] in VERBS_OF_OWNERS and not self._may_decide(press)):
            await self._commands.over(press.update_id, state="refused")
            text, alert = say(press.language, "not_for_you"), True
        elif not await self._may_press(press, *known):
            await self._commands.over(press.update_id, state="refused")
            text, alert = say(press.language, "not_your_job"), True
        elif known[0] == "ts":
            chat = self._chat(press)
            interrupt = chat.interrupt if press.in_group else chat.stop
            interrupt(lambda _stopped: self._commands.over(press.update_id))
            text, alert = "", False
        elif known[0] == ASK:
            text, alert = await self._example(press, known[1]), False
        elif known[0] == "fs":
            text, alert = await self._summarise(press, known[1]), False
        elif known[0] == AGAIN:
            text, alert = await self._again(press), False
        elif known[0] == "tb":
            running = self._chat(press).to_background()
            await self._commands.over(press.update_id)
            text, alert = "" if running else say(press.language, "answer_is_over"), False
        else:
            text, alert = await self._commands.press(press, *known), False
            if known[0] in VERBS_OF_OWNERS:
                await self._admission.reload()
            if known[0] == held.GO_ON:
                self._chat(press).go_on()
            elif known[0] == held.CLEAR:
                self._chat(press).clear_held()
        await self._api.answer_callback(press.callback_id, text, alert=alert)
        if known is not None and known[0] == BEGIN:
            self._errands.run(self._restart.go)

    async def _example(self, press: Press, number: int) -> str:
        asked = await self._welcome.asked(press, number)
        if asked is None:
            return say(press.language, "example_done")
        self._chat(press).receive(asked)
        return ""

    async def _may_press(self, press: Press, verb: str, number: int) -> bool:
        if verb in OF_THE_ANSWER:
            return not self._is_of_another(press)
        return await self._rights.may_press(press, verb, number)

    async def _summarise(self, press: Press, number: int) -> str:
        """A press that is a message: what it leads to ends it."""
        message = self._questions.summary(press, number)
        if message is None:
            await self._commands.over(press.update_id)
            return say(press.language, "file_chosen")
        self._chat(message).receive(message)
        return ""

    async def drain(self, timeout_s: float) -> None:
        """Give every running answer some seconds."""
        await self._albums.close()
        await asyncio.gather(*(chat.drain(timeout_s) for chat in self._chats.values()))
        await self._signs.close()

    def _chat(self, item: Incoming | Press) -> Chat:
        key = (item.chat_id, item.thread_id)
        if key not in self._chats:
            owed = partial(self._outbox.owed, item.chat_id)
            self._chats[key] = Chat(
                self._answer,
                owed=owed,
                clock=self._clock,
                signs=self._signs,
                held=self._held.pop(key, ()),
            )
        return self._chats[key]

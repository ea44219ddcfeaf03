"""Slash commands and buttons: what needs no model.

Every command is one transaction: its effect, the sentence owed to the person, and the update being
done. They do not wait for an answer that is being made. Each family of commands is a module.
"""

from collections.abc import Iterable
from typing import Protocol

from bridge.clock import Clock, stamp
from bridge.deliveries import owe
from bridge.models import short
from bridge.store import Store, Tx
from bridge.telegram import bells, compose, file_questions
from bridge.telegram.compose import Part
from bridge.telegram.gate import Incoming, Press
from bridge.telegram.inbox import all_over, over
from bridge.telegram.openings import remember_files
from bridge.telegram.texts import say


class Family(Protocol):
    """Commands and buttons that belong together."""

    @property
    def names(self) -> tuple[str, ...]:
        """Its commands, without the slash."""

    @property
    def read_only(self) -> tuple[str, ...]:
        """Those that need no write lock to look."""

    @property
    def verbs(self) -> tuple[str, ...]:
        """Its buttons, as in buttons.VERBS."""

    def command(self, tx: Tx, message: Incoming, name: str, argument: str) -> list[Part]:
        """Carry out one of `names`; what the chat is owed for it."""

    def press(self, tx: Tx, press: Press, verb: str, number: int) -> tuple[str, list[Part]]:
        """Carry out one of `verbs`: the short text for who pressed, and what the chat is owed."""


class Outside(Protocol):
    """Commands and buttons that act elsewhere than in the database, before it is written to.

    After a crash in between they act again: that must change nothing.
    """

    @property
    def names(self) -> tuple[str, ...]:
        """Its commands, without the slash."""

    @property
    def verbs(self) -> tuple[str, ...]:
        """Its buttons, as in buttons.VERBS."""

    async def command(self, message: Incoming, argument: str) -> list[Part]:
        """As a family's."""

    async def press(self, press: Press, verb: str, number: int) -> tuple[str, list[Part]]:
        """As a family's."""


class Commands:
    """Carries commands and presses out."""

    def __init__(
        self, store: Store, clock: Clock, families: Iterable[Family], *, outside: Outside
    ) -> None:
        self._store = store
        self._clock = clock
        families = tuple(families)
        self._by_name = {name: family for family in families for name in family.names}
        self._by_verb = {verb: family for family in families for verb in family.verbs}
        self._outside = outside

    @property
    def names(self) -> frozenset[str]:
        """Every command that has an answer; the answer that is being made is stopped elsewhere."""
        return frozenset(self._by_name) | {*self._outside.names, "stop"}

    async def handle(self, message: Incoming) -> None:
        """Carry out one command; an unknown one gets a sentence."""
        name, argument = message.command or ("", "")
        family = self._by_name.get(name)
        if name in self._outside.names:
            parts = await self._outside.command(message, argument)
            await self._store.write(lambda tx: self.answer(tx, message, parts))
        elif family is None and message.in_group and "@" not in message.text.split()[0]:
            await self.over(message.update_id)  # another bot's
        elif family is None:
            await self.unknown(message)
        elif name in family.read_only:
            parts = await self._store.read(lambda tx: family.command(tx, message, name, argument))
            await self._store.write(lambda tx: self.answer(tx, message, parts))
        else:
            await self._store.write(lambda tx: self._carry_out(tx, family, message))

    async def unknown(self, message: Incoming) -> None:
        """There is no such command, for who wrote it."""
        command = short(message.text.split()[0], 40)
        await self.say(message, "unknown_command", command=command)

    async def press(self, press: Press, verb: str, number: int) -> str:
        """Carry out a button; the short text shown to who pressed it."""
        if verb in self._outside.verbs:
            toast, owed = await self._outside.press(press, verb, number)
            await self._store.write(lambda tx: self.answer(tx, press, owed))
            return toast
        family = self._by_verb[verb]

        def act(tx: Tx) -> str:
            if not self._over(tx, press):
                return ""
            text, parts = family.press(tx, press, verb, number)
            self._owe(tx, press, parts)
            return text

        return await self._store.write(act)

    async def say(
        self, message: Incoming | Press, key: str, *, state: str = "done", **values: object
    ) -> None:
        """Answer with one of our own sentences; files that came with it may be asked for later."""
        sentence = say(message.language, key, **values)

        def answer(tx: Tx) -> None:
            if self._over(tx, message, state=state):
                self._owe(tx, message, [compose.plain_part(sentence)])
                if isinstance(message, Incoming) and message.files:
                    remember_files(tx, message, sentence, now=stamp(self._clock.now()))

        await self._store.write(answer)

    async def tell(self, item: Incoming | Press, key: str, **values: object) -> None:
        """Say something about an update, which goes on or is over already."""
        part = compose.plain_part(say(item.language, key, **values))
        await self._store.write(lambda tx: self._owe(tx, item, [part], what="told"))

    async def over(self, update_id: int, *, state: str = "done") -> None:
        """The update needs nothing (more)."""
        now = stamp(self._clock.now())
        await self._store.write(lambda tx: over(tx, update_id, state=state, now=now), durable=False)

    def answer(
        self, tx: Tx, item: Incoming | Press, parts: list[Part], *, state: str = "done"
    ) -> None:
        """The update is over and this is owed for it, unless it was over already."""
        if self._over(tx, item, state=state):
            self._owe(tx, item, parts)

    def _over(self, tx: Tx, item: Incoming | Press, *, state: str = "done") -> bool:
        now, ids = stamp(self._clock.now()), [item.update_id]
        if isinstance(item, Incoming):
            ids += item.also
            file_questions.over(tx, item, now=now)
        return all_over(tx, ids, state=state, now=now)

    def _owe(self, tx: Tx, to: Incoming | Press, parts: list[Part], *, what: str = "reply") -> None:
        if not parts:
            return
        if isinstance(to, Incoming) and to.in_group and parts[0]["do"] == "text":
            parts = [{**parts[0], "reply_to": to.reply_to}, *parts[1:]]
        now = self._clock.now()
        if isinstance(to, Press) or not bells.waited(to.sent_at, now):
            parts = bells.unheard(parts)
        owe(
            tx,
            chat_id=to.chat_id,
            thread_id=to.thread_id,
            kind="reply",
            payload={"parts": parts},
            dedupe_key=f"update:{to.update_id}:{what}",
            now=stamp(now),
        )

    def _carry_out(self, tx: Tx, family: Family, message: Incoming) -> None:
        name, argument = message.command or ("", "")
        if self._over(tx, message):
            self._owe(tx, message, family.command(tx, message, name, argument))

"""`/memory`: what KITT keeps of a chat, listed, added to, corrected and forgotten.

In a private chat it is its person's; in a group it is the group's, and only an owner of the bot
changes it. A tap changes the message it was made on. Files are changed in a thread of their own,
in the order in which people wrote; what is done twice changes nothing.
"""

import asyncio
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

from bridge.clock import Clock, stamp
from bridge.deliveries import owe
from bridge.memory import Memory, Note, NoteRefused, parted
from bridge.models import short
from bridge.store import Tx
from bridge.telegram.api import Buttons
from bridge.telegram.buttons import Signer
from bridge.telegram.compose import Part, in_place, plain_part
from bridge.telegram.gate import Incoming, Press
from bridge.telegram.texts import reason, say

T = TypeVar("T")
PER_PAGE: Final = 10
IN_A_ROW: Final = 5
LINE_CHARS_MAX: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryCommands:
    """Carries out what concerns notes. `is_owner` is asked for a change in a group."""

    folder: Path
    signer: Signer
    clock: Clock
    is_owner: Callable[[Incoming | Press], bool]
    thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "notes"))
    names = ("memory",)
    verbs = ("nl", "nf", "nu")

    async def command(self, message: Incoming, argument: str) -> list[Part]:
        """`/memory`, `/memory coffee: black`, `/memory 2 coffee: with milk`."""
        return await self._there(self._command, message, argument)

    async def press(self, press: Press, verb: str, number: int) -> tuple[str, list[Part]]:
        """Carry out a button whose signature was read."""
        return await self._there(self._press, press, verb, number)

    async def _there(self, act: Callable[..., T], *about: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self.thread, act, *about)

    def _command(self, message: Incoming, argument: str) -> list[Part]:
        argument, language = argument.strip(), message.language
        if not argument:
            return [self._list(message, 0)]
        if not self._may(message):
            return [plain_part(say(language, "memory_owners_only"))]
        memory = self.of(message.chat_id)
        numbered = re.fullmatch(r"(\d{1,3})\s+(\S.*)", argument, re.ASCII | re.DOTALL)
        try:
            if numbered is None:
                memory.remember(*parted(argument))
            else:
                notes = memory.notes()
                at = int(numbered[1]) - 1
                if not 0 <= at < len(notes):
                    return [plain_part(say(language, "no_note", id=numbered[1]))]
                memory.correct(notes[at].number, *parted(numbered[2]))
        except NoteRefused as error:
            return [plain_part(reason(language, error))]
        last = (len(memory.notes()) - 1) // PER_PAGE if numbered is None else 0
        return [self._list(message, last)]

    def _press(self, press: Press, verb: str, number: int) -> tuple[str, list[Part]]:
        if verb == "nl":
            return "", in_place(press, self._list(press, number))
        if not self._may(press):
            return say(press.language, "memory_owners_only"), []
        try:
            note = self.of(press.chat_id).forget(number)
        except NoteRefused as error:
            return reason(press.language, error), []
        toast = say(press.language, "note_forgotten" if note else "note_gone")
        if verb == "nf":
            return toast, in_place(press, self._list(press, 0))
        words = short(note.line, LINE_CHARS_MAX) if note else "–"
        forgotten = say(press.language, "note_forgotten_line", note=words)
        return toast, in_place(press, plain_part(forgotten))

    def of(self, chat_id: str) -> Memory:
        """The notes of a chat."""
        return Memory(self.folder, chat_id)

    def tell(
        self, tx: Tx, note: Note, *, chat_id: str, thread_id: int, source: str, language: str
    ) -> None:
        """Owe the chat a word about a note that the model keeps, with the way to forget it."""
        part = plain_part(say(language, "note_kept", note=note.line), silent=True)
        button = (say(language, "button_forget"), "nu", note.number)
        owe(
            tx,
            chat_id=chat_id,
            thread_id=thread_id,
            kind="notice",
            payload={"parts": [{**part, "buttons": self.signer.row(chat_id, button)}]},
            dedupe_key=f"note:{source}:{note.number}",
            now=stamp(self.clock.now()),
        )

    def _may(self, by: Incoming | Press) -> bool:
        return not by.chat_id.startswith("-") or self.is_owner(by)

    def _list(self, to: Incoming | Press, page: int) -> Part:
        language, memory = to.language, self.of(to.chat_id)
        notes, shared = memory.notes(), memory.shared()
        if not notes and not shared:
            return plain_part(say(language, "memory_empty"))
        pages = max(1, -(-len(notes) // PER_PAGE))
        page = min(page, pages - 1)
        first = page * PER_PAGE
        shown = list(enumerate(notes, 1))[first : first + PER_PAGE]
        lines = [f"{at}. {short(note.line, LINE_CHARS_MAX)}" for at, note in shown]
        if shared and page == pages - 1:
            lines += ["", say(language, "memory_shared")]
            lines += [f"· {short(note.line, LINE_CHARS_MAX)}" for note in shared[:PER_PAGE]]
        title, how = say(language, "memory_title"), say(language, "memory_how")
        buttons = [(f"✕ {at}", "nf", note.number) for at, note in shown]
        rows = [
            *self._rows(to.chat_id, buttons),
            *self._rows(
                to.chat_id,
                [("‹", "nl", page - 1)] * (page > 0) + [("›", "nl", page + 1)] * (page < pages - 1),
            ),
        ]
        return {**plain_part("\n".join([title, "", *lines, "", how])), "buttons": rows}

    def _rows(self, chat_id: str, buttons: list[tuple[str, str, int]]) -> Buttons:
        return [
            row
            for start in range(0, len(buttons), IN_A_ROW)
            for row in self.signer.row(chat_id, *buttons[start : start + IN_A_ROW])
        ]

"""`/persona`, also from `/settings`: who answers in a chat. In a group only an owner chooses."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bridge.models import short
from bridge.personas import Persona, personas
from bridge.preferences import choose
from bridge.store import Tx
from bridge.telegram.buttons import Signer
from bridge.telegram.chosen import Chosen
from bridge.telegram.compose import Part, in_place, plain_part
from bridge.telegram.gate import Incoming, Press
from bridge.telegram.texts import say


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonaCommands:
    """Carries out the choice. `is_owner` is asked for a change in a group."""

    profile: Path
    signer: Signer
    chosen: Chosen
    is_owner: Callable[[Tx, str], bool]
    names = ("persona",)
    read_only = ()
    verbs = ("cp", "cl")

    def command(self, tx: Tx, message: Incoming, _name: str, argument: str) -> list[Part]:
        """`/persona`, `/persona editor`, `/persona kitt` for the usual one."""
        word, language = argument.strip().casefold(), message.language
        if not word:
            return [self._list(tx, message)]
        if not self._may(tx, message):
            return [plain_part(say(language, "persona_owners_only"))]
        found = next((p.id for p in self._all() if word in (p.id, p.name.casefold())), None)
        if found is None and word != "kitt":
            return [plain_part(say(language, "no_persona", name=short(word, 40)))]
        self._choose(tx, message, found or "")
        return [self._list(tx, message)]

    def now(self, tx: Tx, chat_id: str) -> str | None:
        """The name of who answers here; None where there is nobody else to choose."""
        found = self._all()
        chosen = self.chosen.renew(tx, chat_id).persona
        return next((p.name for p in found if p.id == chosen), "KITT") if found else None

    def press(self, tx: Tx, press: Press, verb: str, number: int) -> tuple[str, list[Part]]:
        """Carry out a button whose signature was read."""
        if verb == "cl":
            return "", in_place(press, self._list(tx, press))
        if not self._may(tx, press):
            return say(press.language, "persona_owners_only"), []
        found = next((p.id for p in self._all() if _number(p.id) == number), "")
        if number and not found:
            return say(press.language, "persona_gone"), in_place(press, self._list(tx, press))
        self._choose(tx, press, found)
        return "✓", in_place(press, self._list(tx, press))

    def _choose(self, tx: Tx, by: Incoming | Press, persona: str) -> None:
        choose(tx, by.chat_id, "persona", persona)
        self.chosen.renew(tx, by.chat_id)

    def _all(self) -> list[Persona]:
        return personas(self.profile)

    def _may(self, tx: Tx, by: Incoming | Press) -> bool:
        return not by.chat_id.startswith("-") or self.is_owner(tx, by.user_id)

    def _list(self, tx: Tx, to: Incoming | Press) -> Part:
        found, language = self._all(), to.language
        if not found:
            return plain_part(say(language, "no_personas"))
        now = self.chosen.renew(tx, to.chat_id).persona
        now = now if any(persona.id == now for persona in found) else ""
        lines = [f"{'✓ ' if not now else ''}KITT – {say(language, 'persona_usual')}"]
        lines += [
            ("✓ " if persona.id == now else "")
            + " – ".join(filter(None, (persona.name, short(persona.role, 80))))
            for persona in found
        ]
        buttons = [("KITT", "cp", 0)] + [(p.name, "cp", _number(p.id)) for p in found]
        rows = [
            row
            for start in range(0, len(buttons), 2)
            for row in self.signer.row(to.chat_id, *buttons[start : start + 2])
        ]
        rows += self.signer.row(to.chat_id, (say(language, "button_settings"), "um", 0))
        text = "\n".join([say(language, "persona_title"), "", *lines])
        return {**plain_part(text), "buttons": rows}


def _number(name: str) -> int:
    return zlib.crc32(name.encode()) or 1

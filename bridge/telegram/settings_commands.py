"""`/settings` and its buttons: what a person, or a group, chooses.

In a private chat they are its person's; in a group they are the group's, and only an owner of the
bot changes them. A tap changes the message it was made on.
"""

from collections.abc import Callable
from dataclasses import dataclass

from bridge.models import short
from bridge.preferences import PreferenceRefused, choose
from bridge.store import Tx
from bridge.telegram import settings_words
from bridge.telegram.buttons import Signer
from bridge.telegram.chosen import Chosen
from bridge.telegram.compose import Part, in_place, plain_part
from bridge.telegram.gate import Incoming, Press, language_of_chat
from bridge.telegram.persona_commands import PersonaCommands
from bridge.telegram.texts import LANGUAGES, say

Done = tuple[str, list[Part]]  # the short text for who pressed, and what the chat is owed


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsCommands:
    """Carries out what concerns choices. `is_owner` is asked for a change in a group."""

    signer: Signer
    chosen: Chosen
    is_owner: Callable[[Tx, str], bool]
    personas: PersonaCommands
    names = ("settings",)
    read_only = ()
    verbs = ("um", "uo", "uc")

    def command(self, tx: Tx, message: Incoming, _name: str, argument: str) -> list[Part]:
        """`/settings`, `/settings zone`, `/settings zone Europe/Lisbon`."""
        language = message.language
        word, _, said = argument.partition(" ")
        if not word:
            return [self._all(tx, message, language)]
        if settings_words.means_persona(word):
            return self.personas.command(tx, message, "persona", said)
        name = settings_words.name_meant(word)
        if name is None:
            return [plain_part(say(language, "no_setting", name=short(word, 40)))]
        if not said.strip():
            return [self._one(tx, message, name)]
        if not self._may(tx, message):
            return [plain_part(say(language, "settings_owners_only"))]
        value = settings_words.value_meant(name, said)
        try:
            if value is None:
                raise PreferenceRefused(name, said)
            language = self._choose(tx, message, name, value)
        except PreferenceRefused:
            fits = ", ".join(LANGUAGES)
            text = say(message.language, f"unfit_{name}", value=short(said, 40), choices=fits)
            return [plain_part(text)]
        return [self._all(tx, message, language)]

    def press(self, tx: Tx, press: Press, verb: str, number: int) -> Done:
        """Carry out a button whose signature was read."""
        if verb == "um":
            return "", in_place(press, self._all(tx, press, press.language))
        found = settings_words.choice_of(number)
        if found is None:  # of a list that is shorter now
            return "", in_place(press, self._all(tx, press, press.language))
        name, value = found
        if value is None:
            return "", in_place(press, self._one(tx, press, name))
        if not self._may(tx, press):
            return say(press.language, "settings_owners_only"), []
        language = self._choose(tx, press, name, value)
        said = settings_words.label(name, value, language, zone=self._zone)
        toast = f"✓ {say(language, f'setting_{name}')}: {said}"
        return short(toast, 190), in_place(press, self._all(tx, press, language))

    def _choose(self, tx: Tx, by: Incoming | Press, name: str, value: str) -> str:
        """Keep a choice; the language that is spoken from here on. Raises: PreferenceRefused."""
        if name == "language" and value not in ("", *LANGUAGES):
            raise PreferenceRefused(name, value)
        choose(tx, by.chat_id, name, value)
        self.chosen.renew(tx, by.chat_id)  # a commit that fails is tried again, with the same end
        if name != "language":
            return by.language
        return value or language_of_chat(tx, by.user_id)

    @property
    def _zone(self) -> str:
        return self.chosen.zone_of_bot or "UTC"

    def _may(self, tx: Tx, by: Incoming | Press) -> bool:
        return not by.chat_id.startswith("-") or self.is_owner(tx, by.user_id)

    def _all(self, tx: Tx, to: Incoming | Press, language: str) -> Part:
        return settings_words.settings_part(
            self.chosen.renew(tx, to.chat_id),
            self.signer,
            to.chat_id,
            language=language,
            zone=self._zone,
            persona=self.personas.now(tx, to.chat_id),
        )

    def _one(self, tx: Tx, to: Incoming | Press, name: str) -> Part:
        return settings_words.setting_part(
            name,
            self.chosen.renew(tx, to.chat_id),
            self.signer,
            to.chat_id,
            language=to.language,
            zone=self._zone,
        )

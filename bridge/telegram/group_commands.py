"""Groups: the card that asks an owner whether the bot may answer in one, and leaving the others.

A group is closed until an owner opens it. One into which a stranger brought the bot is left at
once; the owners hear of it one time.
"""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import partial
from typing import Final

from bridge import access, groups, people, revoked
from bridge.clock import Clock, stamp
from bridge.people import Role
from bridge.queue import Queue
from bridge.store import Tx
from bridge.telegram.asking import ask_each, close_cards, edit_of, owe_notice
from bridge.telegram.buttons import Signer
from bridge.telegram.compose import Part, plain_part
from bridge.telegram.gate import Incoming, Press, language_of_chat
from bridge.telegram.membership import Membership
from bridge.telegram.people_words import name_of, with_names
from bridge.telegram.texts import say

Done = tuple[str, list[Part]]  # the short text for who pressed, and what the chat is owed
LEAVE: Final[Part] = {"do": "leave", "text": "", "entities": []}
ANSWERS: Final[dict[str, tuple[groups.Status, Role]]] = {
    "ga": ("allowed", "allowed"),
    "gr": ("refused", "stranger"),
}
DECIDED: Final[dict[Role, str]] = {"allowed": "access_allowed", "stranger": "access_refused"}


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupCommands:
    """Carries out what concerns a group as a whole; only the card has buttons."""

    queue: Queue
    signer: Signer
    clock: Clock
    settings_owners: AbstractSet[int]
    names = ()
    read_only = ()
    verbs = ("ga", "gr")

    def command(self, tx: Tx, message: Incoming, name: str, argument: str) -> list[Part]:
        """There are no commands here."""
        raise NotImplementedError(name)

    def changed(self, tx: Tx, change: Membership) -> None:
        """The bot came into a group or is out of it."""
        if not change.inside:
            groups.forget(tx, change.chat_id)
            revoked.end_work_of(tx, self.queue, change.chat_id)
            return
        by = int(change.user_id)
        role = people.role(tx, self.settings_owners, by)
        if role in ("owner", "allowed"):
            everyone = people.owners(tx, self.settings_owners)
            whom = {by} if role == "owner" else everyone
            self._ask(tx, whom, change.chat_id, change.title, by=change)
        elif groups.status_of(tx, change.chat_id) != "allowed":
            self._leave(tx, change, told=role != "blocked")

    def called(self, tx: Tx, message: Incoming) -> None:
        """An owner speaks to the bot in a group nobody was asked about: ask them."""
        if people.role(tx, self.settings_owners, int(message.user_id)) == "owner":
            self._ask(tx, {int(message.user_id)}, message.chat_id, message.title, by=message)

    def press(self, tx: Tx, press: Press, verb: str, number: int) -> Done:
        """Allow or refuse the group whose id is `-number`; the first tap of all owners counts."""
        if people.role(tx, self.settings_owners, int(press.user_id)) != "owner":
            return say(press.language, "not_for_you"), []
        chat_id, language = groups.current(tx, str(-number)), press.language
        status, role = ANSWERS[verb]
        title = groups.title_of(tx, chat_id)
        if groups.decide(tx, chat_id, status, now=self.clock.now()):
            access.record(tx, -number, role, by=press.name)
            show = partial(_decided, title, chat_id, role, press.name)
            pressed = (press.chat_id, press.message_id)
            close_cards(tx, -number, lambda code: show(code), but=pressed, now=self._now())
            welcome = plain_part(say(language, "group_welcome"))
            owe_notice(tx, chat_id, welcome if verb == "ga" else LEAVE, now=self._now())
            return "", edit_of(press, show(language))
        known = access.decided(tx, -number)
        if known is None or groups.status_of(tx, chat_id) is None:
            text = say(language, "group_gone")
            return text, edit_of(press, plain_part(text))
        text = say(language, DECIDED[known.role], by=known.by)
        return text, edit_of(press, _decided(title, chat_id, known.role, known.by, language))

    def _ask(
        self,
        tx: Tx,
        owners: Iterable[int],
        chat_id: str,
        title: str,
        *,
        by: Membership | Incoming,
    ) -> None:
        now = self.clock.now()
        if not groups.note(tx, chat_id, title=title, added_by=by.user_id, now=now):
            return

        def card(owner: str, language: str) -> Part:
            part = with_names(_question(title, chat_id, language))
            buttons = self.signer.row(
                owner,
                (say(language, "button_allow"), "ga", -int(chat_id)),
                (say(language, "button_refuse"), "gr", -int(chat_id)),
            )
            return {**part, "buttons": buttons}

        ask_each(tx, owners, int(chat_id), card, now=stamp(now))

    def _leave(self, tx: Tx, change: Membership, *, told: bool) -> None:
        """The owners hear it once a day of one person: anybody may make groups, and many."""
        now = self._now()
        owe_notice(tx, change.chat_id, LEAVE, now=now)
        for owner in people.owners(tx, self.settings_owners) if told else ():
            text = say(
                language_of_chat(tx, str(owner)),
                "group_left",
                name=name_of(change.name, int(change.user_id)),
                id=change.user_id,
                title=name_of(change.title, int(change.chat_id)),
            )
            key = f"group_left:{change.user_id}:{now[:10]}:{owner}"
            owe_notice(tx, str(owner), with_names(text), now=now, key=key)

    def _now(self) -> str:
        return stamp(self.clock.now())


def _question(title: str, chat_id: str, language: str) -> str:
    return say(language, "group_asked", title=name_of(title, int(chat_id)))


def _decided(title: str, chat_id: str, role: Role, by: str, language: str) -> Part:
    """The card once it was decided; it has no buttons."""
    said = say(language, DECIDED[role], by=name_of(by, 0))
    return with_names(f"{_question(title, chat_id, language)}\n{said}")

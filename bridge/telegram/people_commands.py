"""`/users`, `/allow`, `/deny`, `/block`, and the card that asks the owners about a stranger.

For owners only: whoever writes or presses is looked up in the transaction that changes something.
A stranger is decided about once: the first tap counts, every owner's card then says who decided
what, and a later tap hears it too.
"""

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from bridge import access, groups, people, revoked
from bridge.access import OwnerStays
from bridge.clock import Clock, stamp
from bridge.people import Role
from bridge.queue import Queue
from bridge.store import Tx
from bridge.telegram import group_words, people_words
from bridge.telegram.asking import ask_each, close_cards, edit_of, owe_notice
from bridge.telegram.buttons import Signer
from bridge.telegram.compose import Part, plain_part
from bridge.telegram.gate import Incoming, Press
from bridge.telegram.texts import say
from bridge.telegram.welcome import Welcome

Done = tuple[str, list[Part]]  # the short text for who pressed, and what the chat is owed
COMMANDS: Final[dict[str, Role]] = {"allow": "allowed", "deny": "stranger", "block": "blocked"}
ASKED: Final[dict[str, Role]] = {"ma": "allowed", "md": "stranger", "mb": "blocked"}
CHANGED: Final[dict[str, Role]] = {"ms": "allowed", "mx": "stranger", "mk": "blocked"}
SAID: Final[dict[Role, str]] = {
    "allowed": "person_allowed",
    "stranger": "person_removed",
    "blocked": "person_blocked",
}
STAYS: Final = {"settings": "owner_stays_settings", "self": "owner_stays_self"}
OWNERS_ONLY: Final = ("users", *COMMANDS)  # to anybody else these are no commands
VERBS_OF_OWNERS: Final = (*ASKED, "ml", "mo", *CHANGED, "mg")


@dataclass(frozen=True, slots=True, kw_only=True)
class PeopleCommands:
    """Carries out what concerns people."""

    queue: Queue
    signer: Signer
    clock: Clock
    settings_owners: AbstractSet[int]
    welcome: Welcome
    names = OWNERS_ONLY
    read_only = ("users",)
    verbs = VERBS_OF_OWNERS

    def ask(self, tx: Tx, user_id: int) -> None:
        """Ask every owner about a stranger who wrote; once a day at most."""
        now = self.clock.now()
        if not access.ask(tx, user_id, now):
            return
        who = access.find(tx, self.settings_owners, user_id)
        owners = people.owners(tx, self.settings_owners)

        def card(owner: str, language: str) -> Part:
            return people_words.asking_part(self.signer, who, owner=owner, language=language)

        ask_each(tx, owners, user_id, card, now=stamp(now))

    def command(self, tx: Tx, message: Incoming, name: str, argument: str) -> list[Part]:
        """Carry out one of `names`."""
        language = message.language
        if not self._is_owner(tx, message):
            return [plain_part(say(language, "unknown_command", command=f"/{name}"))]
        if name == "users":
            return [self._list(tx, message, 0)]
        digits = argument.strip()
        if not (digits.isascii() and digits.isdecimal() and 0 < int(digits[:19]) < 2**52):
            return [plain_part(say(language, "person_how", command=name))]
        try:
            return [people_words.with_names(self._change(tx, message, int(digits), COMMANDS[name]))]
        except OwnerStays as error:
            return [plain_part(say(language, STAYS[error.reason]))]

    def press(self, tx: Tx, press: Press, verb: str, number: int) -> Done:
        """Carry out one of `verbs`."""
        if not self._is_owner(tx, press):
            return say(press.language, "not_for_you"), []
        if verb in ASKED:
            return self._answer(tx, press, number, ASKED[verb])
        if verb == "mg":
            return self._group(tx, press, str(-number))
        acts: dict[str, Callable[[Tx, Press, int], Part]] = {"ml": self._list, "mo": self._one}
        if verb in acts:
            return "", edit_of(press, acts[verb](tx, press, number))
        try:
            text = self._change(tx, press, number, CHANGED[verb])
        except OwnerStays as error:
            return say(press.language, STAYS[error.reason]), []
        return (
            str(people_words.with_names(text)["text"]),
            edit_of(press, self._one(tx, press, number)),
        )

    def _answer(self, tx: Tx, press: Press, user_id: int, role: Role) -> Done:
        """A tap on the card that asks; only the first one of all owners decides."""
        language = press.language
        decided = access.decided(tx, user_id)
        if decided is None and access.find(tx, self.settings_owners, user_id).role == "owner":
            return "", edit_of(press, self._one(tx, press, user_id))  # by a code, meanwhile
        try:
            if decided is None:
                self._decide(tx, press, user_id, role)
        except OwnerStays as error:
            return say(language, STAYS[error.reason]), []
        who = access.find(tx, self.settings_owners, user_id)
        if decided is None:
            part = people_words.decided_part(who, role, press.name, language=language)
            return "", edit_of(press, part)
        part = people_words.decided_part(who, decided.role, decided.by, language=language)
        key = people_words.DECIDED[decided.role]
        return say(language, key, by=decided.by), edit_of(press, part)

    def _change(self, tx: Tx, by: Incoming | Press, user_id: int, role: Role) -> str:
        self._decide(tx, by, user_id, role)
        who = access.find(tx, self.settings_owners, user_id)
        return say(by.language, SAID[role], name=people_words.name_of(who.name, user_id))

    def _decide(self, tx: Tx, by: Incoming | Press, user_id: int, role: Role) -> None:
        """The decision, its word to the person, and the end of the cards that ask."""
        before = access.find(tx, self.settings_owners, user_id)
        by_code = before.role == "owner" and user_id not in self.settings_owners
        if role == "allowed" and by_code and str(user_id) != by.user_id:
            return  # who may more than that keeps it
        access.decide(tx, self.settings_owners, user_id, role, by=int(by.user_id), name=by.name)
        if role != "allowed" and before.role in ("owner", "allowed"):
            revoked.end_work_of(tx, self.queue, str(user_id))
        if role == "blocked":
            revoked.drop_owed_to(tx, str(user_id))
        now = stamp(self.clock.now())
        if role == "allowed" and before.role != "allowed":
            welcome = self.welcome.part(
                str(user_id), before.name, before.language, key="access_given"
            )
            owe_notice(tx, str(user_id), welcome, now=now)
        pressed = by.message_id if isinstance(by, Press) else None
        close_cards(
            tx,
            user_id,
            lambda language: people_words.decided_part(before, role, by.name, language=language),
            but=(by.chat_id, pressed),
            now=now,
        )

    def _list(self, tx: Tx, to: Incoming | Press, page: int) -> Part:
        found = access.everyone(tx, self.settings_owners)
        part = people_words.list_part(
            self.signer, found, page, owner=to.chat_id, language=to.language
        )
        if page:
            return part
        about = groups.listed(tx)
        lines, buttons = group_words.section(
            self.signer, about, owner=to.chat_id, language=to.language
        )
        return people_words.joined(part, lines, buttons)

    def _group(self, tx: Tx, press: Press, chat_id: str) -> Done:
        """Open a closed group, close an open one; the work of a closed one ends."""
        closing = groups.status_of(tx, chat_id) == "allowed"
        status: groups.Status = "refused" if closing else "allowed"
        if not groups.change(tx, chat_id, status, now=self.clock.now()):
            return say(press.language, "group_gone"), edit_of(press, self._list(tx, press, 0))
        if closing:
            revoked.end_work_of(tx, self.queue, chat_id)
        text = say(press.language, "group_closed" if closing else "group_open")
        return text, edit_of(press, self._list(tx, press, 0))

    def _one(self, tx: Tx, to: Incoming | Press, user_id: int) -> Part:
        who = access.find(tx, self.settings_owners, user_id)
        fixed = user_id in self.settings_owners or str(user_id) == to.user_id
        return people_words.person_part(
            self.signer, who, fixed=fixed, owner=to.chat_id, language=to.language
        )

    def _is_owner(self, tx: Tx, by: Incoming | Press) -> bool:
        return people.role(tx, self.settings_owners, int(by.user_id)) == "owner"

"""Who passes, and what the others hear: a claim by code, one polite line a day, or nothing.

Decided on the numeric id of who sent an update, before anything else looks at it, and from memory:
whoever changes a role calls `reload` after the commit. A stranger is told once a day that this bot
is private, and the owners are asked about them; someone blocked hears nothing. In a group that is
not open nobody is heard.
"""

import logging
from collections.abc import Callable

from bridge import groups, people
from bridge.clock import Clock, stamp
from bridge.store import Store, Tx
from bridge.telegram import compose
from bridge.telegram.chosen import Chosen
from bridge.telegram.commands import Commands
from bridge.telegram.compose import Part
from bridge.telegram.errands import Errands
from bridge.telegram.gate import Incoming, Press
from bridge.telegram.group_commands import GroupCommands
from bridge.telegram.inbox import over
from bridge.telegram.membership import Membership, Moved
from bridge.telegram.outbox import Outbox
from bridge.telegram.people_commands import PeopleCommands
from bridge.telegram.texts import say
from bridge.telegram.welcome import Welcome

log = logging.getLogger(__name__)


class Admission:
    """People and groups of this bot as the bridge knows them; `load` before any is asked about.

    `claimed` hears of a new owner.
    """

    def __init__(
        self,
        *,
        store: Store,
        commands: Commands,
        outbox: Outbox,
        errands: Errands,
        clock: Clock,
        people_commands: PeopleCommands,
        group_commands: GroupCommands,
        claimed: Callable[[int], None],
        welcome: Welcome,
        chosen: Chosen,
        moved: Callable[[Tx, str, str], None],
    ) -> None:
        self._store = store
        self._commands = commands
        self._outbox = outbox
        self._errands = errands
        self._clock = clock
        self._people = people_commands
        self._group_commands = group_commands
        self._claimed = claimed
        self._welcome = welcome
        self._chosen = chosen
        self._moved = moved
        self._known: dict[str, tuple[str, str]] = {}
        self._allowed: frozenset[int] = frozenset()
        self._blocked: frozenset[int] = frozenset()
        self._groups: frozenset[str] = frozenset()
        self.owners: frozenset[int] = frozenset()

    def load(self, tx: Tx) -> None:
        """Who has which role, what was chosen where, and which groups are open."""
        self._chosen.load(tx)  # before anybody of a group with a new id passes
        self._groups = groups.allowed(tx)
        self.owners = people.owners(tx, self._people.settings_owners)
        self._allowed = people.with_role(tx, "allowed") - self.owners
        self._blocked = people.with_role(tx, "blocked") - self.owners

    async def reload(self) -> None:
        """Somebody's role, or a group, may have changed."""
        await self._store.read(self.load)

    def admits(self, item: Incoming | Press) -> bool:
        """True for whoever may use the bot, and in a group only where it is open."""
        if item.in_group and item.chat_id not in self._groups:
            return False
        return self.is_owner(item) or int(item.user_id) in self._allowed

    def is_owner(self, item: Incoming | Press) -> bool:
        """True for whoever decides who may use the bot."""
        return int(item.user_id) in self.owners

    def meet(self, item: Incoming | Press) -> None:
        """Keep name and language; someone who had blocked the bot gets what waited."""
        back = item.chat_id in self._outbox.held
        if back or self._known.get(item.user_id) != (item.name, item.language):
            self._outbox.held.discard(item.chat_id)
            self._known[item.user_id] = (item.name, item.language)
            self._errands.run(self._remember, item)

    async def stranger(self, item: Incoming | Press) -> bool:
        """Everything of someone who does not pass ends here; never the model.

        True when the database says that they do pass: they were allowed a moment ago.
        """
        if item.in_group:
            return await self._elsewhere(item)
        if isinstance(item, Press) or int(item.user_id) in self._blocked:
            await self._commands.over(item.update_id, state="refused")
            return False
        command, argument = item.command or ("", "")
        claiming = command == "start" and bool(argument) and not argument.startswith("job_")
        if claiming and await self._claim(item, argument):
            return False
        if claiming and not self.owners:
            await self._commands.say(item, "claim_wrong", state="refused")  # five tries, then new
            return False
        if not await self._store.write(lambda tx: self._refuse(tx, item, claiming)):
            return False
        await self.reload()
        return True

    async def changed(self, change: Membership | Moved) -> None:
        """Something happened to a group as a whole."""

        def act(tx: Tx) -> None:
            if not over(tx, change.update_id, state="done", now=stamp(self._clock.now())):
                return
            if isinstance(change, Moved):
                self._moved(tx, change.old_id, change.new_id)
            else:
                self._group_commands.changed(tx, change)

        await self._store.write(act)
        await self.reload()

    async def _elsewhere(self, item: Incoming | Press) -> bool:
        """In a group nobody gets a word: it is closed, or this person may not use the bot."""

        def look(tx: Tx) -> bool:
            role = people.role(tx, self._people.settings_owners, int(item.user_id))
            if role in ("owner", "allowed") and groups.status_of(tx, item.chat_id) == "allowed":
                return True
            if isinstance(item, Incoming):
                self._group_commands.called(tx, item)
            self._commands.answer(tx, item, [], state="refused")
            return False

        if not await self._store.write(look):
            return False
        await self.reload()
        return True

    async def _claim(self, item: Incoming, code: str) -> bool:
        user_id = int(item.user_id)

        def claim(tx: Tx) -> bool:
            now = self._clock.now()
            return people.claim(tx, code, user_id, item.name, item.language, now)

        if not await self._store.write(claim):
            return False
        log.info("User %s is now an owner", item.user_id)
        await self.reload()
        self._claimed(user_id)
        part = self._welcome.part(item.chat_id, item.name, item.language, key="claimed")
        await self._store.write(lambda tx: self._commands.answer(tx, item, [part]))
        return True

    def _refuse(self, tx: Tx, item: Incoming, claiming: bool) -> bool:
        """The line of today, if it was not said yet, and the question to the owners, as one."""
        user_id, now = int(item.user_id), self._clock.now()
        role = people.role(tx, self._people.settings_owners, user_id)
        if role in ("owner", "allowed"):
            return True
        parts: list[Part] = []
        if role == "stranger" and people.stranger_may_be_answered(
            tx, user_id, item.name, item.language, now
        ):
            key = "claim_wrong" if claiming else "stranger" if self.owners else "unclaimed"
            parts = [compose.plain_part(say(item.language, key))]
        if role == "stranger" and self.owners and not claiming:
            self._people.ask(tx, user_id)
        self._commands.answer(tx, item, parts, state="refused")
        return False

    async def _remember(self, item: Incoming | Press) -> None:
        def remember(tx: Tx) -> None:
            people.remember(tx, int(item.user_id), item.name, item.language)
            if tx.run("release_lane", chat_id=item.chat_id):
                tx.run("revive_cards", chat_id=item.chat_id)
                tx.wake("bridge")

        await self._store.write(remember, durable=False)

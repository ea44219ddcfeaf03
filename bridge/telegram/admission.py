"""Who passes, and what the others hear: a claim by code, one polite line a day, or nothing.

Decided on the numeric id of who sent an update, before anything else looks at it.
"""

import logging
from collections.abc import Set as AbstractSet

from bridge import people
from bridge.clock import Clock
from bridge.store import Store, Tx
from bridge.telegram.commands import Commands
from bridge.telegram.errands import Errands
from bridge.telegram.gate import Incoming, Press
from bridge.telegram.outbox import Outbox
from bridge.telegram.texts import say

log = logging.getLogger(__name__)


class Admission:
    """The people of this bot as the bridge knows them; `load` before anyone is asked about."""

    def __init__(
        self,
        *,
        store: Store,
        commands: Commands,
        outbox: Outbox,
        errands: Errands,
        clock: Clock,
        settings_owners: AbstractSet[int],
    ) -> None:
        self._store = store
        self._commands = commands
        self._outbox = outbox
        self._errands = errands
        self._clock = clock
        self._settings_owners = settings_owners
        self._known: dict[str, tuple[str, str]] = {}
        self.owners: frozenset[int] = frozenset()

    def load(self, tx: Tx) -> None:
        """Who the owners are, from the settings and the database."""
        self.owners = people.owners(tx, self._settings_owners)

    def admits(self, item: Incoming | Press) -> bool:
        """True for whoever may use the bot."""
        return int(item.user_id) in self.owners

    def meet(self, item: Incoming | Press) -> None:
        """Keep name and language; someone who had blocked the bot gets what waited."""
        back = item.chat_id in self._outbox.held
        if back or self._known.get(item.user_id) != (item.name, item.language):
            self._outbox.held.discard(item.chat_id)
            self._known[item.user_id] = (item.name, item.language)
            self._errands.run(self._remember, item)

    async def stranger(self, item: Incoming | Press) -> None:
        """Everything of someone who does not pass ends here; never the model."""
        if isinstance(item, Press):
            await self._commands.over(item.update_id, state="refused")
            return
        command, argument = item.command or ("", "")
        claiming = command == "start" and bool(argument)
        if claiming and await self._claim(item, argument):
            return
        if claiming and not self.owners:
            await self._commands.say(item, "claim_wrong", state="refused")  # five tries, then new
        elif await self._store.write(lambda tx: self._may_be_answered(tx, item)):
            key = "claim_wrong" if claiming else "stranger" if self.owners else "unclaimed"
            await self._commands.say(item, key, state="refused")
        else:
            await self._commands.over(item.update_id, state="refused")

    async def _claim(self, item: Incoming, code: str) -> bool:
        user_id = int(item.user_id)

        def claim(tx: Tx) -> bool:
            now = self._clock.now()
            return people.claim(tx, code, user_id, item.name, item.language, now)

        if not await self._store.write(claim):
            return False
        log.info("User %s is now an owner", item.user_id)
        self.owners |= {user_id}
        welcome = say(item.language, "welcome", name=item.name)
        await self._commands.say(item, "claimed", welcome=welcome)
        return True

    def _may_be_answered(self, tx: Tx, item: Incoming) -> bool:
        now, user_id = self._clock.now(), int(item.user_id)
        return people.stranger_may_be_answered(tx, user_id, item.name, item.language, now)

    async def _remember(self, item: Incoming | Press) -> None:
        def remember(tx: Tx) -> None:
            people.remember(tx, int(item.user_id), item.name, item.language)
            if tx.run("release_lane", chat_id=item.chat_id):
                tx.run("revive_cards", chat_id=item.chat_id)
                tx.wake("bridge")

        await self._store.write(remember, durable=False)

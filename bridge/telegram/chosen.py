"""What people chose in `/settings`, held in memory: no message costs a read for it."""

from dataclasses import replace

from bridge.preferences import Preferences, preferences_of
from bridge.store import Tx
from bridge.telegram.gate import Incoming, Press

DEFAULTS = Preferences()


class Chosen:
    """The choices of everyone who made any. `load` them once; `renew` whose change."""

    def __init__(self, *, zone: str = "") -> None:
        self.zone_of_bot = zone  # KITT_ZONE, which may be none
        self._of: dict[str, Preferences] = {}

    def load(self, tx: Tx) -> None:
        """Read all of them."""
        self._of = {
            row["whose"]: preferences_of(tx, row["whose"]) for row in tx.all("all_preferences")
        }

    def renew(self, tx: Tx, whose: str) -> Preferences:
        """Read again what one has chosen: in the transaction that changed it, or after it."""
        self._of[whose] = preferences_of(tx, whose)
        return self._of[whose]

    def of(self, whose: str) -> Preferences:
        """The choices of a person or a group."""
        return self._of.get(whose, DEFAULTS)

    def zone(self, item: Incoming | Press) -> str:
        """The IANA name of the zone of who writes, or of the group; "" when nobody has set one."""
        return self.zone_of(user_id=item.user_id, chat_id=item.chat_id)

    def zone_of(self, *, user_id: str, chat_id: str) -> str:
        """The same for a person in a chat."""
        return self.of(user_id).zone or self.of(chat_id).zone or self.zone_of_bot

    def zone_of_chat(self, chat_id: str) -> str:
        """The IANA name of the zone in which a chat is told times; UTC when nobody has set one."""
        return self.of(chat_id).zone or self.zone_of_bot or "UTC"

    def in_their_language(self, item: Incoming | Press) -> Incoming | Press:
        """The same update, to be answered in the language chosen for its chat or by its person."""
        language = self.of(item.chat_id).language or self.of(item.user_id).language
        return replace(item, language=language) if language else item

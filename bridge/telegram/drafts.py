"""An answer that is shown as a draft while it is written: a preview that Telegram keeps for 30 s.

Only private chats have drafts. The whole answer is an ordinary message, which takes the draft away.
The client has a stop button of its own on it. Whoever meets a Telegram that takes no drafts goes on
with messages that are edited, and nobody tries again.
"""

import logging
from dataclasses import dataclass
from typing import Any, Final

from telegram import Update

from bridge.clock import Clock
from bridge.errors import KittError
from bridge.telegram.api import Ambiguous, Api, Flooded, NotDelivered

log = logging.getLogger(__name__)
KEPT_S: Final = 20.0  # then it is shown again, as it is


class Draft:
    """The draft of one answer; its id is the answer's alone."""

    def __init__(
        self, *, api: Api, clock: Clock, chat_id: str, thread_id: int, draft_id: int
    ) -> None:
        self._api = api
        self._clock = clock
        self._chat_id = chat_id
        self._thread_id = thread_id
        self._at = 0.0
        self.id = draft_id
        self.shown = False

    @property
    def fades(self) -> bool:
        """Telegram will soon show it no more."""
        return self._clock.monotonic() - self._at >= KEPT_S

    async def show(self, text: str, entities: list[dict[str, Any]]) -> bool:
        """Show the answer so far; False when that has to be done otherwise. Raises: Flooded."""
        if not self._api.knows_drafts:
            return False
        try:
            part = {"text": text, "entities": entities, "thread_id": self._thread_id}
            await self._api.draft(self._chat_id, self.id, part)
        except Flooded:
            raise
        except (Ambiguous, NotDelivered) as error:
            log.info("A draft in chat %s is left out: %s", self._chat_id, error)
            return False
        except KittError as error:
            log.warning("Telegram takes no drafts (%s); answers are edited instead", error)
            self._api.knows_drafts = False
            return False
        self.shown = True
        self._at = self._clock.monotonic()
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """A person pressed the client's own stop button on a draft."""

    chat_id: str
    thread_id: int
    draft_id: int


def stopped(update: Update) -> Stopped | None:
    """What the library does not know yet comes as plain data."""
    told = update.api_kwargs.get("stopped_message_generation") if update.api_kwargs else None
    if not isinstance(told, dict):
        return None
    try:
        return Stopped(
            chat_id=str(int(told["chat"]["id"])),
            thread_id=int(told.get("message_thread_id") or 0),
            draft_id=int(told["draft_id"]),
        )
    except (KeyError, TypeError, ValueError):
        return None

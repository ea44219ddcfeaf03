"""What rings: an answer someone had to wait for, the end of a job, a question. Nothing else.

An edit never rings, so an answer that was shown while it was written and took long comes as a new
message, and what was shown goes. In someone's quiet hours the end of a job makes no sound either;
digest.py tells of it when they are over.
"""

import asyncio
from datetime import datetime
from typing import Final

from bridge.clock import Clock, stamp
from bridge.models import Delivery
from bridge.store import Tx
from bridge.telegram.chosen import Chosen
from bridge.telegram.compose import Part, replacing

WAITED_S: Final = 10.0  # whoever waits longer looks at something else


def waited(sent_at: int, now: datetime) -> bool:
    """Did the person have to wait? `sent_at` is Telegram's time of the question, 0 = not known."""
    return sent_at > 0 and now.timestamp() - sent_at > WAITED_S


def unheard(parts: list[Part]) -> list[Part]:
    """The same without a sound."""
    return [{**part, "silent": True} for part in parts]


def answer_parts(parts: list[Part], *, shown: int | None, rings: bool) -> list[Part]:
    """A whole answer. `shown` is the message in which it could be read so far."""
    if not rings:
        parts = unheard(parts)
        return parts if shown is None else replacing(parts, shown)
    if shown is not None:
        parts = [*parts, {"do": "delete", "message_id": shown}]
    return parts


class Bells:
    """Knows who wants no sound now, and keeps what came without one for the digest."""

    def __init__(self, *, chosen: Chosen, clock: Clock) -> None:
        self.chosen = chosen
        self._clock = clock
        self.hushed = asyncio.Event()  # something came without a sound

    def quiet_until(self, chat_id: str) -> datetime | None:
        """When the quiet hours of a chat end, in UTC; None outside them."""
        zone = self.chosen.zone_of_chat(chat_id)
        return self.chosen.of(chat_id).quiet_until(self._clock.now(), zone)

    def hush(self, delivery: Delivery, part: Part) -> datetime | None:
        """Until when this part, which would ring, makes no sound; None when it may."""
        if part.get("silent") or part["do"] in ("edit", "delete"):
            return None
        asks = delivery.kind == "question"
        if asks and self.chosen.of(delivery.chat_id).night_approvals == "on":
            return None
        if not asks and delivery.kind not in ("result", "failure"):
            return None
        return self.quiet_until(delivery.chat_id)

    def keep(self, tx: Tx, delivery: Delivery, until: datetime) -> None:
        """Remember, in the commit that marks it as sent, that it made no sound."""
        tx.run(
            "insert_hushed",
            delivery_id=delivery.id,
            chat_id=delivery.chat_id,
            job_id=delivery.payload["job"],
            due_at=stamp(until),
        )

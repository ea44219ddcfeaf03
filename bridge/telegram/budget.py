"""One budget per chat for everything that is sent to it: messages, edits and typing.

Three separate throttles, each near the ceiling, earned another bot a flood ban of two hours. What
can be left out (stream edits, cards, typing) is left out when the budget is short; what was
promised waits its turn. An answer to the message a person
has just written may overdraw: the person sets that pace, and Telegram's own 429 is obeyed anyway.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from bridge.clock import Clock

PRIVATE_PER_S: Final = 1.0
PRIVATE_BURST: Final = 3.0
GROUP_PER_S: Final = 18 / 60
GROUP_BURST: Final = 5.0
OVERDRAW: Final = 20.0
# Private, group. About 20 edits a minute are allowed: some stay free for the ends of jobs.
SHEDDABLE_PER_MINUTE: Final = (16, 8)
ALL_PER_S: Final = 25.0
SLOW_AFTER_FLOOD_S: Final = 60.0  # a snap-back to full speed earns the next penalty


@dataclass(slots=True)
class _Chat:
    tokens: float
    at: float
    paused_until: float = 0.0
    slow_until: float = 0.0
    shed: deque[float] = field(default_factory=deque)


class Budget:
    """Token buckets in monotonic seconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._chats: dict[str, _Chat] = {}
        self._all = _Chat(tokens=ALL_PER_S, at=clock.monotonic())

    def spare(self, chat_id: str) -> bool:
        """Take one call for something that may be left out; False = leave it out."""
        chat, now = self._refill(chat_id)
        while chat.shed and chat.shed[0] <= now - 60:
            chat.shed.popleft()
        per_minute = SHEDDABLE_PER_MINUTE[_is_group(chat_id)]
        free = chat.tokens >= 2 and self._all.tokens >= 2 and chat.paused_until <= now
        if not free or len(chat.shed) >= per_minute:
            return False
        chat.shed.append(now)
        self._spend(chat)
        return True

    async def take(self, chat_id: str, *, overdraw: bool = False) -> None:
        """Take one call for something promised; waits until it may go."""
        while (wait_s := self._wait_s(chat_id, overdraw)) > 0:
            await self._clock.sleep(wait_s)
        self._spend(self._chats[chat_id])

    def take_now(self, chat_id: str) -> float:
        """Take one call if it may go now: 0, or the seconds to wait (and nothing is taken)."""
        wait_s = self._wait_s(chat_id, overdraw=False)
        if wait_s <= 0:
            self._spend(self._chats[chat_id])
        return max(0.0, wait_s)

    def flooded(self, chat_id: str, retry_after_s: float) -> None:
        """Telegram said 429: silence for this chat, then half speed for a minute."""
        chat, now = self._refill(chat_id)
        chat.paused_until = now + retry_after_s + 0.5
        chat.slow_until = chat.paused_until + SLOW_AFTER_FLOOD_S
        chat.tokens = min(chat.tokens, 1.0)

    def _wait_s(self, chat_id: str, overdraw: bool) -> float:
        chat, now = self._refill(chat_id)
        need = 1.0 - (OVERDRAW if overdraw and chat.slow_until <= now else 0.0)
        rate = self._rate(chat_id, chat, now)
        return max(
            chat.paused_until - now,
            (need - chat.tokens) / rate,
            (1.0 - self._all.tokens) / ALL_PER_S,
        )

    def _spend(self, chat: _Chat) -> None:
        chat.tokens -= 1
        self._all.tokens -= 1

    def _rate(self, chat_id: str, chat: _Chat, now: float) -> float:
        rate = GROUP_PER_S if _is_group(chat_id) else PRIVATE_PER_S
        return rate / 2 if chat.slow_until > now else rate

    def _refill(self, chat_id: str) -> tuple[_Chat, float]:
        now = self._clock.monotonic()
        burst = GROUP_BURST if _is_group(chat_id) else PRIVATE_BURST
        chat = self._chats.setdefault(chat_id, _Chat(tokens=burst, at=now))
        rate = self._rate(chat_id, chat, now)
        chat.tokens = min(burst, chat.tokens + (now - chat.at) * rate)
        chat.at = now
        self._all.tokens = min(ALL_PER_S, self._all.tokens + (now - self._all.at) * ALL_PER_S)
        self._all.at = now
        return chat, now


def _is_group(chat_id: str) -> bool:
    return chat_id.startswith("-")

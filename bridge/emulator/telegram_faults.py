"""What goes wrong on purpose: faults a test orders, and Telegram's flood control.

A fault holds for the next `times` calls that match it; the oldest matching order is taken
first. Flood control answers as the real server does: a 429 with the seconds to wait, and until
they are over every further call to that chat gets one too.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Literal

from bridge.emulator.telegram_params import Params
from bridge.emulator.telegram_state import ApiError, Json

ANY_METHOD = "*"

_REASONS = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    409: "Conflict",
    413: "Request Entity Too Large",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
}


@dataclass(slots=True, frozen=True, kw_only=True)
class Fault:
    """What happens to the next `times` calls of `method` (`"*"` is any), in `chat_id` if given.

    Before the call is handled it waits `delay_s` seconds, and with `hold` until `release`.
    Then, at most one of:

    - `status`: answer with it, `description` and `retry_after`; nothing is done;
    - `drop="refused"`: close the connection, nothing is done;
    - `drop="unanswered"`: do it, then close the connection without an answer;
    - `cut_after`: do it, answer, and close after that many bytes of the body.
    """

    method: str = ANY_METHOD
    chat_id: int | None = None
    times: int = 1
    delay_s: float = 0.0
    hold: bool = False
    status: int | None = None
    description: str = ""
    retry_after: int | None = None
    drop: Literal["", "refused", "unanswered"] = ""
    cut_after: int | None = None

    def __post_init__(self) -> None:
        outcomes = [self.status is not None, bool(self.drop), self.cut_after is not None]
        if sum(outcomes) > 1:
            raise ValueError("a fault has one outcome: status, drop or cut_after")
        if self.drop not in ("", "refused", "unanswered"):
            raise ValueError(f"drop is 'refused' or 'unanswered', not {self.drop!r}")
        if not any(outcomes) and not self.delay_s and not self.hold:
            raise ValueError(
                "a fault that does nothing: give status, drop, cut_after, delay or hold"
            )

    def error(self) -> ApiError | None:
        """The answer this fault orders instead of handling the call."""
        if self.status is None:
            return None
        description = self.description or _REASONS.get(self.status, "Error")
        if self.status == 429:
            retry_after = 1 if self.retry_after is None else self.retry_after
            text = self.description or f"Too Many Requests: retry after {retry_after}"
            return ApiError(429, text, retry_after=retry_after)
        return ApiError(self.status, description, retry_after=self.retry_after)


@dataclass(slots=True, kw_only=True)
class OrderedFault:
    """A fault that waits for its calls; `hits` counts those it has met."""

    number: int
    fault: Fault
    hits: int = 0
    released: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def spent(self) -> bool:
        """True when it has met all the calls it was ordered for."""
        return self.hits >= self.fault.times

    def release(self) -> None:
        """Let the held calls go on, and those still to come."""
        self.released.set()


class FaultDesk:
    """The ordered faults, in order."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._orders: list[OrderedFault] = []
        self._held: list[OrderedFault] = []

    def order(self, fault: Fault) -> OrderedFault:
        """Take an order; the answer counts its hits and releases what it holds."""
        ordered = OrderedFault(number=next(self._numbers), fault=fault)
        self._orders.append(ordered)
        if fault.hold:
            self._held.append(ordered)
        return ordered

    def take(self, method: str, chat_id: int | None) -> OrderedFault | None:
        """The fault for a call that arrives now."""
        for ordered in self._orders:
            fault = ordered.fault
            if fault.method not in (ANY_METHOD, method) or fault.chat_id not in (None, chat_id):
                continue
            ordered.hits += 1
            if ordered.spent:
                self._orders.remove(ordered)
            return ordered
        return None

    def release(self, number: int | None = None) -> int:
        """Let held calls go on, all or those of one order; how many orders were released."""
        chosen = [held for held in self._held if number in (None, held.number)]
        for held in chosen:
            held.release()
            self._held.remove(held)
        return len(chosen)

    def clear(self) -> None:
        """Forget what was ordered and release what is held."""
        self._orders.clear()
        self.release()


@dataclass(slots=True, frozen=True, kw_only=True)
class FloodLimits:
    """Limits per chat. Telegram publishes no exact figures: "about one message per second",
    "20 per minute in a group" (Bot FAQ), and "about 20 edits per minute in a chat" (tdlib/td
    issue 2592). A first penalty seen in the field is 30 to 140 s; a test chooses its own.
    What a bot says of itself (`settings_per_minute`) is limited for the bot as a whole.
    """

    calls_per_s: float = 1.0
    burst: int = 5
    edits_per_minute: int = 20
    group_calls_per_minute: int = 20
    settings_per_minute: int = 30
    penalty_s: float = 3.0


@dataclass(slots=True)
class _Budget:
    tokens: float
    at: float
    edits: deque[float] = field(default_factory=deque)
    calls: deque[float] = field(default_factory=deque)
    closed_until: float = 0.0


# Everything a chat shows counts; what only changes the bot's own settings does not, and answers
# to button presses are not limited (tdlib/telegram-bot-api issue 648).
_EDITS = frozenset({"editMessageText", "editMessageCaption", "editMessageReplyMarkup"})
COUNTED = _EDITS | {
    "sendMessage",
    "sendRichMessage",
    "sendDocument",
    "sendPhoto",
    "sendVoice",
    "sendAudio",
    "sendMediaGroup",
    "sendChatAction",
    "sendMessageDraft",
    "sendRichMessageDraft",
    "setMessageReaction",
}
_SETTINGS = frozenset(
    {"setMyCommands", "deleteMyCommands", "setMyDescription", "setMyShortDescription"}
    | {"setChatMenuButton"}
)


class FloodControl:
    """One budget per chat, shared by sends, edits, drafts, reactions and typing signs."""

    def __init__(self, limits: FloodLimits, *, clock: Callable[[], float]) -> None:
        self._limits = limits
        self._clock = clock
        self._budgets: dict[int, _Budget] = {}
        self._settings: deque[float] = deque()

    def check(self, method: str, params: Params) -> None:
        """Count a call. Raises: ApiError 429 when its chat, or the bot, has spent its budget."""
        if method in _SETTINGS:
            self._check_settings()
        chat_id = params.number("chat_id")
        if method not in COUNTED or not chat_id:
            return
        now, limits = self._clock(), self._limits
        budget = self._budgets.setdefault(chat_id, _Budget(tokens=limits.burst, at=now))
        if now < budget.closed_until:
            raise _too_many(budget.closed_until - now)
        budget.tokens += (now - budget.at) * limits.calls_per_s
        budget.tokens = min(budget.tokens, limits.burst)
        budget.at = now
        weight = len(params.get("media") or ()) if method == "sendMediaGroup" else 1
        wait_s = 0.0 if budget.tokens >= weight else limits.penalty_s
        if method in _EDITS:
            wait_s = max(wait_s, _wait_s(budget.edits, limits.edits_per_minute, now))
        if chat_id < 0:
            wait_s = max(wait_s, _wait_s(budget.calls, limits.group_calls_per_minute, now))
        if wait_s:
            budget.closed_until = now + wait_s
            raise _too_many(wait_s)
        budget.tokens -= weight
        for window, counted in ((budget.edits, method in _EDITS), (budget.calls, chat_id < 0)):
            if counted:
                window.append(now)

    def _check_settings(self) -> None:
        now = self._clock()
        wait_s = _wait_s(self._settings, self._limits.settings_per_minute, now)
        if wait_s:
            raise _too_many(wait_s)
        self._settings.append(now)


def _wait_s(window: deque[float], per_minute: int, now: float) -> float:
    """Seconds until a rolling minute has room again, 0 when it has."""
    while window and window[0] <= now - 60:
        window.popleft()
    return 0.0 if len(window) < per_minute else window[0] + 60 - now


def _too_many(wait_s: float) -> ApiError:
    retry_after = max(1, math.ceil(wait_s))
    return ApiError(429, f"Too Many Requests: retry after {retry_after}", retry_after=retry_after)


def fault_from_json(order: Json) -> Fault:
    """A fault as the control API gets it. Raises: ValueError that names what is wrong."""
    try:
        return Fault(**order)
    except TypeError as exc:
        raise ValueError(f"not a fault: {exc}") from exc

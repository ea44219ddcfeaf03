"""Faults a test orders from the emulated Messages API.

A fault is for the next `times` requests that match it, so a test of one job is not disturbed by
the jobs beside it. At most one fault meets a request: the oldest that matches.
"""

from __future__ import annotations

import asyncio
import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

Outcome = Literal["refusal", "max_tokens", "pause_turn"]
OUTCOMES = ("refusal", "max_tokens", "pause_turn")

ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    503: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}
MESSAGES = {
    "rate_limit_error": "This request would exceed your organization's rate limit.",
    "overloaded_error": "Overloaded",
    "authentication_error": "invalid x-api-key",
    "api_error": "Internal server error",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong, and for which requests. All waits are in seconds.

    Which: `times` requests to `path` whose JSON contains `match`.
    Before the answer: `delay_s`, then `hold` (until `release` of that name), then `status` with
    `error_type` (derived from the status when None), `message` and `retry_after_s`.
    In the stream, counted in SSE events: `error_after_events` sends an `error` event and ends,
    `end_after_events` ends as if all were well, `stall_after_events` is silent for `stall_s`.
    `cut_after_bytes` breaks the connection in the body.
    `pace_s` and `first_token_s` replace the reply's. `outcome` replaces its ending; `max_tokens`
    cuts in the middle of the last tool call's JSON, or of the text when there is none.
    """

    times: int = 1
    match: str = ""
    path: str = "/v1/messages"
    delay_s: float = 0.0
    hold: str | None = None
    status: int | None = None
    error_type: str | None = None
    message: str | None = None
    retry_after_s: float | None = None
    error_after_events: int | None = None
    end_after_events: int | None = None
    stall_after_events: int | None = None
    stall_s: float = 3600.0
    cut_after_bytes: int | None = None
    pace_s: float | None = None
    first_token_s: float | None = None
    outcome: Outcome | None = None

    def __post_init__(self) -> None:
        if self.outcome not in (None, *OUTCOMES):
            raise ValueError(f"outcome: {self.outcome!r} is none of {', '.join(OUTCOMES)}")

    @classmethod
    def from_json(cls, data: Any) -> Fault:
        """The fault a JSON object describes, field by field.

        Raises:
            ValueError: it is no object, or a field is unknown or of another type.
        """
        if not isinstance(data, dict):
            raise ValueError("a fault is a JSON object")
        known = {field.name: str(field.type) for field in dataclasses.fields(cls)}
        for name, value in data.items():
            if name not in known:
                raise ValueError(f"{name}: a fault has no such field")
            wants_text = "str" in known[name] or known[name].startswith("Outcome")
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if value is not None and not (isinstance(value, str) if wants_text else number):
                raise ValueError(f"{name}: expected {known[name]}")
        return cls(**data)

    @property
    def kind(self) -> str:
        """The API's error type."""
        default = "overloaded_error" if self.status is None else "api_error"
        return self.error_type or ERROR_TYPES.get(self.status or 0, default)

    @property
    def sentence(self) -> str:
        return self.message or MESSAGES.get(self.kind, "The emulator was told to fail here.")


NO_FAULT = Fault(times=0)


class Faults:
    """The ordered faults and the gates of those that hold requests."""

    def __init__(self) -> None:
        self._ordered: list[tuple[Fault, list[int]]] = []
        self._gates: dict[str, asyncio.Event] = {}

    def order(self, fault: Fault) -> None:
        """Add a fault behind those already ordered. A held gate of that name is closed again."""
        self._ordered.append((fault, [fault.times]))
        if fault.hold is not None:
            self._gates[fault.hold] = asyncio.Event()

    def take(self, path: str, text: str) -> Fault:
        """Use up one turn of the oldest fault for this request, `NO_FAULT` when there is none."""
        for fault, left in self._ordered:
            if left[0] > 0 and fault.path == path and fault.match in text:
                left[0] -= 1
                return fault
        return NO_FAULT

    def clear(self) -> None:
        """Forget every fault and let go of every held request."""
        self._ordered.clear()
        for gate in self._gates.values():
            gate.set()

    def release(self, name: str) -> bool:
        """Let go of the requests held under this name; False when no fault has it."""
        gate = self._gates.get(name)
        if gate is not None:
            gate.set()
        return gate is not None

    async def before_answer(self, fault: Fault) -> None:
        """Wait as the fault says: first its delay, then its gate."""
        if fault.delay_s:
            await asyncio.sleep(fault.delay_s)
        if fault.hold is not None:
            await self._gates[fault.hold].wait()

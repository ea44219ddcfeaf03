"""What the emulated Messages API was asked, for tests to read and to wait on."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

T = TypeVar("T")

SECRET_HEADERS = ("authorization", "x-api-key")
RECORDS_MAX = 5_000
BODIES_BYTES_MAX = 32 * 1024 * 1024


@dataclass(slots=True)
class Record:
    """One request and what became of it.

    `at_s`: seconds of the emulator's clock at arrival; `size`: bytes of the body; `body`: its
    JSON, None when it was none. `status` is None until the answer begins, `stop_reason` until a
    reply ended. `usage` is what is billed: of a reply that was cut, as far as it was written.
    `hung_up`: the caller left before the end. `finished`: nothing will change.
    """

    seq: int
    at_s: float
    method: str
    path: str
    headers: dict[str, str]
    request_id: str
    body: Any = None
    size: int = 0
    status: int | None = None
    stop_reason: str | None = None
    error: str | None = None
    usage: dict[str, Any] | None = None
    hung_up: bool = False
    finished: bool = False

    def json(self) -> dict[str, Any]:
        return asdict(self)


class Log:
    """The newest requests, oldest first: at most 5,000, and at most 32 MB of bodies together."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._records: deque[Record] = deque(maxlen=RECORDS_MAX)
        self._seq = 0
        self._changed = asyncio.Event()

    @property
    def records(self) -> list[Record]:
        return list(self._records)

    def since(self, seq: int) -> list[Record]:
        """Requests that came after number `seq`."""
        return [record for record in self._records if record.seq > seq]

    def open(
        self, *, method: str, path: str, headers: Mapping[str, str], request_id: str
    ) -> Record:
        """Note a request that has just come in, without its key."""
        self._seq += 1
        shown = {k.lower(): v for k, v in headers.items() if k.lower() not in SECRET_HEADERS}
        record = Record(self._seq, self._clock(), method, path, shown, request_id)
        self._records.append(record)
        self.notify()
        return record

    def notify(self) -> None:
        """Wake those who wait; to be called after every change of a record."""
        while len(self._records) > 1 and sum(r.size for r in self._records) > BODIES_BYTES_MAX:
            self._records.popleft()
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def wait_for(
        self, predicate: Callable[[Sequence[Record]], T | None], *, timeout_s: float
    ) -> T:
        """The predicate's first true value; it is asked now and after each change.

        Raises:
            TimeoutError: it stayed false for `timeout_s` seconds.
        """
        async with asyncio.timeout(timeout_s):
            while True:
                changed = self._changed
                value = predicate(self.records)
                if value:
                    return value
                await changed.wait()

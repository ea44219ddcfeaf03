"""What the emulators saw: what the model was asked, what Telegram took and was told to forget.

The emulators' logs are bounded; a witness of a long run looks now and then and keeps the sum.
"""

import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from bridge.emulator.claude import ClaudeEmulator
from bridge.emulator.script import Request
from bridge.emulator.telegram import TelegramEmulator
from bridge.emulator.telegram_state import Call
from bridge.telegram.stream import CURSOR
from bridge.telegram.texts import LANGUAGES, say

SENDS: Final = ("sendMessage", "sendDocument", "sendPhoto", "sendMediaGroup")
MARKS: Final = tuple(say(language, "repeated") + "\n" for language in LANGUAGES)
CARD: Final = re.compile(r"^(?:🛠|✅|❌|⏹) #(\d+) · ", re.MULTILINE)
Message = tuple[int, str]  # chat, text; a card stands there as `card_of` its job


@dataclass(slots=True)
class Witness:
    """Sums up both logs. Call `look` before they overflow, and once more at the end."""

    telegram: TelegramEmulator
    claude: ClaudeEmulator | None = None
    secrets: Sequence[str] = ()
    once: Counter[Message] = field(default_factory=Counter)  # taken by Telegram as they are
    marked: Counter[Message] = field(default_factory=Counter)  # taken, and said to be repeats
    begun: int = 0  # answers that were shown while they were written
    asked: dict[str, list[float]] = field(default_factory=dict)  # worker's task -> Unix seconds
    leaks: list[str] = field(default_factory=list)  # where a secret was seen
    _call: int = 0
    _request: int = 0
    _open: list[Call] = field(default_factory=list)

    @property
    def confirmed_offset(self) -> int:
        """Telegram has forgotten every update below it."""
        return self.telegram.confirmed_offset

    def look(self) -> None:
        """Take in what is new."""
        calls = [*self._open, *self.telegram.calls(since=self._call)]
        self._open = [call for call in calls if call.status is None]
        for call in calls:
            self._call = max(self._call, call.seq)
            if call.status is not None:
                self._hear(call)
        self._read()

    def _hear(self, call: Call) -> None:
        if call.method not in SENDS or not call.done:
            return
        self._search(call.params, f"a call of {call.method}")
        assert call.chat_id is not None
        for message in call.params.get("media") or [call.params]:  # members of an album
            self._arrived(call.chat_id, str(message.get("text") or message.get("caption") or ""))

    def _arrived(self, chat_id: int, text: str) -> None:
        if text.endswith(CURSOR):  # the beginning of an answer is owed to nobody
            self.begun += 1
            return
        mark = next((mark for mark in MARKS if text.startswith(mark)), "")
        plain = text.removeprefix(mark)
        (self.marked if mark else self.once)[chat_id, _card_in(plain) or plain] += 1

    def _read(self) -> None:
        if self.claude is None:
            return
        clock_to_unix = time.time() - time.monotonic()
        for record in self.claude.requests:
            if record.seq <= self._request or not record.finished:
                continue
            self._request = record.seq
            self._search(record.body, "a request to the model")
            if record.status == 200 and isinstance(record.body, dict):
                request = Request(record.body)
                if request.is_worker:
                    at = record.at_s + clock_to_unix
                    self.asked.setdefault(request.first_user_text, []).append(at)

    def _search(self, where: object, what: str) -> None:
        if any(secret in str(where) for secret in self.secrets):
            self.leaks.append(f"{what} holds a secret")


def card_of(job_id: int) -> str:
    """What stands for a job's card: its text changes."""
    return f"card of job {job_id}"


def _card_in(text: str) -> str:
    """What stays of a card is its line with the number."""
    found = CARD.search(text)
    return card_of(int(found.group(1))) if found else ""

"""Buttons that only work for whom they were made, where they were made.

Callback data is `v1:<verb>:<id>:<signature>`: at most 64 bytes, signed over chat, verb and id, so
that a button in a forwarded message or a forged one does nothing. The key is derived from the bot
token and stored nowhere.
"""

import hashlib
import hmac
from unicodedata import east_asian_width

from bridge.telegram.api import Buttons

VERBS = {
    # a job: below its card
    "jc": "cancel",
    "jt": "show or hide its last steps",
    "jf": "before all others",
    # below its result or failure
    "ja": "the same again",
    "jr": "retry",
    "jn": "never mind",
    "jp": "its files again",
    "jw": "what is to be done next",
    # its question
    "qo": "one of the answers it offers",
    "qa": "allow it, or not",
    # files
    "fl": "a page of the list",
    "fj": "one that a job made",
    "fr": "one that was received",
    "jd": "details, as a new message",
    # below its details, which change with it
    "jo": "show them",
    "jz": "cancel",
    "je": "retry",
    # jobs in a list
    "jl": "a page of it",
    "jx": "cancel all: ask first",
    "jy": "cancel all",
    "jk": "cancel this one of several",
    "jv": "retry this one of several",
    "ts": "stop",
    "ea": "answer a changed message again",
    "tb": "go on in the background",
    # what waited when an answer was stopped
    "qg": "go on with it",
    "qc": "clear it",
    # schedules
    "sl": "a page of the list",
    "sd": "one of them",
    "sn": "run now",
    "sp": "pause",
    "su": "resume",
    "sc": "change: ask what",
    "sr": "remove: ask first",
    "sx": "remove",
    # files without a word
    "fs": "summarise",
    "fk": "keep",
    "fa": "ask about it",
    # proposals
    "ps": "save",
    "pd": "discard",
    # welcome
    "od": "the job that shows what jobs are",
    "oq": "ask an example",
    "os": "a setting, in a message of its own",
    # settings
    "um": "all of them",
    "uo": "one of them",
    "uc": "choose",
    # personas
    "cp": "who answers",
    "cl": "who there is",
    # notes
    "nl": "a page of them",
    "nf": "forget one of the list",
    "nu": "forget the one that was kept just now",
    # people, for owners
    "ma": "asked about: allow",
    "md": "asked about: refuse",
    "mb": "asked about: block",
    "ml": "a page of the list",
    "mo": "one of them",
    "ms": "allow",
    "mx": "no longer allow",
    "mk": "block",
    "mg": "open or close a group",
    # everything anew, for owners
    "rs": "restart",
    "rk": "do not",
    # groups, for owners
    "ga": "asked about: allow",
    "gr": "asked about: refuse and leave",
    # looks of a text
    "rt": "its tables",
    # a file that is too large
    "rz": "as a zip",
    "rp": "in pieces",
}
ROW_WIDTH = 36  # letters of all buttons of a row that a small phone (360 points wide) shows whole
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


class Signer:
    """Signs and checks callback data for one bot."""

    def __init__(self, token: str) -> None:
        self._key = hashlib.sha256(b"kitt-callback:" + token.encode()).digest()

    def data(self, verb: str, number: int, chat_id: str) -> str:
        """Callback data for a button in this chat."""
        short = _base36(number)
        return f"v1:{verb}:{short}:{self._signature(verb, short, chat_id)}"

    def read(self, data: str, chat_id: str) -> tuple[str, int] | None:
        """The verb and number of a press, or None when it was not made for this chat."""
        parts = data.split(":")
        if len(parts) != 4 or parts[0] != "v1" or parts[1] not in VERBS:
            return None
        wanted = self._signature(parts[1], parts[2], chat_id)
        if not hmac.compare_digest(wanted.encode(), parts[3].encode("utf-8", "replace")):
            return None
        return parts[1], int(parts[2], 36)

    def row(self, chat_id: str, *buttons: tuple[str, str, int]) -> Buttons:
        """A row of (text, verb, number) buttons, or several where a phone would cut their words."""
        made = [{"text": t, "data": self.data(verb, n, chat_id)} for t, verb, n in buttons]
        count = _in_a_row([text for text, *_ in buttons])
        return [made[at : at + count] for at in range(0, len(made), count)] or [[]]

    def _signature(self, verb: str, number: str, chat_id: str) -> str:
        message = f"{chat_id}|{verb}|{number}".encode("utf-8", "replace")
        return hmac.new(self._key, message, hashlib.sha256).hexdigest()[:12]


def _in_a_row(texts: list[str]) -> int:
    """How many of these go beside each other; every row is as wide as the others."""
    for count in range(len(texts), 1, -1):
        rows = (texts[at : at + count] for at in range(0, len(texts), count))
        if all(max(map(_width, row)) <= ROW_WIDTH // len(row) for row in rows):
            return count
    return 1


def _width(text: str) -> int:
    """About as many letters; an emoji takes two."""
    wide = ((char >= "\U0001f000" or east_asian_width(char) in "WF") for char in text)
    return len(text) + sum(wide)


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, rest = divmod(number, 36)
        digits = _DIGITS[rest] + digits
    return digits or "0"

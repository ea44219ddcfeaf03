"""Buttons that only work for whom they were made, where they were made.

Callback data is `v1:<verb>:<id>:<signature>`: at most 64 bytes, signed over chat, verb and id, so
that a button in a forwarded message or a forged one does nothing. The key is derived from the bot
token and stored nowhere.
"""

import hashlib
import hmac

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
        """One row of (text, verb, number) buttons."""
        return [[{"text": t, "data": self.data(verb, n, chat_id)} for t, verb, n in buttons]]

    def _signature(self, verb: str, number: str, chat_id: str) -> str:
        message = f"{chat_id}|{verb}|{number}".encode("utf-8", "replace")
        return hmac.new(self._key, message, hashlib.sha256).hexdigest()[:12]


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, rest = divmod(number, 36)
        digits = _DIGITS[rest] + digits
    return digits or "0"

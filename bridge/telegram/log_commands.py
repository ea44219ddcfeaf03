"""`/logs`, for owners: the last lines of what the programs wrote."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bridge import log_tail
from bridge.store import Tx
from bridge.telegram.compose import Part, plain_part
from bridge.telegram.gate import Incoming, Press
from bridge.telegram.render import utf16_length
from bridge.telegram.texts import say

LINES: Final = 20  # in one message, of all logs together
CHARS_MAX: Final = 3_500


@dataclass(frozen=True, slots=True, kw_only=True)
class LogCommands:
    """Carries out `/logs` and `/logs worker-1`. That an owner asks was seen before."""

    log_dir: Path
    redact: Callable[[str], str]
    names = ("logs",)
    read_only = ("logs",)
    verbs = ()

    def command(self, _tx: Tx, message: Incoming, _name: str, argument: str) -> list[Part]:
        """The last lines, newest last."""
        known = log_tail.programs(self.log_dir)
        wanted = argument.strip().lower().removeprefix("kitt-")
        chosen = [wanted] if wanted in known else known
        if not known or (wanted and wanted not in known):
            text = say(message.language, "no_logs", programs=", ".join(known) or "–")
            return [plain_part(text)]
        each = max(3, LINES // len(chosen))
        lines = []
        for program in chosen:
            tail = log_tail.last_lines(self.log_dir, program, each, self.redact)
            lines += [f"── {program}", *tail]
        text = "\n".join(lines)[-CHARS_MAX:]
        marked = {"type": "pre", "offset": 0, "length": utf16_length(text)}
        return [{**plain_part(text), "entities": [marked]}]

    def press(self, tx: Tx, press: Press, verb: str, number: int) -> tuple[str, list[Part]]:
        """There are no buttons here."""
        raise NotImplementedError(verb)

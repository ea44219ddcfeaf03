"""The last lines of the programs' logs, for whoever may see them in the chat.

The logs are redacted when they are written; here it is done again, for lines of other programs.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

TAIL_BYTES: Final = 64_000  # of each log
LINE_CHARS_MAX: Final = 160
NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,40}")


def programs(log_dir: Path) -> list[str]:
    """The programs that have a log, as `bridge`, `worker-1`."""
    return sorted(path.stem.removeprefix("kitt-") for path in log_dir.glob("kitt-*.log"))


def last_lines(log_dir: Path, program: str, lines: int, redact: Callable[[str], str]) -> list[str]:
    """At most the last `lines` lines of one log, each cut; none when there is no such log."""
    if not NAME.fullmatch(program):
        return []
    try:
        with (log_dir / f"kitt-{program}.log").open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    found = redact(text).splitlines()
    if size > TAIL_BYTES:
        found = found[1:]  # its beginning is cut off, and with it what redacting would look for
    return [line[:LINE_CHARS_MAX] for line in found[-lines:]]

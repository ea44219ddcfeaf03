"""Logs that people read and that hold no secret.

One line per record on standard error: time in UTC as the database writes it, level, logger,
message. Everything goes through one handler, and what it writes is redacted last, as finished
text: arguments, exceptions, stacks and names of loggers cannot go around it. It is on the handler
because filters of a logger do not see the records of the loggers below it; it is not a filter
because that would change the record for every other handler (Python 3.11 knows no other way).

Known leaks (measured): httpx logs each URL of the Bot API with the token, `telegram.Bot` its base
URL, `repr(bot)` and the InvalidToken of `Bot.initialize` hold the token itself.
"""

import json
import logging
import re
import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from types import TracebackType
from typing import Final, TextIO
from urllib.parse import quote

QUIET_LOGGERS: Final = (
    "httpx",
    "httpx2",
    "httpcore",
    "httpcore2",
    "telegram",
    "anthropic",
    "aiosqlite",
    "markdown_it",
)
REDACTED: Final = "[redacted]"
SECRET_CHARS_MIN: Final = 8  # a shorter one would cut holes into ordinary words

_PATTERNS: Final = (
    r"(?<=/bot)\d+(?::|%3[Aa])[^\s/'\"]+",  # in an address, whatever follows the number
    r"\d{5,}(?::|%3[Aa])[A-Za-z0-9_-]{20,}",  # a bot token anywhere
    r"sk-ant-[A-Za-z0-9_-]+",
)
# A message may quote a stranger: it must not forge a second line or move the terminal's cursor.
_CONTROL: Final = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")

_log = logging.getLogger(__name__)


def configure(
    secrets: Iterable[str], *, level: int | str = logging.INFO, stream: TextIO | None = None
) -> None:
    """Send all logging, and every error nobody caught, through one redacting handler.

    `secrets` are removed wherever they appear, as are things that look like a bot token or an
    Anthropic key. `stream` defaults to standard error. A second call replaces the first.
    """
    root = logging.getLogger()
    for old in [item for item in root.handlers if isinstance(item, RedactingHandler)]:
        root.removeHandler(old)
    handler = RedactingHandler(sys.stderr if stream is None else stream, redactor(secrets))
    root.addHandler(handler)
    root.setLevel(level)
    for name in QUIET_LOGGERS:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    logging.captureWarnings(True)
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_in_thread


def redactor(secrets: Iterable[str]) -> Callable[[str], str]:
    """A function that takes secrets out of a text.

    A secret is also found as it stands in an address, in a repr or in JSON, and the second half of
    a token by itself.
    """
    known: set[str] = set()
    for secret in secrets:
        known |= {secret, quote(secret, safe=""), repr(secret)[1:-1], json.dumps(secret)[1:-1]}
        known.add(secret.partition(":")[2])
    texts = sorted((text for text in known if len(text) >= SECRET_CHARS_MIN), key=len, reverse=True)
    pattern = re.compile("|".join([*map(re.escape, texts), *_PATTERNS]))
    return lambda text: pattern.sub(REDACTED, text)


class RedactingHandler(logging.StreamHandler[TextIO]):
    """Writes readable lines without secrets."""

    def __init__(self, stream: TextIO, redact: Callable[[str], str]) -> None:
        super().__init__(stream)
        self._redact = redact
        self.setFormatter(_LineFormatter())

    def format(self, record: logging.LogRecord) -> str:
        """The whole text of a record, redacted after everything else was done to it."""
        return self._redact(super().format(record))

    def handleError(self, record: logging.LogRecord) -> None:
        """Name the place of a log call that failed; the standard way prints its raw arguments."""
        kind = sys.exc_info()[0]
        why = "" if kind is None else f" ({kind.__name__})"
        with suppress(OSError, ValueError):  # the stream itself may be what is broken
            self.stream.write(f"a line of {record.pathname}:{record.lineno} was lost{why}\n")


class _LineFormatter(logging.Formatter):
    """`2026-11-22 07:30:00.123Z INFO    bridge.queue: message`; stacks below it, indented."""

    def format(self, record: logging.LogRecord) -> str:
        seconds = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(record.created))
        head = f"{seconds}.{int(record.msecs):03}Z {record.levelname:<7} {record.name}: "
        lines = [head + _CONTROL.sub(_visible, record.getMessage())]
        below = []
        if record.exc_info and record.exc_info[0] is not None:
            below.append(self.formatException(record.exc_info))
        if record.stack_info:
            below.append(record.stack_info)
        for text in below:
            lines += ["    " + _CONTROL.sub(_visible, line) for line in text.split("\n")]
        return "\n".join(lines)


def _visible(found: re.Match[str]) -> str:
    return found.group().encode("unicode_escape").decode("ascii")


def _log_uncaught(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    _log.critical("ended by an error nobody caught", exc_info=(kind, error, trace))


def _log_uncaught_in_thread(happened: threading.ExceptHookArgs) -> None:
    if happened.exc_value is None or happened.exc_type is SystemExit:
        return
    error = (happened.exc_type, happened.exc_value, happened.exc_traceback)
    _log.critical("a thread ended by an error nobody caught", exc_info=error)

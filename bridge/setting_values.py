"""Values of settings, read from text: each says in one sentence what its variable takes instead."""

import re
import shlex
from collections.abc import Sequence
from decimal import Decimal
from typing import Final
from urllib.parse import urlsplit

from bridge.errors import ConfigError, ScheduleRefused
from bridge.models import KIND
from bridge.timing import zone_named

MEMORY_MB_MIN: Final = 128  # a worker that has done one job holds about 100


def command(name: str, text: str) -> tuple[str, ...]:
    """A program and its arguments, as they are quoted in a shell; no shell ever reads them."""
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise ConfigError(f"{name} cannot be read as a command ({error}); got {text!r}.") from None


def user_ids(text: str) -> frozenset[int]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise ConfigError(
            f"KITT_OWNER must be Telegram user ids, numbers separated by commas; got {text!r}."
        )
    return frozenset(int(part) for part in parts)


def zone(text: str) -> str:
    """An IANA name that this machine knows, or "" for none."""
    try:
        return zone_named(text).key if text else ""
    except ScheduleRefused:
        raise ConfigError(
            f"KITT_ZONE must be a time zone such as Europe/Amsterdam or UTC; got {text!r}."
        ) from None


def micro(name: str, text: str) -> int:
    """Dollars as millionths of one."""
    if not re.fullmatch(r"\d{1,6}(\.\d{1,6})?", text, re.ASCII):
        raise ConfigError(f"{name} must be US dollars such as 2.50, or 0; got {text!r}.")
    return int(Decimal(text) * 1_000_000)


def price(name: str, text: str) -> tuple[int, int]:
    """What a million tokens cost, read and written: "2/10"."""
    read, slash, written = text.partition("/")
    if not slash:
        raise ConfigError(
            f"{name} must be two prices such as 2/10, for a million tokens read and written; "
            f"got {text!r}."
        )
    return micro(name, read.strip()), micro(name, written.strip())


def one_of(name: str, text: str, choices: Sequence[str]) -> str:
    """One of these words, or "" for none."""
    if text and text not in choices:
        raise ConfigError(f"{name} must be one of {', '.join(choices)}; got {text!r}.")
    return text


def number(name: str, text: str, *, low: int, high: int) -> int:
    try:
        number = int(text)
    except ValueError:
        number = low - 1
    if not low <= number <= high:
        raise ConfigError(f"{name} must be a whole number from {low} to {high}; got {text!r}.")
    return number


def kind_workers(text: str) -> dict[str, int]:
    """`browser:1,code:2` as numbers by kind."""
    found: dict[str, int] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        kind, _, number = part.partition(":")
        fits = KIND.fullmatch(kind) and re.fullmatch(r"[1-9]\d?", number) and kind not in found
        if not fits or int(number) > 64:
            raise ConfigError(
                "KITT_KIND_WORKERS must be kinds with a number from 1 to 64, such as "
                f"browser:1,code:2; got {text!r}."
            )
        found[kind] = int(number)
    return found


def memory_mb(text: str) -> int:
    name = "KITT_WORKER_MEMORY_MB"
    megabytes = number(name, text, low=0, high=1_000_000)
    if 0 < megabytes < MEMORY_MB_MIN:
        raise ConfigError(
            f"{name} must be 0 (no limit) or at least {MEMORY_MB_MIN}, which a worker needs to "
            f"work; got {text!r}."
        )
    return megabytes


def seconds(name: str, text: str, *, low: float, high: float) -> float:
    try:
        number = float(text)
    except ValueError:
        number = low - 1
    if not low <= number <= high:
        raise ConfigError(f"{name} must be seconds from {low} to {high}; got {text!r}.")
    return number


def _is_web_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        port_fits = parts.port is None or parts.port > 0
    except ValueError:  # a port that is no number, a bracket that is not closed
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and port_fits


def url(name: str, text: str, *, end: str = "") -> str:
    if text and not _is_web_address(text):
        raise ConfigError(f"{name} must be an http or https address; got {text!r}.")
    if not text.endswith(end):
        raise ConfigError(f"{name} must end in {end}; got {text!r}.")
    if name == "ANTHROPIC_BASE_URL" and text.rstrip("/").endswith("/v1"):
        raise ConfigError(f"{name} is given without /v1; got {text!r}.")
    return text


def on_or_off(name: str, text: str) -> bool:
    """A switch."""
    if text not in ("on", "off"):
        raise ConfigError(f"{name} must be on or off; got {text!r}.")
    return text == "on"

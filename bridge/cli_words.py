"""What may be said to a command: argparse types, each with one sentence for what is wrong."""

import argparse
from typing import Final

from bridge.models import KIND

NUMBER_END: Final = 10**9  # more is nothing a person means, and the database holds it


def number(text: str) -> int:
    """A whole number of any size."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None


def priority(text: str) -> int:
    """A whole number the database can hold."""
    found = number(text)
    if abs(found) >= NUMBER_END:
        raise argparse.ArgumentTypeError(f"{text} is too large")
    return found


def count(text: str) -> int:
    """A whole number from 0."""
    found = priority(text)
    if found < 0:
        raise argparse.ArgumentTypeError(f"{text} is less than 0")
    return found


def port(text: str) -> int:
    """Of TCP; 0 lets the system choose."""
    found = count(text)
    if found > 65_535:
        raise argparse.ArgumentTypeError(f"{text} is more than 65535")
    return found


def seconds(text: str) -> float:
    """Any number; which ones make sense is for the command to say."""
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds") from None


def kinds(text: str) -> tuple[str, ...]:
    """`browser,code`"""
    found = tuple(text.split(","))
    if not all(KIND.fullmatch(kind) for kind in found):
        raise argparse.ArgumentTypeError(f"{text!r} is no list of kinds such as browser,code")
    return found


def workers(text: str) -> tuple[str, int]:
    """`4`, or `browser=2` with its kind."""
    kind, _, of_them = text.rpartition("=")
    try:
        return kind, int(of_them)
    except ValueError:
        message = f"{text!r} is neither a number nor KIND=NUMBER"
        raise argparse.ArgumentTypeError(message) from None

"""Every text KITT itself says, in every language it speaks: one file of `languages/` each."""

import functools
import tomllib
from pathlib import Path
from typing import Any, Final

from bridge.errors import Refused

FOLDER: Final = Path(__file__).parent / "languages"
DEFAULT: Final = "en"  # for whoever speaks none of them
LANGUAGES: Final = (
    DEFAULT,
    *sorted(path.stem for path in FOLDER.glob("*.toml") if path.stem != DEFAULT),
)


def say(language: str, key: str, **values: object) -> str:
    """A text in a language; an unknown language is English."""
    text: str = _language(language)[key]
    return text.format(**values) if values else text


def names(language: str, what: str) -> list[str]:
    """The `days` of a week from Monday, or the `months`: short, as they stand beside a time."""
    return list(_language(language)[what])


def patterns(what: str) -> str:
    """A regular expression that means the same thing in every language."""
    return "|".join(pattern for code in LANGUAGES for pattern in _language(code)[what])


def words(what: str) -> frozenset[str]:
    """Words that mean the same thing, of every language."""
    return frozenset(word for code in LANGUAGES for word in _language(code)[what])


def texts(language: str) -> dict[str, Any]:
    """Everything in the file of a language, by key."""
    return dict(_language(language))


def language_of(code: str | None) -> str:
    """Ours for a Telegram `language_code` (`nl`, `nl-BE`, none)."""
    first = (code or "").lower().replace("_", "-").split("-")[0]
    return first if first in LANGUAGES else DEFAULT


def cause(language: str, error: str | None) -> str:
    """Why a job failed: the translated code of `jobs.error`, and its detail."""
    code, _, detail = (error or "error").partition(": ")
    key = f"cause_{code}"
    if key not in _language(language):
        return error or ""
    return say(language, key) + (f" ({detail})" if detail else "")


def reason(language: str, error: Refused) -> str:
    """Why something does not fit: the translated code of the error, or what it says itself."""
    key = f"refused_{error.code}"
    if not error.code or key not in _language(language):
        return str(error)
    return say(language, key, **error.values)


def _language(language: str) -> dict[str, Any]:
    return _read(language if language in LANGUAGES else DEFAULT)


@functools.cache
def _read(language: str) -> dict[str, Any]:
    """The tables of the file are for whoever reads it; a key is unique in all of them."""
    with (FOLDER / f"{language}.toml").open("rb") as file:
        parsed = tomllib.load(file)
    found: dict[str, Any] = {}
    for name, value in parsed.items():
        table = value if isinstance(value, dict) else {name: value}
        twice = found.keys() & table.keys()
        if twice:
            raise ValueError(f"{language}.toml has {', '.join(sorted(twice))} twice")
        found |= table
    return found

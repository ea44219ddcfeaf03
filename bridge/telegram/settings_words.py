"""What can be chosen in `/settings`, as it is written and as it stands on buttons.

Pure functions; what a tap does is settings_commands.py. A button carries the number of its setting
and of the choice, so that lists only grow at their end.
"""

import re
from typing import Final

from bridge.preferences import IN_SETTINGS, Preferences
from bridge.telegram.api import Buttons
from bridge.telegram.buttons import Signer
from bridge.telegram.compose import Part, plain_part
from bridge.telegram.texts import LANGUAGES, names, say, texts

SIGNS: Final = {
    "language": "🌐",
    "zone": "🕓",
    "quiet": "🌙",
    "night_approvals": "🔔",
    "rich": "🎨",
    "streaming": "✍️",
    "costs": "💶",
}
OPTIONS: Final[dict[str, tuple[str, ...]]] = {
    "language": ("", *LANGUAGES),
    "zone": (
        "",
        "Europe/Amsterdam",
        "Europe/London",
        "Europe/Lisbon",
        "Europe/Athens",
        "America/New_York",
        "America/Chicago",
        "America/Los_Angeles",
        "America/Sao_Paulo",
        "Asia/Kolkata",
        "Asia/Shanghai",
        "Asia/Tokyo",
        "Australia/Sydney",
        "UTC",
    ),
    "quiet": ("", "22:30-07:30", "23:00-08:00"),
    "night_approvals": ("on", "off"),
    "rich": ("off", "auto", "always"),
    "streaming": ("edit", "draft", "off"),
    "costs": ("on", "off"),
}
PERSONA_SIGN: Final = "🎭"
STEP: Final = 100  # more than one setting has choices
HOURS: Final = re.compile(r"(\d{1,2})[:.](\d\d)\s*[-–—]\s*(\d{1,2})[:.](\d\d)")


def name_meant(word: str) -> str | None:
    """The setting that is called so in any language, or None."""
    word = word.casefold()
    for name in IN_SETTINGS:
        called = {word for code in LANGUAGES for word in names(code, f"words_{name}")}
        if word == name or word in called:
            return name
    return None


def means_persona(word: str) -> bool:
    """Whether who answers is meant, which has a command of its own."""
    return any(word.casefold() in names(code, "words_persona") for code in LANGUAGES)


def value_meant(name: str, said: str) -> str | None:
    """The value that is meant, which may still not fit; None when it is none of the choices."""
    word = " ".join(said.split()).casefold()
    for value in OPTIONS[name]:
        if word in _words(name, value):
            return value
    if name == "quiet":
        hours = HOURS.fullmatch(word)
        return "{:0>2}:{}-{:0>2}:{}".format(*hours.groups()) if hours else None
    if name != "zone":
        return None
    if word == said.strip():  # nobody types capitals on a phone
        return re.sub(r"[a-z]+", lambda found: found[0].capitalize(), word).replace(" ", "_")
    return said.strip().replace(" ", "_")


def choice_of(number: int) -> tuple[str, str | None] | None:
    """The setting and the choice behind a number; the choice is None for the setting itself."""
    which, choice = divmod(number, STEP)
    if which >= len(IN_SETTINGS) or choice > len(OPTIONS[IN_SETTINGS[which]]):
        return None
    return IN_SETTINGS[which], OPTIONS[IN_SETTINGS[which]][choice - 1] if choice else None


def number_of(name: str, value: str | None = None) -> int:
    """The number of a setting, or of one of its choices."""
    choice = 0 if value is None else OPTIONS[name].index(value) + 1
    return IN_SETTINGS.index(name) * STEP + choice


def label(name: str, value: str, language: str, *, zone: str) -> str:
    """A value in words; `zone` is what holds when none is chosen."""
    if name == "language":
        return texts(value)["language_name"] if value else say(language, "choice_language")
    if name == "zone":
        return value or say(language, "choice_zone", zone=zone)
    if name == "quiet":
        return value.replace("-", "–") or say(language, "choice_quiet")
    return say(language, f"choice_{name}_{value}")


def settings_part(
    chosen: Preferences,
    signer: Signer,
    chat_id: str,
    *,
    language: str,
    zone: str,
    persona: str | None = None,
) -> Part:
    """Everything that is chosen, and a button for each; `persona` is None without a choice."""
    group = chat_id.startswith("-")
    lines = [say(language, "settings_of_group" if group else "settings_title"), ""]
    for name in IN_SETTINGS:
        value = label(name, getattr(chosen, name), language, zone=zone)
        lines.append(f"{SIGNS[name]} {say(language, f'setting_{name}')}: {value}")
    who = f"{PERSONA_SIGN} {say(language, 'setting_persona')}"
    lines += [f"{who}: {persona}"] if persona is not None else []
    lines += ["", say(language, "settings_how")]
    buttons = [
        (f"{SIGNS[name]} {say(language, f'setting_{name}')}", "uo", number_of(name))
        for name in IN_SETTINGS
    ]
    buttons += [(who, "cl", 0)] if persona is not None else []
    return {**plain_part("\n".join(lines)), "buttons": _in_rows(signer, chat_id, buttons)}


def setting_part(
    name: str, chosen: Preferences, signer: Signer, chat_id: str, *, language: str, zone: str
) -> Part:
    """One setting, what it means, and a button for each of its choices."""
    now = getattr(chosen, name)
    title = f"{SIGNS[name]} {say(language, f'setting_{name}')}"
    lines = [
        f"{title}: {label(name, now, language, zone=zone)}",
        "",
        say(language, f"about_{name}"),
    ]
    buttons = [
        (
            ("✓ " if value == now else "") + label(name, value, language, zone=zone),
            "uc",
            number_of(name, value),
        )
        for value in OPTIONS[name]
    ]
    back = signer.row(chat_id, (say(language, "button_settings"), "um", 0))
    rows = _in_rows(signer, chat_id, buttons) + back
    return {**plain_part("\n".join(lines)), "buttons": rows}


def _words(name: str, value: str) -> set[str]:
    """What a person may write for a choice, in small letters."""
    found = {value.casefold()} if value else set()
    for code in LANGUAGES:
        if value or name == "quiet":
            found.add(label(name, value, code, zone="").casefold())
        if value in ("on", "off"):
            found |= set(names(code, f"words_{value}"))
        if not value:
            found |= set(names(code, "words_default"))
        if not value and name == "quiet":
            found |= set(names(code, "words_off"))
    return found


def _in_rows(signer: Signer, chat_id: str, buttons: list[tuple[str, str, int]]) -> Buttons:
    rows: Buttons = []
    for first in range(0, len(buttons), 2):
        rows += signer.row(chat_id, *buttons[first : first + 2])
    return rows

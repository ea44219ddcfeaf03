"""How people look to the owners: the card that asks about a stranger, the list, one person.

A name is chosen by whoever bears it. It stands in the text as code: there Telegram makes no link,
mention or command of it.
"""

from collections.abc import Sequence
from typing import Final

from bridge.access import Known
from bridge.people import Role, plain_name
from bridge.telegram.api import Buttons
from bridge.telegram.buttons import Signer
from bridge.telegram.compose import Part, plain_part
from bridge.telegram.render import utf16_length
from bridge.telegram.texts import say

PER_PAGE: Final = 8
IN_A_ROW: Final = 4
SIGNS: Final[dict[Role, str]] = {"owner": "👑", "allowed": "✅", "stranger": "👤", "blocked": "🚫"}
ROLES: Final[dict[Role, str]] = {
    "owner": "role_owner",
    "allowed": "role_allowed",
    "stranger": "role_stranger",
    "blocked": "role_blocked",
}
DECIDED: Final[dict[Role, str]] = {
    "allowed": "access_allowed",
    "stranger": "access_refused",
    "blocked": "access_blocked",
}
_OPEN, _CLOSE = "\ue000", "\ue001"  # no name holds them: they are taken out of names


def name_of(name: str, user_id: int) -> str:
    """Somebody's name for a text that goes through `with_names`."""
    return f"{_OPEN}{plain_name(name) or user_id}{_CLOSE}"


def with_names(text: str) -> Part:
    """A text of our own in which every name is marked as code."""
    plain, entities = "", []
    for index, piece in enumerate(text.replace(_CLOSE, _OPEN).split(_OPEN)):
        if index % 2 and piece:
            place = {"offset": utf16_length(plain), "length": utf16_length(piece)}
            entities.append({"type": "code", **place})
        plain += piece
    return {**plain_part(plain), "entities": entities}


def joined(part: Part, lines: Sequence[str], buttons: Buttons) -> Part:
    """The same message with more lines, in which names stand, and more buttons."""
    if not lines:
        return part
    more = with_names("\n".join(["", *lines]))
    shift = utf16_length(part["text"])
    moved = [{**each, "offset": each["offset"] + shift} for each in more["entities"]]
    return {
        **part,
        "text": part["text"] + more["text"],
        "entities": [*part["entities"], *moved],
        "buttons": [*part["buttons"], *buttons],
    }


def asking_part(signer: Signer, who: Known, *, owner: str, language: str) -> Part:
    """The card that asks an owner, in their chat, whether someone may use the bot."""
    named = name_of(who.name, who.user_id)
    buttons = signer.row(
        owner,
        (say(language, "button_allow"), "ma", who.user_id),
        (say(language, "button_refuse"), "md", who.user_id),
        (say(language, "button_block"), "mb", who.user_id),
    )
    text = say(language, "access_asked", name=named, id=who.user_id)
    return {**with_names(text), "buttons": buttons}


def decided_part(who: Known, role: Role, by: str, *, language: str) -> Part:
    """The same card when it was decided: who decided what, and no buttons."""
    asked = say(language, "access_asked", name=name_of(who.name, who.user_id), id=who.user_id)
    return with_names(f"{asked}\n{say(language, DECIDED[role], by=name_of(by, 0))}")


def list_part(
    signer: Signer, people: Sequence[Known], page: int, *, owner: str, language: str
) -> Part:
    """Everyone the bot knows, a page of them, with a button for each."""
    pages = max(1, -(-len(people) // PER_PAGE))
    page = min(page, pages - 1)
    shown = people[page * PER_PAGE : (page + 1) * PER_PAGE]
    lines = [say(language, "people_title", count=len(people))]
    if pages > 1:
        lines.append(say(language, "people_page", page=page + 1, pages=pages))
    lines += [f"{SIGNS[who.role]} {_line(who, language)}" for who in shown]
    lines.append(say(language, "people_how"))
    picks = [(f"{SIGNS[who.role]} {_label(who)}", "mo", who.user_id) for who in shown]
    buttons: Buttons = []
    for start in range(0, len(picks), IN_A_ROW // 2):
        buttons += signer.row(owner, *picks[start : start + IN_A_ROW // 2])
    turns = [("‹", "ml", page - 1)] * (page > 0) + [("›", "ml", page + 1)] * (page < pages - 1)
    if turns:
        buttons += signer.row(owner, *turns)
    return {**with_names("\n".join(lines)), "buttons": buttons}


def person_part(signer: Signer, who: Known, *, fixed: bool, owner: str, language: str) -> Part:
    """One person and what may be changed; nothing of one who is `fixed`."""
    text = f"{SIGNS[who.role]} {_line(who, language)}"
    choices = []
    if fixed:
        text += f"\n{say(language, 'owner_stays_settings')}"
    else:
        if who.role in ("stranger", "blocked"):
            choices.append((say(language, "button_allow"), "ms", who.user_id))
        if who.role != "stranger":
            key = "button_unblock" if who.role == "blocked" else "button_no_more"
            choices.append((say(language, key), "mx", who.user_id))
        if who.role != "blocked":
            choices.append((say(language, "button_block"), "mk", who.user_id))
    buttons = signer.row(owner, *choices) if choices else []
    buttons += signer.row(owner, (say(language, "button_people"), "ml", 0))
    return {**with_names(text), "buttons": buttons}


def _line(who: Known, language: str) -> str:
    number = f" ({who.user_id})" if who.name else ""
    return f"{name_of(who.name, who.user_id)}{number} · {say(language, ROLES[who.role])}"


def _label(who: Known) -> str:
    label = who.name or str(who.user_id)
    return label if len(label) <= 20 else label[:19] + "…"

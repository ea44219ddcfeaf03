"""How groups look to the owners: the section of `/users`, with a button to open or close each."""

from collections.abc import Sequence
from typing import Final

from bridge.groups import Group
from bridge.models import short
from bridge.telegram.api import Buttons
from bridge.telegram.buttons import Signer
from bridge.telegram.people_words import name_of
from bridge.telegram.texts import say

TITLE_CHARS: Final = 24  # on a button


def section(
    signer: Signer, groups: Sequence[Group], *, owner: str, language: str
) -> tuple[list[str], Buttons]:
    """Lines for a text that goes through `with_names`, and a row for each group."""
    if not groups:
        return [], []
    lines = ["", say(language, "groups_title", count=len(groups))]
    buttons: Buttons = []
    for group in groups:
        is_open, number = group.status == "allowed", -int(group.chat_id)
        sign, state = ("✅", "group_open") if is_open else ("⛔", "group_closed")
        lines.append(f"{sign} {name_of(group.title, number)} · {say(language, state)}")
        key = "button_close_group" if is_open else "button_open_group"
        title = short(group.title or str(number), TITLE_CHARS)
        buttons += signer.row(owner, (say(language, key, title=title), "mg", number))
    return lines, buttons

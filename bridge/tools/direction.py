"""Letters in the order and the form in which they stand on a line: for Hebrew, Arabic and the like.

What draws a PDF file puts one sign after the other from left to right and joins none. The order is
that of Unicode's bidirectional algorithm (UAX #9) without its marks for nested directions, which
texts of people hardly have; joined forms are those that Unicode has a sign of its own for.
"""

import unicodedata
from collections.abc import Sequence
from functools import cache
from itertools import groupby
from typing import Final

RIGHT: Final = ("R", "AL")
_MIRRORED: Final = dict(zip("()[]{}<>«»‹›≤≥", ")(][}{><»«›‹≥≤", strict=True))
_BRACKETS: Final = {"(": ")", "[": "]", "{": "}"}
_FORMS: Final = ("isolated", "final", "initial", "medial")
_LAM: Final = "\u0644"


def is_right_to_left(text: str) -> bool:
    """Whether its first letter is one of a script that goes that way."""
    kinds = (unicodedata.bidirectional(char) for char in text)
    return next((kind in RIGHT for kind in kinds if kind in (*RIGHT, "L")), False)


def has_right_to_left(text: str) -> bool:
    """Whether any letter is; the test is quick for a text that has none."""
    return not text.isascii() and any(unicodedata.bidirectional(char) in RIGHT for char in text)


def mirrored(text: str) -> str:
    """Brackets as they look where a line is read from the right."""
    return "".join(_MIRRORED.get(char, char) for char in text)


def levels(chars: Sequence[str], *, right: bool) -> list[int]:
    """How deep each one of a paragraph lies: odd ones are read from the right."""
    base = int(right)
    kinds = _resolved([unicodedata.bidirectional(char[0]) for char in chars], chars, base)
    deeper = ({"R": 1, "EN": 2, "AN": 2}, {"L": 1, "EN": 1, "AN": 1})[base]
    return [base + deeper.get(kind, 0) for kind in kinds]


def visual(line: Sequence[int], *, right: bool) -> list[int]:
    """The places of a line's characters from left to right, by their levels (rule L2)."""
    order = list(range(len(line)))
    for level in range(max(line, default=0), 0, -1):
        turned: list[int] = []
        for deep, places in groupby(order, key=lambda place: line[place] >= level):
            run = list(places)
            turned += reversed(run) if deep else run
        order = turned
    return order


def _resolved(kinds: list[str], chars: Sequence[str], base: int) -> list[str]:
    """Only L, R, EN and AN (rules W1 to W7 and N0 to N2)."""
    outer = "R" if base else "L"
    strong = before = outer
    for at, kind in enumerate(kinds):
        if kind == "NSM":
            kind = before
        if kind in ("L", "R", "AL"):
            strong = kind
        if kind == "EN" and strong == "AL":
            kind = "AN"
        kinds[at] = before = kind
    for at in range(1, len(kinds) - 1):
        around = kinds[at - 1], kinds[at + 1]
        if around == ("EN", "EN") and kinds[at] in ("ES", "CS"):
            kinds[at] = "EN"
        elif around == ("AN", "AN") and kinds[at] == "CS":
            kinds[at] = "AN"
    _signs_of_numbers(kinds)
    kinds = ["R" if kind == "AL" else kind for kind in kinds]
    strong = outer
    for at, kind in enumerate(kinds):
        if kind in ("L", "R"):
            strong = kind
        elif kind == "EN" and strong == "L":
            kinds[at] = "L"
    _brackets(kinds, chars, outer)
    return _neutral(kinds, outer)


def _brackets(kinds: list[str], chars: Sequence[str], outer: str) -> None:
    """Both brackets of a pair go the way of what is in them, or of what is before them (N0)."""
    other = "L" if outer == "R" else "R"
    for start, end in _pairs(chars, kinds):
        inner = {_side(kind) for kind in kinds[start + 1 : end]}
        if outer in inner:
            kinds[start] = kinds[end] = outer
        elif other in inner:
            before = (_side(kind) for kind in reversed(kinds[:start]))
            kinds[start] = kinds[end] = next(filter(None, before), outer)


def _pairs(chars: Sequence[str], kinds: Sequence[str]) -> list[tuple[int, int]]:
    opened: list[int] = []
    found: list[tuple[int, int]] = []
    for at, char in enumerate(chars):
        if kinds[at] == "ON" and char in _BRACKETS:
            opened.append(at)
        elif kinds[at] == "ON" and char in _BRACKETS.values():
            match = next((one for one in reversed(opened) if _BRACKETS[chars[one]] == char), None)
            if match is not None:
                found.append((match, at))
                del opened[opened.index(match) :]
    return sorted(found)


def _side(kind: str) -> str:
    """Numbers count as read from the right here."""
    return {"L": "L", "R": "R", "EN": "R", "AN": "R"}.get(kind, "")


def _signs_of_numbers(kinds: list[str]) -> None:
    """Signs such as % and € beside a number belong to it (W5)."""
    at = 0
    for kind, run in groupby(list(kinds)):
        end = at + len(list(run))
        beside = (kinds[at - 1] if at else "", kinds[end] if end < len(kinds) else "")
        if kind == "ET" and "EN" in beside:
            kinds[at:end] = ["EN"] * (end - at)
        at = end


def _neutral(kinds: list[str], outer: str) -> list[str]:
    """What has no direction takes that of both its sides, or else that of the paragraph."""
    settled = ("L", "R", "EN", "AN")
    at = 0
    for neutral, run in groupby(list(kinds), key=lambda kind: kind not in settled):
        end = at + len(list(run))
        if neutral:
            before = kinds[at - 1] if at else outer
            after = kinds[end] if end < len(kinds) else outer
            sides = {_side(before), _side(after)}
            kinds[at:end] = [sides.pop() if len(sides) == 1 else outer] * (end - at)
        at = end
    return kinds


def joined(text: str) -> str:
    """Arabic letters in the forms they have beside each other; other texts as they are."""
    if not any("\u0600" <= char <= "\u06ff" for char in text):
        return text
    forms = _forms()
    shown: list[str] = []
    for at, char in enumerate(text):
        own = forms.get(char, {})
        before = forms.get(_neighbour(text, at, -1), {})
        after = _neighbour(text, at, 1)
        from_before = "initial" in before and "final" in own
        to_after = "initial" in own and "final" in forms.get(after, {})
        if char == _LAM and char + after in forms and text[at + 1 : at + 2] == after:
            shown.append(forms[char + after].get("final" if from_before else "isolated", char))
        elif forms.get(_LAM + char) and at and text[at - 1] == _LAM:
            continue  # it stands in the sign of both
        else:
            form = _FORMS[from_before + 2 * to_after]
            shown.append(own.get(form, char))
    return "".join(shown)


def _neighbour(text: str, at: int, step: int) -> str:
    """The next letter there; marks above and below one are none."""
    at += step
    while 0 <= at < len(text) and unicodedata.category(text[at]) == "Mn":
        at += step
    return text[at] if 0 <= at < len(text) else ""


@cache
def _forms() -> dict[str, dict[str, str]]:
    """The sign of each form of a letter, or of lam with an alef, as Unicode tells them."""
    found: dict[str, dict[str, str]] = {"\u0640": dict.fromkeys(_FORMS, "\u0640")}
    for code in (*range(0xFB50, 0xFDFC), *range(0xFE70, 0xFEFD)):
        form, *codes = unicodedata.decomposition(chr(code)).split() or [""]
        letters = "".join(chr(int(one, 16)) for one in codes)
        if form.strip("<>") in _FORMS and (len(letters) == 1 or letters[0] == _LAM):
            found.setdefault(letters, {}).setdefault(form.strip("<>"), chr(code))
    alefs = {_LAM + alef for alef in "\u0622\u0623\u0625\u0627"}
    return {
        letters: forms for letters, forms in found.items() if len(letters) == 1 or letters in alefs
    }

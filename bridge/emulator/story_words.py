"""How the default story reads a user's text: language, orders hidden in it, sums.

Pure functions on strings; nothing here knows a request or a reply.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


DUTCH = _words(
    """aan achtergrond al alle alsjeblieft analyseer annuleer bedankt ben beste bezig dag dank
    dankje dankjewel dat de derde die dit doe door draait een eerste elk elke en er gedeeld
    geef goede goedemiddag goedemorgen goedenavond graag grap grapje hallo het hoe hoeveel hoi
    ik jij je kan keer klaar kun kunt laat leuk loopt lopen maak maal me mij mijn min mop naar
    niet nog om onder onderzoek ook op opnieuw over rapport resultaat samen schrijf slaap snelle
    stappen taak taken tegen toon tot tweede uit van vat vergelijk verslag vertel ver voor
    voortgang waar wacht wat weten welke wie wij wil zijn zoek zo"""
)
ENGLISH = _words(
    """a about an analyse analyze and are background best by can cancel compare could divided do
    every find first for get good hello hey hi how i it job jobs joke know let list look me much
    my of on one please quick report research result results retry running search second show
    sleep status steps stop summarize summarise tell thank thanks the them third times to under
    what which who with would write you your"""
)

BACKGROUND = re.compile(
    r"\bin the background\b|\b(?:op|in) de achtergrond\b|\basync(?:hroon|hronous(?:ly)?)?\b"
    r"|\blet me know when\b[^.!?]*|\blaat (?:me |het )?weten als\b[^.!?]*",
    re.IGNORECASE,
)
LONG_WORK = re.compile(
    r"\b(?:research|compare|search|look up|investigate|analy[sz]e|summari[sz]e|report"
    r"|zoek|vergelijk|onderzoek|analyseer|rapport|verslag|overzicht)\b",
    re.IGNORECASE,
)
MARKER = re.compile(r"\[\[(reply|delay):(.*?)\]\]", re.DOTALL)
SLEEP = re.compile(r"\b(?:sleep|slaap)\s+(\d+(?:\.\d+)?)", re.IGNORECASE)
STEPS = re.compile(
    r"\b(?:steps\s+(\d+)|stappen\s+(\d+)|(\d+)\s+(?:steps|stappen))\b", re.IGNORECASE
)
QUICK = re.compile(r"\b(?:quick job|snelle taak)\s+#?(\w+)", re.IGNORECASE)
E_BIKE = re.compile(r"\be-?bikes?\b|\belektrische fiets", re.IGNORECASE)
FAIL = re.compile(r"\b(?:fail please|faal alsjeblieft)\b", re.IGNORECASE)
ITEM = re.compile(r"^\s*(?:\d+[.)]|[-*•])\s+(.+)$", re.MULTILINE)
ORDINALS = (
    re.compile(r"\b(?:first|eerste|1st|1e)\b", re.IGNORECASE),
    re.compile(r"\b(?:second|tweede|2nd|2e)\b", re.IGNORECASE),
    re.compile(r"\b(?:third|derde|3rd|3e)\b", re.IGNORECASE),
)
SUM_CUE = re.compile(
    r"^\s*(?:what(?:'s| is)|how much is|calculate|hoeveel is|wat is|reken uit|bereken|[-(\d])",
    re.IGNORECASE,
)
OPERATORS = (
    (re.compile(r"\b(?:times|keer|maal)\b|×|(?<=\d)\s*x\s*(?=\d)"), "*"),
    (re.compile(r"\b(?:divided by|gedeeld door)\b|÷"), "/"),
    (re.compile(r"\bplus\b"), "+"),
    (re.compile(r"\b(?:minus|min)\b"), "-"),
    (re.compile(r"\b(?:to the power of|tot de macht)\b|\^"), "**"),
)
EXPRESSION = re.compile(r"[-(]*\d[\d\s().+*/%-]*")
EXPRESSION_CHARS_MAX = 80
EXPONENT_MAX = 64
BASE_MAX = 1_000_000
TITLE_CHARS_MAX = 60
POLITE = re.compile(
    r"^\s*(?:please|kitt|can you|could you|would you|kun je|kunt u|wil je|graag"
    r"|alsjeblieft)\b[\s,:]*",
    re.IGNORECASE,
)

_BINARY: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}


def is_dutch(text: str) -> bool:
    """Whether a text has more Dutch than English words; a tie is English."""
    words = re.findall(r"[a-zé']+", text.lower())
    return sum(w in DUTCH for w in words) > sum(w in ENGLISH for w in words)


def marked_reply(text: str) -> str | None:
    """The text of a `[[reply: TEXT]]` marker, as it stands there."""
    return next((value.strip() for name, value in MARKER.findall(text) if name == "reply"), None)


def marked_delay_s(text: str) -> float:
    """Seconds of a `[[delay: S]]` marker, 0 without one."""
    return next((float(value) for name, value in MARKER.findall(text) if name == "delay"), 0.0)


def sleep_s(text: str) -> float:
    """Seconds of model time asked for with "sleep 8", 0 when nothing is asked."""
    found = SLEEP.search(text)
    return float(found.group(1)) if found else 0.0


def steps(text: str, default: int) -> int:
    """Progress steps asked for with "steps 30" or "30 stappen"."""
    found = STEPS.search(text)
    return int(next(group for group in found.groups() if group)) if found else default


def ordinal(text: str) -> int | None:
    """0, 1 or 2 when the text asks for the first, second or third of something."""
    return next((at for at, pattern in enumerate(ORDINALS) if pattern.search(text)), None)


def items(text: str) -> list[str]:
    """The items of the lists in a text, numbered ones if there are any."""
    numbered = re.findall(r"^\s*\d+[.)]\s+(.+)$", text, re.MULTILINE)
    return numbered or ITEM.findall(text)


def title_of(text: str, fallback: str) -> str:
    """A title of at most 60 characters for a task."""
    short = BACKGROUND.sub(" ", MARKER.sub(" ", text))
    short = POLITE.sub("", " ".join(short.split())).strip(" ,.:;!?–-")
    if len(short) > TITLE_CHARS_MAX:
        short = short[: TITLE_CHARS_MAX - 1].rsplit(" ", 1)[0].rstrip(" ,.:;") + "…"
    return short[:1].upper() + short[1:] if short else fallback


def total(text: str) -> str | None:
    """The answer to a sum such as "what is 17*23"; None when the text asks for none.

    Evaluated over the parsed numbers and signs only, never by running the text.

    Raises:
        ZeroDivisionError: the sum divides by zero.
    """
    if not SUM_CUE.search(text):
        return None
    plain = re.sub(r"(?<=\d),(?=\d)", ".", text.lower())
    for pattern, sign in OPERATORS:
        plain = pattern.sub(f" {sign} ", plain)
    found = max(EXPRESSION.findall(plain), key=len, default="").strip(" .")
    if (
        not re.search(r"\d\s*\)*\s*[-+*/%]+\s*\(*\s*-?\d", found)
        or len(found) > EXPRESSION_CHARS_MAX
    ):
        return None
    try:
        value = _value(ast.parse(found, mode="eval").body)
    except (SyntaxError, ValueError):
        return None
    whole = isinstance(value, int) or value.is_integer()
    return str(int(value)) if whole else f"{value:.6g}"


def _value(node: ast.expr) -> float:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand)
    if isinstance(node, ast.BinOp):
        left, right = _value(node.left), _value(node.right)
        small = 0 <= right <= EXPONENT_MAX and abs(left) <= BASE_MAX
        if isinstance(node.op, ast.Pow) and small and isinstance(right, int):
            power: float = left**right
            return power
        if type(node.op) in _BINARY:
            return _BINARY[type(node.op)](left, right)
    raise ValueError("not a sum")

"""What counts as Markdown here; read once, for both looks of a message (markdown.py, rich.py).

CommonMark with tables, strikethrough, task lists, formulas (`$$…$$`, `\\[…\\]`, `\\(…\\)`, and
`$…$` where it cannot be money) and `<details>` on lines of their own; all other HTML is text. Two
constructs are off: text over `---` is no heading (models mean a rule, and every list that is being
written passes through it), `[label]: target` is no hidden definition (it would vanish).

Tokens beyond those of markdown-it: `math_block`, `math_inline` with the formula as their content;
`details_open`, `summary_open`, `inline`, `summary_close`, blocks, `details_close`. What is not
closed yet is text, so that every prefix of a text can be read.

Source: CommonMark 0.31; GFM, tables and task lists.
"""

import re
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.ruler import RuleOptionsType
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

NESTING_MAX: Final = 20  # levels of lists and quotes; the parser leaves out what is deeper
FORMULA_LINES_MAX: Final = 60

_CLOSING: Final = {"$$": "$$", "\\[": "\\]"}
_DETAILS: Final = re.compile(r"<details(?:\s+open)?\s*>\s*(.*)", re.IGNORECASE)
_SUMMARY: Final = re.compile(r"<summary>(.*)</summary>\s*", re.IGNORECASE)
# Between two dollars stands a formula, not money, when it has a sign that only formulas have.
_FORMULA: Final = re.compile(r"\$(?=\S)((?:\\.|[^$\\\n])+?)(?<=\S)\$(?!\w)")
_FORMULA_SIGN: Final = re.compile(r"[\\^]|^[A-Za-z]$|^\D.*[_=]")
_ROUND: Final = re.compile(r"\\\((.+?)\\\)", re.DOTALL)


@lru_cache(maxsize=1)  # entities, Rich HTML and code files look at one text, one after the other
def tokens_of(source: str) -> Sequence[Token] | None:
    """The tokens of clean Markdown; None if it is nested too deep to be read without loss."""
    tokens = parser().parse(source)
    if any(token.level >= NESTING_MAX - 1 for token in tokens):
        return None
    return tokens


@cache
def parser() -> MarkdownIt:
    """The one parser."""
    options = {"html": False, "maxNesting": NESTING_MAX, "tasklists": True}
    made = MarkdownIt("commonmark", options)
    made.enable(["table", "strikethrough"]).disable(["lheading", "reference"])
    ends: RuleOptionsType = {"alt": ["paragraph", "blockquote", "list"]}
    made.block.ruler.before("fence", "math_block", _math_block, ends)
    made.block.ruler.before("fence", "details", _details, ends)
    made.inline.ruler.before("escape", "math_inline", _math_inline)
    return made


def _line(state: StateBlock, line: int) -> str:
    return state.src[state.bMarks[line] + state.tShift[line] : state.eMarks[line]]


def _inside(state: StateBlock, line: int) -> bool:
    """Does this line still belong to the list or quote that is open?"""
    return not state.isEmpty(line) and state.sCount[line] >= state.blkIndent


def _math_block(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    text = _line(state, start).rstrip()
    closing = _CLOSING.get(text[:2])
    if closing is None or state.is_code_block(start):
        return False
    lines, line = [text[2:]], start
    while not lines[-1].endswith(closing):
        line += 1
        if line >= min(end, start + FORMULA_LINES_MAX) or not _inside(state, line):
            return False
        lines.append(_line(state, line).rstrip())
    lines[-1] = lines[-1][:-2]
    formula = "\n".join(lines).strip()
    if not formula or closing in formula:
        return False
    if not silent:
        token = state.push("math_block", "", 0)
        token.content, token.block, token.map = formula, True, [start, line + 1]
        state.line = line + 1
    return True


def _details(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    opening = _DETAILS.fullmatch(_line(state, start))
    if opening is None or state.is_code_block(start):
        return False
    last = _end_of_details(state, start, end)
    body = start + 1
    summary = _SUMMARY.fullmatch(opening[1])
    if summary is None and not opening[1] and body < last:
        summary, body = _SUMMARY.fullmatch(_line(state, body)), body + 1
    if summary is None or last >= end:
        return False
    if not silent:
        _push_details(state, summary[1].strip(), (start, body, last))
    return True


def _end_of_details(state: StateBlock, start: int, end: int) -> int:
    """The line that closes what `start` opens, or `end`."""
    depth = 0
    for line in range(start, end):
        if not state.isEmpty(line) and state.sCount[line] < state.blkIndent:
            return end
        text = _line(state, line)
        depth += bool(_DETAILS.fullmatch(text))
        depth -= text.strip().lower() == "</details>"
        if depth == 0:
            return line
    return end


def _push_details(state: StateBlock, summary: str, lines: tuple[int, int, int]) -> None:
    start, body, last = lines
    state.push("details_open", "details", 1).map = [start, last + 1]
    state.push("summary_open", "summary", 1)
    words = state.push("inline", "", 0)
    words.content, words.map, words.children = summary, [start, body], []
    state.push("summary_close", "summary", -1)
    kept = state.parentType, state.lineMax
    state.parentType, state.lineMax = "blockquote", last
    state.md.block.tokenize(state, body, last)
    state.parentType, state.lineMax = kept
    state.push("details_close", "details", -1)
    state.line = last + 1


def _math_inline(state: StateInline, silent: bool) -> bool:
    text = state.src
    if text.startswith("\\(", state.pos):
        found = _ROUND.match(text, state.pos, state.posMax)
    elif text.startswith("$", state.pos):
        found = _FORMULA.match(text, state.pos, state.posMax)
        found = found if found and _FORMULA_SIGN.search(found[1]) else None
    else:
        return False
    if found is None or not found[1].strip():
        return False
    if not silent:
        state.push("math_inline", "", 0).content = found[1].strip()
    state.pos = found.end()
    return True

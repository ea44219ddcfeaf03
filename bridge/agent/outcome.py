"""How a turn may end, and what it may use until then."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bridge.agent.tool import Tool
from bridge.conversation import Block


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a turn ended: `answer` (text), `handed_over` (terminal tools) or `refused` (why)."""

    kind: str
    text: str = ""
    cut: bool = False  # its budget ended it: the answer is a partial one
    by: str = ""  # the other model that was asked for part of it
    summary: str = ""  # of the text, when whoever wrote it gave one
    metrics: Mapping[str, float] = field(default_factory=dict)  # counted by plain Python


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a turn may use; checked before each call."""

    calls_max: int = 8
    max_tokens: int = 1_500
    effort: str = ""


def answered_by(
    tools: Mapping[str, Tool], uses: Sequence[Block], results: Sequence[Block]
) -> Outcome | None:
    """The answer that a call of a reply gave, if none of its calls failed."""
    if any(block.get("is_error") for block in results):
        return None
    for use in uses:
        tool = tools.get(str(use["name"]))
        if tool is not None and tool.answers is not None:
            text, summary = tool.answers(use["input"])
            return Outcome(kind="answer", text=text, summary=summary)
    return None


def ended_by(
    tools: Mapping[str, Tool], uses: Sequence[Block], results: Sequence[Block]
) -> Outcome | None:
    """How calls that were all kept at once end the turn; None when it goes on."""
    failed = any(block.get("is_error") for block in results)
    if not failed and all(tools[str(use["name"])].terminal for use in uses):
        return Outcome(kind="handed_over")
    return answered_by(tools, uses, results)

"""How long a text of 4 KB takes to become a message, in both looks, beside parsing it alone.

The control is markdown-it with the same rules, asked in turn with ours, so that all three see the
same machine. The texts are those of tests/telegram/answers, joined until they are long enough.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.figures import row, seconds
from bridge.telegram.render import render
from bridge.telegram.rich import rich_html
from bridge.telegram.syntax import parser

CHARS = 4_096
ROUNDS = 20
GOAL_S = 0.055  # what a render once a second, of every chat that streams, may take
ANSWERS = Path(__file__).parent.parent / "tests" / "telegram" / "answers"


async def looks() -> list[dict[str, Any]]:
    """Seconds for 4 KB: text with entities, and Rich HTML."""
    texts = _texts()
    ways: dict[str, Callable[[str], object]] = {
        "parse": parser().parse,
        "entities": render,
        "rich": rich_html,
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for text in texts * ROUNDS:
        for name, make in ways.items():
            started = time.perf_counter()
            make(text)
            times[name].append(time.perf_counter() - started)
    control = seconds(times.pop("parse"))
    return [
        row(
            f"{name} of 4 KB",
            found := seconds(taken),
            f"p50 ≤ {GOAL_S} s",
            met=found["p50_s"] <= GOAL_S,
            control={"markdown-it, parsing only": control},
        )
        for name, taken in times.items()
    ]


def _texts() -> list[str]:
    """Answers joined to texts of 4 KB."""
    joined = "\n\n".join(path.read_text(encoding="utf-8") for path in sorted(ANSWERS.glob("*.md")))
    return [joined[at : at + CHARS] for at in range(0, len(joined) - CHARS, CHARS)]

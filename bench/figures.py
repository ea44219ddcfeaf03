"""How a figure is written down: what, how many, medians and tails, its goal and its control."""

import statistics
from collections.abc import Sequence
from typing import Any


def seconds(values: Sequence[float]) -> dict[str, Any]:
    """Median and tails of some durations, in seconds."""
    ordered = sorted(values)
    return {
        "n": len(ordered),
        "p50_s": round(statistics.median(ordered), 4),
        "p99_s": round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))], 4),
        "max_s": round(ordered[-1], 4),
    }


def row(figure: str, value: Any, goal: Any, *, met: bool, control: Any = None) -> dict[str, Any]:
    """One line of the result."""
    found = {"figure": figure, "value": value, "goal": goal, "met": met}
    return {**found, "control": control} if control is not None else found

"""Where and how often the programs of a campaign die by themselves."""

import json
from pathlib import Path
from typing import Any, Final

# Chance of a death at each hit: about as many deaths at each point.
CHANCES: Final = {
    "after_claim": 0.08,
    "after_llm": 0.03,
    "after_step": 0.03,
    "in_tool": 0.06,
    "after_finish": 0.08,
    "before_inbox": 0.04,
    "after_inbox": 0.04,
    "after_enqueue": 0.1,
    "before_send": 0.03,
    "after_send": 0.03,
    "after_first_words": 0.2,
    "while_streaming": 0.1,
    "in_commit": 0.004,
    "after_commit": 0.004,
}
FREEZES: Final = ("after_claim", "after_llm", "after_step", "in_tool")
FREEZE_CHANCE: Final = 0.003


def write_plan(folder: Path, *, seed: int, freeze_chance: float) -> Path:
    """The orders for every failpoint as failpoints.py reads them; hits go into `folder/hits`."""
    points: dict[str, list[dict[str, Any]]] = {
        point: [{"do": "kill", "chance": chance}] for point, chance in CHANCES.items()
    }
    for point in FREEZES:
        points[point].append({"do": "stop", "chance": freeze_chance})
    path = folder / "plan.json"
    path.write_text(
        json.dumps({"journal": str(folder / "hits"), "seed": str(seed), "points": points})
    )
    return path

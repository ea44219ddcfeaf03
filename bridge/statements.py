"""The named statements of sql/, read once."""

import re
from functools import cache
from pathlib import Path


@cache
def statements() -> dict[str, str]:
    """Every named statement of sql/: `-- name: claim_job`, a line of prose, the statement."""
    found: dict[str, str] = {}
    for item in (Path(__file__).parent / "sql").iterdir():
        if not item.name.endswith(".sql"):
            continue
        parts = re.split(r"^-- name: (\w+)\s*$", item.read_text(encoding="utf-8"), flags=re.M)
        for name, body in zip(parts[1::2], parts[2::2], strict=True):
            assert name not in found, f"two statements are named {name}"
            found[name] = body.strip()
    return found

"""What a server says of itself: its version and its tools, and the sum an owner approves it by.

What was approved is kept in a file named by that sum, so a job knows its tools without starting a
server, and a file that was touched is not used.
"""

import hashlib
import json
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bridge.mcp.schema import readable, tidied

DESCRIPTION_CHARS_MAX: Final = 1_000
TOOLS_MAX: Final = 200
_NAME: Final = re.compile(r"[A-Za-z0-9_./-]{1,128}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """One tool as a model may be shown it: in length, and without marks of ours."""

    name: str
    description: str
    schema: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Offer:
    """All that reaches a model, in one spelling."""

    raw: bytes

    @classmethod
    def of(cls, info: Any, tools: list[Any]) -> "Offer":
        """From the words of a server; which version it is counts too."""
        info = info if isinstance(info, dict) else {}
        told = {
            "server": [str(info.get("name", "")), str(info.get("version", ""))],
            "tools": sorted((_told(tool) for tool in tools[:TOOLS_MAX]), key=json.dumps),
        }
        return cls(json.dumps(told, sort_keys=True).encode("ascii"))

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.raw).hexdigest()

    @property
    def version(self) -> str:
        """Its name and version."""
        return readable(" ".join(json.loads(self.raw)["server"]), 100)

    @property
    def tools(self) -> dict[str, Offered]:
        """By name; one whose name cannot be used is left out."""
        found = {}
        for name, description, schema in json.loads(self.raw)["tools"]:
            if isinstance(name, str) and _NAME.fullmatch(name):
                text = readable(str(description or ""), DESCRIPTION_CHARS_MAX)
                found[name] = Offered(name=name, description=text, schema=tidied(schema))
        return found


def kept(folder: Path, sha256: str) -> Offer | None:
    """What was kept with this sum, if it is still that."""
    try:
        offer = Offer((folder / f"{sha256}.json").read_bytes())
    except OSError:
        return None
    return offer if offer.sha256 == sha256 else None


def keep(folder: Path, offer: Offer) -> None:
    """Keep it for the next job; where that is not possible it is asked for again."""
    with suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = folder / f"{offer.sha256}.{os.getpid()}"
        draft.write_bytes(offer.raw)
        draft.replace(folder / f"{offer.sha256}.json")


def _told(tool: Any) -> list[Any]:
    tool = tool if isinstance(tool, dict) else {}
    return [tool.get("name"), tool.get("description"), tool.get("inputSchema")]

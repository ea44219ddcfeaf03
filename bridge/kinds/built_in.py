"""The kinds every KITT has, and when to take which: the words its main agent chooses by,
few because they go along with every request.

Each has a module of its own, which is loaded with the first job of that kind.
"""

from typing import Final

BUILT_IN: Final = {
    "research": "find out, with sources",
    "data-processing": "calculate with files",
    "report-generation": "write a document",
    "api-integration": "use a web API",
    "browser": "operate a site",
    "code": "run programs",
}


def module_of(name: str) -> str:
    """Where a built-in kind is defined."""
    return f"bridge.kinds.{name.replace('-', '_')}"

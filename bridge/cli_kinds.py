"""Kinds of jobs on the command line: what one makes of what was given; `kitt queue kinds`."""

import argparse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

from bridge.cli_shell import say
from bridge.errors import KindRefused
from bridge.kinds.kind import Kind
from bridge.kinds.payload import checked, fields_of, request_of, takes
from bridge.kinds.registry import Broken, Kinds
from bridge.settings import Settings


def fitted(
    kinds: Kinds, given: Mapping[str, Any], data: str | None, called: Callable[[str], str]
) -> dict[str, Any]:
    """What was given, with what its kind says where nobody said anything.

    `called` is how the user knows a field. Raises: KindRefused when the data does not fit.
    """
    filled = dict(given)
    kind = kinds.find(str(given["kind"])) if "kind" in given else None
    if kind is None:
        return filled
    try:
        payload = checked(kind, data)
    except KindRefused as error:
        raise KindRefused(f"{called('data')}: {error}") from None
    if not filled.get("prompt"):
        handled = kind.description if kind.handler else ""
        filled["prompt"] = request_of(kind, payload) if payload is not None else handled
    filled.setdefault("priority", kind.priority)
    return filled


def show_kinds(arguments: argparse.Namespace) -> int:
    """Every kind with its fields; the broken ones with what is wrong."""
    kinds = Kinds(Settings.load().profile)
    found = list(kinds.all())
    say(
        arguments,
        [_data(kinds, kind) for kind in found],
        "\n".join(line for kind in found for line in _lines(kinds, kind)),
    )
    return 0


def _data(kinds: Kinds, kind: Kind | Broken) -> dict[str, Any]:
    if isinstance(kind, Broken):
        return {"name": kind.name, "source": kind.source, "broken": kind.reason}
    return {
        "name": kind.name,
        "description": kind.description,
        "source": kinds.source(kind.name),
        "runs": "agent" if kind.handler is None else "python",
        "fields": [asdict(field) for field in fields_of(kind)],
        "priority": kind.priority,
        "tools": None if kind.tools is None else sorted(kind.tools),
        "budget": asdict(kind.budget),
    }


def _lines(kinds: Kinds, kind: Kind | Broken) -> Iterator[str]:
    if isinstance(kind, Broken):
        yield f"{kind.name:<18} ! {kind.source} cannot be used: {kind.reason}."
        return
    where = kinds.source(kind.name)
    yield f"{kind.name:<18} {kind.description}" + ("" if where == "built in" else f" ({where})")
    if fields := takes(kind).removeprefix(f"kind {kind.name} takes ").removesuffix("."):
        yield f"{'':<18} {fields}"

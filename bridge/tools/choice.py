"""The parameters by which a model chooses a kind of job and gives its data."""

from collections.abc import Sequence
from typing import Any

from bridge.agent.tool import Input, ToolFailed
from bridge.kinds.built_in import BUILT_IN
from bridge.kinds.kind import Kind
from bridge.kinds.payload import checked, given_in, takes


def choice_of_kinds(kinds: Sequence[Kind]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The parameter `kind`, and `data` when one of these takes any; the built-in ones are there."""
    words = {**BUILT_IN, **{kind.name: kind.description for kind in kinds}}
    described = "; ".join(f"{name}: {said}" for name, said in words.items())
    choice = {"type": "string", "enum": [*words, "other"], "description": described}
    typed = [takes(kind) for kind in kinds if kind.payload is not None]
    if not typed:
        return choice, {}
    said = f"JSON object, for these only: {' '.join(typed)}"
    return choice, {"data": {"type": "string", "description": said}}


def data_for(kind: Kind | None, given: Input) -> dict[str, Any] | None:
    """The data for a kind, if it fits. Raises: KindRefused, ToolFailed."""
    data = str(given.get("data", "")).strip() or None
    if kind is None or kind.payload is None:
        if data is not None:
            raise ToolFailed(f"{given['kind']} takes no data: put it into the instructions.")
        return None
    return None if checked(kind, data) is None else given_in(data)

"""What a tool is: its words for the model, its schema, and how it acts.

A tool that only changes the database acts in the transaction that stores the model's message
(`commit`), so that both happen or neither. Any other tool acts between two commits (`run`); its
class says what a crash in the middle means: `pure` and `idempotent` tools run again, a `once` tool
does not, and the model is told that its effect is unknown.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from bridge.errors import KittError
from bridge.store import Tx

Input = dict[str, Any]
_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "array": list,
}


class ToolFailed(KittError):
    """The tool could not do it; the message goes to the model as the result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """One tool. `properties` is JSON Schema, flat; all are required but the `optional` ones.

    `schema` is instead of them, for a tool of others, who look at what they are given themselves.
    """

    name: str
    description: str
    properties: dict[str, dict[str, Any]] = field(default_factory=dict)
    schema: dict[str, Any] | None = None
    commit: Callable[[Tx, Input], str] | None = None
    run: Callable[[Input], Awaitable[str]] | None = None
    # Before it begins; raises ToolFailed, or JobWaits as long as its user has not allowed it.
    allow: Callable[[Input], Awaitable[None]] | None = None
    repeat: Literal["pure", "idempotent", "once"] = "idempotent"
    optional: tuple[str, ...] = ()
    parallel: bool = False  # may run at the same time as others that may
    terminal: bool = False  # when only such tools were called, the turn is over
    answers: Callable[[Input], tuple[str, str]] | None = (
        None  # its call is the answer: text, summary
    )

    def to_api(self) -> dict[str, Any]:
        """As the Messages API takes it."""
        if self.schema is not None:
            told = {"name": self.name, "description": self.description}
            return {**told, "input_schema": self.schema}
        return {
            "name": self.name,
            "description": self.description,
            "strict": True,
            "input_schema": {
                "type": "object",
                "additionalProperties": False,
                "required": [name for name in self.properties if name not in self.optional],
                "properties": self.properties,
            },
        }

    def check(self, given: object) -> Input:
        """The input, if it fits. Raises: ToolFailed with what is wrong, for the model to mend."""
        if not isinstance(given, dict):
            raise ToolFailed("The input must be a JSON object.")
        for name, rule in self.properties.items():
            if name not in given and name in self.optional:
                continue
            if name not in given:
                raise ToolFailed(f"{name} is missing.")
            value = given[name]
            kind = str(rule["type"])
            if not isinstance(value, _TYPES[kind]) or (
                kind != "boolean" and value in (True, False) and isinstance(value, bool)
            ):
                raise ToolFailed(f"{name} must be of type {kind}.")
            if "enum" in rule and value not in rule["enum"]:
                raise ToolFailed(f"{name} must be one of {', '.join(rule['enum'])}.")
        return given


def result_block(tool_use_id: str, text: str, *, is_error: bool = False) -> dict[str, Any]:
    """A tool's result as a block of the next user message."""
    block: dict[str, Any] = {"type": "tool_result", "tool_use_id": tool_use_id, "content": text}
    if is_error:
        block["is_error"] = True
    return block

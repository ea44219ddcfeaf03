"""What others write about the input of their tools, as a model provider takes it.

One tool with a schema that the provider does not understand would have every request refused. So
only what is known here is handed on, and what is referred to stands in its place. The server looks
at what it is given itself, so a rule that is lost on the way is only found later.
"""

import json
import re
from math import isfinite
from typing import Any, Final

from bridge.conversation import without_tags

DEPTH_MAX: Final = 8
PARTS_MAX: Final = 300
CHARS_MAX: Final = 20_000
TEXT_CHARS_MAX: Final = 500
TYPES: Final = frozenset({"string", "integer", "number", "boolean", "array", "object", "null"})
_PROPERTY: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def tidied(schema: Any) -> dict[str, Any]:
    """A schema of an object, whatever was given; one that is too long says nothing."""
    made = _Tidying(schema).part(schema, 0)
    if len(json.dumps(made)) > CHARS_MAX:
        made = {}
    return {**made, "type": "object", "properties": made.get("properties", {})}


class _Tidying:
    def __init__(self, whole: Any) -> None:
        self._whole = whole
        self._parts = 0

    def part(self, schema: Any, depth: int) -> dict[str, Any]:
        """One schema in it; {} (anything) for what is not understood or lies too deep."""
        self._parts += 1
        schema = self._referred(schema)
        if not isinstance(schema, dict) or depth > DEPTH_MAX or self._parts > PARTS_MAX:
            return {}
        made: dict[str, Any] = {}
        if _is_type(schema.get("type")):
            made["type"] = schema["type"]
        if isinstance(schema.get("description"), str):
            made["description"] = readable(schema["description"], TEXT_CHARS_MAX)
        values = schema.get("enum", [schema["const"]] if "const" in schema else None)
        if isinstance(values, list) and any(map(_is_plain, values)):
            made["enum"] = [_plain(value) for value in values[:PARTS_MAX] if _is_plain(value)]
        if isinstance(schema.get("items"), dict):
            made["items"] = self.part(schema["items"], depth + 1)
        self._properties(schema, made, depth)
        choices = schema.get("anyOf", schema.get("oneOf"))
        if isinstance(choices, list) and choices and depth > 0:
            made["anyOf"] = [self.part(choice, depth + 1) for choice in choices[:PARTS_MAX]]
        return made

    def _properties(self, schema: dict[str, Any], made: dict[str, Any], depth: int) -> None:
        properties = schema.get("properties")
        if not isinstance(properties, dict):
            return
        made["properties"] = {
            name: self.part(inner, depth + 1)
            for name, inner in list(properties.items())[:PARTS_MAX]
            if _PROPERTY.fullmatch(name)
        }
        required = schema.get("required")
        if isinstance(required, list):
            needed = dict.fromkeys(name for name in required if isinstance(name, str))
            made["required"] = [name for name in needed if name in made["properties"]]

    def _referred(self, schema: Any) -> Any:
        """What stands at the place that a `$ref` names, inside the same schema."""
        for _ in range(DEPTH_MAX):
            if not isinstance(schema, dict) or not isinstance(schema.get("$ref"), str):
                return schema
            found = self._whole
            for step in schema["$ref"].removeprefix("#").split("/")[1:]:
                found = found.get(step) if isinstance(found, dict) else None
            schema = found
        return None


def _is_type(kind: Any) -> bool:
    kinds = kind if isinstance(kind, list) else [kind]
    return bool(kinds) and all(isinstance(one, str) and one in TYPES for one in kinds)


def _is_plain(value: Any) -> bool:
    finite = not isinstance(value, float) or isfinite(value)
    return finite and (value is None or isinstance(value, str | int | float))


def _plain(value: Any) -> Any:
    return readable(value, TEXT_CHARS_MAX) if isinstance(value, str) else value


def readable(text: str, chars_max: int) -> str:
    """Their words without signs that a person does not see, and without marks of ours."""
    seen = "".join(sign if sign.isprintable() or sign == "\n" else " " for sign in text)
    return without_tags(seen)[:chars_max]

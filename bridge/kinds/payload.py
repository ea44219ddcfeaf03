"""The data of a job against the payload of its kind; what is wrong, in one sentence.

The files of a person travel in the same JSON under a name of their own, and are no part of it.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bridge.errors import KindRefused
from bridge.kinds.kind import Kind
from bridge.models import clean_text, short
from bridge.received import DATA_KEY

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic_core import ErrorDetails

PROBLEMS_NAMED: Final = 3
REQUEST_CHARS_MAX: Final = 2_000
WORDS: Final = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "array": "list",
    "object": "object",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of a payload, for people. `takes` is what it may be: "1 to 3"."""

    name: str
    takes: str
    required: bool
    default: Any = None
    description: str = ""


def given_in(data: str | None) -> Any:
    """What somebody gave with a job, without the files; None for nothing at all."""
    given = json.loads(data or "null")
    if not isinstance(given, dict) or DATA_KEY not in given:
        return given
    return {name: value for name, value in given.items() if name != DATA_KEY} or None


def checked(kind: Kind, data: str | None) -> "BaseModel | None":
    """The payload of a job, or None when it has none. Raises: KindRefused.

    The agent can work from a prompt alone; a handler needs what its kind asks for.
    """
    try:
        given = given_in(data)
    except (ValueError, RecursionError):
        raise KindRefused("its data is no JSON; " + takes(kind)) from None
    if kind.payload is None or (given is None and kind.handler is None):
        return None
    if given is not None and not isinstance(given, dict):
        raise KindRefused("it must be a JSON object; " + takes(kind))
    from pydantic import ValidationError

    try:
        return kind.payload.model_validate_json(json.dumps(given or {}), extra="forbid")
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        problems = [_problem(one) for one in found[:PROBLEMS_NAMED]]
        raise KindRefused(f"{', '.join(problems)}; {takes(kind)}") from None


def shown(data: str | None, payload: "BaseModel | None") -> str:
    """The data as the agent is shown it: with the values that nobody gave; "" for none."""
    if payload is not None:
        return payload.model_dump_json()
    try:
        given = given_in(data)
    except (ValueError, RecursionError):
        return data or ""
    same = DATA_KEY not in (data or "")
    return "" if given is None else (data or "") if same else json.dumps(given, ensure_ascii=False)


def request_of(kind: Kind, payload: "BaseModel") -> str:
    """What is asked when only data was given."""
    given = payload.model_dump()
    try:
        asked = kind.request.format_map(given)
    except (LookupError, ValueError, AttributeError):
        asked = ""
    return clean_text(asked).strip()[:REQUEST_CHARS_MAX] or short(
        f"{kind.name}: {payload.model_dump_json()}", 300
    )


def takes(kind: Kind) -> str:
    """Its fields as a sentence: "kind research takes topic (text), depth (1 to 3; else 2)."."""
    said = [_field_words(field) for field in fields_of(kind)]
    return f"kind {kind.name} takes {', '.join(said) or 'no data'}."


def fields_of(kind: Kind) -> list[Field]:
    """The fields of its payload, in their order."""
    if kind.payload is None:
        return []
    schema = kind.payload.model_json_schema()
    required = schema.get("required", [])
    return [
        Field(
            name=name,
            takes=_takes(rule, schema.get("$defs", {})),
            required=name in required,
            default=rule.get("default"),
            description=str(rule.get("description", "")),
        )
        for name, rule in schema.get("properties", {}).items()
    ]


def _field_words(field: Field) -> str:
    if field.required:
        return f"{field.name} ({field.takes})"
    else_words = "optional" if field.default in (None, "", [], {}) else f"else {field.default}"
    return f"{field.name} ({field.takes}; {else_words})"


def _takes(rule: Mapping[str, Any], defs: Mapping[str, Any]) -> str:
    if "$ref" in rule:
        return _takes(defs.get(str(rule["$ref"]).rpartition("/")[2], {}), {})
    if "enum" in rule:
        return " or ".join(map(str, rule["enum"]))
    if "const" in rule:
        return str(rule["const"])
    if "anyOf" in rule:
        some = [_takes(one, defs) for one in rule["anyOf"] if one.get("type") != "null"]
        return " or ".join(dict.fromkeys(some))
    low, high = rule.get("minimum"), rule.get("maximum")
    if low is not None and high is not None:
        return f"{low} to {high}"
    word = WORDS.get(str(rule.get("type")), "anything")
    if word == "list" and rule.get("items"):
        word = f"list of {_takes(rule['items'], defs)}"
    return word + "".join(_bounds(low, high))


def _bounds(low: Any, high: Any) -> Iterator[str]:
    if low is not None:
        yield f" from {low}"
    if high is not None:
        yield f" up to {high}"


def _problem(error: "ErrorDetails") -> str:
    """One thing that is wrong, with the name of its field and nothing of its value."""
    name = ".".join(map(str, error["loc"])) or "it"
    kind, about = error["type"], error.get("ctx", {})
    sentences = {
        "missing": "is missing",
        "extra_forbidden": "is not known",
        "string_type": "must be text",
        "list_type": "must be a list",
        "greater_than_equal": f"must be at least {about.get('ge')}",
        "greater_than": f"must be more than {about.get('gt')}",
        "less_than": f"must be less than {about.get('lt')}",
        "less_than_equal": f"must be at most {about.get('le')}",
        "string_too_short": "is empty" if about.get("min_length") == 1 else "is too short",
        "string_too_long": f"has more than {about.get('max_length')} characters",
        "literal_error": f"must be one of {about.get('expected')}",
    }
    if kind.startswith("int_"):
        return f"{name} must be a whole number"
    if kind.startswith("float_"):
        return f"{name} must be a number"
    if kind.startswith("bool_"):
        return f"{name} must be true or false"
    return f"{name} {sentences[kind]}" if kind in sentences else f"{name}: {error['msg']}"

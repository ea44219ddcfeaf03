"""What the Messages API refuses about a request's fields and tools.

`check` raises `Refused` with the status, error type and sentence the real API would answer;
a request it lets through can be rendered without further questions. Messages and the pairing of
tool calls are `claude_messages`, signatures `claude_prompt`. Sentences are the API's own where
they are known, because clients are known to read them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any

from bridge.emulator.claude_models import EFFORTS, MODELS, THINKING_TYPES, Model

Json = dict[str, Any]

TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
CACHE_MARKS_MAX = 4
THINKING_BUDGET_MIN = 1024
SAMPLING = ("temperature", "top_p", "top_k")

FIELDS: dict[str, type | tuple[type, ...]] = {
    "model": str,
    "messages": list,
    "max_tokens": int,
    "cache_control": dict,
    "container": (str, dict),
    "diagnostics": dict,
    "inference_geo": str,
    "metadata": dict,
    "output_config": dict,
    "service_tier": str,
    "speed": str,
    "stop_sequences": list,
    "stream": bool,
    "system": (str, list),
    "thinking": dict,
    "tool_choice": dict,
    "tools": list,
}
NULLABLE = {"cache_control", "container", "diagnostics", "inference_geo", "speed"}
COUNTED = {
    *("model", "messages", "cache_control", "output_config", "speed", "system"),
    *("thinking", "tool_choice", "tools"),
}
# With its beta header the API takes these; the emulator does not, and says so.
BETA_FIELDS = {
    "compaction": "compact-2026-09-04",
    "context_management": "context-management-2025-06-27",
    "mcp_servers": "mcp-client-2025-11-20",
    "thread": "message-threads-2026-08-12",
}

CUSTOM_TOOL = {
    *("type", "name", "description", "input_schema", "cache_control", "strict"),
    *("input_examples", "eager_input_streaming", "defer_loading", "allowed_callers"),
}
SERVER_TOOL_COMMON = {
    *("type", "name", "cache_control", "allowed_callers", "defer_loading", "strict", "max_uses"),
    *("allowed_domains", "blocked_domains", "response_inclusion"),
}
SERVER_TOOLS = {
    "web_search_20260318": ("web_search", {*SERVER_TOOL_COMMON, "user_location"}),
    "web_fetch_20260318": (
        "web_fetch",
        {*SERVER_TOOL_COMMON, "citations", "max_content_tokens", "url_sources", "use_cache"},
    ),
}
# What a strict schema may not constrain, by JSON type.
NOT_STRICT = {
    "integer": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"},
    "number": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"},
    "string": {"minLength", "maxLength"},
    "array": {"maxItems", "uniqueItems"},
    "object": {"minProperties", "maxProperties", "patternProperties"},
}
TYPE_WORDS = {
    str: "string",
    list: "list",
    dict: "dictionary",
    int: "integer",
    bool: "boolean",
}


class Refused(Exception):
    """The API's refusal of a request.

    Attributes:
        status: the HTTP status.
        kind: the API's error type, such as `invalid_request_error`.
    """

    def __init__(
        self, message: str, *, status: int = 400, kind: str = "invalid_request_error"
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind


def check(body: Json, *, betas: Collection[str] = (), counting: bool = False) -> Model:
    """Refuse what the API refuses about every field but the messages; return the model.

    `betas`: values of the `anthropic-beta` header. `counting`: the request is for count_tokens,
    which takes fewer fields.

    Raises:
        Refused: with the API's status and sentence.
    """
    _fields(body, betas, counting)
    model = MODELS.get(body["model"])
    if model is None:
        raise Refused(f"model: {body['model']}", status=404, kind="not_found_error")
    if not counting:
        _max_tokens(body["max_tokens"], model)
        _stop_sequences(body.get("stop_sequences") or [])
        _known(body.get("metadata") or {}, {"user_id"}, "metadata")
    effort = _output_config(body.get("output_config") or {})
    _thinking(body, model, effort)
    _tools(body.get("tools") or [])
    _tool_choice(body, model)
    return model


def _fields(body: Json, betas: Collection[str], counting: bool) -> None:
    for name in SAMPLING:
        if name in body:
            raise Refused(f"{name}: `{name}` is not supported on this version of the API.")
    for name in BETA_FIELDS.keys() & body.keys():
        if BETA_FIELDS[name] in betas:
            raise Refused(f"{name}: the emulator does not speak this beta.")
    _known(body, COUNTED if counting else FIELDS.keys(), "")
    for name in ("model", "messages") if counting else ("model", "messages", "max_tokens"):
        if name not in body:
            raise Refused(f"{name}: Field required")
    for name, value in body.items():
        if not (value is None and name in NULLABLE):
            expect(value, FIELDS[name], name)


def _max_tokens(value: int, model: Model) -> None:
    if value < 0:
        raise Refused("max_tokens: Input should be greater than or equal to 0")
    if value > model.max_tokens:
        raise Refused(
            f"max_tokens: {value} > {model.max_tokens}, which is the maximum allowed number of "
            f"output tokens for {model.id}"
        )


def _stop_sequences(values: list[Any]) -> None:
    for at, value in enumerate(values):
        expect(value, str, f"stop_sequences.{at}")
        if not value.strip():
            raise Refused("stop_sequences: each stop sequence must contain non-whitespace")


def _output_config(config: Json) -> str | None:
    _known(config, {"effort", "format"}, "output_config")
    effort = config.get("effort")
    if effort is not None and effort not in EFFORTS:
        raise Refused(f"output_config.effort: Input should be {_either(EFFORTS)}")
    shape = config.get("format")
    if shape is not None:
        expect(shape, dict, "output_config.format")
        if shape.get("type") != "json_schema":
            raise Refused("output_config.format.type: Input should be 'json_schema'")
        expect(shape.get("schema"), dict, "output_config.format.schema")
        _strict_schema(shape["schema"], "output_config.format.schema")
    return effort


def _thinking(body: Json, model: Model, effort: str | None) -> None:
    thinking = body.get("thinking")
    if thinking is None:
        return
    kind = thinking.get("type")
    if kind not in THINKING_TYPES:
        raise Refused(
            f"thinking: Input tag '{kind}' found using 'type' does not match any of the expected "
            f"tags: {', '.join(repr(t) for t in THINKING_TYPES)}"
        )
    allowed = {"enabled": {"type", "budget_tokens", "display"}, "adaptive": {"type", "display"}}
    _known(thinking, allowed.get(kind, {"type"}), f"thinking.{kind}")
    if thinking.get("display") not in (None, "summarized", "omitted"):
        raise Refused(f"thinking.{kind}.display: Input should be 'summarized' or 'omitted'")
    if kind not in model.thinking:
        raise Refused(
            f'"thinking.type.{kind}" is not supported for this model. '
            f"Supported: {', '.join(model.thinking)}. Use `output_config.effort` to control "
            "how much the model thinks."
        )
    if kind == "disabled" and model.id == "claude-haiku-5-5" and effort in ("xhigh", "max"):
        raise Refused(f"thinking: `disabled` cannot be combined with effort `{effort}`.")
    if kind == "enabled":
        _budget(thinking.get("budget_tokens"), body.get("max_tokens"))


def _budget(budget: Any, max_tokens: int | None) -> None:
    expect(budget, int, "thinking.enabled.budget_tokens")
    if budget < THINKING_BUDGET_MIN:
        raise Refused(
            "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024"
        )
    if max_tokens is not None and budget >= max_tokens:
        raise Refused("`max_tokens` must be greater than `thinking.budget_tokens`.")


def _tools(tools: list[Any]) -> None:
    names: set[str] = set()
    for at, tool in enumerate(tools):
        expect(tool, dict, f"tools.{at}")
        kind = tool.get("type") or "custom"
        if kind == "custom":
            _custom_tool(tool, f"tools.{at}.custom")
        elif kind in SERVER_TOOLS:
            _server_tool(tool, kind, f"tools.{at}.{kind}")
        else:
            tags = ", ".join(repr(tag) for tag in ("custom", *SERVER_TOOLS))
            raise Refused(
                f"tools.{at}: Input tag '{kind}' found using 'type' does not match any of the "
                f"expected tags: {tags}"
            )
        if tool["name"] in names:
            raise Refused("tools: Tool names must be unique.")
        names.add(tool["name"])


def _custom_tool(tool: Json, where: str) -> None:
    _known(tool, CUSTOM_TOOL, where)
    for name in ("name", "input_schema"):
        if name not in tool:
            raise Refused(f"{where}.{name}: Field required")
    expect(tool["name"], str, f"{where}.name")
    if not TOOL_NAME.fullmatch(tool["name"]):
        raise Refused(f"{where}.name: String should match pattern '^{TOOL_NAME.pattern}$'")
    expect(tool.get("description", ""), str, f"{where}.description")
    expect(tool["input_schema"], dict, f"{where}.input_schema")
    if tool["input_schema"].get("type") != "object":
        raise Refused(f"{where}.input_schema.type: Input should be 'object'")
    if tool.get("strict"):
        _strict_schema(tool["input_schema"], where)


def _server_tool(tool: Json, kind: str, where: str) -> None:
    name, fields = SERVER_TOOLS[kind]
    _known(tool, fields, where)
    if tool.get("name") != name:
        raise Refused(f"{where}.name: Input should be '{name}'")
    if tool.get("allowed_domains") and tool.get("blocked_domains"):
        raise Refused(f"{where}: Cannot specify both allowed_domains and blocked_domains.")
    if tool.get("max_uses") is not None:
        expect(tool["max_uses"], int, f"{where}.max_uses")
        if tool["max_uses"] < 1:
            raise Refused(f"{where}.max_uses: Input should be greater than 0")


def _strict_schema(schema: Json, where: str) -> None:
    for part in _subschemas(schema):
        kind = part.get("type")
        if kind == "object":
            if part.get("additionalProperties") is not False:
                raise Refused(
                    f"{where}: For 'object' type, 'additionalProperties' must be explicitly set "
                    "to false"
                )
            if part.get("properties") and not isinstance(part.get("required"), list):
                raise Refused(f"{where}: For 'object' type, 'required' must be given")
        unknown = NOT_STRICT.get(str(kind), set()) & part.keys()
        if unknown:
            raise Refused(
                f"{where}: For '{kind}' type, properties {', '.join(sorted(unknown))} are not "
                "supported"
            )


def _subschemas(schema: Any) -> Iterator[Json]:
    if isinstance(schema, dict):
        yield schema
        inner = [*(schema.get("properties") or {}).values(), schema.get("items")]
        inner += [*schema.get("anyOf", []), *(schema.get("$defs") or {}).values()]
        for part in inner:
            yield from _subschemas(part)


def _tool_choice(body: Json, model: Model) -> None:
    choice = body.get("tool_choice")
    if choice is None:
        return
    kind = choice.get("type")
    if kind not in ("auto", "any", "tool", "none"):
        raise Refused(
            f"tool_choice: Input tag '{kind}' found using 'type' does not match any of the "
            "expected tags: 'auto', 'any', 'tool', 'none'"
        )
    names = [tool["name"] for tool in body.get("tools") or []]
    if not names and kind != "none":
        raise Refused("tool_choice: `tool_choice` may only be specified while providing `tools`.")
    if kind not in ("any", "tool"):
        return
    if kind == "tool" and choice.get("name") not in names:
        raise Refused(f"tool_choice: Tool '{choice.get('name')}' not found in provided tools")
    if not model.forced_tools:
        raise Refused(f"tool_choice.type: '{kind}' is not supported on this model.")
    if (body.get("thinking") or {}).get("type") in ("adaptive", "enabled"):
        raise Refused("Thinking may not be enabled when tool_choice forces tool use.")


def expect(value: Any, kind: type | tuple[type, ...], where: str) -> None:
    """Refuse a value of another JSON type; true and false are no integers."""
    kinds = kind if isinstance(kind, tuple) else (kind,)
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise Refused(f"{where}: Input should be a valid {TYPE_WORDS[kinds[0]]}")


def _known(value: Json, names: Collection[str], where: str) -> None:
    for name in value:
        if name not in names:
            raise Refused(f"{where}{'.' if where else ''}{name}: Extra inputs are not permitted")


def _either(values: Collection[str]) -> str:
    *most, last = (repr(value) for value in values)
    return f"{', '.join(most)} or {last}"

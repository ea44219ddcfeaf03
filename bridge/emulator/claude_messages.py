"""What the Messages API refuses about the blocks of a request's messages and system prompt.

Each block by itself: its fields, who may send it, what it may hold; then the cache marks of the
whole request and the signatures of replayed thinking. The order of the conversation and the
pairing of tool calls are `claude_turns`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from bridge.emulator.claude_files import check_document, check_image
from bridge.emulator.claude_models import Model
from bridge.emulator.claude_prompt import Prompt, Signer, mark_of
from bridge.emulator.claude_rules import CACHE_MARKS_MAX, Refused, expect
from bridge.emulator.claude_turns import blocks_of, check_turns, turns_of

Json = dict[str, Any]

MESSAGES_MAX = 100_000
CALL_ID = re.compile(r"[a-zA-Z0-9_-]+")
SERVER_CALL_ID = re.compile(r"srvtoolu_[a-zA-Z0-9_]+")


@dataclass(frozen=True, slots=True)
class Shape:
    """The fields of a block type, and the roles that may send it."""

    roles: tuple[str, ...]
    required: dict[str, type | tuple[type, ...]]
    optional: tuple[str, ...] = ()


_USER = ("user",)
_MODEL = ("assistant",)
_CALL: dict[str, type | tuple[type, ...]] = {"id": str, "name": str, "input": dict}
_ANSWER: dict[str, type | tuple[type, ...]] = {"tool_use_id": str, "content": (list, dict)}
_TAIL = ("cache_control", "caller")

SHAPES = {
    "text": Shape(("user", "assistant", "system"), {"text": str}, ("cache_control", "citations")),
    "image": Shape(_USER, {"source": dict}, ("cache_control", "transformations")),
    "document": Shape(_USER, {"source": dict}, ("cache_control", "citations", "context", "title")),
    "search_result": Shape(
        _USER, {"content": list, "source": str, "title": str}, ("cache_control", "citations")
    ),
    "thinking": Shape(_MODEL, {"thinking": str, "signature": str}),
    "redacted_thinking": Shape(_MODEL, {"data": str}),
    "tool_use": Shape(_MODEL, _CALL, (*_TAIL, "toolset_name")),
    "tool_result": Shape(
        _USER,
        {"tool_use_id": str},
        ("cache_control", "content", "is_error", "toolset_name"),
    ),
    "server_tool_use": Shape(_MODEL, _CALL, _TAIL),
    "web_search_tool_result": Shape(_MODEL, _ANSWER, _TAIL),
    "web_fetch_tool_result": Shape(_MODEL, _ANSWER, _TAIL),
}
IN_RESULT = ("text", "image", "document", "search_result")


def check_messages(body: Json, model: Model) -> None:
    """Refuse messages the API refuses; a body that passes can be walked without checks.

    Raises:
        Refused: with the API's sentence, naming the place.
    """
    messages = body["messages"]
    if not messages:
        raise Refused("messages: at least one message is required")
    if len(messages) > MESSAGES_MAX:
        raise Refused(f"messages: at most {MESSAGES_MAX} messages are allowed")
    for at, message in enumerate(messages):
        _message(message, at, model)
    for at, block in enumerate(blocks_of(body.get("system") or [])):
        _block(block, f"system.{at}", "system")
    check_turns(messages)
    _marks(body)


def check_thinking(prompt: Prompt, model: Model, signer: Signer) -> None:
    """Refuse thinking blocks that were changed, or stand under a changed prefix.

    Raises:
        Refused: naming the block and, for a changed prefix, the part that differs.
    """
    for segment in prompt.segments:
        if segment.block.get("type") == "thinking":
            fault = signer.fault(segment, model=model.id, bound=model.binds_prefix)
            if fault:
                raise Refused(f"{segment.where}: {fault}")


def _message(message: Any, at: int, model: Model) -> None:
    where = f"messages.{at}"
    expect(message, dict, where)
    for name in message.keys() - {"role", "content"}:
        raise Refused(f"{where}.{name}: Extra inputs are not permitted")
    for name in ("role", "content"):
        if name not in message:
            raise Refused(f"{where}.{name}: Field required")
    role, content = message["role"], message["content"]
    if role not in ("user", "assistant", "system"):
        raise Refused(
            f'messages: Unexpected role "{role}". Allowed roles are "user" or "assistant".'
        )
    if role == "system" and not model.system_turns:
        raise Refused(f"{where}: role 'system' is not supported on this model")
    expect(content, (list, str), f"{where}.content")
    if not content:
        raise Refused(f"{where}: {role} messages must have non-empty content")
    for place, block in enumerate(blocks_of(content)):
        _block(block, f"{where}.content.{place}", role)


def _block(block: Any, where: str, role: str) -> None:
    expect(block, dict, where)
    kind = block.get("type")
    if kind not in SHAPES:
        tags = ", ".join(repr(tag) for tag in SHAPES)
        raise Refused(
            f"{where}: Input tag '{kind}' found using 'type' does not match any of the expected "
            f"tags: {tags}"
        )
    shape = SHAPES[kind]
    if role not in shape.roles:
        raise Refused(f"{where}: `{kind}` blocks are not permitted in `{role}` messages")
    for name, types in shape.required.items():
        if name not in block:
            raise Refused(f"{where}.{kind}.{name}: Field required")
        expect(block[name], types, f"{where}.{kind}.{name}")
    for name in block.keys() - shape.required.keys() - {"type", *shape.optional}:
        raise Refused(f"{where}.{kind}.{name}: Extra inputs are not permitted")
    _mark(block, f"{where}.{kind}")
    _content(block, kind, f"{where}.{kind}", role)


def _content(block: Json, kind: str, where: str, role: str) -> None:
    if kind == "text":
        _text(block, where, role)
    elif kind == "image":
        check_image(block["source"], f"{where}.source")
    elif kind == "document":
        check_document(block, where)
    elif kind in ("tool_use", "server_tool_use"):
        pattern = CALL_ID if kind == "tool_use" else SERVER_CALL_ID
        if not pattern.fullmatch(block["id"]):
            raise Refused(f"{where}.id: String should match pattern '^{pattern.pattern}$'")
    elif kind == "tool_result":
        expect(block.get("is_error") or False, bool, f"{where}.is_error")
        content = block.get("content") or []
        expect(content, (list, str), f"{where}.content")
        for at, inner in enumerate(content if isinstance(content, list) else []):
            if isinstance(inner, dict) and inner.get("type") not in IN_RESULT:
                tags = ", ".join(repr(tag) for tag in IN_RESULT)
                raise Refused(
                    f"{where}.content.{at}: Input tag '{inner.get('type')}' found using 'type' "
                    f"does not match any of the expected tags: {tags}"
                )
            _block(inner, f"{where}.content.{at}", "user")


def _text(block: Json, where: str, role: str) -> None:
    if not block["text"]:
        if block.get("cache_control"):
            raise Refused(f"{where}: cache_control cannot be set for empty text blocks")
        raise Refused(f"{where}: text content blocks must be non-empty")
    if not block["text"].strip():
        raise Refused(f"{where}: text content blocks must contain non-whitespace text")
    if role != "assistant" and block.get("citations"):
        raise Refused(f"{where}.citations: citations are only permitted in assistant messages")


def _mark(block: Json, where: str) -> None:
    mark = block.get("cache_control")
    if mark is None:
        return
    expect(mark, dict, f"{where}.cache_control")
    if mark.get("type") != "ephemeral":
        raise Refused(f"{where}.cache_control.type: Input should be 'ephemeral'")
    if mark.get("ttl", "5m") not in ("5m", "1h"):
        raise Refused(f"{where}.cache_control.ttl: Input should be '5m' or '1h'")


def _marks(body: Json) -> None:
    tools = [(f"tools.{at}", tool) for at, tool in enumerate(body.get("tools") or [])]
    for where, tool in tools:
        _mark(tool, where)
    system = list(enumerate(blocks_of(body.get("system") or [])))
    places = [*tools, *((f"system.{at}", block) for at, block in system)]
    for turn in turns_of(body["messages"]):
        places += turn.blocks
    marked = [(where, ttl) for where, block in places if (ttl := mark_of(block))]
    if body.get("cache_control"):
        _mark(body, "")
        marked.append(("", body["cache_control"].get("ttl") or "5m"))
    if len(marked) > CACHE_MARKS_MAX:
        raise Refused(
            f"A maximum of {CACHE_MARKS_MAX} blocks with cache_control may be provided. "
            f"Found {len(marked)}."
        )
    ttls = [ttl for _, ttl in marked]
    late = [where for at, (where, ttl) in enumerate(marked) if ttl == "1h" and "5m" in ttls[:at]]
    if late:
        raise Refused(
            f"{late[0]}.cache_control.ttl: a ttl='1h' cache_control block must not come after a "
            "ttl='5m' cache_control block. Note that blocks are processed in the following order: "
            "`tools`, `system`, `messages`."
        )

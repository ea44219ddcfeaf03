"""From a script's reply to the message and the SSE events the API would send.

`render` knows everything about the content of an answer and nothing about time or sockets: block
ids, signatures, usage, where `max_tokens` or a stop sequence cuts, and the order of events.
Blocks never interleave, a tool's input comes in several pieces of JSON, and usage in
`message_delta` is cumulative.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bridge.emulator.claude_faults import Outcome
from bridge.emulator.claude_models import Model
from bridge.emulator.claude_prompt import (
    CHARS_PER_TOKEN,
    Account,
    Digests,
    Prompt,
    Signer,
    wording,
)
from bridge.emulator.claude_turns import open_server_call
from bridge.emulator.script import Reply, Text, Thinking, ToolUse, searched

Json = dict[str, Any]
Wait = Literal["first", "delta"]

REFUSAL = {
    "type": "refusal",
    "category": "general_harms",
    "explanation": "The emulator was told to refuse this request.",
}
_ENCODE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
PAYLOADS = {"text": "text", "thinking": "thinking"}
DELTAS = ("text", "thinking", "partial_json")


class ScriptError(Exception):
    """The script answered something the model could not have said; a mistake in a test."""


@dataclass(frozen=True, slots=True)
class Event:
    """One SSE event, and before which wait of the reply it comes."""

    data: Json
    wait: Wait | None = None

    def wire(self) -> bytes:
        """The event as it goes over the wire, its name line included."""
        data = _ENCODE(self.data)
        return f"event: {self.data['type']}\ndata: {data}\n\n".encode()


@dataclass(frozen=True, slots=True)
class Rendered:
    """An answer: the whole message, and the events that tell it."""

    message: Json
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class _Piece:
    """A block as the caller will store it, and the text its deltas carry."""

    block: Json
    payload: str


def render(
    reply: Reply,
    body: Json,
    *,
    model: Model,
    prompt: Prompt,
    account: Account,
    signer: Signer,
    outcome: Outcome | None = None,
) -> Rendered:
    """The answer to a request that passed every rule.

    Raises:
        ScriptError: the reply calls a tool the request does not offer, or with a wrong input.
    """
    pieces, stop = _pieces(reply, body, model, outcome)
    shown = (body.get("thinking") or {}).get("display") == "summarized"
    thinking_chars = sum(len(p.payload) for p in pieces if p.block["type"] == "thinking")
    chars = sum(len(piece.payload) for piece in pieces)
    pieces = _signed(pieces, prompt.end, signer=signer, model=model, shown=shown)
    output: Json = {"output_tokens": -(-chars // CHARS_PER_TOKEN) if pieces else 0}
    if thinking_chars:
        output["output_tokens_details"] = {"thinking_tokens": -(-thinking_chars // CHARS_PER_TOKEN)}
    output.update(_server_usage(pieces))
    message: Json = {
        "id": "msg_" + secrets.token_hex(12),
        "type": "message",
        "role": "assistant",
        "model": model.id,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "stop_details": None,
        "usage": {
            **account.usage(),
            "output_tokens": 1,
            "service_tier": "standard",
            "inference_geo": "global",
        },
    }
    events = _events(message, pieces, stop, {**account.usage(), **output}, reply.delta_chars)
    content = [piece.block for piece in pieces]
    whole = {**message, **stop, "content": content, "usage": {**message["usage"], **output}}
    return Rendered(whole, tuple(events))


def _pieces(
    reply: Reply, body: Json, model: Model, outcome: Outcome | None
) -> tuple[list[_Piece], Json]:
    """The blocks up to where the answer stops, and the fields that say why it stopped."""
    if outcome == "refusal":
        return [], _stop("refusal", details=REFUSAL)
    if outcome == "pause_turn":
        paused = [*_resumed(body["messages"]), searched("(paused)", [])[0]]
        return [_Piece(block, _payload(block)) for block in paused], _stop("pause_turn")
    blocks = _within_uses([*_resumed(body["messages"]), *_blocks(reply, body, model)], body)
    pieces = [_Piece(block, _payload(block)) for block in blocks]
    pieces, sequence = _until_stop_sequence(pieces, body.get("stop_sequences") or [])
    limit = body["max_tokens"] * CHARS_PER_TOKEN
    if outcome == "max_tokens":
        limit = min(limit, _middle(pieces))
    pieces, cut = _within(pieces, limit)
    if cut or outcome == "max_tokens" or body["max_tokens"] == 0:
        return pieces, _stop("max_tokens")
    if sequence is not None:
        return pieces, _stop("stop_sequence", sequence=sequence)
    reason = reply.stop_reason or _reason(blocks)
    details = reply.stop_details or (REFUSAL if reason == "refusal" else None)
    return pieces, _stop(reason, details=details)


def _stop(reason: str, *, sequence: str | None = None, details: Json | None = None) -> Json:
    return {"stop_reason": reason, "stop_sequence": sequence, "stop_details": details}


def _resumed(messages: Sequence[Json]) -> list[Json]:
    """The result of the server tool a paused turn was waiting for."""
    call = open_server_call(messages)
    if call is None:
        return []
    content: list[Json] | Json = []
    if call["name"] == "web_fetch":
        content = {"type": "web_fetch_tool_result_error", "error_code": "unavailable"}
    kind = f"{call['name']}_tool_result"
    return [{"type": kind, "tool_use_id": call["id"], "content": content}]


def _within_uses(blocks: list[Json], body: Json) -> list[Json]:
    """What a server tool is called beyond its max_uses, in this request, fails."""
    left = {tool["name"]: tool.get("max_uses") for tool in body.get("tools") or []}
    called = {b["id"]: b["name"] for b in blocks if b["type"] == "server_tool_use"}
    kept = []
    for block in blocks:
        name = called.get(block.get("tool_use_id", ""), "")
        uses = left.get(name)
        if uses == 0:
            error = {"type": f"{name}_tool_result_error", "error_code": "max_uses_exceeded"}
            block = {**block, "content": error}
        elif uses is not None:
            left[name] = uses - 1
        kept.append(block)
    return kept


def _blocks(reply: Reply, body: Json, model: Model) -> Iterator[Json]:
    kind = (body.get("thinking") or {}).get("type")
    thinks = kind not in (None, "disabled") or (kind is None and model.thinks_by_default)
    said = [Text(reply.blocks)] if isinstance(reply.blocks, str) else reply.blocks
    for block in said:
        if isinstance(block, Text):
            if block.text:
                yield {"type": "text", "text": block.text}
        elif isinstance(block, Thinking):
            if thinks:
                yield {"type": "thinking", "thinking": block.text, "signature": ""}
        elif isinstance(block, ToolUse):
            _check_call(block, body)
            call_id = block.id or "toolu_" + secrets.token_hex(12)
            call = {"type": "tool_use", "id": call_id, "name": block.name, "input": block.input}
            yield {**call, "caller": {"type": "direct"}}
        else:
            yield block


def _check_call(call: ToolUse, body: Json) -> None:
    """The model calls only what it is offered, and strict tools only by their schema."""
    if (body.get("tool_choice") or {}).get("type") == "none":
        raise ScriptError(f"the script calls {call.name} although tool_choice is none")
    tools = {tool["name"]: tool for tool in body.get("tools") or []}
    if call.name not in tools:
        raise ScriptError(f"the script calls {call.name}, which is not among the tools")
    tool = tools[call.name]
    if not tool.get("strict"):
        return
    schema = tool["input_schema"]
    properties = schema.get("properties") or {}
    wrong = (call.input.keys() - properties.keys()) | (
        set(schema.get("required") or []) - call.input.keys()
    )
    wrong |= {
        name
        for name, value in call.input.items()
        if "enum" in properties.get(name, {}) and value not in properties[name]["enum"]
    }
    if wrong:
        raise ScriptError(f"the script calls {call.name} with wrong {', '.join(sorted(wrong))}")


def _reason(blocks: Sequence[Json]) -> str:
    if any(block["type"] == "tool_use" for block in blocks):
        return "tool_use"
    return "pause_turn" if blocks and blocks[-1]["type"] == "server_tool_use" else "end_turn"


def _payload(block: Json) -> str:
    if block["type"] in PAYLOADS:
        return str(block[PAYLOADS[block["type"]]])
    if block["type"] in ("tool_use", "server_tool_use"):
        return json.dumps(block["input"], ensure_ascii=False)
    return ""


def _until_stop_sequence(
    pieces: list[_Piece], sequences: Sequence[str]
) -> tuple[list[_Piece], str | None]:
    for at, piece in enumerate(pieces):
        text = piece.payload if piece.block["type"] == "text" else ""
        found = [(text.find(sequence), sequence) for sequence in sequences if sequence in text]
        if found:
            end, sequence = min(found)
            return [*pieces[:at], *_shortened(piece, end)], sequence
    return pieces, None


def _middle(pieces: Sequence[_Piece]) -> int:
    """Characters up to the middle of the last tool call's JSON, else of everything."""
    calls = [at for at, piece in enumerate(pieces) if piece.block["type"] == "tool_use"]
    if not calls:
        return sum(len(piece.payload) for piece in pieces) // 2
    before = sum(len(piece.payload) for piece in pieces[: calls[-1]])
    return before + len(pieces[calls[-1]].payload) // 2


def _within(pieces: list[_Piece], limit: int) -> tuple[list[_Piece], bool]:
    """The pieces that fit in `limit` characters, and whether something was left out."""
    for at, piece in enumerate(pieces):
        if len(piece.payload) > limit:
            return [*pieces[:at], *_shortened(piece, limit)], True
        limit -= len(piece.payload)
    return pieces, False


def _shortened(piece: _Piece, chars: int) -> list[_Piece]:
    if chars == 0:
        return []
    block, payload = piece.block, piece.payload[:chars]
    if block["type"] in PAYLOADS:
        return [_Piece({**block, PAYLOADS[block["type"]]: payload}, payload)]
    return [_Piece({**block, "input": {}}, payload)]


def _signed(
    pieces: Sequence[_Piece], before: Digests, *, signer: Signer, model: Model, shown: bool
) -> list[_Piece]:
    """The pieces with each thinking block signed over what stands before it."""
    signed = []
    for piece in pieces:
        block, payload = piece.block, piece.payload
        if block["type"] == "thinking":
            payload = payload if shown else ""
            signature = signer.sign(model.id, before, payload)
            block = {"type": "thinking", "thinking": payload, "signature": signature}
        before = before.then("messages", "assistant", wording(block))
        signed.append(_Piece(block, payload))
    return signed


def _server_usage(pieces: Sequence[_Piece]) -> Json:
    names = [p.block["name"] for p in pieces if p.block["type"] == "server_tool_use"]
    if not names:
        return {}
    for piece in pieces:  # what failed is not paid for
        content = piece.block.get("content")
        if isinstance(content, dict) and content.get("error_code") == "max_uses_exceeded":
            names.remove(str(content["type"]).removesuffix("_tool_result_error"))
    counts = {f"{n}_requests": names.count(n) for n in ("web_search", "web_fetch")}
    return {"server_tool_use": counts}


def _events(
    message: Json, pieces: Sequence[_Piece], stop: Json, usage: Json, delta_chars: int
) -> Iterator[Event]:
    yield Event({"type": "message_start", "message": message})
    for index, piece in enumerate(pieces):
        start = _started(piece.block)
        yield Event(
            {"type": "content_block_start", "index": index, "content_block": start},
            "first" if index == 0 else None,
        )
        if index == 0:
            yield Event({"type": "ping"})
        for delta, wait in _deltas(piece, delta_chars):
            yield Event({"type": "content_block_delta", "index": index, "delta": delta}, wait)
        yield Event({"type": "content_block_stop", "index": index})
    told = {key: value for key, value in usage.items() if key != "cache_creation"}
    yield Event({"type": "message_delta", "delta": stop, "usage": told})
    yield Event({"type": "message_stop"})


def used_by(rendered: Rendered, written: Sequence[Event]) -> Json:
    """What is billed of a reply when so much of it was written."""
    usage: Json = rendered.message["usage"]
    if len(written) == len(rendered.events):
        return usage
    deltas = [e.data["delta"] for e in written if e.data["type"] == "content_block_delta"]
    chars = sum(len(delta.get(part, "")) for delta in deltas for part in DELTAS)
    return {**usage, "output_tokens": -(-chars // CHARS_PER_TOKEN)}


def _started(block: Json) -> Json:
    empty: dict[str, Json] = {
        "text": {"text": ""},
        "thinking": {"thinking": "", "signature": ""},
        "tool_use": {"input": {}},
        "server_tool_use": {"input": {}},
    }
    start = {**block, **empty.get(block["type"], {})}
    start.pop("citations", None)
    return start


def _deltas(piece: _Piece, delta_chars: int) -> Iterator[tuple[Json, Wait | None]]:
    kind = piece.block["type"]
    chunks = [
        piece.payload[at : at + delta_chars] for at in range(0, len(piece.payload), delta_chars)
    ]
    if kind == "text":
        for citation in piece.block.get("citations") or []:
            yield {"type": "citations_delta", "citation": citation}, None
        for chunk in chunks:
            yield {"type": "text_delta", "text": chunk}, "delta"
    elif kind == "thinking":
        for chunk in chunks:
            yield {"type": "thinking_delta", "thinking": chunk}, "delta"
        yield {"type": "signature_delta", "signature": piece.block["signature"]}, None
    elif kind in ("tool_use", "server_tool_use"):
        yield {"type": "input_json_delta", "partial_json": ""}, None
        for chunk in chunks:
            yield {"type": "input_json_delta", "partial_json": chunk}, "delta"

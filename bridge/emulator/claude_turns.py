"""What the Messages API refuses about the order of a conversation.

Consecutive messages of one role count as one turn, as in the API. Held here: the user speaks
first and last (a turn that was paused in a server tool is sent back as it was, so that one may
end in an assistant message), system messages stand between user and assistant, and every tool
call is answered at once and exactly once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bridge.emulator.claude_rules import Refused

Json = dict[str, Any]

SERVER_RESULTS = ("web_search_tool_result", "web_fetch_tool_result")
THINKING = ("thinking", "redacted_thinking")
ANYWHERE = "; the directive-only form (content: [] with output_config) is accepted at any position"


@dataclass(slots=True)
class Turn:
    """Consecutive messages of one role: their blocks, and the place of the last message."""

    role: str
    at: int
    blocks: list[tuple[str, Json]] = field(default_factory=list)


def turns_of(messages: Sequence[Json]) -> list[Turn]:
    """The turns of well-formed messages; a string counts as one text block."""
    turns: list[Turn] = []
    for at, message in enumerate(messages):
        if not turns or message["role"] != turns[-1].role:
            turns.append(Turn(message["role"], at))
        turns[-1].at = at
        places = enumerate(blocks_of(message["content"]))
        turns[-1].blocks += [(f"messages.{at}.content.{place}", block) for place, block in places]
    return turns


def blocks_of(content: str | list[Json]) -> list[Json]:
    """Content as blocks: a string is short for one text block."""
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def open_server_call(messages: Sequence[Json]) -> Json | None:
    """The server tool call a paused turn ended with, None when the user spoke last."""
    last = turns_of(messages)[-1]
    block = last.blocks[-1][1]
    return block if block["type"] == "server_tool_use" else None


def check_turns(messages: Sequence[Json]) -> None:
    """Refuse a conversation whose order the API refuses.

    Raises:
        Refused: with the API's sentence, naming the place.
    """
    turns = turns_of(messages)
    _first(turns[0])
    _unique_ids(turns)
    for at, turn in enumerate(turns):
        before = turns[at - 1] if at else None
        after = turns[at + 1] if at + 1 < len(turns) else None
        if turn.role == "system":
            _system(turn, before, after)
        elif turn.role == "user":
            _answers(turn, _calls(before))
        else:
            _calls_are_answered(turn, after)
            _server_calls(turn, last=after is None)
            _ends(turn, last=after is None)


def _first(turn: Turn) -> None:
    if turn.role == "system":
        raise Refused(
            "messages.0: use the top-level 'system' parameter for the initial system prompt"
        )
    if turn.role != "user":
        raise Refused('messages: first message must use the "user" role')


def _unique_ids(turns: Sequence[Turn]) -> None:
    ids = [
        block["id"]
        for turn in turns
        for _, block in turn.blocks
        if block["type"] in ("tool_use", "server_tool_use")
    ]
    if len(set(ids)) < len(ids):
        twice = next(call for call in ids if ids.count(call) > 1)
        raise Refused(f"messages: `tool_use` ids must be unique: {twice} is there more than once")


def _system(turn: Turn, before: Turn | None, after: Turn | None) -> None:
    ended = before is not None and before.blocks[-1][1]["type"] in SERVER_RESULTS
    if before is not None and before.role == "assistant" and not ended:
        raise Refused(
            f"messages.{turn.at}: role 'system' must follow a 'user' message or an 'assistant' "
            f"message ending in a server tool result{ANYWHERE}"
        )
    if after is not None and after.role != "assistant":
        raise Refused(
            f"messages.{turn.at}: role 'system' must precede an 'assistant' message or end the "
            f"array{ANYWHERE}"
        )


def _calls(turn: Turn | None) -> list[str]:
    """Ids of the client tools a turn calls, when it is the model's."""
    blocks = turn.blocks if turn is not None and turn.role == "assistant" else []
    return [block["id"] for _, block in blocks if block["type"] == "tool_use"]


def _answers(turn: Turn, calls: list[str]) -> None:
    seen: set[str] = set()
    for where, block in turn.blocks:
        if block["type"] != "tool_result":
            continue
        call = block["tool_use_id"]
        if call not in calls:
            raise Refused(
                f"{where}: unexpected `tool_use_id` found in `tool_result` blocks: {call}. Each "
                "`tool_result` block must have a corresponding `tool_use` block in the previous "
                "message."
            )
        if call in seen:
            raise Refused(
                f"{where}: each tool_use must have a single result. Found multiple `tool_result` "
                f"blocks with id: {call}"
            )
        seen.add(call)


def _calls_are_answered(turn: Turn, after: Turn | None) -> None:
    calls = _calls(turn)
    if not calls:
        return
    kinds = [block["type"] for _, block in turn.blocks]
    if set(kinds[kinds.index("tool_use") :]) != {"tool_use"}:
        raise Refused(_unanswered(turn, calls) + " No other block may follow a `tool_use` block.")
    answers = after.blocks if after is not None and after.role == "user" else []
    results = [block["tool_use_id"] for _, block in answers if block["type"] == "tool_result"]
    missing = [call for call in calls if call not in results]
    if missing:
        raise Refused(_unanswered(turn, missing))
    places = [at for at, (_, block) in enumerate(answers) if block["type"] == "tool_result"]
    if places != list(range(len(places))):
        raise Refused(
            _unanswered(turn, calls)
            + f" At {answers[0][0]}: `tool_result` blocks must come first in the user message."
        )


def _unanswered(turn: Turn, calls: Sequence[str]) -> str:
    return (
        f"messages.{turn.at}: `tool_use` ids were found without `tool_result` blocks immediately "
        f"after: {', '.join(calls)}. Each `tool_use` block must have a corresponding "
        "`tool_result` block in the next message."
    )


def _server_calls(turn: Turn, *, last: bool) -> None:
    waiting: dict[str, str] = {}
    for where, block in turn.blocks:
        if block["type"] == "server_tool_use":
            waiting[block["id"]] = block["name"]
        elif block["type"] in SERVER_RESULTS:
            call = block["tool_use_id"]
            if f"{waiting.pop(call, None)}_tool_result" != block["type"]:
                raise Refused(
                    f"{where}: unexpected `tool_use_id` found in `{block['type']}` blocks: {call}"
                )
    paused = turn.blocks[-1][1] if last else {}
    waiting.pop(paused.get("id", ""), None)
    for call, name in waiting.items():
        raise Refused(
            f"messages.{turn.at}: `{name}` tool use with id `{call}` was found without a "
            f"corresponding `{name}_tool_result` block"
        )


def _ends(turn: Turn, *, last: bool) -> None:
    kind = turn.blocks[-1][1]["type"]
    if last and kind not in ("server_tool_use", *SERVER_RESULTS):
        raise Refused(
            "This model does not support assistant message prefill. The conversation must end "
            "with a user message."
        )
    if kind in THINKING:
        raise Refused(
            f"messages.{turn.at}: The final block in an assistant message cannot be `{kind}`."
        )

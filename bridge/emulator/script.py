"""The scripted model: rules that turn a request into a reply.

A script answers by what a request says, never by its turn in a queue, so parallel workers cannot
take each other's answers. `ClaudeEmulator` shows every accepted request to `Script.reply`, which
asks its rules in order; the first that returns a `Reply` wins. Rules are plain functions and see a
read-only `Request`. Nothing here knows HTTP; how a reply travels is `claude_reply` and
`claude_stream`.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

Json = dict[str, Any]

NO_RULE = "No rule of the emulator's script matches this request."

_PART = re.compile(r"<kitt-([a-z]+)\b([^>]*)>(.*?)</kitt-\1>", re.DOTALL)
_ATTRIBUTE = re.compile(r'([a-z_]+)="([^"]*)"')


@dataclass(frozen=True, slots=True)
class Text:
    """A text block, streamed in pieces of `Reply.delta_chars` characters."""

    text: str


@dataclass(frozen=True, slots=True)
class Thinking:
    """A thinking block; the emulator signs it and hides the text unless the caller asked for it."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolUse:
    """A call of a client tool; an empty `id` is replaced by a fresh one."""

    name: str
    input: Json
    id: str = ""


Block = Text | Thinking | ToolUse | Json


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model says.

    `blocks`: in wire order; a dict goes out as it is, a bare string is one text block.
    `stop_reason`: None = derived (`tool_use` when a client tool is called, else `end_turn`).
    `first_token_s`: seconds between the request and the first block.
    `pace_s`: seconds before each delta, `delta_chars`: characters in each delta.
    """

    blocks: Sequence[Block] | str
    stop_reason: str | None = None
    first_token_s: float = 0.0
    pace_s: float = 0.0
    delta_chars: int = 24
    stop_details: Json | None = None


@dataclass(frozen=True, slots=True)
class ToolResult:
    """A tool result together with the call it answers."""

    name: str
    input: Json
    text: str
    is_error: bool


@dataclass(frozen=True, slots=True)
class Part:
    """One `<kitt-NAME attributes>text</kitt-NAME>` part of a user message."""

    name: str
    attributes: Mapping[str, str]
    text: str


@dataclass(frozen=True)
class Request:
    """An accepted request, as rules see it; everything derived is computed once, when asked."""

    body: Json
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def model(self) -> str:
        return str(self.body["model"])

    @cached_property
    def system(self) -> str:
        """The system prompt as one text, "" without one."""
        return _joined(self.body.get("system") or "")

    @cached_property
    def tools(self) -> dict[str, Json]:
        """Tool definitions by name, client and server tools alike."""
        return {tool["name"]: tool for tool in self.body.get("tools") or []}

    @property
    def messages(self) -> list[Json]:
        return list(self.body["messages"])

    @property
    def is_worker(self) -> bool:
        """True for a worker: only workers are given `report_progress`."""
        return "report_progress" in self.tools

    def can_call(self, name: str) -> bool:
        """Whether the caller lets the model call this tool in this reply."""
        choice = self.body.get("tool_choice") or {}
        return name in self.tools and choice.get("type") != "none"

    @cached_property
    def last_user_text(self) -> str:
        """The newest user message that says something, without its `<kitt-…>` parts."""
        return self._plain(self._start)

    @cached_property
    def first_user_text(self) -> str:
        """The oldest user message that says something: a worker's instructions."""
        return next((text for _, text in self._plain_texts()), "")

    @cached_property
    def later_user_texts(self) -> list[str]:
        """What the user said after `first_user_text`, oldest first."""
        return [text for _, text in self._plain_texts()][1:]

    @cached_property
    def parts(self) -> list[Part]:
        """Every `<kitt-…>` part of the user messages, oldest first."""
        texts = (_joined(m["content"]) for m in self.body["messages"] if m["role"] == "user")
        return [
            Part(name, dict(_ATTRIBUTE.findall(attributes)), inner.strip())
            for text in texts
            for name, attributes, inner in _PART.findall(text)
        ]

    @cached_property
    def directives(self) -> str:
        """The `<kitt-directive>` texts of the user's newest turn, joined by newlines."""
        newest = self._since(self._last_assistant + 1)
        found = [text for part in newest for name, _, text in _PART.findall(part)]
        names = [name for part in newest for name, _, _ in _PART.findall(part)]
        return "\n".join(t.strip() for n, t in zip(names, found, strict=True) if n == "directive")

    @cached_property
    def newest_files(self) -> list[Json]:
        """The picture and document blocks of the user's newest turn that carry their bytes."""
        messages = self.body["messages"][self._last_assistant + 1 :]
        blocks = [block for message in messages for block in _blocks(message["content"])]
        kinds = ("image", "document")
        return [b for b in blocks if b["type"] in kinds and b["source"]["type"] == "base64"]

    @cached_property
    def newest_parts(self) -> list[Part]:
        """The `<kitt-…>` parts of the user's newest turn."""
        newest = "\n".join(self._since(self._last_assistant + 1))
        return [
            Part(name, dict(_ATTRIBUTE.findall(attributes)), inner.strip())
            for name, attributes, inner in _PART.findall(newest)
        ]

    @cached_property
    def state(self) -> str:
        """The newest `<kitt-state>` text, "" when there is none."""
        return next((part.text for part in reversed(self.parts) if part.name == "state"), "")

    @cached_property
    def events(self) -> list[Part]:
        """The `<kitt-event>` parts, oldest first."""
        return [part for part in self.parts if part.name == "event"]

    @cached_property
    def tool_results(self) -> list[ToolResult]:
        """Results since `last_user_text` (those in the same message too), oldest first."""
        return self._results(self._start)

    @cached_property
    def all_tool_results(self) -> list[ToolResult]:
        """Every result in the messages, oldest first."""
        return self._results(0)

    @cached_property
    def turn(self) -> int:
        """How many assistant messages came after `last_user_text`."""
        return sum(m["role"] == "assistant" for m in self.body["messages"][self._start :])

    @cached_property
    def _start(self) -> int:
        return next((at for at, _ in reversed(self._plain_texts())), 0)

    @cached_property
    def _last_assistant(self) -> int:
        roles = [m["role"] for m in self.body["messages"]]
        return max((at for at, role in enumerate(roles) if role == "assistant"), default=-1)

    def _plain_texts(self) -> list[tuple[int, str]]:
        messages = self.body["messages"]
        texts = [(at, self._plain(at)) for at, m in enumerate(messages) if m["role"] == "user"]
        return [(at, text) for at, text in texts if text]

    def _plain(self, at: int) -> str:
        return _PART.sub("", _joined(self.body["messages"][at]["content"])).strip()

    def _since(self, at: int) -> list[str]:
        return [_joined(m["content"]) for m in self.body["messages"][at:] if m["role"] == "user"]

    def _results(self, start: int) -> list[ToolResult]:
        calls: dict[str, Json] = {}
        results = []
        for at, message in enumerate(self.body["messages"]):
            for block in _blocks(message["content"]):
                if block["type"] == "tool_use":
                    calls[block["id"]] = block
                elif block["type"] == "tool_result" and at >= start:
                    call = calls[block["tool_use_id"]]
                    text = _joined(block.get("content") or "")
                    error = bool(block.get("is_error"))
                    results.append(ToolResult(call["name"], call["input"], text, error))
        return results


Rule = Callable[[Request], Reply | None]
Match = str | Callable[[Request], bool]
Answer = Reply | str | Sequence[Reply | str] | Rule


class Script:
    """Rules in order of precedence.

    A request that no rule matches gets a plain text that says so: a test then reads what is
    missing instead of waiting for an answer.
    """

    def __init__(self, rules: Sequence[Rule] = ()) -> None:
        self.rules: list[Rule] = list(rules)

    def when(self, match: Match, answer: Answer) -> Rule:
        """Put a rule before all others and return it (`rules.remove` takes it out again).

        `match`: a text found in `last_user_text`, whatever its case, or a predicate.
        `answer`: a reply, a text, a rule, or a sequence of which reply number `turn` is given
        (the last one from then on), so that a conversation with tools can be told in order.
        """

        def rule(request: Request) -> Reply | None:
            if not _matches(match, request):
                return None
            if callable(answer):
                return answer(request)
            if isinstance(answer, Sequence) and not isinstance(answer, str):
                return _reply(answer[min(request.turn, len(answer) - 1)])
            return _reply(answer)

        self.rules.insert(0, rule)
        return rule

    def reply(self, request: Request) -> Reply:
        """The first reply a rule gives."""
        replies = (rule(request) for rule in self.rules)
        return next((reply for reply in replies if reply is not None), Reply(NO_RULE))


def searched(query: str, pages: Sequence[tuple[str, str]]) -> list[Json]:
    """A web search by the server and its result: two blocks. `pages`: (address, title)."""
    call_id = server_call_id()
    found = [
        {
            "type": "web_search_result",
            "url": url,
            "title": title,
            "encrypted_content": secrets.token_urlsafe(48),
            "page_age": None,
        }
        for url, title in pages
    ]
    call = {"type": "server_tool_use", "id": call_id, "name": "web_search"}
    return [
        {**call, "input": {"query": query}},
        {"type": "web_search_tool_result", "tool_use_id": call_id, "content": found},
    ]


def fetched(url: str, title: str, text: str) -> list[Json]:
    """A page fetched by the server and its text: two blocks."""
    call_id = server_call_id()
    source = {"type": "text", "media_type": "text/plain", "data": text}
    page = {"type": "web_fetch_result", "url": url, "retrieved_at": "2026-11-22T09:00:00Z"}
    call = {"type": "server_tool_use", "id": call_id, "name": "web_fetch"}
    document = {"type": "document", "title": title, "source": source}
    return [
        {**call, "input": {"url": url}},
        {
            "type": "web_fetch_tool_result",
            "tool_use_id": call_id,
            "content": {**page, "content": document},
        },
    ]


def server_call_id() -> str:
    """A fresh id for a server tool's call."""
    return "srvtoolu_" + secrets.token_hex(12)


def _matches(match: Match, request: Request) -> bool:
    if isinstance(match, str):
        return match.casefold() in request.last_user_text.casefold()
    return match(request)


def _reply(answer: Reply | str) -> Reply:
    return Reply(answer) if isinstance(answer, str) else answer


def _blocks(content: str | list[Json]) -> list[Json]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _joined(content: str | list[Json]) -> str:
    return "\n".join(block["text"] for block in _blocks(content) if block["type"] == "text")

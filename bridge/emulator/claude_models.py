"""The models the emulated API knows, and what each of them accepts.

One table, because every refusal that depends on the model reads it: `claude_rules` for requests,
`GET /v1/models` for callers that ask first. The differences are those of the provider's published
documentation; an id that is not here gets the API's 404.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

EFFORTS = ("low", "medium", "high", "xhigh", "max")
THINKING_TYPES = ("adaptive", "between_tools", "disabled", "enabled")


@dataclass(frozen=True, slots=True)
class Model:
    """What one model accepts.

    `thinking`: accepted values of `thinking.type`. `forced_tools`: `tool_choice` any or tool.
    `binds_prefix`: a thinking block is valid only under the prefix it was made with.
    `system_turns`: messages with role `system` in the middle of a conversation.
    `cache_tokens_min`: shorter prompts are not cached.
    """

    id: str
    name: str
    created_at: str
    thinking: tuple[str, ...]
    forced_tools: bool = True
    binds_prefix: bool = False
    system_turns: bool = True
    deprecated: bool = False
    max_tokens: int = 128_000
    max_input_tokens: int = 1_000_000
    cache_tokens_min: int = 512

    @property
    def line(self) -> str:
        return self.id.split("-")[1]

    @property
    def thinks_by_default(self) -> bool:
        """Whether leaving `thinking` out means adaptive thinking."""
        return "enabled" not in self.thinking

    def info(self) -> dict[str, Any]:
        """The body of `GET /v1/models/{id}`."""
        return {
            "type": "model",
            "id": self.id,
            "display_name": self.name,
            "created_at": self.created_at,
            "line": self.line,
            "lifecycle": "deprecated" if self.deprecated else "active",
            "deprecated_at": "2026-05-01T00:00:00Z" if self.deprecated else None,
            "retires_at": "2026-11-30T00:00:00Z" if self.deprecated else None,
            "max_input_tokens": self.max_input_tokens,
            "max_tokens": self.max_tokens,
            "capabilities": self._capabilities(),
        }

    def _capabilities(self) -> dict[str, Any]:
        yes = {"supported": True}
        types = {kind: {"supported": kind in self.thinking} for kind in THINKING_TYPES}
        strategies = ("clear_thinking_20251015", "clear_tool_uses_20250919", "compact_20260112")
        return {
            "batch": yes,
            "citations": yes,
            "code_execution": yes,
            "context_management": {**yes, **dict.fromkeys(strategies, yes)},
            "effort": {**yes, **dict.fromkeys(EFFORTS, yes)},
            "image_input": yes,
            "pdf_input": yes,
            "server_tools": {**yes, "code_execution": yes, "web_search": yes},
            "structured_outputs": yes,
            "thinking": {**yes, "types": types},
        }


def _five(line: str, version: str, created: str, thinking: tuple[str, ...]) -> Model:
    """A 5.1, 5.2 or 5.5 model: bound thinking, and no forced tools except on Haiku."""
    return Model(
        id=f"claude-{line.lower()}-{version.replace('.', '-')}",
        name=f"Claude {line} {version}",
        created_at=f"{created}T00:00:00Z",
        thinking=thinking,
        forced_tools=line == "Haiku",
        binds_prefix=True,
    )


def _earlier(
    model_id: str, name: str, created: str, thinking: tuple[str, ...], *, system: bool = False
) -> Model:
    """A model before those: thinking is not bound to the prefix, tools can be forced."""
    small = name.endswith("4.5")
    return Model(
        id=model_id,
        name=f"Claude {name}",
        created_at=f"{created}T00:00:00Z",
        thinking=thinking,
        system_turns=system,
        deprecated=name == "Sonnet 4.5",
        max_tokens=64_000 if small else 128_000,
        max_input_tokens=200_000 if small else 1_000_000,
        cache_tokens_min=512 if name.endswith(" 5") else 1024,
    )


_ADAPTIVE = ("adaptive",)
_OPTIONAL = ("adaptive", "disabled")
_MANUAL = ("disabled", "enabled")

MODELS: Mapping[str, Model] = MappingProxyType(
    {
        model.id: model
        for model in (
            _five("Haiku", "5.5", "2026-10-07", _OPTIONAL),
            _five("Sonnet", "5.5", "2026-10-07", ("adaptive", "between_tools")),
            _five("Opus", "5.5", "2026-09-22", _ADAPTIVE),
            _five("Fable", "5.2", "2026-10-21", _ADAPTIVE),
            _five("Fable", "5.1", "2026-09-01", _ADAPTIVE),
            _five("Mythos", "5.2", "2026-10-21", _ADAPTIVE),
            _five("Mythos", "5.1", "2026-09-01", _ADAPTIVE),
            _earlier("claude-opus-5", "Opus 5", "2026-07-14", _OPTIONAL, system=True),
            _earlier("claude-sonnet-5", "Sonnet 5", "2026-06-23", _OPTIONAL),
            _earlier("claude-fable-5", "Fable 5", "2026-06-09", _ADAPTIVE, system=True),
            _earlier("claude-mythos-5", "Mythos 5", "2026-06-09", _ADAPTIVE, system=True),
            _earlier("claude-opus-4-8", "Opus 4.8", "2026-05-28", _OPTIONAL, system=True),
            _earlier("claude-opus-4-7", "Opus 4.7", "2026-04-16", _OPTIONAL),
            _earlier("claude-opus-4-6", "Opus 4.6", "2026-02-05", (*_OPTIONAL, "enabled")),
            _earlier("claude-sonnet-4-6", "Sonnet 4.6", "2026-02-17", (*_OPTIONAL, "enabled")),
            _earlier("claude-haiku-4-5", "Haiku 4.5", "2025-10-15", _MANUAL),
            _earlier("claude-haiku-4-5-20251001", "Haiku 4.5", "2025-10-15", _MANUAL),
            _earlier("claude-opus-4-5", "Opus 4.5", "2025-11-24", _MANUAL),
            _earlier("claude-opus-4-5-20251101", "Opus 4.5", "2025-11-24", _MANUAL),
            _earlier("claude-sonnet-4-5", "Sonnet 4.5", "2025-09-29", _MANUAL),
            _earlier("claude-sonnet-4-5-20250929", "Sonnet 4.5", "2025-09-29", _MANUAL),
        )
    }
)

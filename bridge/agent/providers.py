"""What each provider takes beyond the common core of the Messages API; nothing else is sent.

The core is: model, max_tokens, system, messages of text and tool calls, tools with a name, a
description and a schema, and `tool_choice` none. A provider is known by the host of its address, a
program on this machine by its port; KITT_PROVIDER says it where that does not. Whatever is not
known gets the core, and Claude's names behind an unknown address (a proxy of one's own) everything
but the tools that only Anthropic runs.
"""

from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import urlsplit

from bridge.settings import Settings

WEB_TOOLS: Final = ("web_search_20260318", "web_fetch_20260318")
EMPTY_TEXT: Final = "…"  # for a message of which nothing is left; the API takes no empty one


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One provider. `hosts` are ends of host names, `ports` those of a program on this machine."""

    name: str
    hosts: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    server_tools: tuple[str, ...] = ()  # tools that it runs itself
    thinking: bool = False  # the parameter, and blocks of thoughts in the history
    effort: bool = False
    strict: bool = False  # tools with more than their schema
    cache: bool = False  # marks in the prompt
    images: bool = False  # and PDF files
    x_api_key: bool = False  # reads the key there, not as a bearer
    version: str = ""  # the anthropic-version header it wants instead of the SDK's
    tokens_max: int = 8_000  # that most of its models can write

    def needs_plain_history(self) -> bool:
        """Must thoughts and the blocks of another provider's tools be left out?"""
        return not self.thinking


ANTHROPIC: Final = Provider(
    name="anthropic",
    hosts=("anthropic.com",),
    server_tools=WEB_TOOLS,
    thinking=True,
    effort=True,
    strict=True,
    cache=True,
    images=True,
    tokens_max=32_000,
)
OPENAI: Final = Provider(name="openai", hosts=("openai.com",), images=True, tokens_max=32_000)
CORE: Final = Provider(name="unknown", x_api_key=True)
PROXY: Final = replace(ANTHROPIC, name="proxy", hosts=(), server_tools=(), x_api_key=True)
OLDER: Final = "2023-06-01"  # the version of the API that those were made for
PROVIDERS: Final = (
    ANTHROPIC,
    OPENAI,
    Provider(name="deepseek", hosts=("deepseek.com",), x_api_key=True),
    Provider(name="kimi", hosts=("moonshot.ai", "moonshot.cn"), x_api_key=True, version=OLDER),
    Provider(name="glm", hosts=("z.ai", "bigmodel.cn"), x_api_key=True, version=OLDER),
    Provider(name="minimax", hosts=("minimax.io", "minimaxi.com"), x_api_key=True, version=OLDER),
    Provider(name="openrouter", hosts=("openrouter.ai",), version=OLDER),
    Provider(name="ollama", hosts=("ollama.com",), ports=(11434,)),
    Provider(name="llamacpp", ports=(8080,), version=OLDER),
    Provider(name="lmstudio", ports=(1234,), version=OLDER),
    Provider(name="vllm", ports=(8000,), version=OLDER),
)


def provider_of(settings: Settings, model: str) -> Provider:
    """The provider that a model of these settings is asked from."""
    return provider_at(settings.anthropic_base_url, model, settings.provider)


def provider_at(base_url: str, model: str, name: str = "") -> Provider:
    """The same by its address, or by its `name` in KITT_PROVIDER."""
    found = next((each for each in PROVIDERS if each.name == name), None)
    if found is None:
        found = _by_address(base_url, model)
    if found is ANTHROPIC and not model.startswith("claude-"):
        return CORE
    return found


def without_thoughts(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same history but for its thoughts; what is stored stays as it is."""
    plain = []
    for message in messages:
        content = message["content"]
        if message["role"] == "assistant" and isinstance(content, list):
            content = [block for block in content if block.get("type") not in _THOUGHTS]
            content = content or [{"type": "text", "text": EMPTY_TEXT}]
        plain.append({**message, "content": content})
    return plain


def portable(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A history that any provider takes: thoughts and what Anthropic's own tools did are gone."""
    plain = []
    for message in messages:
        content = message["content"]
        if message["role"] == "assistant" and isinstance(content, list):
            content = [_core(block) for block in content if block.get("type") in _CORE_KEYS]
            content = content or [{"type": "text", "text": EMPTY_TEXT}]
        plain.append({**message, "content": content})
    return plain


_THOUGHTS: Final = ("thinking", "redacted_thinking")
_CORE_KEYS: Final = {"text": ("type", "text"), "tool_use": ("type", "id", "name", "input")}


def _core(block: dict[str, Any]) -> dict[str, Any]:
    return {key: block[key] for key in _CORE_KEYS[block["type"]]}


def _by_address(base_url: str, model: str) -> Provider:
    parts = urlsplit(base_url)
    host = parts.hostname or "api.anthropic.com"
    claude = model.startswith("claude-")
    if host == "localhost" or host.startswith("127."):
        if claude:
            return replace(ANTHROPIC, x_api_key=True)  # what stands in for it
        return next((each for each in PROVIDERS if parts.port in each.ports), CORE)
    for each in PROVIDERS:
        if any(host == end or host.endswith(f".{end}") for end in each.hosts):
            return each
    return PROXY if claude else CORE

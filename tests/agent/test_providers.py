"""Which provider is asked, and what it is sent: no more than it is known to take."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from bridge.agent.model import AnthropicModel, Request
from bridge.agent.providers import (
    CORE,
    PROVIDERS,
    PROXY,
    WEB_TOOLS,
    portable,
    provider_at,
    provider_of,
)
from bridge.agent.tool import Tool
from bridge.emulator.claude import KEY
from bridge.errors import ConfigError, ModelUnavailable
from bridge.settings import PROVIDER_NAMES, Settings

SONNET = "claude-sonnet-5-5"
NOTE = Tool(name="note", description="Write it down.", properties={"text": {"type": "string"}})
ASK = Request(
    model="deepseek-chat",
    system="You know birds.",
    messages=[{"role": "user", "content": [{"type": "text", "text": "Pelicans?"}]}],
    tools=[NOTE.to_api()],
    max_tokens=500,
    server_tools=WEB_TOOLS,
)


@pytest.mark.parametrize(
    ("base_url", "model", "name"),
    [
        ("", SONNET, "anthropic"),
        ("https://api.anthropic.com", SONNET, "anthropic"),
        ("http://127.0.0.1:4000", SONNET, "anthropic"),  # what stands in for it
        ("https://api.deepseek.com/anthropic", "deepseek-chat", "deepseek"),
        ("https://api.moonshot.ai/anthropic", "kimi-k3", "kimi"),
        ("https://api.z.ai/api/anthropic", "glm-6", "glm"),
        ("https://api.minimax.io/anthropic", "minimax-m4", "minimax"),
        ("https://openrouter.ai/api", "anthropic/claude-x", "openrouter"),
        ("https://api.openai.com", "gpt-x", "openai"),
        ("http://127.0.0.1:11434", "llama3.3", "ollama"),
        ("http://localhost:1234", "llama3.3", "lmstudio"),
        ("http://127.0.0.1:8000", "llama3.3", "vllm"),
        ("http://127.0.0.1:8080", "llama3.3", "llamacpp"),
        ("http://127.0.0.1:9999", "llama3.3", "unknown"),
        ("https://models.example.net", "other-1", "unknown"),
        ("https://models.example.net", SONNET, "proxy"),
        ("https://api.anthropic.com.example.net", SONNET, "proxy"),
        ("https://notdeepseek.com", "deepseek-chat", "unknown"),
    ],
)
def test_a_provider_is_known_by_its_address(base_url: str, model: str, name: str) -> None:
    assert provider_at(base_url, model).name == name


def test_the_setting_says_what_the_address_does_not() -> None:
    settings = Settings(anthropic_base_url="https://proxy.example.net", provider="anthropic")

    assert provider_of(settings, SONNET).server_tools == WEB_TOOLS
    assert provider_of(replace(settings, provider=""), SONNET).server_tools == ()


def test_only_anthropic_runs_tools_and_takes_thoughts() -> None:
    for provider in (*PROVIDERS, CORE):
        anthropic = provider.name == "anthropic"
        assert bool(provider.server_tools) == anthropic
        assert provider.thinking == provider.effort == provider.cache == anthropic
    assert PROXY.cache
    assert not PROXY.server_tools


def test_every_provider_can_be_chosen() -> None:
    assert {provider.name for provider in PROVIDERS} == set(PROVIDER_NAMES)


@pytest.mark.parametrize(
    "environ",
    [
        *(
            {"ANTHROPIC_BASE_URL": f"https://{host}/x"}
            for provider in PROVIDERS
            for host in provider.hosts
            if provider.name != "anthropic"
        ),
        {"KITT_PROVIDER": "openai"},
        {"ANTHROPIC_BASE_URL": "http://127.0.0.1:11434", "KITT_PROVIDER": "ollama"},
    ],
)
def test_a_claude_at_a_provider_without_claude_is_refused(
    environ: dict[str, str], tmp_path: Any
) -> None:
    with pytest.raises(ConfigError, match=r"KITT_MODEL is claude-.*does not have"):
        Settings.load(environ, env_file=tmp_path / "none")


def test_thoughts_and_the_work_of_other_tools_stay_behind() -> None:
    call = {"type": "tool_use", "id": "t1", "name": "note", "input": {"text": "x"}}
    result = [{"type": "tool_result", "tool_use_id": "t1", "content": "Noted."}]
    history: list[dict[str, Any]] = [
        {"role": "user", "content": "Hello"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Hm.", "signature": "s"},
                {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {}},
                {"type": "web_search_tool_result", "tool_use_id": "s1", "content": []},
                {"type": "text", "text": "Yes.", "citations": [{"type": "x"}]},
                {**call, "caller": {"type": "direct"}},
            ],
        },
        {"role": "user", "content": result},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "", "signature": "s"}]},
    ]

    assert portable(history) == [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": [{"type": "text", "text": "Yes."}, call]},
        {"role": "user", "content": result},
        {"role": "assistant", "content": [{"type": "text", "text": "…"}]},
    ]
    assert len(history[1]["content"]) == 5  # what is stored stays as it is


async def head_for(provider: str) -> str:
    """The head of the request as it goes over the wire."""
    heard = asyncio.Queue[bytes]()

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.put_nowait(await reader.readuntil(b"\r\n\r\n"))
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(hear, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        model = AnthropicModel(key=KEY, base_url=f"http://127.0.0.1:{port}", provider=provider)
        with pytest.raises(ModelUnavailable):
            await model.stream(ASK)
        await model.close()
    return heard.get_nowait().decode().lower()


async def test_deepseek_reads_the_key_from_the_older_header() -> None:
    head = await head_for("deepseek")

    assert f"x-api-key: {KEY}".lower() in head
    assert "anthropic-version: 2023-06-01" not in head


async def test_a_provider_may_want_the_older_version() -> None:
    head = await head_for("lmstudio")

    assert head.count("anthropic-version:") == 1
    assert "anthropic-version: 2023-06-01" in head
    assert "x-api-key" not in head

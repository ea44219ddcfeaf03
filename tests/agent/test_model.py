"""The model provider through the real SDK: what comes back, and what each failure becomes."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import asdict, replace
from typing import Any

import pytest

from bridge.agent.model import AnthropicModel, Request
from bridge.agent.providers import WEB_TOOLS
from bridge.agent.tool import Tool
from bridge.emulator.claude import KEY, ClaudeEmulator
from bridge.emulator.claude_faults import Fault
from bridge.emulator.script import Reply, Script, Text, Thinking, ToolUse, searched
from bridge.errors import ModelRefused, ModelUnavailable

ANSWER = "Pelicans hold more in their beaks than their bellies can."
NOTE = Tool(
    name="note",
    description="Write something down.",
    properties={"title": {"type": "string"}, "body": {"type": "string"}},
)
ASK = Request(
    model="claude-haiku-5-5",
    system="You know birds.",
    messages=[{"role": "user", "content": [{"type": "text", "text": "Tell me about pelicans"}]}],
    tools=[NOTE.to_api()],
    max_tokens=500,
)


def changed(fault: Fault) -> dict[str, Any]:
    """What a fault does."""
    return {key: value for key, value in asdict(fault).items() if value != getattr(Fault(), key)}


class Ears:
    """Keeps everything it hears."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def text(self, delta: str) -> None:
        self.texts.append(delta)


@pytest.fixture
async def claude() -> AsyncIterator[ClaudeEmulator]:
    running = ClaudeEmulator(script=Script([lambda _request: Reply(ANSWER, delta_chars=8)]))
    await running.start()
    yield running
    await running.stop()


@pytest.fixture
async def model(claude: ClaudeEmulator) -> AsyncIterator[AnthropicModel]:
    opened = AnthropicModel(key=KEY, base_url=claude.base_url)
    yield opened
    await opened.close()


# --- replies --------------------------------------------------------------------------------------


async def test_text_comes_back_whole(model: AnthropicModel) -> None:
    reply = await model.stream(ASK)

    assert reply.content == [{"type": "text", "text": ANSWER}]
    assert reply.stop_reason == "end_turn"
    assert reply.tool_uses == []


async def test_usage_is_what_the_provider_says_it_is(
    claude: ClaudeEmulator, model: AnthropicModel
) -> None:
    reply = await model.stream(ASK)

    told = claude.requests[0].usage
    assert told is not None
    assert reply.usage.input_tokens == told["input_tokens"]
    assert reply.usage.output_tokens == told["output_tokens"] > 0
    assert 0 < reply.usage.latency_ms < 10_000


async def test_second_request_reads_the_system_prompt_from_the_cache(
    model: AnthropicModel,
) -> None:
    long = replace(ASK, system="You know birds. " * 400)

    first, second = await model.stream(long), await model.stream(long)

    assert first.usage.cache_write > 0
    assert first.usage.cache_read == 0
    assert second.usage.cache_read == first.usage.cache_write


async def test_usage_tells_what_the_cache_keeps_for_an_hour(model: AnthropicModel) -> None:
    talk = [*ASK.messages, {"role": "assistant", "content": "Long. " * 3_000}, ASK.messages[0]]
    long = replace(ASK, system="You know birds. " * 400, messages=talk)

    usage = (await model.stream(long)).usage

    assert 0 < usage.cache_write_1h < usage.cache_write


async def test_usage_counts_the_searches_of_the_provider(
    claude: ClaudeEmulator, model: AnthropicModel
) -> None:
    found = searched("pelicans", [("https://example.com", "Pelicans")])
    claude.script.when("pelicans", Reply([*found, Text(ANSWER)]))

    reply = await model.stream(replace(ASK, server_tools=WEB_TOOLS))

    assert reply.usage.web_searches == 1


async def test_listener_hears_the_text_as_it_is_written(model: AnthropicModel) -> None:
    ears = Ears()

    await model.stream(ASK, ears)

    assert len(ears.texts) > 3
    assert "".join(ears.texts) == ANSWER


async def test_blocks_the_sdk_knows_nothing_of_are_kept_as_they_are(
    claude: ClaudeEmulator, model: AnthropicModel
) -> None:
    claude.script.rules.insert(0, lambda _request: Reply([Thinking("Hm."), Text("Yes.")]))

    reply = await model.stream(replace(ASK, model="claude-sonnet-5-5"))

    thinking = reply.content[0]
    assert thinking.keys() == {"type", "thinking", "signature"}
    assert thinking["signature"]


async def test_refusal_brings_its_explanation(
    claude: ClaudeEmulator, model: AnthropicModel
) -> None:
    claude.order(Fault(outcome="refusal"))

    reply = await model.stream(ASK)

    assert reply.stop_reason == "refusal"
    assert reply.refusal == "The emulator was told to refuse this request."


async def test_half_a_tool_call_at_the_limit_is_not_taken_for_a_whole_one(
    claude: ClaudeEmulator, model: AnthropicModel
) -> None:
    call = ToolUse("note", {"title": "Pelicans", "body": "They are large. " * 5})
    claude.script.rules.insert(0, lambda _request: Reply([call]))
    claude.order(Fault(outcome="max_tokens"))

    reply = await model.stream(ASK)

    assert reply.stop_reason == "max_tokens"
    assert [use["input"] for use in reply.tool_uses] != [call.input]


# --- requests -------------------------------------------------------------------------------------


async def test_claude_is_asked_with_cache_marks_and_without_thinking_where_it_is_quick(
    claude: ClaudeEmulator, model: AnthropicModel
) -> None:
    await model.stream(replace(ASK, server_tools=WEB_TOOLS))

    body = claude.requests[0].body
    assert body["cache_control"] == {"type": "ephemeral"}
    assert body["system"][0]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}
    assert body["thinking"] == {"type": "disabled"}
    assert body["output_config"] == {"effort": "low"}
    assert [tool["name"] for tool in body["tools"]] == ["note", "web_search", "web_fetch"]
    assert [tool.get("max_uses") for tool in body["tools"]] == [None, 5, None]
    assert "tool_choice" not in body


async def test_worker_model_thinks_as_it_likes(
    claude: ClaudeEmulator, model: AnthropicModel
) -> None:
    await model.stream(replace(ASK, model="claude-sonnet-5-5"))

    assert "thinking" not in claude.requests[0].body


async def test_last_call_forbids_tools_and_still_shows_them(
    claude: ClaudeEmulator, model: AnthropicModel
) -> None:
    await model.stream(replace(ASK, tools_allowed=False))

    body = claude.requests[0].body
    assert body["tool_choice"] == {"type": "none"}
    assert [tool["name"] for tool in body["tools"]] == ["note"]


async def test_another_providers_model_gets_the_plain_request(
    claude: ClaudeEmulator, model: AnthropicModel
) -> None:
    with pytest.raises(ModelRefused):  # the emulator has only Claude
        await model.stream(replace(ASK, model="deepseek-chat", server_tools=WEB_TOOLS))

    body = claude.requests[0].body
    assert body.keys() == {"model", "max_tokens", "messages", "system", "tools", "stream"}
    assert body["system"] == [{"type": "text", "text": "You know birds."}]
    assert [tool.keys() for tool in body["tools"]] == [{"name", "description", "input_schema"}]


async def test_key_reaches_providers_that_read_it_from_the_older_header() -> None:
    heard = asyncio.Queue[bytes]()

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.put_nowait(await reader.readuntil(b"\r\n\r\n"))
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(hear, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        model = AnthropicModel(key=KEY, base_url=f"http://127.0.0.1:{port}")
        with pytest.raises(ModelUnavailable):
            await model.stream(ASK)
        await model.close()

    head = heard.get_nowait().decode().lower()
    assert f"x-api-key: {KEY}".lower() in head
    assert f"authorization: bearer {KEY}".lower() in head


# --- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=429),
        Fault(status=500),
        Fault(status=503),
        Fault(status=529),
        Fault(status=409),
        Fault(error_after_events=4),
        Fault(error_after_events=4, error_type="api_error"),
        Fault(cut_after_bytes=400),
        Fault(end_after_events=4),
        Fault(end_after_events=0),
    ],
    ids=lambda fault: repr(changed(fault)),
)
async def test_what_waiting_may_mend_is_unavailable_and_asked_once(
    claude: ClaudeEmulator, model: AnthropicModel, fault: Fault
) -> None:
    claude.order(fault)

    with pytest.raises(ModelUnavailable) as raised:
        await model.stream(ASK)

    assert raised.value.retry_after_s is None
    assert len(claude.requests) == 1


@pytest.mark.parametrize("status", [429, 529])
@pytest.mark.parametrize(("wish_s", "carried_s"), [(900, 900), (86_400, 3_600)])
async def test_providers_wish_to_wait_is_carried_on_for_an_hour_at_most(
    claude: ClaudeEmulator, model: AnthropicModel, status: int, wish_s: int, carried_s: int
) -> None:
    claude.order(Fault(status=status, retry_after_s=wish_s))

    with pytest.raises(ModelUnavailable) as raised:
        await asyncio.wait_for(model.stream(ASK), 5)

    assert raised.value.retry_after_s == carried_s


@pytest.mark.parametrize("status", [401, 403])
async def test_wrong_key_is_refused_for_good_and_names_the_setting(
    claude: ClaudeEmulator, model: AnthropicModel, status: int
) -> None:
    claude.order(Fault(status=status))

    with pytest.raises(ModelRefused, match="ANTHROPIC_API_KEY"):
        await model.stream(ASK)


@pytest.mark.parametrize("status", [400, 402, 404, 413])
async def test_bad_request_is_refused_for_good(
    claude: ClaudeEmulator, model: AnthropicModel, status: int
) -> None:
    claude.order(Fault(status=status))

    with pytest.raises(ModelRefused, match=str(status)):
        await model.stream(ASK)


async def test_error_in_the_stream_that_is_no_outage_is_refused(
    claude: ClaudeEmulator, model: AnthropicModel
) -> None:
    claude.order(Fault(error_after_events=3, error_type="invalid_request_error"))

    with pytest.raises(ModelRefused, match="invalid_request_error"):
        await model.stream(ASK)


async def test_nobody_listening_is_unavailable() -> None:
    with socket.socket() as closed:  # bound and never listening: nobody else gets the port
        closed.bind(("127.0.0.1", 0))
        model = AnthropicModel(key=KEY, base_url=f"http://127.0.0.1:{closed.getsockname()[1]}")

        with pytest.raises(ModelUnavailable, match="cannot be reached"):
            await model.stream(ASK)

        await model.close()


async def test_no_error_shows_the_key(claude: ClaudeEmulator) -> None:
    model = AnthropicModel(key="sk-ant-wrong-1234567890", base_url=claude.base_url)

    with pytest.raises(ModelRefused) as raised:
        await model.stream(ASK)

    assert "wrong-1234567890" not in repr(raised.value) + repr(raised.value.__cause__)
    await model.close()


async def test_cancelled_request_hangs_up(claude: ClaudeEmulator, model: AnthropicModel) -> None:
    claude.order(Fault(pace_s=0.05))
    asking = asyncio.create_task(model.stream(ASK))
    await claude.wait_for(lambda records: records and records[0].status == 200)

    asking.cancel()

    assert await claude.wait_for(lambda records: records[0].hung_up, timeout_s=2)
    with pytest.raises(asyncio.CancelledError):
        await asking


# --- cost -----------------------------------------------------------------------------------------


def test_sdk_is_not_imported_before_the_first_request() -> None:
    code = (
        "import sys\nfrom bridge.agent.model import AnthropicModel\n"
        "AnthropicModel(key='sk-ant-x')\n"
        "print([name for name in ('anthropic', 'httpx2', 'pydantic') if name in sys.modules])"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )

    assert done.stdout == "[]\n"


def test_first_request_loads_no_more_of_the_sdk_than_it_needs() -> None:
    program = (
        "import asyncio, sys\nfrom bridge.agent.model import AnthropicModel, Request\n"
        "from bridge.errors import ModelUnavailable\n"
        "ask = Request(model='claude-haiku-5-5', system='', messages=[], tools=[], max_tokens=9)\n"
        "model = AnthropicModel(key='sk-ant-x', base_url='http://127.0.0.1:1')\n"
        "try: asyncio.run(model.stream(ask))\n"
        "except ModelUnavailable: pass\n"
        "print(sum(name.startswith('anthropic.') for name in sys.modules))\n"
        "print('anthropic.resources.messages' in sys.modules)\n"
        "print('anthropic.resources.beta' in sys.modules)\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30
    )

    count, messages, beta = done.stdout.split()
    assert (messages, beta) == ("True", "False")
    assert int(count) < 1_400  # all of it: 2,900


async def test_model_that_was_never_asked_closes(claude: ClaudeEmulator) -> None:
    await AnthropicModel(key=KEY, base_url=claude.base_url).close()


async def test_two_first_requests_share_one_client(
    claude: ClaudeEmulator, model: AnthropicModel
) -> None:
    first, second = await asyncio.gather(model.open(), model.open())

    assert first is second


async def test_a_history_with_thoughts_of_another_account_is_sent_without_them(
    claude: ClaudeEmulator, model: AnthropicModel
) -> None:
    thought = {"type": "thinking", "thinking": "Hm.", "signature": "bm90IG91cnM="}
    said = {"role": "assistant", "content": [thought, {"type": "text", "text": "Yes."}]}
    history = [*ASK.messages, said, *ASK.messages]

    reply = await model.stream(replace(ASK, model="claude-sonnet-5-5", messages=history))

    assert reply.content == [{"type": "text", "text": ANSWER}]
    assert [record.status for record in claude.requests] == [400, 200]
    first, second = (record.body["messages"][1]["content"] for record in claude.requests)
    assert [block["type"] for block in first] == ["thinking", "text"]
    assert [block["type"] for block in second] == ["text"]


async def test_a_refused_request_without_thoughts_is_made_once(
    claude: ClaudeEmulator, model: AnthropicModel
) -> None:
    with pytest.raises(ModelRefused):
        await model.stream(replace(ASK, messages=[{"role": "assistant", "content": "Hm"}]))

    assert len(claude.requests) == 1

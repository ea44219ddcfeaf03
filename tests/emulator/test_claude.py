"""The emulated Messages API as the real SDK sees it: streams, models, keys, cache, log."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import anthropic
import pytest
from anthropic import AsyncAnthropic, DefaultAsyncHttpxClient

from bridge.emulator.claude import KEY, ClaudeEmulator
from bridge.emulator.script import Reply, Script, Text, Thinking, ToolUse, fetched, searched

ASK: dict[str, Any] = {
    "model": "claude-haiku-5-5",
    "max_tokens": 500,
    "messages": [{"role": "user", "content": "hello"}],
}
TOOL = {"name": "note", "input_schema": {"type": "object", "properties": {}}}
HEADERS = {"x-api-key": KEY, "anthropic-version": "2026-10-21", "content-type": "application/json"}


class Hands:
    """A clock moved by hand."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
async def emulator(hands: Hands) -> AsyncIterator[ClaudeEmulator]:
    running = ClaudeEmulator(script=Script(), clock=hands)
    await running.start()
    yield running
    await running.stop()


@pytest.fixture
async def client(emulator: ClaudeEmulator) -> AsyncIterator[AsyncAnthropic]:
    # The certificates of the SDK's own client take longer to load than most tests to run.
    plain = DefaultAsyncHttpxClient(verify=False)
    sdk = AsyncAnthropic(api_key=KEY, base_url=emulator.base_url, max_retries=0, http_client=plain)
    yield sdk
    await sdk.close()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def final(client: AsyncAnthropic, **changes: Any) -> Any:
    async with client.messages.stream(**{**ASK, **changes}) as stream:
        return (await stream.get_final_message()).to_dict()


async def frames(
    emulator: ClaudeEmulator, http: aiohttp.ClientSession, **changes: Any
) -> list[tuple[str, dict[str, Any]]]:
    body = {**ASK, "stream": True, **changes}
    async with http.post(f"{emulator.base_url}/v1/messages", json=body, headers=HEADERS) as answer:
        text = await answer.text()
    pairs = [frame.split("\n") for frame in text.split("\n\n") if frame]
    return [(n.removeprefix("event: "), json.loads(d.removeprefix("data: "))) for n, d in pairs]


async def test_text_comes_back_whole_through_the_sdk(
    emulator: ClaudeEmulator, client: AsyncAnthropic
) -> None:
    emulator.script.when("hello", "Hello, how are you doing today? ⚡")

    message = await final(client)

    assert message["content"] == [{"type": "text", "text": "Hello, how are you doing today? ⚡"}]
    assert message["stop_reason"] == "end_turn"


async def test_deltas_have_the_size_the_reply_asks_for(
    emulator: ClaudeEmulator, client: AsyncAnthropic
) -> None:
    emulator.script.when("hello", Reply("abcdefgh", delta_chars=3))

    async with client.messages.stream(**ASK) as stream:
        pieces = [piece async for piece in stream.text_stream]

    assert pieces == ["abc", "def", "gh"]


async def test_a_paced_reply_takes_its_time_and_no_more(
    emulator: ClaudeEmulator, client: AsyncAnthropic
) -> None:
    emulator.script.when("hello", Reply("abcd", first_token_s=0.1, pace_s=0.05, delta_chars=1))
    loop = asyncio.get_running_loop()
    arrivals = []

    async with client.messages.stream(**ASK) as stream:
        begin = loop.time()
        async for _ in stream.text_stream:
            arrivals.append(loop.time() - begin)

    assert arrivals[0] >= 0.14
    assert 0.29 <= arrivals[-1] < 0.6


async def test_events_come_in_the_order_of_the_api(
    emulator: ClaudeEmulator, http: aiohttp.ClientSession
) -> None:
    call = ToolUse("note", {"text": "a text of some length"})
    emulator.script.when("hello", Reply([Text("One moment."), call]))

    events = await frames(emulator, http, tools=[TOOL])

    names = [name for name, _ in events]
    assert names[:3] == ["message_start", "content_block_start", "ping"]
    assert names[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert all(name == data["type"] for name, data in events)


async def test_blocks_never_interleave(
    emulator: ClaudeEmulator, http: aiohttp.ClientSession
) -> None:
    emulator.script.when("hello", Reply([Text("a" * 100), Text("b" * 100), Text("c")]))

    events = await frames(emulator, http)

    indexes = [data["index"] for _, data in events if "index" in data]
    assert indexes == sorted(indexes)


async def test_tool_input_arrives_in_pieces_of_json(
    emulator: ClaudeEmulator, client: AsyncAnthropic
) -> None:
    wanted: dict[str, Any] = {
        "acknowledgement": "Ik begin eraan.",
        "n": 3,
        "deep": {"list": [1, "é", None]},
    }
    emulator.script.when("hello", Reply([ToolUse("note", wanted)], delta_chars=10))

    async with client.messages.stream(**{**ASK, "tools": [TOOL]}) as stream:
        pieces = [e.partial_json async for e in stream if e.type == "input_json"]
        message: Any = (await stream.get_final_message()).to_dict()

    assert pieces[0] == ""
    assert len(pieces) > 3
    assert message["content"][0]["input"] == wanted
    assert message["stop_reason"] == "tool_use"


async def test_a_message_asked_whole_equals_the_streamed_one(
    emulator: ClaudeEmulator, client: AsyncAnthropic
) -> None:
    emulator.script.when("hello", Reply([Text("Yes."), ToolUse("note", {"a": 1}, id="toolu_1")]))

    streamed = await final(client, tools=[TOOL])
    whole = (await client.messages.create(**{**ASK, "tools": [TOOL]})).to_dict()

    assert {**streamed, "id": ""} == {**whole, "id": ""}


async def test_thinking_stays_hidden_unless_it_is_asked_for(
    emulator: ClaudeEmulator, client: AsyncAnthropic
) -> None:
    emulator.script.when("hello", Reply([Thinking("step by step"), Text("done")]))

    hidden = await final(client, model="claude-opus-5-5")
    shown = await final(client, thinking={"type": "adaptive", "display": "summarized"})

    assert hidden["content"][0]["thinking"] == ""
    assert hidden["content"][0]["signature"]
    assert hidden["usage"]["output_tokens_details"]["thinking_tokens"] == 3
    assert shown["content"][0]["thinking"] == "step by step"


async def test_a_model_with_thinking_off_does_not_think(
    emulator: ClaudeEmulator, client: AsyncAnthropic
) -> None:
    emulator.script.when("hello", Reply([Thinking("step by step"), Text("done")]))

    message = await final(client, thinking={"type": "disabled"})

    assert [block["type"] for block in message["content"]] == ["text"]


async def test_a_search_beyond_max_uses_fails_and_is_not_counted(
    emulator: ClaudeEmulator, client: AsyncAnthropic
) -> None:
    found = [block for _ in range(3) for block in searched("e-bikes", [("https://a.b", "T")])]
    emulator.script.when("hello", Reply([*found, *fetched("https://a.b", "T", "x"), Text("ok")]))
    tools = [
        {"type": "web_search_20260318", "name": "web_search", "max_uses": 2},
        {"type": "web_fetch_20260318", "name": "web_fetch"},
    ]

    message = await final(client, tools=tools)

    results = [b["content"] for b in message["content"] if b["type"] == "web_search_tool_result"]
    assert [isinstance(result, list) for result in results] == [True, True, False]
    error = {"type": "web_search_tool_result_error", "error_code": "max_uses_exceeded"}
    assert results[2] == error
    counts = {"web_search_requests": 2, "web_fetch_requests": 1}
    assert message["usage"]["server_tool_use"] == counts


async def test_a_search_of_the_server_comes_with_its_result(
    emulator: ClaudeEmulator, client: AsyncAnthropic
) -> None:
    found = searched("e-bikes", [("https://example.com", "E-bikes")])
    emulator.script.when("hello", Reply([*found, *fetched("https://a.b", "T", "x"), Text("ok")]))
    tools = [
        {"type": "web_search_20260318", "name": "web_search", "max_uses": 3},
        {"type": "web_fetch_20260318", "name": "web_fetch"},
    ]

    message = await final(client, tools=tools)

    kinds = [block["type"] for block in message["content"]]
    assert kinds[:3] == ["server_tool_use", "web_search_tool_result", "server_tool_use"]
    assert kinds[3:] == ["web_fetch_tool_result", "text"]
    assert message["content"][0]["input"] == {"query": "e-bikes"}
    counts = {"web_search_requests": 1, "web_fetch_requests": 1}
    assert message["usage"]["server_tool_use"] == counts
    assert message["stop_reason"] == "end_turn"


async def test_max_tokens_cuts_a_long_answer(
    emulator: ClaudeEmulator, client: AsyncAnthropic
) -> None:
    emulator.script.when("hello", "a" * 100)

    message = await final(client, max_tokens=10)

    assert message["stop_reason"] == "max_tokens"
    assert message["content"][0]["text"] == "a" * 40
    assert message["usage"]["output_tokens"] == 10


async def test_a_request_for_no_tokens_only_warms_the_cache(client: AsyncAnthropic) -> None:
    message = await final(client, max_tokens=0)

    assert message["content"] == []
    assert message["stop_reason"] == "max_tokens"


async def test_a_stop_sequence_ends_the_text_before_it(
    emulator: ClaudeEmulator, client: AsyncAnthropic
) -> None:
    emulator.script.when("hello", "one two three")

    message = await final(client, stop_sequences=["three", "two"])

    assert message["content"][0]["text"] == "one "
    assert (message["stop_reason"], message["stop_sequence"]) == ("stop_sequence", "two")


async def test_without_a_rule_the_reply_says_so(client: AsyncAnthropic) -> None:
    message = await final(client)

    assert "No rule" in message["content"][0]["text"]


async def test_a_script_that_calls_a_missing_tool_is_a_server_error(
    emulator: ClaudeEmulator, client: AsyncAnthropic
) -> None:
    emulator.script.when("hello", Reply([ToolUse("nowhere", {})]))

    with pytest.raises(anthropic.InternalServerError, match="nowhere, which is not among"):
        await final(client)


async def test_a_script_that_breaks_a_strict_schema_is_a_server_error(
    emulator: ClaudeEmulator, client: AsyncAnthropic
) -> None:
    schema = {
        "type": "object",
        "additionalProperties": False,
        "required": ["kind", "text"],
        "properties": {"kind": {"enum": ["a"]}, "text": {"type": "string"}},
    }
    emulator.script.when("hello", Reply([ToolUse("note", {"kind": "b", "more": 1})]))

    with pytest.raises(anthropic.InternalServerError, match="wrong kind, more, text"):
        await final(client, tools=[{"name": "note", "strict": True, "input_schema": schema}])


async def test_a_rule_that_raises_is_a_server_error_with_its_name(
    emulator: ClaudeEmulator, client: AsyncAnthropic
) -> None:
    emulator.script.when("hello", lambda request: Reply(str(1 // 0)))

    with pytest.raises(anthropic.InternalServerError, match="ZeroDivisionError"):
        await final(client)


async def test_every_answer_has_the_headers_of_the_api(client: AsyncAnthropic) -> None:
    async with client.messages.stream(**ASK) as stream:
        headers = stream.response.headers
        await stream.get_final_message()

    assert headers["request-id"].startswith("req_")
    assert headers["content-type"].startswith("text/event-stream")
    assert int(headers["anthropic-ratelimit-requests-remaining"]) > 0


async def test_either_key_header_is_accepted(
    emulator: ClaudeEmulator, http: aiohttp.ClientSession
) -> None:
    url = f"{emulator.base_url}/v1/messages"
    version = {"anthropic-version": "2023-06-01"}

    for key in ({"x-api-key": KEY}, {"authorization": f"Bearer {KEY}"}):
        async with http.post(url, json=ASK, headers={**version, **key}) as answer:
            assert answer.status == 200


@pytest.mark.parametrize(
    ("headers", "sentence"),
    [
        ({}, "x-api-key header is required"),
        ({"x-api-key": "wrong"}, "invalid x-api-key"),
        ({"authorization": "Bearer wrong"}, "Invalid bearer token"),
    ],
)
async def test_without_the_key_nobody_comes_in(
    emulator: ClaudeEmulator, http: aiohttp.ClientSession, headers: dict[str, str], sentence: str
) -> None:
    headers = {**headers, "anthropic-version": "2026-10-21"}

    async with http.post(f"{emulator.base_url}/v1/messages", json=ASK, headers=headers) as answer:
        body = await answer.json()

    assert answer.status == 401
    assert body["type"] == "error"
    assert body["error"] == {"type": "authentication_error", "message": sentence}
    assert body["request_id"] == answer.headers["request-id"]


async def test_the_version_header_is_required(
    emulator: ClaudeEmulator, http: aiohttp.ClientSession
) -> None:
    headers = {"x-api-key": KEY}

    async with http.post(f"{emulator.base_url}/v1/messages", json=ASK, headers=headers) as answer:
        body = await answer.json()

    assert answer.status == 400
    assert body["error"]["message"] == "anthropic-version: header is required"


async def test_models_tell_what_they_accept(client: AsyncAnthropic) -> None:
    haiku = await client.models.retrieve("claude-haiku-5-5")
    opus = await client.models.retrieve("claude-opus-5-5")

    assert haiku.max_tokens == 128_000
    assert haiku.max_input_tokens == 1_000_000
    assert haiku.capabilities and haiku.capabilities.thinking.types.disabled.supported
    assert opus.capabilities and not opus.capabilities.thinking.types.disabled.supported


async def test_an_unknown_model_is_not_found(client: AsyncAnthropic) -> None:
    with pytest.raises(anthropic.NotFoundError):
        await client.models.retrieve("claude-none")
    with pytest.raises(anthropic.NotFoundError):
        await final(client, model="claude-none")


async def test_models_can_be_listed(client: AsyncAnthropic) -> None:
    ids = [model.id async for model in client.models.list()]

    assert {"claude-haiku-5-5", "claude-sonnet-5-5", "claude-opus-5-5"} <= set(ids)


async def test_counted_tokens_equal_those_of_the_request(client: AsyncAnthropic) -> None:
    prompt: dict[str, Any] = {
        "messages": [{"role": "user", "content": "x" * 400}],
        "system": "y" * 200,
    }

    counted = await client.messages.count_tokens(model="claude-haiku-5-5", **prompt)
    message = await final(client, **prompt)

    assert counted.input_tokens == message["usage"]["input_tokens"]
    assert 150 <= counted.input_tokens <= 200


async def test_an_address_that_does_not_exist_is_a_json_404(
    emulator: ClaudeEmulator, http: aiohttp.ClientSession
) -> None:
    async with http.get(f"{emulator.base_url}/v2/other", headers=HEADERS) as answer:
        body = await answer.json()

    assert answer.status == 404
    assert body["error"]["type"] == "not_found_error"


def paid(message: dict[str, Any]) -> tuple[int, int]:
    usage = message["usage"]
    return usage["cache_creation_input_tokens"], usage["cache_read_input_tokens"]


async def test_a_marked_prompt_is_written_once_and_then_read(client: AsyncAnthropic) -> None:
    system = [{"type": "text", "text": "s" * 4000, "cache_control": {"type": "ephemeral"}}]

    first = paid(await final(client, system=system))
    second = paid(await final(client, system=system))

    assert first[0] > 1000 and first[1] == 0
    assert second == (0, first[0])


async def test_the_parts_of_the_account_add_up_to_the_prompt(client: AsyncAnthropic) -> None:
    system = [{"type": "text", "text": "s" * 4000, "cache_control": {"type": "ephemeral"}}]
    long: Any = [{"role": "user", "content": "m" * 800}]

    usage = (await final(client, system=system, messages=long))["usage"]
    count = await client.messages.count_tokens(
        model="claude-haiku-5-5", system="s" * 4000, messages=long
    )

    assert usage["input_tokens"] > 200
    assert usage["input_tokens"] + usage["cache_creation_input_tokens"] == count.input_tokens


async def test_a_growing_conversation_reads_what_it_wrote(client: AsyncAnthropic) -> None:
    mark = {"type": "ephemeral"}
    talk = [{"role": "user", "content": "a" * 4000}]

    first = paid(await final(client, messages=talk, cache_control=mark))
    talk += [{"role": "assistant", "content": "b" * 400}, {"role": "user", "content": "c" * 400}]
    second = paid(await final(client, messages=talk, cache_control=mark))

    assert second[1] == first[0]
    assert 200 <= second[0] <= 250


async def test_a_changed_system_prompt_misses_the_cache(client: AsyncAnthropic) -> None:
    mark = {"type": "ephemeral"}

    await final(client, system="s" * 4000, cache_control=mark)
    written, read = paid(await final(client, system="s" * 3999 + "t", cache_control=mark))

    assert read == 0
    assert written > 1000


async def test_a_short_prompt_is_not_cached(client: AsyncAnthropic) -> None:
    mark = {"type": "ephemeral"}

    await final(client, system="s" * 1900, cache_control=mark)
    account = paid(await final(client, system="s" * 1900, cache_control=mark))

    assert account == (0, 0)


@pytest.mark.parametrize(("ttl", "lives_s"), [("5m", 300), ("1h", 3600)])
async def test_a_cache_entry_lives_as_long_as_its_mark_says(
    client: AsyncAnthropic, hands: Hands, ttl: str, lives_s: int
) -> None:
    mark = {"type": "ephemeral", "ttl": ttl}

    await final(client, system="s" * 4000, cache_control=mark)
    hands.now_s += lives_s - 1
    kept = paid(await final(client, system="s" * 4000, cache_control=mark))
    hands.now_s += lives_s - 1
    renewed = paid(await final(client, system="s" * 4000, cache_control=mark))
    hands.now_s += lives_s + 1
    gone = paid(await final(client, system="s" * 4000, cache_control=mark))

    assert kept[1] > 1000 and renewed[1] > 1000
    assert gone[1] == 0


async def test_an_hour_is_not_shortened_by_a_later_mark(
    client: AsyncAnthropic, hands: Hands
) -> None:
    hour, minutes = {"type": "ephemeral", "ttl": "1h"}, {"type": "ephemeral", "ttl": "5m"}

    await final(client, system="s" * 4000, cache_control=hour)
    await final(client, system="s" * 4000, cache_control=minutes)
    hands.now_s += 400
    account = paid(await final(client, system="s" * 4000, cache_control=minutes))

    assert account[1] > 1000


async def test_a_longer_prompt_keeps_the_shorter_one_alive(
    client: AsyncAnthropic, hands: Hands
) -> None:
    mark = {"type": "ephemeral"}
    marked = [{"type": "text", "text": "s" * 4000, "cache_control": mark}]

    await final(client, system=marked)
    hands.now_s += 200
    longer = paid(await final(client, system="s" * 4000, cache_control=mark))
    hands.now_s += 200
    again = paid(await final(client, system=marked))

    assert longer[1] > 1000
    assert again == (0, longer[1])


async def test_writes_are_told_apart_by_their_ttl(client: AsyncAnthropic) -> None:
    hour = {"type": "ephemeral", "ttl": "1h"}
    system = [{"type": "text", "text": "s" * 4000, "cache_control": hour}]
    talk = [{"role": "user", "content": "m" * 2000}]

    message = await final(
        client, system=system, messages=talk, cache_control={"type": "ephemeral", "ttl": "5m"}
    )

    creation = message["usage"]["cache_creation"]
    assert creation["ephemeral_1h_input_tokens"] > 1000
    assert 500 <= creation["ephemeral_5m_input_tokens"] < 600


async def test_another_tool_choice_keeps_the_system_cached_and_loses_the_messages(
    client: AsyncAnthropic,
) -> None:
    mark = {"type": "ephemeral"}
    system = [{"type": "text", "text": "s" * 4000, "cache_control": mark}]
    talk = [{"role": "user", "content": "m" * 4000}]
    same = {"system": system, "messages": talk, "tools": [TOOL], "cache_control": mark}

    await final(client, **same)
    written, read = paid(await final(client, **same, tool_choice={"type": "none"}))

    assert 1000 <= read < 1100
    assert written > 900


async def test_a_request_is_logged_without_its_key(
    emulator: ClaudeEmulator, client: AsyncAnthropic
) -> None:
    await final(client)

    (record,) = emulator.requests
    assert record.body["messages"] == ASK["messages"]
    assert record.size > 50
    assert (record.status, record.stop_reason, record.finished) == (200, "end_turn", True)
    assert KEY not in json.dumps(record.json())


async def test_a_refused_request_is_logged_with_its_reason(
    emulator: ClaudeEmulator, client: AsyncAnthropic
) -> None:
    with pytest.raises(anthropic.BadRequestError):
        await final(client, max_tokens=-1)

    (record,) = emulator.requests
    assert record.status == 400
    assert record.error and "max_tokens" in record.error


async def test_waiting_for_a_request_is_woken_by_it(
    emulator: ClaudeEmulator, client: AsyncAnthropic
) -> None:
    waiting = asyncio.create_task(emulator.wait_for(lambda r: [x for x in r if x.finished], 5))

    await final(client)

    assert (await waiting)[0].stop_reason == "end_turn"


async def test_waiting_for_what_does_not_come_times_out(emulator: ClaudeEmulator) -> None:
    with pytest.raises(TimeoutError):
        await emulator.wait_for(bool, timeout_s=0.01)


async def test_a_caller_that_hangs_up_is_noted(
    emulator: ClaudeEmulator, client: AsyncAnthropic
) -> None:
    emulator.script.when("hello", Reply("abc", delta_chars=1, pace_s=0.05, first_token_s=30))

    async with client.messages.stream(**ASK) as stream:
        async for _ in stream:
            break
    records = await emulator.wait_for(lambda r: r if r[-1].finished else None, 5)

    assert records[-1].hung_up
    assert records[-1].stop_reason is None


async def test_the_log_is_read_over_http_from_a_number_on(
    emulator: ClaudeEmulator, client: AsyncAnthropic, http: aiohttp.ClientSession
) -> None:
    await final(client)
    await final(client, system="second")

    async with http.get(f"{emulator.base_url}/emulator/requests?since=1") as answer:
        records = await answer.json()

    assert [(r["seq"], r["body"]["system"]) for r in records] == [(2, "second")]


async def test_the_log_over_http_can_be_waited_on(
    emulator: ClaudeEmulator, client: AsyncAnthropic, http: aiohttp.ClientSession
) -> None:
    async def newer() -> list[Any]:
        url = f"{emulator.base_url}/emulator/requests?since=0&wait_s=5"
        async with http.get(url) as answer:
            return list(await answer.json())

    waiting = asyncio.create_task(newer())
    await final(client)

    assert [record["seq"] for record in await waiting] == [1]


async def test_the_log_keeps_a_bounded_number_of_bytes(
    emulator: ClaudeEmulator, client: AsyncAnthropic
) -> None:
    for _ in range(12):
        await client.messages.create(**{**ASK, "system": "x" * 3_000_000})

    assert len(emulator.requests) < 12
    assert sum(record.size for record in emulator.requests) <= 32 * 1024 * 1024


async def test_parallel_requests_get_their_own_answers(
    emulator: ClaudeEmulator, client: AsyncAnthropic
) -> None:
    emulator.script.when(lambda request: True, lambda r: Reply(f"to {r.last_user_text}"))

    async def ask(n: int) -> str:
        messages = [{"role": "user", "content": f"number {n}"}]
        return str((await final(client, messages=messages))["content"][0]["text"])

    assert await asyncio.gather(*map(ask, range(40))) == [f"to number {n}" for n in range(40)]


async def test_a_restarted_emulator_has_its_old_address_and_script(hands: Hands) -> None:
    emulator = ClaudeEmulator(script=Script([lambda r: Reply("yes")]), clock=hands)
    await emulator.start()
    port = int(emulator.base_url.rsplit(":", 1)[1])
    await emulator.stop()
    await emulator.start(port=port)

    async with AsyncAnthropic(api_key=KEY, base_url=emulator.base_url, max_retries=0) as client:
        message = await final(client)

    await emulator.stop()
    assert message["content"][0]["text"] == "yes"


async def test_it_runs_alone_and_prints_one_json_line() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bridge.emulator.claude", "--key", "k", stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    line = json.loads(await process.stdout.readline())

    async with AsyncAnthropic(api_key="k", base_url=line["base_url"], max_retries=0) as client:
        message = await final(client)
    process.terminate()

    assert message["content"][0]["text"].startswith("Hello!")
    assert await process.wait() == 0

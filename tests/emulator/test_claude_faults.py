"""Faults ordered from the emulated Messages API, as the real SDK meets them."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import anthropic
import httpx2
import pytest
from anthropic import AsyncAnthropic, DefaultAsyncHttpxClient

from bridge.emulator.claude import KEY, ClaudeEmulator
from bridge.emulator.claude_faults import Fault
from bridge.emulator.script import Reply, Script, Text, ToolUse

ASK: dict[str, Any] = {
    "model": "claude-haiku-5-5",
    "max_tokens": 500,
    "messages": [{"role": "user", "content": "hello"}],
}
NOTE = {"name": "note", "input_schema": {"type": "object", "properties": {}}}
SEARCH = {"type": "web_search_20260318", "name": "web_search"}
ANSWER = "A long enough answer to be cut into a good many pieces."


@pytest.fixture
async def emulator() -> AsyncIterator[ClaudeEmulator]:
    running = ClaudeEmulator(script=Script([lambda request: Reply(ANSWER, delta_chars=8)]))
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


async def final(client: AsyncAnthropic, **changes: Any) -> dict[str, Any]:
    async with client.messages.stream(**{**ASK, **changes}) as stream:
        message: dict[str, Any] = (await stream.get_final_message()).to_dict()
        return message


def saying(words: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": words}]}


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (400, anthropic.BadRequestError, "invalid_request_error"),
        (401, anthropic.AuthenticationError, "authentication_error"),
        (429, anthropic.RateLimitError, "rate_limit_error"),
        (500, anthropic.InternalServerError, "api_error"),
        (503, anthropic.InternalServerError, "api_error"),
        (529, anthropic.InternalServerError, "overloaded_error"),
    ],
)
async def test_a_status_comes_as_the_error_the_sdk_knows(
    emulator: ClaudeEmulator,
    client: AsyncAnthropic,
    status: int,
    error: type[anthropic.APIStatusError],
    kind: str,
) -> None:
    emulator.order(Fault(status=status))

    with pytest.raises(error) as raised:
        await final(client)

    assert (raised.value.status_code, raised.value.type) == (status, kind)
    assert raised.value.request_id


async def test_an_error_type_and_sentence_can_be_chosen(
    emulator: ClaudeEmulator, client: AsyncAnthropic
) -> None:
    emulator.order(Fault(status=402, error_type="billing_error", message="No credit left."))

    with pytest.raises(anthropic.APIStatusError, match="No credit left") as raised:
        await final(client)

    assert raised.value.type == "billing_error"


async def test_retry_after_goes_along_as_a_header(
    emulator: ClaudeEmulator, client: AsyncAnthropic
) -> None:
    emulator.order(Fault(status=429, retry_after_s=60))

    with pytest.raises(anthropic.RateLimitError) as raised:
        await final(client)

    assert raised.value.response.headers["retry-after"] == "60"


async def test_a_fault_is_used_up_after_its_times(
    emulator: ClaudeEmulator, client: AsyncAnthropic
) -> None:
    emulator.order(Fault(times=2, status=529))

    for _ in range(2):
        with pytest.raises(anthropic.InternalServerError):
            await final(client)

    assert (await final(client))["stop_reason"] == "end_turn"


async def test_a_fault_meets_only_requests_that_contain_its_text(
    emulator: ClaudeEmulator, client: AsyncAnthropic
) -> None:
    emulator.order(Fault(match="job 7 ⚡", status=500))

    assert (await final(client, **saying("job 8 ⚡")))["stop_reason"] == "end_turn"
    with pytest.raises(anthropic.InternalServerError):
        await final(client, **saying("job 7 ⚡"))


async def test_a_wrong_key_uses_up_no_fault(emulator: ClaudeEmulator) -> None:
    emulator.order(Fault(status=500))
    stranger = AsyncAnthropic(api_key="wrong", base_url=emulator.base_url, max_retries=0)

    with pytest.raises(anthropic.AuthenticationError):
        await final(stranger)
    await stranger.close()
    friend = AsyncAnthropic(api_key=KEY, base_url=emulator.base_url, max_retries=0)
    with pytest.raises(anthropic.InternalServerError):
        await final(friend)
    await friend.close()


async def test_an_error_in_the_stream_has_status_200_and_its_type(
    emulator: ClaudeEmulator, client: AsyncAnthropic
) -> None:
    emulator.order(Fault(error_after_events=4))

    with pytest.raises(anthropic.APIStatusError) as raised:
        await final(client)

    assert (raised.value.status_code, raised.value.type) == (200, "overloaded_error")


async def test_a_cut_connection_is_no_error_of_the_sdk(
    emulator: ClaudeEmulator, client: AsyncAnthropic
) -> None:
    emulator.order(Fault(cut_after_bytes=900))

    with pytest.raises(httpx2.RemoteProtocolError):
        await final(client)


async def test_a_cut_leaves_exactly_the_ordered_bytes(emulator: ClaudeEmulator) -> None:
    emulator.order(Fault(cut_after_bytes=700))
    headers = {"x-api-key": KEY, "anthropic-version": "2026-10-21"}
    body = {**ASK, "stream": True}
    got = bytearray()

    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{emulator.base_url}/v1/messages", json=body, headers=headers) as answer,
    ):
        with pytest.raises(aiohttp.ClientPayloadError):
            async for chunk in answer.content.iter_any():
                got += chunk

    assert len(got) == 700


async def test_a_whole_answer_can_be_cut_too(
    emulator: ClaudeEmulator, client: AsyncAnthropic
) -> None:
    emulator.order(Fault(cut_after_bytes=20))

    with pytest.raises((anthropic.APIConnectionError, httpx2.RemoteProtocolError)):
        await client.messages.create(**ASK)


async def test_an_early_end_looks_like_success_without_a_stop_reason(
    emulator: ClaudeEmulator, client: AsyncAnthropic
) -> None:
    emulator.order(Fault(end_after_events=5))

    message = await final(client)

    assert message["stop_reason"] is None
    assert message["content"][0]["text"] == ANSWER[:16]
    assert emulator.requests[0].stop_reason is None


async def test_a_delay_comes_before_the_first_byte(
    emulator: ClaudeEmulator, client: AsyncAnthropic
) -> None:
    emulator.order(Fault(delay_s=0.2))
    begin = asyncio.get_running_loop().time()

    async with client.messages.stream(**ASK):
        opened = asyncio.get_running_loop().time()

    assert opened - begin >= 0.2


async def test_a_stall_falls_silent_in_mid_stream(
    emulator: ClaudeEmulator, client: AsyncAnthropic
) -> None:
    emulator.order(Fault(stall_after_events=5))
    got = []

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3), client.messages.stream(**ASK) as stream:
            async for piece in stream.text_stream:
                got.append(piece)
    (record,) = await emulator.wait_for(lambda r: r if r[0].finished else None, 5)

    assert "".join(got) == ANSWER[:16]
    assert record.hung_up


async def test_a_held_request_waits_for_its_release(
    emulator: ClaudeEmulator, client: AsyncAnthropic
) -> None:
    emulator.order(Fault(hold="gate", match="hold me"))
    held = asyncio.create_task(final(client, **saying("hold me")))
    await emulator.wait_for(lambda records: [r for r in records if r.body], 5)

    other = await final(client)
    still_held = not held.done()
    emulator.release("gate")

    assert other["stop_reason"] == "end_turn"
    assert still_held
    assert (await held)["stop_reason"] == "end_turn"


async def test_clearing_releases_and_forgets(
    emulator: ClaudeEmulator, client: AsyncAnthropic
) -> None:
    emulator.order(Fault(hold="gate"))
    emulator.order(Fault(status=500))
    held = asyncio.create_task(final(client))
    await emulator.wait_for(lambda records: [r for r in records if r.body], 5)

    emulator.clear_faults()

    assert (await held)["stop_reason"] == "end_turn"
    assert (await final(client))["stop_reason"] == "end_turn"


async def test_a_slow_pace_can_be_ordered(emulator: ClaudeEmulator, client: AsyncAnthropic) -> None:
    emulator.order(Fault(pace_s=0.05, first_token_s=0.1))
    begin = asyncio.get_running_loop().time()

    await final(client)

    assert asyncio.get_running_loop().time() - begin >= 0.1 + 7 * 0.05


async def test_a_refusal_has_its_details(emulator: ClaudeEmulator, client: AsyncAnthropic) -> None:
    emulator.order(Fault(outcome="refusal"))

    message = await final(client)

    assert message["stop_reason"] == "refusal"
    assert message["content"] == []
    assert message["stop_details"]["category"] == "general_harms"


async def test_max_tokens_cuts_the_json_of_a_tool_call(
    emulator: ClaudeEmulator, client: AsyncAnthropic
) -> None:
    call = ToolUse("note", {"title": "Flights", "instructions": "Look for flights to Oslo."})
    emulator.script.when("hello", Reply([Text("One moment."), call]))
    emulator.order(Fault(outcome="max_tokens"))

    message = await final(client, tools=[NOTE])

    assert message["stop_reason"] == "max_tokens"
    assert message["content"][1]["input"]["title"] == "Flights"
    assert message["content"][1]["input"] != call.input


async def test_a_paused_turn_is_sent_back_and_goes_on_with_its_result(
    emulator: ClaudeEmulator, client: AsyncAnthropic
) -> None:
    emulator.order(Fault(outcome="pause_turn"))
    talk: list[Any] = [*ASK["messages"]]

    paused = await final(client, tools=[SEARCH], messages=talk)
    talk.append({"role": "assistant", "content": paused["content"]})
    message = await final(client, tools=[SEARCH], messages=talk)
    talk.append({"role": "assistant", "content": message["content"]})
    talk.append({"role": "user", "content": "and more"})
    later = await final(client, tools=[SEARCH], messages=talk)

    assert paused["stop_reason"] == "pause_turn"
    kinds = [block["type"] for block in message["content"]]
    assert kinds == ["web_search_tool_result", "text"]
    assert message["content"][0]["tool_use_id"] == paused["content"][0]["id"]
    assert later["stop_reason"] == "end_turn"


async def test_a_turn_can_be_paused_twice(emulator: ClaudeEmulator, client: AsyncAnthropic) -> None:
    emulator.order(Fault(times=2, outcome="pause_turn"))
    talk: list[Any] = [*ASK["messages"]]

    for _ in range(2):
        paused = await final(client, messages=talk)
        talk.append({"role": "assistant", "content": paused["content"]})

    assert (await final(client, messages=talk))["stop_reason"] == "end_turn"


async def test_faults_are_ordered_released_and_cleared_over_http(
    emulator: ClaudeEmulator, client: AsyncAnthropic
) -> None:
    async with aiohttp.ClientSession(emulator.base_url) as http:
        for fault in ({"status": 429, "retry_after_s": 2.5}, {"hold": "gate"}):
            async with http.post("/emulator/fault", json=fault) as answer:
                assert answer.status == 200
        with pytest.raises(anthropic.RateLimitError) as raised:
            await final(client)
        held = asyncio.create_task(final(client))
        await emulator.wait_for(lambda r: len(r) == 2 and r[1].body, 5)
        async with http.post("/emulator/release", json={"name": "gate"}) as answer:
            assert await answer.json() == {"ok": True}
        async with http.post("/emulator/clear") as answer:
            assert answer.status == 200

    assert raised.value.response.headers["retry-after"] == "2.5"
    assert (await held)["stop_reason"] == "end_turn"


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ({"statuss": 500}, "statuss: a fault has no such field"),
        ({"status": "500"}, "status: expected int"),
        ({"outcome": "crash"}, "outcome: 'crash' is none of"),
        ({"stall_s": []}, "stall_s: expected float"),
        ([], "a fault is a JSON object"),
    ],
)
async def test_a_fault_that_does_not_exist_is_refused(
    emulator: ClaudeEmulator, fault: Any, sentence: str
) -> None:
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{emulator.base_url}/emulator/fault", json=fault) as answer,
    ):
        body = await answer.json()

    assert answer.status == 400
    assert sentence in body["error"]


async def test_stopping_does_not_count_as_hanging_up(
    emulator: ClaudeEmulator, client: AsyncAnthropic
) -> None:
    emulator.order(Fault(hold="for ever"))
    held = asyncio.create_task(final(client))
    await emulator.wait_for(lambda records: [r for r in records if r.body], 5)

    await emulator.stop()

    with pytest.raises((anthropic.APIConnectionError, httpx2.HTTPError)):
        await held
    assert not emulator.requests[0].hung_up

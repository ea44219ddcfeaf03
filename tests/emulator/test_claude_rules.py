"""What the emulated Messages API refuses, in the API's words."""

import base64
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import anthropic
import pytest
from anthropic import AsyncAnthropic, DefaultAsyncHttpxClient

from bridge.emulator.claude import KEY, ClaudeEmulator
from bridge.emulator.script import Block, Reply, Script, Text, Thinking, ToolUse

ASK: dict[str, Any] = {
    "model": "claude-haiku-5-5",
    "max_tokens": 500,
    "messages": [{"role": "user", "content": "hello"}],
}
HEADERS = {"x-api-key": KEY, "anthropic-version": "2026-10-21", "content-type": "application/json"}
SCHEMA: dict[str, Any] = {"type": "object", "properties": {}}
TOOL: dict[str, Any] = {"name": "note", "input_schema": SCHEMA}
EPHEMERAL = {"type": "ephemeral"}


@pytest.fixture
async def emulator() -> AsyncIterator[ClaudeEmulator]:
    running = ClaudeEmulator(script=Script([lambda request: Reply("fine")]))
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


async def send(client: AsyncAnthropic, **changes: Any) -> dict[str, Any]:
    body = {**ASK, **changes}
    async with client.messages.stream(
        model=body["model"],
        max_tokens=body["max_tokens"],
        messages=body["messages"],
        extra_body={k: v for k, v in body.items() if k not in ASK},
    ) as stream:
        message: dict[str, Any] = (await stream.get_final_message()).to_dict()
        return message


async def refusal(client: AsyncAnthropic, **changes: Any) -> str:
    with pytest.raises(anthropic.BadRequestError) as refused:
        await send(client, **changes)
    assert refused.value.type == "invalid_request_error"
    body: Any = refused.value.body
    return str(body["error"]["message"])


def user(*content: Any) -> dict[str, Any]:
    return {"role": "user", "content": [text(c) if isinstance(c, str) else c for c in content]}


def model(*content: Any) -> dict[str, Any]:
    return {**user(*content), "role": "assistant"}


def system(words: str) -> dict[str, Any]:
    return {"role": "system", "content": words}


def text(words: str, **fields: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **fields}


def call(call_id: str, name: str = "note") -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id, "name": name, "input": {}}


def result(call_id: str, **fields: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": call_id, "content": "ok", **fields}


def search(call_id: str) -> dict[str, Any]:
    return {"type": "server_tool_use", "id": call_id, "name": "web_search", "input": {}}


def found(call_id: str) -> dict[str, Any]:
    return {"type": "web_search_tool_result", "tool_use_id": call_id, "content": []}


def strict(schema: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"name": "note", "strict": True, "input_schema": schema}]


OPEN = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
CLOSED = {**OPEN, "additionalProperties": False}

FIELDS: list[tuple[str, dict[str, Any], str]] = [
    ("temperature", {"temperature": 1.0}, "`temperature` is not supported on this version"),
    ("top_p", {"top_p": 0.9}, "`top_p` is not supported on this version"),
    ("top_k", {"top_k": 5}, "`top_k` is not supported on this version"),
    ("an unknown field", {"colour": "red"}, "colour: Extra inputs are not permitted"),
    ("a beta field", {"thread": {}}, "thread: Extra inputs are not permitted"),
    ("too many tokens", {"max_tokens": 128_001}, "128001 > 128000"),
    ("a negative max_tokens", {"max_tokens": -1}, "greater than or equal to 0"),
    ("max_tokens as text", {"max_tokens": "5"}, "max_tokens: Input should be a valid integer"),
    ("a truth as max_tokens", {"max_tokens": True}, "max_tokens: Input should be a valid integer"),
    ("no messages", {"messages": []}, "at least one message is required"),
    ("a null tools list", {"tools": None}, "tools: Input should be a valid list"),
    ("a system prompt without text", {"system": [text("")]}, "system.0.text: text content"),
    ("an image as system prompt", {"system": [{"type": "image"}]}, "not permitted in `system`"),
    ("unknown metadata", {"metadata": {"name": "x"}}, "metadata.name: Extra inputs"),
    ("an empty stop sequence", {"stop_sequences": [" "]}, "non-whitespace"),
    ("an unknown effort", {"output_config": {"effort": "huge"}}, "output_config.effort"),
    (
        "a loose output schema",
        {"output_config": {"format": {"type": "json_schema", "schema": OPEN}}},
        "'additionalProperties' must be explicitly set to false",
    ),
]

THINKING: list[tuple[str, dict[str, Any], str]] = [
    (
        "thinking switched off on opus",
        {"model": "claude-opus-5-5", "thinking": {"type": "disabled"}},
        '"thinking.type.disabled" is not supported for this model',
    ),
    (
        "thinking switched off on sonnet",
        {"model": "claude-sonnet-5-5", "thinking": {"type": "disabled"}},
        "Supported: adaptive, between_tools",
    ),
    (
        "thinking with a budget",
        {"thinking": {"type": "enabled", "budget_tokens": 2000}},
        '"thinking.type.enabled" is not supported for this model',
    ),
    (
        "a budget over max_tokens on an old model",
        {
            "model": "claude-haiku-4-5",
            "thinking": {"type": "enabled", "budget_tokens": 2000},
        },
        "`max_tokens` must be greater than `thinking.budget_tokens`",
    ),
    (
        "thinking off at the highest effort",
        {"thinking": {"type": "disabled"}, "output_config": {"effort": "max"}},
        "cannot be combined with effort `max`",
    ),
    ("an unknown thinking type", {"thinking": {"type": "deep"}}, "Input tag 'deep'"),
]

TOOLS: list[tuple[str, dict[str, Any], str]] = [
    ("two tools of one name", {"tools": [TOOL, TOOL]}, "Tool names must be unique"),
    ("a space in a name", {"tools": [{**TOOL, "name": "a b"}]}, "^[a-zA-Z0-9_-]{1,64}$"),
    ("a name of 65 characters", {"tools": [{**TOOL, "name": "a" * 65}]}, "should match pattern"),
    ("a tool without a schema", {"tools": [{"name": "a"}]}, "input_schema: Field required"),
    (
        "a schema that is no object",
        {"tools": [{"name": "a", "input_schema": {"type": "string"}}]},
        "input_schema.type: Input should be 'object'",
    ),
    ("an unknown tool field", {"tools": [{**TOOL, "id": 1}]}, "tools.0.custom.id: Extra inputs"),
    ("an unknown tool type", {"tools": [{"type": "x_1", "name": "x"}]}, "Input tag 'x_1'"),
    (
        "a server tool by another name",
        {"tools": [{"type": "web_search_20260318", "name": "find"}]},
        "Input should be 'web_search'",
    ),
    (
        "a server tool that may never be used",
        {"tools": [{"type": "web_search_20260318", "name": "web_search", "max_uses": 0}]},
        "max_uses: Input should be greater than 0",
    ),
    (
        "a client tool with a server tool's name",
        {
            "tools": [
                {"type": "web_search_20260318", "name": "web_search"},
                {**TOOL, "name": "web_search"},
            ]
        },
        "Tool names must be unique",
    ),
    (
        "allowed and blocked domains at once",
        {
            "tools": [
                {
                    "type": "web_search_20260318",
                    "name": "web_search",
                    "allowed_domains": ["a.b"],
                    "blocked_domains": ["c.d"],
                }
            ]
        },
        "Cannot specify both",
    ),
    ("a strict tool that is open", {"tools": strict(OPEN)}, "'additionalProperties' must be"),
    (
        "a strict tool without required",
        {"tools": strict({k: v for k, v in CLOSED.items() if k != "required"})},
        "'required' must be given",
    ),
    (
        "a strict tool that is open inside",
        {"tools": strict({**CLOSED, "properties": {"a": {"type": "array", "items": OPEN}}})},
        "'additionalProperties' must be",
    ),
    (
        "a strict tool with bounds",
        {"tools": strict({**CLOSED, "properties": {"a": {"type": "integer", "minimum": 1}}})},
        "For 'integer' type, properties minimum are not supported",
    ),
    ("a choice without tools", {"tool_choice": {"type": "auto"}}, "while providing `tools`"),
    (
        "the choice of an unknown tool",
        {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "x"}},
        "Tool 'x' not found",
    ),
    (
        "a forced tool on sonnet",
        {"model": "claude-sonnet-5-5", "tools": [TOOL], "tool_choice": {"type": "any"}},
        "'any' is not supported on this model",
    ),
    (
        "a forced tool on opus",
        {
            "model": "claude-opus-5-5",
            "tools": [TOOL],
            "tool_choice": {"type": "tool", "name": "note"},
        },
        "'tool' is not supported on this model",
    ),
    (
        "a forced tool while thinking",
        {"tools": [TOOL], "tool_choice": {"type": "any"}, "thinking": {"type": "adaptive"}},
        "Thinking may not be enabled",
    ),
]

ASKED = [user("go"), model(call("t1"))]
CONVERSATIONS: list[tuple[str, list[dict[str, Any]], str]] = [
    ("the model speaks first", [model("hi"), user("x")], 'first message must use the "user" role'),
    ("prefill", [user("x"), model("The")], "does not support assistant message prefill"),
    ("an unknown role", [{"role": "bot", "content": "x"}], 'Unexpected role "bot"'),
    ("an empty content", [{"role": "user", "content": ""}], "must have non-empty content"),
    ("an empty block list", [{"role": "user", "content": []}], "must have non-empty content"),
    ("an empty text", [user("")], "text content blocks must be non-empty"),
    ("a text of spaces", [user("  ")], "must contain non-whitespace text"),
    ("an unknown block", [user({"type": "video"})], "Input tag 'video'"),
    ("a field too many", [user(text("x", parsed_output=None))], "parsed_output: Extra inputs"),
    ("a name in a message", [{**user("x"), "name": "Ann"}], "messages.0.name: Extra inputs"),
    (
        "a document from the model",
        [user("x"), model({"type": "document", "source": {}}), user("y")],
        "`document` blocks are not permitted in `assistant` messages",
    ),
    (
        "citations from the user",
        [user(text("x", citations=[{"type": "char_location"}]))],
        "citations are only permitted in assistant messages",
    ),
    (
        "a tool call by the user",
        [user(call("t1"))],
        "`tool_use` blocks are not permitted in `user`",
    ),
    (
        "an image that is no base64",
        [
            user(
                {
                    "type": "image",
                    "source": {"type": "base64", "media_type": "image/png", "data": "*"},
                }
            )
        ],
        "invalid base64 data",
    ),
    ("an unanswered call", [*ASKED, user("x")], "found without `tool_result` blocks immediately"),
    ("a call at the end", ASKED, "`tool_use` ids were found without"),
    (
        "one of two calls unanswered",
        [user("x"), model(call("t1"), call("t2")), user(result("t1"))],
        "immediately after: t2.",
    ),
    (
        "text before the results",
        [*ASKED, user("here:", result("t1"))],
        "`tool_result` blocks must come first",
    ),
    (
        "text after a call",
        [user("x"), model(call("t1"), "so."), user(result("t1"))],
        "No other block may follow",
    ),
    ("a result without a call", [user(result("t9"))], "unexpected `tool_use_id` found"),
    (
        "a result of an older call",
        [*ASKED, user(result("t1")), model("ok"), user(result("t1"))],
        "unexpected `tool_use_id` found in `tool_result` blocks: t1",
    ),
    (
        "two results for one call",
        [*ASKED, user(result("t1"), result("t1"))],
        "each tool_use must have a single result",
    ),
    (
        "one id used twice",
        [*ASKED, user(result("t1")), model(call("t1")), user(result("t1"))],
        "`tool_use` ids must be unique",
    ),
    (
        "an id with a blank",
        [user("x"), model(call("t 1")), user(result("t 1"))],
        "String should match pattern",
    ),
    (
        "a result whose error is no truth",
        [*ASKED, user(result("t1", is_error="yes"))],
        "is_error: Input should be a valid boolean",
    ),
    (
        "a block in a result that does not belong there",
        [*ASKED, user({**result("t1"), "content": [call("t2")]})],
        "Input tag 'tool_use'",
    ),
    (
        "a search without its result",
        [user("x"), model(search("srvtoolu_1"), "so."), user("y")],
        "`web_search` tool use with id `srvtoolu_1` was found without a corresponding",
    ),
    (
        "a search result without its search",
        [user("x"), model(found("srvtoolu_1"), "so."), user("y")],
        "unexpected `tool_use_id` found in `web_search_tool_result` blocks",
    ),
    ("a system message first", [system("x"), user("y")], "use the top-level 'system' parameter"),
    (
        "a system message after the model",
        [user("x"), model("y"), system("z")],
        "role 'system' must follow a 'user' message",
    ),
    (
        "a system message before the user",
        [user("x"), system("z"), user("y")],
        "role 'system' must precede an 'assistant' message or end the array",
    ),
    (
        "thinking that nobody signed",
        [
            user("x"),
            model({"type": "thinking", "thinking": "", "signature": "c2ln"}, "y"),
            user("z"),
        ],
        "messages.1.content.0: Invalid `signature` in `thinking` block",
    ),
    (
        "a message that ends in thinking",
        [user("x"), model({"type": "thinking", "thinking": "", "signature": "x"}), user("z")],
        "The final block in an assistant message cannot be `thinking`",
    ),
]

MARKS: list[tuple[str, dict[str, Any], str]] = [
    (
        "five marks",
        {
            "system": [text(str(n), cache_control=EPHEMERAL) for n in range(3)],
            "tools": [{**TOOL, "cache_control": EPHEMERAL}],
            "cache_control": EPHEMERAL,
        },
        "A maximum of 4 blocks with cache_control may be provided. Found 5.",
    ),
    (
        "an hour after five minutes",
        {
            "system": [text("a", cache_control=EPHEMERAL)],
            "messages": [user(text("b", cache_control={**EPHEMERAL, "ttl": "1h"}))],
        },
        "must not come after a ttl='5m'",
    ),
    ("an unknown mark", {"cache_control": {"type": "forever"}}, "Input should be 'ephemeral'"),
    (
        "a mark on an empty text",
        {"system": [text("", cache_control=EPHEMERAL)]},
        "cache_control cannot be set for empty text blocks",
    ),
]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        pytest.param(changes, sentence, id=name)
        for name, changes, sentence in [*FIELDS, *THINKING, *TOOLS, *MARKS]
    ],
)
async def test_it_refuses_a_request_with(
    client: AsyncAnthropic, changes: dict[str, Any], sentence: str
) -> None:
    assert sentence in await refusal(client, **changes)


@pytest.mark.parametrize(
    ("messages", "sentence"),
    [pytest.param(messages, sentence, id=name) for name, messages, sentence in CONVERSATIONS],
)
async def test_it_refuses_a_conversation_with(
    client: AsyncAnthropic, messages: list[dict[str, Any]], sentence: str
) -> None:
    assert sentence in await refusal(client, messages=messages)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param(
            {"tools": [TOOL], "tool_choice": {"type": "any"}}, id="a forced tool on haiku"
        ),
        pytest.param({"thinking": {"type": "disabled"}}, id="thinking switched off on haiku"),
        pytest.param(
            {"model": "claude-sonnet-5-5", "thinking": {"type": "between_tools"}},
            id="thinking between tools on sonnet",
        ),
        pytest.param(
            {"model": "claude-opus-5-5", "tools": [TOOL], "tool_choice": {"type": "none"}},
            id="tool choice none on opus",
        ),
        pytest.param({"tools": strict(CLOSED)}, id="a strict tool that is closed"),
        pytest.param({"messages": [user("a"), user("b")]}, id="two user messages in a row"),
        pytest.param(
            {"messages": [*ASKED, user(result("t1")), user("and?")]},
            id="a text in a second message after the results",
        ),
        pytest.param(
            {"messages": [*ASKED, user(result("t1", content=[text("x")]), "and?")]},
            id="a text after the results",
        ),
        pytest.param(
            {"messages": [*ASKED, user({"type": "tool_result", "tool_use_id": "t1"})]},
            id="a result without content",
        ),
        pytest.param(
            {"messages": [user("x"), system("be brief"), model("y"), user("z")]},
            id="a system message before the model's",
        ),
        pytest.param(
            {"messages": [user("x"), system("be brief")]}, id="a system message at the end"
        ),
        pytest.param(
            {"messages": [user("x"), model(search("srvtoolu_1"))]},
            id="a paused search sent back as it was",
        ),
        pytest.param(
            {
                "messages": [
                    user(
                        {
                            "type": "image",
                            "source": {
                                "type": "base64",
                                "media_type": "image/png",
                                "data": base64.b64encode(b"\x89PNG\r\n\x1a\n").decode(),
                            },
                        }
                    )
                ]
            },
            id="an image",
        ),
        pytest.param({"messages": [user(text("x", citations=None))]}, id="null citations"),
        pytest.param({"output_config": {"effort": "low"}}, id="an effort"),
    ],
)
async def test_it_accepts(client: AsyncAnthropic, changes: dict[str, Any]) -> None:
    message = await send(client, **changes)

    assert message["stop_reason"] == "end_turn"


async def test_an_old_model_takes_no_system_messages(client: AsyncAnthropic) -> None:
    messages = [user("x"), system("be brief")]

    sentence = await refusal(client, model="claude-haiku-4-5", messages=messages)

    assert "role 'system' is not supported on this model" in sentence


@pytest.mark.parametrize("missing", ["model", "messages", "max_tokens"])
async def test_a_required_field_is_named_when_it_is_missing(
    emulator: ClaudeEmulator, missing: str
) -> None:
    body = {key: value for key, value in ASK.items() if key != missing}

    status, error = await post(emulator, json.dumps(body).encode())

    assert (status, error["message"]) == (400, f"{missing}: Field required")


async def post(emulator: ClaudeEmulator, body: bytes) -> tuple[int, dict[str, Any]]:
    url = f"{emulator.base_url}/v1/messages"
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, data=io.BytesIO(body), headers=HEADERS) as answer,
    ):
        return answer.status, (await answer.json())["error"]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"{", id="half an object"),
        pytest.param(b'{"model": "\xff"}', id="bytes that are no UTF-8"),
        pytest.param(b'{"max_tokens": NaN}', id="a number that is none"),
        pytest.param(b'{"model": "\\ud83d"}', id="half a surrogate pair"),
        pytest.param(b'{"model": "\\udc4d\\ud83d"}', id="a surrogate pair the wrong way round"),
        pytest.param(b"[" * 100_000, id="nesting without end"),
    ],
)
async def test_a_body_that_is_no_json_is_refused(emulator: ClaudeEmulator, body: bytes) -> None:
    status, error = await post(emulator, body)

    assert status == 400
    assert error["message"].startswith("The request body is not valid JSON")


async def test_an_escaped_surrogate_pair_is_valid(emulator: ClaudeEmulator) -> None:
    body = b'{"model":"claude-none \\ud83d\\udc4d \\\\ud83d","max_tokens":1,"messages":[]}'

    status, error = await post(emulator, body)

    assert (status, error["message"]) == (404, "model: claude-none 👍 \\ud83d")


async def test_a_body_over_32_megabytes_is_too_large(emulator: ClaudeEmulator) -> None:
    status, error = await post(emulator, b" " * (32 * 1024 * 1024 + 1))

    assert (status, error["type"]) == (413, "request_too_large")


async def test_a_prompt_over_the_context_window_is_refused(client: AsyncAnthropic) -> None:
    sentence = await refusal(client, model="claude-haiku-4-5", system="x" * 900_000)

    assert "prompt is too long" in sentence


async def test_a_beta_the_emulator_does_not_speak_is_named(client: AsyncAnthropic) -> None:
    with pytest.raises(anthropic.BadRequestError, match="does not speak this beta"):
        await client.beta.messages.create(
            **ASK, compaction={"type": "summarize"}, betas=["compact-2026-09-04"]
        )


async def test_count_tokens_takes_no_max_tokens(emulator: ClaudeEmulator) -> None:
    url = f"{emulator.base_url}/v1/messages/count_tokens"
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, json=ASK, headers=HEADERS) as answer,
    ):
        body = await answer.json()

    assert body["error"]["message"] == "max_tokens: Extra inputs are not permitted"


class Thought:
    """A finished turn of a thinking worker, ready to be continued."""

    def __init__(self, client: AsyncAnthropic, sonnet: str = "claude-sonnet-5-5") -> None:
        self.client = client
        self.body: dict[str, Any] = {
            "model": sonnet,
            "system": [text("You work.")],
            "tools": [TOOL],
            "messages": [user("think about it")],
        }

    async def begin(self) -> "Thought":
        message = await send(self.client, **self.body)
        self.body["messages"].append(model(*message["content"]))
        self.body["messages"].append(user(result(message["content"][-1]["id"])))
        return self


@pytest.fixture
async def thought(emulator: ClaudeEmulator, client: AsyncAnthropic) -> Thought:
    def think(request: Any) -> Reply:
        said: list[Block] = [
            Thinking("one"),
            Text("so"),
            Thinking("two"),
            ToolUse("note", {"b": 1, "a": "é"}),
        ]
        return Reply("done") if request.turn else Reply(said)

    emulator.script.when("think", think)
    return await Thought(client).begin()


async def test_signed_thinking_is_accepted_as_it_was(thought: Thought) -> None:
    message = await send(thought.client, **thought.body)

    assert message["content"] == [text("done")]


async def test_another_spelling_of_the_same_prefix_is_accepted(thought: Thought) -> None:
    body = thought.body
    body["system"] = "You work."
    body["messages"][0] = {"role": "user", "content": "think about it"}
    body["messages"][1]["content"][1]["citations"] = None
    body["cache_control"] = EPHEMERAL

    message = await send(thought.client, **body)

    assert message["content"] == [text("done")]


async def test_thinking_left_out_altogether_is_accepted(thought: Thought) -> None:
    said = thought.body["messages"][1]
    said["content"] = [block for block in said["content"] if block["type"] != "thinking"]

    message = await send(thought.client, **thought.body)

    assert message["content"] == [text("done")]


async def test_thinking_of_another_model_is_left_out_silently(thought: Thought) -> None:
    thought.body["model"] = "claude-opus-5-5"
    thought.body["system"] = "Work another way."

    message = await send(thought.client, **thought.body)

    assert message["content"] == [text("done")]


@pytest.mark.parametrize(
    ("part", "path", "value"),
    [
        pytest.param("system", ("system", 0, "text"), "You rest.", id="the system prompt"),
        pytest.param("tools", ("tools", 0, "description"), "new", id="a tool's description"),
        pytest.param("messages", ("messages", 0, "content"), [text("x")], id="an old message"),
    ],
)
async def test_thinking_under_a_changed_prefix_is_refused(
    thought: Thought, part: str, path: tuple[Any, ...], value: Any
) -> None:
    place: Any = thought.body
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value

    sentence = await refusal(thought.client, **thought.body)

    assert "messages.1.content.0: Invalid `signature` in `thinking` block." in sentence
    assert f"`{part}`" in sentence


async def test_one_thinking_block_left_out_between_others_is_refused(thought: Thought) -> None:
    del thought.body["messages"][1]["content"][0]

    sentence = await refusal(thought.client, **thought.body)

    assert "messages.1.content.1: Invalid `signature`" in sentence


async def test_a_changed_thinking_text_is_refused(thought: Thought) -> None:
    thought.body["messages"][1]["content"][0]["thinking"] = "three"

    sentence = await refusal(thought.client, **thought.body)

    assert sentence == "messages.1.content.0: Invalid `signature` in `thinking` block"


async def continued(emulator: ClaudeEmulator, thought: Thought) -> dict[str, Any]:
    """The conversation one turn of thinking later."""
    emulator.script.when("think", Reply([Thinking("again"), Text("and on")]))
    body = thought.body
    body["messages"].append(model(*(await send(thought.client, **body))["content"]))
    body["messages"].append(user("go on"))
    return body


async def test_the_caller_of_a_call_may_be_left_out(
    emulator: ClaudeEmulator, thought: Thought
) -> None:
    body = await continued(emulator, thought)
    del body["messages"][1]["content"][3]["caller"]

    message = await send(thought.client, **body)

    assert message["content"] == [text("fine")]


async def test_a_changed_tool_input_before_later_thinking_is_refused(
    emulator: ClaudeEmulator, thought: Thought
) -> None:
    body = await continued(emulator, thought)
    body["messages"][1]["content"][3]["input"] = {"a": "é", "b": 1}

    sentence = await refusal(thought.client, **body)

    assert "messages.3.content.0" in sentence
    assert "`messages`" in sentence

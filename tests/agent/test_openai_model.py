"""OpenAI's Responses API through its SDK: what goes out, and what each stream becomes.

The server speaks the wire format of the API: server-sent events with a `type` in each, a
`sequence_number`, and whole objects at the end.
"""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from bridge.agent.model import Request
from bridge.agent.openai_model import OpenAIModel
from bridge.agent.tool import Tool
from bridge.errors import ModelRefused, ModelUnavailable

NOTE = Tool(
    name="note",
    description="Write it down.",
    properties={"text": {"type": "string"}, "where": {"type": "string"}},
    optional=("where",),
)
ASK = Request(
    model="gpt-x",
    system="You know birds.",
    messages=[{"role": "user", "content": [{"type": "text", "text": "Pelicans?"}]}],
    tools=[NOTE.to_api()],
    max_tokens=500,
)
USAGE = {
    "input_tokens": 100,
    "input_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 0},
    "output_tokens": 20,
    "output_tokens_details": {"reasoning_tokens": 5},
    "total_tokens": 120,
}


def message(*parts: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "status": "completed",
        "content": list(parts),
    }


def text(words: str) -> dict[str, Any]:
    return {"type": "output_text", "text": words, "annotations": []}


def call(arguments: str = '{"text": "x"}') -> dict[str, Any]:
    return {
        "type": "function_call",
        "id": "fc_1",
        "call_id": "call_1",
        "name": "note",
        "arguments": arguments,
        "status": "completed",
    }


def response(*output: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": "gpt-x",
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "output": list(output),
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": USAGE,
        **changes,
    }


class Server:
    """Answers each request with the events it was given, or with an error."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.error: tuple[int, dict[str, Any], dict[str, str]] | None = None
        self.asked: list[dict[str, Any]] = []
        self.heads: list[dict[str, str]] = []
        self.base_url = ""

    def says(self, *output: dict[str, Any], kind: str = "completed", **changes: Any) -> None:
        """End with this response; its texts come in pieces before."""
        for item in output:
            for part in item.get("content", ()):
                for piece in part.get("text", "").partition(" "):
                    self.events.append(
                        {
                            "type": "response.output_text.delta",
                            "item_id": "msg_1",
                            "output_index": 0,
                            "content_index": 0,
                            "delta": piece,
                            "logprobs": [],
                        }
                    )
        self.events.append({"type": f"response.{kind}", "response": response(*output, **changes)})

    async def handle(self, request: web.Request) -> web.StreamResponse:
        assert request.path == "/v1/responses"
        self.asked.append(await request.json())
        self.heads.append(dict(request.headers))
        if self.error is not None:
            status, body, headers = self.error
            return web.json_response({"error": body}, status=status, headers=headers)
        stream = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await stream.prepare(request)
        created = {"type": "response.created", "response": response(status="in_progress")}
        for number, event in enumerate([created, *self.events]):
            data = json.dumps({**event, "sequence_number": number})
            await stream.write(f"event: {event['type']}\ndata: {data}\n\n".encode())
        return stream


class Ears:
    def __init__(self) -> None:
        self.texts: list[str] = []

    def text(self, delta: str) -> None:
        self.texts.append(delta)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    app = web.Application()
    app.router.add_post("/{path:.*}", made.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


@pytest.fixture
async def model(server: Server) -> AsyncIterator[OpenAIModel]:
    opened = OpenAIModel(key="key-1", base_url=server.base_url)
    yield opened
    await opened.close()


async def test_text_comes_back_whole_and_is_heard_as_it_is_written(
    server: Server, model: OpenAIModel
) -> None:
    server.says(message(text("They are large.")))
    ears = Ears()

    reply = await model.stream(ASK, ears)

    assert reply.content == [{"type": "text", "text": "They are large."}]
    assert reply.stop_reason == "end_turn"
    assert "".join(ears.texts) == "They are large."
    assert len(ears.texts) > 1


async def test_what_was_read_from_the_cache_is_counted_once(
    server: Server, model: OpenAIModel
) -> None:
    server.says(message(text("Yes.")))

    usage = (await model.stream(ASK)).usage

    assert (usage.input_tokens, usage.cache_read, usage.output_tokens) == (40, 60, 20)


async def test_a_request_has_what_the_api_wants(server: Server, model: OpenAIModel) -> None:
    server.says(message(text("Yes.")))

    await model.stream(ASK)

    (body,) = server.asked
    schema = NOTE.to_api()["input_schema"]
    assert body == {
        "model": "gpt-x",
        "instructions": "You know birds.",
        "input": [
            {
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text", "text": "Pelicans?"}],
            }
        ],
        "max_output_tokens": 500,
        "store": False,
        "stream": True,
        "tools": [
            {
                "type": "function",
                "name": "note",
                "description": "Write it down.",
                "parameters": schema,
                "strict": False,
            }
        ],
    }
    assert server.heads[0]["Authorization"] == "Bearer key-1"


async def test_a_history_is_translated_item_by_item(server: Server, model: OpenAIModel) -> None:
    server.says(message(text("Yes.")))
    png = {"type": "base64", "media_type": "image/png", "data": "QQ=="}
    pdf = {"type": "base64", "media_type": "application/pdf", "data": "QQ=="}
    history: list[dict[str, Any]] = [
        {"role": "user", "content": "Look"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Hm.", "signature": "s"},
                {"type": "text", "text": "I note it."},
                {"type": "tool_use", "id": "t1", "name": "note", "input": {"text": "x"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "t1", "content": "Noted."},
                {"type": "image", "source": png},
                {"type": "document", "source": pdf, "title": "a.pdf"},
                {"type": "text", "text": "And?"},
            ],
        },
    ]

    await model.stream(replace(ASK, messages=history, tools_allowed=False))

    (body,) = server.asked
    assert body["tool_choice"] == "none"
    assert body["input"][1:] == [
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "I note it."}],
        },
        {"type": "function_call", "call_id": "t1", "name": "note", "arguments": '{"text": "x"}'},
        {"type": "function_call_output", "call_id": "t1", "output": "Noted."},
        {
            "type": "message",
            "role": "user",
            "content": [
                {
                    "type": "input_image",
                    "image_url": "data:image/png;base64,QQ==",
                    "detail": "auto",
                },
                {
                    "type": "input_file",
                    "filename": "a.pdf",
                    "file_data": "data:application/pdf;base64,QQ==",
                },
                {"type": "input_text", "text": "And?"},
            ],
        },
    ]


async def test_a_call_is_one_of_ours(server: Server, model: OpenAIModel) -> None:
    server.says(message(text("I note it.")), call())

    reply = await model.stream(ASK)

    assert reply.stop_reason == "tool_use"
    assert reply.tool_uses == [
        {"type": "tool_use", "id": "call_1", "name": "note", "input": {"text": "x"}}
    ]


async def test_a_reply_that_was_cut_is_said_to_be(server: Server, model: OpenAIModel) -> None:
    why = {"reason": "max_output_tokens"}
    server.says(call('{"te'), kind="incomplete", status="incomplete", incomplete_details=why)

    assert (await model.stream(ASK)).stop_reason == "max_tokens"


async def test_a_refusal_is_one(server: Server, model: OpenAIModel) -> None:
    server.says(message({"type": "refusal", "refusal": "I would rather not."}))

    reply = await model.stream(ASK)

    assert (reply.stop_reason, reply.refusal) == ("refusal", "I would rather not.")


async def test_a_stream_that_ends_early_is_a_failure(server: Server, model: OpenAIModel) -> None:
    server.says(message(text("They are")))
    server.events.pop()

    with pytest.raises(ModelUnavailable, match="broke off"):
        await model.stream(ASK)


@pytest.mark.parametrize(
    ("code", "error"),
    [("server_error", ModelUnavailable), ("invalid_prompt", ModelRefused)],
)
async def test_a_response_that_failed_is_an_error_of_ours(
    server: Server, model: OpenAIModel, code: str, error: type[Exception]
) -> None:
    server.says(kind="failed", status="failed", error={"code": code, "message": "No."})

    with pytest.raises(error, match=code):
        await model.stream(ASK)


async def test_an_error_in_the_stream_is_one_of_ours(server: Server, model: OpenAIModel) -> None:
    server.events = [{"type": "error", "code": "server_error", "message": "No.", "param": None}]

    with pytest.raises(ModelUnavailable):
        await model.stream(ASK)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (429, ModelUnavailable),
        (503, ModelUnavailable),
        (400, ModelRefused),
        (401, ModelRefused),
    ],
)
async def test_each_status_is_an_error_of_ours(
    server: Server, model: OpenAIModel, status: int, error: type[Exception]
) -> None:
    server.error = (status, {"message": "No.", "type": "x", "code": None}, {"retry-after": "7"})

    with pytest.raises(error) as raised:
        await model.stream(ASK)

    assert len(server.asked) == 1  # whoever calls tries again, not the SDK
    assert getattr(raised.value, "retry_after_s", 7.0) == 7.0


async def test_nobody_there_is_a_failure_that_passes() -> None:
    model = OpenAIModel(key="key-1", base_url="http://127.0.0.1:9")

    with pytest.raises(ModelUnavailable, match="cannot be reached"):
        await model.stream(ASK)
    await model.close()

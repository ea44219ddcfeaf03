"""OpenAI's Responses API: a thin layer that speaks as the Messages API does.

A conversation stays in the form of the Messages API, in the database and everywhere else; here it
is translated, one request at a time. Nothing is kept at OpenAI (`store` is false). The only module
that imports openai, and only when the first request is made; it is the extra `openai`.
"""

import json
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from bridge.agent.model import (
    IDLE_TIMEOUT_S,
    Block,
    Listener,
    ModelOfSDK,
    Reply,
    Request,
    failure,
    status_failure,
)
from bridge.agent.on_demand import gather_on_demand
from bridge.errors import ConfigError, ModelRefused, ModelUnavailable
from bridge.prices import Meter, Usage

if TYPE_CHECKING:
    from openai import AsyncOpenAI


class OpenAIModel(ModelOfSDK["AsyncOpenAI"]):
    """Models of OpenAI. `base_url` is that of the Messages API's form: without /v1."""

    async def _ask(self, request: Request, listener: Listener | None, meter: Meter) -> Reply:
        client = await self.open()
        started = time.perf_counter()
        import httpx2
        import openai

        ended: Any = None
        try:
            async with await client.responses.create(**_parameters(request), stream=True) as stream:
                meter.begun = True
                async for event in stream:
                    if event.type.endswith(".delta"):
                        meter.hear(str(event.delta))
                    if event.type == "response.output_text.delta" and listener is not None:
                        listener.text(event.delta)
                    elif event.type in ("response.completed", "response.incomplete"):
                        ended = event.response
                    elif event.type == "response.failed":
                        raise _failed(event.response.error)
        except openai.APIStatusError as error:
            raise status_failure(error) from error
        except (openai.APIConnectionError, httpx2.HTTPError) as error:
            name = type(error).__name__
            raise ModelUnavailable(f"The model provider cannot be reached ({name}).") from error
        except openai.APIError as error:  # an `error` event in the stream
            raise _failed(error) from error
        if ended is None:
            raise ModelUnavailable("The model provider broke off in the middle of a reply.")
        return _reply(ended, round((time.perf_counter() - started) * 1000))

    def _connect(self) -> "AsyncOpenAI":
        gather_on_demand("openai")
        try:
            import httpx2
            import openai
        except ImportError:
            raise ConfigError(
                "The provider is OpenAI and its package is not installed: "
                "run `pip install 'kitt-bridge[openai]'`."
            ) from None
        return openai.AsyncOpenAI(
            api_key=self._key,
            base_url=f"{self._base_url.rstrip('/')}/v1" if self._base_url else None,
            max_retries=0,
            timeout=httpx2.Timeout(IDLE_TIMEOUT_S, connect=5.0),
        )


def _parameters(request: Request) -> dict[str, Any]:
    parameters: dict[str, Any] = {
        "model": request.model,
        "instructions": request.system,
        "input": [item for message in request.messages for item in _items(message)],
        "max_output_tokens": max(16, request.max_tokens),  # it takes no less
        "store": False,
    }
    if request.tools:
        parameters["tools"] = [_tool(tool) for tool in request.tools]
        if not request.tools_allowed:
            parameters["tool_choice"] = "none"
    return parameters


def _tool(tool: Block) -> Block:
    said = {"name": tool["name"], "description": tool["description"]}
    # Its strict schemas have no optional fields.
    return {"type": "function", **said, "parameters": tool["input_schema"], "strict": False}


def _items(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """One message of ours as their items: calls and results stand beside the messages."""
    content = message["content"]
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    said: list[dict[str, Any]] = []
    kind = "output_text" if message["role"] == "assistant" else "input_text"
    for block in blocks:
        if block["type"] == "tool_use":
            yield from _said(message["role"], said)
            said = []
            call = {"call_id": block["id"], "name": block["name"]}
            yield {"type": "function_call", **call, "arguments": json.dumps(block["input"])}
        elif block["type"] == "tool_result":
            output = {"call_id": block["tool_use_id"], "output": _text(block["content"])}
            yield {"type": "function_call_output", **output}
        elif block["type"] == "text":
            said.append({"type": kind, "text": block["text"]})
        elif block["type"] in ("image", "document"):
            said.append(_file(block))
    yield from _said(message["role"], said)


def _said(role: str, content: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    if content:
        yield {"type": "message", "role": role, "content": content}


def _file(block: Block) -> dict[str, Any]:
    source = block["source"]
    data = f"data:{source['media_type']};base64,{source['data']}"
    if block["type"] == "image":
        return {"type": "input_image", "image_url": data, "detail": "auto"}
    return {"type": "input_file", "filename": block.get("title") or "file.pdf", "file_data": data}


def _text(content: str | list[Block]) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(str(part["text"]) for part in content if part.get("type") == "text")


def _reply(response: Any, latency_ms: int) -> Reply:
    content: list[Block] = []
    refusal = ""
    for item in response.output:
        if item.type == "function_call":
            content.append(_call(item))
        for part in item.content if item.type == "message" else ():
            if part.type == "output_text":
                content.append({"type": "text", "text": part.text})
            else:
                refusal = part.refusal
    why = response.incomplete_details.reason if response.incomplete_details else None
    stop_reason = "tool_use" if any(b["type"] == "tool_use" for b in content) else "end_turn"
    if refusal or why == "content_filter":
        stop_reason = "refusal"
    elif response.status == "incomplete":
        stop_reason = "max_tokens"
    usage = _usage(response.usage, latency_ms)
    return Reply(content=content, stop_reason=stop_reason, refusal=refusal, usage=usage)


def _call(item: Any) -> Block:
    try:
        given = json.loads(item.arguments)
    except ValueError:  # cut off; the loop drops it with the rest of such a reply
        given = {}
    return {"type": "tool_use", "id": item.call_id, "name": item.name, "input": given}


def _usage(told: Any, latency_ms: int) -> Usage:
    if told is None:
        return Usage(latency_ms=latency_ms)
    cached = told.input_tokens_details.cached_tokens or 0
    return Usage(
        input_tokens=told.input_tokens - cached,
        cache_read=cached,
        output_tokens=told.output_tokens,
        latency_ms=latency_ms,
    )


def _failed(error: Any) -> ModelUnavailable | ModelRefused:
    code = str(getattr(error, "code", None) or "")
    return failure(200, code, transient=code in ("server_error", "rate_limit_exceeded"))

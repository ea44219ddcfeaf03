"""The model provider: one streamed request, its reply, and its errors in our words.

The only module that imports anthropic: only when the first request is made, which an idle process
does without, and only the part that a request needs (docs/adr/0011). No retries here; whoever calls
knows whether a person is waiting. A stream that ends early is a failure, never a finished turn: the
SDK gives back half a tool call without raising (measured with 2.12.0).
"""

import asyncio
import gc
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from bridge.agent.on_demand import gather_on_demand
from bridge.agent.providers import Provider, portable, provider_at, without_thoughts
from bridge.budgets import SEARCHES
from bridge.errors import ModelRefused, ModelUnavailable
from bridge.prices import Meter, Usage

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic

log = logging.getLogger(__name__)
Block = dict[str, Any]
Paying = Callable[[str], AbstractAsyncContextManager[Meter]]
TRANSIENT_TYPES = {"overloaded_error", "api_error", "rate_limit_error", "timeout_error"}
TRANSIENT_STATUS = {408, 409, 429}
CONTENT_STATUS = {200, 400, 413, 422}  # what a request is refused with for its content
RETRY_AFTER_MAX_S = 3600.0  # nobody is believed who asks for more
IDLE_TIMEOUT_S = 120.0  # a provider that says nothing for so long has gone


@asynccontextmanager
async def free(_model: str) -> AsyncIterator[Meter]:
    """Nobody's money."""
    yield Meter(Usage())


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request; `server_tools` are run by the provider, where it has them.

    `paying` is entered with the model's name each time it is sent, however often that is.
    """

    model: str
    system: str
    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]]
    max_tokens: int
    server_tools: tuple[str, ...] = ()
    searches: int = SEARCHES  # that the provider may make
    tools_allowed: bool = True
    effort: str = ""  # where the provider takes it; empty = what suits the model
    paying: Paying = free


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A whole reply. `content` holds the blocks exactly as the provider made them."""

    content: list[Block]
    stop_reason: str
    usage: Usage = field(default_factory=Usage)
    refusal: str = ""
    by: str = ""  # the model that wrote it, when it was not the one that was asked

    @property
    def tool_uses(self) -> list[Block]:
        """The tools the model asked for."""
        return [block for block in self.content if block.get("type") == "tool_use"]


class Listener(Protocol):
    """Hears a reply while it is written."""

    def text(self, delta: str) -> None:
        """More of the answer."""


class Model(Protocol):
    """Anything that can answer a request."""

    async def stream(self, request: Request, listener: Listener | None = None) -> Reply:
        """Ask and wait for the whole reply.

        Raises: ModelUnavailable, ModelRefused, and what `request.paying` raises: BudgetUsedUp.
        """

    async def close(self) -> None:
        """Close connections."""


class Closable(Protocol):
    """The client of an SDK."""

    async def close(self) -> None:
        """Close connections."""


Client = TypeVar("Client", bound=Closable)


class ModelOfSDK(Generic[Client]):
    """A provider behind its SDK, which is imported with the first request."""

    def __init__(self, *, key: str, base_url: str = "") -> None:
        self._key = key
        self._base_url = base_url
        self._client: Client | None = None
        self._opening = asyncio.Lock()

    async def stream(self, request: Request, listener: Listener | None = None) -> Reply:
        """Ask and wait for the whole reply. Raises: ModelUnavailable, ModelRefused."""
        async with request.paying(request.model) as meter:
            reply = await self._ask(request, listener, meter)
            meter.usage = reply.usage
        return reply

    async def open(self) -> Client:
        """The client; it is made in a thread, so that the loop goes on. Raises: ConfigError."""
        async with self._opening:
            if self._client is None:
                self._client = await asyncio.to_thread(self._connect)
        return self._client

    async def close(self) -> None:
        """Close connections."""
        if self._client is not None:
            await self._client.close()
            self._client = None

    def _connect(self) -> Client:
        raise NotImplementedError

    async def _ask(self, request: Request, listener: Listener | None, meter: Meter) -> Reply:
        raise NotImplementedError


class AnthropicModel(ModelOfSDK["AsyncAnthropic"]):
    """The Messages API of Anthropic, or of a provider that speaks it."""

    def __init__(self, *, key: str, base_url: str = "", provider: str = "") -> None:
        super().__init__(key=key, base_url=base_url)
        self._provider = provider

    async def stream(self, request: Request, listener: Listener | None = None) -> Reply:
        """Ask and wait for the whole reply. Raises: ModelUnavailable, ModelRefused.

        Thoughts in the history are bound to an account and to all that stood before them. A request
        that is refused is made once more without them: a conversation must survive another key.
        """
        try:
            return await super().stream(request, listener)
        except ModelRefused as error:
            plain = without_thoughts(request.messages)
            bad = getattr(error.__cause__, "status_code", None) == 400
            if not bad or plain == request.messages:
                raise
            log.warning("%s Once more without the thoughts in it", error)
        return await super().stream(replace(request, messages=plain), listener)

    async def _ask(self, request: Request, listener: Listener | None, meter: Meter) -> Reply:
        client = await self.open()
        started = time.perf_counter()
        import anthropic
        import httpx2

        provider = provider_at(self._base_url, request.model, self._provider)
        parameters = {**_parameters(request, provider), "extra_headers": self._headers(provider)}
        try:
            async with client.messages.stream(**parameters) as stream:
                meter.begun = True
                begun = False  # without a first event the SDK has no message to give
                async for event in stream:
                    begun = True
                    _heard(event, meter)
                    if listener is not None and event.type == "text":
                        listener.text(event.text)
                message = await stream.get_final_message() if begun else None
        except anthropic.APIStatusError as error:
            raise status_failure(error) from error
        except (anthropic.APIConnectionError, httpx2.HTTPError) as error:
            raise ModelUnavailable(
                f"The model provider cannot be reached ({type(error).__name__})."
            ) from error
        if message is None or message.stop_reason is None:
            raise ModelUnavailable("The model provider broke off in the middle of a reply.")
        latency_ms = round((time.perf_counter() - started) * 1000)
        return Reply(
            content=[block.to_dict() for block in message.content],
            stop_reason=str(message.stop_reason),
            usage=_usage(message.usage, latency_ms),
            refusal=str(getattr(message.stop_details, "explanation", "") or "")
            if message.stop_reason == "refusal"
            else "",
        )

    def _connect(self) -> "AsyncAnthropic":
        # A thousand modules that stay for good: collecting among them costs a fifth of the import,
        # and later a pause in the middle of an answer.
        gather_on_demand("anthropic")
        gc.disable()
        try:
            import anthropic
            import httpx2
        finally:
            gc.freeze()
            gc.enable()

        return anthropic.AsyncAnthropic(
            api_key=self._key,
            base_url=self._base_url or None,
            max_retries=0,
            timeout=httpx2.Timeout(IDLE_TIMEOUT_S, connect=5.0),
        )

    def _headers(self, provider: Provider) -> dict[str, str]:
        key = {"x-api-key": self._key} if provider.x_api_key else {}
        return {**key, "anthropic-version": provider.version} if provider.version else key


def _parameters(request: Request, provider: Provider) -> dict[str, Any]:
    """The request in the words of the provider: no more than it is known to take."""
    plain = provider.needs_plain_history()
    tools = list(request.tools)
    system: list[Block] = [{"type": "text", "text": request.system}]
    parameters: dict[str, Any] = {
        "model": request.model,
        "max_tokens": request.max_tokens,
        "messages": portable(request.messages) if plain else request.messages,
        "system": system,
    }
    if provider.cache:
        system[-1]["cache_control"] = {"type": "ephemeral", "ttl": "1h"}
        parameters["cache_control"] = {"type": "ephemeral"}
    small = "haiku" in request.model  # who waits for it needs no thoughts
    if small and provider.thinking:
        parameters["thinking"] = {"type": "disabled"}
    if provider.effort and (effort := request.effort or ("low" if small else "")):
        parameters["output_config"] = {"effort": effort}
    if not provider.strict:
        core = ("name", "description", "input_schema")
        tools = [{key: tool[key] for key in core} for tool in tools]
    theirs = [kind for kind in request.server_tools if kind in provider.server_tools]
    tools += [_server_tool(kind, request.searches) for kind in theirs]
    if tools:
        parameters["tools"] = tools
        if not request.tools_allowed:
            parameters["tool_choice"] = {"type": "none"}
    return parameters


def _server_tool(kind: str, searches: int) -> dict[str, Any]:
    """A tool of the provider. Searches are paid for one by one, so there is an end to them."""
    name = kind.rpartition("_")[0]
    limit = {"max_uses": searches} if name == "web_search" else {}
    return {"type": kind, "name": name, **limit}


def _heard(event: Any, meter: Meter) -> None:
    """Its first event tells what the provider has read; the others are what it does then."""
    if event.type == "message_start":
        meter.usage = _usage(event.message.usage, 0)
    elif event.type == "content_block_delta":
        for name, part in event.delta.to_dict().items():
            meter.hear(part if isinstance(part, str) and name != "type" else "")
    elif event.type == "content_block_start" and event.content_block.type == "server_tool_use":
        searches = meter.usage.web_searches + (event.content_block.name == "web_search")
        meter.usage = replace(meter.usage, web_searches=searches)


def _usage(told: Any, latency_ms: int) -> Usage:
    """What the provider has counted; other than Anthropic's may leave out what they do not have."""
    one_hour = getattr(told.cache_creation, "ephemeral_1h_input_tokens", None)
    searches = getattr(told.server_tool_use, "web_search_requests", None)
    return Usage(
        input_tokens=told.input_tokens,
        output_tokens=told.output_tokens,
        cache_read=told.cache_read_input_tokens or 0,
        cache_write=told.cache_creation_input_tokens or 0,
        cache_write_1h=one_hour or 0,
        web_searches=searches or 0,
        latency_ms=latency_ms,
    )


def status_failure(error: Any) -> ModelUnavailable | ModelRefused:
    """An error of an SDK in our words: anthropic's and openai's have the same fields."""
    retry_after_s = _retry_after(error.response.headers.get("retry-after"))
    return failure(int(error.status_code), str(error.type or ""), retry_after_s=retry_after_s)


def failure(
    status: int, kind: str, *, transient: bool = False, retry_after_s: float | None = None
) -> ModelUnavailable | ModelRefused:
    """By status and type, never by text: an error inside a stream has status 200."""
    waiting_helps = kind in TRANSIENT_TYPES or status in TRANSIENT_STATUS or status >= 500
    if transient or waiting_helps:
        return ModelUnavailable(
            f"The model provider is not available now ({kind or status}).",
            retry_after_s=retry_after_s,
        )
    if status in (401, 403):
        return ModelRefused(
            f"The model provider does not accept ANTHROPIC_API_KEY ({status}): make a new key."
        )
    return ModelRefused(
        f"The model provider refused the request ({kind or status}, {status}).",
        for_content=status in CONTENT_STATUS,
    )


def _retry_after(text: str | None) -> float | None:
    try:
        return min(max(0.0, float(text)), RETRY_AFTER_MAX_S) if text else None
    except ValueError:
        return None

"""The emulated Messages API: pictures and documents, and what it refuses about them."""

import base64
from collections.abc import AsyncIterator
from typing import Any

import anthropic
import pytest
from anthropic import AsyncAnthropic, DefaultAsyncHttpxClient

from bridge.emulator.claude import ClaudeEmulator
from bridge.emulator.script import Reply, Script

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 30


def coded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def block(kind: str, media_type: str, data: bytes, **more: Any) -> dict[str, Any]:
    source = {"type": "base64", "media_type": media_type, "data": coded(data), **more}
    return {"type": kind, "source": source}


@pytest.fixture
async def client() -> AsyncIterator[AsyncAnthropic]:
    emulator = ClaudeEmulator(script=Script([lambda request: Reply("fine")]))
    await emulator.start()
    plain = DefaultAsyncHttpxClient(verify=False)
    async with AsyncAnthropic(
        api_key=emulator.key, base_url=emulator.base_url, max_retries=0, http_client=plain
    ) as sdk:
        yield sdk
    await emulator.stop()


async def send(client: AsyncAnthropic, *content: Any) -> dict[str, Any]:
    message: Any = {"role": "user", "content": [*content]}
    reply = await client.messages.create(
        model="claude-haiku-5-5", max_tokens=100, messages=[message]
    )
    return reply.to_dict()


@pytest.mark.parametrize(
    ("refused", "sentence"),
    [
        (block("image", "image/tiff", PNG), "Input should be 'image/jpeg'"),
        (block("image", "image/jpeg", PNG), "appears to be a image/png image"),
        (block("image", "image/png", b"no picture"), "Could not process image"),
        (block("image", "image/png", PNG + b"x" * 4_000_000), "image exceeds 5 MB maximum"),
        (block("image", "image/png", b""), "image cannot be empty"),
        (block("image", "image/png", PNG, name="x"), "Extra inputs are not permitted"),
        (block("document", "application/pdf", b"no PDF"), "The PDF specified was not valid"),
        (block("document", "application/zip", b"%PDF-"), "should be 'application/pdf'"),
        ({"type": "document", "source": {"type": "path"}}, "Input tag 'path'"),
        ({"type": "kitt-file", "name": "x"}, "Input tag 'kitt-file'"),
    ],
)
async def test_it_refuses(client: AsyncAnthropic, refused: dict[str, Any], sentence: str) -> None:
    with pytest.raises(anthropic.BadRequestError, match=sentence):
        await send(client, refused)


async def test_a_document_is_for_the_user_to_send_and_costs_by_its_size(
    client: AsyncAnthropic,
) -> None:
    pdf = block("document", "application/pdf", b"%PDF-1.7" + b"x" * 30_000)

    words = {"type": "text", "text": "look"}

    message = await send(client, pdf, block("image", "image/png", PNG), words)

    assert message["stop_reason"] == "end_turn"
    assert 2_500 < message["usage"]["input_tokens"] < 4_000

"""How many tokens a request will be, guessed from its size, on the high side."""

from typing import Any, Final

from bridge.agent.model import Request
from bridge.prices import BYTES_A_TOKEN

PICTURE_TOKENS: Final = 5_000  # of the largest that is sent
DOCUMENT_BYTES_A_TOKEN: Final = 10  # a PDF is dense, and each page is read as a picture too


def prompt_tokens(request: Request) -> int:
    """About how many tokens the model will read."""
    return sum(map(_tokens, (request.system, request.messages, request.tools)))


def _tokens(value: Any) -> int:
    if isinstance(value, str):
        return len(value.encode()) // BYTES_A_TOKEN + 1
    if isinstance(value, list):
        return sum(map(_tokens, value))
    if not isinstance(value, dict):
        return 1
    source = value.get("source")
    if isinstance(source, dict) and source.get("type") == "base64":
        if value.get("type") == "image":
            return PICTURE_TOKENS
        return PICTURE_TOKENS + len(str(source.get("data", ""))) // DOCUMENT_BYTES_A_TOKEN
    return sum(_tokens(key) + _tokens(part) for key, part in value.items())

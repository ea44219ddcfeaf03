"""The outside of the emulated API's HTTP.

Who may come in, what a body must be, and what every answer has: its headers, or the shape of an
error.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping
from typing import Any

from bridge.emulator.claude_rules import Refused

Json = dict[str, Any]

BODY_BYTES_MAX = 32 * 1024 * 1024
VERSIONS = ("2023-01-01", "2023-06-01", "2026-10-21")
LIMITS = {"requests": 4_000, "input-tokens": 4_000_000, "output-tokens": 800_000}


def admit(headers: Mapping[str, str], key: str) -> None:
    """Refuse a caller without the key, in either of its two headers, or without a version.

    Raises:
        Refused: 401 for the key, 400 for the version.
    """
    scheme, _, token = headers.get("authorization", "").partition(" ")
    given = token if scheme.lower() == "bearer" else headers.get("x-api-key", "")
    if not given:
        raise Refused("x-api-key header is required", status=401, kind="authentication_error")
    if not secrets.compare_digest(given.encode(), key.encode()):
        sentence = "Invalid bearer token" if token else "invalid x-api-key"
        raise Refused(sentence, status=401, kind="authentication_error")
    version = headers.get("anthropic-version")
    if version is None:
        raise Refused("anthropic-version: header is required")
    if version not in VERSIONS:
        raise Refused(f'anthropic-version: "{version}" is not a valid version')


def too_large() -> Refused:
    """The API's answer to a body over 32 MB."""
    return Refused("Request exceeds the maximum size", status=413, kind="request_too_large")


def parsed(raw: bytes) -> Json:
    """The JSON object of a body.

    Raises:
        Refused: where the API's parser refuses it: no JSON, NaN, a lone surrogate, no object.
    """
    try:
        text = raw.decode()
        value = json.loads(text, parse_constant=_no_constant)
        if "\\ud" in text.lower():
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as lone:
        raise Refused("The request body is not valid JSON: no low surrogate in string") from lone
    except (ValueError, RecursionError) as wrong:
        raise Refused(f"The request body is not valid JSON: {wrong}") from wrong
    if not isinstance(value, dict):
        raise Refused("Input should be a valid dictionary")
    return value


def response_headers(request_id: str) -> dict[str, str]:
    """The headers every answer has, of the API's names."""
    reset = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    headers = {"request-id": request_id, "anthropic-organization-id": "emulator"}
    for name, limit in LIMITS.items():
        headers[f"anthropic-ratelimit-{name}-limit"] = str(limit)
        headers[f"anthropic-ratelimit-{name}-remaining"] = str(limit - 1)
        headers[f"anthropic-ratelimit-{name}-reset"] = reset
    return headers


def error_body(request_id: str, kind: str, sentence: str) -> Json:
    """An error in the API's shape, for a response or an SSE event."""
    return {
        "type": "error",
        "error": {"type": kind, "message": sentence},
        "request_id": request_id,
    }


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON value")

"""What the Messages API refuses about pictures and documents.

Checked by the first bytes, not by decoding: a picture of the wrong type, too large a one and a PDF
that is none are what a client gets wrong.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from bridge.emulator.claude_rules import Refused

Json = dict[str, Any]

IMAGE_TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp")
IMAGE_CHARS_MAX = 5 * 1024 * 1024  # of its base64
IMAGE_TOKENS = 1_600
PDF_BYTES_PER_TOKEN = 32  # a page of text is some 50 kB and 1,500 tokens
_DOCUMENT_SOURCES = ("base64", "text", "url", "file", "content")


def check_image(source: Json, where: str) -> None:
    """Refuse the source of an image block. Raises: Refused."""
    kind = source.get("type")
    if kind not in ("base64", "url", "file"):
        raise Refused(f"{where}.type: Input should be 'base64', 'url' or 'file'")
    if kind != "base64":
        return
    told = source.get("media_type")
    if told not in IMAGE_TYPES:
        raise Refused(
            f"{where}.base64.media_type: Input should be {', '.join(repr(t) for t in IMAGE_TYPES)}"
        )
    data = _decoded(source, where)
    if not data:
        raise Refused(f"{where}.base64: image cannot be empty")
    size = len(source["data"])
    if size > IMAGE_CHARS_MAX:
        raise Refused(
            f"{where}.base64: image exceeds 5 MB maximum: {size} bytes > {IMAGE_CHARS_MAX} bytes"
        )
    found = _image_type(data)
    if found is None:
        raise Refused("Could not process image")
    if found != told:
        raise Refused(
            f"{where}.base64.data: The image was specified using the {told} media type, but the "
            f"image appears to be a {found} image"
        )


def check_document(block: Json, where: str) -> None:
    """Refuse a document block. Raises: Refused."""
    source = block["source"]
    kind = source.get("type")
    if kind not in _DOCUMENT_SOURCES:
        tags = ", ".join(repr(tag) for tag in _DOCUMENT_SOURCES)
        raise Refused(
            f"{where}.source: Input tag '{kind}' found using 'type' does not match any of the "
            f"expected tags: {tags}"
        )
    if kind == "base64":
        if source.get("media_type") != "application/pdf":
            raise Refused(f"{where}.source.base64.media_type: Input should be 'application/pdf'")
        if not _decoded(source, f"{where}.source").startswith(b"%PDF-"):
            raise Refused("The PDF specified was not valid.")
    if kind == "text" and source.get("media_type") != "text/plain":
        raise Refused(f"{where}.source.text.media_type: Input should be 'text/plain'")


def tokens_of(block: Json) -> int | None:
    """What a picture or a PDF costs, None for any other block."""
    source = block.get("source")
    if not isinstance(source, dict) or source.get("type") != "base64":
        return None
    if block.get("type") == "image":
        return IMAGE_TOKENS
    return len(source["data"]) // PDF_BYTES_PER_TOKEN + 1


def _decoded(source: Json, where: str) -> bytes:
    for name in source.keys() - {"type", "media_type", "data"}:
        raise Refused(f"{where}.base64.{name}: Extra inputs are not permitted")
    try:
        return base64.b64decode(source.get("data") or "", validate=True)
    except (binascii.Error, ValueError) as bad:
        raise Refused(f"{where}.base64: invalid base64 data") from bad


def _image_type(data: bytes) -> str | None:
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    return "image/webp" if data[:4] == b"RIFF" and data[8:12] == b"WEBP" else None

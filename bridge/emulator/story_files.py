"""The default story about files: what came with the user's newest message, plainly.

The emulated model looks at no picture. It says how many bytes of which type reached it, which is
what a test wants to know, and that it is scripted.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from bridge.emulator.script import Reply, Request
from bridge.emulator.story_texts import say
from bridge.emulator.story_words import is_dutch

Json = dict[str, Any]


def look(request: Request) -> Reply | None:
    """An answer about the files of the newest message; None without any, and for a job."""
    if request.is_worker or request.turn or request.directives:
        return None
    lines = [_line(block) for block in request.newest_files]
    names = [part for part in request.newest_parts if part.name == "file"]
    lines += [
        f"- {part.attributes.get('name', '')}: {len(part.text)} characters of text"
        for part in names
        if "content" in part.attributes
    ]
    shown = len(lines)
    if len(names) > shown:
        known = ", ".join(part.attributes.get("name", "") for part in names)
        lines.append(f"- {len(names) - shown} unseen of: {known}")
    if not lines:
        return None
    return Reply("\n".join([say("files", is_dutch(request.last_user_text)), *lines]))


def _line(block: Json) -> str:
    """`- image (image/png, 33 bytes, 1a2b3c4d)`; the last is the beginning of its SHA-256."""
    data = base64.b64decode(block["source"]["data"])
    digest = hashlib.sha256(data).hexdigest()[:8]
    return f"- {block['type']} ({block['source']['media_type']}, {len(data)} bytes, {digest})"

"""The arguments of one Bot API call: decoding, and the checks several methods share.

python-telegram-bot sends every value as text, structures as JSON text; a JSON body brings them
typed. Both end up here as the same typed values, so that the log and the methods see one form.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from bridge.emulator.telegram_state import Json, bad_request

_STRUCTURES = {
    "allowed_updates": "allowed updates",
    "caption_entities": "entities",
    "commands": "commands",
    "entities": "entities",
    "link_preview_options": "link preview options",
    "media": "media",
    "message_ids": "message identifiers",
    "menu_button": "menu button",
    "reaction": "reaction types",
    "reply_markup": "reply keyboard markup",
    "reply_parameters": "reply parameters",
    "rich_message": "rich message",
    "scope": "BotCommandScope",
}
_NUMBERS = frozenset(
    {"chat_id", "message_id", "message_thread_id", "offset", "limit", "timeout", "draft_id"}
    | {"icon_color", "duration", "user_id"}
)
_FLAGS = frozenset(
    {"disable_notification", "protect_content", "show_alert", "is_big", "drop_pending_updates"}
    | {"allow_sending_without_reply", "can_stop", "keep_on_stop"}
)


@dataclass(slots=True, frozen=True)
class Upload:
    """One file part of a multipart body."""

    name: str
    mime_type: str
    data: bytes = field(repr=False)


@dataclass(slots=True, frozen=True)
class Params:
    """Decoded arguments and uploaded files of one call."""

    values: Json
    files: dict[str, Upload] = field(default_factory=dict)

    @classmethod
    def decode(cls, raw: Json, files: dict[str, Upload] | None = None) -> Params:
        """Raises: ApiError 400 when a structure is not JSON. A number that is none is 0, which
        is what the server makes of it."""
        values: Json = {}
        for name, value in raw.items():
            if name in _STRUCTURES and isinstance(value, str) and value:
                values[name] = _structure(name, value)
            elif name in _NUMBERS:
                values[name] = _number(value)
            elif name in _FLAGS:
                values[name] = value is True or str(value).lower() in {"true", "1", "yes"}
            else:
                values[name] = value
        return cls(values, files or {})

    def log_form(self) -> Json:
        """What the call log keeps: the values, and of each file its name and size."""
        if not self.files:
            return self.values
        return self.values | {
            name: {"file_name": upload.name, "file_size": len(upload.data)}
            for name, upload in self.files.items()
        }

    def number(self, name: str, default: int = 0) -> int:
        """An integer argument; text that is no number counts as missing."""
        value = self.values.get(name)
        return value if isinstance(value, int) else default

    def text(self, name: str) -> str:
        """A text argument, empty when missing."""
        value = self.values.get(name)
        return "" if value is None else str(value)

    def flag(self, name: str) -> bool:
        """A yes-or-no argument, no when missing."""
        return self.values.get(name) is True

    def mapping(self, name: str, reason: str) -> Json:
        """An object, empty when missing. Raises: ApiError 400 with `reason` for anything else."""
        value = self.values.get(name) or {}
        if not isinstance(value, dict):
            raise bad_request(reason)
        return value

    def mappings(self, name: str, reason: str) -> list[Json]:
        """An array of objects. Raises: ApiError 400 with `reason` for anything else."""
        value = self.values.get(name)
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise bad_request(reason)
        return value

    def get(self, name: str) -> Any:
        """A structure as decoded, or None."""
        return self.values.get(name)


def _structure(name: str, value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError as exc:
        raise bad_request(f"can't parse {_STRUCTURES[name]} JSON object") from exc


def _number(value: object) -> object:
    """The integer, or the value itself so that a chat's @name stays readable in the log."""
    try:
        return int(value)  # type: ignore[call-overload]
    except (TypeError, ValueError):
        return value

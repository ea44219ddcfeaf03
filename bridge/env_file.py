"""Writes values into a `.env` file without touching anything else in it."""

import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from bridge.errors import ConfigError

_PLAIN_VALUE: Final = re.compile(r"[\w./:@%+=,-]*", re.ASCII)


def write_env_file(path: Path, values: Mapping[str, str]) -> None:
    """Put values into a `.env` file, mode 0600, in one step; its other lines stay as they are.

    A reader finds the old file or the new one, never a part of it. A link stays a link.
    Raises: ConfigError when it cannot be written, or a value does not fit on a line.
    """
    target = path.resolve()
    try:
        old = target.read_text(encoding="utf-8") if target.exists() else ""
        text = _with_values(old, values)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=".env.")  # its mode is 0600
        draft = Path(name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be written ({error.strerror}): "
            "change the owner or mode of its folder, or make room."
        ) from None


def _with_values(text: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        line = f"{name}={_quoted(name, value)}"
        place = re.compile(rf"^([ \t]*(?:export[ \t]+)?){name}[ \t]*=.*$", re.MULTILINE)
        # Every place, should there be more: an old secret must not stay behind.
        text, places = place.subn(r"\g<1>" + line.replace("\\", r"\\"), text)
        if not places:
            text += ("" if not text or text.endswith("\n") else "\n") + line + "\n"
    return text


def _quoted(name: str, value: str) -> str:
    if not value.isprintable():
        raise ConfigError(f"{name} holds a line end or another sign that is no part of a secret.")
    if _PLAIN_VALUE.fullmatch(value):
        return value
    quote = '"' if "'" in value else "'"
    return f"{quote}{value}{quote}"

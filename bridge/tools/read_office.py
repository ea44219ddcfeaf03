"""Reads the text of an office file; run in a process of its own (see apart.py)."""

from typing import Any

from bridge import office
from bridge.tools import apart


def read(order: dict[str, Any], data: bytes) -> apart.Answer:
    """The text, at most `chars` of it. Raises: Unusable."""
    try:
        text, cut = office.text_of(data, order["chars"])
    except office.NotReadable as error:
        raise apart.Unusable(f"This is no document that can be read ({error}).") from error
    return {"text": text, "cut": cut}, b""


if __name__ == "__main__":
    apart.serve(read)

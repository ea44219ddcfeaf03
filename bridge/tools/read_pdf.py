"""Reads pages of a PDF file, with pypdf; run in a process of its own (see apart.py)."""

import io
from typing import Any

from bridge.tools import apart


def read(order: dict[str, Any], data: bytes) -> apart.Answer:
    """The texts of the pages from `first` to `last`, as many as `chars` take; at least one.

    Raises: Unusable.
    """
    import pypdf
    from pypdf.errors import PdfReadError

    try:
        reader = pypdf.PdfReader(io.BytesIO(data))
        if reader.is_encrypted and not reader.decrypt(""):
            raise apart.Unusable("This PDF is locked with a password: ask the user for another.")
        pages = len(reader.pages)
    except (PdfReadError, pypdf.errors.DependencyError, ValueError, KeyError) as error:
        raise apart.Unusable(f"This PDF is damaged or locked ({type(error).__name__}).") from error
    if order["first"] > pages:
        raise apart.Unusable(f"This PDF has only {pages:,} pages.")
    texts: list[str] = []
    chars = 0
    for number in range(order["first"], min(order["last"] or pages, pages) + 1):
        text = _text(reader.pages[number - 1])
        chars += len(text)
        if texts and chars > order["chars"]:
            break
        texts.append(text[: order["chars"]])
    return {"pages": pages, "texts": texts}, b""


def _text(page: Any) -> str:
    try:
        return str(page.extract_text())
    except Exception as error:  # noqa: BLE001 - one odd page must not hide the others
        return f"(This page cannot be read: {type(error).__name__}.)"


if __name__ == "__main__":
    apart.serve(read)

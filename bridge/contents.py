"""What is in a file, by the file itself: a name or a client may say anything.

A kind is what a model can do with it: image, document (PDF), text, which office files have too, or
other. Nothing is ever run: a program is `other`, and text of a program is text.
"""

import re
from typing import Final

IMAGE_BYTES_MAX: Final = 3_900_000  # the provider takes 5 MB of a picture, counted as base64
TEXT_CHARS_MAX: Final = 100_000  # about 25k tokens
JOB_CHARS_MAX: Final = 2_000_000  # of the text of an office file in the folder of a job
PDF: Final = "application/pdf"
IMAGE_TOKENS: Final = 1_600  # a provider scales larger ones down
PAGE_TOKENS: Final = 2_000
PAGE_BYTES: Final = 60_000  # of a PDF whose pages cannot be counted
CHARS_OF_A_TOKEN: Final = 4
IMAGES: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)
ZIP: Final = b"PK\x03\x04"
OTHERS: Final = (
    (ZIP, "application/zip"),
    (b"\x1f\x8b", "application/gzip"),
    (b"\x7fELF", "application/x-executable"),
    (b"MZ", "application/vnd.microsoft.portable-executable"),
    (b"OggS", "audio/ogg"),
    (b"ID3", "audio/mpeg"),
)
_BOMS: Final = ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8-sig"))
_CONTROL: Final = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_PAGE: Final = re.compile(rb"/Type\s*/Page(?![a-zA-Z])")


def kind_of(data: bytes, told: str) -> tuple[str, str]:
    """Media type and kind; `told` is what the client says, where the file does not say it."""
    for mark, media_type in IMAGES:
        if data.startswith(mark):
            return media_type, "image" if len(data) <= IMAGE_BYTES_MAX else "other"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp", "image" if len(data) <= IMAGE_BYTES_MAX else "other"
    if data.startswith(b"%PDF-"):
        return PDF, "document"
    if data.startswith(ZIP):
        from bridge import office  # what unpacks and reads XML: not into a process that idles

        if media_type := office.media_type_of(data):
            return media_type, "text" if text_of(data) is not None else "other"
    if told.startswith("image/") or told == PDF:  # and is none the provider could read
        return told, "other"
    if plain_text(data) is not None:
        return told, "text"
    return next((kind for mark, kind in OTHERS if data.startswith(mark)), told), "other"


def text_of(data: bytes, chars_max: int = TEXT_CHARS_MAX) -> str | None:
    """The text of a file, whatever holds it, cut where it says so; None when it has none."""
    if data.startswith(ZIP):
        from bridge import office

        try:
            text, cut = office.text_of(data, chars_max)
        except office.NotReadable:
            return None
        note = f"(cut after {chars_max:,} characters: the file goes on)"
        return f"{text}\n{note}" if cut else text if text.strip() else None
    found = plain_text(data)
    if found is None or len(found) <= chars_max:
        return found
    return f"{found[:chars_max]}\n(cut: {chars_max:,} of {len(found):,} characters)"


def plain_text(data: bytes) -> str | None:
    """A text file as text: UTF-8, UTF-16 with its mark, or what Windows writes; None for others."""
    if not data.strip():
        return None
    marked = next((encoding for bom, encoding in _BOMS if data.startswith(bom)), "")
    for encoding in (marked,) if marked else ("utf-8", "cp1252"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if _CONTROL.search(text) is None and text.strip():
            return text
    return None


def tokens_of(data: bytes, kind: str) -> int:
    """About how many tokens a model reads when it is shown this."""
    if kind == "image":
        return IMAGE_TOKENS
    if kind == "document":
        pages = len(_PAGE.findall(data)) or len(data) // PAGE_BYTES + 1
        return pages * PAGE_TOKENS
    if kind == "text":
        return len((text_of(data) or "").encode()) // CHARS_OF_A_TOKEN
    return 0

"""The size of a picture, from the first bytes of its file; and whether Telegram takes it as one.

Source: PNG (IHDR), GIF89a, JPEG (frame headers), WebP (RIFF container); Bot API, sendPhoto.
"""

import struct
from typing import Final

HEAD_BYTES: Final = 256 * 1024  # the frame of a JPEG may come after a large preview
PHOTO_BYTES_MAX: Final = 10_000_000
PHOTO_SIDES_MAX: Final = 10_000  # width plus height
PHOTO_RATIO_MAX: Final = 20
_JPEG_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_BARE: Final = frozenset({0x01, *range(0xD0, 0xD8)})  # markers without a length


def is_photo(head: bytes, size: int) -> bool:
    """Whether a file of `size` bytes that begins with `head` can be sent as a photo."""
    measured = size_of(head)
    if measured is None or size > PHOTO_BYTES_MAX or head.startswith(b"GIF8"):
        return False  # a GIF that moves would stand still
    short, long = sorted(measured)
    return short > 0 and short + long <= PHOTO_SIDES_MAX and long <= PHOTO_RATIO_MAX * short


def size_of(head: bytes) -> tuple[int, int] | None:
    """Width and height of a PNG, JPEG, WebP or GIF, None for anything else."""
    try:
        if head.startswith(b"\x89PNG\r\n\x1a\n"):
            return _pair(">II", head, 16)
        if head.startswith((b"GIF87a", b"GIF89a")):
            return _pair("<HH", head, 6)
        if head.startswith(b"\xff\xd8"):
            return _jpeg(head)
        if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
            return _webp(head)
    except (struct.error, IndexError):
        return None  # it ends in the middle
    return None


def _pair(form: str, head: bytes, at: int) -> tuple[int, int]:
    first, second = struct.unpack_from(form, head, at)
    return int(first), int(second)


def _jpeg(head: bytes) -> tuple[int, int] | None:
    at = 2
    while head[at] == 0xFF:
        marker = head[at + 1]
        if marker == 0xFF:  # padding
            at += 1
        elif marker in _JPEG_FRAMES:
            height, width = _pair(">HH", head, at + 5)
            return width, height
        elif marker in _JPEG_BARE:
            at += 2
        else:
            at += 2 + int(struct.unpack_from(">H", head, at + 2)[0])
    return None


def _webp(head: bytes) -> tuple[int, int] | None:
    match head[12:16]:
        case b"VP8X":
            width, height = (int.from_bytes(head[at : at + 3], "little") for at in (24, 27))
            return (1 + width, 1 + height) if len(head) >= 30 else None
        case b"VP8L":
            bits = int(struct.unpack_from("<I", head, 21)[0])
            return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
        case b"VP8 ":
            width, height = _pair("<HH", head, 26)
            return width & 0x3FFF, height & 0x3FFF
    return None

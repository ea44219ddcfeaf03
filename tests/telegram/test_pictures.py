"""What is a picture is read from its first bytes; what Telegram would refuse as one is a file."""

import struct

import pytest

from bridge.telegram.pictures import is_photo, size_of


def png(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + struct.pack(">II", width, height)


def gif(width: int, height: int) -> bytes:
    return b"GIF89a" + struct.pack("<HH", width, height)


def jpeg(width: int, height: int, *, before: bytes = b"") -> bytes:
    frame = b"\xff\xc2\x00\x11\x08" + struct.pack(">HH", height, width)
    return b"\xff\xd8\xff\xe0\x00\x04ab" + before + frame


def webp(kind: bytes, body: bytes) -> bytes:
    return b"RIFF\0\0\0\0WEBP" + kind + b"\0\0\0\0" + body


LOSSLESS = webp(b"VP8L", b"\x2f" + struct.pack("<I", (639) | (479 << 14)))
LOSSY = webp(b"VP8 ", b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", 640, 480))
EXTENDED = webp(b"VP8X", b"\0\0\0\0" + (639).to_bytes(3, "little") + (479).to_bytes(3, "little"))
PREVIEW = b"\xff\xe1\x80\x00" + b"x" * (0x8000 - 2)


@pytest.mark.parametrize(
    "head",
    [
        *(png(640, 480), gif(640, 480), jpeg(640, 480), jpeg(640, 480, before=PREVIEW)),
        *(jpeg(640, 480, before=b"\xff\xff"), LOSSLESS, LOSSY, EXTENDED),
    ],
    ids=["png", "gif", "jpeg", "preview", "padding", "lossless", "lossy", "extended"],
)
def test_the_size_of_a_picture_is_read_from_its_beginning(head: bytes) -> None:
    assert size_of(head) == (640, 480)
    assert all(size_of(head[:end]) in (None, (640, 480)) for end in range(min(len(head), 60)))


@pytest.mark.parametrize("head", [b"", b"%PDF-1.7", b"\xff\xd8", b"\xff\xd8\xff", b"RIFF"])
def test_anything_else_is_no_picture(head: bytes) -> None:
    assert size_of(head) is None


@pytest.mark.parametrize(
    ("head", "size", "photo"),
    [
        (png(640, 480), 10_000_000, True),
        (png(640, 480), 10_000_001, False),
        (png(5_000, 5_000), 9, True),
        (png(5_000, 5_001), 9, False),
        (png(2_000, 100), 9, True),
        (png(2_001, 100), 9, False),
        (png(100, 2_001), 9, False),
        (png(0, 0), 9, False),
        (gif(640, 480), 9, False),
        (b"<svg>", 9, False),
    ],
)
def test_a_photo_is_small_enough_and_no_ribbon(head: bytes, size: int, photo: bool) -> None:
    assert is_photo(head, size) is photo

"""Emoji in a PDF file: small pictures in colours, from the font of the system that has them.

Such a font has pictures where others have outlines: no writer of PDF files can put it into one.
"""

import re
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

FIND_S: Final = 10.0
PIXELS: Final = 109  # the only size such a font has
HEIGHT: Final = 128  # of the pictures of that size
VARIANT: Final = "\ufe0f"  # after a sign that is to be in colours
_FIRST_EMOJI: Final = "\U0001f000"
_ONE: Final = "[\u00a9\u00ae\u203c-\u3299\U0001f000-\U0001faff][\ufe0f\U0001f3fb-\U0001f3ff]*"
SEQUENCE: Final = re.compile(
    f"[\U0001f1e6-\U0001f1ff]{{2}}|[0-9#*]\ufe0f?\u20e3"
    f"|{_ONE}(?:\u200d{_ONE})*[\U000e0020-\U000e007f]*"
)


class Emoji:
    """The pictures of one document, in a folder that is there as long as they are drawn."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: dict[str, tuple[Path, float]] = {}
        self._path: str | None = None
        self._has: frozenset[int] = frozenset()

    def find(self) -> None:
        """Look for the font of the system; without one there are no pictures."""
        order = ["fc-match", "--format", "%{file}", "emoji:charset=1f600:color=true"]
        try:
            path = subprocess.run(  # noqa: S603 - nothing in it comes from outside
                order, capture_output=True, text=True, timeout=FIND_S, check=True
            ).stdout
            self._has, self._path = _signs(path), path
        except (OSError, subprocess.SubprocessError):
            return

    def shows(self, sequence: str) -> bool:
        """Whether there is a picture of it."""
        return ord(sequence[0]) in self._has

    def picture(self, sequence: str) -> tuple[Path, float]:
        """A PNG file, and how much wider than high it is."""
        if sequence not in self._made:
            self._made[sequence] = self._draw(sequence)
        return self._made[sequence]

    def _draw(self, sequence: str) -> tuple[Path, float]:
        from PIL import Image, ImageDraw

        font = _opened(str(self._path))
        image = Image.new("RGBA", (round(font.getlength(sequence)) + HEIGHT, HEIGHT))
        ImageDraw.Draw(image).text((0, 0), sequence, font=font, embedded_color=True)
        left, _, right, _ = image.getbbox() or (0, 0, HEIGHT, 0)
        image = image.crop((left, 0, right, HEIGHT))  # a flag stays lower than a face
        path = self._folder / f"{len(self._made)}.png"
        image.save(path)
        return path, image.width / image.height


def is_emoji(sequence: str) -> bool:
    """Whether it is one rather than a sign of texts such as ©, which people write in black."""
    return sequence[0] >= _FIRST_EMOJI or VARIANT in sequence or len(sequence) > 1


@lru_cache(maxsize=1)
def _opened(path: str) -> Any:
    from PIL import ImageFont

    return ImageFont.truetype(path, PIXELS)


def _signs(path: str) -> frozenset[int]:
    """The characters it has pictures of; none when it is no such font."""
    from fontTools.ttLib import TTFont, TTLibError

    try:
        with TTFont(path, fontNumber=0, lazy=True) as font:
            return frozenset(font.getBestCmap()) if "CBDT" in font else frozenset()
    except TTLibError:
        return frozenset()

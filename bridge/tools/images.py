"""Pictures for a document, unpacked where that may go wrong: in a process of its own."""

import io
import warnings
from dataclasses import dataclass
from typing import Any, Final

from bridge.tools.apart import Unusable

PIXELS_MAX: Final = 25_000_000
KINDS: Final = ("PNG", "JPEG")


@dataclass(frozen=True, slots=True)
class Picture:
    """A whole picture that is not too large; `width` and `height` are pixels."""

    data: bytes
    width: int
    height: int


def opened(order: dict[str, Any], data: bytes) -> dict[str, Picture]:
    """A picture for each name in `images`, whose bytes stand one after the other in `data`.

    Raises: Unusable with the name of one that cannot be shown.
    """
    found: dict[str, Picture] = {}
    at = 0
    for name, size in order["images"]:
        found[name] = _open(name, data[at : at + size])
        at += size
    return found


def _open(name: str, data: bytes) -> Picture:
    from PIL import Image, UnidentifiedImageError

    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    try:
        image = Image.open(io.BytesIO(data), formats=KINDS)
        if image.width * image.height > PIXELS_MAX:
            raise Unusable(f"{name} has more than {PIXELS_MAX:,} pixels: make it smaller.")
        image.load()
    except Image.DecompressionBombError:
        raise Unusable(f"{name} has more than {PIXELS_MAX:,} pixels: make it smaller.") from None
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise Unusable(f"{name} is no PNG or JPEG picture that can be shown.") from error
    return Picture(data, image.width, image.height)

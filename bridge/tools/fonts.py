"""Which font shows a text in a PDF file: it is put into the file and must have every letter."""

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bridge.tools.apart import Unusable

FOLDERS: Final = (
    "/usr/share/fonts/truetype/dejavu",
    "/usr/share/fonts/truetype/liberation",
    "/usr/share/fonts/TTF",
    "/usr/share/fonts/dejavu-sans-fonts",
    "/usr/share/fonts/liberation-sans",
    "/usr/share/fonts/truetype/noto",
)
# regular, bold, italic, both, for code
NAMES: Final = (
    (
        *("DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DejaVuSans-Oblique.ttf"),
        *("DejaVuSans-BoldOblique.ttf", "DejaVuSansMono.ttf"),
    ),
    (
        *("LiberationSans-Regular.ttf", "LiberationSans-Bold.ttf", "LiberationSans-Italic.ttf"),
        *("LiberationSans-BoldItalic.ttf", "LiberationMono-Regular.ttf"),
    ),
    (
        *("NotoSans-Regular.ttf", "NotoSans-Bold.ttf", "NotoSans-Italic.ttf"),
        *("NotoSans-BoldItalic.ttf", "NotoSansMono-Regular.ttf"),
    ),
    ("Vera.ttf", "VeraBd.ttf", "VeraIt.ttf", "VeraBI.ttf", "VeraMono.ttf"),
)
SHOWN_MAX: Final = 10


@dataclass(frozen=True, slots=True)
class Fonts:
    """The names under which the fonts of one family are known to reportlab."""

    regular: str = "text"
    bold: str = "text-b"
    italic: str = "text-i"
    both: str = "text-bi"
    code: str = "code"


def fonts_for(text: str, folders: tuple[str, ...] | None = None) -> Fonts:
    """Make the first family that has every character of the text ready for use.

    Raises: Unusable with the characters that none has.
    """
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFError, TTFont

    needed = {ord(char) for char in text if not char.isspace()}
    fewest: set[int] | None = None
    names = Fonts()
    order = (names.regular, names.bold, names.italic, names.both, names.code)
    for paths in _families(folders or _folders()):
        try:
            faces = [TTFont(name, str(path)) for name, path in zip(order, paths, strict=True)]
        except (TTFError, OSError):
            continue
        *of_text, of_code = (needed - face.face.charToGlyph.keys() for face in faces)
        missing = set[int]().union(*of_text)
        if not missing:
            if of_code:  # code then looks like text, but is whole
                faces[4] = TTFont(names.code, str(paths[0]))
            for face in faces:
                pdfmetrics.registerFont(face)
            pdfmetrics.registerFontFamily(names.regular, *order[:4])
            return names
        fewest = missing if fewest is None or len(missing) < len(fewest) else fewest
    shown = " ".join(f"{chr(code)} (U+{code:04X})" for code in sorted(fewest or needed)[:SHOWN_MAX])
    raise Unusable(
        f"No font of this machine shows these characters: {shown}. Leave them out or write them "
        "differently; more fonts come with the system's package fonts-dejavu."
    )


def _families(folders: tuple[str, ...]) -> Iterator[list[Path]]:
    for names in NAMES:
        for folder in folders:
            paths = [Path(folder, name) for name in names]
            if not paths[4].exists():
                paths[4] = paths[0]
            if all(path.exists() for path in paths):
                yield paths


def _folders() -> tuple[str, ...]:
    """The system's, and those that come with packages that may be installed."""
    found = []
    for package, inner in (("matplotlib", "mpl-data/fonts/ttf"), ("reportlab", "fonts")):
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.origin is not None:
            found.append(str(Path(spec.origin).parent / inner))
    return (*FOLDERS, *found)

"""Which font shows which character in a PDF file: what is used of one is put into the file.

One family shows nearly everything. What it lacks comes, sign by sign, from the fonts of the system
that fontconfig knows, of which only the outlines that are needed are taken: those may be in a form
(CFF, as Noto's for Chinese, Japanese and Korean) that reportlab itself cannot read.
"""

import importlib.util
import io
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Final

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
REGULAR: Final = "text"
FACES: Final = {"": REGULAR, "b": "text-b", "i": "text-i", "bi": "text-bi", "c": "code"}
OTHERS_MAX: Final = 16  # fonts of one document beside its family
ASKED_MAX: Final = 8  # fonts looked at for one character
UNFOUND_MAX: Final = 4  # of 256 in a row, such as Chinese without a font: the rest is not asked for
FIND_S: Final = 10.0
CURVE_ERROR: Final = 0.001  # of the letter's height, between its outline and what stands for it

_numbers = count(1)  # reportlab keeps a font by its name as long as its process lives
Place = tuple[str, int]  # a font: its file, and which one in there


@dataclass(frozen=True, slots=True)
class Fonts:
    """The fonts of one document, known to reportlab by their names."""

    has: dict[str, frozenset[int]]  # for each of FACES
    others: dict[int, str]  # a character of none of them: the font that has it

    def showing(self, char: str, style: str = "") -> str | None:
        """The name of the font for a character in a style of FACES; None when there is none."""
        code = ord(char)
        for name in (FACES[style], REGULAR):
            if code in self.has[name]:
                return name
        return self.others.get(code)


def found_by_fontconfig(char: str) -> list[Place]:
    """The fonts of the system that are said to have it, best first; none without fontconfig."""
    pattern = f"sans:charset={ord(char):x}"
    order = ["fc-match", "--sort", "--format", r"%{file}\t%{index}\n", pattern]
    try:
        said = subprocess.run(  # noqa: S603 - a number is all that comes from outside
            order, capture_output=True, text=True, timeout=FIND_S, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    rows = (line.rpartition("\t") for line in said.splitlines())
    return [(path, int(index) & 0xFFFF) for path, _, index in rows][:ASKED_MAX]


def fonts_for(
    text: str,
    folders: tuple[str, ...] | None = None,
    find: Callable[[str], list[Place]] = found_by_fontconfig,
    pictured: Callable[[str], bool] = lambda _: False,
) -> Fonts:
    """Make fonts ready that together show as much as possible of a text.

    `pictured` says which characters there is a picture of where the family lacks them.
    """
    from reportlab.pdfbase import pdfmetrics

    needed = {ord(char) for char in text if not char.isspace()}
    faces = min(_families(folders or _folders()), key=lambda faces: len(needed - _has(faces[0])))
    for face in faces:
        pdfmetrics.registerFont(face)
    pdfmetrics.registerFontFamily(REGULAR, *list(FACES.values())[:4])
    has = {name: _has(face) for name, face in zip(FACES.values(), faces, strict=True)}
    missing = {code for code in needed - has[REGULAR] if not pictured(chr(code))}
    return Fonts(has, _others(missing, find))


def _has(face: Any) -> frozenset[int]:
    return frozenset(face.face.charToGlyph)


def _families(folders: tuple[str, ...]) -> Iterator[list[Any]]:
    from reportlab.pdfbase.ttfonts import TTFError, TTFont

    for names in NAMES:
        for folder in folders:
            paths = [Path(folder, name) for name in names]
            if not paths[4].exists():
                paths[4] = paths[0]
            if all(path.exists() for path in paths):
                try:
                    yield [
                        TTFont(name, str(path))
                        for name, path in zip(FACES.values(), paths, strict=True)
                    ]
                except (TTFError, OSError):
                    continue


def _folders() -> tuple[str, ...]:
    """The system's, and those that come with packages: reportlab's own are always there."""
    found = []
    for package, inner in (("matplotlib", "mpl-data/fonts/ttf"), ("reportlab", "fonts")):
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.origin is not None:
            found.append(str(Path(spec.origin).parent / inner))
    return (*FOLDERS, *found)


def _others(missing: set[int], find: Callable[[str], list[Place]]) -> dict[int, str]:
    """A font for each of these characters that any font has."""
    shown: dict[int, str] = {}
    tried: set[Place] = set()
    unfound: Counter[int] = Counter()
    for code in sorted(missing):
        given_up = unfound[code >> 8] >= UNFOUND_MAX or len(set(shown.values())) >= OTHERS_MAX
        if code in shown or given_up:
            continue
        for place in find(chr(code)):
            if place not in tried and code not in shown:
                tried.add(place)
                name = f"other-{next(_numbers)}"
                shown |= dict.fromkeys(_registered(name, place, missing - shown.keys()), name)
        unfound[code >> 8] += code not in shown
    return shown


def _registered(name: str, place: Place, codes: set[int]) -> set[int]:
    """Make the signs for these characters of a font known by a name; those that it has."""
    from fontTools.ttLib import TTFont, TTLibError
    from reportlab.pdfbase import pdfmetrics, ttfonts

    path, index = place
    try:
        with TTFont(path, fontNumber=index, lazy=True) as font:
            signs = {code: sign for code, sign in font.getBestCmap().items() if code in codes}
            if not signs or not {"glyf", "CFF ", "CFF2"} & set(font.keys()):
                return set()  # pictures in colours are drawn by emoji.py
            outlines = io.BytesIO(_outlines(name, font, signs))
    except (TTLibError, OSError, AssertionError, KeyError, ValueError, AttributeError):
        return set()  # a broken file of somebody's is as good as none
    pdfmetrics.registerFont(ttfonts.TTFont(name, outlines))
    pdfmetrics.registerFontFamily(name, name, name, name, name)
    return set(signs)


def _outlines(name: str, font: Any, signs: dict[int, str]) -> bytes:
    """A font of only these, as TrueType."""
    from fontTools.fontBuilder import FontBuilder
    from fontTools.pens.cu2quPen import Cu2QuPen
    from fontTools.pens.filterPen import DecomposingFilterPen
    from fontTools.pens.ttGlyphPen import TTGlyphPen

    size = font["head"].unitsPerEm
    source = font.getGlyphSet()
    empty = TTGlyphPen(None).glyph()
    glyphs, widths = {".notdef": empty}, {".notdef": (size, 0)}
    turned = "glyf" not in font
    for sign in dict.fromkeys(signs.values()):
        pen = TTGlyphPen(None)
        curves = Cu2QuPen(pen, size * CURVE_ERROR, reverse_direction=turned)
        source[sign].draw(DecomposingFilterPen(curves, source))
        glyphs[sign] = pen.glyph()
        widths[sign] = (round(source[sign].width), 0)
    made = FontBuilder(size, isTTF=True)
    made.setupGlyphOrder(list(glyphs))
    made.setupCharacterMap(signs)
    made.setupGlyf(glyphs)
    made.setupHorizontalMetrics(
        {sign: (width, getattr(glyphs[sign], "xMin", 0)) for sign, (width, _) in widths.items()}
    )
    made.setupHorizontalHeader(ascent=font["hhea"].ascent, descent=font["hhea"].descent)
    made.setupNameTable({"familyName": "KITT", "styleName": "Regular", "psName": name})
    made.setupOS2()
    made.setupPost()
    out = io.BytesIO()
    made.save(out)
    return out.getvalue()

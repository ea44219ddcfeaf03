"""A PDF file shows the scripts of the world and emoji, or says what it cannot show."""

import io
import subprocess
from pathlib import Path
from typing import Any

import pypdf
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.t2CharStringPen import T2CharStringPen

from bridge.tools.blocks import blocks_of, to_json
from bridge.tools.direction import is_right_to_left, joined, levels, mirrored, visual
from bridge.tools.documents import _hint
from bridge.tools.fonts import UNFOUND_MAX, Place, fonts_for, found_by_fontconfig
from bridge.tools.typeset import Typesetter
from bridge.tools.write_pdf import draw

UNKNOWN = "\U00013470"  # a hieroglyph of 2024 that no font of ours has


def drawn(markdown: str) -> tuple[dict[str, Any], list[pypdf.PageObject]]:
    """What the writer says, and the pages it made."""
    said, data = draw({"blocks": to_json(blocks_of(markdown)), "images": []}, b"")
    return said, list(pypdf.PdfReader(io.BytesIO(data)).pages)


def on_a_line(text: str) -> str:
    """A text as it stands on paper."""
    right = is_right_to_left(text)
    deep = levels(text, right=right)
    order = visual(deep, right=right)
    return "".join(mirrored(text[at]) if deep[at] % 2 else text[at] for at in order)


def has_font_for(char: str) -> bool:
    """Whether this machine shows it; CI installs what the tests need."""
    return any(fonts_for(char, find=found_by_fontconfig).others)


def has_emoji() -> bool:
    """The same for emoji in colours."""
    order = ["fc-match", "--format", "%{file}", "emoji:charset=1f600:color=true"]
    try:
        return "Emoji" in subprocess.run(order, capture_output=True, text=True).stdout
    except OSError:
        return False


@pytest.fixture
def cff_font(tmp_path: Path) -> Place:
    """A font with one sign whose outlines are in the form reportlab cannot read."""
    pen = T2CharStringPen(900, None)
    pen.moveTo((100, 0))
    pen.curveTo((100, 800), (800, 800), (800, 0))
    pen.closePath()
    empty = T2CharStringPen(500, None).getCharString()
    font = FontBuilder(1000, isTTF=False)
    font.setupGlyphOrder([".notdef", "sign"])
    font.setupCharacterMap({ord("字"): "sign"})
    font.setupCFF("Test", {}, {".notdef": empty, "sign": pen.getCharString()}, {})
    font.setupHorizontalMetrics({".notdef": (500, 0), "sign": (900, 100)})
    font.setupHorizontalHeader(ascent=800, descent=-200)
    font.setupNameTable({"familyName": "Test", "styleName": "Regular"})
    font.setupOS2()
    font.setupPost()
    font.save(tmp_path / "test.otf")
    return str(tmp_path / "test.otf"), 0


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("שלום עולם", "םלוע םולש"),
        ("שלום (hello) 12.5!", "!12.5 (hello) םולש"),
        ("prijs של 12 €", "prijs 12 לש €"),
        ("(אב) is x", "is x (בא)"),
        ("عدد 45 و ١٢", "١٢ و 45 ددع"),
        ("50% אב", "בא 50%"),
        ("only left", "only left"),
    ],
)
def test_letters_of_both_directions_stand_in_their_order(text: str, shown: str) -> None:
    assert on_a_line(text) == shown


def test_arabic_letters_are_joined_and_a_lam_takes_its_alef() -> None:
    # beh alone, at the beginning, within and at the end; alef joins only backwards
    assert joined("ب") == "\ufe8f"
    assert joined("ببب") == "\ufe91\ufe92\ufe90"
    assert joined("اب") == "\ufe8d\ufe8f"
    assert joined("لا سلا") == "\ufefb \ufeb3\ufefc"
    assert joined("بَب") == "\ufe91\u064e\ufe90"  # a mark above does not part them
    assert joined("café 中") == "café 中"


async def test_hebrew_and_arabic_begin_at_the_right() -> None:
    said, (page,) = drawn("שלום עולם\n\nسلام\n\nHallo\n")

    places: dict[str, float] = {}

    def note(text: str, _: Any, at: list[float], *__: Any) -> None:
        if text.strip():
            places[text.strip()] = at[4]

    page.extract_text(visitor_text=note)
    assert said["missing"] == []
    assert places["שלום עולם"] > 400  # whoever reads files puts it in order again
    assert places["\ufeb3\ufefc\ufee1"] > 400
    assert places["Hallo"] < 100


async def test_a_long_hebrew_text_breaks_where_it_is_read() -> None:
    words = [f"מילה{number}" for number in range(100, 150)]

    _, (page,) = drawn(" ".join(words))

    lines = page.extract_text().splitlines()[1:]  # the page's number comes first
    assert len(lines) > 3
    assert "100" in lines[0]
    assert "149" in lines[-1]


def test_what_a_family_lacks_comes_from_another_font_of_any_form(cff_font: Place) -> None:
    from reportlab.pdfbase.pdfmetrics import stringWidth

    fonts = fonts_for("a字b", find=lambda _: [("/no/such/font.ttf", 0), cff_font])

    name = fonts.showing("字", "b")
    assert name is not None
    assert fonts.showing("a", "b") == "text-b"
    assert stringWidth("字", name, 10) == 9.0
    assert fonts.showing("語") is None


def test_a_script_without_a_font_is_not_looked_for_sign_by_sign() -> None:
    asked: list[str] = []
    chinese = "".join(map(chr, range(0x4E00, 0x5200)))  # a thousand: seconds of looking

    def find(char: str) -> list[Place]:
        asked.append(char)
        return []

    fonts_for(f"{chinese}\u2ff0", find=find)

    assert len(asked) == 4 * UNFOUND_MAX + 1


def test_the_fonts_of_the_package_itself_are_enough_for_the_west() -> None:
    import reportlab

    folder = (str(Path(reportlab.__file__).parent / "fonts"),)
    fonts = fonts_for("Café, Straße, coördinatie, € 5 – “zo” ż", folder, find=lambda _: [])

    assert all(fonts.showing(char) for char in "éßö€–“”")
    assert fonts.showing("ż") is None


def test_a_sign_no_font_has_is_named_and_shown_as_missing() -> None:
    said, (page,) = drawn(f"# Oud {UNKNOWN} schrift\n\n`{UNKNOWN}` en शब्द")

    assert UNKNOWN in said["missing"]
    assert "Oud \ufffd schrift" in page.extract_text()
    assert f"{UNKNOWN} (U+13470)" in _hint({"missing": [UNKNOWN]})
    assert "one after the other" in _hint(said)
    assert _hint({"missing": [], "unshaped": False}) == ""
    assert "and 5 more" in _hint({"missing": [chr(0x13470 + at) for at in range(15)]})


def test_marks_that_nobody_sees_are_not_missed(tmp_path: Path) -> None:
    typesetter = Typesetter("a\u200db\ufe0f\u2067e\u0301", tmp_path)

    marked, right = typesetter.paragraph(blocks_of("a\ufe0fe\u0301")[0].spans, size=10, width=300)

    assert (marked, right) == ('<font name="text">aé</font>', False)
    assert not typesetter.missing


@pytest.mark.skipif(not has_font_for("字"), reason="no font here has Chinese")
def test_chinese_breaks_without_spaces_and_never_before_a_comma() -> None:
    said, (page,) = drawn(
        "这是一个很长的中文段落，" * 20 + "`代码`\n\n| 甲，乙 | b |\n|---|---|\n| 丙 | d |"
    )

    lines = page.extract_text().splitlines()
    assert said["missing"] == []
    assert len([line for line in lines if "中文段落" in line or "很长" in line]) > 4
    assert not any(line.startswith("，") for line in lines)
    assert max(map(len, lines)) < 50


@pytest.mark.skipif(not has_emoji(), reason="no font here has emoji in colours")
def test_emoji_are_pictures_and_a_sequence_is_one() -> None:
    said, (page,) = drawn("# Top 🎉\n\nJa 👍🏽 en 🇳🇱, 👨‍👩‍👧; © blijft.\n\n```\n1 🎉\n```\n")

    assert said["missing"] == []
    assert "©" in page.extract_text()
    assert len(page.images) == 4  # the same one twice is one

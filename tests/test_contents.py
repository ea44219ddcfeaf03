"""What is in a file: office files as text, and files made to do harm."""

import io
import zipfile

import pytest

from bridge import contents, office
from bridge.office import EXCEL, POWERPOINT, WORD

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def packed(**members: str | bytes) -> bytes:
    """A zip with these members; `__` in a name is a slash, `_` a dot."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in members.items():
            made.writestr(name.replace("__", "/").replace("_", "."), data)
    return file.getvalue()


def document(body: str) -> bytes:
    return packed(word__document_xml=f"<w:document {W}><w:body>{body}</w:body></w:document>")


def test_a_document_is_its_paragraphs_and_tables() -> None:
    data = document(
        "<w:p><w:r><w:t>Dear</w:t><w:tab/><w:t>Ann</w:t></w:r></w:p>"
        "<w:tbl><w:tr><w:tc><w:p><w:r><w:t>a</w:t></w:r></w:p></w:tc>"
        "<w:tc><w:p><w:r><w:t>b</w:t></w:r></w:p></w:tc></w:tr></w:tbl>"
        "<w:p><w:r><w:delText>gone</w:delText></w:r></w:p>"
    )

    assert contents.kind_of(data, "text/plain") == (WORD, "text")
    assert contents.text_of(data) == "Dear\tAnn\na  | b  | \n\n"


def test_a_spreadsheet_is_its_sheets_row_by_row() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr(
            "xl/workbook.xml",
            '<workbook xmlns:r="r"><sheets><sheet name="Prices" r:id="r1"/></sheets></workbook>',
        )
        made.writestr(
            "xl/_rels/workbook.xml.rels",
            '<Relationships><Relationship Id="r1" Target="worksheets/s1.xml"/></Relationships>',
        )
        made.writestr("xl/sharedStrings.xml", "<sst><si><t>bike</t></si><si><t>car</t></si></sst>")
        made.writestr(
            "xl/worksheets/s1.xml",
            '<worksheet><sheetData><row><c r="A1" t="s"><v>1</v></c><c r="C1"><v>7.5</v></c></row>'
            '<row><c r="A2" t="inlineStr"><is><t>van</t></is></c>'
            '<c r="B2" t="s"><v>99</v></c></row>'
            "</sheetData></worksheet>",
        )

    assert contents.kind_of(file.getvalue(), "") == (EXCEL, "text")
    assert contents.text_of(file.getvalue()) == "[sheet Prices]\ncar\t\t7.5\nvan\t\n"


def test_slides_come_in_their_order() -> None:
    data = packed(
        ppt__presentation_xml="<p/>",
        ppt__slides__slide10_xml="<s><p><t>last</t></p></s>",
        ppt__slides__slide2_xml="<s><p><t>first</t></p></s>",
    )

    assert contents.kind_of(data, "")[0] == POWERPOINT
    assert contents.text_of(data) == "[slide 2]\nfirst\n[slide 10]\nlast\n"


def test_an_open_document_is_its_paragraphs() -> None:
    kind = "application/vnd.oasis.opendocument.text"
    data = packed(
        mimetype=kind,
        content_xml="<d xmlns:t='t'><t:h>Title</t:h><t:p>One<t:tab/>two</t:p></d>",
    )

    assert contents.kind_of(data, "") == (kind, "text")
    assert contents.text_of(data) == "Title\nOne\ttwo\n"


def test_a_long_document_is_cut_and_says_so() -> None:
    data = document("<w:p><w:r><w:t>word</w:t></w:r></w:p>" * 30_000)

    text = contents.text_of(data) or ""

    assert text.endswith("(cut after 100,000 characters: the file goes on)")
    assert len(text) < 100_100


@pytest.mark.parametrize(
    "data",
    [
        packed(word__document_xml='<!DOCTYPE d [<!ENTITY a "b">]><d>&a;</d>'),
        packed(word__document_xml="<d>" * 201 + "</d>" * 201),
        packed(word__document_xml="<d><unclosed></d>"),
        packed(word__document_xml=b"\xff\xfe<"),
        document("<w:p/>")[:-30],
        b"PK\x03\x04" + b"\0" * 60,
    ],
)
def test_what_is_damaged_or_made_to_do_harm_has_no_text(data: bytes) -> None:
    assert contents.text_of(data) is None
    assert contents.kind_of(data, "text/plain")[1] == "other"


def test_a_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(office, "UNPACKED_BYTES_MAX", 1_000_000)
    bomb = document(" " * 2_000_000)

    with pytest.raises(office.NotReadable, match="unpacks to too much"):
        office.text_of(bomb, 1_000)


def test_a_zip_with_a_huge_list_of_members_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(office, "DIRECTORY_BYTES_MAX", 10)

    with pytest.raises(office.NotReadable, match="too many members"):
        office.text_of(document("<w:p/>"), 1_000)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("één".encode(), "één"),
        ("één".encode("utf-8-sig"), "één"),
        ("één".encode("utf-16"), "één"),
        ("één €".encode("cp1252"), "één €"),
        (b"\0\1\2", None),
        (b"  \n", None),
    ],
)
def test_text_is_read_in_its_encoding(data: bytes, text: str | None) -> None:
    assert contents.text_of(data) == text


def test_pages_of_a_pdf_are_counted() -> None:
    pages = b"%PDF-1.7" + b"/Type /Page /Type/Page /Type /Pages" * 10

    assert contents.tokens_of(pages, "document") == 20 * contents.PAGE_TOKENS
    assert contents.tokens_of(b"%PDF-1.7" + b"x" * 120_000, "document") == 3 * contents.PAGE_TOKENS

"""Writes a document as a Word file, with python-docx; run in a process of its own (apart.py)."""

import io
from typing import Any, Final

from bridge.tools import apart
from bridge.tools.blocks import Block, Cell, from_json
from bridge.tools.images import Picture, opened

CODE_FONT: Final = "Courier New"
WIDTH_INCHES: Final = 6.0
PIXELS_PER_INCH: Final = 120
INDENT_INCHES: Final = 0.25
LEVELS: Final = 9


def write(order: dict[str, Any], data: bytes) -> apart.Answer:
    """The file. `order` holds `blocks` and `images`, name and bytes of each in `data`.

    Raises: Unusable.
    """
    import docx

    document = docx.Document()
    images = opened(order, data)
    for block in from_json(order["blocks"]):
        _add(document, block, images)
    out = io.BytesIO()
    document.save(out)
    return {}, out.getvalue()


def _add(document: Any, block: Block, images: dict[str, Picture]) -> None:
    match block.kind:
        case "heading":
            _fill(document.add_heading(level=min(block.level, LEVELS)), block.spans)
        case "item":
            _fill(_item(document, block), block.spans)
        case "code":
            _run(document.add_paragraph(), block.text, "c")
        case "image":
            _image(document, block, images[block.image])
        case "table":
            _table(document, block.rows)
        case "rule":
            document.add_paragraph("―" * 20)
        case "quote":
            _fill(document.add_paragraph(style="Quote"), block.spans)
        case _:
            _fill(document.add_paragraph(), block.spans)


def _item(document: Any, block: Block) -> Any:
    """An item with its own marker: Word's numbering would go on from one list to the next."""
    from docx.shared import Inches

    paragraph = document.add_paragraph()
    look = paragraph.paragraph_format
    look.left_indent = Inches(INDENT_INCHES * (block.level + 1))
    look.first_line_indent = Inches(-INDENT_INCHES)
    look.space_after = 0
    paragraph.add_run(f"{block.marker}\t")
    return paragraph


def _image(document: Any, block: Block, image: Picture) -> None:
    from docx.shared import Inches

    width = min(image.width / PIXELS_PER_INCH, WIDTH_INCHES)
    document.add_picture(io.BytesIO(image.data), width=Inches(width))
    if block.text:
        document.add_paragraph(block.text, style="Caption")


def _table(document: Any, rows: list[list[Cell]]) -> None:
    table = document.add_table(rows=len(rows), cols=len(rows[0]), style="Table Grid")
    for row, made in zip(rows, table.rows, strict=True):
        for cell, place in zip(row, made.cells, strict=True):
            _fill(place.paragraphs[0], cell, always="b" if row is rows[0] else "")


def _fill(paragraph: Any, spans: Cell, always: str = "") -> None:
    for span in spans:
        if span.link:
            _link(paragraph, span.text, span.link)
        else:
            _run(paragraph, span.text, span.style + always)


def _run(paragraph: Any, text: str, style: str) -> Any:
    run = paragraph.add_run(text)
    run.bold = True if "b" in style else None
    run.italic = True if "i" in style else None
    run.font.strike = True if "s" in style else None
    if "c" in style:
        run.font.name = CODE_FONT
    return run


def _link(paragraph: Any, text: str, address: str) -> None:
    """The library has no call for links: a run stands in one, and the address is a relation."""
    from docx.opc.constants import RELATIONSHIP_TYPE
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn
    from docx.shared import RGBColor

    number = paragraph.part.relate_to(address, RELATIONSHIP_TYPE.HYPERLINK, is_external=True)
    link = OxmlElement("w:hyperlink")
    link.set(qn("r:id"), number)
    run = _run(paragraph, text, "")
    run.font.underline = True
    run.font.color.rgb = RGBColor(0x0B, 0x57, 0xA4)
    link.append(run._r)
    paragraph._p.append(link)


if __name__ == "__main__":
    apart.serve(write)

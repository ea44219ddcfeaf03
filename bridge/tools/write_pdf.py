"""Draws a document as a PDF file, with reportlab; run in a process of its own (see apart.py)."""

import io
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from bridge.tools import apart
from bridge.tools.blocks import Block, Cell, Span, from_json
from bridge.tools.fonts import FACES, REGULAR
from bridge.tools.images import Picture, opened
from bridge.tools.typeset import Typesetter

HEADING_SIZES: Final = (20, 16, 13, 11.5, 11, 10.5)
SIZE: Final = 10
MARGIN: Final = 56.0
FRAME_SPACE: Final = 12.0  # that a frame keeps to itself
IMAGE_HEIGHT_MAX: Final = 0.6  # of a page
CODE_COLUMNS: Final = 88
CELL_WEIGHT_MAX: Final = 40  # letters; a longer cell has more lines instead
MANY_COLUMNS: Final = 6
CELL_PADDING: Final = 4
RIGHT: Final = 2  # reportlab's name for a text that ends at the right


def draw(order: dict[str, Any], data: bytes) -> apart.Answer:
    """The file. `order` holds `blocks` and `images`, name and bytes of each in `data`.

    The answer has `pages`, the characters no font here has (`missing`), and whether some are of a
    script whose signs nobody puts together (`unshaped`). Raises: Unusable.
    """
    with TemporaryDirectory() as folder:
        return _drawn(from_json(order["blocks"]), opened(order, data), Path(folder))


def _drawn(blocks: list[Block], images: dict[str, Picture], folder: Path) -> apart.Answer:
    from reportlab.platypus import SimpleDocTemplate

    typesetter = Typesetter("".join(block.words() for block in blocks), folder)
    title = next((block.words() for block in blocks if block.kind == "heading"), "")
    out = io.BytesIO()
    document = SimpleDocTemplate(
        out,
        leftMargin=MARGIN,
        rightMargin=MARGIN,
        topMargin=MARGIN,
        bottomMargin=MARGIN,
        title=title,
        author="KITT",
    )
    page = _Page(typesetter, document.width - FRAME_SPACE, document.height, images)
    story = [part for block in blocks for part in page.parts(block)]

    def number(canvas: Any, about: Any) -> None:
        canvas.setFont(REGULAR, 8)
        canvas.drawCentredString(about.pagesize[0] / 2, MARGIN / 2, str(about.page))

    document.build(story, onFirstPage=number, onLaterPages=number)
    said = {"missing": list(typesetter.missing), "unshaped": typesetter.unshaped}
    return {"pages": document.page, **said}, out.getvalue()


class _Page:
    """What a block looks like on a page of this size."""

    def __init__(
        self, typesetter: Typesetter, width: float, height: float, images: dict[str, Picture]
    ) -> None:
        self._typesetter = typesetter
        self._width = width
        self._height = height
        self._images = images

    def parts(self, block: Block) -> Iterator[Any]:
        """The pieces reportlab puts on pages."""
        from reportlab.platypus import HRFlowable, Spacer

        match block.kind:
            case "heading":
                yield self._heading(block)
            case "item":
                yield self._item(block)
            case "code":
                yield self._code(block.text)
            case "image":
                yield from self._image(block)
            case "table":
                yield from (self._table(block.rows), Spacer(0, 10))
            case "rule":
                yield HRFlowable(width="100%", spaceBefore=6, spaceAfter=10)
            case _:
                quoted = block.kind == "quote"
                look: dict[str, Any] = {"leftIndent": 14 * quoted}
                look["textColor"] = "#444444" if quoted else "#000000"
                yield self._paragraph(block.spans, SIZE, spaceAfter=7, **look)

    def _style(self, size: float, **look: Any) -> Any:
        from reportlab.lib.styles import ParagraphStyle

        base = {"fontName": REGULAR, "fontSize": size, "leading": size * 1.4}
        return ParagraphStyle("KITT", **{**base, **look})

    def _paragraph(
        self, spans: Cell, size: float, always: str = "", width: float | None = None, **look: Any
    ) -> Any:
        """Words on a page or in a column; those read from the right begin there."""
        from reportlab.platypus import Paragraph

        indent = look.get("leftIndent", 0)
        space = (self._width if width is None else width) - indent
        marked, right = self._typesetter.paragraph(spans, size=size, width=space, always=always)
        if right:
            look |= {"leftIndent": 0, "rightIndent": indent, "alignment": RIGHT}
        return Paragraph(marked, self._style(size, **look))

    def _heading(self, block: Block) -> Any:
        size = HEADING_SIZES[min(block.level, len(HEADING_SIZES)) - 1]
        look = {"leading": size * 1.25, "spaceBefore": size * 0.8, "spaceAfter": size * 0.4}
        return self._paragraph(block.spans, size, "b", fontName=FACES["b"], keepWithNext=1, **look)

    def _item(self, block: Block) -> Any:
        from reportlab.platypus import Paragraph

        indent = 16.0 * block.level
        look: dict[str, Any] = {"leftIndent": indent, "bulletIndent": indent - 14, "spaceAfter": 3}
        look |= {"bulletFontName": REGULAR, "bulletFontSize": SIZE}
        marked, right = self._typesetter.paragraph(
            block.spans, size=SIZE, width=self._width - indent
        )
        if not right:
            return Paragraph(marked, self._style(SIZE, **look), bulletText=block.marker or None)
        marker = [Span(f"{block.marker} ")] if block.marker else []
        return self._paragraph([*marker, *block.spans], SIZE, leftIndent=indent - 14, spaceAfter=3)

    def _code(self, text: str) -> Any:
        from reportlab.platypus import XPreformatted

        look = {"fontName": FACES["c"], "backColor": "#f3f3f3", "borderPadding": 4}
        style = self._style(8, spaceBefore=6, spaceAfter=10, **look)
        return XPreformatted(self._typesetter.code(text, size=8, columns=CODE_COLUMNS), style)

    def _image(self, block: Block) -> Iterator[Any]:
        from reportlab.platypus import Image

        image = self._images[block.image]
        scale = min(self._width / image.width, self._height * IMAGE_HEIGHT_MAX / image.height, 1.0)
        drawn = Image(io.BytesIO(image.data), image.width * scale, image.height * scale)
        drawn.spaceAfter = 4
        yield drawn
        if block.text:
            look: dict[str, Any] = {"textColor": "#444444", "alignment": 1, "spaceAfter": 8}
            yield self._paragraph([Span(block.text)], 8.5, **look)

    def _table(self, rows: list[list[Cell]]) -> Any:
        from reportlab.lib import colors
        from reportlab.platypus import Table

        columns = len(rows[0])
        size = 9 if columns < MANY_COLUMNS else 7
        widths = self._widths(rows)
        cells = [
            [
                self._paragraph(cell, size, "" if number else "b", width - 2 * CELL_PADDING)
                for cell, width in zip(row, widths, strict=True)
            ]
            for number, row in enumerate(rows)
        ]
        look = [
            ("GRID", (0, 0), (-1, -1), 0.4, colors.HexColor("#bbbbbb")),
            ("BACKGROUND", (0, 0), (-1, 0), colors.HexColor("#eeeeee")),
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("LEFTPADDING", (0, 0), (-1, -1), CELL_PADDING),
            ("RIGHTPADDING", (0, 0), (-1, -1), CELL_PADDING),
        ]
        return Table(cells, colWidths=widths, repeatRows=1, splitInRow=1, style=look)

    def _widths(self, rows: list[list[Cell]]) -> list[float]:
        """Wide where a column has long texts."""
        weights = [
            3 + max(min(sum(len(span.text) for span in cell), CELL_WEIGHT_MAX) for cell in column)
            for column in zip(*rows, strict=True)
        ]
        return [self._width * weight / sum(weights) for weight in weights]


if __name__ == "__main__":
    apart.serve(draw)

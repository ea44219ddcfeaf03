"""Draws a document as a PDF file, with reportlab; run in a process of its own (see apart.py)."""

import io
from collections.abc import Iterator
from typing import Any, Final
from xml.sax.saxutils import escape, quoteattr

from bridge.tools import apart
from bridge.tools.blocks import Block, Cell, from_json
from bridge.tools.fonts import Fonts, fonts_for
from bridge.tools.images import Picture, opened

HEADING_SIZES: Final = (20, 16, 13, 11.5, 11, 10.5)
SIZE: Final = 10
MARGIN: Final = 56.0
FRAME_SPACE: Final = 12.0  # that a frame keeps to itself
IMAGE_HEIGHT_MAX: Final = 0.6  # of a page
CODE_COLUMNS: Final = 88
CELL_WEIGHT_MAX: Final = 40  # letters; a longer cell has more lines instead
MANY_COLUMNS: Final = 6
BLUE: Final = "#0b57a4"


def draw(order: dict[str, Any], data: bytes) -> apart.Answer:
    """The file. `order` holds `blocks` and `images`, name and bytes of each in `data`.

    Raises: Unusable.
    """
    from reportlab.platypus import SimpleDocTemplate

    blocks = from_json(order["blocks"])
    fonts = fonts_for("".join(block.words() for block in blocks) + "0123456789•…")
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
    page = _Page(fonts, document.width - FRAME_SPACE, document.height, opened(order, data))
    story = [part for block in blocks for part in page.parts(block)]

    def number(canvas: Any, about: Any) -> None:
        canvas.setFont(fonts.regular, 8)
        canvas.drawCentredString(about.pagesize[0] / 2, MARGIN / 2, str(about.page))

    document.build(story, onFirstPage=number, onLaterPages=number)
    return {"pages": document.page}, out.getvalue()


class _Page:
    """What a block looks like on a page of this size."""

    def __init__(
        self, fonts: Fonts, width: float, height: float, images: dict[str, Picture]
    ) -> None:
        self._fonts = fonts
        self._width = width
        self._height = height
        self._images = images

    def parts(self, block: Block) -> Iterator[Any]:
        """The pieces reportlab puts on pages."""
        from reportlab.platypus import HRFlowable, Paragraph, Spacer

        match block.kind:
            case "heading":
                yield Paragraph(self._marked(block.spans), self._heading(block.level))
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
                look = {"leftIndent": 14 * quoted, "textColor": "#444444" if quoted else "#000000"}
                yield Paragraph(self._marked(block.spans), self._style(SIZE, spaceAfter=7, **look))

    def _style(self, size: float, **look: Any) -> Any:
        from reportlab.lib.styles import ParagraphStyle

        base = {"fontName": self._fonts.regular, "fontSize": size, "leading": size * 1.4}
        return ParagraphStyle("KITT", **{**base, **look})

    def _heading(self, level: int) -> Any:
        size = HEADING_SIZES[min(level, len(HEADING_SIZES)) - 1]
        look = {"fontName": self._fonts.bold, "leading": size * 1.25, "keepWithNext": 1}
        return self._style(size, spaceBefore=size * 0.8, spaceAfter=size * 0.4, **look)

    def _item(self, block: Block) -> Any:
        from reportlab.platypus import Paragraph

        indent = 16.0 * block.level
        style = self._style(
            SIZE,
            leftIndent=indent,
            bulletIndent=indent - 14,
            bulletFontName=self._fonts.regular,
            bulletFontSize=SIZE,
            spaceAfter=3,
        )
        return Paragraph(self._marked(block.spans), style, bulletText=block.marker or None)

    def _code(self, text: str) -> Any:
        from reportlab.platypus import Preformatted

        look = {"fontName": self._fonts.code, "backColor": "#f3f3f3", "borderPadding": 4}
        style = self._style(8, spaceBefore=6, spaceAfter=10, **look)
        return Preformatted(text.expandtabs(4), style, maxLineLength=CODE_COLUMNS)

    def _image(self, block: Block) -> Iterator[Any]:
        from reportlab.platypus import Image, Paragraph

        image = self._images[block.image]
        scale = min(self._width / image.width, self._height * IMAGE_HEIGHT_MAX / image.height, 1.0)
        drawn = Image(io.BytesIO(image.data), image.width * scale, image.height * scale)
        drawn.spaceAfter = 4
        yield drawn
        if block.text:
            look = {"textColor": "#444444", "alignment": 1, "spaceAfter": 8}
            yield Paragraph(escape(block.text), self._style(8.5, **look))

    def _table(self, rows: list[list[Cell]]) -> Any:
        from reportlab.lib import colors
        from reportlab.platypus import Paragraph, Table

        columns = len(rows[0])
        size = 9 if columns < MANY_COLUMNS else 7
        style = self._style(size)
        top = self._style(size, fontName=self._fonts.bold)
        cells = [
            [Paragraph(self._marked(cell), style if number else top) for cell in row]
            for number, row in enumerate(rows)
        ]
        look = [
            ("GRID", (0, 0), (-1, -1), 0.4, colors.HexColor("#bbbbbb")),
            ("BACKGROUND", (0, 0), (-1, 0), colors.HexColor("#eeeeee")),
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("LEFTPADDING", (0, 0), (-1, -1), 4),
            ("RIGHTPADDING", (0, 0), (-1, -1), 4),
        ]
        widths = self._widths(rows)
        return Table(cells, colWidths=widths, repeatRows=1, splitInRow=1, style=look)

    def _widths(self, rows: list[list[Cell]]) -> list[float]:
        """Wide where a column has long texts."""
        weights = [
            3 + max(min(sum(len(span.text) for span in cell), CELL_WEIGHT_MAX) for cell in column)
            for column in zip(*rows, strict=True)
        ]
        return [self._width * weight / sum(weights) for weight in weights]

    def _marked(self, spans: Cell) -> str:
        """As reportlab's paragraphs take it."""
        return "".join(self._span(span.text, span.style, span.link) for span in spans)

    def _span(self, text: str, style: str, link: str) -> str:
        marked = escape(text).replace("\n", "<br/>")
        if "c" in style:
            marked = f'<font name="{self._fonts.code}">{marked}</font>'
        for sign, tag in (("b", "b"), ("i", "i"), ("s", "strike")):
            if sign in style:
                marked = f"<{tag}>{marked}</{tag}>"
        return f'<a href={quoteattr(link)} color="{BLUE}">{marked}</a>' if link else marked


if __name__ == "__main__":
    apart.serve(draw)

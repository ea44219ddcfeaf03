"""A job reads long documents in parts and writes documents people can open."""

import asyncio
import io
import os
import zipfile
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import pypdf
import pytest
from fakes import claimed
from PIL import Image

from bridge import office
from bridge.agent.tool import ToolFailed
from bridge.outgoing import Outgoing
from bridge.queue import Queue
from bridge.settings import Settings
from bridge.tools import apart
from bridge.tools.documents import document_tools
from bridge.tools.parts import LINE_CHARS_MAX, PART_CHARS, Range, range_of
from bridge.tools.toolbox import Context
from bridge.tools.workspace import Workspace

Call = Callable[..., Awaitable[str]]
REPORT = """# Prijzen 2026

Żółć, gęślą jaźń: **vet**, *schuin*, `x = 1` en [de bron](https://example.org/a?b=1&c=2).

- lamp
  - rood
3. derde
4. vierde

> Een citaat met <b>geen</b> HTML.

| Naam | Prijs |
|---|---|
| Lamp & co | € 5 |
| Stoel, hoog | € 12 |

![De grafiek](chart.png)

```
print("hallo")
```
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """The folder of a job, with a picture."""
    workspace = Workspace(tmp_path / "jobs" / "1")
    workspace.write("chart.png", picture(300, 200))
    return workspace


@pytest.fixture
async def call(queue: Queue, workspace: Workspace, tmp_path: Path) -> Call:
    """Call a tool by name, as the loop does: check the input, then run."""
    context = Context(
        queue=queue,
        job=await claimed(queue),
        workspace=workspace,
        settings=Settings(profile=tmp_path),
        closing=AsyncExitStack(),
        outgoing=Outgoing(),
    )
    tools = {tool.name: tool for tool in document_tools(context)}

    async def run(name: str, **given: Any) -> str:
        act = tools[name].run
        assert act is not None
        return await act(tools[name].check(given))

    return run


def picture(width: int, height: int) -> bytes:
    """A PNG file of one colour."""
    out = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(out, "PNG")
    return out.getvalue()


def pdf_of(pages: list[str]) -> bytes:
    """A PDF file with these texts, one to a page."""
    from reportlab.pdfgen.canvas import Canvas

    out = io.BytesIO()
    canvas = Canvas(out)
    for text in pages:
        for number, line in enumerate(text.splitlines()):
            canvas.drawString(50, 800 - 12 * number, line)
        canvas.showPage()
    canvas.save()
    return out.getvalue()


# Writing


async def test_a_pdf_has_everything_that_stands_in_the_markdown(
    call: Call, workspace: Workspace
) -> None:
    said = await call("write_document", path="out/report.pdf", markdown=REPORT)

    pdf = pypdf.PdfReader(io.BytesIO(workspace.read("out/report.pdf", 10_000_000)))
    text = pdf.pages[0].extract_text()
    assert said.startswith("Wrote out/report.pdf (")
    assert said.endswith("pages: 1).")
    for words in (
        "Prijzen 2026",
        "Żółć, gęślą jaźń: vet, schuin, x = 1 en de bron.",
        "• lamp",
        "3. derde",
        "Een citaat met <b>geen</b> HTML.",
        "€ 12",
        "De grafiek",
        'print("hallo")',
    ):
        assert words in text
    assert len(pdf.pages[0].images) == 1
    notes: Any = pdf.pages[0]["/Annots"]
    (link,) = [note.get_object() for note in notes]
    assert link["/A"]["/URI"] == "https://example.org/a?b=1&c=2"
    assert pdf.metadata is not None
    assert pdf.metadata.title == "Prijzen 2026"


async def test_a_word_file_has_the_same(call: Call, workspace: Workspace) -> None:
    await call("write_document", path="report.docx", markdown=REPORT)

    data = workspace.read("report.docx", 10_000_000)
    text, _ = office.text_of(data, 100_000)
    members = zipfile.ZipFile(io.BytesIO(data))
    body = members.read("word/document.xml").decode()
    assert "Żółć, gęślą jaźń: vet, schuin, x = 1 en de bron." in text
    assert "3.\tderde\n4.\tvierde" in text
    assert "Lamp & co  | € 5" in text
    assert "<w:b/>" in body
    assert 'w:val="Heading1"' in body
    assert any(name.startswith("word/media/") for name in members.namelist())
    assert (
        "https://example.org/a?b=1&amp;c=2" in members.read("word/_rels/document.xml.rels").decode()
    )


async def test_a_table_becomes_a_csv_that_spreadsheets_know(
    call: Call, workspace: Workspace
) -> None:
    await call("write_document", path="prices.csv", markdown=REPORT)

    data = workspace.read("prices.csv", 1_000)
    assert data.decode("utf-8-sig") == 'Naam,Prijs\r\nLamp & co,€ 5\r\n"Stoel, hoog",€ 12\r\n'
    assert data.startswith(b"\xef\xbb\xbf")


async def test_markdown_stays_as_it_is(call: Call, workspace: Workspace) -> None:
    await call("write_document", path="report.md", markdown=REPORT)

    assert workspace.read("report.md", 10_000).decode() == REPORT


async def test_long_tables_and_words_go_on_over_pages(call: Call, workspace: Workspace) -> None:
    rows = "".join(f"| {n} | {'word ' * (n % 50)} | {'x' * 200} |\n" for n in range(150))
    table = f"| n | words | long |\n|---|---|---|\n{rows}"
    await call("write_document", path="long.pdf", markdown=f"{table}\n{'y' * 3_000}\n")

    pdf = pypdf.PdfReader(io.BytesIO(workspace.read("long.pdf", 10_000_000)))
    assert len(pdf.pages) > 3
    assert "149" in "".join(page.extract_text() for page in pdf.pages[-4:])
    assert "words" in pdf.pages[2].extract_text()  # the head of the table on every page


async def test_a_huge_cell_or_picture_still_fits(call: Call, workspace: Workspace) -> None:
    workspace.write("tall.png", picture(20, 4_000))
    markdown = f"| a | b |\n|---|---|\n| {'words and ' * 3_000} | 2 |\n\n![](tall.png)\n"

    await call("write_document", path="huge.pdf", markdown=markdown)

    pdf = pypdf.PdfReader(io.BytesIO(workspace.read("huge.pdf", 10_000_000)))
    assert len(pdf.pages) > 1


@pytest.mark.parametrize(
    ("markdown", "why"),
    [
        ("![x](none.png)", "There is no file none.png"),
        ("![x](../../secret.png)", "outside the job's folder"),
        ("![x](http://shop.test/x.png)", "download it first"),
        ("![x](report.txt)", "no PNG or JPEG"),
        ("![x](large.png)", "more than 25,000,000 pixels"),
        ("![x](bomb.png)", "more than 25,000,000 pixels"),
    ],
)
async def test_a_picture_that_cannot_be_shown_is_named(
    call: Call, workspace: Workspace, markdown: str, why: str
) -> None:
    workspace.write("report.txt", b"no picture")
    if "large" in markdown:
        workspace.write("large.png", picture(5_001, 5_000))
    if "bomb" in markdown:
        workspace.write("bomb.png", bomb())

    for path in ("report.pdf", "report.docx"):
        with pytest.raises(ToolFailed, match=why):
            await call("write_document", path=path, markdown=markdown)


def bomb() -> bytes:
    """A small PNG file that says it is a picture of 100,000 × 100,000."""
    import struct
    import zlib

    head = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(bytes(100_000))), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )


@pytest.mark.parametrize("path", ["report.exe", "report", "report.pdf.sh"])
async def test_another_kind_of_file_is_not_written(call: Call, path: str) -> None:
    with pytest.raises(ToolFailed, match="must end in"):
        await call("write_document", path=path, markdown="text")


async def test_a_csv_without_one_table_is_refused(call: Call) -> None:
    with pytest.raises(ToolFailed, match="there are 0"):
        await call("write_document", path="report.csv", markdown="no table")


# Reading


async def test_pages_are_read_with_their_numbers_and_what_is_left(
    call: Call, workspace: Workspace
) -> None:
    workspace.write("long.pdf", pdf_of([f"This is page {n}." for n in range(1, 201)]))

    said = await call("read_document", path="long.pdf", part="117-119")

    assert said.startswith('<kitt-untrusted source="long.pdf">\n(long.pdf; pages: 200.)')
    assert "[Page 117]\nThis is page 117." in said
    assert "[Page 119]\nThis is page 119." in said
    assert "page 120" not in said
    assert "(There is more: pages 120-200.)" in said


async def test_as_many_pages_as_fit_are_read_and_the_rest_is_named(
    call: Call, workspace: Workspace
) -> None:
    page = "\n".join(f"Line {n} of many words on this page." for n in range(60))
    workspace.write("long.pdf", pdf_of([page] * 40))

    said = await call("read_document", path="long.pdf")

    assert len(said) < PART_CHARS + 1_500
    following = int(said.partition("There is more: pages ")[2].partition("-")[0])
    assert f"[Page {following - 1}]" in said
    assert f"[Page {following}]" not in said
    assert "No more fits" in said


async def test_rows_of_a_table_are_read_from_anywhere(call: Call, workspace: Workspace) -> None:
    rows = "".join(f"{n},name {n}\n" for n in range(1, 100_001))
    workspace.write("rows.csv", rows.encode())

    said = await call("read_document", path="rows.csv", part="70000-70001")

    assert "70000,name 70000\n70001,name 70001" in said
    assert "69999" not in said
    assert "(There is more: lines 70002-100000.)" in said


async def test_an_office_file_is_read_in_lines(call: Call, workspace: Workspace) -> None:
    markdown = "\n\n".join(f"Paragraph {n}" for n in range(1, 21))
    await call("write_document", path="report.docx", markdown=markdown)

    said = await call("read_document", path="report.docx", part="19-")

    assert "Paragraph 19\nParagraph 20" in said
    assert "Paragraph 18" not in said
    assert "There is more" not in said


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        ("prijs € 5\n".encode(), "prijs € 5"),
        ("prijs € 5\n".encode("cp1252"), "prijs € 5"),
        ("prijs € 5\n".encode("utf-16"), "prijs € 5"),
        (("ą" * 40_000).encode(), "ąąą"),
    ],
)
async def test_text_is_read_in_the_encodings_people_have(
    call: Call, workspace: Workspace, data: bytes, shown: str
) -> None:
    workspace.write("note.txt", data)

    assert shown in await call("read_document", path="note.txt")


async def test_a_line_without_end_is_cut(call: Call, workspace: Workspace) -> None:
    workspace.write("one.txt", b"x" * 500_000 + b"\nsecond\n")

    said = await call("read_document", path="one.txt")

    assert len(said) < LINE_CHARS_MAX + 500
    assert "x […]\nsecond" in said


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("broken.pdf", b"%PDF-1.4 broken", "damaged"),
        ("broken.docx", b"PK\x03\x04 broken", "no document that can be read"),
        ("tool.bin", b"\x7fELF\x00\x01\x02", "holds no text"),
    ],
)
async def test_what_cannot_be_read_says_so(
    call: Call, workspace: Workspace, name: str, data: bytes, why: str
) -> None:
    workspace.write(name, data)

    with pytest.raises(ToolFailed, match=why):
        await call("read_document", path=name)


async def test_a_locked_pdf_says_so(call: Call, workspace: Workspace) -> None:
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(pdf_of(["secret"])))
    writer.encrypt("password", algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)
    workspace.write("locked.pdf", out.getvalue())

    with pytest.raises(ToolFailed, match="locked with a password"):
        await call("read_document", path="locked.pdf")


async def test_a_bomb_in_a_pdf_costs_this_process_nothing(call: Call, workspace: Workspace) -> None:
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(pdf_of(["page"])))
    stream = pypdf.generic.DecodedStreamObject()
    stream.set_data(b"0 0 m\n" * 20_000_000)
    writer.pages[0][pypdf.generic.NameObject("/Contents")] = writer._add_object(
        stream.flate_encode()
    )
    out = io.BytesIO()
    writer.write(out)
    workspace.write("bomb.pdf", out.getvalue())
    del stream, writer, out
    before = resident_mb()

    try:
        said = await call("read_document", path="bomb.pdf")
    except ToolFailed as error:
        said = str(error)

    assert "could not be read" in said or "cannot be read" in said
    assert resident_mb() - before < 50


async def test_readers_of_all_jobs_together_run_two_at_once(call: Call, tmp_path: Path) -> None:
    asking = [asyncio.create_task(asked_in_vain()) for _ in range(5)]
    most = 0
    while not all(task.done() for task in asking):
        most = max(most, len(readers()))
        await asyncio.sleep(0.002)

    assert most == apart.AT_ONCE
    assert [task.result() for task in asking] == ["This is no document that can be read"] * 5


async def asked_in_vain() -> str:
    """A reader's word on what is no document."""
    with pytest.raises(ToolFailed) as refused:
        await apart.ask("read_office", {"chars": 10}, b"nothing")
    return str(refused.value).partition(" (")[0]


def readers() -> list[str]:
    """The processes of ours that take something apart."""
    pids = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    found = []
    for pid in pids:
        with suppress(OSError):
            if b"bridge.tools.read_office" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
    return found


def resident_mb() -> int:
    """Memory this process holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4_096 // 1_000_000


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", Range()),
        ("7", Range(7, 7)),
        ("3-12", Range(3, 12)),
        (" 20 - ", Range(20, None)),
    ],
)
def test_a_part_is_written_as_people_do(text: str, found: Range) -> None:
    assert range_of(text) == found


@pytest.mark.parametrize("text", ["0", "5-3", "a", "1,2", "-4", "9" * 20])
def test_another_part_is_refused(text: str) -> None:
    with pytest.raises(ToolFailed, match="A part is"):
        range_of(text)

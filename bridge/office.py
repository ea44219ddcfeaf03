"""The text of office files: docx, xlsx, pptx and OpenDocument. Pictures and looks are left out.

Such a file is a zip of XML and comes from anybody: nothing is unpacked to a disk, at most so many
bytes are unpacked at all, a document that declares entities is refused, and reading ends as soon
as there is text enough.
"""

import io
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final
from xml.parsers import expat

DIRECTORY_BYTES_MAX: Final = 1_000_000  # of the zip: about ten thousand members
UNPACKED_BYTES_MAX: Final = 50_000_000
SHARED_MAX: Final = 500_000  # different texts of one spreadsheet
COLUMNS_MAX: Final = 200
DEPTH_MAX: Final = 200
SLIDES_MAX: Final = 500
WORD: Final = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
EXCEL: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
POWERPOINT: Final = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
_MEMBERS: Final = (
    ("word/document.xml", WORD),
    ("xl/workbook.xml", EXCEL),
    ("ppt/presentation.xml", POWERPOINT),
)
_OPEN_DOCUMENT: Final = re.compile(r"application/vnd\.oasis\.opendocument\.[a-z-]{1,30}")
_SLIDE: Final = re.compile(r"ppt/slides/slide(\d{1,5})\.xml")
Attributes = dict[str, str]


class NotReadable(Exception):
    """It is damaged, locked with a password, or made to do harm."""


class _Enough(Exception):
    """There is as much text as anybody asked for."""


@dataclass(slots=True)
class _Text:
    """Text in the making."""

    chars_max: int
    pieces: list[str] = field(default_factory=list)
    chars: int = 0

    def add(self, text: str) -> None:
        self.pieces.append(text)
        self.chars += len(text)
        if self.chars > self.chars_max:
            raise _Enough


class _Parts:
    """The members of a zip, unpacked in memory and never more than so many bytes together."""

    def __init__(self, data: bytes) -> None:
        _check_directory(data)
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
            raise NotReadable(str(error)) from error
        self.names = set(self._zip.namelist())
        self._left = UNPACKED_BYTES_MAX

    def read(self, name: str) -> Iterator[bytes]:
        """A member in pieces. Raises: NotReadable."""
        try:
            with self._zip.open(name) as member:
                while piece := member.read(65_536):
                    self._left -= len(piece)
                    if self._left < 0:
                        raise NotReadable("It unpacks to too much.")
                    yield piece
        except (KeyError, RuntimeError, zipfile.BadZipFile, zlib.error, OSError, EOFError) as error:
            raise NotReadable(f"{name}: {error}") from error

    def small(self, name: str) -> bytes:
        """The first piece of a member, or nothing."""
        return next(self.read(name), b"") if name in self.names else b""


def media_type_of(data: bytes) -> str:
    """The media type of an office file this module can read; empty for anything else."""
    try:
        return _media_type(_Parts(data))
    except NotReadable:
        return ""


def text_of(data: bytes, chars_max: int) -> tuple[str, bool]:
    """The text, and whether it was cut at so many characters. Raises: NotReadable."""
    parts, text = _Parts(data), _Text(chars_max)
    media_type = _media_type(parts)
    readers: dict[str, Callable[[_Parts, _Text], None]] = {
        WORD: _word,
        EXCEL: _excel,
        POWERPOINT: _powerpoint,
    }
    if not media_type:
        raise NotReadable("It is no office file.")
    try:
        readers.get(media_type, _open_document)(parts, text)
    except _Enough:
        return "".join(text.pieces)[:chars_max], True
    return "".join(text.pieces), False


def _media_type(parts: _Parts) -> str:
    if "content.xml" in parts.names:
        told = parts.small("mimetype").decode("ascii", "replace").strip()
        return told if _OPEN_DOCUMENT.fullmatch(told) else ""
    return next((kind for member, kind in _MEMBERS if member in parts.names), "")


def _check_directory(data: bytes) -> None:
    """The list of members is read whole by the library, however long it says it is."""
    at = data.rfind(b"PK\x05\x06", max(0, len(data) - 65_557))
    if not data.startswith(b"PK\x03\x04") or at < 0 or len(data) < at + 22:
        raise NotReadable("It is no zip file.")
    (size,) = struct.unpack_from("<L", data, at + 12)
    if size > DIRECTORY_BYTES_MAX or data[max(0, at - 20) : at].startswith(b"PK\x06\x07"):
        raise NotReadable("It has too many members.")


def _parse(
    parts: _Parts,
    name: str,
    *,
    start: Callable[[str, Attributes], None],
    end: Callable[[str], None] = lambda _tag: None,
    chars: Callable[[str], None] = lambda _text: None,
) -> None:
    """Hand every tag of a member on, without its prefix. Raises: NotReadable."""

    def refuse(*_declared: Any) -> None:
        raise NotReadable(f"{name} declares a document type.")

    depth = 0

    def deeper(tag: str, given: Attributes) -> None:
        nonlocal depth
        depth += 1
        if depth > DEPTH_MAX:
            raise NotReadable(f"{name} is nested too deep.")
        start(_local(tag), {_local(key): value for key, value in given.items()})

    def out(tag: str) -> None:
        nonlocal depth
        depth -= 1
        end(_local(tag))

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.StartElementHandler = deeper
    parser.EndElementHandler = out
    parser.CharacterDataHandler = chars
    try:
        for piece in parts.read(name):
            parser.Parse(piece, False)
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise NotReadable(f"{name}: {error}") from error


def _local(tag: str) -> str:
    return tag.rpartition(":")[2]


def _word(parts: _Parts, text: _Text) -> None:
    inside: list[str] = []
    between = {"tab": "\t", "br": "\n", "cr": "\n"}
    after = {"tc": " | ", "tr": "\n"}

    def start(tag: str, _given: Attributes) -> None:
        inside.append(tag)
        if tag in between and "r" in inside:
            text.add(between[tag])

    def end(tag: str) -> None:
        inside.pop()
        if tag == "p":
            text.add(" " if "tc" in inside else "\n")
        elif tag in after:
            text.add(after[tag])

    def chars(said: str) -> None:
        if inside[-1:] == ["t"]:
            text.add(said)

    _parse(parts, "word/document.xml", start=start, end=end, chars=chars)


def _powerpoint(parts: _Parts, text: _Text) -> None:
    numbers = sorted(int(found[1]) for name in parts.names if (found := _SLIDE.fullmatch(name)))
    for number in numbers[:SLIDES_MAX]:
        inside: list[str] = []

        def end(tag: str, inside: list[str] = inside) -> None:
            inside.pop()
            if tag == "p":
                text.add("\n")

        def chars(said: str, inside: list[str] = inside) -> None:
            if inside[-1:] == ["t"]:
                text.add(said)

        def start(tag: str, _given: Attributes, inside: list[str] = inside) -> None:
            inside.append(tag)

        text.add(f"[slide {number}]\n")
        _parse(parts, f"ppt/slides/slide{number}.xml", start=start, end=end, chars=chars)


def _open_document(parts: _Parts, text: _Text) -> None:
    inside: list[str] = []
    between = {"tab": "\t", "line-break": "\n", "s": " "}

    def start(tag: str, given: Attributes) -> None:
        inside.append(tag)
        if tag in between and "p" in inside:
            text.add(between[tag])
        elif tag in ("table", "page"):
            text.add(f"[{given.get('name', tag)}]\n")

    def end(tag: str) -> None:
        inside.pop()
        in_cell = "table-cell" in inside
        if tag in ("p", "h"):
            text.add(" " if in_cell else "\n")
        elif tag == "table-cell":
            text.add("\t")
        elif tag == "table-row":
            text.add("\n")

    def chars(said: str) -> None:
        if "p" in inside or "h" in inside:
            text.add(said)

    _parse(parts, "content.xml", start=start, end=end, chars=chars)


def _excel(parts: _Parts, text: _Text) -> None:
    shared = _shared_texts(parts) if "xl/sharedStrings.xml" in parts.names else []
    for name, member in _sheets(parts):
        text.add(f"[sheet {name}]\n")
        _Sheet(shared, text).read(parts, member)


def _shared_texts(parts: _Parts) -> list[str]:
    found: list[str] = []
    inside: list[str] = []

    def start(tag: str, _given: Attributes) -> None:
        inside.append(tag)
        if tag == "si":
            found.append("")
            if len(found) > SHARED_MAX:
                raise NotReadable("It has too many texts.")

    def chars(said: str) -> None:
        if inside[-1:] == ["t"] and "rPh" not in inside and found:
            found[-1] += said

    def end(_tag: str) -> None:
        inside.pop()

    _parse(parts, "xl/sharedStrings.xml", start=start, end=end, chars=chars)
    return found


def _sheets(parts: _Parts) -> list[tuple[str, str]]:
    """The sheets in their order: name and member."""
    names: list[tuple[str, str]] = []
    members: dict[str, str] = {}

    def sheet(tag: str, given: Attributes) -> None:
        if tag == "sheet":
            names.append((given.get("name", ""), given.get("id", "")))

    def relation(tag: str, given: Attributes) -> None:
        if tag == "Relationship":
            target = given.get("Target", "")
            members[given.get("Id", "")] = (
                target.removeprefix("/") if target.startswith("/") else f"xl/{target}"
            )

    _parse(parts, "xl/workbook.xml", start=sheet)
    _parse(parts, "xl/_rels/workbook.xml.rels", start=relation)
    return [(name, members[key]) for name, key in names if members.get(key) in parts.names]


class _Sheet:
    """One sheet of a spreadsheet, a line for each row and a tab between its cells."""

    def __init__(self, shared: list[str], text: _Text) -> None:
        self._shared = shared
        self._text = text
        self._inside: list[str] = []
        self._kind = ""
        self._value = ""
        self._column = self._written = 0

    def read(self, parts: _Parts, member: str) -> None:
        """Add what stands in it to the text."""
        _parse(parts, member, start=self._start, end=self._end, chars=self._chars)

    def _start(self, tag: str, given: Attributes) -> None:
        self._inside.append(tag)
        if tag == "row":
            self._column = self._written = 0
        elif tag == "c":
            self._kind, self._value = given.get("t", "n"), ""
            self._column = _column_of(given.get("r", "")) or self._column + 1

    def _chars(self, said: str) -> None:
        if self._inside[-1:] in (["v"], ["t"]):
            self._value += said

    def _end(self, tag: str) -> None:
        self._inside.pop()
        if tag == "c" and self._value and self._column <= COLUMNS_MAX:
            gap = max(self._column - max(self._written, 1), 0)
            self._text.add("\t" * gap + self._shown())
            self._written = self._column
        elif tag == "row" and self._written:
            self._text.add("\n")

    def _shown(self) -> str:
        if self._kind != "s":
            return " ".join(self._value.split())
        number = int(self._value) if self._value.isdecimal() else -1
        known = 0 <= number < len(self._shared)
        return " ".join(self._shared[number].split()) if known else ""


def _column_of(reference: str) -> int:
    """`C7` is 3; 0 when it says none."""
    letters = re.match(r"[A-Z]{1,3}", reference)
    number = 0
    for letter in letters[0] if letters else "":
        number = number * 26 + ord(letter) - 64
    return number

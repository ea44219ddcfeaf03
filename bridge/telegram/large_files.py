"""A file larger than a bot may send: its person chooses between a zip and pieces.

Pieces are ranges of the file, read from it when they are sent: nothing is copied. A zip is made
beside the chat's lane (`Packer`): nobody waits for an answer behind it.
"""

from typing import IO, Final

from bridge.clock import Clock, stamp
from bridge.deliveries import owe
from bridge.store import Tx
from bridge.telegram import compose
from bridge.telegram.buttons import Signer
from bridge.telegram.compose import Part
from bridge.telegram.gate import Incoming, Press
from bridge.telegram.texts import say

MB: Final = 1_000_000
PACKING: Final = "packing"  # a kind of delivery: what it sends is being made


def large_file_part(file: Part, chat_id: str, signer: Signer, *, language: str) -> Part:
    """What is said in place of the file, with the choice."""
    size = f"{file['bytes'] / MB:,.0f}"
    text = say(language, "file_large", name=file["name"], size_mb=size)
    part = compose.plain_part(text, silent=True)
    part["buttons"] = signer.row(
        chat_id,
        (say(language, "button_zip"), "rz", file["file"]),
        (say(language, "button_pieces"), "rp", file["file"]),
    )
    return part


class FileCommands:
    """Carries the two buttons out; there are no commands."""

    names: Final[tuple[str, ...]] = ()
    read_only: Final[tuple[str, ...]] = ()
    verbs: Final[tuple[str, ...]] = ("rz", "rp")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def command(self, tx: Tx, message: Incoming, name: str, argument: str) -> list[Part]:
        """There is none."""
        raise NotImplementedError(name)

    def press(self, tx: Tx, press: Press, verb: str, number: int) -> tuple[str, list[Part]]:
        """Owe the packed file; twice pressed is owed once."""
        row = tx.one("file_of_chat", id=number, chat_id=press.chat_id)
        if row is None:
            return say(press.language, "file_gone"), []
        how = "zip" if verb == "rz" else "pieces"
        owe(
            tx,
            chat_id=press.chat_id,
            thread_id=press.thread_id,
            kind=PACKING,
            payload={"how": how, "of": number, **dict(row)},
            dedupe_key=f"{how}:{number}:{press.message_id}",
            now=stamp(self._clock.now()),
        )
        return say(press.language, "packing_zip" if how == "zip" else "packing_pieces"), []


class Piece:
    """A range of a file, to be read as if it were one."""

    def __init__(self, file: IO[bytes], start: int, length: int) -> None:
        self._file = file
        self._start = start
        self._length = length
        self._at = 0

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes; b"" behind the end."""
        left = self._length - self._at
        self._file.seek(self._start + self._at)
        data = self._file.read(left if size < 0 else min(size, left))
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        """As of any file."""
        self._at = offset + (0, self._at, self._length)[whence]
        return self._at

    def tell(self) -> int:
        """Where the next read begins."""
        return self._at

    def close(self) -> None:
        """Close the file behind it."""
        self._file.close()

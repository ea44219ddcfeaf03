"""Files that people sent, and where they are kept.

A file is `<memory>/files/<chat_id>/<message_id>-<name>`, readable by nobody else, whole or absent,
and never written over. A conversation holds only a small reference to it (a block of our own type),
which becomes the provider's blocks when a request is made (`shown`). A reference names a
file inside its own chat's folder and cannot name another.
"""

import hashlib
import json
import os
import re
import secrets
import stat
import unicodedata
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from bridge import contents
from bridge.conversation import Block, load
from bridge.models import Job
from bridge.store import Tx

TYPE: Final = "kitt-file"  # of our block; no provider ever sees it
NAME_BYTES_MAX: Final = 120
NAMED_CHARS_MIN: Final = 4  # shorter names are found in any text
DATA_KEY: Final = "kitt_files"  # in the data of a job
UNKNOWN: Final = "application/octet-stream"
_PART: Final = ".part-"  # begins the name of a file while it is written
_DIGEST: Final = re.compile(r"^[0-9a-f]{16}-(?=.)")  # of another one with the same name
_CHAT: Final = re.compile(r"-?\d{1,20}")
_MEDIA_TYPE: Final = re.compile(r"[a-z0-9][a-z0-9.+-]{0,60}/[a-z0-9][a-z0-9.+-]{0,90}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One kept file. `kind` is what a model can do with it: image, document, text or other."""

    chat_id: str
    file: str  # its name on disk, which begins with `<message_id>-`
    name: str
    media_type: str
    size: int
    kind: str
    tokens: int = 0  # about what it costs to show it

    def block(self, kind: str = "") -> Block:
        """The reference a conversation keeps; `other` keeps the file itself from the model."""
        return {
            "type": TYPE,
            "chat": self.chat_id,
            "file": self.file,
            "name": self.name,
            "media_type": self.media_type,
            "size": self.size,
            "kind": kind or self.kind,
            "tokens": self.tokens,
        }

    @classmethod
    def of(cls, block: Any) -> "Received | None":
        """A reference as it was stored; None for anything that is none."""
        names = ("chat", "file", "name", "media_type", "kind")
        if not isinstance(block, dict) or block.get("type") != TYPE:
            return None
        chat_id, file, name, media_type, kind = (str(block.get(key, "")) for key in names)
        size, tokens = block.get("size"), block.get("tokens", 0)
        inside = _CHAT.fullmatch(chat_id) and file == Path(file).name and file[:1].isdigit()
        if (
            not inside
            or name != safe_name(name)
            or not isinstance(size, int)
            or not isinstance(tokens, int)
        ):
            return None
        return cls(
            chat_id=chat_id,
            file=file,
            name=name,
            media_type=media_type,
            size=size,
            kind=kind,
            tokens=tokens,
        )


def safe_name(name: str) -> str:
    """A name for a file: no path, not hidden, nothing that a shell, a mark or a disk minds.

    At most 120 bytes; the ending stays. A name without anything left is `file`.
    """
    name = unicodedata.normalize("NFC", name.encode("utf-8", "replace").decode())
    name = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    kept = "".join(_fit(char) for char in name)
    kept = unicodedata.normalize("NFC", kept)  # again: what stood between two of them is gone
    kept = " ".join(kept.split()).strip(". ")
    stem, dot, suffix = kept.rpartition(".")
    if not dot or len(suffix.encode()) > 12:
        stem, dot, suffix = kept, "", ""
    room = NAME_BYTES_MAX - len((dot + suffix).encode())
    stem = stem.encode()[:room].decode("utf-8", "ignore").rstrip(". ")
    return f"{stem}{dot}{suffix}" if stem else "file"


def _fit(char: str) -> str:
    kind = unicodedata.category(char)
    if kind[0] in "LMN" or kind == "So" or char in "._-()+,":
        return char
    return " " if kind == "Zs" else "" if kind[0] == "C" else "_"


def media_type_of(told: str) -> str:
    """What a client says of a file, when it can be a media type at all."""
    return told if _MEDIA_TYPE.fullmatch(told) else UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """Where a file belongs; name and type are what the sender's client says."""

    chat_id: str
    message_id: int
    name: str
    media_type: str

    def described(self, data: bytes) -> Received:
        """What it turned out to be."""
        name = safe_name(self.name)
        media_type, kind = contents.kind_of(data, media_type_of(self.media_type))
        return Received(
            chat_id=self.chat_id,
            file=f"{self.message_id}-{name}",
            name=name,
            media_type=media_type,
            size=len(data),
            kind=kind,
            tokens=contents.tokens_of(data, kind),
        )


def find(files_dir: Path, sent: Sent, *, size: int = 0) -> Received | None:
    """A file that is kept already, and has this size when one is known.

    Another bot counts its messages from 1 again.
    """
    try:
        file = sent.described(_read(_path_of(files_dir, sent)))
    except OSError:
        return None
    return file if size in (0, file.size) else None


def keep(files_dir: Path, sent: Sent, data: bytes) -> Received:
    """Put a file on disk, whole or not at all. Raises: OSError.

    Another one that has its name keeps it, and this one gets a name of its own.
    """
    path = _path_of(files_dir, sent)
    part = path.parent / f"{_PART}{secrets.token_hex(8)}"
    try:
        with os.fdopen(_create(part), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        _give_name(part, path)
        if _read(path) != data:
            digest = hashlib.sha256(data).hexdigest()[:16]
            path = path.with_name(f"{sent.message_id}-{digest}-{safe_name(sent.name)}")
            _give_name(part, path)
    finally:
        part.unlink(missing_ok=True)
    return replace(sent.described(_read(path)), file=path.name)


def _create(part: Path) -> int:
    for folder in (part.parent.parent, part.parent):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    try:
        return os.open(part, flags, 0o600)
    except FileNotFoundError:  # the folder was empty, and has been removed in the meantime
        part.parent.mkdir(mode=0o700, exist_ok=True)
        return os.open(part, flags, 0o600)


def read(files_dir: Path, file: Received) -> bytes | None:
    """What is in a kept file; None when it is gone, or no longer what was received."""
    try:
        data = _read(_path(files_dir, file.chat_id, file.file))
    except OSError:
        return None
    return data if len(data) == file.size else None


def path_of(files_dir: Path, file: Received) -> Path:
    """Where a kept file lies, for a program that reads it itself."""
    return _path(files_dir, file.chat_id, file.file)


def kept_of(files_dir: Path, chat_id: str) -> list[tuple[float, int, Received]]:
    """What people of a chat have sent and is still kept, the newest first.

    When it came (seconds since 1970), in which message, and what it is.
    """
    found: list[tuple[float, int, Received]] = []
    folder = files_dir / chat_id
    if not _CHAT.fullmatch(chat_id) or not folder.is_dir():
        return []
    for path in folder.iterdir():
        number, _, rest = path.name.partition("-")
        with suppress(OSError):  # removed meanwhile
            status = path.lstat()
            if number.isascii() and number.isdigit() and stat.S_ISREG(status.st_mode):
                name = safe_name(_DIGEST.sub("", rest))
                size = status.st_size
                file = Received(
                    chat_id=chat_id,
                    file=path.name,
                    name=name,
                    media_type=UNKNOWN,
                    size=size,
                    kind="other",
                )
                found.append((status.st_mtime, int(number), file))
    return sorted(found, key=lambda kept: kept[:2], reverse=True)


def named_in(tx: Tx, conversation: str, text: str) -> list[Received]:
    """Files of a conversation whose names stand in this text: as words, which `e` is not.

    Of what was summed up those that the summary names: all the model still knows of.
    """
    shown = load(tx, conversation)
    blocks = [block for message in shown for block in message.content]
    if shown and shown[0].source == conversation:
        summary = str(shown[0].content[0]["text"])
        rows = tx.all("messages_with_files", conversation=conversation)
        earlier = [block for row in rows for block in json.loads(row["content"])]
        known = [block for block in earlier if _stands_in(str(block.get("name", "")), summary)]
        blocks = [*(block for block in known if block not in blocks), *blocks]
    files = [Received.of(block) for block in blocks if block.get("type") == TYPE]
    return [file for file in files if file is not None and _stands_in(file.name, text)]


def _stands_in(name: str, text: str) -> bool:
    found = re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text)
    return len(name) >= NAMED_CHARS_MIN and found is not None


def job_data(files: Iterable[Received], given: Mapping[str, Any] | None = None) -> str | None:
    """The data of a job: what its kind was given, and the files it may read; None for nothing."""
    by_file = {file.file: file.block() for file in files}
    data = {**(given or {}), **({DATA_KEY: [*by_file.values()]} if by_file else {})}
    return json.dumps(data, ensure_ascii=False) if data else None


def files_of_job(job: Job) -> list[Received]:
    """The files a job may read: those of its own chat, whatever its row says."""
    try:
        data = json.loads(job.data or "null")
    except ValueError:
        return []
    blocks = data.get(DATA_KEY) if isinstance(data, dict) else None
    files = [Received.of(block) for block in blocks] if isinstance(blocks, list) else []
    return [file for file in files if file is not None and file.chat_id == job.chat_id]


def follow(files_dir: Path, old_id: str, new_id: str) -> None:
    """A chat has another id: its files get a second name there. Done again it does no harm."""
    for path in (files_dir / old_id).glob("[0-9]*"):
        folder = files_dir / new_id
        folder.mkdir(mode=0o700, exist_ok=True)
        with suppress(OSError):  # it has it already, or the disk has no hard links
            (folder / path.name).hardlink_to(path)


def remove_old(files_dir: Path, before: float) -> None:
    """Remove what was received before this moment (seconds since 1970), and empty folders."""
    for folder in files_dir.glob("*"):
        with suppress(OSError):  # not a folder, or not empty
            for path in folder.iterdir():
                with suppress(OSError):  # gone meanwhile, or a folder that is not ours
                    if path.lstat().st_mtime < before:
                        path.unlink()
            folder.rmdir()


def _path_of(files_dir: Path, sent: Sent) -> Path:
    return _path(files_dir, sent.chat_id, f"{sent.message_id}-{safe_name(sent.name)}")


def _path(files_dir: Path, chat_id: str, file: str) -> Path:
    if not _CHAT.fullmatch(chat_id):
        raise FileNotFoundError(f"{chat_id!r} is no chat that sends files")
    return files_dir / chat_id / file


def _give_name(part: Path, path: Path) -> None:
    """A file that has the name already keeps it; a rename would write over it."""
    try:
        path.hardlink_to(part)
    except FileExistsError:
        return
    except OSError:  # a disk without hard links
        if not path.exists():
            part.rename(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(folder)
    os.close(folder)


def _read(path: Path) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(fd, "rb") as file:
        return file.read()

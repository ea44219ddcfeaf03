"""Files that people sent: names, kinds, what is kept and what a model is shown."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeClock
from hypothesis import given
from hypothesis import strategies as st

from bridge import received
from bridge.clock import stamp
from bridge.conversation import Message, append
from bridge.models import Job, JobStatus
from bridge.received import Received, Sent, safe_name
from bridge.shown import IMAGES_MAX, SHOWN_BYTES_MAX, Room, resolved
from bridge.store import Store, Tx

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 30
SENT = Sent(chat_id="7", message_id=9, name="a.png", media_type="image/png")


@given(st.text(max_size=400))
def test_any_name_becomes_a_safe_one_and_stays_it(name: str) -> None:
    safe = safe_name(name)

    assert safe == safe_name(safe)
    assert safe and not safe.startswith(".") and "/" not in safe and "\\" not in safe
    assert len(safe.encode()) <= 120
    assert safe.isprintable()
    assert not set(safe) & set("<>\"'&\0")


@given(st.text("e\u0301\u200d\u0338<=a. \u1100\u1161\u11a8\u00ad/_-\u212b", max_size=12))
def test_a_safe_name_stays_the_same_whatever_was_removed_from_it(name: str) -> None:
    assert safe_name(safe_name(name)) == safe_name(name)


def test_what_is_kept_is_never_written_over(tmp_path: Path) -> None:
    first = received.keep(tmp_path / "files", SENT, PNG)

    again = received.keep(tmp_path / "files", SENT, PNG)

    assert again == first
    assert received.read(tmp_path / "files", first) == PNG
    assert [path.name for path in (tmp_path / "files" / "7").iterdir()] == ["9-a.png"]


def test_the_file_of_another_bot_is_neither_taken_for_this_one_nor_written_over(
    tmp_path: Path,
) -> None:
    of_the_old_bot = received.keep(tmp_path, SENT, PNG)
    assert received.find(tmp_path, SENT, size=len(PNG)) == of_the_old_bot
    assert received.find(tmp_path, SENT, size=0) == of_the_old_bot

    assert received.find(tmp_path, SENT, size=len(PNG) + 1) is None
    file = received.keep(tmp_path, SENT, PNG + b"x")

    assert received.keep(tmp_path, SENT, PNG + b"x") == file
    assert Received.of(file.block()) == file
    assert received.read(tmp_path, file) == PNG + b"x"
    assert received.read(tmp_path, of_the_old_bot) == PNG


def test_a_link_in_place_of_a_file_is_not_followed(tmp_path: Path) -> None:
    file = received.keep(tmp_path, SENT, PNG)
    path = tmp_path / "7" / "9-a.png"
    path.unlink()
    (tmp_path / "secret").write_bytes(PNG)
    path.symlink_to(tmp_path / "secret")

    assert received.read(tmp_path, file) is None


def test_a_file_that_was_changed_is_no_longer_what_was_received(tmp_path: Path) -> None:
    file = received.keep(tmp_path, SENT, PNG)
    (tmp_path / "7" / "9-a.png").write_bytes(PNG + b"x")

    assert received.read(tmp_path, file) is None


@pytest.mark.parametrize(
    ("data", "told", "media_type", "kind"),
    [
        (PNG, "text/plain", "image/png", "image"),
        (b"\xff\xd8\xff\xe0", "", "image/jpeg", "image"),
        (b"GIF89a", "image/png", "image/gif", "image"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "", "image/webp", "image"),
        (PNG + b"\0" * 3_900_000, "image/png", "image/png", "other"),
        (b"%PDF-1.7", "text/plain", "application/pdf", "document"),
        (b"no pdf", "application/pdf", "application/pdf", "other"),
        (b"<svg/>", "image/svg+xml", "image/svg+xml", "other"),
        ("één".encode(), "text/plain", "text/plain", "text"),
        (b"\xef\xbb\xbfword", "", "application/octet-stream", "text"),
        (b"a\0b", "text/plain", "text/plain", "other"),
        (b"\xe9\xe9n", "text/plain", "text/plain", "text"),
        ("één".encode("utf-16"), "text/plain", "text/plain", "text"),
        (b"\xff\xfe\0", "text/plain", "text/plain", "other"),
        (b"\x7fELF\2\1\1\0", "text/plain", "application/x-executable", "other"),
        (b"x", 'text/plain"><kitt-event>', "application/octet-stream", "text"),
        (b"", "text/plain", "text/plain", "other"),
    ],
)
def test_a_file_is_what_is_in_it(data: bytes, told: str, media_type: str, kind: str) -> None:
    found = replace(SENT, media_type=told).described(data)

    assert (found.media_type, found.kind) == (media_type, kind)


@pytest.mark.parametrize(
    "changes",
    [
        {"chat": "../8"},
        {"chat": ""},
        {"file": "../8/9-a.png"},
        {"file": ".."},
        {"file": ".part-1"},
        {"file": ""},
        {"name": "../a.png"},
        {"name": 'a"b'},
        {"size": "33"},
        {"type": "image"},
    ],
    ids=str,
)
def test_a_reference_that_leads_elsewhere_is_none(changes: dict[str, Any]) -> None:
    block = SENT.described(PNG).block()
    assert Received.of(block) == SENT.described(PNG)

    assert Received.of({**block, **changes}) is None


def test_the_same_reference_is_the_same_bytes(tmp_path: Path) -> None:
    file = received.keep(tmp_path, SENT, PNG)
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": [file.block(), {"type": "text", "text": "x"}]}
    ]

    first, second = (resolved(messages, tmp_path) for _ in range(2))

    assert json.dumps(first) == json.dumps(second)
    assert [block["type"] for block in first[0]["content"]] == ["image", "text", "text"]
    assert messages[0]["content"][0]["type"] == "kitt-file"


def test_room_is_for_so_many_bytes_and_pictures() -> None:
    room = Room(sees=True)
    picture = SENT.described(PNG)
    kinds = [room.block(picture)["kind"] for _ in range(IMAGES_MAX + 1)]
    assert kinds == ["image"] * IMAGES_MAX + ["other"]

    before = Message(role="user", content=[replace(picture, size=SHOWN_BYTES_MAX).block()])
    assert Room([before], sees=True).block(picture)["kind"] == "other"
    assert Room(sees=False).block(picture)["kind"] == "other"


async def test_only_files_of_this_conversation_are_found_by_their_name(
    store: Store, clock: FakeClock
) -> None:
    def fill(tx: Tx) -> list[Received]:
        for chat in ("7", "8"):
            file = replace(SENT, chat_id=chat, name=f"of-{chat}.png").described(PNG)
            message = Message(role="user", content=[file.block()])
            append(tx, f"chat:{chat}:0", message, now=stamp(clock.now()))
        return received.named_in(tx, "chat:7:0", "Look at of-7.png and of-8.png")

    assert [file.name for file in await store.write(fill)] == ["of-7.png"]


async def test_a_file_from_before_a_summary_is_found_when_the_summary_names_it(
    store: Store, clock: FakeClock
) -> None:
    def find(tx: Tx) -> list[Received]:
        for name in ("bill.pdf", "old.pdf"):
            message = Message(
                role="user", content=[replace(SENT, name=name).described(PNG).block()]
            )
            append(tx, "chat:7:0", message, now=stamp(clock.now()))
        summed = {"first_id": 2, "summary": "Sent bill.pdf.", "since": 0}
        tx.run("put_summary", conversation="chat:7:0", **summed)
        return received.named_in(tx, "chat:7:0", "Compare bill.pdf and old.pdf")

    assert [file.name for file in await store.write(find)] == ["bill.pdf"]


@pytest.mark.parametrize(
    ("name", "text", "stands"),
    [
        ("e", "Read everything, e too", False),
        ("a.txt", "Read a.txt.", True),
        ("a.txt", "Read data.txt", False),
        ("a.txt", "Read “1-a.txt”", True),
        ("plan", "Read the plan", True),
        ("plan", "Read the planning", False),
    ],
)
async def test_a_file_is_named_by_a_word_and_not_by_a_part_of_one(
    store: Store, clock: FakeClock, name: str, text: str, stands: bool
) -> None:
    def find(tx: Tx) -> list[Received]:
        message = Message(role="user", content=[replace(SENT, name=name).described(PNG).block()])
        append(tx, "chat:7:0", message, now=stamp(clock.now()))
        return received.named_in(tx, "chat:7:0", text)

    assert bool(await store.write(find)) is stands


@pytest.mark.parametrize(
    "data", [None, "", "{", "[]", "7", '{"kitt_files": 7}', '{"kitt_files": [7, {}]}']
)
def test_data_of_other_jobs_names_no_files(data: str | None) -> None:
    job = Job(id=1, chat_id="7", prompt="x", status=JobStatus.PENDING, data=data)

    assert received.files_of_job(job) == []


def test_a_job_reads_no_files_of_another_chat() -> None:
    data = received.job_data([SENT.described(PNG)])
    job = Job(id=1, chat_id="8", prompt="x", status=JobStatus.PENDING, data=data)

    assert received.files_of_job(job) == []


def test_old_files_go_and_their_empty_folder_with_them(tmp_path: Path) -> None:
    for chat in ("7", "8"):
        received.keep(tmp_path, replace(SENT, chat_id=chat), PNG)
    received.keep(tmp_path, replace(SENT, chat_id="8", message_id=10), PNG)
    for path in (tmp_path / "7" / "9-a.png", tmp_path / "8" / "9-a.png"):
        os.utime(path, (1_000, 1_000))

    received.remove_old(tmp_path, 2_000)

    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")) == ["8", "8/10-a.png"]


def test_a_folder_among_old_files_keeps_none_of_them(tmp_path: Path) -> None:
    for number in range(5):
        received.keep(tmp_path, replace(SENT, message_id=number), PNG)
        (tmp_path / "7" / f"{number}").mkdir()
    for path in (tmp_path / "7").iterdir():
        os.utime(path, (1_000, 1_000))

    received.remove_old(tmp_path, 2_000)

    assert not [path for path in (tmp_path / "7").iterdir() if path.is_file()]


def test_a_file_is_kept_though_its_empty_folder_is_removed_at_that_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = Path.mkdir
    lost: list[Path] = []

    def make_and_lose(path: Path, mode: int = 0o777, **how: bool) -> None:
        make(path, mode, **how)
        if path.name == "7" and not lost:
            path.rmdir()
            lost.append(path)

    monkeypatch.setattr(Path, "mkdir", make_and_lose)

    file = received.keep(tmp_path, SENT, PNG)

    assert lost
    assert received.read(tmp_path, file) == PNG

"""Files of a job on their way out: photos, albums, a choice for what is too large, ids kept."""

import os
import struct
import zipfile
import zlib
from io import BytesIO
from pathlib import Path

from chatting import CHAT, WORKER, Desk, House, Person
from fakes import a_job
from waiting import until

from bridge.emulator.telegram_faults import Fault
from bridge.models import Artifact, NewJob
from bridge.queue import Queue
from bridge.telegram.file_plan import PIECE_BYTES_MAX
from bridge.telegram.texts import say

MARK = "↻ (possibly repeated)\n"
LARGE = 50_000_001


def png(width: int = 2, height: int = 2) -> bytes:
    """A whole picture."""
    rows = zlib.compress(b"".join(b"\0" + b"\xff\0\0" * width for _ in range(height)))
    made = b"\x89PNG\r\n\x1a\n"
    for kind, body in (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", rows),
        (b"IEND", b""),
    ):
        crc = zlib.crc32(kind + body)
        made += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc)
    return made


async def finish(desk: Desk, queue: Queue, **files: bytes) -> None:
    """A job of chat 7 is done, with these files."""
    await queue.add(a_job())
    job = await queue.claim(WORKER)
    assert job is not None
    folder = desk.jobs_dir / str(job.id)
    folder.mkdir(parents=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    made = [Artifact(path=name, name=name, caption=f"About {name}") for name in files]
    await queue.finish(job, "Three pelicans.", made)


async def test_pictures_are_photos_whatever_their_names(desk: Desk, queue: Queue) -> None:
    await finish(desk, queue, one=png(), text=b"no picture", ribbon=png(1, 21))

    await desk.start()

    await desk.over()
    kinds = [("photo" if m.photo else "document", m.text) for m in desk.messages()[-3:]]
    assert kinds == [
        ("photo", "About one"),
        ("document", "About text"),
        ("document", "About ribbon"),
    ]


async def test_files_of_one_kind_are_an_album_with_their_captions(desk: Desk, queue: Queue) -> None:
    await finish(desk, queue, a=b"1", b=b"2", c=b"3", x=png(), y=png())

    await desk.start()

    await desk.over()
    *_, a, b, c, x, y = desk.messages()
    assert a.media_group_id == b.media_group_id == c.media_group_id
    assert x.media_group_id == y.media_group_id != a.media_group_id
    assert [m.text for m in (a, b, c, x, y)] == [f"About {name}" for name in "abcxy"]
    assert desk.calls("sendMediaGroup") == 2
    assert not any(m.buttons for m in (a, b, c, x, y))


async def test_an_album_that_is_refused_is_sent_one_by_one(desk: Desk, queue: Queue) -> None:
    desk.telegram.order(Fault(method="sendMediaGroup", status=400, description="Bad Request: no"))
    await finish(desk, queue, a=b"1", b=b"2")

    await desk.start()

    await desk.over()
    files = [message.document for message in desk.messages() if message.document]
    assert [file.data for file in files] == [b"1", b"2"]
    assert desk.calls("sendDocument") == 2


async def test_of_an_album_whose_file_is_gone_the_others_arrive(desk: Desk, queue: Queue) -> None:
    await finish(desk, queue, a=b"1", b=b"2", c=b"3")
    desk.telegram.order(Fault(method="sendMediaGroup", status=429, retry_after=5))
    await desk.start()
    await desk.in_time(lambda: desk.calls("sendMediaGroup"))
    (desk.jobs_dir / "1" / "b").unlink()

    await desk.over()

    files = [message.document for message in desk.messages() if message.document]
    assert [file.data for file in files] == [b"1", b"3"]
    assert say("en", "file_missing", name="b") in desk.texts()


async def test_an_album_that_may_have_arrived_says_so(desk: Desk, queue: Queue) -> None:
    desk.telegram.order(Fault(method="sendMediaGroup", drop="unanswered"))
    await finish(desk, queue, a=b"1", b=b"2")

    await desk.start()

    await desk.over()
    captions = [message.text for message in desk.messages() if message.document]
    assert captions == ["About a", "About b", f"{MARK}About a", f"{MARK}About b"]


async def again(desk: Desk) -> None:
    """The file of job 1 is asked for once more."""
    await desk.owe({"do": "document", "job": 1, "path": "a", "name": "a"})
    await desk.over()


async def test_a_file_telegram_has_is_not_sent_again(desk: Desk, queue: Queue) -> None:
    await finish(desk, queue, a=b"first")
    await desk.start()
    await desk.over()
    sent = len(desk.telegram.files)

    await again(desk)

    assert len(desk.telegram.files) == sent
    (desk.jobs_dir / "1" / "a").write_bytes(b"second, longer")
    await again(desk)
    files = [message.document for message in desk.messages() if message.document]
    assert [file.data for file in files] == [b"first", b"first", b"second, longer"]


async def test_an_id_that_telegram_forgot_is_no_trouble(desk: Desk, queue: Queue) -> None:
    await finish(desk, queue, a=b"first")
    await desk.start()
    await desk.over()
    desk.telegram.files.clear()

    await again(desk)

    assert desk.rows()[-1]["status"] == "sent"
    assert desk.messages()[-1].document is not None


async def test_a_large_file_on_its_way_is_shown(desk: Desk) -> None:
    held = desk.telegram.order(Fault(method="sendDocument", hold=True))
    await desk.start()

    await desk.owe({"do": "document", "name": "a.txt", "content": "x" * 1_000_000})
    await until(lambda: desk.calls("sendChatAction"))
    held.release()

    await desk.over()
    assert desk.telegram.calls("sendChatAction")[0].params["action"] == "upload_document"


async def test_a_small_file_is_there_before_a_sign_of_it(desk: Desk) -> None:
    await desk.start()

    await desk.owe({"do": "document", "name": "a.txt", "content": "x"})

    await desk.over()
    assert desk.calls("sendChatAction") == 0


async def large(house: House, name: str, data: bytes = b"", *, size: int = LARGE) -> None:
    """A job of the owner is done with a file that is too large."""
    await house.queue.add(NewJob(chat_id=str(CHAT), prompt="Film the pelicans"))
    job = await house.job_runs()
    folder = house.settings.jobs_dir / str(job.id)
    folder.mkdir(parents=True)
    (folder / name).write_bytes(data)
    os.truncate(folder / name, size)
    await house.queue.finish(job, "Done.", [Artifact(path=name, name=name)])


async def test_a_file_too_large_is_zipped_on_request(bridge: House, chat: Person) -> None:
    await large(bridge, "log.txt", b"pelicans\n")
    offer = await chat.sees("The file log.txt is 50 MB")
    assert [button["text"] for button in offer.buttons[0]] == ["🗜 Zip", "✂ Parts"]

    await chat.press(offer.message_id, "🗜 Zip")

    sent = await chat.sees_where(lambda message: message.document is not None, timeout_s=30)
    assert sent.document is not None
    assert sent.document.name == "log.txt.zip"
    with zipfile.ZipFile(BytesIO(sent.document.data)) as archive:
        assert archive.getinfo("log.txt").file_size == LARGE
        assert archive.open("log.txt").read(9) == b"pelicans\n"


async def test_a_file_too_large_comes_in_parts_on_request(bridge: House, dutch: Person) -> None:
    dutch.say("/jobs")
    await large(bridge, "film.mp4", b"start", size=PIECE_BYTES_MAX + 1_000_001)
    offer = await dutch.sees("film.mp4")

    await dutch.press(offer.message_id, "✂ Delen")

    last = await dutch.sees_where(
        lambda m: m.document is not None and m.document.name == "film.mp4.002", timeout_s=30
    )
    files = [message.document for message in dutch.shown() if message.document]
    assert [file.name for file in files] == ["film.mp4.001", "film.mp4.002"]
    assert [len(file.data) for file in files] == [PIECE_BYTES_MAX, 1_000_001]
    assert files[0].data.startswith(b"start")
    assert "cat film.mp4.* > film.mp4" in "\n".join(dutch.texts())
    assert last.silent


async def test_a_zip_that_is_still_too_large_offers_parts(bridge: House, chat: Person) -> None:
    await large(bridge, "noise.bin", os.urandom(LARGE))
    offer = await chat.sees("noise.bin")

    await chat.press(offer.message_id, "🗜 Zip")

    still = await chat.sees("Zipped, noise.bin is still 50 MB", timeout_s=30)
    assert [button["text"] for button in still.buttons[0]] == ["✂ Parts"]


async def test_a_file_that_is_gone_cannot_be_packed(bridge: House, chat: Person) -> None:
    await large(bridge, "film.mp4")
    offer = await chat.sees("film.mp4")
    Path(bridge.settings.jobs_dir / "1" / "film.mp4").unlink()

    await chat.press(offer.message_id, "🗜 Zip")

    await chat.sees(say("en", "file_not_packed", name="film.mp4"))


async def test_twice_pressed_is_packed_once(bridge: House, chat: Person) -> None:
    await large(bridge, "log.txt")
    offer = await chat.sees("log.txt")

    for _ in range(2):
        await chat.press(offer.message_id, "🗜 Zip")

    await chat.sees_where(lambda message: message.document is not None, timeout_s=30)
    await bridge.settled()
    rows = bridge.rows("SELECT count(*) AS n FROM deliveries WHERE kind = 'file'")
    assert rows == [{"n": 1}]

"""The emulated Bot API: documents, photos, albums, downloads."""

from __future__ import annotations

import struct

import pytest
from bots import CHAT, PNG
from telegram import (
    Bot,
    InputMediaDocument,
    InputMediaPhoto,
)
from telegram.error import BadRequest, NetworkError

from bridge.emulator.telegram import TelegramEmulator


async def test_a_document_arrives_whole_and_can_be_sent_again_by_its_id(
    bot: Bot, emulator: TelegramEmulator
) -> None:
    content = bytes(range(256)) * 40

    sent = await bot.send_document(CHAT, content, filename="report.md", caption="All of it")
    assert sent.document is not None
    again = await bot.send_document(CHAT, sent.document.file_id)

    assert again.document and again.document.file_id == sent.document.file_id
    shown = emulator.messages(CHAT)[0]
    assert shown.document is not None
    assert (shown.text, shown.document.name, shown.document.data) == (
        "All of it",
        "report.md",
        content,
    )


async def test_a_file_of_a_person_can_be_downloaded(bot: Bot, emulator: TelegramEmulator) -> None:
    emulator.send_document(CHAT, "in.csv", b"a;b\n1;2\n", caption="look")
    message = (await bot.get_updates())[0].message
    assert message is not None and message.document is not None and message.caption == "look"

    file = await message.document.get_file()

    assert bytes(await file.download_as_bytearray()) == b"a;b\n1;2\n"


async def test_a_file_above_20_mb_cannot_be_downloaded(
    bot: Bot, emulator: TelegramEmulator
) -> None:
    emulator.send_document(CHAT, "film.mp4", b"x" * (20 * 1024 * 1024 + 1))
    message = (await bot.get_updates())[0].message
    assert message is not None and message.document is not None

    with pytest.raises(BadRequest, match="File is too big"):
        await message.document.get_file()


async def test_an_upload_above_50_mb_is_refused(bot: Bot) -> None:
    with pytest.raises(NetworkError, match="Request Entity Too Large"):
        await bot.send_document(CHAT, b"x" * (50 * 1024 * 1024 + 1), filename="big.bin")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"no picture", "(?i)image_process_failed"),
        (PNG + b"x" * (10 * 1024 * 1024), "too big for a photo"),
        (PNG.replace(struct.pack(">II", 640, 360), struct.pack(">II", 9000, 90)), "(?i)dimensions"),
    ],
)
async def test_a_photo_telegram_cannot_show_is_refused(bot: Bot, data: bytes, reason: str) -> None:
    with pytest.raises(BadRequest, match=reason):
        await bot.send_photo(CHAT, data)


async def test_a_caption_has_at_most_1024_units(bot: Bot) -> None:
    with pytest.raises(BadRequest, match="Message caption is too long"):
        await bot.send_photo(CHAT, PNG, caption="x" * 1025)


async def test_an_album_is_2_to_10_files_of_one_kind(bot: Bot, emulator: TelegramEmulator) -> None:
    photos = [InputMediaPhoto(PNG, caption="first"), InputMediaPhoto(PNG)]

    sent = await bot.send_media_group(CHAT, photos)

    assert len({m.media_group_id for m in sent}) == 1
    assert [m.text for m in emulator.messages(CHAT)] == ["first", ""]
    mixed: list[InputMediaPhoto | InputMediaDocument] = [
        InputMediaPhoto(PNG),
        InputMediaDocument(b"x", filename="x"),
    ]
    albums: list[tuple[list[InputMediaPhoto | InputMediaDocument], str]] = [
        ([*photos[:1]], "too few"),
        ([*photos * 6], "too many"),
        (mixed, "album"),
    ]
    for media, reason in albums:
        with pytest.raises(BadRequest, match=rf"(?i){reason}"):
            await bot.send_media_group(CHAT, media)
    assert len(emulator.messages(CHAT)) == 2

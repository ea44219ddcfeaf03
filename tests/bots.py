"""A client of the emulated Bot API, and what its tests share."""

import struct

from telegram import Bot, InlineKeyboardButton, InlineKeyboardMarkup
from telegram.request import HTTPXRequest

from bridge.emulator.telegram import TelegramEmulator

CHAT = 4711
GROUP = -4711
SUPERGROUP = -1_001_234_567_890
PNG = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 640, 360) + b"\x08\x02\0\0\0"


def client(emulator: TelegramEmulator) -> Bot:
    """A bot of the library, pointed at the emulator."""
    # Plain HTTP needs no certificates, and loading them takes most of the time of a test.
    without = {"verify": False}
    return Bot(
        emulator.token,
        base_url=emulator.base_url,
        base_file_url=emulator.base_file_url,
        request=HTTPXRequest(httpx_kwargs=without),
        get_updates_request=HTTPXRequest(httpx_kwargs=without),
    )


def keyboard(*data: str, text: str = "Go") -> InlineKeyboardMarkup:
    """One button per row."""
    return InlineKeyboardMarkup([[InlineKeyboardButton(text, callback_data=d) for d in data]])

"""Our plain data as the objects python-telegram-bot wants for it."""

from typing import Any

from telegram import (
    CopyTextButton,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    MessageEntity,
    ReplyParameters,
)


def entities_of(items: list[dict[str, Any]] | None) -> list[MessageEntity]:
    """What is bold, a link and so on."""
    return [MessageEntity(**item) for item in items or ()]


def reply_of(message_id: int | None) -> ReplyParameters | None:
    """A reply, also to a message that is gone by then."""
    if message_id is None:
        return None
    return ReplyParameters(message_id, allow_sending_without_reply=True)


def keyboard_of(buttons: list[list[dict[str, str]]] | None) -> InlineKeyboardMarkup | None:
    """Rows of buttons."""
    if not buttons:
        return None
    return InlineKeyboardMarkup([[_button(button) for button in row] for row in buttons])


def _button(button: dict[str, str]) -> InlineKeyboardButton:
    """One that is pressed (`data`), or one that puts a text on the clipboard (`copy`)."""
    if "copy" in button:
        return InlineKeyboardButton(button["text"], copy_text=CopyTextButton(button["copy"]))
    return InlineKeyboardButton(button["text"], callback_data=button["data"])

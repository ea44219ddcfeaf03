"""Our plain data as the objects python-telegram-bot wants for it."""

from typing import Any

from telegram import (
    CopyTextButton,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    MessageEntity,
    ReplyParameters,
)

# part of Telegram's sentence (lower case) -> our word for what to do about it
REASONS = (
    ("not modified", "same"),
    ("message to edit not found", "edit_gone"),
    ("message can't be edited", "edit_gone"),
    ("message to be replied not found", "reply_gone"),
    ("replied message not found", "reply_gone"),
    ("quote", "reply_gone"),
    ("entit", "entities"),
    ("thread not found", "thread_gone"),
    ("topic", "thread_gone"),
    ("chat not found", "chat_gone"),
    ("too large", "too_big"),
    ("too big", "too_big"),
    ("too old", "late"),
)


def reason_of(sentence: str) -> str:
    """Our word for why Telegram refuses, or `other`."""
    sentence = sentence.lower()
    return next((word for part, word in REASONS if part in sentence), "other")


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

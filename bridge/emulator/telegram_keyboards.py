"""The keyboards of messages: the buttons under one, and the keys in place of the letters."""

from __future__ import annotations

from bridge.emulator.telegram_params import Params
from bridge.emulator.telegram_state import Json, bad_request
from bridge.emulator.telegram_text import utf16_len

BUTTONS_MAX = 100  # InlineKeyboardMarkupLimit.TOTAL_BUTTON_NUMBER
BUTTONS_PER_ROW_MAX = 8  # InlineKeyboardMarkupLimit.BUTTONS_PER_ROW
CALLBACK_DATA_BYTES_MAX = 64  # InlineKeyboardButtonLimit.MAX_CALLBACK_DATA
COPY_TEXT_UNITS_MAX = 256  # InlineKeyboardButtonLimit.MAX_COPY_TEXT
HINT_UNITS_MAX = 64  # ReplyLimit.MAX_INPUT_FIELD_PLACEHOLDER

_STYLES = frozenset({"primary", "danger", "success", "default"})


def inline_keyboard(params: Params) -> list[list[Json]]:
    """The rows of `reply_markup`, empty when there is none.

    Raises: ApiError 400 for a keyboard Telegram's server would refuse.
    """
    markup = params.mapping("reply_markup", "object expected as reply markup")
    return _inline_rows(markup) if markup else []


def any_keyboard(params: Params) -> tuple[list[list[Json]], Json | None]:
    """The inline rows of a new message, or what else a client shows under it: a keyboard in
    place of the letters, the end of one, or an open reply. Raises: ApiError 400."""
    markup = params.mapping("reply_markup", "object expected as reply markup")
    if not markup:
        return [], None
    if "keyboard" in markup:
        return [], _letters(markup)
    for name in ("remove_keyboard", "force_reply"):
        if markup.get(name) is True:
            return [], _with_hint(markup)
    return _inline_rows(markup), None


def _letters(markup: Json) -> Json:
    rows = markup["keyboard"]
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise bad_request('field "keyboard" must be an Array of Arrays')
    kept = []
    for row in rows:
        buttons = [{"text": key} if isinstance(key, str) else key for key in row]
        if not all(isinstance(key, dict) and key.get("text") for key in buttons):
            raise bad_request("keyboard button text must be non-empty")
        if any(str(key.get("style", "default")) not in _STYLES for key in buttons):
            raise bad_request("can't parse keyboard button: invalid button style specified")
        kept.append(buttons)
    return _with_hint(markup) | {"keyboard": kept}


def _with_hint(markup: Json) -> Json:
    hint = markup.get("input_field_placeholder", "")
    if utf16_len(str(hint)) > HINT_UNITS_MAX:
        raise bad_request("input field placeholder is too long")
    return markup


def _inline_rows(markup: Json) -> list[list[Json]]:
    rows = markup.get("inline_keyboard")
    if rows is None:
        raise bad_request("inline keyboard expected")
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise bad_request('field "inline_keyboard" must be an Array of Arrays')
    kept = [[_button(button) for button in row] for row in rows if row]
    if sum(map(len, kept)) > BUTTONS_MAX:
        raise bad_request("reply markup is too long")
    if any(len(row) > BUTTONS_PER_ROW_MAX for row in kept):
        raise bad_request("BUTTON_ROW_TOO_LONG")
    return kept


def _button(button: object) -> Json:
    if not isinstance(button, dict):
        raise bad_request(
            "can't parse inline keyboard button: InlineKeyboardButton must be an Object"
        )
    if not button.get("text"):
        raise bad_request("inline keyboard button text must be non-empty")
    if str(button.get("style", "default")) not in _STYLES:
        raise bad_request("can't parse inline keyboard button: invalid button style specified")
    actions = [name for name in ("callback_data", "url", "copy_text", "web_app") if name in button]
    if len(actions) != 1:
        raise bad_request(
            "can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard"
        )
    if actions == ["callback_data"]:
        size = len(str(button["callback_data"]).encode())
        if not 1 <= size <= CALLBACK_DATA_BYTES_MAX:
            raise bad_request("BUTTON_DATA_INVALID")
    elif actions == ["url"] and not str(button["url"]).startswith(("http://", "https://", "tg://")):
        raise bad_request(f"inline keyboard button URL '{button['url']}' is invalid")
    elif actions == ["copy_text"]:
        copied = (
            button["copy_text"].get("text", "") if isinstance(button["copy_text"], dict) else ""
        )
        if not 1 <= utf16_len(copied) <= COPY_TEXT_UNITS_MAX:
            raise bad_request("BUTTON_COPY_TEXT_INVALID")
    return dict(button)

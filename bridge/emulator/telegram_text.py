"""Text as Telegram counts and checks it: UTF-16 units, trimming, entities.

Stricter than the real server in one respect, on purpose: entities that partly overlap, or lie
inside code, are refused where Telegram silently repairs them, so that a renderer which emits
them is found out. Everything else follows the server (tdlib's MessageEntity.cpp and the Bot
API's Client.cpp), wording included.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from bridge.emulator.telegram_state import Json, bad_request

TEXT_UNITS_MAX = 4096  # MessageLimit.MAX_TEXT_LENGTH
CAPTION_UNITS_MAX = 1024  # MessageLimit.CAPTION_LENGTH
ENTITIES_MAX = 100  # the rest is ignored by Telegram

_PLAIN = frozenset(
    {"bold", "italic", "underline", "strikethrough", "spoiler", "code", "blockquote"}
    | {"expandable_blockquote"}
)
_WITH_FIELD = {
    "text_link": ("url", str),
    "text_mention": ("user", dict),
    "custom_emoji": ("custom_emoji_id", str),
    "date_time": ("unix_time", int),
}
# Telegram finds these itself; what a bot says about them is ignored.
_AUTOMATIC = frozenset(
    {"mention", "hashtag", "cashtag", "bot_command", "url", "email", "phone_number"}
    | {"bank_card_number"}
)
_CODE = frozenset({"pre", "code"})
_QUOTES = frozenset({"blockquote", "expandable_blockquote"})
_DATE_FORMAT = re.compile("r|w?[dD]?[tT]?")  # MessageEntityDateTimeFormats
# No automatic entity appears where one of these already says what the text is.
_OPAQUE = _CODE | {"text_link", "text_mention", "custom_emoji", "date_time"}

_FOUND = re.compile(
    r"(?P<url>(?:https?://|www\.|t\.me/)[^\s<>\"]+)"
    r"|(?P<email>\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b)"
    r"|(?P<bot_command>(?<![\w/<])/[A-Za-z0-9_]{1,64}(?:@[A-Za-z0-9_]{3,32})?(?![\w/]))"
    r"|(?P<mention>(?<!\w)@[A-Za-z][A-Za-z0-9_]{3,31}\b)"
    r"|(?P<hashtag>(?<!\w)#\w*[^\W\d]\w*)"
)


def utf16_len(text: str) -> int:
    """Length in UTF-16 units, the only unit Telegram counts in."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def formatted(text: str, entities: object, *, units_max: int) -> tuple[str, list[Json]]:
    """The text as shown and its entities, automatic ones included.

    Raises: ApiError 400 when the text is too long or an entity is wrong. An empty text is the
    caller's question, because a caption may be empty.
    """
    checked = _check_all(entities, text) if entities else []
    text, checked = _trim(text, checked)
    if utf16_len(text) > units_max:
        what = (
            "message is too long" if units_max == TEXT_UNITS_MAX else "message caption is too long"
        )
        raise bad_request(what)
    found = automatic_entities(text, checked)
    if found:
        checked = sorted([*checked, *found], key=lambda e: (e["offset"], -e["length"]))
    return text, checked[:ENTITIES_MAX]


def automatic_entities(text: str, known: Iterable[Json] = ()) -> list[Json]:
    """The links, commands, mentions, hashtags and addresses Telegram marks by itself."""
    if not any(sign in text for sign in ("/", "@", "#", "www.")):
        return []
    opaque = [(e["offset"], e["offset"] + e["length"]) for e in known if e["type"] in _OPAQUE]
    found = []
    for match in _FOUND.finditer(text):
        start = utf16_len(text[: match.start()])
        length = utf16_len(_without_tail(match.group()) if match["url"] else match.group())
        if all(end <= start or start + length <= begin for begin, end in opaque):
            found.append({"type": match.lastgroup, "offset": start, "length": length})
    return found


def _without_tail(url: str) -> str:
    """A link without the punctuation of the sentence around it; a bracket it opened is its own."""
    while url[-1] in ".,;:!?'" or (url[-1] == ")" and url.count(")") > url.count("(")):
        url = url[:-1]
    return url


def _check_all(entities: object, text: str) -> list[Json]:
    if not isinstance(entities, list):
        return []
    units = text.encode("utf-16-le", "surrogatepass")
    checked = [e for e in (_check(entity, units) for entity in entities) if e is not None]
    checked.sort(key=lambda e: (e["offset"], -e["length"]))
    _check_nesting(checked)
    return checked


def _check(entity: object, units: bytes) -> Json | None:
    """The entity with the fields Telegram keeps, or None when it ignores it."""
    if not isinstance(entity, dict):
        raise bad_request("can't parse MessageEntity: expected an Object")
    kind, offset, length = (entity.get(key) for key in ("type", "offset", "length"))
    if not isinstance(kind, str) or not kind:
        raise bad_request("can't parse MessageEntity: Type is not specified")
    for name, value in (("offset", offset), ("length", length)):
        if not isinstance(value, int):
            raise bad_request(f"can't parse MessageEntity: Can't find field \"{name}\"")
    assert isinstance(offset, int) and isinstance(length, int)
    if kind in _AUTOMATIC:
        return None
    kept: Json = {"type": kind, "offset": offset, "length": length}
    if kind == "pre":
        if entity.get("language"):
            kept["language"] = str(entity["language"])
    elif kind in _WITH_FIELD:
        name, wanted = _WITH_FIELD[kind]
        if not isinstance(entity.get(name), wanted):
            raise bad_request(f"can't parse MessageEntity: Can't find field \"{name}\"")
        kept[name] = entity[name]
        if kind == "date_time" and entity.get("date_time_format"):
            kept["date_time_format"] = _date_format(entity["date_time_format"])
    elif kind not in _PLAIN:
        raise bad_request("can't parse MessageEntity: Unsupported type specified")
    _check_range(offset, length, units)
    return kept


def _date_format(value: object) -> str:
    if not _DATE_FORMAT.fullmatch(str(value)):
        raise bad_request("can't parse MessageEntity: invalid date-time format specified")
    return str(value)


def _check_range(offset: int, length: int, units: bytes) -> None:
    total = len(units) // 2
    if offset < 0 or offset > total:
        raise bad_request(f"receive an entity with incorrect offset {offset}")
    if length <= 0:
        raise bad_request(f"receive an entity with incorrect length {length}")
    end = offset + length
    where = f"entity beginning at UTF-16 offset {offset} ends"
    if end > total:
        raise bad_request(f"{where} after the end of the text at UTF-16 offset {end}")
    if _cuts_pair(units, offset):
        raise bad_request(f"entity begins in a middle of a UTF-16 symbol at UTF-16 offset {offset}")
    if _cuts_pair(units, end):
        raise bad_request(f"{where} in a middle of a UTF-16 symbol at UTF-16 offset {end}")


def _cuts_pair(units: bytes, at: int) -> bool:
    """True when the unit at this offset is the second half of a surrogate pair."""
    return at * 2 < len(units) and 0xDC <= units[at * 2 + 1] <= 0xDF


def _check_nesting(entities: list[Json]) -> None:
    """Refuse partial overlaps, anything inside code, and a quote inside a quote.

    `entities` are sorted by offset, the longer first, so each one's parents are on the stack.
    """
    open_entities: list[Json] = []
    for entity in entities:
        begin, end = entity["offset"], entity["offset"] + entity["length"]
        while open_entities and _end(open_entities[-1]) <= begin:
            open_entities.pop()
        for parent in open_entities:
            where = f"entity at UTF-16 offset {begin} and the one at {parent['offset']}"
            if _end(parent) < end:
                raise bad_request(f"can't parse entities: {where} overlap partly")
            same_range = (parent["offset"], parent["length"]) == (begin, entity["length"])
            if parent["type"] in _CODE and not same_range:
                raise bad_request(f"can't parse entities: {where}: code can't contain entities")
            if parent["type"] in _QUOTES and entity["type"] in _QUOTES:
                raise bad_request(f"can't parse entities: {where}: quotes can't be nested")
        open_entities.append(entity)


def _end(entity: Json) -> int:
    return int(entity["offset"]) + int(entity["length"])


def _trim(text: str, entities: list[Json]) -> tuple[str, list[Json]]:
    """Cut blanks at both ends, at the left only up to the first entity, as the server does."""
    right = text.rstrip(" \n")
    blanks = len(right) - len(right.lstrip(" \n"))
    left = min(blanks, entities[0]["offset"]) if entities else blanks
    trimmed = right[left:]
    if trimmed == text or not entities:
        return trimmed, entities
    total = utf16_len(trimmed)
    moved = []
    for entity in entities:
        begin = entity["offset"] - left
        length = min(_end(entity) - left, total) - begin
        if length > 0:
            moved.append(entity | {"offset": begin, "length": length})
    return trimmed, moved

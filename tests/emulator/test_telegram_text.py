"""Text and entities as the emulated Telegram counts and checks them."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.emulator.telegram_state import ApiError
from bridge.emulator.telegram_text import automatic_entities, formatted, utf16_len


def entity(kind: str, offset: int, length: int, **fields: Any) -> dict[str, Any]:
    return {"type": kind, "offset": offset, "length": length, **fields}


def check(text: str, *entities: dict[str, Any]) -> tuple[str, list[dict[str, Any]]]:
    return formatted(text, list(entities), units_max=4096)


def test_an_emoji_counts_as_two_units() -> None:
    assert utf16_len("a😀") == 3


@pytest.mark.parametrize(
    ("entities", "reason"),
    [
        ([entity("bold", 6, 1)], "incorrect offset 6"),
        ([entity("bold", -1, 1)], "incorrect offset -1"),
        ([entity("bold", 0, 0)], "incorrect length 0"),
        ([entity("bold", 0, 6)], "ends after the end of the text at UTF-16 offset 6"),
        ([entity("bold", 4, 1)], "begins in a middle of a UTF-16 symbol"),
        ([entity("bold", 0, 4)], "ends in a middle of a UTF-16 symbol at UTF-16 offset 4"),
        ([entity("glitter", 0, 1)], "Unsupported type specified"),
        ([entity("text_link", 0, 1)], 'Can\'t find field "url"'),
        ([{"type": "bold", "length": 1}], 'Can\'t find field "offset"'),
        (["bold"], "expected an Object"),
        ([entity("bold", 0, 2), entity("italic", 1, 2)], "overlap partly"),
        ([entity("code", 0, 3), entity("bold", 1, 1)], "code can't contain entities"),
        ([entity("pre", 0, 3), entity("text_link", 0, 2, url="https://x")], "code can't contain"),
        ([entity("blockquote", 0, 3), entity("blockquote", 1, 1)], "quotes can't be nested"),
    ],
)
def test_a_wrong_entity_is_refused(entities: list[dict[str, Any]], reason: str) -> None:
    with pytest.raises(ApiError, match=reason):
        check("abc😀", *entities)


def test_nested_and_neighbouring_entities_are_kept() -> None:
    entities = [
        entity("blockquote", 0, 8),
        entity("bold", 0, 4),
        entity("italic", 0, 2),
        entity("code", 4, 2),
        entity("pre", 6, 2, language="python"),
    ]

    assert check("abcdefgh", *entities) == ("abcdefgh", entities)


def test_the_order_of_entities_does_not_matter() -> None:
    inner, outer = entity("italic", 1, 1), entity("bold", 0, 3)

    assert check("abc", inner, outer)[1] == [outer, inner]


def test_entities_beyond_the_first_hundred_are_dropped() -> None:
    entities = [entity("bold", 2 * i, 1) for i in range(150)]

    assert check("ab" * 150, *entities)[1] == entities[:100]


def test_trimming_moves_and_shortens_the_entities() -> None:
    assert check("\n\n Hi there \n", entity("bold", 6, 7)) == ("Hi there", [entity("bold", 3, 5)])


def test_blanks_inside_the_first_entity_stay() -> None:
    assert check("\n  code", entity("pre", 1, 6)) == ("  code", [entity("pre", 0, 6)])


def test_a_mark_telegram_makes_itself_is_not_taken_from_the_bot() -> None:
    assert check("hello", entity("bot_command", 0, 5)) == ("hello", [])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("/start now", [("bot_command", "/start")]),
        ("😀 /job@kitt_bot 42", [("bot_command", "/job@kitt_bot")]),
        ("see https://example.org/a_(b).", [("url", "https://example.org/a_(b)")]),
        ("(or www.example.org/x?)", [("url", "www.example.org/x")]),
        ("ask @kitt_bot or a@example.org", [("mention", "@kitt_bot"), ("email", "a@example.org")]),
        ("#work and #1", [("hashtag", "#work")]),
        ("and/or 1/2 a@ # /", []),
    ],
)
def test_links_commands_and_mentions_are_found(text: str, found: list[tuple[str, str]]) -> None:
    units = text.encode("utf-16-le")
    marked = [
        (e["type"], units[2 * e["offset"] : 2 * (e["offset"] + e["length"])].decode("utf-16-le"))
        for e in automatic_entities(text)
    ]

    assert marked == found


def test_nothing_is_found_inside_code_or_a_link() -> None:
    link = entity("text_link", 0, 6, url="https://example.org")
    code = entity("code", 7, 6)

    assert check("/start /start", link, code)[1] == [link, code]

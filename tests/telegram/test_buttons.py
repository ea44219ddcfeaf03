"""Callback data: small, signed, and of no use in another chat or for another bot."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.telegram.buttons import VERBS, Signer

TOKEN = "123456789:" + "A" * 35
SIGNER = Signer(TOKEN)


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("number", [0, 1, 35, 36, 12_345, 2**63 - 1])
def test_what_was_signed_is_read_back_in_its_chat(verb: str, number: int) -> None:
    data = SIGNER.data(verb, number, "7")

    assert SIGNER.read(data, "7") == (verb, number)


def test_the_longest_data_fits_into_what_telegram_takes() -> None:
    data = SIGNER.data("jc", 2**63 - 1, "-1001234567890123")

    assert len(data.encode()) <= 64


def test_a_button_of_another_chat_is_not_read() -> None:
    data = SIGNER.data("jc", 12, "7")

    assert SIGNER.read(data, "8") is None


def test_a_button_of_another_bot_is_not_read() -> None:
    data = Signer("987654321:" + "B" * 35).data("jc", 12, "7")

    assert SIGNER.read(data, "7") is None


@pytest.mark.parametrize("part", [1, 2, 3])
def test_data_with_a_changed_part_is_not_read(part: int) -> None:
    parts = SIGNER.data("jc", 12, "7").split(":")
    parts[part] = {1: "jr", 2: "d", 3: "0" * 12}[part]

    assert SIGNER.read(":".join(parts), "7") is None


@pytest.mark.parametrize(
    "data",
    [
        "",
        ":",
        "v1",
        "v1:jc:c",
        "v1:jc:c:",
        "v2:jc:c:000000000000",
        "v1:xx:c:0",
        "v1:jc:c:0:0",
        "\0",
    ],
)
def test_broken_data_is_not_read(data: str) -> None:
    assert SIGNER.read(data, "7") is None


@given(st.text(st.characters(), max_size=64))
def test_no_text_at_all_is_read_or_breaks_anything(data: str) -> None:
    assert SIGNER.read(data, "7") is None


@given(st.sampled_from(sorted(VERBS)), st.text(st.characters(), max_size=20), st.text(max_size=20))
def test_nothing_that_looks_like_data_is_read(verb: str, number: str, signature: str) -> None:
    assert SIGNER.read(f"v1:{verb}:{number}:{signature}", "7") is None


def test_the_token_cannot_be_seen_in_the_data() -> None:
    assert "A" * 5 not in SIGNER.data("jc", 12, "7")


def test_a_row_holds_its_buttons_in_order() -> None:
    row = SIGNER.row("7", ("Cancel", "jc", 12), ("Details", "jd", 12))

    assert [[button["text"] for button in buttons] for buttons in row] == [["Cancel", "Details"]]
    assert SIGNER.read(row[0][1]["data"], "7") == ("jd", 12)


@pytest.mark.parametrize(
    ("texts", "rows"),
    [
        (["⏹ Cancel", "📋 Details", "⬆ First"], [3]),
        (["📎 Bestanden", "↻ Nog eens", "➕ Vervolgvraag"], [2, 1]),
        (["🌙 Stille uren", "🔔 Vragen in stille uren"], [1, 1]),
        (["Europe/Amsterdam", "Europe/London"], [2]),
        (["1", "22", "333", "4444", "5", "6", "7", "8"], [8]),
        (["a button with as many words as one line can hold"], [1]),
        ([], [0]),
    ],
)
def test_words_that_a_phone_would_cut_get_a_row_with_more_room(
    texts: list[str], rows: list[int]
) -> None:
    made = SIGNER.row("7", *((text, "jd", number) for number, text in enumerate(texts)))

    assert [len(row) for row in made] == rows
    assert [button["text"] for row in made for button in row] == texts

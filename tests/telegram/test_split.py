"""Where a long answer is cut, and that no cut loses or breaks anything."""

import time
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.telegram.render import (
    Entity,
    Rendered,
    plain,
    render,
    unit_offsets,
    utf16_length,
    valid,
)
from bridge.telegram.split import split

FAMILY = "👨‍👩‍👧"
CLUSTERS = [
    *(FAMILY, "👍🏽", "❤️", "1️⃣", "🇳🇱", "🏴󠁧󠁢󠁷󠁬󠁳󠁿", "e\u0301\u0323"),
    *("\u1100\u1161\u11a8", "\ud55c", "क्षि", "😀", "x"),
]
FRAGMENTS = [
    *("**vet ", "** ", "*", "_", "~~", "`code met spaties` ", "```py\n", "\n```\n", "    x = 1\n"),
    *("[woorden van een link](https://a.nl/b) ", "\n", "\n\n", "> ", "- ", "1. ", "# ", " "),
    *("woord ", "langwoordzonderspatie", "\xa0", "\u3000", "שלום ", *CLUSTERS),
]
long_markdown = st.lists(st.sampled_from(FRAGMENTS), max_size=80).map("".join)
any_text = st.text(st.characters(exclude_categories=()))
limits = st.sampled_from([2, 3, 7, 20, 60, 4096])


def texts(parts: list[Rendered]) -> list[str]:
    return [part.text for part in parts]


def visible(text: str) -> str:
    """What is left without the characters that Telegram calls empty."""
    blank = "\u030a\u0333\u033f\u180e\u2800\ufeff\ufffc"
    return "".join(
        letter
        for letter in text
        if not letter.isspace()
        and letter not in blank
        and not "\u2000" <= letter <= "\u200f"
        and not "\u2028" <= letter <= "\u202f"
        and not "\U000e0000" <= letter <= "\U000e007f"
    )


def looks(parts: list[Rendered]) -> list[tuple[str, frozenset[tuple[str, str | None, str | None]]]]:
    """Every character that can be seen, with all that lies on it."""
    seen = []
    for part in parts:
        for letter, unit in zip(part.text, unit_offsets(part.text), strict=False):
            if visible(letter):
                around = [entity for entity in part.entities if entity.offset <= unit < entity.end]
                looks_like = frozenset((e.type, e.url, e.language) for e in around)
                seen.append((letter, looks_like))
    return seen


# -- where to cut ---------------------------------------------------------------------------


def test_text_that_fits_is_one_part() -> None:
    rendered = render("**a** b\n\nc")

    assert split(rendered) == [rendered]


@pytest.mark.parametrize("text", ["", " \n\t\xa0 ", "\u200b", "\u2800\n\u200d"])
def test_blank_text_has_no_parts(text: str) -> None:
    assert split(Rendered(text)) == []


def test_text_of_exactly_the_limit_is_one_part() -> None:
    assert texts(split(plain("x" * 4096))) == ["x" * 4096]
    assert texts(split(plain("😀" * 2048))) == ["😀" * 2048]
    assert texts(split(plain("x" * 4096 + " \n"))) == ["x" * 4096]


def test_paragraph_is_preferred_to_line_and_line_to_space() -> None:
    assert texts(split(plain("aaaaaa\n\nb\nc dd"), limit=11)) == ["aaaaaa", "b\nc dd"]
    assert texts(split(plain("aaaaa\nbb cc dd"), limit=11)) == ["aaaaa", "bb cc dd"]
    assert texts(split(plain("aaaaa bb ccdd"), limit=11)) == ["aaaaa bb", "ccdd"]


def test_cut_may_fall_right_at_the_limit() -> None:
    assert texts(split(plain("aaaaaaaa bbb"), limit=8)) == ["aaaaaaaa", "bbb"]
    assert texts(split(plain("aaaa\n\nbbb"), limit=4)) == ["aaaa", "bbb"]


def test_early_paragraph_does_not_make_a_small_part() -> None:
    assert texts(split(plain("a\n\nbbbb cccc dddd"), limit=12)) == ["a\n\nbbbb cccc", "dddd"]


def test_early_space_is_better_than_no_space() -> None:
    assert texts(split(plain("a bbbbbbbbbb c"), limit=10)) == ["a", "bbbbbbbbbb", "c"]


def test_word_longer_than_a_message_is_cut() -> None:
    assert texts(split(plain("x" * 25), limit=10)) == ["x" * 10, "x" * 10, "x" * 5]


def test_4096_emoji_become_two_full_parts() -> None:
    assert texts(split(plain("😀" * 4096))) == ["😀" * 2048] * 2


@pytest.mark.parametrize("cluster", CLUSTERS)
@pytest.mark.parametrize("before", range(16))
def test_no_cluster_is_cut(cluster: str, before: int) -> None:
    parts = split(plain("x" * before + cluster * 20), limit=16)

    for part in parts:
        assert part.text.replace("x", "") == cluster.replace("x", "") * part.text.count(cluster[0])


def test_letters_of_flags_are_paired_from_the_start_of_their_run() -> None:
    parts = split(plain("🇳🇱" * 9 + "🇳"), limit=10)

    assert texts(parts) == ["🇳🇱🇳🇱"] * 4 + ["🇳🇱🇳"]


def test_cluster_longer_than_a_message_is_cut_without_cutting_a_pair() -> None:
    parts = split(plain("😀" + "\u0301" * 9 + FAMILY), limit=5)

    assert all(valid(part) and utf16_length(part.text) <= 5 for part in parts)
    assert "".join(texts(parts)) == "😀" + "\u0301" * 9 + FAMILY


@pytest.mark.parametrize("source", ["[hier staat een link](https://a.nl)", "`hier staat wat code`"])
@pytest.mark.parametrize("before", ["x", "xxxx xxxx", "xxx\n\nxx\nxx", "x" * 30])
def test_link_and_code_stay_whole_if_they_fit(source: str, before: str) -> None:
    parts = split(render(f"{before} {source} na"), limit=21)

    inner = source.strip("`[").split("]")[0]
    assert [part.text for part in parts if part.entities and inner in part.text]
    assert sum(len(part.entities) for part in parts) == 1


def test_link_without_spaces_around_it_stays_whole() -> None:
    parts = split(render("x" * 15 + "[een-link](https://a.nl)" + "y" * 15), limit=20)

    assert texts(parts) == ["x" * 15, "een-link" + "y" * 12, "yyy"]


def test_link_longer_than_a_message_goes_on_in_the_next() -> None:
    parts = split(render("[aaaa bbbb cccc](https://a.nl)"), limit=10)

    assert texts(parts) == ["aaaa bbbb", "cccc"]
    assert [part.entities[0].url for part in parts] == ["https://a.nl"] * 2


def test_style_goes_on_in_the_next_part() -> None:
    parts = split(render("x **aaaa bbbb**"), limit=8)

    assert parts == [
        Rendered("x aaaa", (Entity("bold", 2, 4),)),
        Rendered("bbbb", (Entity("bold", 0, 4),)),
    ]


# -- code blocks ----------------------------------------------------------------------------


def test_code_block_is_cut_at_ends_of_lines_and_keeps_its_language() -> None:
    parts = split(render("```py\nif a and b:\n    c = d\n\n    e = f\ng\n```"), limit=24)

    assert parts == [
        Rendered("if a and b:\n    c = d", (Entity("pre", 0, 21, language="py"),)),
        Rendered("    e = f\ng", (Entity("pre", 0, 11, language="py"),)),
    ]


def test_cut_before_a_code_block_is_preferred_to_one_in_it() -> None:
    parts = split(render("aaa bbb ccc\n\n```\nd\n\ne\nf\n```"), limit=16)

    assert texts(parts) == ["aaa bbb ccc", "d\n\ne\nf"]


def test_line_of_code_longer_than_a_message_is_cut_at_a_space() -> None:
    parts = split(render("```\naaaa  bbbb cccc\n```"), limit=10)

    assert texts(parts) == ["aaaa  bbbb", "cccc"]
    assert [part.entities[0].type for part in parts] == ["pre", "pre"]


def test_indentation_wider_than_a_message_does_not_stop_it() -> None:
    rendered = Rendered(" " * 50 + "x", (Entity("pre", 0, 51),))

    assert texts(split(rendered, limit=10)) == ["x"]


def test_quote_around_cut_code_still_encloses_it() -> None:
    parts = split(render("> ```\n> aaaa\n>   bb\n> ```"), limit=6)

    assert texts(parts) == ["aaaa", "  bb"]
    assert [entity.type for part in parts for entity in part.entities] == ["blockquote", "pre"] * 2


# -- entities -------------------------------------------------------------------------------


def test_part_with_too_many_entities_ends_earlier() -> None:
    parts = split(render("**a** " * 250))

    assert [len(part.entities) for part in parts] == [100, 100, 50]
    assert "".join(texts(parts)).count("a") == 250


def test_entities_that_go_on_count_in_the_next_part() -> None:
    parts = split(render("> " + "**a** " * 8), entities_max=3)

    assert [[e.type for e in part.entities] for part in parts] == [
        ["blockquote", "bold", "bold"]
    ] * 4


def test_entities_on_one_place_beyond_the_maximum_are_left_out() -> None:
    same_place = tuple(Entity(kind, 0, 3) for kind in ("blockquote", "bold", "italic"))

    assert split(Rendered("abc", same_place), entities_max=2) == [Rendered("abc", same_place[:2])]
    assert split(Rendered("abc", same_place), entities_max=0) == [Rendered("abc")]


def test_entities_that_are_not_valid_are_dropped() -> None:
    assert split(Rendered("a\ud83d b", (Entity("bold", 0, 9),))) == [Rendered("a\ufffd b")]


# -- what holds for every text --------------------------------------------------------------


def check_promise(rendered: Rendered, limit: int, entities_max: int) -> None:
    """The promise of `split`."""
    parts = split(rendered, limit=limit, entities_max=entities_max)

    assert visible("".join(texts(parts))) == visible(rendered.text)
    for part in parts:
        assert valid(part)
        assert visible(part.text)
        assert part.text == part.text.rstrip()
        assert utf16_length(part.text) <= limit
        assert len(part.entities) <= entities_max


@settings(max_examples=300, deadline=None)
@given(any_text, limits)
def test_any_text_is_split_without_loss(text: str, limit: int) -> None:
    check_promise(plain(text), limit, 100)


@settings(max_examples=400, deadline=None)
@given(long_markdown, limits, st.sampled_from([0, 1, 3, 100]))
def test_any_markdown_is_split_without_loss(source: str, limit: int, entities_max: int) -> None:
    check_promise(render(source), limit, entities_max)


@settings(max_examples=300, deadline=None)
@given(long_markdown, limits)
def test_every_character_keeps_its_looks(source: str, limit: int) -> None:
    rendered = render(source)

    assert looks(split(rendered, limit=limit)) == looks([rendered])


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(FRAGMENTS)).map("".join))
def test_no_part_starts_inside_a_character(source: str) -> None:
    for part in split(render(source), limit=60)[1:]:
        assert unicodedata.category(part.text[0])[0] != "M"
        assert part.text[0] not in "\u200d\U0001f3fd\U000e007f"


# -- what it costs --------------------------------------------------------------------------


@pytest.mark.parametrize("piece", ["woord ", "x", "😀", FAMILY, "🇳🇱", "\u0301", "regel\n", " "])
def test_a_text_of_1_mb_is_split_within_2_s(piece: str) -> None:
    rendered = plain("a" + piece * (1_000_000 // len(piece.encode())))

    started = time.process_time()
    split(rendered)

    assert time.process_time() - started < 2


def test_a_text_of_1_mb_with_many_entities_is_split_within_2_s() -> None:
    entities = tuple(Entity("bold", start, 5) for start in range(0, 1_000_000, 40))

    started = time.process_time()
    parts = split(Rendered("woord en nog wat dan" * 50_000, entities))

    assert time.process_time() - started < 2
    assert sum(len(part.entities) for part in parts) >= 25_000

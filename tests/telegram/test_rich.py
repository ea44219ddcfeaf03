"""Rich HTML: what each construct turns into, what is escaped, and what is not made at all."""

import pytest

from bridge.emulator.telegram_params import Params
from bridge.emulator.telegram_rich import rich_of
from bridge.telegram.rich import rich_html, tables_of, worth_it

NARROW = "| a | b |\n|---|--:|\n| 1 | 2 |"
WIDE = "| stad | een kolom die te breed is voor een telefoon |\n|---|---|\n| Assen | 3 |"
FOUR = "| a | b | c | d |\n|---|---|---|---|\n| 1 | 2 | 3 | 4 |"
DETAILS = "<details><summary>Meer</summary>\n\nHet **hele** verhaal.\n\n</details>"


def blocks(markdown: str) -> list[dict[str, object]]:
    """What Telegram makes of it."""
    html = rich_html(markdown)
    assert html is not None
    return list(rich_of(Params({"rich_message": {"html": html}}))["blocks"])


def test_a_table_keeps_its_cells_and_their_alignment() -> None:
    (table,) = blocks(NARROW)

    assert table["cells"] == [
        [
            {"text": "a", "is_header": True, "align": "left"},
            {"text": "b", "is_header": True, "align": "right"},
        ],
        [{"text": "1", "align": "left"}, {"text": "2", "align": "right"}],
    ]


def test_headings_keep_their_size() -> None:
    assert [(b["text"], b["size"]) for b in blocks("# One\n\n### Three")] == [
        ("One", 1),
        ("Three", 3),
    ]


def test_a_folded_part_has_its_summary_and_its_blocks() -> None:
    (details,) = blocks(DETAILS)

    assert (details["type"], details["summary"]) == ("details", "Meer")
    assert details["blocks"] == [
        {
            "type": "paragraph",
            "text": ["Het ", {"type": "bold", "text": "hele"}, " verhaal."],
        }
    ]


@pytest.mark.parametrize("formula", ["$$\na < b^2\n$$", "$$a < b^2$$", "\\[\na < b^2\n\\]"])
def test_a_formula_of_its_own_is_a_block(formula: str) -> None:
    assert blocks(f"Dus:\n\n{formula}")[1] == {
        "type": "mathematical_expression",
        "expression": "a < b^2",
    }


def test_a_formula_in_a_line_is_marked() -> None:
    (line,) = blocks("Dan is \\(x^2\\) positief.")

    assert line["text"] == [
        "Dan is ",
        {"type": "mathematical_expression", "expression": "x^2"},
        " positief.",
    ]


def test_lists_nest_and_keep_their_first_number() -> None:
    (listed,) = blocks("3. een\n   - twee\n4. drie")

    assert [item["label"] for item in listed["items"]] == ["3.", "4."]  # type: ignore[attr-defined]
    assert listed["items"][0]["blocks"][1]["type"] == "list"  # type: ignore[index]


@pytest.mark.parametrize("gap", ["\n", "\n\n"])
def test_tasks_have_their_boxes_in_front_of_their_words(gap: str) -> None:
    html = rich_html(f"- [ ] kopen{gap}- [x] betalen")

    assert html is not None
    assert "☐ kopen" in html and "☑ betalen" in html


def test_code_keeps_its_language_and_its_spaces() -> None:
    assert blocks("```py\nif a < b:\n    print()\n```") == [
        {"type": "pre", "text": "if a < b:\n    print()", "language": "py"}
    ]


def test_a_line_break_of_the_source_stays() -> None:
    assert blocks("een\ntwee")[0]["text"] == "een\ntwee"


@pytest.mark.parametrize(
    "text", ["List<String>", "<script>alert(1)</script>", "a & b", "<b>x</b>", "&lt;p&gt;"]
)
def test_html_of_the_text_is_only_text(text: str) -> None:
    html = rich_html(f"`x` {text}")

    assert html is not None
    assert html.removeprefix("<p><code>x</code>").removesuffix("</p>").count("<") == 0


def test_a_link_that_poses_as_another_says_so() -> None:
    html = rich_html("[ing.nl](https://evil.example.com)")

    assert html == '<p><a href="https://evil.example.com">ing.nl</a> (evil.example.com)</p>'


def test_a_target_that_is_no_web_address_is_no_link() -> None:
    assert rich_html("[hier](javascript:alert)") == "<p>[hier](javascript:alert)</p>"
    assert rich_html("[mail](mailto:a@b.nl)") == "<p>mail (a@b.nl)</p>"


@pytest.mark.parametrize(
    "markdown",
    [
        "",
        "> ",
        "a" * 33_000,
        "- a\n" * 250,
        "> " * 17 + "a",
        f"|{'a|' * 21}\n|{'-|' * 21}",
    ],
    ids=["empty", "only a quote", "too long", "too many blocks", "too deep", "too wide"],
)
def test_what_telegram_would_refuse_is_not_made(markdown: str) -> None:
    assert rich_html(markdown) is None


def test_what_is_just_within_the_limits_is_made() -> None:
    for markdown in ("a" * 32_768, "- a\n" * 249, "> " * 15 + "a", f"|{'a|' * 20}\n|{'-|' * 20}"):
        assert blocks(markdown)


@pytest.mark.parametrize(
    ("markdown", "worth"),
    [
        (NARROW, False),
        (FOUR, True),
        (WIDE, True),
        (DETAILS, True),
        ("$$x$$", True),
        ("Dan is $x^2$ positief | of niet", False),
        ("gewoon tekst", False),
        (f"```\n{FOUR}\n$$x$$\n```", False),
    ],
)
def test_rich_is_worth_it_only_for_what_entities_cannot_show(markdown: str, worth: bool) -> None:
    assert worth_it(markdown) is worth


def test_the_tables_of_a_text_are_found_and_nothing_else() -> None:
    text = f"Kijk:\n\n{NARROW}\n\nEn:\n\n{WIDE}\n\n```\n{FOUR}\n```"

    assert tables_of(text) == f"{NARROW}\n\n{WIDE}"
    assert tables_of("a | b") == ""

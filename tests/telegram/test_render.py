"""What Markdown turns into, and that every text and every prefix of one gives a valid message."""

import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.telegram import markdown, syntax
from bridge.telegram.render import Entity, Rendered, clean, plain, render, utf16_length, valid

WORDS = ["het", "was", "een", "rustige", "dag", "aan", "zee"]
MARKS = [
    *("*", "**", "_", "__", "~~", "`", "``", "[", "](http://a.nl/b)", "![", "<", ">", "\\"),
    *("\n", "\n\n", "  \n", "    ", "\t", "- ", "+ ", "3. ", "1) ", "> ", "# ", "### "),
    *("---", "***", "- [ ] ", "- [x] ", "[mail](mailto:a@b.nl)", "<http://a.nl>", "&amp;"),
    *("&#13;", "&#0;", "\xa0", "👨‍👩‍👧", "🇳🇱", "e\u0301", "\u200f", "שלום", "日本"),
]
BLOCKS = [
    *("```", "```py\n", "````", "~~~", "|", "| a | b |\n|---|:-:|\n"),
    *("\x00", "\r", "\ud83d", "\ude00"),
]
any_text = st.text(st.characters(exclude_categories=()))  # surrogates too
loose_markdown = st.lists(st.sampled_from(MARKS + WORDS + BLOCKS), max_size=40).map("".join)

DOCUMENT = """# Plan 🗓 voor *deze* week

Hier is een **kort _overzicht_ met `code`** en [een link](https://example.com/a_(b)).
Zie het_bestand_naam.py, ~~oud~~ en List<String>; a || b || c.

3. Eerste stap 👨‍👩‍👧
   - [ ] nog te doen
   - [x] gedaan

     met een tweede alinea
4. Tweede stap:
   ```python
   def f(x):
       return "ë" * x
   ```

> Een citaat met **nadruk**
> > en een citaat daarin
> - en een lijst

| naam | prijs |
|:-----|------:|
| 日本 | € 3 |

| naam | een kolom die veel te breed is voor een telefoon |
|---|---|
| x | [hier](https://example.com/x) en `daar` |

---

![kaart](https://example.com/kaart.png) <https://example.com> [koop](https://a.nl "t")

````md
```py
x
```
````

שלום **עולם** 🇳🇱
"""


def marked(rendered: Rendered) -> list[tuple[str, str]]:
    """Every entity as its type and the text it covers."""
    units = rendered.text.encode("utf-16-le")
    return [
        (entity.type, units[2 * entity.offset : 2 * entity.end].decode("utf-16-le"))
        for entity in rendered.entities
    ]


def urls(rendered: Rendered) -> list[str | None]:
    return [entity.url for entity in rendered.entities if entity.type == "text_link"]


# -- blocks ---------------------------------------------------------------------------------


def test_heading_becomes_a_bold_line_and_a_blank_line() -> None:
    rendered = render("## Plan\nde tekst")

    assert rendered.text == "Plan\n\nde tekst"
    assert marked(rendered) == [("bold", "Plan")]


def test_bold_inside_a_heading_is_not_marked_twice() -> None:
    assert marked(render("# Een **vet** plan")) == [("bold", "Een vet plan")]


def test_paragraphs_keep_one_blank_line_between_them() -> None:
    assert render("een\n\n\n\ntwee\n").text == "een\n\ntwee"


def test_line_breaks_inside_a_paragraph_stay() -> None:
    assert render("een\ntwee  \ndrie").text == "een\ntwee\ndrie"


def test_bullets_of_every_kind_become_dots() -> None:
    assert (
        render("- a\n- b").text == render("* a\n* b").text == render("+ a\n+ b").text == "• a\n• b"
    )


def test_ordered_list_keeps_its_first_number_and_delimiter() -> None:
    assert render("7. a\n7. b").text == "7. a\n8. b"
    assert render("0) a").text == "0) a"


def test_nested_lists_are_indented() -> None:
    assert render("1. a\n   - b\n     - c\n2. d").text == "1. a\n   • b\n      • c\n2. d"


def test_list_with_blank_lines_keeps_them() -> None:
    assert render("1. a\n\n2. b\n\n   c").text == "1. a\n\n2. b\n\n   c"


def test_further_lines_of_an_item_are_indented() -> None:
    assert render("- a\n  b").text == "• a\n   b"


def test_list_stands_apart_from_the_paragraph_before_and_after() -> None:
    assert render("voor\n- a\n\nna").text == "voor\n\n• a\n\nna"


def test_task_list_becomes_boxes() -> None:
    assert render("- [ ] a\n- [x] b\n- [X] c").text == "☐ a\n☑ b\n☑ c"
    assert render("1. [x] a").text == "1. ☑ a"


def test_rule_becomes_a_short_line() -> None:
    assert render("a\n\n---\n\nb").text == "a\n\n———\n\nb"


def test_line_over_a_rule_is_no_heading() -> None:
    rendered = render("a\n---\nb")

    assert rendered == Rendered("a\n\n———\n\nb")


def test_definition_of_a_label_stays_visible() -> None:
    assert render("a\n\n[noot]: belangrijk").text == "a\n\n[noot]: belangrijk"


def test_fence_becomes_pre_with_its_language() -> None:
    rendered = render("a\n```python title=x\nif x:\n    y\n```\nb")

    assert rendered.text == "a\n\nif x:\n    y\n\nb"
    assert rendered.entities == (Entity("pre", 3, 11, language="python"),)


def test_indented_code_becomes_pre() -> None:
    assert marked(render("a\n\n    x = 1\n")) == [("pre", "x = 1")]


def test_pre_keeps_the_indentation_of_its_first_line() -> None:
    rendered = render("```\n\n    return x\ny\n\n```")

    assert rendered.text == "    return x\ny"
    assert marked(rendered) == [("pre", "    return x\ny")]


def test_tabs_in_code_become_spaces() -> None:
    assert render("```go\nx {\n\ty\n}\n```").text == "x {\n    y\n}"


def test_quote_around_indented_code_still_encloses_it() -> None:
    rendered = render("> ```\n>   a\n> ```")

    assert marked(rendered) == [("blockquote", "  a"), ("pre", "  a")]


def test_quote_becomes_blockquote() -> None:
    assert marked(render("> een\n> twee\n\nna")) == [("blockquote", "een\ntwee")]


def test_quote_in_a_quote_is_part_of_the_outer_one() -> None:
    assert marked(render("> een\n>\n> > twee")) == [("blockquote", "een\n\ntwee")]


@pytest.mark.parametrize(("units", "kind"), [(400, "blockquote"), (401, "expandable_blockquote")])
def test_quote_over_400_units_is_folded(units: int, kind: str) -> None:
    quote = "😀" + "x" * (units - 2)

    assert marked(render(f"> {quote}")) == [(kind, quote)]


def test_html_is_shown_literally() -> None:
    assert render("<b>x</b>\n\n<div>\ny\n</div>") == Rendered("<b>x</b>\n\n<div>\ny\n</div>")


# -- tables ---------------------------------------------------------------------------------


def test_narrow_table_is_aligned_in_pre() -> None:
    rendered = render("| naam | n |\n|---|---|\n| **appel** | 10 |\n| ei | |\n")

    assert rendered.text == "naam  │ n\n──────┼───\nappel │ 10\nei    │"
    assert marked(rendered) == [("pre", rendered.text)]


def test_table_of_34_cells_is_aligned_and_of_35_is_not() -> None:
    fits, wide = (render(f"|{'a' * 15}|{'b' * width}|\n|-|-|\n|c|d|") for width in (16, 17))

    assert [entity.type for entity in fits.entities] == ["pre"]
    assert [entity.type for entity in wide.entities] == ["bold", "bold"]


def test_wide_table_becomes_a_block_for_each_row() -> None:
    long = "een waarde die niet op een telefoon past"
    rendered = render(f"| naam | wat: |\n|---|---|\n| a | {long} |\n| b | *c* |\n| d | |")

    assert rendered.text == f"naam: a\nwat: {long}\n\nnaam: b\nwat: c\n\nnaam: d"
    assert marked(rendered)[:2] == [("bold", "naam:"), ("bold", "wat:")]
    assert ("italic", "c") in marked(rendered)


def test_wide_table_that_has_only_its_head_shows_it() -> None:
    assert render(f"| {'a' * 30} | bbb |\n|---|---|").text == f"{'a' * 30} │ bbb"


def test_table_with_a_link_keeps_the_link() -> None:
    rendered = render("| a | b |\n|---|---|\n| x | [y](https://a.nl) |")

    assert rendered.text == "a: x\nb: y"
    assert urls(rendered) == ["https://a.nl"]


@pytest.mark.parametrize(
    ("cell", "cells"),
    [
        ("abc", 3),
        ("日本", 4),
        ("e\u0301", 1),
        ("👨‍👩‍👧", 2),
        ("👍🏽", 2),
        ("❤️", 2),
        ("1️⃣", 2),
        ("🇳🇱", 2),
    ],
)
def test_column_is_as_wide_as_it_is_seen(cell: str, cells: int) -> None:
    rule = render(f"| {cell} | b |\n|---|---|").text.splitlines()[1]

    assert rule == "─" * cells + "─┼─" + "─"


# -- words ----------------------------------------------------------------------------------


def test_emphasis_nests() -> None:
    assert marked(render("**a *b ~~c~~***")) == [
        ("bold", "a b c"),
        ("italic", "b c"),
        ("strikethrough", "c"),
    ]


def test_bold_in_bold_is_one_bold() -> None:
    assert marked(render("**a **b** c**")) == [("bold", "a b c")]


def test_style_is_cut_around_code() -> None:
    assert marked(render("**a _b `c` d_**")) == [
        ("bold", "a b"),
        ("italic", "b"),
        ("code", "c"),
        ("italic", "d"),
        ("bold", "d"),
    ]


def test_offsets_are_utf16_units() -> None:
    assert render("👨‍👩‍👧 **x**").entities == (Entity("bold", 9, 1),)


def test_entities_have_no_outer_whitespace() -> None:
    assert marked(render("**&nbsp;a&nbsp;** b `` c  ``")) == [("bold", "a"), ("code", "c")]


def test_offsets_follow_when_the_text_is_stripped() -> None:
    rendered = render("\n\n&nbsp; **a**&nbsp;")

    assert rendered == Rendered("a", (Entity("bold", 0, 1),))


def test_link_with_parentheses_is_whole() -> None:
    assert urls(render("[x](https://nl.wikipedia.org/wiki/A_(b))")) == [
        "https://nl.wikipedia.org/wiki/A_(b)"
    ]


def test_code_in_a_link_leaves_the_link_whole() -> None:
    assert marked(render("[a `b`](https://a.nl)")) == [("text_link", "a b")]


def test_address_inside_the_words_of_a_link_is_no_second_link() -> None:
    assert urls(render("[a <https://b.nl> c](https://a.nl)")) == ["https://a.nl"]


def test_address_in_angle_brackets_is_a_link() -> None:
    assert marked(render("<https://a.nl/b>")) == [("text_link", "https://a.nl/b")]


def test_bare_address_is_left_to_telegram() -> None:
    assert render("zie https://a.nl/b_c_d").entities == ()


def test_link_without_words_shows_its_address() -> None:
    assert marked(render("[](https://a.nl)")) == [("text_link", "https://a.nl")]


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("[Bob](tg://user?id=1)", "Bob"),
        ("[x](ftp://a.nl)", "x"),
        ("[x](bestand.py)", "x"),
        ("[mail ons](mailto:a@b.nl?subject=x)", "mail ons (a@b.nl)"),
        ("<a@b.nl>", "a@b.nl"),
        ("[bel](tel:+3120)", "bel (+3120)"),
        ("[](mailto:a@b.nl)", "a@b.nl"),
        ("[x](javascript:alert)", "[x](javascript:alert)"),
        # Telegram refuses the whole message for each of these
        ("[x](http://localhost:8080/)", "x (http://localhost:8080)"),
        ("[x](http://a.nl:0/)", "x (http://a.nl:0)"),
        ("[x](http://a.nl:99999)", "x (http://a.nl:99999)"),
        ("[x](https://)", "x (https:)"),
        ("[x](https://bank.nl@evil.nl/)", "x (https://bank.nl@evil.nl)"),
    ],
)
def test_target_that_is_no_web_address_is_no_link(source: str, text: str) -> None:
    assert render(source) == Rendered(text)


@pytest.mark.parametrize(
    "words",
    [
        *("bank.nl", "https://bank.nl/login", "www.bank.nl", "ga naar (bank.nl)", "bank.nl@x"),
        *("http://localhost", "ba\u200bnk.nl", "bank．nl", "**bank**.nl", "evil.nl.bank.nl"),
        *("ëvil.nl", "evil.nl en bank.nl"),
    ],
)
def test_link_that_poses_as_another_shows_its_host(words: str) -> None:
    rendered = render(f"[{words}](https://evil.nl/x)")

    assert rendered.text.endswith(" (evil.nl)")
    assert "(evil.nl)" not in marked(rendered)[0][1]
    assert urls(rendered) == ["https://evil.nl/x"]


@pytest.mark.parametrize(
    ("words", "target"),
    [
        ("bank.nl", "https://www.bank.nl/x"),
        ("www.bank.nl", "https://BANK.nl./x"),
        ("https://bank.nl/a.b/c.d?e=f.gh", "https://bank.nl"),
        ("müller.de", "https://müller.de/x"),
        ("de handleiding", "https://bank.nl"),
        ("Node.js en index.html", "https://nodejs.org"),
        ("versie 2.10", "https://bank.nl"),
        ("zie https://bank.nl.", "https://bank.nl"),
    ],
)
def test_honest_link_shows_no_host(words: str, target: str) -> None:
    rendered = render(f"[{words}]({target})")

    assert rendered.text == words
    assert [kind for kind, _ in marked(rendered)] == ["text_link"]


def test_image_becomes_a_link_with_a_picture_sign() -> None:
    assert marked(render("![de *kaart*](https://a.nl/k.png)")) == [("text_link", "🖼 de kaart")]
    assert render("![](https://a.nl/k.png)").text == "🖼"


def test_image_in_a_link_is_part_of_the_link() -> None:
    rendered = render("[![a](https://a.nl/k.png)](https://b.nl)")

    assert marked(rendered) == [("text_link", "🖼 a")]
    assert urls(rendered) == ["https://b.nl"]


def test_image_that_cannot_be_linked_keeps_its_words() -> None:
    assert render("![a](k.png)") == Rendered("🖼 a")


# -- nasty inputs ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "text", "entities"),
    [
        ("```py\nx = 1", "x = 1", [("pre", "x = 1")]),
        ("a **b", "a **b", []),
        ("List<String> en <div>", "List<String> en <div>", []),
        ("a || b || c", "a || b || c", []),
        ("1. a\n   ```\n   ls -la\n   ```\n2. b", "1. a\nls -la\n2. b", [("pre", "ls -la")]),
        ("- ```\n  x\n  ```", "•\nx", [("pre", "x")]),
        ("- > x", "•\nx", [("blockquote", "x")]),
        ("- # x\n- - y\n-", "• x\n•\n   • y\n•", [("bold", "x")]),
        ("````\n```py\nx\n```\n````", "```py\nx\n```", [("pre", "```py\nx\n```")]),
        (
            "**a [b `c` _d_](https://e.nl) f**",
            "a b c d f",
            [("bold", "a b c d f"), ("text_link", "b c d"), ("italic", "d")],
        ),
        ("שלום **עולם**", "שלום עולם", [("bold", "עולם")]),
        ("👨‍👩‍👧‍👦 `👍🏽` **🇳🇱**", "👨‍👩‍👧‍👦 👍🏽 🇳🇱", [("code", "👍🏽"), ("bold", "🇳🇱")]),
        ("Wat ’s dat? ë € het_bestand_naam.py", "Wat ’s dat? ë € het_bestand_naam.py", []),
        ("😀" * 4096, "😀" * 4096, []),
        ("2 * 3 * 4 en a_b_c", "2 * 3 * 4 en a_b_c", []),
        ("\\*a\\* &lt;b&gt; &amp;amp;", "*a* <b> &amp;", []),
        ("a&#13;b&#12;c&#0;d", "abc\ufffdd", []),
        ("\ud83d\ude00 \ud83d **\ude00**", "😀 \ufffd \ufffd", [("bold", "\ufffd")]),
        ("a\x00b\x1bc\r\nd", "abc\nd", []),
        ("**a**\n\n" + ">" * 30 + " diep", "**a**\n\n" + ">" * 30 + " diep", []),
        ("```", "```", []),
        ("  \n\t ", "", []),
        ("", "", []),
    ],
)  # fmt: skip
def test_nasty_input(source: str, text: str, entities: list[tuple[str, str]]) -> None:
    rendered = render(source)

    assert rendered.text == text
    assert marked(rendered) == entities


# -- the small functions --------------------------------------------------------------------


def test_plain_has_no_entities_and_no_outer_whitespace() -> None:
    assert plain(" **a**\x00\n") == Rendered("**a**")


def test_clean_keeps_newlines_and_tabs_and_joins_a_split_pair() -> None:
    assert clean("a\tb\r\nc\n\x07\ud83d\ude00\udc00x") == "a\tb\nc\n😀\ufffdx"


def test_utf16_length_counts_pairs_as_two() -> None:
    assert [utf16_length(text) for text in ("", "é", "😀", "\ud83d")] == [0, 1, 2, 1]


def test_entity_as_json_has_no_empty_fields() -> None:
    assert Entity("bold", 0, 1).to_dict() == {"type": "bold", "offset": 0, "length": 1}
    assert Entity("text_link", 2, 3, url="https://a.nl").to_dict()["url"] == "https://a.nl"
    assert Entity("pre", 2, 3, language="py").to_dict()["language"] == "py"


@pytest.mark.parametrize(
    "entities",
    [
        [Entity("bold", 0, 8), Entity("italic", 2, 3)],
        [Entity("bold", 0, 2), Entity("bold", 2, 2)],
        [Entity("blockquote", 0, 6), Entity("pre", 0, 6)],
        [Entity("bold", 0, 6), Entity("text_link", 0, 6, url="https://a.nl")],
        [Entity("text_link", 0, 6, url="https://a.nl"), Entity("bold", 0, 6)],
        [Entity("expandable_blockquote", 0, 6), Entity("italic", 0, 2), Entity("code", 4, 2)],
    ],
)
def test_entities_apart_or_nested_are_valid(entities: list[Entity]) -> None:
    assert valid(Rendered("01234567😀", tuple(entities[::-1])))


@pytest.mark.parametrize(
    "entities",
    [
        [Entity("bold", 0, 0)],
        [Entity("bold", -1, 2)],
        [Entity("bold", 8, 3)],
        [Entity("bold", 9, 1)],  # starts in the middle of the pair
        [Entity("bold", 0, 9)],  # ends there
        [Entity("bold", 0, 5), Entity("italic", 4, 4)],
        [Entity("pre", 0, 5), Entity("bold", 4, 1)],
        [Entity("bold", 0, 5), Entity("code", 4, 1)],
        [Entity("code", 0, 5), Entity("code", 0, 5)],
        [Entity("text_link", 0, 5, url="https://a.nl"), Entity("code", 4, 1)],
        [Entity("text_link", 0, 5, url="https://a.nl"), Entity("blockquote", 4, 1)],
        [Entity("text_link", 0, 5)],
        [Entity("blockquote", 0, 5), Entity("bold", 0, 5), Entity("blockquote", 4, 1)],
    ],
)
def test_entities_that_telegram_refuses_are_not_valid(entities: list[Entity]) -> None:
    assert not valid(Rendered("01234567😀", tuple(entities)))


def test_text_with_a_lone_surrogate_is_not_valid() -> None:
    assert not valid(Rendered("a\ud83d"))


def test_invalid_output_falls_back_to_plain_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(markdown, "write", lambda _: Rendered("a", (Entity("bold", 0, 2),)))

    assert render("**a**") == Rendered("**a**")


# -- what holds for every text --------------------------------------------------------------


def check_promise(source: str) -> None:
    """The promise of `render`."""
    rendered = render(source)
    texts = [text for _, text in marked(rendered)]
    code = tuple(text for kind, text in marked(rendered) if kind == "pre")

    assert valid(rendered)
    assert rendered.text == clean(rendered.text)
    for text in [rendered.text, *texts]:
        assert text == text.rstrip()
        assert text == text.lstrip() or text.startswith(code)


@settings(max_examples=300, deadline=None)
@given(any_text)
def test_any_text_is_rendered(source: str) -> None:
    check_promise(source)


@settings(max_examples=500, deadline=None)
@given(loose_markdown)
def test_any_mixture_of_markdown_is_rendered(source: str) -> None:
    check_promise(source)


def test_every_prefix_of_a_document_is_rendered() -> None:
    for length in range(len(DOCUMENT) + 1):
        check_promise(DOCUMENT[:length])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(WORDS * 3 + [" "] * 9 + MARKS), max_size=40).map("".join))
def test_no_word_is_lost(source: str) -> None:
    shown = render(source).text

    for word in WORDS:
        assert shown.count(word) >= source.count(word)


# -- what it costs --------------------------------------------------------------------------


def test_importing_both_modules_does_not_load_the_parser() -> None:
    code = "import sys, bridge.telegram.render, bridge.telegram.split; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert not {"markdown_it", "telegram"} & set(loaded.stdout.split())


def test_the_parser_is_built_once() -> None:
    assert syntax.parser() is syntax.parser()


@pytest.mark.skipif(sys.gettrace() is not None, reason="a tracer takes most of the time")
def test_an_answer_of_4_kb_is_rendered_within_15_ms() -> None:
    answer = (DOCUMENT * 4)[:4096]
    render(answer)
    took_s = []

    for _ in range(20):
        started = time.process_time()
        render(answer)
        took_s.append(time.process_time() - started)

    assert min(took_s) < 0.015

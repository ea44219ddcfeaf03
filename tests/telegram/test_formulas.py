"""Formulas in a chat: a line of Unicode where that can be read, else the TeX itself."""

import pytest

from bridge.telegram.formulas import unicode_of
from bridge.telegram.render import Entity, render


@pytest.mark.parametrize(
    ("formula", "text"),
    [
        ("E = mc^2", "E = mc²"),
        (r"\frac{a}{b}", "a/b"),
        (r"\frac{a+b}{2c}", "(a+b)/2c"),
        (r"\sqrt{2} \approx 1{,}41", "√2 ≈ 1,41"),
        (r"\sqrt{a^2 + b^2}", "√(a² + b²)"),
        (r"x_{n+1} = x_n - \alpha \nabla f", "xₙ₊₁ = xₙ - α ∇ f"),
        (r"\sum_{i=1}^{n} i", "∑ᵢ₌₁ⁿ i"),
        (r"e^{\pi}", "e^π"),
        (r"a^{bq}", "a^(bq)"),
        (r"20^\circ\text{ buiten}", "20° buiten"),
        (r"\mathbb{R} \to \mathbb{N}", "ℝ → ℕ"),
        (r"\left( x \right)", "( x )"),
        (r"\begin{aligned} a &= b \\ c &= d \end{aligned}", "a = b\nc = d"),
        (r"50\%", "50%"),
    ],
)
def test_a_short_formula_is_a_line_of_text(formula: str, text: str) -> None:
    assert unicode_of(formula) == text


@pytest.mark.parametrize("formula", [r"\mathcal{L}", r"\frac{a}", "{", "}", "x^", r"\hat{x}", ""])
def test_what_cannot_be_read_so_stays_tex(formula: str) -> None:
    assert unicode_of(formula) is None


def test_a_formula_as_deep_as_it_is_long_is_no_trouble() -> None:
    assert unicode_of("{" * 5_000 + "}" * 5_000) is None


def test_formulas_in_a_line_and_of_their_own_are_shown() -> None:
    text = "Dan is \\(x^2\\) of $y_1$:\n\n$$\\frac{a}{b}$$\n\nKlaar."

    assert render(text).text == "Dan is x² of y₁:\n\na/b\n\nKlaar."


def test_a_formula_that_stays_tex_is_code() -> None:
    assert render("$$\\hat{x}$$").entities == (Entity("pre", 0, 7, language="latex"),)
    assert render("Neem \\(\\hat{x}\\).").entities == (Entity("code", 5, 7),)


@pytest.mark.parametrize(
    "text",
    ["Van $5 naar $10.", "Het kost $5_000$ of meer", "$HOME en $PATH", "echo $x$y", "a $ b $ c"],
)
def test_money_and_variables_are_no_formulas(text: str) -> None:
    assert render(text).text == text


def test_a_folded_part_is_its_summary_and_a_quote() -> None:
    rendered = render("<details>\n<summary>Meer</summary>\n\nHet hele verhaal.\n</details>\n\nNa.")

    assert rendered.text == "Meer\nHet hele verhaal.\n\nNa."
    assert rendered.entities == (Entity("bold", 0, 4), Entity("blockquote", 5, 17))


def test_a_folded_part_that_is_not_closed_yet_is_text() -> None:
    assert render("<details>\n<summary>Meer</summary>\nHet").text.startswith("<details>")

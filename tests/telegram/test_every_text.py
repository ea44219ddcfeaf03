"""No text gives an invalid message: generated Markdown, and every prefix of fifty answers.

Judged by the emulated Telegram, for both looks: text with entities, and Rich HTML.
"""

import random
from pathlib import Path
from typing import Final

import pytest

from bridge.emulator.telegram_params import Params
from bridge.emulator.telegram_rich import rich_of
from bridge.emulator.telegram_text import formatted
from bridge.telegram.render import render
from bridge.telegram.rich import rich_html
from bridge.telegram.split import split

ANSWERS: Final = sorted((Path(__file__).parent / "answers").glob("*.md"))
GENERATED: Final = 10_000
SHARDS: Final = 4
UNITS_MAX: Final = 4_096
PIECES: Final = [
    *("het", "was", "een", "rustige", "dag", "*", "**", "_", "__", "~~", "`", "``", "\\", " "),
    *("[", "](http://a.nl/b)", "![", "<", ">", "&amp;", "&#13;", "&#0;", "\n", "\n\n", "  \n"),
    *("    ", "\t", "- ", "+ ", "3. ", "1) ", "> ", "# ", "### ", "---", "***", "- [ ] ", "- [x] "),
    *("```", "```py\n", "````", "~~~", "|", "| a | b |\n|---|:-:|\n", "\x00", "\r", "\ud83d"),
    *("$$", "$$x^2$$", "$x$", "\\(", "\\)", "\\[\n", "\n\\]", "\\frac{a}{b}", "{", "}", "^", "$5"),
    *("<details>\n", "<details open>", "</details>\n", "<summary>a **b**</summary>\n", "<b>"),
    *("👨‍👩‍👧", "🇳🇱", "e\u0301", "\u200f", "שלום", "日本", "\xa0", "<http://a.nl>", "<!-- x -->"),
]


def judge(text: str) -> bool:
    """Raises ApiError for a message Telegram would refuse; was there anything rich to send?"""
    for piece in split(render(text)):
        shown, _ = formatted(
            piece.text, [entity.to_dict() for entity in piece.entities], units_max=UNITS_MAX
        )
        assert shown
    html = rich_html(text)
    if html is not None:
        rich_of(Params({"rich_message": {"html": html}}))
    return html is not None


@pytest.mark.parametrize("shard", range(SHARDS))
def test_no_generated_text_gives_an_invalid_message(shard: int) -> None:
    chance = random.Random(shard)
    rich = 0

    for _ in range(GENERATED // SHARDS):
        rich += judge("".join(chance.choices(PIECES, k=chance.randrange(1, 40))))

    assert rich > 0.9 * GENERATED / SHARDS


@pytest.mark.parametrize("path", ANSWERS, ids=lambda path: str(path.stem))
def test_no_prefix_of_an_answer_gives_an_invalid_message(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    for end in range(1, len(text)):
        judge(text[:end])

    assert judge(text)


def test_there_are_fifty_answers_of_every_sort() -> None:
    texts = [path.read_text(encoding="utf-8") for path in ANSWERS]

    assert len(texts) >= 50
    for sign in (
        "```",
        "|--",
        "$$",
        "<details>",
        "> ",
        "- [ ]",
        "1. ",
        "](http",
        "👨‍👩‍👧‍👦",
        "שלום",
    ):
        assert any(sign in text for text in texts), sign

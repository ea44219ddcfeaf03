"""Long code is a file beside the answer; everything else stays where it was."""

import pytest

from bridge.telegram.code_files import ENDINGS, take_out
from bridge.telegram.compose import text_parts

LONG = "\n".join(f"print({n})" for n in range(81)) + "\n"
SHORT = "\n".join(f"print({n})" for n in range(80)) + "\n"


def taken(markdown: str) -> tuple[str, list[tuple[str, str]]]:
    return take_out(markdown, language="en", stem="kitt-12")


def test_code_of_more_than_eighty_lines_becomes_a_file() -> None:
    text, files = taken(f"Here:\n\n```python\n{LONG}```\n\nRun it.")

    assert text == "Here:\n\n\n📄 `kitt-12-1.py`: the code, 81 lines.\n\n\nRun it."
    assert files == [("kitt-12-1.py", LONG)]


def test_code_of_more_units_than_fit_becomes_a_file() -> None:
    _, files = taken("```json\n" + "é" * 3_501 + "\n```")

    assert [name for name, _ in files] == ["kitt-12-1.json"]


@pytest.mark.parametrize(
    "text", [f"```py\n{SHORT}```", "a\n" * 200, f"- x\n  ```py\n{LONG}  ```", "x" * 9_000]
)
def test_what_is_not_long_code_of_its_own_stays(text: str) -> None:
    assert taken(text) == (text, [])


def test_several_files_are_numbered_and_unknown_languages_are_text() -> None:
    _, files = taken(f"```rust\n{LONG}```\n\n```klingon\n{LONG}```\n\n```\n{LONG}```")

    assert [name for name, _ in files] == ["kitt-12-1.rs", "kitt-12-2.txt", "kitt-12-3.txt"]


def test_code_that_is_not_closed_is_taken_whole() -> None:
    _, files = taken(f"```sh\n{LONG}")

    assert files == [("kitt-12-1.sh", LONG)]


def test_the_file_follows_the_text_without_a_ring() -> None:
    text, file = text_parts(f"Zie:\n\n```sql\n{LONG}```", language="nl", file_name="kitt-12.md")

    assert text["text"] == "Zie:\n\n📄 kitt-12-1.sql: de code, 81 regels."
    assert (file["do"], file["name"], file["silent"]) == ("document", "kitt-12-1.sql", True)


def test_there_are_endings_for_what_models_write() -> None:
    assert len(set(ENDINGS.values())) >= 25

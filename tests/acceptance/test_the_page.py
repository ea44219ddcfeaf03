"""docs/acceptance.md names every test of this folder, and no page one that is not there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "acceptance.md"
NAMED = re.compile(r"`(test_\w+)`")
DEFINED = re.compile(r"^(?:async )?def (test_\w+)\(", re.MULTILINE)


def defined(folder: Path) -> set[str]:
    files = (path for path in folder.rglob("test_*.py") if path.name != Path(__file__).name)
    return {name for path in files for name in DEFINED.findall(path.read_text(encoding="utf-8"))}


@pytest.mark.parametrize("page", [PAGE, PAGE.with_name("attacks.md")], ids=lambda page: page.stem)
def test_every_test_a_page_names_is_there(page: Path) -> None:
    named = set(NAMED.findall(page.read_text(encoding="utf-8")))
    assert named

    assert named - defined(ROOT / "tests") == set()


def test_the_page_names_every_test_of_this_folder_once() -> None:
    named = NAMED.findall(PAGE.read_text(encoding="utf-8"))

    assert defined(Path(__file__).parent) - set(named) == set()
    assert sorted(named) == sorted(set(named))

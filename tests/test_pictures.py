"""docs/chat.md shows every scene in both languages, and nothing that is not there."""

import re
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
BYTES_MAX = 3_000_000


def shown() -> list[str]:
    """The pictures the page shows."""
    return re.findall(r"\]\(pictures/([a-z-]+\.png)\)", (DOCS / "chat.md").read_text("utf-8"))


def test_every_picture_of_the_page_is_there() -> None:
    assert shown()
    for name in shown():
        assert (DOCS / "pictures" / name).read_bytes().startswith(b"\x89PNG")


def test_every_picture_is_on_the_page_once() -> None:
    assert sorted(shown()) == sorted(path.name for path in (DOCS / "pictures").iterdir())


def test_every_scene_has_both_languages() -> None:
    english = {name.removesuffix("-en.png") for name in shown() if name.endswith("-en.png")}
    dutch = {name.removesuffix("-nl.png") for name in shown() if name.endswith("-nl.png")}

    assert english == dutch
    assert len(english) + len(dutch) == len(shown())


def test_the_pictures_are_small() -> None:
    assert sum(path.stat().st_size for path in (DOCS / "pictures").iterdir()) < BYTES_MAX

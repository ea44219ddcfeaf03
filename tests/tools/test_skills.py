"""Skills: valid ones are offered, broken ones are left out by name, bodies are read on demand."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.agent.tool import ToolFailed
from bridge.profile import SKILL_BYTES_MAX, Skill, read_skills, worker_prompt
from bridge.tools.skills import skill_tools

GOOD = """\
---
name: trips
description: "Plan a trip: trains, hotels"  # shown to the model
license: 'Rick''s own'
# a remark
compatibility: needs the web #1
allowed-tools: read_file write_file
metadata:
  kitt-background: "true"
  author: rick
---

# Trips

Start with the train.
"""
SHORT = "---\nname: trips\ndescription: Trips.\n---\nBody.\n"
Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Put a SKILL.md in the profile; the profile."""

    def put(name: str, text: str) -> Path:
        folder = tmp_path / "skills" / name
        folder.mkdir(parents=True)
        (folder / "SKILL.md").write_bytes(text.encode("utf-8", "surrogateescape"))
        return tmp_path

    return put


def test_a_skill_of_the_open_format_is_read_whole(write: Write) -> None:
    assert read_skills(write("trips", GOOD)) == [
        Skill(
            name="trips",
            description="Plan a trip: trains, hotels",
            body="# Trips\n\nStart with the train.",
            metadata={"kitt-background": "true", "author": "rick"},
        )
    ]


@pytest.mark.parametrize(
    "text", ["\ufeff" + SHORT, SHORT.replace("\n", "\r\n"), SHORT.replace("---\n", "---  \n")]
)
def test_marks_and_line_ends_of_other_editors_do_not_matter(write: Write, text: str) -> None:
    assert [skill.body for skill in read_skills(write("trips", text))] == ["Body."]


BROKEN = {
    "no front matter": "# Trips\n",
    "front matter that never ends": "---\nname: trips\ndescription: x\n",
    "no name": "---\ndescription: x\n---\nBody.\n",
    "no description": "---\nname: trips\n---\nBody.\n",
    "empty description": "---\nname: trips\ndescription:\n---\nBody.\n",
    "another name than its folder": SHORT.replace("trips", "hotels"),
    "capitals in its name": SHORT.replace("name: trips", "name: Trips"),
    "a long description": SHORT.replace("Trips.", "x" * 1_025),
    "an unknown key": SHORT.replace("description", "version: 2\ndescription"),
    "a key twice": SHORT.replace("description", "name: trips\ndescription"),
    "a block": SHORT.replace("Trips.", "|\n  Trips.\n  More."),
    "a list": SHORT.replace("description", "allowed-tools: [a, b]\ndescription"),
    "a value on two lines": SHORT.replace("Trips.", "Trips\n  and more."),
    "metadata two levels deep": SHORT.replace("---\nBody", "metadata:\n  a:\n    b: c\n---\nBody"),
    "metadata on its line": SHORT.replace("---\nBody", "metadata: x\n---\nBody"),
    "metadata twice": SHORT.replace("---\nBody", "metadata:\n  a: b\nmetadata:\n---\nBody"),
    "an open quote": SHORT.replace("Trips.", '"Trips.'),
    "words behind a quote": SHORT.replace("Trips.", '"Trips." and more'),
    "no instructions": SHORT.replace("Body.\n", ""),
    "too much text": SHORT + "x" * SKILL_BYTES_MAX,
    "bytes that are no text": SHORT + "\udcff",
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_skill_is_left_out_with_a_warning_that_names_it(
    write: Write, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    write("good", SHORT.replace("trips", "good"))
    profile = write("trips", text)

    assert [skill.name for skill in read_skills(profile)] == ["good"]

    (warning,) = caplog.records
    assert warning.levelno == logging.WARNING
    assert str(profile / "skills" / "trips" / "SKILL.md") in warning.getMessage()


@pytest.mark.parametrize("name", ["-a", "a-", "a--b", "a_b", "x" * 65, "é"])
def test_a_name_outside_the_format_is_refused(write: Write, name: str) -> None:
    assert read_skills(write(name, SHORT.replace("trips", name))) == []


def test_a_folder_without_a_skill_is_nobodys_fault(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "skills" / "drafts").mkdir(parents=True)

    assert read_skills(tmp_path) == []
    assert not caplog.records


def test_the_worker_prompt_lists_skills_by_name(write: Write) -> None:
    write("trips", SHORT)
    profile = write("books", SHORT.replace("trips", "books").replace("Trips.", "Books."))

    assert worker_prompt(profile).endswith("\n- books: Books.\n- trips: Trips.")


def test_without_a_skill_there_is_no_tool_and_no_list(tmp_path: Path) -> None:
    assert skill_tools(tmp_path) == []
    assert "load_skill" not in worker_prompt(tmp_path)


async def test_the_tool_gives_the_instructions(write: Write) -> None:
    (tool,) = skill_tools(write("trips", GOOD))

    assert tool.name == "load_skill"
    assert tool.repeat == "pure"
    assert tool.run is not None
    assert await tool.run(tool.check({"name": "trips"})) == "# Trips\n\nStart with the train."


def test_a_skill_that_does_not_exist_is_refused_with_those_that_do(write: Write) -> None:
    (tool,) = skill_tools(write("trips", SHORT))

    with pytest.raises(ToolFailed, match="one of trips"):
        tool.check({"name": "../../etc"})

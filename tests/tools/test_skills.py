"""Skills: valid ones are offered, broken ones are left out by name, bodies are read on demand."""

import logging
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from fakes import a_job, claimed
from working import Shop

from bridge.agent.tool import Tool, ToolFailed
from bridge.emulator.claude import ClaudeEmulator
from bridge.emulator.script import Reply, Request, Script, Text, ToolUse
from bridge.models import JobStatus
from bridge.outgoing import Outgoing
from bridge.profile import SKILL_BYTES_MAX, Skill, read_skills, worker_prompt
from bridge.queue import Queue
from bridge.settings import Settings
from bridge.store import Store
from bridge.tools.code import code_tools
from bridge.tools.skills import skill_tools
from bridge.tools.toolbox import Context
from bridge.tools.workspace import Workspace

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
Shell = Callable[[str], Awaitable[str]]
# Counts the lines of a file of the job with a list that lies beside it.
SCRIPT = """import pathlib, sys
here = pathlib.Path(__file__).parent
known = (here.parent / "assets" / "cities.txt").read_text().split()
asked = pathlib.Path(sys.argv[1]).read_text().split()
print(sum(city in known for city in asked), "of", len(asked), "cities are known")
"""
needs_bubblewrap = pytest.mark.skipif(
    shutil.which("bwrap") is None, reason="bubblewrap is not installed: nothing is run without it"
)


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


# --- what lies beside it --------------------------------------------------------------------------


@pytest.fixture
def trips(write: Write) -> Path:
    """A skill with a script and what that reads; the profile."""
    profile = write("trips", GOOD)
    folder = profile / "skills" / "trips"
    for name, text in (("scripts/known.py", SCRIPT), ("assets/cities.txt", "Oslo Rome")):
        (folder / name).parent.mkdir()
        (folder / name).write_text(text)
    return profile


@pytest.fixture
async def shop(trips: Path, store: Store) -> AsyncIterator[Shop]:
    claude = ClaudeEmulator(script=Script())
    await claude.start()
    opened = Shop(trips, store, claude)
    yield opened
    await opened.close()
    await claude.stop()


@pytest.fixture
async def shell(queue: Queue, trips: Path) -> Shell:
    """Run a shell program as a job does."""
    context = Context(
        queue=queue,
        job=await claimed(queue),
        workspace=Workspace(trips / "jobs" / "1"),
        settings=Settings(profile=trips),
        closing=AsyncExitStack(),
        outgoing=Outgoing(),
    )

    tools: dict[str, Tool] = {}

    async def run(command: str) -> str:
        if not tools:  # made once, as a job does
            tools.update((tool.name, tool) for tool in code_tools(context))
        run_shell = tools["run_shell"].run
        assert run_shell is not None
        return await run_shell({"command": command})

    return run


@needs_bubblewrap
async def test_a_job_loads_a_skill_runs_its_script_and_answers_with_what_it_said(
    shop: Shop,
) -> None:
    calls = [
        ToolUse("load_skill", {"name": "trips"}),
        ToolUse("write_file", {"path": "asked.txt", "content": "Rome Bern Oslo"}),
        ToolUse("run_shell", {"command": "python3 /skills/trips/scripts/known.py asked.txt"}),
    ]

    def reply(request: Request) -> Reply:
        done = request.all_tool_results
        return Reply([calls[len(done)] if len(done) < len(calls) else Text(done[-1].text)])

    shop.claude.script.when(lambda _: True, reply)
    job = await shop.queue.add(a_job(prompt="Which of these cities do we know?"))
    await shop.worker()

    done = await shop.job_is(job.id, JobStatus.DONE)

    assert "2 of 3 cities are known" in (done.result or "")


async def test_the_model_is_told_where_the_files_are_only_when_it_can_run_code(
    trips: Path,
) -> None:
    (with_code,), (without,) = skill_tools(trips, code=True), skill_tools(trips)
    assert with_code.run is not None
    assert without.run is not None

    told = await with_code.run({"name": "trips"})

    assert told.endswith(
        "(The files of this skill lie in /skills/trips, where run_python and run_shell can read "
        "and run them: assets/cities.txt, scripts/known.py.)"
    )
    assert "/skills" not in await without.run({"name": "trips"})


@needs_bubblewrap
async def test_nothing_of_a_skill_can_be_changed(trips: Path, shell: Shell) -> None:
    said = await shell(
        "echo x >/skills/trips/scripts/known.py; rm /skills/trips/assets/cities.txt; "
        "touch /skills/trips/new; chmod 777 /skills/trips/scripts; mkdir /skills/other"
    )

    assert said.count("Read-only file system") == 5
    assert (trips / "skills" / "trips" / "scripts" / "known.py").read_text() == SCRIPT


@needs_bubblewrap
async def test_no_link_leads_out_of_a_skill(trips: Path, queue: Queue, shell: Shell) -> None:
    (trips / "secret.txt").write_text("canary")
    outside = trips / "elsewhere"
    outside.mkdir()
    (outside / "SKILL.md").write_text(SHORT.replace("trips", "linked"))
    (outside / "run.sh").write_text("echo canary")
    (trips / "skills" / "linked").symlink_to(outside)
    for name, target in (("up.txt", "../../secret.txt"), ("whole.txt", trips / "secret.txt")):
        (trips / "skills" / "trips" / name).symlink_to(target)

    said = await shell("ls /skills; cat /skills/trips/*.txt /skills/linked/run.sh")

    assert "canary" not in said
    assert ">\ntrips\n" in said
    assert said.count("No such file") == 3


@needs_bubblewrap
async def test_only_skills_that_are_offered_are_seen(write: Write, shell: Shell) -> None:
    profile = write("broken", "no front matter")
    (profile / "skills" / "broken" / "run.sh").write_text("echo run")
    write("plain", SHORT.replace("trips", "plain"))

    assert ">\ntrips\n<" in await shell("ls /skills")


@needs_bubblewrap
async def test_code_runs_on_when_a_skill_is_taken_away_meanwhile(
    trips: Path, queue: Queue, shell: Shell
) -> None:
    assert "known.py" in await shell("ls /skills/trips/scripts")
    shutil.rmtree(trips / "skills")

    assert "still here" in await shell("echo still here")

"""What a job that goes on with an earlier one begins with."""

from pathlib import Path

import pytest
from fakes import a_job, claimed

from bridge.models import Artifact
from bridge.queue import Queue
from bridge.tools.earlier import told_of_earlier
from bridge.tools.workspace import Workspace


@pytest.fixture
async def jobs_dir(tmp_path: Path, queue: Queue) -> Path:
    """The folders of jobs; job 1 is done and has made a file."""
    job = await claimed(queue)
    Workspace(tmp_path / "1").write("drafts/count.md", b"42")
    await queue.finish(job, "Three.", [Artifact(path="drafts/count.md", name="count.md")])
    return tmp_path


async def test_it_is_told_what_was_asked_and_what_came_of_it(jobs_dir: Path, queue: Queue) -> None:
    job = await queue.add(a_job(prompt="Again", continues=1))

    text = await told_of_earlier(queue, job, Workspace(jobs_dir / "2"), jobs_dir)

    assert "This goes on with job 1" in text
    assert "Count the pelicans" in text
    assert "It is done. Its result:\nThree." in text
    assert text.endswith("Its files, in your folder:\n- drafts/count.md")


async def test_the_files_are_copies_in_its_own_folder(jobs_dir: Path, queue: Queue) -> None:
    job = await queue.add(a_job(prompt="Again", continues=1))
    workspace = Workspace(jobs_dir / "2")
    await told_of_earlier(queue, job, workspace, jobs_dir)
    workspace.write("drafts/count.md", b"43")

    await told_of_earlier(queue, job, workspace, jobs_dir)

    assert workspace.read("drafts/count.md", 10) == b"43"
    assert Workspace(jobs_dir / "1").read("drafts/count.md", 10) == b"42"


async def test_a_job_of_another_chat_is_not_gone_on_with(jobs_dir: Path, queue: Queue) -> None:
    job = await queue.add(a_job(chat_id="8", prompt="Again", continues=1))

    text = await told_of_earlier(queue, job, Workspace(jobs_dir / "2"), jobs_dir)

    assert text == ""
    assert not (jobs_dir / "2").exists()


@pytest.mark.parametrize("continues", [None, 99])
async def test_without_an_earlier_job_there_is_nothing_to_tell(
    jobs_dir: Path, queue: Queue, continues: int | None
) -> None:
    job = await queue.add(a_job(prompt="Again", continues=continues))

    assert await told_of_earlier(queue, job, Workspace(jobs_dir / "2"), jobs_dir) == ""


async def test_a_folder_that_is_gone_leaves_the_words(
    jobs_dir: Path, tmp_path: Path, queue: Queue
) -> None:
    job = await queue.add(a_job(prompt="Again", continues=1))

    text = await told_of_earlier(queue, job, Workspace(jobs_dir / "2"), tmp_path / "none")

    assert text.endswith("Its result:\nThree.")

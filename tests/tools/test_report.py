"""A worker tells its user where the job stands and which files go with the result."""

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeClock

from bridge.agent.tool import ToolFailed
from bridge.errors import LeaseLost
from bridge.models import Job, NewJob
from bridge.queue import Queue
from bridge.store import Store
from bridge.tools.report import CAPTION_CHARS_MAX, report_tools
from bridge.tools.workspace import Workspace

WORKER = "worker-1:100:a"
Call = Callable[..., Awaitable[str]]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A job's folder with a report in it."""
    made = Workspace(tmp_path / "job-1")
    made.write("out/report.md", b"# Report")
    return made


@pytest.fixture
async def job(queue: Queue) -> Job:
    """A job this worker holds."""
    await queue.add(NewJob(chat_id="42", prompt="Write a report"))
    claimed = await queue.claim(WORKER)
    assert claimed is not None
    return claimed


@pytest.fixture
def call(store: Store, queue: Queue, job: Job, workspace: Workspace) -> Call:
    """Call a tool by name in a transaction, as the loop does."""
    tools = {tool.name: tool for tool in report_tools(queue, job, workspace)}

    async def commit(name: str, **given: Any) -> str:
        checked = tools[name].check(given)
        act = tools[name].commit
        assert act is not None
        return await store.write(lambda tx: act(tx, checked))

    return commit


async def files_of(store: Store, job: Job) -> list[tuple[str, str, str]]:
    return await store.read(lambda tx: [tuple(row) for row in tx.all("files_of", job_id=job.id)])


async def lose(queue: Queue, clock: FakeClock) -> None:
    """The lease runs out and another worker takes the job back."""
    clock.advance(61)
    assert await queue.rescue("worker-2:200:b")


async def test_progress_is_stored_with_the_job(call: Call, queue: Queue, job: Job) -> None:
    await call("report_progress", step=" Prijzen\nvergelijken ", percent=40)

    now = await queue.get(job.id)
    assert (now.progress, now.step) == (40, "Prijzen vergelijken")


@pytest.mark.parametrize("percent", [0, 100])
async def test_progress_goes_from_nothing_to_all(
    call: Call, queue: Queue, job: Job, percent: int
) -> None:
    await call("report_progress", step="x", percent=percent)

    assert (await queue.get(job.id)).progress == percent


@pytest.mark.parametrize("percent", [-1, 101, 2**70])
async def test_progress_beyond_its_range_is_refused(call: Call, percent: int) -> None:
    with pytest.raises(ToolFailed, match="from 0 to 100"):
        await call("report_progress", step="x", percent=percent)


@pytest.mark.parametrize("percent", ["40", 40.5, True, None])
async def test_progress_that_is_no_whole_number_is_refused(call: Call, percent: object) -> None:
    with pytest.raises(ToolFailed, match="type integer"):
        await call("report_progress", step="x", percent=percent)


async def test_progress_of_a_lost_job_is_not_stored(
    call: Call, queue: Queue, clock: FakeClock, job: Job
) -> None:
    await lose(queue, clock)

    with pytest.raises(LeaseLost):
        await call("report_progress", step="late", percent=90)

    assert (await queue.get(job.id)).step != "late"


async def test_an_attached_file_is_stored_with_its_name_and_caption(
    call: Call, store: Store, job: Job
) -> None:
    said = await call("attach_file", path="out/report.md", caption="Het rapport")

    assert said.startswith("report.md ")
    assert await files_of(store, job) == [("out/report.md", "report.md", "Het rapport")]


async def test_a_file_attached_twice_is_sent_once_with_the_last_caption(
    call: Call, store: Store, job: Job
) -> None:
    await call("attach_file", path="out/report.md", caption="first")
    await call("attach_file", path="./out//report.md", caption="last")

    assert await files_of(store, job) == [("out/report.md", "report.md", "last")]


async def test_a_caption_is_cut_to_what_telegram_takes(call: Call, store: Store, job: Job) -> None:
    await call("attach_file", path="out/report.md", caption="\ud800" + "é" * 2_000)

    caption = (await files_of(store, job))[0][2]
    assert len(caption) == CAPTION_CHARS_MAX
    assert caption.startswith("?é")


async def test_a_file_that_is_not_there_is_refused(call: Call, store: Store, job: Job) -> None:
    with pytest.raises(ToolFailed, match=r"There is no file report\.md"):
        await call("attach_file", path="report.md", caption="")

    assert await files_of(store, job) == []


@pytest.mark.parametrize("path", ["../secret.txt", "/etc/passwd", "linked.txt", "out"])
async def test_a_file_from_outside_is_never_attached(
    call: Call, store: Store, job: Job, workspace: Workspace, tmp_path: Path, path: str
) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    (workspace.root / "linked.txt").symlink_to(tmp_path / "secret.txt")

    with pytest.raises(ToolFailed):
        await call("attach_file", path=path, caption="")

    assert await files_of(store, job) == []


async def test_a_file_too_large_for_telegram_is_taken_its_user_chooses(
    call: Call, store: Store, job: Job, workspace: Workspace
) -> None:
    workspace.write("film.mp4", b"x")
    os.truncate(workspace.root / "film.mp4", 50_000_001)

    await call("attach_file", path="film.mp4", caption="")

    assert [file[1] for file in await files_of(store, job)] == ["film.mp4"]


async def test_an_empty_file_is_refused(call: Call, workspace: Workspace) -> None:
    workspace.write("empty.txt", b"")

    with pytest.raises(ToolFailed, match="is empty"):
        await call("attach_file", path="empty.txt", caption="")


async def test_a_file_of_a_lost_job_is_not_attached(
    call: Call, store: Store, queue: Queue, clock: FakeClock, job: Job
) -> None:
    await lose(queue, clock)

    with pytest.raises(LeaseLost):
        await call("attach_file", path="out/report.md", caption="late")

    assert await files_of(store, job) == []


async def test_all_tools_act_in_the_step_of_the_model(
    queue: Queue, job: Job, workspace: Workspace
) -> None:
    tools = report_tools(queue, job, workspace)

    assert [tool.name for tool in tools] == ["report_progress", "attach_file", "finish"]
    assert all(tool.commit is not None and tool.run is None for tool in tools)

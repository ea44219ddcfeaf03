"""A job and the files that came with it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fakes import a_job
from working import Shop

from bridge import received
from bridge.emulator.claude import ClaudeEmulator
from bridge.emulator.script import Reply, Request, ToolUse
from bridge.models import Job, JobStatus
from bridge.received import Received, Sent
from bridge.store import Store
from bridge.tools.inputs import opening_of
from bridge.tools.workspace import Workspace

PDF = b"%PDF-1.7 report"
CSV = b"name;price\nbike;1999\n"


@pytest.fixture
async def shop(tmp_path: Path, store: Store) -> AsyncIterator[Shop]:
    claude = ClaudeEmulator()
    await claude.start()
    opened = Shop(tmp_path, store, claude)
    yield opened
    await opened.close()
    await claude.stop()


def kept(folder: Path, name: str, data: bytes, *, chat_id: str = "7", number: int = 9) -> Received:
    sent = Sent(chat_id=chat_id, message_id=number, name=name, media_type="text/csv")
    return received.keep(folder, sent, data)


def job(*files: Received, chat_id: str = "7") -> Job:
    data = received.job_data(files)
    return Job(id=1, chat_id=chat_id, prompt="Add up", status=JobStatus.RUNNING, data=data)


async def opened(tmp_path: Path, of: Job, *, sees: bool = True) -> list[dict[str, object]]:
    workspace = Workspace(tmp_path / "jobs" / "1")
    message = await opening_of(of, workspace, tmp_path / "files", source="job:1", sees=sees)
    return message.content


async def test_a_worker_reads_the_file_of_its_job(shop: Shop) -> None:
    file = kept(shop.settings.files_dir, "prices.csv", CSV)

    def read_it(request: Request) -> Reply | None:
        if not request.is_worker:
            return None
        if not request.all_tool_results:
            return Reply([ToolUse("read_file", {"path": "input/prices.csv"})])
        return Reply(f"It says: {request.all_tool_results[-1].text}")

    shop.claude.script.rules.insert(0, read_it)
    job = await shop.queue.add(a_job(prompt="Add up", data=received.job_data([file])))
    await shop.worker()

    done = await shop.job_is(job.id, JobStatus.DONE)

    assert done.result is not None and "bike;1999" in done.result
    told = str(shop.claude.requests[0].body["messages"][0]["content"])
    assert "input/prices.csv (text/csv, 21 bytes)" in told
    assert "kitt_files" not in told
    assert (shop.settings.jobs_dir / str(job.id) / "input" / "prices.csv").read_bytes() == CSV


async def test_a_worker_sees_the_pdf_of_its_job_and_stores_only_a_reference(shop: Shop) -> None:
    file = kept(shop.settings.files_dir, "report.pdf", PDF * 1_000)
    job = await shop.queue.add(a_job(prompt="quick job 7", data=received.job_data([file])))
    await shop.worker()

    await shop.job_is(job.id, JobStatus.DONE)

    content = shop.claude.requests[0].body["messages"][0]["content"]
    assert [block["type"] for block in content] == ["document", "text", "text"]
    (row,) = shop.rows("SELECT max(length(content)) AS chars FROM messages")
    assert row["chars"] < 1_000


async def test_two_files_of_one_name_are_both_there(tmp_path: Path) -> None:
    files = [kept(tmp_path / "files", "a.csv", CSV, number=number) for number in (9, 10)]

    await opened(tmp_path, job(*files))

    names = sorted(path.name for path in (tmp_path / "jobs" / "1" / "input").iterdir())
    assert names == ["10-a.csv", "a.csv"]


async def test_a_name_made_for_one_file_is_not_that_of_another(tmp_path: Path) -> None:
    files = [
        kept(tmp_path / "files", name, name.encode() + bytes([number]), number=number)
        for number, name in ((8, "10-a.csv"), (9, "a.csv"), (10, "a.csv"))
    ]

    await opened(tmp_path, job(*files))

    there = [path.read_bytes() for path in (tmp_path / "jobs" / "1" / "input").iterdir()]
    assert len(there) == len(set(there)) == 3


async def test_a_second_attempt_leaves_what_the_first_has_made_of_it(tmp_path: Path) -> None:
    of = job(kept(tmp_path / "files", "a.csv", CSV))
    await opened(tmp_path, of)
    path = tmp_path / "jobs" / "1" / "input" / "a.csv"
    path.write_bytes(b"mine")

    await opened(tmp_path, of)

    assert path.read_bytes() == b"mine"
    assert (tmp_path / "files" / "7" / "9-a.csv").read_bytes() == CSV


async def test_a_file_that_is_gone_is_said_to_be(tmp_path: Path) -> None:
    file = kept(tmp_path / "files", "a.csv", CSV)
    (tmp_path / "files" / "7" / "9-a.csv").unlink()

    (text,) = await opened(tmp_path, job(file))

    assert "input/a.csv (text/csv, 21 bytes) is no longer kept" in str(text["text"])


async def test_a_job_of_another_chat_gets_nothing(tmp_path: Path) -> None:
    content = await opened(tmp_path, job(kept(tmp_path / "files", "a.csv", CSV), chat_id="8"))

    assert not (tmp_path / "jobs" / "1" / "input").exists()
    assert [block["type"] for block in content] == ["text"]


async def test_a_model_that_cannot_see_is_shown_no_picture(tmp_path: Path) -> None:
    content = await opened(tmp_path, job(kept(tmp_path / "files", "a.pdf", PDF)), sees=False)

    assert [block["type"] for block in content] == ["text"]

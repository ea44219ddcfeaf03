"""A job and the notes of its chat: it keeps what it may, and nothing that a page put into it."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from fakes import a_job
from working import Shop

from bridge.emulator.claude import ClaudeEmulator
from bridge.emulator.script import Reply, Request, Script, ToolUse
from bridge.memory import Memory
from bridge.models import JobStatus
from bridge.store import Store
from bridge.tools.memory import OWNERS_ONLY

OUTSIDE = ToolUse("list_files", {})  # what is in files, others may have written
KEEP = ToolUse("remember", {"about": "coffee", "text": "black"})


@pytest.fixture
async def shop(tmp_path: Path, store: Store) -> AsyncIterator[Shop]:
    claude = ClaudeEmulator(script=Script())
    await claude.start()
    opened = Shop(tmp_path, store, claude)
    yield opened
    await opened.close()
    await claude.stop()


def memory(shop: Shop, chat_id: str = "7") -> Memory:
    return Memory(shop.settings.notes_dir, chat_id)


def calls(shop: Shop, *uses: ToolUse) -> None:
    """The model calls these, one after the other, and says what the last one told it."""

    def answer(request: Request) -> Reply:
        results = request.all_tool_results
        if len(results) < len(uses):
            return Reply([uses[len(results)]])
        return Reply(results[-1].text)

    shop.claude.script.when(lambda request: True, answer)


async def test_a_job_keeps_a_note_for_its_chat(shop: Shop) -> None:
    calls(shop, KEEP)
    job = await shop.queue.add(a_job(chat_id="7"))

    await shop.worker()

    assert (await shop.job_is(job.id, JobStatus.DONE)).result == "Kept."
    assert [note.line for note in memory(shop).notes()] == ["coffee: black"]
    assert memory(shop, "8").notes() == []


async def test_a_job_knows_the_notes_of_its_chat_and_can_look_for_more(shop: Shop) -> None:
    note = memory(shop).remember("coffee", "black")
    memory(shop, "8").remember("coffee", "of someone else")
    calls(shop, ToolUse("recall", {"query": "coffee"}))
    job = await shop.queue.add(a_job(chat_id="7"))

    await shop.worker()

    done = await shop.job_is(job.id, JobStatus.DONE)
    assert done.result == f"{note.number}: coffee: black"
    system = shop.claude.requests[0].body["system"][0]["text"]
    assert "<kitt-memory>" in system
    assert "of someone else" not in system


@pytest.mark.parametrize("allowed", [True, False])
async def test_what_came_from_outside_is_kept_only_when_its_user_allows_it(
    shop: Shop, allowed: bool
) -> None:
    calls(shop, OUTSIDE, KEEP)
    job = await shop.queue.add(a_job(chat_id="7"))
    await shop.worker()

    asked = await shop.job_is(job.id, JobStatus.WAITING)
    assert asked.question == "1. Keep this note? coffee: black"
    assert memory(shop).notes() == []

    await shop.store.write(lambda tx: shop.queue.decide_in(tx, asked, allowed=allowed))
    await shop.job_is(job.id, JobStatus.DONE)
    assert len(memory(shop).notes()) == allowed


async def test_what_came_from_outside_makes_nothing_forgotten(shop: Shop) -> None:
    note = memory(shop).remember("coffee", "black")
    calls(shop, OUTSIDE, ToolUse("forget", {"number": note.number}))
    job = await shop.queue.add(a_job(chat_id="7"))

    await shop.worker()

    asked = await shop.job_is(job.id, JobStatus.WAITING)
    assert asked.question == "1. Forget this note? coffee: black"
    assert memory(shop).notes() == [note]


@pytest.mark.parametrize(("user_id", "kept"), [("9", 1), ("8", 0), ("", 1)])
async def test_a_job_of_a_group_changes_its_notes_for_an_owner_alone(
    shop: Shop, user_id: str, kept: int
) -> None:
    shop.settings = replace(shop.settings, owners=frozenset({9}))
    calls(shop, KEEP)
    job = await shop.queue.add(a_job(chat_id="-500", user_id=user_id))

    await shop.worker()

    done = await shop.job_is(job.id, JobStatus.DONE)
    assert done.result == ("Kept." if kept else OWNERS_ONLY)
    assert len(memory(shop, "-500").notes()) == kept


async def test_a_note_that_is_not_there_is_said_to_the_model(shop: Shop) -> None:
    calls(shop, ToolUse("forget", {"number": 1}))
    job = await shop.queue.add(a_job(chat_id="7"))

    await shop.worker()

    done = await shop.job_is(job.id, JobStatus.DONE)
    assert done.result == "There is no note with this number: recall it first."

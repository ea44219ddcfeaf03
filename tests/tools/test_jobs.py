"""The tools by which the main agent hands work over and speaks about it."""

import json
from pathlib import Path
from typing import Any

import pytest
from fakes import a_job, claimed, shell
from own_kinds import write_kind

from bridge.agent.tool import Tool, ToolFailed
from bridge.kinds.built_in import BUILT_IN
from bridge.kinds.registry import Kinds
from bridge.models import PROMPT_CHARS_MAX, Artifact, Job, JobStatus
from bridge.queue import Queue
from bridge.received import Received, Sent
from bridge.tools.jobs import RESULT_CHARS_MAX, Origin, job_tools, start_again

TASK: dict[str, Any] = {
    "acknowledgement": "I start counting.",
    "title": "Pelicans",
    "instructions": "Count the pelicans on the left bank.",
    "kind": "research",
    "priority": "normal",
}


def tools(queue: Queue, *, chat: str = "7", update: int = 1) -> dict[str, Tool]:
    """The tools of one turn in one chat."""
    origin = Origin(
        chat_id=chat, thread_id=3, user_id="70", message_id=12, source=f"update:{update}"
    )
    return {tool.name: tool for tool in job_tools(queue, origin)}


async def call(queue: Queue, name: str, /, of: dict[str, Tool] | None = None, **given: Any) -> str:
    """What the model gets back. Raises: ToolFailed."""
    tool = (of or tools(queue))[name]
    commit = tool.commit
    assert commit is not None
    return await queue.store.write(lambda tx: commit(tx, tool.check(given)))


async def only_job(queue: Queue) -> Job:
    (job,) = await queue.jobs()
    return job


# --- start_background_job -------------------------------------------------------------------------


async def test_started_job_carries_the_task_and_where_it_came_from(queue: Queue) -> None:
    said = await call(queue, "start_background_job", **TASK)

    job = await only_job(queue)
    assert said == f"Queued as job {job.id}. Your acknowledgement was shown to the user."
    assert job.prompt == "Count the pelicans on the left bank."
    assert (job.title, job.acknowledgement, job.kind) == (
        "Pelicans",
        "I start counting.",
        "research",
    )
    assert (job.chat_id, job.thread_id, job.user_id) == ("7", 3, "70")
    assert (job.request_message_id, job.source) == (12, "update:1:0")
    assert (job.status, job.priority) == (JobStatus.PENDING, 0)


async def test_started_job_owes_its_card(queue: Queue) -> None:
    await call(queue, "start_background_job", **TASK)

    (owed,) = shell(queue.store.path, "SELECT chat_id, thread_id, kind, payload FROM deliveries")
    job = await only_job(queue)
    assert (owed["chat_id"], owed["thread_id"], owed["kind"]) == ("7", 3, "card")
    assert json.loads(owed["payload"]) == {"job": job.id}


async def test_urgent_job_goes_before_an_older_one(queue: Queue) -> None:
    await queue.add(a_job())
    await call(queue, "start_background_job", **{**TASK, "priority": "urgent"})

    job = await queue.claim("w1:1:a")

    assert job is not None
    assert job.title == "Pelicans"


async def test_two_jobs_of_one_turn_are_two_rows(queue: Queue) -> None:
    turn = tools(queue)
    await call(queue, "start_background_job", turn, **TASK)
    await call(queue, "start_background_job", turn, **{**TASK, "instructions": "Count herons."})

    assert [job.source for job in await queue.jobs()] == ["update:1:1", "update:1:0"]


async def test_replayed_turn_starts_nothing_twice(queue: Queue) -> None:
    first = await call(queue, "start_background_job", tools(queue), **TASK)

    again = await call(queue, "start_background_job", tools(queue), **TASK)

    assert again == first
    assert len(await queue.jobs()) == 1


async def test_a_job_that_comes_after_another_waits_for_it_and_goes_on_with_its_result(
    queue: Queue,
) -> None:
    await call(queue, "start_background_job", **TASK)
    then = {**TASK, "instructions": "Draw them.", "title": "Drawing", "after": [1]}

    await call(queue, "start_background_job", tools(queue, update=2), **then)

    drawing = await queue.get(2)
    assert (drawing.status, drawing.continues) == (JobStatus.BLOCKED, 1)
    counting = await queue.claim("w1:1:a")
    assert counting is not None
    await queue.finish(counting, "42")
    assert (await queue.get(2)).status is JobStatus.PENDING


async def test_a_job_does_not_start_when_the_one_it_comes_after_fails(queue: Queue) -> None:
    await call(queue, "start_background_job", **TASK)
    then = {**TASK, "instructions": "Draw them.", "after": [1]}
    await call(queue, "start_background_job", tools(queue, update=2), **then)

    await queue.cancel(1)

    assert (await queue.get(2)).status is JobStatus.CANCELLED


@pytest.mark.parametrize(
    ("after", "why"), [([99], "99"), (["1"], "job numbers"), ([True], "job numbers"), (1, "array")]
)
async def test_a_job_cannot_come_after_what_is_no_job_here(
    queue: Queue, after: object, why: str
) -> None:
    with pytest.raises(ToolFailed, match=why):
        await call(queue, "start_background_job", **TASK, after=after)

    assert await queue.jobs() == []


async def test_a_job_cannot_come_after_one_of_another_chat(queue: Queue) -> None:
    await call(queue, "start_background_job", tools(queue, chat="8"), **TASK)

    with pytest.raises(ToolFailed):
        await call(queue, "start_background_job", **TASK, after=[1])


async def test_same_task_while_it_runs_is_not_started_again(queue: Queue) -> None:
    await call(queue, "start_background_job", **TASK)
    same = {**TASK, "instructions": "  count the PELICANS on the\nleft bank. "}

    with pytest.raises(ToolFailed, match="Already pending as job 1"):
        await call(queue, "start_background_job", tools(queue, update=2), **same)

    assert len(await queue.jobs()) == 1


async def test_same_task_after_its_end_is_started_again(queue: Queue) -> None:
    await call(queue, "start_background_job", **TASK)
    job = await queue.claim("w1:1:a")
    assert job is not None
    await queue.finish(job, "42")

    await call(queue, "start_background_job", tools(queue, update=2), **TASK)

    assert len(await queue.jobs()) == 2


async def test_same_task_of_another_chat_is_another_job(queue: Queue) -> None:
    await call(queue, "start_background_job", **TASK)

    await call(queue, "start_background_job", tools(queue, chat="8", update=2), **TASK)

    assert sorted(job.chat_id for job in await queue.jobs()) == ["7", "8"]


@pytest.mark.parametrize(
    ("instructions", "sentence"),
    [(" \n", "needs a prompt"), ("x" * (PROMPT_CHARS_MAX + 1), "at most 200,000 fit")],
    ids=["empty", "too long"],
)
async def test_task_that_does_not_fit_goes_back_to_the_model(
    queue: Queue, instructions: str, sentence: str
) -> None:
    with pytest.raises(ToolFailed, match=sentence):
        await call(queue, "start_background_job", **{**TASK, "instructions": instructions})

    assert await queue.jobs() == []


async def test_long_words_of_the_model_are_cut(queue: Queue) -> None:
    long = {"title": "pelican " * 50, "acknowledgement": "I start. " * 100}
    await call(queue, "start_background_job", **{**TASK, **long})

    job = await only_job(queue)
    assert len(job.title) <= 60
    assert len(job.acknowledgement) <= 300


def test_only_the_hand_over_ends_the_turn_and_acknowledges_first(queue: Queue) -> None:
    made = tools(queue)

    assert [name for name, tool in made.items() if tool.terminal] == ["start_background_job"]
    assert next(iter(made["start_background_job"].properties)) == "acknowledgement"


def test_no_tool_takes_a_chat_or_a_person(queue: Queue) -> None:
    names = {name for tool in tools(queue).values() for name in tool.properties}

    assert not names & {"chat_id", "user_id", "thread_id"}


def test_tools_are_the_same_bytes_for_every_turn(queue: Queue) -> None:
    """The prompt cache depends on it."""
    one, other = tools(queue, chat="7", update=1), tools(queue, chat="8", update=2)

    assert [tool.to_api() for tool in one.values()] == [tool.to_api() for tool in other.values()]


# --- list_jobs ------------------------------------------------------------------------------------


async def test_list_shows_what_runs_with_its_progress(queue: Queue) -> None:
    job = await claimed(queue, title="Pelicans")
    await queue.progress(job, 40, "counting")
    await queue.add(a_job(title="Herons"))

    said = await call(queue, "list_jobs", status="active")

    assert said == "#2 pending “Herons”\n#1 running 40% “Pelicans” – counting"


async def test_list_shows_how_jobs_ended(queue: Queue) -> None:
    await queue.finish(await claimed(queue, title="Pelicans"), "42")
    await queue.fail(await claimed(queue, title="Herons"), "no_wings", again=False)
    await queue.add(a_job(title="Storks"))

    said = await call(queue, "list_jobs", status="finished")

    assert said == "#2 failed “Herons” – no_wings\n#1 done “Pelicans”"


async def test_list_of_all_shows_all(queue: Queue) -> None:
    await queue.finish(await claimed(queue), "42")
    await queue.add(a_job())

    assert (await call(queue, "list_jobs", status="all")).count("#") == 2


async def test_list_shows_nothing_of_another_chat(queue: Queue) -> None:
    await queue.add(a_job(chat_id="8"))

    assert await call(queue, "list_jobs", status="all") == "No jobs."


# --- get_job --------------------------------------------------------------------------------------


async def test_get_shows_request_steps_files_and_result(queue: Queue) -> None:
    job = await claimed(queue, title="Pelicans", prompt="Count the pelicans")
    await queue.progress(job, 50, "left bank")
    await queue.finish(job, "There are 42.", [Artifact(path="out/a.md", name="a.md")])

    said = await call(queue, "get_job", job_id=job.id)

    assert said.splitlines()[0] == "#1 done “Pelicans”"
    assert "Request: Count the pelicans" in said
    assert "Steps: left bank\n" in said
    assert "Files: a.md" in said
    assert said.endswith("Result:\nThere are 42.")


async def test_get_cuts_a_long_result(queue: Queue) -> None:
    job = await claimed(queue)
    await queue.finish(job, "x" * 1_000_000)

    said = await call(queue, "get_job", job_id=job.id)

    assert said.count("x") < RESULT_CHARS_MAX + 10


@pytest.mark.parametrize("name", ["get_job", "cancel_job", "retry_job", "answer_job"])
@pytest.mark.parametrize("job_id", [1, 99, 0, -1, 2**80])
async def test_job_of_another_chat_or_of_nobody_does_not_exist(
    queue: Queue, name: str, job_id: int
) -> None:
    job = await queue.add(a_job(chat_id="8"))
    assert job.id == 1

    with pytest.raises(ToolFailed, match=f"There is no job {job_id}."):
        given = {"job_id": job_id, "answer": "Blue"} if name == "answer_job" else {"job_id": job_id}
        await call(queue, name, None, **given)

    assert await queue.get(1) == job


# --- cancel_job and retry_job ---------------------------------------------------------------------


async def test_cancel_ends_a_job(queue: Queue) -> None:
    job = await claimed(queue, title="Pelicans")

    said = await call(queue, "cancel_job", job_id=job.id)

    assert said == "#1 cancelled “Pelicans”"
    assert (await queue.get(job.id)).status is JobStatus.CANCELLED


async def test_cancel_of_a_finished_job_tells_how_it_stands(queue: Queue) -> None:
    job = await claimed(queue, title="Pelicans")
    await queue.finish(job, "42")

    assert await call(queue, "cancel_job", job_id=job.id) == "#1 done “Pelicans”"


async def test_retry_runs_a_failed_job_again(queue: Queue) -> None:
    job = await claimed(queue, title="Pelicans")
    await queue.fail(job, "no_wings", again=False)

    said = await call(queue, "retry_job", job_id=job.id)

    assert said == "#1 pending “Pelicans”"
    assert (await queue.get(job.id)).status is JobStatus.PENDING


async def test_retry_beside_a_job_with_the_same_key_goes_back_to_the_model(queue: Queue) -> None:
    job = await claimed(queue, unique_key="pelicans")
    await queue.fail(job, "no_wings", again=False)
    await queue.add(a_job(unique_key="pelicans"))

    with pytest.raises(ToolFailed, match="Job 2 does the same"):
        await call(queue, "retry_job", job_id=job.id)


# --- answer_job -----------------------------------------------------------------------------------


async def test_answer_of_the_user_lets_the_job_go_on(queue: Queue) -> None:
    job = await claimed(queue, title="Pelicans")
    await queue.ask(job, "Which bank?")

    said = await call(queue, "answer_job", job_id=job.id, answer="The left one – ë")

    assert said == "#1 pending “Pelicans”"
    again = await queue.claim("w1:1:a")
    assert again is not None
    assert (again.question, again.answer) == ("Which bank?", "The left one – ë")


async def test_answer_to_a_job_that_asks_nothing_goes_back_to_the_model(queue: Queue) -> None:
    job = await claimed(queue)

    with pytest.raises(ToolFailed, match="Job 1 is running: it waits for no answer"):
        await call(queue, "answer_job", job_id=job.id, answer="The left one")

    assert await queue.get(job.id) == job


async def test_the_same_words_about_another_file_are_another_job(queue: Queue) -> None:
    def turn(update: int, *files: Received) -> dict[str, Tool]:
        origin = Origin(
            chat_id="7",
            thread_id=3,
            user_id="70",
            message_id=update,
            source=f"update:{update}",
            files=files,
        )
        return {tool.name: tool for tool in job_tools(queue, origin)}

    one, other = (
        Sent(chat_id="7", message_id=number, name="a.csv", media_type="").described(b"a;b")
        for number in (1, 2)
    )
    await call(queue, "start_background_job", turn(1, one), **TASK)
    await call(queue, "start_background_job", turn(2, other), **TASK)

    for files in ((), (one,), (other,)):
        with pytest.raises(ToolFailed, match="Already pending as job"):
            await call(queue, "start_background_job", turn(3, *files), **TASK)


# --- kinds ----------------------------------------------------------------------------------------


def of_profile(queue: Queue, folder: Path) -> dict[str, Tool]:
    """The tools of a turn where the profile has a kind of its own."""
    write_kind(folder)
    origin = Origin(chat_id="7", thread_id=0, user_id="70", message_id=12, source="update:1")
    kinds = Kinds(folder).usable()
    return {tool.name: tool for tool in job_tools(queue, origin, kinds)}


async def test_the_model_chooses_among_the_built_in_kinds_and_those_of_the_profile(
    queue: Queue, tmp_path: Path
) -> None:
    usual = tools(queue)["start_background_job"].properties
    offered = of_profile(queue, tmp_path)["start_background_job"].properties

    assert usual["kind"]["enum"] == [*BUILT_IN, "other"]
    assert "data" not in usual
    assert offered["kind"]["enum"] == [*BUILT_IN, "invoice", "other"]
    assert "invoice: make an invoice" in offered["kind"]["description"]
    assert "kind invoice takes customer (text), hours (number)" in offered["data"]["description"]


async def test_a_job_of_such_a_kind_carries_its_data_and_what_its_kind_says(
    queue: Queue, tmp_path: Path
) -> None:
    turn = of_profile(queue, tmp_path)
    data = '{"customer": "Jansen", "hours": 2}'

    await call(queue, "start_background_job", turn, **{**TASK, "kind": "invoice", "data": data})

    job = await only_job(queue)
    assert (job.kind, job.data, job.priority) == ("invoice", data, 3)


@pytest.mark.parametrize(
    ("kind", "data", "sentence"),
    [
        ("invoice", "", "customer is missing, hours is missing; kind invoice takes customer"),
        ("invoice", '{"customer": "x", "hours": 0}', "hours must be more than 0"),
        ("invoice", "{", "its data is no JSON; kind invoice takes"),
        ("research", '{"topic": "x"}', "research takes no data: put it into the instructions."),
    ],
)
async def test_data_of_the_model_that_does_not_fit_starts_nothing(
    queue: Queue, tmp_path: Path, kind: str, data: str, sentence: str
) -> None:
    turn = of_profile(queue, tmp_path)

    with pytest.raises(ToolFailed) as failed:
        await call(queue, "start_background_job", turn, **{**TASK, "kind": kind, "data": data})

    assert str(failed.value).startswith(sentence)
    assert await queue.jobs() == []


async def test_a_job_that_is_begun_anew_is_done_by_whom_it_named(queue: Queue) -> None:
    earlier = await queue.add(a_job(persona="editor"))
    origin = Origin(chat_id="7", thread_id=0, user_id="70", message_id=12, source="update:1")

    again, new = await queue.store.write(
        lambda tx: start_again(tx, queue, origin, earlier, now="2026-11-27 12:00:00.000")
    )

    assert new
    assert again.persona == "editor"

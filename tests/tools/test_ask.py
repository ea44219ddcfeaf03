"""A worker asks its user: the question is left, the attempt is over, the answer comes later."""

from dataclasses import replace
from typing import Any

import pytest
from fakes import FakeClock, everything, shell

from bridge.agent.tool import ToolFailed
from bridge.clock import stamp
from bridge.errors import JobNotFound, JobWaits, LeaseLost
from bridge.models import Job, JobStatus, NewJob
from bridge.queue import Queue
from bridge.tools.ask import ask_tools

WORKER = "worker-1:100:a"
QUESTION = "Which colour should the fence be?"


@pytest.fixture
async def job(queue: Queue) -> Job:
    """A job this worker holds."""
    await queue.add(NewJob(chat_id="42", prompt="Paint the fence"))
    claimed = await queue.claim(WORKER)
    assert claimed is not None
    return claimed


async def ask(queue: Queue, job: Job, **given: Any) -> str:
    """Call the tool as the loop does."""
    (tool,) = ask_tools(queue, job)
    assert tool.run is not None
    return await tool.run(tool.check(given))


async def answered(queue: Queue, job: Job, text: str) -> Job:
    """The user answers, and the worker goes on."""
    await queue.answer(job.id, text)
    again = await queue.claim(WORKER)
    assert again is not None
    assert again.id == job.id
    return again


async def test_question_is_left_and_the_attempt_is_over(queue: Queue, job: Job) -> None:
    with pytest.raises(JobWaits, match="Job 1 waits for its user"):
        await ask(queue, job, question=f"{QUESTION} \ud83e\x00")

    waiting = await queue.get(job.id)
    assert (waiting.status, waiting.question) == (JobStatus.WAITING, f"{QUESTION} ?")


async def test_same_call_after_the_answer_returns_it(queue: Queue, job: Job) -> None:
    for question in (QUESTION, f"{QUESTION} \ud83e\x00"):
        with pytest.raises(JobWaits):
            await ask(queue, job, question=question)
        job = await answered(queue, job, "Blue – ë")

        assert await ask(queue, job, question=question) == "Blue – ë"

    assert (await queue.get(job.id)).status is JobStatus.RUNNING


async def test_empty_answer_is_an_answer(queue: Queue, job: Job) -> None:
    with pytest.raises(JobWaits):
        await ask(queue, job, question=QUESTION)
    shell(queue.store.path, "UPDATE jobs SET status = 'pending', answer = ''")  # made by hand
    again = await queue.claim(WORKER)
    assert again is not None

    assert await ask(queue, again, question=QUESTION) == ""


async def test_another_question_is_asked_anew(queue: Queue, job: Job) -> None:
    with pytest.raises(JobWaits):
        await ask(queue, job, question=QUESTION)
    job = await answered(queue, job, "Blue")

    with pytest.raises(JobWaits):
        await ask(queue, job, question="And how high?")

    waiting = await queue.get(job.id)
    assert (waiting.question, waiting.answer) == ("And how high?", None)


async def test_worker_that_lost_the_job_asks_nothing(
    queue: Queue, job: Job, clock: FakeClock
) -> None:
    clock.advance(61)
    await queue.rescue("worker-2:200:b")
    before = everything(queue)

    with pytest.raises(LeaseLost):
        await ask(queue, job, question=QUESTION)

    assert everything(queue) == before


async def test_job_that_is_gone_asks_nothing(queue: Queue, job: Job) -> None:
    with pytest.raises(JobNotFound):
        await ask(queue, replace(job, id=99), question=QUESTION)


@pytest.mark.parametrize("given", [{}, {"question": 5}, {"question": None}])
async def test_call_without_a_question_goes_back_to_the_model(
    queue: Queue, job: Job, given: dict[str, Any]
) -> None:
    with pytest.raises(ToolFailed):
        await ask(queue, job, **given)

    assert (await queue.get(job.id)).status is JobStatus.RUNNING


def test_crash_in_the_middle_asks_again(queue: Queue) -> None:
    (tool,) = ask_tools(queue, Job(id=1, chat_id="7", prompt="Sing", status=JobStatus.RUNNING))

    assert (tool.repeat, tool.terminal) == ("idempotent", False)


async def test_options_are_offered_to_tap(queue: Queue, job: Job) -> None:
    with pytest.raises(JobWaits):
        await ask(queue, job, question=QUESTION, options=["Blue", " ", "x" * 100])

    waiting = await queue.get(job.id)
    assert waiting.options == f'["Blue", "{"x" * 59}…"]'
    assert waiting.approve_by is None


async def test_more_options_than_fit_go_back_to_the_model(queue: Queue, job: Job) -> None:
    with pytest.raises(ToolFailed, match="At most 6 options"):
        await ask(queue, job, question=QUESTION, options=list("abcdefg"))


async def test_an_approval_has_an_end_and_a_later_question_none(
    queue: Queue, job: Job, clock: FakeClock
) -> None:
    with pytest.raises(JobWaits):
        await ask(queue, job, question=QUESTION, kind="approval", options=["Blue"])
    asked = await queue.get(job.id)
    await queue.store.write(lambda tx: queue.decide_in(tx, asked, allowed=True))
    again = await queue.claim(WORKER)
    assert again is not None
    allowed = await ask(queue, again, question=QUESTION, kind="approval")
    with pytest.raises(JobWaits):
        await ask(queue, again, question="And how high?")

    assert asked.approve_by is not None
    assert asked.approve_by > stamp(clock.now())
    assert allowed == "The user allowed it."
    later = await queue.get(job.id)
    assert (later.approve_by, later.options) == (None, None)

"""`ask_user`: a job needs its user, waits without holding a worker, and goes on with the answer.

The call is stored before the tool runs. The first run leaves the question and ends the attempt; the
run after the answer finds it and returns it, so the model sees an ordinary tool result.
"""

from bridge.agent.tool import Input, Tool
from bridge.errors import JobWaits
from bridge.models import Job, clean_text
from bridge.queue import Queue


def ask_tools(queue: Queue, job: Job) -> list[Tool]:
    """The tool. It raises JobWaits when the answer is not there yet, LeaseLost when we are not."""

    async def ask_user(given: Input) -> str:
        question = clean_text(str(given["question"]))
        found = await queue.get(job.id)
        if found.question == question and found.answer is not None:
            return found.answer
        await queue.ask(job, question)
        raise JobWaits(f"Job {job.id} waits for its user.")

    return [
        Tool(
            name="ask_user",
            description="Ask the user something you cannot find out or decide yourself. The job "
            "stops until the answer comes, which may take days: ask once, everything you need.",
            properties={
                "question": {
                    "type": "string",
                    "description": "Complete in itself, user's language.",
                }
            },
            run=ask_user,
            repeat="idempotent",
        )
    ]

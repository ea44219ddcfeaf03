"""`ask_user`: a job needs its user, waits without holding a worker, and goes on with the answer.

The call is stored before the tool runs. The first run leaves the question and ends the attempt; the
run after the answer finds it and returns it, so the model sees an ordinary tool result. What needs
an approval can be allowed by nothing but a tap of the person whose job it is.
"""

from datetime import timedelta
from typing import Final

from bridge.agent.tool import Input, Tool, ToolFailed
from bridge.clock import stamp
from bridge.errors import JobWaits
from bridge.models import Job, clean_text, short
from bridge.queue import Queue

OPTIONS_MAX: Final = 6
OPTION_CHARS_MAX: Final = 60
APPROVAL_S: Final = 86_400.0


def ask_tools(queue: Queue, job: Job) -> list[Tool]:
    """The tool. It raises JobWaits when the answer is not there yet, LeaseLost when we are not."""

    async def ask_user(given: Input) -> str:
        question = clean_text(str(given["question"]))
        options = _options(given.get("options", []))
        found = await queue.get(job.id)
        if found.question == question and found.answer is not None:
            return found.answer
        approve_by = None
        if given.get("kind") == "approval":
            approve_by = stamp(queue.clock.now() + timedelta(seconds=APPROVAL_S))
        await queue.ask(job, question, options=options, approve_by=approve_by)
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
                },
                "options": {
                    "type": "array",
                    "items": {"type": "string"},
                    "description": "At most 6 short answers to tap, when the choice is known.",
                },
                "kind": {
                    "type": "string",
                    "enum": ["question", "approval"],
                    "description": "approval: before anything that cannot be undone.",
                },
            },
            optional=("options", "kind"),
            run=ask_user,
            repeat="idempotent",
        )
    ]


def _options(given: list[object]) -> list[str]:
    options = [short(clean_text(str(option)), OPTION_CHARS_MAX) for option in given]
    if len(options) > OPTIONS_MAX:
        raise ToolFailed(f"At most {OPTIONS_MAX} options can be offered: leave some out.")
    return [option for option in options if option]

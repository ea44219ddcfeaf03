"""A job that shows what jobs are: a few steps in twenty seconds, without a model and without cost.

It says what it was given to say, in the language of who asked for it. In everything else it is a
job like others: it is claimed, has a card, can be cancelled, goes on after a crash, and ends.
"""

import json
from dataclasses import dataclass
from typing import Final

from bridge.models import Job
from bridge.queue import Queue

KIND: Final = "demo"
TAKES_S: Final = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What such a job says: a line at each step, and its result."""

    steps: tuple[str, ...]
    result: str

    def data(self) -> str:
        """As it is stored with the job."""
        return json.dumps({KIND: {"steps": self.steps, "result": self.result}}, ensure_ascii=False)


def script_of(job: Job) -> Script | None:
    """The script of a job, or None: it is one for the model, whatever its kind is called."""
    if job.kind != KIND:
        return None
    try:
        given = json.loads(job.data or "null")[KIND]
        steps, result = given["steps"], given["result"]
    except (ValueError, KeyError, TypeError):
        return None
    if not isinstance(steps, list) or not steps or not isinstance(result, str):
        return None
    return Script(steps=tuple(str(step) for step in steps), result=result)


async def play(queue: Queue, job: Job, script: Script) -> str:
    """Say each step in its time, from the one where an earlier attempt stood; the result.

    Raises: LeaseLost.
    """
    count = len(script.steps)
    first = min(round((job.progress or 0.0) / 100 * count), count)
    for at in range(first, count):
        await queue.progress(job, 100 * at / count, script.steps[at])
        await queue.clock.sleep(TAKES_S / count)
    return script.result

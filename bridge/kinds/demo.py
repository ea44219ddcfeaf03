"""A job that shows what jobs are: a few steps in twenty seconds, without a model and without cost.

It says what it was given to say. In everything else it is a job like others: it is claimed, has a
card, can be cancelled, goes on after a crash, and ends.
"""

from typing import Final

from bridge import demo_job
from bridge.kinds.kind import Failed, Kind, Task

TAKES_S: Final = 20.0


async def play(task: Task) -> str:
    """Say each step in its time, from the one where an earlier attempt stood; the result.

    Raises: Failed when there is nothing to say, LeaseLost.
    """
    script = demo_job.script_of(task.job)
    if script is None:
        raise Failed("This job only shows what jobs are, and was not told what to say.")
    count = len(script.steps)
    first = min(round((task.job.progress or 0.0) / 100 * count), count)
    for at in range(first, count):
        await task.progress(100 * at / count, script.steps[at])
        await task.clock.sleep(TAKES_S / count)
    return script.result


KIND: Final = Kind(name=demo_job.KIND, description="Shows what jobs are.", handler=play)

"""What a job says that shows what jobs are: a few steps, and a result, in its user's language.

It is stored in the job's data; kinds/demo.py plays it.
"""

import json
from dataclasses import dataclass
from typing import Final

from bridge.models import Job

KIND: Final = "demo"


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What such a job says: a line at each step, and its result."""

    steps: tuple[str, ...]
    result: str

    def data(self) -> str:
        """As it is stored with the job."""
        return json.dumps({KIND: {"steps": self.steps, "result": self.result}}, ensure_ascii=False)


def script_of(job: Job) -> Script | None:
    """The script of a job, or None when it has none."""
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

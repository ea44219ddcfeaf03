"""What a kind of job is: words, data, budget, tools, and who does the work.

A kind without a handler is work for the agent; with one it is plain Python, and no model is asked.
"""

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from bridge.clock import Clock
from bridge.errors import KittError
from bridge.models import KIND, Artifact, Job
from bridge.prices import MILLION

if TYPE_CHECKING:
    from pydantic import BaseModel

DESCRIPTION_CHARS_MAX: Final = 160


class Failed(KittError):
    """A handler could not do it; its user is told the message, and it is not tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What one job of a kind may use; None is what any job may."""

    calls_max: int | None = None  # of the model
    cost_usd: float | None = None  # never more than KITT_BUDGET_JOB
    timeout_s: float | None = None  # of one attempt

    @property
    def cost_micro(self) -> int:
        """Millionths of a dollar; 0 is no limit of its own."""
        return 0 if self.cost_usd is None else max(1, round(self.cost_usd * MILLION))


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a handler has made. `output` is Markdown for the user, `files` lie in its folder."""

    output: str
    summary: str = ""
    files: tuple[Artifact, ...] = ()
    metrics: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One attempt at a job, as its handler sees it.

    `payload` is the checked data, None without any; `data` is the same as plain JSON. `folder` is
    the job's own, with the files a person gave in `input/`; it stays between attempts.
    """

    job: Job
    payload: Any
    data: Any
    folder: Path
    clock: Clock
    report: Callable[[float | None, str], Awaitable[None]]

    async def progress(self, percent: float | None, step: str) -> None:
        """Show where the work stands, 0 to 100. Raises: LeaseLost when it must stop."""
        await self.report(percent, step)


Handler: TypeAlias = Callable[[Task], Awaitable[Done | str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of job. Raises: ValueError for one that cannot be used.

    `request` is what is asked when somebody gives only data, with its fields in braces: "Invoice
    for {customer}". `tools` are families of tools; None grants all.
    """

    name: str
    description: str  # for the model that chooses a kind: when to take it, in a few words
    payload: "type[BaseModel] | None" = None
    request: str = ""
    priority: int = 0
    budget: Budget = field(default_factory=Budget)
    tools: frozenset[str] | None = None
    instructions: str = ""  # for the agent
    persona: str = ""  # of the profile, who does it unless a job names another
    handler: Handler | None = None

    def __post_init__(self) -> None:
        if not KIND.fullmatch(self.name):
            raise ValueError(
                f"{self.name[:40]!r} cannot be its name: take at most 30 of a-z, 0-9, - and _, "
                "a letter first"
            )
        if not 0 < len(self.description) <= DESCRIPTION_CHARS_MAX:
            raise ValueError(f"its description must have 1 to {DESCRIPTION_CHARS_MAX} characters")
        if self.handler is not None and not inspect.iscoroutinefunction(self.handler):
            raise ValueError("its handler must be an async function")

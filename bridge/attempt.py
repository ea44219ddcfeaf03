"""One attempt at a job: the agent's turn with the tools of a worker, from where the last one stood.

What claims jobs and what becomes of an attempt that fails is worker.py; here is only the work.
"""

import json
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Final

from bridge import demo_job
from bridge.agent.loop import Limits, Outcome, Turn
from bridge.agent.model import Model, sees, server_tools
from bridge.agent.tool import Tool
from bridge.budgets import Budgets, Purse
from bridge.clock import Clock
from bridge.conversation import job_conversation
from bridge.models import Job
from bridge.outgoing import Outgoing
from bridge.profile import worker_prompt
from bridge.queue import Queue
from bridge.settings import Settings
from bridge.store import Tx
from bridge.tools.earlier import told_of_earlier
from bridge.tools.inputs import opening_of
from bridge.tools.toolbox import Context, tools_for
from bridge.tools.workspace import Workspace

LIMITS: Final = Limits(calls_max=60, max_tokens=32_000)
SMALL_LIMITS: Final = Limits(calls_max=60, max_tokens=8_000)  # what most other models can write


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What every job needs; made once."""

    queue: Queue
    model: Model
    clock: Clock
    settings: Settings
    outgoing: Outgoing = field(default_factory=Outgoing)


async def attempt_at(work: Work, job: Job, end: Callable[[Tx, Outcome], None]) -> None:
    """Work on a job until `end` has run, in the transaction that stores its last message.

    Raises: LeaseLost, JobWaits, ModelUnavailable, ModelRefused, TurnLimitReached, BudgetUsedUp.
    """
    script = demo_job.script_of(job)
    if script is not None:
        shown = await demo_job.play(work.queue, job, script)
        await work.queue.store.write(lambda tx: end(tx, Outcome(kind="answer", text=shown)))
        return
    workspace = Workspace(work.settings.jobs_dir / str(job.id))
    async with AsyncExitStack() as closing:
        context = Context(
            queue=work.queue,
            job=job,
            workspace=workspace,
            settings=work.settings,
            closing=closing,
            outgoing=work.outgoing,
        )
        await _turn(work, context, end)


async def _turn(work: Work, context: Context, end: Callable[[Tx, Outcome], None]) -> None:
    settings, job, workspace = work.settings, context.job, context.workspace
    name, model_name = job_conversation(job.id), settings.worker_model
    tools = await tools_for(context)
    frozen = await _frozen(work, name, tools)
    turn = Turn(
        store=work.queue.store,
        clock=work.clock,
        model=work.model,
        model_name=model_name,
        conversation=name,
        system=frozen["system"],
        tools=tools,
        schemas=frozen["tools"],
        server_tools=_not_ours(model_name, settings.anthropic_base_url, frozen["tools"]),
        limits=LIMITS if model_name.startswith("claude-") else SMALL_LIMITS,
        purse=_purse(work, job),
        guard=lambda tx: work.queue.require(tx, job),
        on_end=end,
        files_dir=settings.files_dir,
    )
    earlier = await told_of_earlier(work.queue, job, workspace, settings.jobs_dir)
    about: dict[str, Any] = {"source": name, "sees": sees(model_name), "earlier": earlier}
    await turn.run([await opening_of(job, workspace, settings.files_dir, **about)])


def _not_ours(model_name: str, base_url: str, ours: list[dict[str, Any]]) -> tuple[str, ...]:
    """The provider's tools but those of which the job has one of the same name."""
    names = {tool["name"] for tool in ours}
    kinds = server_tools(model_name, base_url)
    return tuple(kind for kind in kinds if kind.rpartition("_")[0] not in names)


def _purse(work: Work, job: Job) -> Purse:
    budgets = Budgets.of(work.settings)
    return Purse(
        budgets,
        store=work.queue.store,
        clock=work.clock,
        conversation=job_conversation(job.id),
        user_id=job.user_id,
        job_micro=budgets.job_micro,
    )


async def _frozen(work: Work, name: str, tools: list[Tool]) -> dict[str, Any]:
    """System prompt and tools as the job's first attempt had them: history depends on them."""
    kept = await work.queue.store.read(lambda tx: tx.value("frozen", conversation=name))
    if kept is not None:
        return dict(json.loads(kept))
    fresh = {
        "system": worker_prompt(work.settings.profile),
        "tools": [tool.to_api() for tool in tools],
    }
    text = json.dumps(fresh, ensure_ascii=False)
    await work.queue.store.write(
        lambda tx: tx.run("freeze", conversation=name, frozen=text), durable=False
    )
    return fresh

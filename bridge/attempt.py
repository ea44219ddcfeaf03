"""One attempt at a job: the agent's turn with the tools of a worker, from where the last one stood.

A kind of job may do its work in plain Python instead. What claims jobs and what becomes of an
attempt that fails is worker.py; here is only the work.
"""

import asyncio
import json
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any, Final

from bridge.agent.compaction import Compactor
from bridge.agent.loop import Turn
from bridge.agent.outcome import Limits, Outcome
from bridge.agent.providers import Provider, provider_of
from bridge.agent.tool import Tool, ToolFailed
from bridge.budgets import Budgets, Purse
from bridge.conversation import job_conversation
from bridge.kinds import Done, Failed, Kind, Task
from bridge.kinds import payload as payloads
from bridge.kinds.kind import Handler
from bridge.memory import Memory
from bridge.models import Job
from bridge.personas import KITT, Persona, persona_named
from bridge.preferences import preferences_of
from bridge.profile import worker_prompt
from bridge.sandbox.probe import sandbox_of
from bridge.store import Tx
from bridge.tools.earlier import told_of_earlier
from bridge.tools.inputs import opening_of, put_inputs
from bridge.tools.report import artifact
from bridge.tools.toolbox import Context, tools_for
from bridge.tools.workspace import Workspace
from bridge.work import Work

CALLS_MAX: Final = 60


async def attempt_at(
    work: Work,
    job: Job,
    end: Callable[[Tx, Outcome], None],
    within: Callable[[float], None],
) -> None:
    """Work on a job until `end` has run, in the transaction that stores its last message.

    `within` is told how many seconds its kind gives it.

    Raises: KindRefused, Failed, LeaseLost, JobWaits, ModelUnavailable, ModelRefused,
    TurnLimitReached, BudgetUsedUp.
    """
    kind, payload = await asyncio.to_thread(_kind_of, work, job)
    if kind is not None and kind.budget.timeout_s is not None:
        within(kind.budget.timeout_s)
    workspace = Workspace(work.settings.jobs_dir / str(job.id))
    if kind is not None and kind.handler is not None:
        await _handled(work, kind.handler, _task(work, job, workspace, payload), workspace, end)
        return
    async with AsyncExitStack() as closing:
        context = Context(
            queue=work.queue,
            job=job,
            workspace=workspace,
            settings=work.settings,
            closing=closing,
            outgoing=work.outgoing,
            granted=kind.tools if kind else None,
            kinds=tuple(await asyncio.to_thread(work.kinds.usable, packages=True)),
            chromium=work.chromium,
        )
        await _turn(work, context, kind, payloads.shown(job.data, payload), end)


def _kind_of(work: Work, job: Job) -> tuple[Kind | None, Any]:
    """What kind of job it is, and its data, checked once more: anyone may write a row by hand."""
    kind = work.kinds.find(job.kind)
    return kind, payloads.checked(kind, job.data) if kind else None


def _task(work: Work, job: Job, workspace: Workspace, payload: Any) -> Task:
    async def report(percent: float | None, step: str) -> None:
        await work.queue.progress(job, percent, step)

    return Task(
        job=job,
        payload=payload,
        data=payloads.given_in(job.data),
        folder=workspace.root,
        clock=work.clock,
        report=report,
    )


async def _handled(
    work: Work,
    handler: Handler,
    task: Task,
    workspace: Workspace,
    end: Callable[[Tx, Outcome], None],
) -> None:
    """The work of a kind that is plain Python; what it made is looked at as a tool's work is."""
    task.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    await put_inputs(task.job, workspace, work.settings.files_dir)
    made = await handler(task)
    done = made if isinstance(made, Done) else Done(output=made)
    try:
        files = [artifact(workspace, file.path, file.caption) for file in done.files]
    except ToolFailed as error:
        raise Failed(str(error)) from None

    def finish(tx: Tx) -> None:
        for file in files:
            work.queue.attach(tx, task.job, file)
        end(
            tx,
            Outcome(kind="answer", text=done.output, summary=done.summary, metrics=done.metrics),
        )

    await work.queue.store.write(finish)


async def _turn(
    work: Work,
    context: Context,
    kind: Kind | None,
    data: str,
    end: Callable[[Tx, Outcome], None],
) -> None:
    settings, job, workspace = work.settings, context.job, context.workspace
    persona = await _persona(work, job, kind)
    name = job_conversation(job.id)
    model_name = persona.model_for(settings, settings.worker_model)
    provider = provider_of(settings, model_name)
    await asyncio.to_thread(sandbox_of, settings.profile)  # tried once, and not on the loop
    tools = await tools_for(context)
    notes = ""
    if context.grants("memory"):
        notes = Memory(settings.notes_dir, job.chat_id).block()
    frozen = await _frozen(work, name, tools, kind, persona, notes)
    purse, store = _purse(work, job, kind), work.queue.store
    shared: dict[str, Any] = {"store": store, "model": work.model, "model_name": model_name}
    shared["guard"] = lambda tx: work.queue.require(tx, job)
    compactor = Compactor(**shared, purse=lambda _: purse)
    turn = Turn(
        **shared,
        clock=work.clock,
        conversation=name,
        system=frozen["system"],
        tools=tools,
        schemas=frozen["tools"],
        server_tools=_not_ours(provider, frozen["tools"]) if context.grants("web") else (),
        limits=_limits(provider, kind, persona),
        purse=purse,
        on_end=end,
        files_dir=settings.files_dir,
        sees=provider.images,
        shorten=lambda: compactor.compact(name),
    )
    earlier = await told_of_earlier(work.queue, job, workspace, settings.jobs_dir)
    about: dict[str, Any] = {"source": name, "sees": provider.images, "earlier": earlier}
    await turn.run([await opening_of(job, workspace, settings.files_dir, data=data, **about)])


def _not_ours(provider: Provider, ours: list[dict[str, Any]]) -> tuple[str, ...]:
    """The provider's tools but those of which the job has one of the same name."""
    names = {tool["name"] for tool in ours}
    return tuple(kind for kind in provider.server_tools if kind.rpartition("_")[0] not in names)


def _purse(work: Work, job: Job, kind: Kind | None) -> Purse:
    budgets = Budgets.of(work.settings)
    return Purse(
        budgets,
        store=work.queue.store,
        clock=work.clock,
        conversation=job_conversation(job.id),
        user_id=job.user_id,
        job_micro=budgets.job_micro,
        kind_micro=(kind.budget.cost_micro if kind else None) or 0,
    )


def _limits(provider: Provider, kind: Kind | None, persona: Persona) -> Limits:
    calls_max = kind.budget.calls_max if kind else None
    return Limits(
        calls_max=calls_max or CALLS_MAX,
        max_tokens=min(persona.max_tokens or provider.tokens_max, provider.tokens_max),
        effort=persona.effort,
    )


async def _persona(work: Work, job: Job, kind: Kind | None) -> Persona:
    """Who does it: as the job says, or its kind, or its chat. One that is gone is KITT."""
    chosen = await work.queue.store.read(lambda tx: preferences_of(tx, job.chat_id).persona)
    name = job.persona or (kind.persona if kind else "") or chosen
    return persona_named(work.settings.profile, name) or KITT


async def _frozen(
    work: Work, name: str, tools: list[Tool], kind: Kind | None, persona: Persona, notes: str
) -> dict[str, Any]:
    """System prompt and tools as the job's first attempt had them: history depends on them."""
    kept = await work.queue.store.read(lambda tx: tx.value("frozen", conversation=name))
    if kept is not None:
        return dict(json.loads(kept))
    told = [
        worker_prompt(work.settings.profile, persona.prompt if persona.id else ""),
        kind.instructions if kind else "",
        notes,
    ]
    fresh = {
        "system": "\n\n".join(part for part in told if part),
        "tools": [tool.to_api() for tool in tools],
    }
    text = json.dumps(fresh, ensure_ascii=False)
    await work.queue.store.write(
        lambda tx: tx.run("freeze", conversation=name, frozen=text), durable=False
    )
    return fresh

"""Tools by which a job starts others beside it, and waits for them without holding a worker.

What a child finds was read outside, or may have been: its result is data, and no address in it may
be asked because of it (untrusted.py).
"""

import asyncio
import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from bridge import joining, received
from bridge.agent.tool import Input, Tool, ToolFailed
from bridge.clock import stamp
from bridge.errors import JobRefused, JobWaits
from bridge.models import Job, JobStatus, NewJob, short
from bridge.store import Tx
from bridge.tools.choice import choice_of_kinds, data_for
from bridge.tools.untrusted import heard_in, wrapped
from bridge.tools.workspace import Workspace

if TYPE_CHECKING:
    from bridge.tools.toolbox import Context

RESULT_CHARS_MAX: Final = 12_000  # of each; a longer one lies whole in the folder
FILE_BYTES_MAX: Final = 50_000_000
BY_WAITING: Final = "Its result comes by wait_for_jobs."


def subjob_tools(context: "Context") -> list[Tool]:
    """The tools. Waiting raises JobWaits while a child lives, LeaseLost when it is not ours."""

    choice, data = choice_of_kinds(context.kinds)

    async def wait_for_jobs(given: Input) -> str:
        return await _wait(context, given.get("job_ids", []))

    return [
        Tool(
            name="start_background_job",
            description="Start a part of this work as a job of its own, beside others: only for "
            "parts that need no result of each other and take long, such as one topic each. It "
            f"sees only its instructions and the user's files. At most {joining.CHILDREN_MAX}. "
            "Its result comes by wait_for_jobs alone.",
            properties={
                "title": {"type": "string", "description": "At most 60 characters."},
                "instructions": {
                    "type": "string",
                    "description": "The whole part: what is wanted, in which form and language.",
                },
                "kind": choice,
                **data,
            },
            optional=(*data,),
            commit=lambda tx, given: _start(tx, context, given),
        ),
        Tool(
            name="wait_for_jobs",
            description="Wait until jobs that this one started have ended, however that is; gives "
            "their results, and puts their files into folders job-<number>/.",
            properties={
                "job_ids": {
                    "type": "array",
                    "items": {"type": "integer"},
                    "description": "Leave out to wait for all.",
                }
            },
            optional=("job_ids",),
            run=wait_for_jobs,
            repeat="idempotent",
        ),
    ]


def _start(tx: Tx, context: "Context", given: Input) -> str:
    queue, job = context.queue, context.job
    queue.require(tx, job)
    if joining.depth(tx, job) >= joining.DEPTH_MAX:
        raise ToolFailed("This job is a part of a part already: do this here, yourself.")
    prompt, kind, data = str(given["instructions"]), str(given["kind"]), given.get("data", "")
    words = "\n".join(filter(None, (kind, prompt, data)))
    part = hashlib.sha256(words.encode("utf-8", "replace")).hexdigest()[:16]
    source = f"job:{job.id}:{part}"  # the same part is the same job, however often it is started
    known = joining.children(tx, job)
    same = next((child for child in known if child.source == source), None)
    if same is not None and same.status in (JobStatus.FAILED, JobStatus.CANCELLED):
        queue.retry_in(tx, same.id, chat_id=job.chat_id)
        return f"Started again as job {same.id}, where it stood. {BY_WAITING}"
    if len(known) >= joining.CHILDREN_MAX and same is None:
        raise ToolFailed(
            f"This job has started {joining.CHILDREN_MAX} others, the most there may be: put the "
            "rest into its own work."
        )
    try:
        new = NewJob(
            chat_id=job.chat_id,
            thread_id=job.thread_id,
            user_id=job.user_id,
            request_message_id=job.request_message_id,
            prompt=prompt,
            title=short(str(given["title"]), 60),
            kind=kind,
            data=_data(tx, context, given),
            priority=job.priority,
            parent_id=job.id,
            source=source,
        )
        child = queue.insert(tx, new)
    except JobRefused as error:
        raise ToolFailed(str(error)) from None
    return f"Started as job {child.id}. {BY_WAITING}"


def _data(tx: Tx, context: "Context", given: Input) -> str | None:
    """The data of a part. What is plain Python obeys it to the letter: not after others' text."""
    kind = next((kind for kind in context.kinds if kind.name == given["kind"]), None)
    obeys = kind is not None and kind.handler is not None
    if obeys and heard_in(tx, context.queue, context.job).outside:
        raise ToolFailed(
            f"This job has read text from outside, so it starts no part of kind {given['kind']}: "
            "do it yourself, or name it in the result for the user to start."
        )
    files = received.files_of_job(context.job)
    return received.job_data(files, data_for(kind, given))


async def _wait(context: "Context", given: list[Any]) -> str:
    queue, job = context.queue, context.job
    started = await queue.store.read(lambda tx: joining.children(tx, job))
    ids = [child.id for child in started]
    if not ids:
        raise ToolFailed("This job has started no others.")
    if strange := [number for number in given if number not in ids]:
        raise ToolFailed(
            f"This job did not start {', '.join(map(str, strange))}; it has started "
            f"{', '.join(map(str, ids))}."
        )
    wanted = [number for number in ids if number in given] if given else ids
    now = stamp(queue.clock.now())
    if await queue.store.write(lambda tx: joining.wait(tx, queue, job, wanted, now=now)):
        raise JobWaits(f"Job {job.id} waits for jobs it has started.")
    ended = await queue.store.read(lambda tx: [queue.find(tx, number) for number in wanted])
    return "\n\n".join([await _told(context, child) for child in ended])


async def _told(context: "Context", child: Job) -> str:
    """How a child ended, and what it made, which is in our folder then."""
    rows = await context.queue.store.read(lambda tx: tx.all("files_of", job_id=child.id))
    paths = [str(row["path"]) for row in rows]
    names = await asyncio.to_thread(_bring, context, child, paths)
    reason = f": {child.error}" if child.status is JobStatus.FAILED and child.error else ""
    lines = [f"Job {child.id} “{child.name}” is {child.status}{reason}"]
    lines += [f"Files: {', '.join(names)}"] if names else []
    lines += [(child.result or "")[:RESULT_CHARS_MAX]] if child.result else []
    return wrapped("\n".join(lines), f"job {child.id}")


def _bring(context: "Context", child: Job, paths: list[str]) -> list[str]:
    """Copy what a child gave away, and a result that is too long to be read at once."""
    folder = Workspace(context.settings.jobs_dir / str(child.id))
    names = []
    for path in paths:
        with suppress(ToolFailed):  # it is gone, or does not fit: the others are still of use
            if folder.size(path) <= FILE_BYTES_MAX:
                data = folder.read(path, FILE_BYTES_MAX)
                context.workspace.write(f"job-{child.id}/{path}", data)
                names.append(f"job-{child.id}/{path}")
    if child.result and len(child.result) > RESULT_CHARS_MAX:
        with suppress(ToolFailed):
            context.workspace.write(f"job-{child.id}/result.md", child.result.encode())
            names.append(f"job-{child.id}/result.md")
    return names

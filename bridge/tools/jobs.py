"""Tools by which the main agent hands work over and speaks about it.

All of them only change the database, so they act in the transaction that stores the model's
message: the acknowledgement, the job and its card commit together, with one model call. The chat
and the person are never parameters; they come from the update. Words and schemas: agent reference
§2.4.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from bridge import failpoints, received
from bridge.agent.tool import Input, Tool, ToolFailed
from bridge.conversation import Message, append, chat_conversation, without_tags
from bridge.errors import JobNotFound, JobRefused
from bridge.kinds.kind import Kind
from bridge.models import Job, JobStatus, NewJob, short
from bridge.queue import URGENT_PRIORITY, Queue, list_jobs
from bridge.received import Received
from bridge.store import Tx
from bridge.tools.choice import choice_of_kinds, data_for

LIVE_MAX = 100  # jobs of a chat that have not ended, when another is asked for there
SIMILAR_WITHIN_ACTIVE = 20  # active jobs looked through for one that is the same
ACTIVE = (
    JobStatus.PENDING,
    JobStatus.SCHEDULED,
    JobStatus.BLOCKED,
    JobStatus.RUNNING,
    JobStatus.WAITING,
)
FINISHED = (JobStatus.DONE, JobStatus.FAILED, JobStatus.CANCELLED)
RESULT_CHARS_MAX = 12_000  # of a result read back into the chat

START_DESCRIPTION = (
    "Hand a task to a background worker. Use it for anything that needs the web, a browser, files, "
    "code, several steps or more than about 10 seconds, and always when the user asks for the "
    "background ('op de achtergrond', 'in the background', 'laat me weten als het klaar is'). Do "
    "NOT use it for small talk, for questions you can answer at once from what you know or from "
    "this conversation, or for questions about existing jobs (use list_jobs). The worker sees ONLY "
    "'instructions', not this chat: write every name, date, link, language and wanted output form "
    "into it. The result is sent to the user automatically, so never promise to check later. One "
    "call per independent task. If <kitt-state> shows the same task already pending or running, do "
    "not start it again."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Whose turn it is: what every job of this turn carries."""

    chat_id: str
    thread_id: int
    user_id: str
    message_id: int | None
    source: str  # e.g. "update:123"; jobs of the turn are "update:123:0", "update:123:1" …
    files: tuple[Received, ...] = ()  # of the person's message: its jobs may read them
    only_own: bool = False  # what others here have made may be looked at, and no more
    replied_to: int = 0  # the message it replies to: jobs go on with the job that this one shows


def job_tools(queue: Queue, origin: Origin, kinds: Sequence[Kind] = ()) -> list[Tool]:
    """The main agent's tools, in a fixed order (the prompt cache depends on it).

    `kinds` are those of the profile, offered beside the built-in ones.
    """
    own = partial(_own, queue, origin)
    return [
        _starting(queue, origin, kinds),
        Tool(
            name="list_jobs",
            description="List this chat's jobs with status and progress. Use for 'how far are "
            "you', 'what is running'.",
            properties={"status": {"type": "string", "enum": ["active", "finished", "all"]}},
            commit=lambda tx, given: _list(tx, origin, given["status"]),
        ),
        _by_id(
            "get_job", "Full result, steps and files of one job of this chat.", _get(queue, origin)
        ),
        _by_id(
            "cancel_job",
            "Cancel one job. Only when the user asks for it. If it is unclear which one, ask.",
            own(lambda tx, given: queue.cancel_in(tx, given["job_id"], chat_id=origin.chat_id)),
        ),
        _by_id(
            "retry_job",
            "Run a failed or cancelled job again, from its last completed step.",
            own(lambda tx, given: queue.retry_in(tx, given["job_id"], chat_id=origin.chat_id)),
        ),
        _by_id(
            "answer_job",
            "Pass the user's answer to a job that is waiting for it.",
            own(
                lambda tx, given: queue.answer_in(
                    tx, given["job_id"], given["answer"], chat_id=origin.chat_id
                )
            ),
            answer={"type": "string", "description": "The user's words."},
        ),
    ]


def _starting(queue: Queue, origin: Origin, kinds: Sequence[Kind]) -> Tool:
    choice, data = choice_of_kinds(kinds)
    return Tool(
        name="start_background_job",
        description=START_DESCRIPTION,
        properties={
            "acknowledgement": {
                "type": "string",
                "description": "One short sentence to the user, in the user's language, that "
                "you are starting this now. Shown immediately. No promise about time.",
            },
            "title": {
                "type": "string",
                "description": "At most 60 characters, user's language.",
            },
            "instructions": {
                "type": "string",
                "description": "Complete, self-contained task for a worker that cannot see "
                "this chat.",
            },
            "kind": choice,
            "priority": {
                "type": "string",
                "enum": ["normal", "urgent"],
                "description": "urgent only if the user said so.",
            },
            "after": {
                "type": "array",
                "items": {"type": "integer"},
                "description": "Jobs that must be done first; the first one's result goes along.",
            },
            **data,
        },
        optional=("after", *data),
        commit=_start(queue, origin, kinds),
        terminal=True,
    )


def start_job(
    tx: Tx,
    queue: Queue,
    origin: Origin,
    *,
    prompt: str,
    title: str,
    acknowledgement: str,
    kind: str = "other",
    priority: int = 0,
    ordinal: int = 0,
    after: Sequence[Job] = (),
    given: Mapping[str, Any] | None = None,
) -> Job:
    """A job for this chat, in the caller's transaction. A replayed turn gets the job it made.

    It may read the files of the person's message, and earlier ones that its prompt names. It goes
    on with the job that the person has replied to, else with the first of those it comes `after`.
    `given` is the data of its kind.
    """
    source = f"{origin.source}:{ordinal}"
    if tx.one("job_by_source", source=source) is None:
        _check_room(tx, origin.chat_id)
    replied_to = _earlier(tx, origin)
    earlier = replied_to or next(iter(after), None)
    waits_for = [*([replied_to] if replied_to and not replied_to.status.final else []), *after]
    files = _files(tx, origin, prompt)
    new = NewJob(
        chat_id=origin.chat_id,
        thread_id=origin.thread_id,
        user_id=origin.user_id,
        request_message_id=origin.message_id,
        prompt=prompt,
        title=short(title, 60),
        acknowledgement=short(acknowledgement, 300),
        kind=kind,
        priority=priority,
        source=source,
        data=received.job_data(
            [*files, *(received.files_of_job(earlier) if earlier else [])], given
        ),
        continues=earlier.id if earlier else None,
        after=tuple(dict.fromkeys(parent.id for parent in waits_for)),
        if_parent_fails="cancel" if after else "run",
    )
    job = queue.insert(tx, new)
    failpoints.hit("after_enqueue")
    return job


def _check_room(tx: Tx, chat_id: str) -> None:
    """Whoever asks without end fills neither the queue nor the day of others."""
    live = len(tx.all("live_jobs_of", chat_id=chat_id, limit=LIVE_MAX))
    if live >= LIVE_MAX:
        raise JobRefused(
            f"This chat has {live} jobs that have not ended, the most there may be: wait for some, "
            "or cancel them.",
            "many",
            count=live,
        )


def start_again(
    tx: Tx, queue: Queue, origin: Origin, earlier: Job, *, now: str
) -> tuple[Job, bool]:
    """The same task once more, and whether it is new: while one lives, no other is started."""
    key = f"again:{earlier.id}"
    live = tx.one("live_job_by_key", unique_key=key)
    if live is not None:
        return Job.from_row(live), False
    new = NewJob(
        chat_id=origin.chat_id,
        thread_id=origin.thread_id,
        user_id=origin.user_id,
        request_message_id=origin.message_id,
        prompt=earlier.prompt,
        title=earlier.title,
        kind=earlier.kind,
        data=earlier.data,
        max_attempts=earlier.max_attempts,
        timeout_s=earlier.timeout_s,
        continues=earlier.continues,
        persona=earlier.persona,
        unique_key=key,
        source=f"{origin.source}:0",
    )
    job = queue.insert(tx, new)
    note_queued(tx, job, job.name, now=now)
    return job, True


def note_queued(tx: Tx, job: Job, about: str, *, now: str) -> None:
    """The chat's conversation is told of a job that its model did not start."""
    said = short(without_tags(about), 200)
    event = f'<kitt-event job="{job.id}" status="queued">{said}</kitt-event>'
    block = {"type": "text", "text": event}
    message = Message(role="user", content=[block], source=f"job:{job.id}:queued")
    append(tx, chat_conversation(job.chat_id, job.thread_id), message, now=now)


def _earlier(tx: Tx, origin: Origin) -> Job | None:
    """The job to go on with, when the person has replied to one of its messages."""
    if not origin.replied_to:
        return None
    row = tx.one("job_of_message", chat_id=origin.chat_id, message_id=origin.replied_to)
    return None if row is None else Job.from_row(row)


def _files(tx: Tx, origin: Origin, prompt: str) -> list[Received]:
    chat = chat_conversation(origin.chat_id, origin.thread_id)
    return [*origin.files, *received.named_in(tx, chat, prompt)]


def active_jobs(tx: Tx, chat_id: str) -> list[Job]:
    """Jobs of a chat that have not ended, oldest first."""
    rows = tx.all("live_jobs_of", chat_id=chat_id, limit=SIMILAR_WITHIN_ACTIVE)
    return [Job.from_row(row) for row in rows]


def _start(queue: Queue, origin: Origin, kinds: Sequence[Kind]) -> Callable[[Tx, Input], str]:
    started: list[int] = []  # jobs of this turn so far
    known = {kind.name: kind for kind in kinds}

    def start(tx: Tx, given: Input) -> str:
        prompt = str(given["instructions"])
        files = {file.file for file in _files(tx, origin, prompt)}
        for job in active_jobs(tx, origin.chat_id):
            has_them = files <= {file.file for file in received.files_of_job(job)}
            same = has_them and _same(job.prompt, prompt)
            if same and not (job.source or "").startswith(f"{origin.source}:"):
                raise ToolFailed(f"Already {job.status} as job {job.id}; not started again.")
        kind = known.get(str(given["kind"]))
        try:
            typed, usual = data_for(kind, given), kind.priority if kind else 0
            job = start_job(
                tx,
                queue,
                origin,
                prompt=prompt,
                title=str(given["title"]),
                acknowledgement=str(given["acknowledgement"]),
                kind=str(given["kind"]),
                given=typed,
                priority=URGENT_PRIORITY if given["priority"] == "urgent" else usual,
                ordinal=len(started),
                after=[
                    queue.find(tx, parent, chat_id=origin.chat_id)
                    for parent in _ids(given.get("after", []))
                ],
            )
        except (JobNotFound, JobRefused) as error:
            raise ToolFailed(str(error)) from None
        started.append(job.id)
        return f"Queued as job {job.id}. Your acknowledgement was shown to the user."

    return start


def _ids(given: list[Any]) -> list[int]:
    """Numbers of jobs, each once."""
    if not all(isinstance(number, int) and not isinstance(number, bool) for number in given):
        raise ToolFailed("after must be a list of job numbers.")
    return list(dict.fromkeys(given))


def _by_id(
    name: str, description: str, act: Callable[[Tx, Input], str], **more: dict[str, Any]
) -> Tool:
    def commit(tx: Tx, given: Input) -> str:
        try:
            return act(tx, given)
        except (JobNotFound, JobRefused) as error:
            raise ToolFailed(str(error)) from None

    properties: dict[str, dict[str, Any]] = {"job_id": {"type": "integer"}, **more}
    return Tool(name=name, description=description, properties=properties, commit=commit)


def _own(
    queue: Queue, origin: Origin, act: Callable[[Tx, Input], Job]
) -> Callable[[Tx, Input], str]:
    """Change a job, if who is asking may."""

    def change(tx: Tx, given: Input) -> str:
        job = queue.find(tx, given["job_id"], chat_id=origin.chat_id)
        if origin.only_own and job.user_id != origin.user_id:
            raise ToolFailed(
                f"Job {job.id} belongs to someone else here: only they or an owner can do that."
            )
        return _line(act(tx, given))

    return change


def _list(tx: Tx, origin: Origin, which: str) -> str:
    statuses = {"active": ACTIVE, "finished": FINISHED}.get(which, ())
    jobs = list_jobs(tx, chat_id=origin.chat_id, statuses=statuses, limit=20)
    return "\n".join(_line(job) for job in jobs) or "No jobs."


def _get(queue: Queue, origin: Origin) -> Callable[[Tx, Input], str]:
    def get(tx: Tx, given: Input) -> str:
        job = queue.find(tx, given["job_id"], chat_id=origin.chat_id)
        files = [row["name"] for row in tx.all("files_of", job_id=job.id)]
        events = tx.all("events_of", job_id=job.id)
        steps = [row["step"] for row in events if row["event"] == "progress"]
        lines = [_line(job), f"Request: {short(job.prompt, 1_000)}"]
        lines += [f"Steps: {'; '.join(steps[-10:])}"] if steps else []
        lines += [f"Files: {', '.join(files)}"] if files else []
        lines += [f"Result:\n{job.result[:RESULT_CHARS_MAX]}"] if job.result else []
        return without_tags("\n".join(lines))

    return get


def _line(job: Job) -> str:
    progress = f" {job.progress:.0f}%" if job.progress is not None and not job.status.final else ""
    step = f" – {job.step}" if job.step and not job.status.final else ""
    error = f" – {job.error}" if job.error and job.status is JobStatus.FAILED else ""
    return without_tags(f"#{job.id} {job.status}{progress} “{job.name}”{step}{error}")


def _same(one: str, other: str) -> bool:
    return " ".join(one.split()).casefold() == " ".join(other.split()).casefold()

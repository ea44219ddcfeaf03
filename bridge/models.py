"""Plain data and pure rules: what a job is, and what may follow what.

Nothing here touches a database, a clock or a network.
"""

import json
import re
import sqlite3
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, Final

from bridge.errors import JobRefused

PROMPT_CHARS_MAX: Final = 200_000  # about 50k tokens; a longer text belongs in a file
JOB_TIMEOUT_S: Final = 2 * 3600.0  # of one attempt
MAX_AGE_S: Final = 7 * 86_400.0  # nothing is replayed weeks later
KIND: Final = re.compile(r"[a-z][a-z0-9_-]{0,29}")
BACKOFF_FIRST_S: Final = 2.0  # then 4 and 8 s
BACKOFF_MAX_S: Final = 3600.0  # for jobs that may fail more often than anyone waits


class JobStatus(StrEnum):
    """Where a job stands; the words are a contract with everyone who reads the table."""

    PENDING = "pending"  # may be claimed now
    SCHEDULED = "scheduled"  # may be claimed at run_at (a delayed job, or a retry)
    BLOCKED = "blocked"  # waits for other jobs
    RUNNING = "running"  # claimed by worker_id until its lease ends
    WAITING = "waiting"  # asked its user something
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """True when nothing more happens by itself."""
        return self in (JobStatus.DONE, JobStatus.FAILED, JobStatus.CANCELLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """What is asked for. `chat_id` may be anything; only numbers reach Telegram."""

    chat_id: str
    prompt: str
    title: str = ""
    kind: str = "other"
    data: str | None = None  # JSON, for kinds with a typed payload
    thread_id: int = 0
    user_id: str = ""
    acknowledgement: str = ""  # first line of the card
    request_message_id: int | None = None  # the message the result replies to
    priority: int = 0  # higher runs first
    run_at: str | None = None  # UTC stamp; None = at once
    after: tuple[int, ...] = ()  # jobs that must be done first
    unique_key: str | None = None  # one live job per key
    source: str | None = None  # e.g. "update:123:0"; a replay cannot insert twice
    max_attempts: int = 3
    if_parent_fails: str = "cancel"  # or "run": go on when a job in `after` failed or was cancelled
    parent_id: int | None = None  # the job that started this one
    timeout_s: float | None = None  # one attempt may take this long; None = JOB_TIMEOUT_S
    max_age_s: float | None = (
        MAX_AGE_S  # not started so long after it could: never; None = no limit
    )
    schedule_id: int | None = None  # the schedule that made it
    continues: int | None = None  # the job of the same chat whose work it goes on with
    persona: str = ""  # of the profile; empty = that of its kind, or of its chat


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One row of `jobs`. Starts `pending` with attempt 0 and everything after `status` empty."""

    id: int
    chat_id: str
    prompt: str
    status: JobStatus
    result: str | None = None
    created_at: str = ""
    started_at: str | None = None  # first claim since it was added or retried
    completed_at: str | None = None
    worker_id: str | None = None
    thread_id: int = 0
    user_id: str = ""
    title: str = ""
    kind: str = "other"
    data: str | None = None
    acknowledgement: str = ""
    request_message_id: int | None = None
    priority: int = 0
    run_at: str | None = None
    attempt: int = 0  # claims so far; the fence: only its holder may write
    failures: int = 0  # of max_attempts; a drain or a cancel is none
    max_attempts: int = 3
    progress: float | None = None  # 0 to 100; None = not reported
    step: str = ""
    error: str | None = None
    unique_key: str | None = None
    source: str | None = None
    if_parent_fails: str = "cancel"
    parent_id: int | None = None
    timeout_s: float | None = None
    expires_at: str | None = None  # UTC stamp
    max_age_s: float | None = None  # from when it could start until then
    rescues: int = 0  # times it was taken back from a worker that was gone
    question: str | None = None  # what it asked its user, while `waiting`
    answer: str | None = None
    schedule_id: int | None = None
    continues: int | None = None  # the job whose work it goes on with
    options: str | None = None  # JSON list: what may be tapped as an answer to the question
    approve_by: str | None = None  # UTC stamp: it asks to be allowed something, until then
    persona: str = ""
    held_by: str = (
        ""  # scheduled: waits for "model", "budget"; done: cut by "budget", by "fallback"
    )

    @classmethod
    def from_row(cls, row: sqlite3.Row) -> "Job":
        """A row of `SELECT * FROM jobs`; columns this version does not know are left out."""
        return cls(
            **{
                name: value if type(value) in _FITS[name] else _fitting(name, value)
                for name, value in zip(row.keys(), row, strict=True)
                if name in _FITS
            }
        )

    @property
    def name(self) -> str:
        """The title, or the beginning of the prompt when nobody gave one."""
        return self.title or short(self.prompt, 60)


_JOB_FIELDS: Final = {item.name: item.type for item in fields(Job)}
# What SQLite gives for a field when nobody wrote the row by hand.
_SQLITE_TYPES: Final[dict[Any, tuple[type, ...]]] = {
    str: (str,),
    str | None: (str, type(None)),
    int: (int,),
    int | None: (int, type(None)),
    float | None: (float, type(None)),
}
_FITS: Final = {name: _SQLITE_TYPES.get(kind, ()) for name, kind in _JOB_FIELDS.items()}


def _fitting(name: str, value: Any) -> Any:
    """A value as the field wants it: a row made by hand may hold a blob or a word for a number."""
    kind = _JOB_FIELDS[name]
    if kind is JobStatus:
        return JobStatus(value)
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if value is None:
        return value
    if kind in (str, str | None):
        return str(value)
    try:
        return int(value) if kind in (int, int | None) else float(value)
    except ValueError:
        return 0 if kind is int else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A file a job made for its user, inside the job's own folder."""

    path: str
    name: str
    caption: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """Something owed to a chat; a row of `deliveries`.

    `payload` starts as what the writer knows (e.g. only a job id) and is replaced by the rendered
    parts before the first one is sent; `sent_parts` counts what Telegram has accepted.
    """

    id: int
    chat_id: str
    thread_id: int
    kind: str
    payload: dict[str, Any] = field(default_factory=dict)
    sent_parts: int = 0
    status: str = "ready"
    attempt: int = 0


def check_new(new: NewJob) -> None:
    """Refuse what can never be worked on, before anything is stored. Raises: JobRefused."""
    if not clean_text(new.prompt).strip():
        raise JobRefused("A job needs a prompt: say what is to be done.", "no_prompt")
    if len(new.prompt) > PROMPT_CHARS_MAX:
        raise JobRefused(
            f"The prompt has {len(new.prompt):,} characters and at most {PROMPT_CHARS_MAX:,} fit: "
            "put the text in a file and describe the task.",
            "prompt_too_long",
            chars=len(new.prompt),
            chars_max=PROMPT_CHARS_MAX,
        )
    if not new.chat_id.strip():
        raise JobRefused("A job needs a chat_id.", "no_chat")
    if not KIND.fullmatch(new.kind):
        raise JobRefused(
            f"{short(new.kind, 40)!r} cannot be a kind: take at most 30 of a-z, 0-9, - and _, "
            "a letter first.",
            "kind",
            kind=short(new.kind, 40),
        )
    if new.unique_key is not None and not new.unique_key.strip():
        raise JobRefused("The key of a job must not be empty: give it a word, or none.", "key")
    if new.data is not None:
        try:
            json.loads(new.data, parse_constant=_no_number)
        except ValueError as error:
            raise JobRefused(f"The data of a job must be JSON: {error}.", "data") from None
        except RecursionError:
            raise JobRefused(
                "The data of a job is nested too deeply: make it flatter.", "data"
            ) from None


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number")


def short(text: str, chars_max: int) -> str:
    """The text on one line, cut with an ellipsis."""
    line = " ".join(text.split())
    return line if len(line) <= chars_max else line[: chars_max - 1].rstrip() + "…"


def clean_text(text: str) -> str:
    """A text SQLite and JSON can keep and give back: no NUL, no lone surrogates.

    Source: a lone surrogate raises on insert; SQL's length() stops at NUL (measured).
    """
    return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")


def retry_delay_s(failures: int, *, jitter: float) -> float:
    """Seconds before the next attempt: 2, 4, 8 … an hour at most, with up to a quarter more.

    `failures` counts from 1, `jitter` is from 0 to 1.
    """
    delay_s = min(BACKOFF_FIRST_S * 2.0 ** min(failures - 1, 20), BACKOFF_MAX_S)
    return delay_s * (1 + jitter / 4)

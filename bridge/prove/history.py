"""The history checker: after any fault, what must be true of everything that happened.

Its witnesses are the database, read as an outsider reads it, and what the emulators saw. Ask it
when nothing is left to do. The rules carry the numbers of the project's list of invariants:

    H1  every update that Telegram was told to forget is in the inbox
    H2  every update has one outcome
    H3  every job has ended
    H4  every job ended once, with the text that its last attempt wrote
    H5  every attempt was claimed once, after the one before it was over; no step was stored twice
    H6  every end is owed to its chat once; what is owed arrived once, or a repeat says that it is
    H7  no job was tried more often than it may be
    H8  a cancelled job owes no result and asks the model nothing any more
    H9  the database is whole
    H10 no secret is anywhere
    H11 a job that waits for its parts goes on when they have ended
    H12 every time of a schedule that came is one job, unless the one before had not ended
"""

import json
import math
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from bridge.clock import moment, stamp
from bridge.deliveries import in_telegram
from bridge.errors import KittError
from bridge.models import clean_text
from bridge.prove.witness import Message, Witness, card_of
from bridge.timing import Timing

FIRST_UPDATE_ID: Final = 700_000_001
FINAL: Final = ("done", "failed", "cancelled")
# What ends an attempt without ending its job: its worker died, drained, failed, or waits.
LET_GO: Final = (
    *("rescued", "given back", "retry", "retried", "snoozed", "asked", "answered", "joined"),
)
CHANGES: Final = ("edit", "edit_rich", "buttons", "delete", "leave")  # parts that send no message
MOMENT: Final = timedelta(seconds=0.1)
STOPS_WITHIN_S: Final = 3.0  # a worker looks twice a second
Row = dict[str, Any]


class PromiseBroken(KittError):
    """What happened is not what KITT promises; one line for each finding."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A broken rule and what was seen."""

    rule: str
    text: str
    lost: bool = False
    doubled: bool = False

    def __str__(self) -> str:
        return f"{self.rule}: {self.text}"


@dataclass(frozen=True, slots=True)
class History:
    """All rows of a database that has come to rest."""

    inbox: list[Row]
    jobs: list[Row]
    events: dict[int, list[Row]]
    deliveries: list[Row]
    schedules: list[Row]
    steps: dict[int, list[Row]]  # job -> its conversation with the model
    whole: str
    orphans: int

    @classmethod
    def read(cls, database: Path) -> "History":
        """Read everything in one snapshot."""
        with closing(sqlite3.connect(database, isolation_level=None)) as connection:
            connection.row_factory = sqlite3.Row
            connection.execute("BEGIN")

            def rows(statement: str) -> list[Row]:
                return [dict(row) for row in connection.execute(statement)]

            events: dict[int, list[Row]] = {}
            for event in rows("SELECT * FROM job_events ORDER BY id"):
                events.setdefault(event["job_id"], []).append(event)
            steps: dict[int, list[Row]] = {}
            for step in rows(
                "SELECT conversation, role, content, stop_reason FROM messages "
                "WHERE conversation LIKE 'job:%' ORDER BY id"
            ):
                steps.setdefault(int(step["conversation"].partition(":")[2]), []).append(step)
            return cls(
                inbox=rows("SELECT update_id, state FROM inbox"),
                jobs=rows("SELECT * FROM jobs ORDER BY id"),
                events=events,
                deliveries=rows("SELECT * FROM deliveries ORDER BY id"),
                schedules=rows("SELECT * FROM schedules ORDER BY id"),
                steps=steps,
                whole=str(rows("PRAGMA integrity_check")[0]["integrity_check"]),
                orphans=len(rows("PRAGMA foreign_key_check")),
            )

    def ended(self, job_id: int | None, before: float = math.inf) -> int:
        """The event that ended a job, of those before one; 0 when it lived then."""
        found = 0
        for event in self.events.get(job_id or 0, []):
            if event["id"] < before and event["event"] in (*FINAL, "retried"):
                found = 0 if event["event"] == "retried" else event["id"]
        return found

    def messages(self) -> Iterator[Message]:
        """What was owed, message by message."""
        for row in self.deliveries:
            yield from _messages(row)


def check(database: Path, witness: Witness) -> None:
    """Raises: PromiseBroken with everything that is not as it must be."""
    found = findings(database, witness)
    if found:
        raise PromiseBroken("\n".join(str(finding) for finding in found))


def findings(database: Path, witness: Witness) -> list[Finding]:
    """Everything that is not as it must be, most important first."""
    witness.look()
    try:
        history = History.read(database)
    except sqlite3.DatabaseError as error:
        return [Finding("H9", f"the database cannot be read: {error}", lost=True)]
    return [
        *_updates(history, witness),
        *(finding for job in history.jobs for finding in _job(history, job)),
        *_owed(history),
        *_arrived(history, witness),
        *_cancelled(history, witness),
        *_waited(history),
        *_recurred(history),
        *_whole(history),
        *_secrets(database.parent, witness),
    ]


def _updates(history: History, witness: Witness) -> Iterator[Finding]:
    states = {row["update_id"]: row["state"] for row in history.inbox}
    for update_id in range(FIRST_UPDATE_ID, witness.confirmed_offset):
        if update_id not in states:
            yield Finding("H1", f"Telegram forgot update {update_id}, we never had it", lost=True)
    for update_id, state in states.items():
        if state not in ("done", "refused"):
            yield Finding("H2", f"update {update_id} is {state}", lost=True)
    answered = Counter(str(row["dedupe_key"]) for row in history.deliveries if row["dedupe_key"])
    sources = Counter(str(job["source"]) for job in history.jobs if job["source"])
    for key, times in (answered + sources).items():
        if times > 1:
            yield Finding("H2", f"{times} outcomes are known as {key}", doubled=True)


def _job(history: History, job: Row) -> Iterator[Finding]:
    name, status = f"job {job['id']}", job["status"]
    events = history.events.get(job["id"], [])
    if status not in FINAL:
        yield Finding("H3", f"{name} is {status}", lost=True)
        return
    ends: list[str] = []
    for event in events:
        if event["event"] == "retried":
            ends = []
        elif event["event"] in FINAL:
            ends.append(event["event"])
    expired = not ends and any(event["event"] == "expired" for event in events)
    if ends != [status] and not expired:
        more = len(ends) > 1
        yield Finding("H4", f"{name} is {status}, ended as {ends}", lost=not more, doubled=more)
    steps = history.steps.get(job["id"], [])
    replies = [_text(step["content"]) for step in steps if step["role"] == "assistant"]
    if status == "done" and replies and not str(job["result"]).endswith(clean_text(replies[-1])):
        yield Finding("H4", f"{name} has a result its last attempt did not write", lost=True)
    yield from _attempts(name, job, events)
    yield from _conversation(name, steps)
    if job["failures"] > job["max_attempts"]:
        yield Finding("H7", f"{name} failed {job['failures']} times of {job['max_attempts']}")


def _attempts(name: str, job: Row, events: list[Row]) -> Iterator[Finding]:
    claims = [event["attempt"] for event in events if event["event"] == "claimed"]
    if claims != list(range(1, job["attempt"] + 1)):
        yield Finding("H5", f"{name} was claimed as {claims}", doubled=True)
    held, last = False, 0
    for event in events:
        kind = event["event"]
        if event["attempt"] < last:
            yield Finding("H5", f"{name}: {kind} of attempt {event['attempt']} after {last}")
        last = max(last, event["attempt"])
        if kind == "claimed" and held:
            yield Finding("H5", f"{name}: attempt {last} began before the last was over")
        held = kind == "claimed" or (held and kind not in (*LET_GO, *FINAL))


def _conversation(name: str, steps: list[Row]) -> Iterator[Finding]:
    """A step that two attempts have stored is there twice."""
    before, answered = "", Counter[str]()
    for step in steps:
        if step["role"] == before == "assistant":
            yield Finding("H5", f"{name} stored a reply after a reply", doubled=True)
        before = "" if step["stop_reason"] == "pause_turn" else step["role"]
        answered.update(block.get("tool_use_id", "") for block in json.loads(step["content"]))
    twice = [call for call, times in answered.items() if call and times > 1]
    if twice:
        yield Finding("H5", f"{name} stored {len(twice)} results of tools twice", doubled=True)


def _owed(history: History) -> Iterator[Finding]:
    jobs = {job["id"]: job for job in history.jobs}
    owed: Counter[tuple[int, str]] = Counter()
    for row in history.deliveries:
        job_id = json.loads(row["payload"]).get("job")
        if row["kind"] in ("card", "result", "failure"):
            owed[job_id, row["kind"]] += 1
            if job_id not in jobs:
                yield Finding("H9", f"delivery {row['id']} belongs to no job")
    for job in history.jobs:
        parent = jobs.get(job["parent_id"])
        of_another = parent and (  # a part, which is shown only where its parent left it behind
            parent["status"] != "done" or history.ended(job["id"]) < history.ended(parent["id"])
        )
        told = in_telegram(job["chat_id"]) and not of_another
        ends = Counter(e["event"] for e in history.events.get(job["id"], []))
        if not ends["done"] + ends["failed"] + ends["cancelled"]:
            continue  # it expired, or has not ended, which another rule tells
        for kind, times in (("card", 1), ("result", ends["done"]), ("failure", ends["failed"])):
            found = owed[job["id"], kind]
            if found != times * told:
                rule = "H8" if job["status"] == "cancelled" and kind == "result" else "H6"
                text = f"job {job['id']} owes {kind} {found} times instead of {times * told}"
                yield Finding(rule, text, lost=found < times, doubled=found > times)


def _arrived(history: History, witness: Witness) -> Iterator[Finding]:
    """Each part once; a second time only after it was under way twice, and saying so."""
    expected: Counter[Message] = Counter()
    tries: Counter[Message] = Counter()
    for row in history.deliveries:
        if row["status"] != "sent":
            text = f"delivery {row['id']} is {row['status']}: {row['error']}"
            yield Finding("H6", text, lost=True)
            continue
        for message in _messages(row):
            expected[message] += 1
            tries[message] += row["attempt"]
    for message in {*expected, *witness.once, *witness.marked}:
        times, once, marked = expected[message], witness.once[message], witness.marked[message]
        said = f"chat {message[0]}: {message[1][:80]!r}"
        if not times:
            yield Finding("H6", f"nobody owed {said}", doubled=True)
        elif once > times:
            yield Finding("H6", f"sent {once} times instead of {times}, {said}", doubled=True)
        elif once + marked < times:
            yield Finding("H6", f"arrived {once + marked} times, not {times}, {said}", lost=True)
        elif once + marked > tries[message]:
            yield Finding("H6", f"sent more often than it was marked `sending`, {said}")


def _messages(row: Row) -> Iterator[Message]:
    """What a delivery puts into its chat."""
    payload, chat_id = json.loads(row["payload"]), int(row["chat_id"])
    if row["kind"] == "card":
        yield chat_id, card_of(payload["job"])
    for part in payload.get("parts", ()):
        if part["do"] not in CHANGES:
            for message in part.get("files") or [part]:  # members of an album
                yield chat_id, message.get("text") or message.get("caption") or ""


def _cancelled(history: History, witness: Witness) -> Iterator[Finding]:
    words = Counter(job["prompt"] for job in history.jobs)
    for job in history.jobs:
        events = history.events.get(job["id"], [])
        if words[job["prompt"]] > 1:
            continue  # a schedule's: nobody can tell which of its jobs has asked
        if job["status"] != "cancelled" or not events or events[-1]["event"] != "cancelled":
            continue
        limit = moment(events[-1]["at"]).timestamp() + STOPS_WITHIN_S
        if any(at > limit for at in witness.asked.get(job["prompt"].strip(), ())):
            yield Finding("H8", f"job {job['id']} asked the model after it was cancelled")


def _waited(history: History) -> Iterator[Finding]:
    for job_id, events in history.events.items():
        parts: list[int] = []
        for event in events:
            if event["event"] == "joined":
                parts = [int(number) for number in re.findall(r"\d+", event["message"])]
            elif event["event"] == "claimed":
                early = [part for part in parts if not history.ended(part, before=event["id"])]
                if early:
                    text = f"job {job_id} went on before its parts {early} had ended"
                    yield Finding("H11", text, lost=True)
                parts = []


def _recurred(history: History) -> Iterator[Finding]:
    for row in history.schedules:
        name, timing = f"schedule {row['id']}", _timing(row)
        of_it = [job for job in history.jobs if job["schedule_id"] == row["id"]]
        if len(of_it) != row["fired"]:
            more = len(of_it) > row["fired"]
            text = f"{name} came {row['fired']} times and has {len(of_it)} jobs"
            yield Finding("H12", text, lost=not more, doubled=more)
        times = [(str(job["source"]).split(":", 2)[2], job) for job in of_it if job["source"]]
        following = [*(due for due, _ in times[1:]), row["next_at"]]
        for (due, job), after in zip(times, following, strict=False):
            since, taken = moment(due), moment(job["created_at"])
            looked = max(since, taken - MOMENT)  # the clock was read a moment before it was made
            first = [stamp(timing.next_after(at, since=since)) for at in (looked, taken)]
            ended = str(job["completed_at"]) < first[0]  # so that nothing kept the next from coming
            if due > job["created_at"]:
                yield Finding("H12", f"{name}: job {job['id']} came before {due}", doubled=True)
            if after < first[0] or (ended and after not in first):
                text = f"{name}: {first[0]} was next after {due}, and {after} came"
                yield Finding("H12", text, lost=after > first[0], doubled=after < first[0])


def _timing(row: Row) -> Timing:
    return Timing(cron=row["cron"], every_s=row["every_s"], zone=row["zone"])


def _whole(history: History) -> Iterator[Finding]:
    if history.whole != "ok":
        yield Finding("H9", f"the database is damaged: {history.whole}", lost=True)
    if history.orphans:
        yield Finding("H9", f"{history.orphans} rows belong to rows that are not there")


def _secrets(memory: Path, witness: Witness) -> Iterator[Finding]:
    yield from (Finding("H10", leak) for leak in dict.fromkeys(witness.leaks))
    for path in memory.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            if any(secret.encode() in data for secret in witness.secrets):
                yield Finding("H10", f"{path} holds a secret")


def _text(content: str) -> str:
    return "".join(str(block.get("text", "")) for block in json.loads(content))

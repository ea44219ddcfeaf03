"""What a campaign has shown: the figures, and every promise that was broken."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bridge.prove.feed import PART, TASK, Feed
from bridge.prove.history import Finding, History, findings
from bridge.prove.witness import Witness
from bridge.telegram.stream import CURSOR

if TYPE_CHECKING:
    from bridge.prove.campaign import Campaign

SHOWN_MAX: Final = 20
JOINED: Final = re.compile(r"joined-(\d+-\d)")
REPLY: Final = re.compile(r"reply-(\d+)\.")


@dataclass(slots=True, kw_only=True)
class Report:
    """The figures of one run."""

    seed: int
    seconds: float = 0.0
    kills: int = 0
    killed_at: dict[str, int] = field(default_factory=dict)
    frozen: int = 0
    fenced: int = 0  # frozen workers that came back to a job that was no longer theirs
    messages: int = 0
    jobs: int = 0
    done: int = 0
    failed: int = 0
    cancelled: int = 0
    claims: int = 0
    rescues: int = 0
    joined: int = 0  # parts whose result their parent was told
    ticks: int = 0  # jobs that a schedule has started
    deliveries: int = 0
    repeats: int = 0  # arrived twice, and the second said so
    marked_in_vain: int = 0  # said to be a repeat, and was the only one
    lost: int = 0
    doubled: int = 0
    findings: list[str] = field(default_factory=list)
    crashes: dict[str, int] = field(default_factory=dict)  # programs that ended by themselves
    began_twice: int = 0  # beginnings of answers that stayed behind

    @property
    def kept(self) -> bool:
        """True when every promise was kept."""
        return not self.findings

    def json(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {**asdict(self), "seconds": round(self.seconds, 1), "kept": self.kept}

    def lines(self) -> Iterator[str]:
        """As a person reads it."""
        where = ", ".join(f"{point} {times}" for point, times in self.killed_at.items())
        yield f"seed {self.seed}, {self.seconds:.0f} s"
        yield f"{self.kills} SIGKILLs: {where}"
        yield f"{self.frozen} frozen past their lease, {self.fenced} came back and were fenced off"
        yield f"{self.messages} messages, {self.deliveries} deliveries"
        yield (
            f"{self.jobs} jobs: {self.done} done, {self.failed} failed, "
            f"{self.cancelled} cancelled; {self.claims} claims, {self.rescues} rescues"
        )
        yield f"{self.joined} of them parts of others, {self.ticks} because a schedule came"
        yield (
            f"{self.repeats} messages arrived twice, killed between Telegram's answer and our "
            f"note: each said so ({self.marked_in_vain} more said so and had not)"
        )
        for what, times in self.crashes.items():
            yield f"ended by itself: {what} ({times} times)"
        yield from self.findings[:SHOWN_MAX]
        if len(self.findings) > SHOWN_MAX:
            yield f"… and {len(self.findings) - SHOWN_MAX} more"
        yield f"lost {self.lost}, finished twice {self.doubled}"


def judge(
    campaign: "Campaign", feed: Feed, witness: Witness, database: Path, folder: Path
) -> Report:
    """Read what happened."""
    found = [*findings(database, witness), *_missing(feed, witness, database)]
    found += unjoined(history := History.read(database))
    found += [Finding("H3", f"ended by itself: {what}") for what in campaign.failed]
    events = [event for events in history.events.values() for event in events]
    statuses = Counter(job["status"] for job in history.jobs)
    killed = Counter(
        line.split()[0] for line in _lines(folder / "hits") if line.split()[1] == "kill"
    )
    repeats, in_vain = _repeats(history, witness)
    return Report(
        seed=campaign.seed,
        kills=campaign.dead,
        killed_at={**dict(killed.most_common()), "from outside": campaign.dead - killed.total()},
        frozen=len(campaign.zombies),
        fenced=_fenced(campaign, events),
        messages=feed.messages,
        jobs=len(history.jobs),
        done=statuses["done"],
        failed=statuses["failed"],
        cancelled=statuses["cancelled"],
        claims=sum(job["attempt"] for job in history.jobs),
        rescues=sum(event["event"] == "rescued" for event in events),
        joined=sum(len(JOINED.findall(str(job["result"]))) for job in history.jobs),
        ticks=sum(job["schedule_id"] is not None for job in history.jobs),
        deliveries=len(history.deliveries),
        repeats=repeats,
        marked_in_vain=in_vain,
        lost=sum(finding.lost for finding in found),
        doubled=sum(finding.doubled for finding in found),
        findings=[str(finding) for finding in found],
        crashes=dict(campaign.failed),
        began_twice=sum(
            message.text.endswith(CURSOR)
            for chat in campaign.telegram.chats
            for message in campaign.telegram.messages(chat)
        ),
    )


def _missing(feed: Feed, witness: Witness, database: Path) -> Iterator[Finding]:
    """Everything that was fed must have led to something."""
    seen: Counter[int] = Counter()
    for chat in {*feed.asked.values()}:
        for message in witness.telegram.messages(chat):
            if message.from_bot and not message.text.endswith(CURSOR):
                seen.update(int(number) for number in REPLY.findall(message.text))
    for number in feed.asked:
        if not seen[number]:
            yield Finding("H2", f"question {number} was never answered", lost=True)
    jobs: Counter[int] = Counter()
    for job in History.read(database).jobs:
        task = TASK.match(job["prompt"])
        jobs.update([int(task.group(1))] if task else [])
    for number in feed.tasks:
        if jobs[number] != 1:
            text = f"task {number} became {jobs[number]} jobs"
            yield Finding("H2", text, lost=not jobs[number], doubled=jobs[number] > 1)


def unjoined(history: History) -> Iterator[Finding]:
    """A job with parts ends after them, and tells what each has found once."""
    for job in history.jobs:
        parts = [part for part in history.jobs if part["parent_id"] == job["id"]]
        told = Counter(JOINED.findall(str(job["result"])))
        if job["status"] != "done" or not parts:
            continue
        for part in parts:
            found = PART.findall(str(part["result"]))
            if history.ended(part["id"]) > history.ended(job["id"]):
                yield Finding("H11", f"job {job['id']} ended before its part {part['id']}")
            elif part["status"] == "done" and [told[name] for name in found] != [1]:
                text = f"job {job['id']} told {found} of part {part['id']} as {dict(told)}"
                yield Finding("H11", text, lost=not told, doubled=max(told.values(), default=0) > 1)


def _repeats(history: History, witness: Witness) -> tuple[int, int]:
    """Messages that arrived more than once, and those that only said they may have."""
    expected = Counter(history.messages())
    repeats = sum(
        max(0, witness.once[message] + witness.marked[message] - times)
        for message, times in expected.items()
    )
    return repeats, sum(witness.marked.values()) - repeats


def _fenced(campaign: "Campaign", events: list[dict[str, Any]]) -> int:
    """Frozen workers whose job was taken back while they slept."""
    robbed = {event["message"] for event in events if event["event"] == "rescued"}
    names = {f"{process.name}:{process.pid}:" for process, _ in campaign.zombies}
    return sum(any(worker.startswith(name) for worker in robbed) for name in names)


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []

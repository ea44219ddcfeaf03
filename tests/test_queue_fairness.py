"""Who is next: chats take turns, a limit for each chat, and kinds that wait.

As in test_queue_contract.py, a check that takes a queue and a clock and nothing else is run by
test_queue_mutants_control.py against broken queues too.
"""

import time
from collections import Counter
from datetime import timedelta
from typing import ClassVar

import pytest
from fakes import FakeClock, OpenStore, a_job, claimed, finish_and_claim, shell
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule
from queue_machine import QueueMachine

from bridge.clock import stamp
from bridge.errors import LeaseLost
from bridge.line import Claimant
from bridge.models import Job, JobStatus
from bridge.queue import Queue
from bridge.store import Tx

A, B = "w1:11:a", "w2:22:b"
MANY = 10_000
FILL = """
    INSERT INTO jobs (chat_id, prompt, kind, priority)
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count)
    SELECT :chat, 'Sing', :kind, 0 FROM n
"""
BREAKER = """
    INSERT INTO breakers (name, kind, failures, opened_at, open_until, reason)
    VALUES ('host:x', :kind, 5, '2026-11-22 07:29:00.000', :until, 'away')
"""


def fill(queue: Queue, count: int, *, chat: str = "7", kind: str = "other") -> None:
    """So many rows of one chat, by one statement in the shell."""
    shell(queue.store.path, FILL, count=count, chat=chat, kind=kind)


async def line_up(queue: Queue, count: int, by_hand: bool, *, chat: str) -> None:
    """So many jobs of one chat, one way or the other."""
    if by_hand:
        fill(queue, count, chat=chat)
    else:
        await queue.add_many([a_job(chat_id=chat) for _ in range(count)])


async def next_chats(queue: Queue, count: int, worker_id: str = A) -> str:
    """Whose jobs the next claims get, `-` for none: "787-"."""
    taken = [await queue.claim(worker_id) for _ in range(count)]
    return "".join(job.chat_id if job else "-" for job in taken)


def with_limit(queue: Queue, jobs: int) -> Queue:
    """The same queue, with so many jobs of one chat at once."""
    return Queue(store=queue.store, clock=queue.clock, chat_concurrency=jobs, jitter=lambda: 0.0)


async def claim_of(queue: Queue, *kinds: str, but: tuple[str, ...] = ()) -> str | None:
    """The kind of the job that a worker for these kinds gets."""
    job = await queue.claim(Claimant(worker_id=A, kinds=kinds, except_kinds=but))
    return job.kind if job else None


# --- chats take turns -----------------------------------------------------------------------------


async def test_chats_take_turns_and_each_is_first_in_first_out(
    queue: Queue, clock: FakeClock
) -> None:
    for chat_id, number in ("71", "72", "73", "81", "91", "92"):
        await queue.add(a_job(chat_id=chat_id, prompt=number))

    taken = [await queue.claim(A) for _ in range(6)]

    assert [job and job.chat_id + job.prompt for job in taken] == [
        *("71", "81", "91"),
        *("72", "92"),
        "73",
    ]


async def test_the_most_urgent_goes_first_whosever_turn_it_is(
    queue: Queue, clock: FakeClock
) -> None:
    for chat_id, priority in (("7", 0), ("8", 0), ("7", 5), ("7", 5), ("8", 5), ("9", -1)):
        await queue.add(a_job(chat_id=chat_id, priority=priority))

    assert await next_chats(queue, 6) == "787789"


@pytest.mark.parametrize("by_hand", [False, True], ids=["by the queue", "by hand"])
@pytest.mark.parametrize("claims", [0, 1, 5])
async def test_ten_thousand_jobs_of_one_chat_delay_another_by_two_claims_at_most(
    queue: Queue, clock: FakeClock, by_hand: bool, claims: int
) -> None:
    fill(queue, MANY)
    await next_chats(queue, claims)

    await line_up(queue, 1, by_hand, chat="8")

    assert "8" in await next_chats(queue, 3)


async def test_jobs_of_several_kinds_are_one_line_of_their_chat(
    queue: Queue, clock: FakeClock
) -> None:
    for kind in ("other", "browser", "code"):
        fill(queue, 1_000, kind=kind)
    await next_chats(queue, 5)

    await queue.add(a_job(chat_id="8", kind="mail"))

    assert "8" in await next_chats(queue, 3)


async def test_turns_go_on_when_the_queue_was_empty_in_between(
    queue: Queue, clock: FakeClock
) -> None:
    fill(queue, 5)
    fill(queue, 1, chat="8")
    assert "-" not in await next_chats(queue, 6)
    assert await next_chats(queue, 1) == "-"

    fill(queue, 1_000)
    await next_chats(queue, 3)
    await queue.add(a_job(chat_id="8"))
    await queue.add(a_job(chat_id="9"))

    assert set("89") <= set(await next_chats(queue, 4))


@pytest.mark.parametrize("by_hand", [False, True], ids=["by the queue", "by hand"])
async def test_newcomer_does_not_pass_who_has_waited_since_a_kind_was_paused(
    queue: Queue, clock: FakeClock, by_hand: bool
) -> None:
    await queue.add(a_job(kind="browser"))
    await queue.pause("browser")
    await line_up(queue, 40, by_hand, chat="8")
    await next_chats(queue, 20)

    await line_up(queue, 40, by_hand, chat="9")

    assert Counter(await next_chats(queue, 20)) == {"8": 10, "9": 10}


@pytest.mark.parametrize("by_hand", [False, True], ids=["by the queue", "by hand"])
async def test_newcomer_does_not_pass_others_when_an_old_job_came_back(
    queue: Queue, clock: FakeClock, by_hand: bool
) -> None:
    old = await claimed(queue, A)
    await line_up(queue, 40, by_hand, chat="8")
    await next_chats(queue, 20)
    await queue.give_back(old)

    await line_up(queue, 40, by_hand, chat="9")

    assert await next_chats(queue, 1) == "7"
    assert Counter(await next_chats(queue, 20)) == {"8": 10, "9": 10}


async def test_newcomer_does_not_pass_others_when_an_old_job_was_claimed_again(
    queue: Queue, clock: FakeClock
) -> None:
    old = await claimed(queue, A)
    await queue.add(a_job(kind="browser"))
    await queue.pause("browser")
    fill(queue, 40, chat="8")
    await next_chats(queue, 20)
    await queue.give_back(old)
    assert await next_chats(queue, 1) == "7"

    fill(queue, 40, chat="9")

    assert Counter(await next_chats(queue, 20)) == {"8": 10, "9": 10}


@pytest.mark.parametrize("by_hand", [False, True], ids=["by the queue", "by hand"])
async def test_newcomer_to_an_empty_line_does_not_pass_a_job_that_comes_back(
    queue: Queue, clock: FakeClock, by_hand: bool
) -> None:
    await line_up(queue, 20, by_hand, chat="8")
    await next_chats(queue, 19)
    last = await queue.claim(A)
    assert last is not None
    await line_up(queue, 40, by_hand, chat="9")

    await queue.give_back(last)

    assert await next_chats(queue, 1) == "8"


async def test_who_asks_for_one_job_after_the_other_does_not_keep_a_backlog_waiting(
    queue: Queue, clock: FakeClock
) -> None:
    fill(queue, 1, chat="6", kind="browser")
    await queue.pause("browser")
    fill(queue, 10)
    chats = ""
    for _ in range(8):
        await queue.add(a_job(chat_id="8"))
        chats += await next_chats(queue, 1)

    assert Counter(chats) == {"7": 4, "8": 4}


async def test_place_in_the_line_is_the_number_of_claims_before(
    queue: Queue, clock: FakeClock
) -> None:
    for chat_id, priority in (("7", 0), ("7", 0), ("7", 0), ("8", 0), ("8", 0), ("9", 5)):
        await queue.add(a_job(chat_id=chat_id, priority=priority))
    before = await queue.store.read(
        lambda tx: {number: place(tx, number, clock) for number in range(1, 7)}
    )

    taken = [await queue.claim(A) for _ in range(6)]

    assert [before[job.id] for job in taken if job] == [0, 1, 2, 3, 4, 5]


async def test_what_is_paused_or_keeps_failing_is_in_nobodys_way(
    queue: Queue, clock: FakeClock
) -> None:
    for kind in ("browser", "research", "other", "other"):
        await queue.add(a_job(kind=kind))
    await queue.pause("browser")
    until = stamp(clock.now() + timedelta(minutes=5))
    shell(queue.store.path, BREAKER, kind="research", until=until)

    async def places() -> list[int | None]:
        return await queue.store.read(
            lambda tx: [place(tx, number, clock) for number in range(1, 5)]
        )

    assert await places() == [None, None, 0, 1]
    clock.advance(301)
    assert await places() == [None, 0, 1, 2]
    await queue.pause("*")
    assert await places() == [None] * 4


def place(tx: Tx, number: int, clock: FakeClock) -> int | None:
    """How many start before it; None when it may not start."""
    found: int | None = tx.value("jobs_before", id=number, now=stamp(clock.now()))
    return found


@pytest.mark.parametrize("how", ["given back", "rescued", "failed once"])
async def test_job_that_comes_back_keeps_its_place(
    queue: Queue, clock: FakeClock, how: str
) -> None:
    job = await claimed(queue, A)
    fill(queue, 1_000)
    fill(queue, 10, chat="8")

    if how == "given back":
        await queue.give_back(job)
    elif how == "rescued":
        clock.advance(31)
        await queue.rescue(B)
    else:
        await queue.fail(job, "boom")
        clock.advance(2)

    again = await queue.claim(B)
    assert again is not None
    assert again.id == job.id


async def test_thousands_that_are_retried_do_not_push_in_front_of_others(
    queue: Queue, clock: FakeClock
) -> None:
    fill(queue, 2_000)
    shell(queue.store.path, "UPDATE jobs SET status = 'failed', turn = NULL")
    fill(queue, 3, chat="8")
    await next_chats(queue, 1)

    assert len(await queue.retry_all()) == 2_000

    assert Counter(await next_chats(queue, 4)) == {"7": 2, "8": 2}


async def test_retried_job_goes_to_the_end_of_its_chat(queue: Queue, clock: FakeClock) -> None:
    job = await claimed(queue, A)
    await queue.fail(job, "boom", again=False)
    fill(queue, 3)

    await queue.retry(job.id)

    taken = [await queue.claim(A) for _ in range(4)]
    assert [one and one.id for one in taken] == [2, 3, 4, job.id]


async def test_scheduled_job_takes_its_turn_when_it_is_due(queue: Queue, clock: FakeClock) -> None:
    early = await queue.add(a_job(run_at="2026-11-22 08:30:00.000"))
    fill(queue, 3)
    clock.advance(3600)

    taken = [await queue.claim(A) for _ in range(4)]

    assert taken[-1] is not None
    assert taken[-1].id == early.id


class FairMachine(RuleBasedStateMachine):
    """Chats with bursts of jobs, kinds that are paused, jobs that come back: nobody waits long."""

    CHATS: ClassVar = "6789"

    def __init__(self) -> None:
        super().__init__()
        self.base = QueueMachine()
        self.queue = Queue(store=self.base.store, clock=self.base.clock, jitter=lambda: 0.0)
        self.passed: dict[str, Counter[str]] = {}  # by chat that could be next: whose came first
        self.runs: list[Job] = []
        self.paused = False

    def teardown(self) -> None:
        self.base.teardown()

    @rule(chat=st.sampled_from(CHATS), count=st.sampled_from([1, 1, 2, 20]), slow=st.booleans())
    def add(self, chat: str, count: int, slow: bool) -> None:
        kind = "slow" if slow and chat == "6" else "quick"
        fill(self.queue, count, chat=chat, kind=kind)
        self.note_who_could_be_next()

    @rule(claims=st.integers(1, 12))
    def claim(self, claims: int) -> None:
        for _ in range(claims):
            job = self.base.run(self.queue.claim(A))
            if job is None:
                return
            self.runs.append(job)
            self.passed.pop(job.chat_id, None)
            if job.attempt == 1:
                for chat, others in self.passed.items():
                    others[job.chat_id] += 1
                    assert others[job.chat_id] <= 2, f"{job.chat_id} passed {chat} three times"
            self.note_who_could_be_next()

    @rule(number=st.integers(0, 30))
    def give_back(self, number: int) -> None:
        if self.runs:
            self.base.run(self.queue.give_back(self.runs.pop(number % len(self.runs))))
            self.note_who_could_be_next()

    @rule()
    def pause_or_resume(self) -> None:
        # Who was paused has waited: it may catch up, and is no measure for the others.
        if not self.paused:
            self.paused = True
            self.base.run(self.queue.pause("slow"))
            self.passed.pop("6", None)

    def note_who_could_be_next(self) -> None:
        """A chat that waits keeps its count; who has just begun to starts with none."""
        sql = "SELECT DISTINCT chat_id FROM jobs WHERE status = 'pending'"
        waiting = {row["chat_id"] for row in self.base.rows(sql)} - {"6"}
        self.passed = {chat: self.passed.get(chat, Counter()) for chat in waiting}


TestNobodyWaitsLong = FairMachine.TestCase
TestNobodyWaitsLong.settings = settings(
    max_examples=30,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


# --- a limit for each chat ------------------------------------------------------------------------


async def test_chat_that_runs_enough_is_passed_over(queue: Queue, clock: FakeClock) -> None:
    limited = with_limit(queue, 2)
    fill(queue, 5)
    fill(queue, 3, chat="8")

    assert await next_chats(limited, 6) == "7878--"


async def test_place_of_a_chat_is_free_again_when_its_job_has_ended(
    queue: Queue, clock: FakeClock
) -> None:
    limited = with_limit(queue, 1)
    fill(queue, 2)
    first = await limited.claim(A)
    assert first is not None
    assert await limited.claim(B) is None

    following = await finish_and_claim(limited, first, "42", A)

    assert following is not None
    assert following.id == 2


async def test_running_jobs_of_every_kind_count_for_the_limit(
    queue: Queue, clock: FakeClock
) -> None:
    limited = with_limit(queue, 2)
    for kind in ("browser", "code", "mail"):
        fill(queue, 1, kind=kind)

    assert await next_chats(limited, 3) == "77-"


async def best_claim_s(queue: Queue, who: Claimant, tries: int = 9) -> float:
    """Seconds of the quickest of some claims inside one transaction, all of them undone."""

    def claim(tx: Tx) -> float:
        started = time.perf_counter()
        queue.claim_in(tx, who)
        took = time.perf_counter() - started
        raise Undone(took)

    times = []
    for _ in range(tries):
        try:
            await queue.store.write(claim)
        except Undone as undone:
            times.append(undone.seconds)
    return min(times)


class Undone(Exception):
    """Rolls a claim back and tells how long it took."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds


@pytest.mark.parametrize("others", [0, 1], ids=["nothing else", "a job of another chat"])
async def test_claim_beside_a_chat_at_its_limit_does_not_walk_its_backlog(
    queue: Queue, clock: FakeClock, others: int
) -> None:
    limited = with_limit(queue, 1)
    fill(queue, 101)
    await limited.claim(A)
    if others:
        fill(queue, 1, chat="8")
    few = await best_claim_s(limited, Claimant(worker_id=A))

    fill(queue, 50_000)

    assert await best_claim_s(limited, Claimant(worker_id=A)) < 5 * few + 0.0005
    assert await next_chats(limited, 1) == ("8" if others else "-")


async def test_claim_beside_a_paused_kind_does_not_walk_its_backlog(
    queue: Queue, clock: FakeClock
) -> None:
    fill(queue, 100, kind="browser")
    fill(queue, 100, chat="8", kind="code")
    await queue.pause("browser")
    few = await best_claim_s(queue, Claimant(worker_id=A))

    fill(queue, 50_000, kind="browser")

    assert await best_claim_s(queue, Claimant(worker_id=A)) < 5 * few + 0.0005
    assert await claim_of(queue) == "code"


# --- kinds ----------------------------------------------------------------------------------------


async def test_worker_of_some_kinds_takes_only_those(queue: Queue, clock: FakeClock) -> None:
    for kind in ("other", "browser", "code"):
        await queue.add(a_job(kind=kind))

    assert await claim_of(queue, "code", "browser") == "browser"
    assert await claim_of(queue, "code", "browser") == "code"
    assert await claim_of(queue, "code", "browser") is None
    assert await claim_of(queue) == "other"


async def test_worker_leaves_kinds_that_have_workers_of_their_own(
    queue: Queue, clock: FakeClock
) -> None:
    for kind in ("browser", "browser", "other"):
        await queue.add(a_job(kind=kind))

    assert await claim_of(queue, but=("browser", "code")) == "other"
    assert await claim_of(queue, but=("browser", "code")) is None
    assert await claim_of(queue, "browser") == "browser"


async def test_job_from_behind_the_head_of_the_line_is_held_like_any_other(
    queue: Queue, clock: FakeClock
) -> None:
    await queue.add(a_job(kind="browser"))
    await queue.pause("browser")
    await queue.add(a_job())
    late = await queue.claim(A)
    assert late is not None
    assert (late.id, late.attempt, late.worker_id) == (2, 1, A)
    assert late.started_at == stamp(clock.now())
    clock.advance(29)
    assert await queue.rescue(B) == []
    clock.advance(2)
    assert [job.id for job in await queue.rescue(B)] == [2]
    shell(queue.store.path, "UPDATE jobs SET alone = 0")  # back into the line

    again = await queue.claim(A)

    assert again is not None
    assert (again.attempt, again.started_at) == (2, late.started_at)
    with pytest.raises(LeaseLost):
        await queue.finish(late, "late")
    assert await queue.rescue(B) == []
    assert (await queue.finish(again, "42")).result == "42"


async def test_best_of_several_lanes_is_taken(queue: Queue, clock: FakeClock) -> None:
    await queue.add(a_job(kind="browser", priority=9))
    for kind, chat_id, priority in (("code", "8", 1), ("code", "9", 2), ("mail", "5", 2)):
        await queue.add(a_job(kind=kind, chat_id=chat_id, priority=priority))

    taken = [await claim_of(queue, but=("browser",)) for _ in range(4)]

    assert taken == ["code", "mail", "code", None]


async def test_paused_kind_stays_where_it_is_until_it_is_resumed(
    queue: Queue, clock: FakeClock
) -> None:
    running = await claimed(queue, A, kind="browser")
    for kind in ("browser", "other"):
        await queue.add(a_job(kind=kind))
    await queue.pause("browser")
    await queue.pause("browser")

    assert [await claim_of(queue), await claim_of(queue)] == ["other", None]
    assert (await queue.finish(running, "42")).status is JobStatus.DONE

    assert await queue.resume("browser") is True
    assert await queue.resume("browser") is False
    assert await claim_of(queue) == "browser"


async def test_pause_of_all_stops_every_kind(queue: Queue, clock: FakeClock) -> None:
    await queue.add(a_job(kind="browser"))
    await queue.add(a_job())
    await queue.pause()

    assert await claim_of(queue) is None
    assert await claim_of(queue, "browser") is None
    assert await queue.resume("browser") is False

    assert await queue.resume() is True
    assert await claim_of(queue) == "browser"


@pytest.mark.parametrize("name", ["'", '"', "a]", "*'", "ë – 🚲"])
async def test_kind_may_have_any_name(queue: Queue, clock: FakeClock, name: str) -> None:
    fill(queue, 1, kind=name)  # a hand may write anything

    assert await claim_of(queue, but=(name,)) is None
    await queue.pause(name)
    assert await claim_of(queue, name) is None
    await queue.resume(name)
    assert await claim_of(queue, name) == name


@pytest.mark.parametrize(("kind", "waiting"), [("browser", ["other", None]), ("*", [None, None])])
async def test_open_breaker_keeps_its_kind_waiting_until_its_time(
    queue: Queue, clock: FakeClock, kind: str, waiting: list[str | None]
) -> None:
    await queue.add(a_job(kind="browser"))
    await queue.add(a_job())
    shell(queue.store.path, BREAKER, kind=kind, until="2026-11-22 07:31:00.000")

    assert [await claim_of(queue), await claim_of(queue)] == waiting

    clock.advance(60)
    assert await claim_of(queue) == "browser"


async def test_only_one_job_tries_when_the_time_of_a_breaker_is_over(
    queue: Queue, clock: FakeClock
) -> None:
    fill(queue, 3)
    shell(queue.store.path, BREAKER, kind="*", until="2026-11-22 07:30:00.000")

    assert await next_chats(queue, 2) == "7-"


# --- when to look again ---------------------------------------------------------------------------


async def test_next_look_is_when_the_first_scheduled_job_is_due(
    queue: Queue, clock: FakeClock
) -> None:
    assert await queue.next_look_at() is None
    for minute in (40, 35):
        await queue.add(a_job(run_at=f"2026-11-22 07:{minute}:00.000"))

    assert await queue.next_look_at() == "2026-11-22 07:35:00.000"
    clock.advance(300)
    assert await queue.claim(A) is not None
    assert await queue.next_look_at() == "2026-11-22 07:40:00.000"


async def test_next_look_is_when_a_breaker_lets_one_try(queue: Queue, clock: FakeClock) -> None:
    await queue.add(a_job(run_at="2026-11-22 07:40:00.000"))
    shell(queue.store.path, BREAKER, kind="other", until="2026-11-22 07:31:00.000")

    assert await queue.next_look_at() == "2026-11-22 07:31:00.000"


@pytest.mark.parametrize("jobs", [0, 1], ids=["no jobs", "a paused job"])
async def test_next_look_never_stays_in_the_past(queue: Queue, clock: FakeClock, jobs: int) -> None:
    """A worker that is told a time in the past looks again at once, and again, and again."""
    shell(queue.store.path, BREAKER, kind="*", until="2026-11-22 07:29:30.000")
    if jobs:
        await queue.add(a_job(run_at=stamp(clock.now())))
        await queue.add(a_job(run_at="2026-11-22 07:30:01.000"))
        await queue.pause()
        clock.advance(2)

    assert await queue.claim(A) is None

    assert await queue.next_look_at() is None


async def test_pause_of_all_is_seen_before_a_claim_begins(queue: Queue, clock: FakeClock) -> None:
    fill(queue, 1)

    async def may_begin() -> bool:
        now = stamp(clock.now())
        return bool(await queue.store.read(lambda tx: tx.value("claimable", now=now)))

    assert await may_begin()
    await queue.pause()
    assert not await may_begin()


async def test_kind_that_is_no_text_stops_no_claim(queue: Queue, clock: FakeClock) -> None:
    fill(queue, 1)
    shell(queue.store.path, "INSERT INTO queues VALUES (x'ff00', '2026-11-22 07:30:00.000')")

    assert await next_chats(queue, 1) == "7"


async def test_waiting_for_a_paused_kind_writes_nothing(
    queue: Queue, clock: FakeClock, open_store: OpenStore
) -> None:
    fill(queue, 3)
    await queue.pause()
    onlooker = await open_store()
    before = await onlooker.data_version()

    assert await next_chats(queue, 3) == "---"

    assert await onlooker.data_version() == before


@pytest.mark.parametrize("in_a_lane", [False, True])
async def test_breaker_that_a_wrong_clock_opened_in_the_future_stops_nothing(
    queue: Queue, in_a_lane: bool
) -> None:
    shell(
        queue.store.path,
        "INSERT INTO breakers VALUES ('model', '*', 5, '2027-11-22 07:30:00.000', "
        "'2027-11-22 07:31:00.000', 'overloaded')",
    )
    if in_a_lane:
        await queue.add(a_job(kind="browser"))
        await queue.pause("browser")
    await queue.add(a_job())

    assert await claim_of(queue) == "other"
    assert await queue.next_look_at() is None


async def test_very_many_jobs_that_are_due_at_once_join_the_line_in_slices(
    queue: Queue, clock: FakeClock
) -> None:
    shell(
        queue.store.path,
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) "
        "INSERT INTO jobs (chat_id, prompt, status, run_at) "
        "SELECT '7', 'x', 'scheduled', '2026-11-22 07:30:00.' || printf('%03d', i) FROM n",
    )
    clock.advance(60)

    taken = [await queue.claim(A) for _ in range(500)]

    assert [job.id if job else None for job in taken] == list(range(1, 501))

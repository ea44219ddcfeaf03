"""What keeps failing is left alone for a while; jobs that need it wait, and the owner is told."""

import asyncio
import fcntl
import json
import math
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from blank import lay
from breaking import OWNER
from fakes import FakeClock, OpenStore, a_job, shell
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge import people
from bridge.breaker import EVERY_KIND, MODEL, Breaker, probe
from bridge.clock import moment, stamp
from bridge.queue import Queue
from bridge.store import Store
from bridge.telegram.texts import LANGUAGES, say

HERE = Path(__file__).parent
IN_MEMORY = Path("/dev/shm")  # durability is not what is tested here
HOST = "host:api.example.org"
WAITS = [30, 60, 120, 120, 120]
A, B = "w1:11:a", "w2:22:b"


@pytest.fixture
def breaker(store: Store, clock: FakeClock) -> Breaker:
    return Breaker(store, clock, frozenset({OWNER}))


async def fail(breaker: Breaker, times: int = 1, retry_after_s: float | None = None) -> None:
    """The model did not answer so many times."""
    for _ in range(times):
        await breaker.failed(MODEL, EVERY_KIND, "Overloaded", retry_after_s)


async def passes(queue: Queue, **changes: Any) -> bool:
    """May one more job be claimed? It goes on running, as a real one would."""
    await queue.add(a_job(**changes))
    return await queue.claim(A) is not None


def told(store: Store) -> list[str]:
    """What the owner was told, oldest first."""
    sql = f"SELECT payload FROM deliveries WHERE kind = 'alert' AND chat_id = '{OWNER}' ORDER BY id"
    return [json.loads(row["payload"])["alert"] for row in shell(store.path, sql)]


def row(store: Store) -> dict[str, Any]:
    """The one row there is."""
    (only,) = shell(store.path, "SELECT * FROM breakers")
    return only


def shut_s(store: Store, clock: FakeClock) -> float:
    """How many seconds it stays shut."""
    return (moment(row(store)["open_until"]) - clock.now()).total_seconds()


@contextmanager
def no_writing(store: Store) -> Iterator[None]:
    """Another process is in its transaction; it ends with this block."""
    gate = os.open(f"{store.path}.gate", os.O_RDWR)
    fcntl.flock(gate, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(gate)


async def race(program: str, database: Path, *arguments: Sequence[str]) -> list[Any]:
    """Start one process for each list of arguments, let them go at once: what each printed."""
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            str(HERE / program),
            str(database),
            *each,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        for each in arguments
    ]
    for process in processes:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
    outputs = await asyncio.gather(*(process.communicate(b"go\n") for process in processes))
    assert [process.returncode for process in processes] == [0] * len(processes)
    return [json.loads(stdout or b"null") for stdout, _ in outputs]


# --- opening --------------------------------------------------------------------------------------


async def test_four_failures_stop_nothing(queue: Queue, breaker: Breaker) -> None:
    await fail(breaker, 4)

    assert await passes(queue)
    assert told(queue.store) == []


async def test_the_fifth_failure_in_a_row_opens_it(queue: Queue, breaker: Breaker) -> None:
    await fail(breaker, 5)

    assert not await passes(queue)
    assert told(queue.store) == ["breaker_opened"]


async def test_a_success_between_begins_the_count_again(queue: Queue, breaker: Breaker) -> None:
    await fail(breaker, 4)
    await breaker.succeeded(MODEL, EVERY_KIND)
    await fail(breaker, 4)

    assert await passes(queue)
    assert told(queue.store) == []


async def test_failures_of_all_processes_count_together(
    open_store: OpenStore, clock: FakeClock
) -> None:
    stores = [await open_store(), await open_store()]
    breakers = [Breaker(store, clock, frozenset({OWNER})) for store in stores]
    await fail(breakers[0], 2)
    await fail(breakers[1], 3)

    assert not await passes(Queue(store=stores[0], clock=clock))


async def test_it_stays_open_when_everything_is_started_again(
    open_store: OpenStore, clock: FakeClock
) -> None:
    before = await open_store()
    await fail(Breaker(before, clock, frozenset({OWNER})), 5)
    await before.close()

    after = await open_store()

    assert not await passes(Queue(store=after, clock=clock))
    clock.advance(30)
    assert await passes(Queue(store=after, clock=clock))


async def test_a_job_that_runs_when_it_opens_goes_on(queue: Queue, breaker: Breaker) -> None:
    await queue.add(a_job())
    job = await queue.claim(A)
    assert job is not None

    await fail(breaker, 5)

    assert (await queue.finish(job, "42")).result == "42"


async def test_failures_of_one_host_stop_only_the_jobs_that_need_it(
    queue: Queue, breaker: Breaker
) -> None:
    for _ in range(5):
        await breaker.failed(HOST, "research", "503")

    assert not await passes(queue, kind="research")
    assert await passes(queue, kind="code")
    assert told(queue.store) == ["host_opened"]


async def test_failures_of_two_hosts_do_not_add_up(queue: Queue, breaker: Breaker) -> None:
    for name in (HOST, "host:example.net"):
        for _ in range(4):
            await breaker.failed(name, "research", "503")

    assert await passes(queue, kind="research")


async def test_the_shell_sees_what_is_open_the_longest_first(
    store: Store, breaker: Breaker, clock: FakeClock
) -> None:
    for name in (MODEL, HOST):
        for _ in range(5):
            await breaker.failed(name, EVERY_KIND, "503")
        clock.advance(1)
    await breaker.failed("host:example.net", EVERY_KIND, "503")

    rows = await store.read(lambda tx: tx.all("open_breakers"))

    assert [(row["name"], row["failures"], row["reason"]) for row in rows] == [
        (MODEL, 5, "503"),
        (HOST, 5, "503"),
    ]


# --- how long -------------------------------------------------------------------------------------


async def test_it_stays_shut_for_half_a_minute(
    queue: Queue, breaker: Breaker, clock: FakeClock
) -> None:
    await fail(breaker, 5)

    clock.advance(29.999)
    assert not await passes(queue)
    clock.advance(0.001)
    assert await passes(queue)


async def test_every_failed_probe_doubles_the_wait_up_to_two_minutes(
    queue: Queue, breaker: Breaker, clock: FakeClock
) -> None:
    await fail(breaker, 5)

    opened_at = row(queue.store)["opened_at"]

    waits = []
    for _ in WAITS:
        waits.append(shut_s(queue.store, clock))
        clock.advance(waits[-1])
        assert await passes(queue)
        await fail(breaker)

    assert waits == WAITS
    assert row(queue.store)["opened_at"] == opened_at
    assert told(queue.store) == ["breaker_opened"]


async def test_jobs_that_fail_after_it_opened_do_not_double_the_wait(
    store: Store, breaker: Breaker, clock: FakeClock
) -> None:
    await fail(breaker, 5)
    clock.advance(1)
    await fail(breaker, 8)

    assert shut_s(store, clock) == 30
    assert told(store) == ["breaker_opened"]


@pytest.mark.parametrize(
    ("asked_s", "waits_s"),
    [(90, 90), (5, 30), (0, 30), (-1, 30), (7200, 3600), (math.inf, 3600), (math.nan, 30)],
)
async def test_the_wait_the_other_side_asks_for_is_kept_to_an_hour(
    store: Store, breaker: Breaker, clock: FakeClock, asked_s: float, waits_s: float
) -> None:
    await fail(breaker, 4)
    await fail(breaker, 1, retry_after_s=asked_s)

    assert shut_s(store, clock) == waits_s


async def test_a_breaker_that_a_wrong_clock_opened_in_the_future_opens_now(
    store: Store, queue: Queue, breaker: Breaker, clock: FakeClock
) -> None:
    await fail(breaker, 5)
    clock.jump(-86_400)
    assert await passes(queue)

    await fail(breaker)

    assert not await passes(queue)
    assert shut_s(store, clock) == 30


async def test_a_later_failure_never_makes_a_wait_shorter(
    store: Store, breaker: Breaker, clock: FakeClock
) -> None:
    await fail(breaker, 5, retry_after_s=600)
    clock.advance(10)
    await fail(breaker)

    assert shut_s(store, clock) == 590


# --- trying again ---------------------------------------------------------------------------------


async def test_one_job_tries_and_the_others_wait_for_it(
    queue: Queue, breaker: Breaker, clock: FakeClock
) -> None:
    await fail(breaker, 5)
    clock.advance(31)

    assert [await passes(queue) for _ in range(5)] == [True, False, False, False, False]


async def test_a_job_that_fails_whenever_it_tries_does_not_try_for_all_others_for_ever(
    queue: Queue, breaker: Breaker, clock: FakeClock
) -> None:
    await queue.add(a_job(prompt="too large for this account"))
    await queue.add_many([a_job() for _ in range(3)])
    await fail(breaker, 5)
    tried = []

    for _ in range(3):
        clock.advance(130)
        job = await queue.claim(A)
        assert job is not None
        tried.append(job.id)
        if job.id == 1:
            await fail(breaker)
            await queue.give_back(job, wait_s=60)

    assert tried == [1, 2, 3]


async def test_a_prober_that_says_nothing_holds_the_others_up_for_a_minute(
    queue: Queue, breaker: Breaker, clock: FakeClock
) -> None:
    await fail(breaker, 5)
    clock.advance(31)
    assert await passes(queue)

    clock.advance(59.999)
    assert not await passes(queue)
    clock.advance(0.001)
    assert [await passes(queue) for _ in range(3)] == [True, False, False]


async def test_a_claim_of_another_kind_is_no_probe(
    queue: Queue, breaker: Breaker, clock: FakeClock
) -> None:
    for _ in range(5):
        await breaker.failed(HOST, "research", "503")
    clock.advance(31)

    assert await passes(queue, kind="code")
    assert await passes(queue, kind="research")


async def test_a_probe_while_it_is_shut_changes_nothing(store: Store, breaker: Breaker) -> None:
    await fail(breaker, 5)
    before = row(store)

    await store.write(lambda tx: probe(tx, "other", before["opened_at"]))

    assert row(store) == before


async def test_a_claim_while_nothing_is_open_changes_no_breaker(
    queue: Queue, breaker: Breaker
) -> None:
    await fail(breaker, 4)
    before = row(queue.store)

    assert await passes(queue)

    assert row(queue.store) == before


async def test_of_many_processes_exactly_one_gets_a_job_to_try(
    queue: Queue, breaker: Breaker
) -> None:
    for number in range(20):
        await queue.add(a_job(prompt=str(number)))
    await fail(breaker, 5)  # by a clock of the past: its wait is over for real processes
    shell(queue.store.path, "UPDATE breakers SET open_until = '2001-01-01 00:00:00.000'")

    claims = await race("claim_all.py", queue.store.path, [A], [B], ["w3:33:c"])

    assert sorted(len(ids) for ids in claims) == [0, 0, 1]


# --- closing --------------------------------------------------------------------------------------


async def test_a_success_closes_it_and_all_go_on(
    queue: Queue, breaker: Breaker, clock: FakeClock
) -> None:
    await fail(breaker, 5)
    clock.advance(31)
    assert await passes(queue)

    await breaker.succeeded(MODEL, EVERY_KIND)
    await breaker.succeeded(MODEL, EVERY_KIND)

    assert [await passes(queue) for _ in range(3)] == [True, True, True]
    assert told(queue.store) == ["breaker_opened", "breaker_closed"]


async def test_workers_are_woken_when_it_closes(
    open_store: OpenStore, store: Store, breaker: Breaker
) -> None:
    await fail(breaker, 5)
    waiting = await open_store()
    waiting.wake.listen("worker-1")

    await breaker.succeeded(MODEL, EVERY_KIND)

    assert await waiting.wake.wait(2)


async def test_an_old_call_that_ends_well_does_not_close_it(
    queue: Queue, breaker: Breaker, clock: FakeClock
) -> None:
    """Who is overloaded refuses new calls and finishes old ones."""
    began = stamp(clock.now())
    clock.advance(1)
    await fail(breaker, 5)

    await breaker.succeeded(MODEL, EVERY_KIND, began)
    assert not await passes(queue)
    assert told(queue.store) == ["breaker_opened"]

    await breaker.succeeded(MODEL, EVERY_KIND, stamp(clock.now()))
    assert await passes(queue)
    assert told(queue.store) == ["breaker_opened", "breaker_closed"]


async def test_a_success_of_one_thing_says_nothing_of_another(
    queue: Queue, breaker: Breaker
) -> None:
    await fail(breaker, 5)
    await breaker.failed(HOST, EVERY_KIND, "503")

    await breaker.succeeded(HOST, EVERY_KIND)

    assert not await passes(queue)


async def test_a_success_when_nothing_has_failed_waits_for_no_writer(
    store: Store, breaker: Breaker
) -> None:
    with no_writing(store):
        await asyncio.wait_for(breaker.succeeded(MODEL, EVERY_KIND), 2)


async def test_opened_again_it_begins_with_half_a_minute_and_is_told_again(
    queue: Queue, breaker: Breaker, clock: FakeClock
) -> None:
    await fail(breaker, 5)
    clock.advance(31)
    assert await passes(queue)
    await fail(breaker)
    await breaker.succeeded(MODEL, EVERY_KIND)
    clock.advance(1)

    await fail(breaker, 5)

    assert shut_s(queue.store, clock) == 30
    assert told(queue.store) == ["breaker_opened", "breaker_closed", "breaker_opened"]


# --- telling --------------------------------------------------------------------------------------


async def test_two_processes_that_open_and_close_it_tell_once(store: Store) -> None:
    await race("breaking.py", store.path, ["failed"], ["failed"])
    assert told(store) == ["breaker_opened"]
    assert row(store)["failures"] == 5

    await race("breaking.py", store.path, ["succeeded"], ["succeeded"])
    assert told(store) == ["breaker_opened", "breaker_closed"]


async def test_the_second_of_two_that_saw_it_open_does_not_close_it_again(
    open_store: OpenStore, clock: FakeClock
) -> None:
    stores = [await open_store(), await open_store()]
    breakers = [Breaker(store, clock, frozenset({OWNER})) for store in stores]
    await fail(breakers[0], 5)

    with no_writing(stores[0]):
        closing = [
            asyncio.create_task(breaker.succeeded(MODEL, EVERY_KIND)) for breaker in breakers
        ]
        await asyncio.sleep(0)  # both have asked …
        for store in stores:
            await store.read(lambda _tx: None)  # … and were answered, each by the same thread
    await asyncio.gather(*closing)

    assert told(stores[0]) == ["breaker_opened", "breaker_closed"]


async def test_an_owner_by_claim_is_told_too(
    store: Store, breaker: Breaker, clock: FakeClock
) -> None:
    code = await store.write(lambda tx: people.new_claim(tx, clock.now()))
    await store.write(lambda tx: people.claim(tx, code, 22, "Ben", "nl", clock.now()))

    await fail(breaker, 5)

    rows = shell(store.path, "SELECT chat_id FROM deliveries WHERE kind = 'alert'")
    assert sorted(row["chat_id"] for row in rows) == [str(OWNER), "22"]


@pytest.mark.parametrize("language", LANGUAGES)
async def test_the_owner_reads_what_does_not_answer_and_why(
    store: Store, breaker: Breaker, language: str
) -> None:
    for name in (MODEL, HOST):
        for _ in range(5):
            await breaker.failed(name, EVERY_KIND, "Overloaded,\n\ud800 try {later}" + 300 * "!")
        await breaker.succeeded(name, EVERY_KIND)

    rows = shell(store.path, "SELECT payload FROM deliveries WHERE kind = 'alert' ORDER BY id")
    alerts = [json.loads(row["payload"]) for row in rows]
    texts = [say(language, f"alert_{alert['alert']}", **alert["values"]) for alert in alerts]

    assert len(texts) == 4
    assert ["api.example.org" in text for text in texts] == [False, False, True, True]
    assert ["Overloaded, ? try {later}!!!" in text for text in texts] == [True, False, True, False]
    assert not any("host:" in text for text in texts)
    assert max(len(text) for text in texts) < 350


# --- all of it beside a model of it ---------------------------------------------------------------


@dataclass(kw_only=True)
class Expected:
    """What one breaker should be; times are seconds since the test began."""

    failures: int = 0
    probes: int = 0
    opened_at: float | None = None
    open_until: float = 0.0
    told: list[str] = field(default_factory=list)

    def failed(self, now: float, asked_s: float) -> None:
        if self.opened_at is None:
            self.failures += 1
            if self.failures < 5:
                return
            self.opened_at, self.probes, self.open_until = now, 0, 0.0
            self.told.append("breaker_opened")
        wait_s = max(WAITS[min(self.probes, len(WAITS) - 1)], min(asked_s, 3600))
        self.open_until = max(self.open_until, now + wait_s)

    def succeeded(self, began: float) -> None:
        if self.opened_at is not None:
            if began < self.opened_at:
                return
            self.told.append("breaker_closed")
        self.failures, self.opened_at = 0, None

    def claimed(self, now: float) -> bool:
        if self.opened_at is None:
            return True
        if now < self.open_until:
            return False
        self.probes += 1
        self.open_until = now + 60
        return True


STEPS = st.one_of(
    st.tuples(st.just("fail"), st.sampled_from([0, 0, 0, 45, 9999])),
    st.tuples(st.just("fails"), st.integers(1, 6)),
    st.tuples(st.just("succeed"), st.sampled_from([0, 0, 5, 40])),  # so long ago it began
    st.tuples(st.just("claim"), st.just(0)),
    st.tuples(st.just("pass"), st.sampled_from([1, 29, 30, 59, 61, 600])),
)


async def play(folder: Path, steps: list[tuple[str, int]]) -> None:
    lay(folder / "kitt.db")
    store = await Store.open(folder / "kitt.db", folder / "run")
    clock, now, expected = FakeClock(), 0.0, Expected()
    breaker, queue = Breaker(store, clock, frozenset({OWNER})), Queue(store=store, clock=clock)
    begin = clock.now()
    for what, number in steps:
        if what == "fail":
            await fail(breaker, 1, number)
            expected.failed(now, number)
        elif what == "fails":
            await fail(breaker, number)
            for _ in range(number):
                expected.failed(now, 0)
        elif what == "succeed":
            began = stamp(begin.fromtimestamp(begin.timestamp() + now - number, begin.tzinfo))
            await breaker.succeeded(MODEL, EVERY_KIND, began)
            expected.succeeded(now - number)
        elif what == "claim":
            assert await passes(queue) == expected.claimed(now)
        passed = float(number) if what == "pass" else 0.5
        clock.advance(passed)
        now += passed

        shown = shell(store.path, "SELECT * FROM breakers")
        assert len(shown) == (expected.failures > 0)
        if expected.opened_at is not None:
            open_until = (moment(shown[0]["open_until"]) - begin).total_seconds()
            assert open_until == expected.open_until
        assert told(store) == expected.told
    await store.close()


@settings(max_examples=150, deadline=None)
@given(st.lists(STEPS, max_size=30))
def test_no_order_of_failures_successes_claims_and_time_breaks_it(
    steps: list[tuple[str, int]],
) -> None:
    in_memory = str(IN_MEMORY) if IN_MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="kitt-breaker-", dir=in_memory) as folder:
        asyncio.run(play(Path(folder), steps))

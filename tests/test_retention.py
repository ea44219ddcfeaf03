"""What is old goes, whatever is still needed stays, and nobody waits for it."""

import asyncio
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Awaitable, Callable
from contextlib import closing
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from blank import lay
from fakes import START, FakeClock, OpenStore, a_job, claimed, shell

from bridge import proposals
from bridge.clock import stamp
from bridge.conversation import Message, append, job_conversation
from bridge.errors import StoreBusy
from bridge.models import Job
from bridge.prices import Usage
from bridge.queue import Queue
from bridge.received import Sent, keep
from bridge.retention import EVERY_S, JOBS_SLICE, PAGES_KEPT, PAGES_SLICE, SLICE, Retention
from bridge.schedules import NewSchedule
from bridge.store import Store, Tx
from bridge.usage import account

DAY_S = 86_400.0
TABLES = ("jobs", "job_events", "job_files", "cards", "messages", "tool_calls", "conversations")


class House:
    """A queue, the folders of its jobs, and the retention that clears them."""

    def __init__(self, queue: Queue, clock: FakeClock, jobs_dir: Path) -> None:
        self.queue, self.store, self.clock, self.jobs_dir = queue, queue.store, clock, jobs_dir
        self.retention = self.another()

    def another(self, *, keep_days: int = 90, keep_jobs: int = 1000) -> Retention:
        return Retention(
            store=self.store,
            clock=self.clock,
            jobs_dir=self.jobs_dir,
            files_dir=self.jobs_dir.parent / "files",
            keep_days=keep_days,
            keep_jobs=keep_jobs,
        )

    async def done(self, **changes: Any) -> Job:
        """A job that has ended, with everything it may leave behind, and told its user."""
        job = await claimed(self.queue, **changes)

        def leave(tx: Tx) -> None:
            name, now = job_conversation(job.id), stamp(self.clock.now())
            append(tx, name, Message(role="user", content=[]), now=now)
            tx.run("tool_call_started", conversation=name, id="1", name="write_file")
            tx.run("freeze", conversation=name, frozen="{}")
            tx.run("insert_file", job_id=job.id, path="a.md", name="a.md", caption="")

        await self.store.write(leave)
        folder = self.jobs_dir / str(job.id)
        folder.mkdir()
        (folder / "a.md").write_text("42")
        ended = await self.queue.finish(job, "There are 42.")
        shell(
            self.store.path,
            "INSERT INTO cards (job_id, message_id, final) VALUES (:id, 5, 1)",
            id=job.id,
        )
        sent = "UPDATE deliveries SET status = 'sent' WHERE dedupe_key GLOB :keys"
        shell(self.store.path, sent, keys=f"job:{job.id}:*")
        return ended

    def ids(self) -> list[int]:
        return [row["id"] for row in shell(self.store.path, "SELECT id FROM jobs ORDER BY id")]

    def rows(self, table: str) -> int:
        (row,) = shell(self.store.path, f"SELECT count(*) AS n FROM {table}")
        return int(row["n"])


@pytest.fixture
def house(queue: Queue, clock: FakeClock, memory: Path) -> House:
    (memory / "jobs").mkdir()
    return House(queue, clock, memory / "jobs")


async def clear(retention: Retention) -> int:
    """A whole pass; the number of its slices."""
    slices = 1
    while await retention.run() < EVERY_S:
        slices += 1
    return slices


async def test_files_of_people_go_when_they_are_old(house: House) -> None:
    files = house.jobs_dir.parent / "files"
    for number, days in ((1, 91), (2, 89)):
        sent = Sent(chat_id="7", message_id=number, name="a.md", media_type="text/plain")
        keep(files, sent, b"42")
        at = house.clock.now().timestamp() - days * DAY_S
        os.utime(files / "7" / f"{number}-a.md", (at, at))

    await clear(house.retention)

    assert [path.name for path in (files / "7").iterdir()] == ["2-a.md"]


async def test_old_job_goes_with_everything_it_left(house: House) -> None:
    await house.done()
    before = [house.rows(table) for table in TABLES]
    house.clock.advance(89 * DAY_S)
    await clear(house.retention)
    assert [house.rows(table) for table in TABLES] == before

    house.clock.advance(2 * DAY_S)
    await clear(house.retention)

    left = {table: house.rows(table) for table in TABLES}
    assert left == {**dict.fromkeys(TABLES, 0), "messages": 1}  # what its chat was told
    assert list(house.jobs_dir.iterdir()) == []


async def still_open_delivery(house: House) -> Job:
    job = await house.done()
    key = f"job:{job.id}:result:1"
    shell(house.store.path, "UPDATE deliveries SET status='held' WHERE dedupe_key=:k", k=key)
    return job


async def open_card(house: House) -> Job:
    job = await house.done()
    shell(house.store.path, "UPDATE cards SET final = 0 WHERE job_id = :id", id=job.id)
    return job


async def waited_for(house: House) -> Job:
    job = await house.done()
    child = await house.queue.add(a_job(run_at="2027-11-22 00:00:00.000"))
    await house.store.write(lambda tx: tx.run("insert_after", job_id=child.id, after_id=job.id))
    return job


async def parent(house: House) -> Job:
    job = await house.done()
    await house.queue.add(a_job(run_at="2027-11-22 00:00:00.000", parent_id=job.id))
    return job


async def not_ended(house: House) -> Job:
    return await house.queue.add(a_job(run_at="2027-11-22 00:00:00.000", max_age_s=None))


@pytest.mark.parametrize("make", [still_open_delivery, open_card, waited_for, parent, not_ended])
async def test_old_job_that_is_still_needed_stays(
    house: House, make: Callable[[House], Awaitable[Job]]
) -> None:
    needed = await make(house)
    other = await house.done()
    house.clock.advance(91 * DAY_S)

    await clear(house.retention)
    await clear(house.another(keep_jobs=1))

    assert needed.id in house.ids()
    assert other.id not in house.ids()
    assert (house.jobs_dir / str(needed.id)).exists() == needed.status.final


async def test_job_that_ended_lately_stays_however_old_it_is(house: House) -> None:
    job = await claimed(house.queue)
    house.clock.advance(91 * DAY_S)
    await house.queue.finish(job, "At last.")

    await clear(house.retention)

    assert house.ids() == [job.id]


async def test_each_chat_keeps_its_newest_ended_jobs(house: House) -> None:
    jobs = [await house.done(chat_id=chat) for chat in ("7", "8", "7", "7", "8", "7")]
    live = [await house.queue.add(a_job(chat_id="7")) for _ in range(5)]

    await clear(house.another(keep_jobs=2))

    kept = [jobs[1], jobs[3], jobs[4], jobs[5], *live]  # jobs that live do not count
    assert house.ids() == sorted(job.id for job in kept)


async def test_many_chats_are_all_looked_at(house: House) -> None:
    insert = (
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) "
        "INSERT INTO jobs (chat_id, prompt, status, completed_at) "
        "SELECT i % 250, 'x', 'done', '2026-11-22 07:00:00.000' FROM n"
    )
    shell(house.store.path, insert)

    await clear(house.another(keep_jobs=1))

    assert house.ids() == list(range(251, 501))


async def test_purge_goes_in_slices_and_gives_room_back(house: House) -> None:
    insert = (
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) "
        "INSERT INTO jobs (chat_id, prompt, status, created_at, completed_at, result) "
        "SELECT '7', 'x', 'done', '2026-01-01', '2026-01-02', hex(zeroblob(2500)) FROM n"
    )
    shell(house.store.path, insert)
    await house.store.checkpoint(truncate=True)
    pages = house.store.path.stat().st_size // 4096

    slices = await clear(house.retention)
    await house.store.checkpoint(truncate=True)

    assert house.ids() == []
    left = house.store.path.stat().st_size // 4096
    assert PAGES_KEPT < left < PAGES_KEPT + 100
    assert 0 <= slices - 3000 // JOBS_SLICE - (pages - left) // PAGES_SLICE < 5


async def test_handled_updates_and_sent_deliveries_and_old_usage_go(house: House) -> None:
    def fill(tx: Tx, days: int) -> None:
        now = stamp(house.clock.now() - timedelta(days=days))
        for number, state in enumerate(("new", "done", "refused", "quarantined")):
            tx.run("insert_update", update_id=10_000 - 10 * days + number, now=now, raw="{}")
            if state != "new":
                tx.run("update_over", update_id=10_000 - 10 * days + number, state=state, now=now)
        for number, status in enumerate(("ready", "sending", "held", "sent", "failed", "dropped")):
            key = f"{days}:{number}"
            values = {"chat_id": "7", "thread_id": 0, "kind": "notice", "payload": "{}"}
            delivery = tx.insert("insert_delivery", **values, dedupe_key=key, now=now)
            tx.run("delivery_over", id=delivery, status=status, error=None)
        then = house.clock.now() - timedelta(days=days)
        account(tx, conversation="chat:7:0", model="m", usage=Usage(input_tokens=1), now=then)

    for days in (401, 399, 91, 89):
        await house.store.write(lambda tx, days=days: fill(tx, days))  # type: ignore[misc]

    await clear(house.retention)

    def count(column: str, table: str) -> dict[str, int]:
        sql = f"SELECT {column} AS name, count(*) AS n FROM {table} GROUP BY 1"
        return {row["name"]: row["n"] for row in shell(house.store.path, sql)}

    assert count("state", "inbox") == {"new": 4, "done": 1, "refused": 1, "quarantined": 1}
    unsent = {"ready": 4, "sending": 4, "held": 4}
    assert count("status", "deliveries") == {**unsent, "sent": 1, "failed": 1, "dropped": 1}
    assert house.rows("usage") == 3


async def test_update_with_a_high_number_from_long_ago_goes(house: House) -> None:
    insert = (
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :rows) "
        "INSERT INTO inbox SELECT i, iif(i = :rows, '2026-01-01', '2026-11-22'), 'done', 0, 0, '' "
        "FROM n"
    )
    shell(house.store.path, insert, rows=3 * SLICE)

    await clear(house.retention)

    assert house.rows("inbox") == 3 * SLICE - 1


async def test_messages_no_model_is_shown_any_more_go_when_they_are_old(house: House) -> None:
    def say(tx: Tx, conversation: str) -> None:
        message = Message(role="user", content=[{"type": "text", "text": "Hello"}])
        append(tx, conversation, message, now=stamp(house.clock.now()))

    def forget(tx: Tx, conversation: str) -> None:
        tx.run("forget_conversation", conversation=conversation)

    for act, conversation in (
        *((say, "chat:7:0"), (forget, "chat:7:0"), (say, "chat:7:0")),  # the second is shown
        *((say, "chat:8:0"), (say, "job:5")),
        *((say, "chat:9:0"), (forget, "chat:9:0")),
    ):
        await house.store.write(partial(act, conversation=conversation))
    house.clock.advance(91 * DAY_S)
    await house.store.write(partial(say, conversation="chat:9:0"))
    await house.store.write(partial(forget, conversation="chat:9:0"))

    await clear(house.retention)

    left = shell(house.store.path, "SELECT id, conversation FROM messages ORDER BY id")
    assert [(row["id"], row["conversation"]) for row in left] == [
        *((2, "chat:7:0"), (3, "chat:8:0"), (4, "job:5"), (6, "chat:9:0")),
    ]


async def test_folder_a_killed_purge_left_goes(house: House) -> None:
    (house.jobs_dir / ".gone-9").mkdir()
    (house.jobs_dir / ".gone-9" / "a.md").write_text("42")
    (house.jobs_dir / "10").mkdir()

    await clear(house.retention)

    assert [folder.name for folder in house.jobs_dir.iterdir()] == ["10"]


async def test_a_tree_without_end_goes_too(house: House) -> None:
    folder = house.jobs_dir / ".gone-9"
    folder.mkdir()
    fd = os.open(folder, os.O_RDONLY)
    for _ in range(1_500):
        os.mkdir("d", dir_fd=fd)
        inner = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = inner
    os.fchmod(fd, 0)
    os.close(fd)
    try:
        await clear(house.retention)

        assert not folder.exists()
    finally:  # what is left would trouble every later run of the tests
        subprocess.run(["rm", "-rf", str(folder)], check=True)


async def test_what_a_browser_remembered_goes_with_the_need_for_it(house: House) -> None:
    ended = await house.done()
    waiting, patient = [await house.queue.add(a_job(prompt=word)) for word in ("a", "b")]
    kept = [house.jobs_dir / f"{job.id}.browser" for job in (ended, waiting, patient)]
    for path, days in zip(kept, (0, 13, 15), strict=True):
        path.write_text("cookies")
        written = (house.clock.now() - timedelta(days=days)).timestamp()
        os.utime(path, (written, written))

    await clear(house.retention)

    assert [path.exists() for path in kept] == [False, True, False]


async def test_workers_that_are_long_gone_are_forgotten(house: House) -> None:
    for name, state, days in (("a", "gone", 8), ("b", "gone", 6), ("c", "idle", 8)):
        shell(
            house.store.path,
            "INSERT INTO workers (id, slot, pid, host, state, started_at, beat_at) "
            "VALUES (:id, 'worker-1', 1, 'here', :state, '', :beat_at)",
            id=name,
            state=state,
            beat_at=stamp(house.clock.now() - timedelta(days=days)),
        )

    await clear(house.retention)

    left = shell(house.store.path, "SELECT id FROM workers")
    assert [row["id"] for row in left] == ["b", "c"]


async def test_nothing_is_written_while_nothing_is_old(house: House) -> None:
    await house.done()
    before = await house.store.data_version(), house.store.wal()

    await clear(house.retention)

    assert (await house.store.data_version(), house.store.wal()) == before


async def test_pass_that_fails_begins_anew(
    house: House, open_store: OpenStore, clock: FakeClock
) -> None:
    await house.done()
    clock.advance(91 * DAY_S)
    hurried = House(
        Queue(store=await open_store(busy_timeout_s=0.02), clock=clock), clock, house.jobs_dir
    )
    with closing(sqlite3.connect(house.store.path, isolation_level=None)) as person:
        person.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusy):
            await clear(hurried.retention)
    assert house.ids() == [1]

    await clear(hurried.retention)

    assert house.ids() == []


async def made_old(folder: Path) -> None:
    """Two jobs that have ended long ago, and something of the rest that goes."""
    clock = FakeClock()
    lay(folder / "kitt.db")
    store = await Store.open(folder / "kitt.db", folder / "run")
    (folder / "jobs").mkdir()
    house = House(Queue(store=store, clock=clock), clock, folder / "jobs")
    for _ in range(2):
        await house.done()
    await store.write(lambda tx: tx.run("update_over", update_id=1, state="done", now="2026"))
    await store.close()


async def clear_until(folder: Path, number: int) -> None:
    """A pass whose process ends, as if killed, before its n-th statement."""
    clock = FakeClock(START + timedelta(days=91))
    store = await Store.open(folder / "kitt.db", folder / "run")
    left = number

    def count(_statement: str) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os._exit(9)

    assert store._writer is not None
    await store._writer.set_trace_callback(count)
    await clear(House(Queue(store=store, clock=clock), clock, folder / "jobs").retention)
    os._exit(0)


def test_purge_killed_at_any_statement_leaves_whole_jobs(tmp_path: Path) -> None:
    asyncio.run(made_old(tmp_path))
    number = 0
    crashed = True
    while crashed:
        number += 1
        folder = tmp_path / str(number)
        folder.mkdir()
        shutil.copy(tmp_path / "kitt.db", folder)
        shutil.copytree(tmp_path / "jobs", folder / "jobs")
        pid = os.fork()
        if pid == 0:
            try:
                asyncio.run(clear_until(folder, number))
            finally:
                os._exit(1)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        assert code in (0, 9)
        crashed = code == 9

        counts = {table: count(folder, table) for table in TABLES}
        jobs = counts["jobs"]
        assert counts == {
            **dict.fromkeys(TABLES, jobs),
            "job_events": 3 * jobs,
            "messages": 2 + jobs,
        }
        assert crashed or jobs == 0
        asyncio.run(clear_in(folder))
        assert count(folder, "jobs") == 0
        assert list((folder / "jobs").iterdir()) == []
    assert number > 15


def count(folder: Path, table: str) -> int:
    (row,) = shell(folder / "kitt.db", f"SELECT count(*) AS n FROM {table}")
    return int(row["n"])


async def clear_in(folder: Path) -> None:
    """A whole pass of the next process."""
    clock = FakeClock(START + timedelta(days=91))
    store = await Store.open(folder / "kitt.db", folder / "run")
    await clear(House(Queue(store=store, clock=clock), clock, folder / "jobs").retention)
    await store.close()


async def test_old_proposal_goes_and_what_it_became_stays(house: House) -> None:
    new = NewSchedule(chat_id="7", prompt="The news", every_s=3600)

    def save(tx: Tx) -> None:
        now = house.clock.now()
        proposals.save(tx, proposals.propose(tx, new, source="update:1:p0", now=now), now=now)

    await house.store.write(save)
    house.clock.advance(89 * DAY_S)
    await clear(house.retention)
    assert house.rows("proposals") == 1

    house.clock.advance(2 * DAY_S)
    await clear(house.retention)

    assert (house.rows("proposals"), house.rows("schedules")) == (0, 1)

"""The queue bench measures what it says: equal jobs, equal durability, ratios of one round."""

import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from bench.queue_flat import flatness
from bench.queue_kitt import Kitt
from bench.queue_peers import PEERS
from bench.queue_process import REPOSITORY
from bench.queue_rates import Rounds, add_one, drain_one
from bench.queue_waits import waits
from bench.slow_disk import slower_syncs

LIBRARIES = {"Huey": "huey", "persist-queue": "persistqueue", "litequeue": "litequeue"}
PRAGMAS = {"FULL": 2, "NORMAL": 1}


def opened(name: str, folder: Path, sync: str) -> Any:
    """A peer; each class has constructors of its own."""
    return PEERS[name](folder, sync)


def connection_of(peer: Any) -> Any:
    """The connection a peer writes with."""
    if hasattr(peer, "_storage"):
        return peer._storage.conn
    if hasattr(peer, "_app"):
        return peer._app.storage.conn
    if hasattr(peer, "_connection"):
        return peer._connection
    return getattr(peer._queue, "conn", None) or peer._queue._putter


@pytest.mark.parametrize("name", LIBRARIES)
async def test_a_peer_hands_out_each_job_once_and_finishes_it(name: str, tmp_path: Path) -> None:
    peer: Any = opened(name, tmp_path, "FULL")
    await peer.fill(3)
    await peer.add(3)
    assert [await peer.next() for _ in range(5)] == [0, 1, 2, 3, None]
    if name == "persist-queue":
        assert (peer._queue.acked_count(), peer._queue.unack_count()) == (4, 0)
    elif name == "litequeue":
        done = peer._queue.conn.execute("SELECT status, count(*) FROM Queue GROUP BY status")
        assert [tuple(row) for row in done.fetchall()] == [(2, 4)]
    elif name == "Huey":
        storage = peer._app.storage
        assert (storage.queue_size(), storage.result_store_size()) == (0, 4)
    else:
        assert peer._storage.queue_size() == 0
    await peer.close()


@pytest.mark.parametrize("sync", PRAGMAS)
@pytest.mark.parametrize("name", PEERS)
async def test_every_peer_waits_for_the_disk_as_it_is_told(
    name: str, sync: str, tmp_path: Path
) -> None:
    peer = opened(name, tmp_path, sync)
    if name in LIBRARIES:
        await peer.fill(2)  # which does not wait, and must not leave it so
    level = connection_of(peer).execute("PRAGMA synchronous").fetchone()[0]
    mode = connection_of(peer).execute("PRAGMA journal_mode").fetchone()[0]
    await peer.close()
    assert (level, mode) == (PRAGMAS[sync], "wal")


@pytest.mark.parametrize("chats", [False, True])
async def test_kitt_works_its_jobs_off_through_the_real_queue(chats: bool, tmp_path: Path) -> None:
    kitt = await Kitt.open(tmp_path, "FULL", slot="worker-1", chats=chats)
    await kitt.fill(2)
    await kitt.add(2)
    assert sorted([await kitt.next() or 0 for _ in range(3)]) == [0, 1, 2]
    assert await kitt.next() is None
    assert {job.status.value for job in await kitt.queue.jobs()} == {"done"}
    await kitt.close()


async def test_kitt_says_when_each_commit_had_returned(tmp_path: Path) -> None:
    kitt = await Kitt.open(tmp_path, "FULL", slot="bench")
    for number in range(3):
        before = time.monotonic()
        assert before < await kitt.add(number) < time.monotonic()
    await kitt.close()


def test_a_ratio_is_taken_within_its_round() -> None:
    rounds = Rounds()
    for ours, theirs in ((10, 1), (20, 10), (30, 10)):
        rounds.note("ours", ours)
        rounds.note("theirs", theirs)
    assert rounds.ratio("ours", "theirs") == 3  # of 10, 2 and 3; the medians' own would be 2


def test_two_processes_drain_everything_once() -> None:
    found = drain_one("KITT", 20)
    assert (found["twice"], found["never"]) == (0, 0)
    assert found["rate"] > 0


def test_a_wait_begins_with_the_commit_and_ends_with_the_claim() -> None:
    assert all(0 < took < 5 for took in waits("kitt", 3))


def test_the_flatness_of_a_small_table_is_measured_in_every_place() -> None:
    rows = flatness(rounds=1, jobs=5, finished=20, crowd=20)
    assert len(rows) == 6
    assert rows[-1]["value"] == 2
    assert all(row["value"] > 0 for row in rows)


def test_a_slower_disk_makes_every_durable_job_wait_for_it() -> None:
    with slower_syncs(10) as possible:
        slow = add_one("control", 20)
    assert possible == any(map(shutil.which, ("cc", "gcc")))
    assert slow < 100 or not possible


def test_the_module_does_not_hide_the_standard_librarys_queue() -> None:
    lines = "import bench.queue, queue; assert hasattr(queue, 'SimpleQueue')"
    for words in (["-c", lines], ["-m", "bench.queue", "--help"]):
        done = subprocess.run([sys.executable, *words], cwd=REPOSITORY, stdout=subprocess.DEVNULL)
        assert done.returncode == 0

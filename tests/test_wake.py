"""Hints between processes: they arrive, they never raise, and a missing one harms nobody."""

import asyncio
import resource
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bridge.wake import Wake

SEND_FROM_ANOTHER_PROCESS = """
import sys
from pathlib import Path
from bridge.wake import Wake
Wake(Path(sys.argv[1])).nudge(sys.argv[2])
"""


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """The folder of sockets."""
    folder = tmp_path / "run"
    folder.mkdir()
    return folder


@pytest.fixture
async def sender(run_dir: Path) -> AsyncIterator[Wake]:
    """A process that only sends."""
    wake = Wake(run_dir)
    yield wake
    wake.close()


@pytest.fixture
async def worker(run_dir: Path) -> AsyncIterator[Wake]:
    """A process that listens as `worker-1`."""
    wake = Wake(run_dir)
    wake.listen("worker-1")
    yield wake
    wake.close()


@contextmanager
def no_free_descriptor() -> Iterator[None]:
    """Nothing can be opened."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_hint_wakes_the_listener(sender: Wake, worker: Wake) -> None:
    sender.nudge("worker-1")

    assert await worker.wait(5)


async def test_hint_of_another_process_wakes_the_listener(worker: Wake, run_dir: Path) -> None:
    command = [sys.executable, "-c", SEND_FROM_ANOTHER_PROCESS, str(run_dir), "worker"]

    await asyncio.to_thread(subprocess.run, command, check=True, timeout=30)

    assert await worker.wait(5)


async def test_hint_sent_before_the_wait_is_not_lost(sender: Wake, worker: Wake) -> None:
    sender.nudge("worker-1")
    await asyncio.sleep(0.01)

    assert await worker.wait(0.5)


async def test_prefix_reaches_everyone_whose_name_starts_so(
    sender: Wake, worker: Wake, run_dir: Path
) -> None:
    second = Wake(run_dir)
    second.listen("worker-2")

    sender.nudge("worker")

    assert await worker.wait(5)
    assert await second.wait(5)
    second.close()


async def test_hint_for_others_wakes_nobody(sender: Wake, worker: Wake) -> None:
    sender.nudge("bridge")

    assert not await worker.wait(0.02)


async def test_listener_hears_its_own_hint(worker: Wake) -> None:
    worker.nudge("worker")

    assert await worker.wait(5)


async def test_many_hints_are_one_awakening(sender: Wake, worker: Wake) -> None:
    for _ in range(20):
        sender.nudge("worker")

    assert await worker.wait(5)
    assert not await worker.wait(0.02)


async def test_notify_wakes_the_own_waiter(sender: Wake) -> None:
    waiting = asyncio.create_task(sender.wait(5))
    await asyncio.sleep(0)

    sender.notify()

    assert await waiting


async def test_waiting_ends_without_a_hint(worker: Wake) -> None:
    assert not await worker.wait(0.01)


async def test_hint_reaches_a_listener_that_came_after_the_first_hint(
    sender: Wake, run_dir: Path
) -> None:
    for number in range(20):
        sender.nudge("late")
        late = Wake(run_dir)
        late.listen(f"late-{number}")
        sender.nudge("late")
        assert await late.wait(5)
        late.close()


async def test_full_mailbox_blocks_nobody(sender: Wake, worker: Wake) -> None:
    for _ in range(5_000):
        sender.nudge("worker")

    assert await worker.wait(5)


async def test_socket_of_a_dead_process_is_swept_away(sender: Wake, run_dir: Path) -> None:
    dead = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    dead.bind(str(run_dir / "worker-9.sock"))
    dead.close()

    sender.nudge("worker")

    assert not (run_dir / "worker-9.sock").exists()


async def test_successor_takes_over_the_name_of_a_killed_process(
    sender: Wake, run_dir: Path
) -> None:
    (run_dir / "worker-9.sock").touch()
    successor = Wake(run_dir)

    successor.listen("worker-9")
    sender.nudge("worker")

    assert await successor.wait(5)
    successor.close()


async def test_nudge_never_raises_for_what_lies_in_the_folder(sender: Wake, run_dir: Path) -> None:
    stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    stream.bind(str(run_dir / "odd-stream.sock"))
    stream.listen()
    (run_dir / "odd-folder.sock").mkdir()
    (run_dir / "odd-loop.sock").symlink_to("odd-loop.sock")
    listeners = [Wake(run_dir) for _ in range(8)]
    for number, listener in enumerate(listeners):
        listener.listen(f"odd-{number}")

    sender.nudge("odd")

    assert all([await listener.wait(5) for listener in listeners])
    assert (run_dir / "odd-stream.sock").exists()
    for listener in listeners:
        listener.close()
    stream.close()


async def test_nudge_never_raises_when_the_folder_is_gone(sender: Wake, run_dir: Path) -> None:
    shutil.rmtree(run_dir)

    sender.nudge("worker")

    assert not run_dir.exists()


async def test_nudge_never_raises_when_no_descriptor_is_free(sender: Wake, worker: Wake) -> None:
    with no_free_descriptor():
        sender.nudge("worker")

    assert not await worker.wait(0.02)


async def test_nudge_never_raises_after_the_end(run_dir: Path) -> None:
    wake = Wake(run_dir)
    wake.close()

    wake.nudge("worker")
    wake.close()


async def test_hint_may_come_from_any_thread(sender: Wake, worker: Wake) -> None:
    thread = threading.Thread(target=sender.nudge, args=("worker",))

    thread.start()

    assert await worker.wait(5)
    thread.join()


async def test_closing_removes_the_socket(run_dir: Path) -> None:
    wake = Wake(run_dir)
    wake.listen("bridge")
    assert (run_dir / "bridge.sock").is_socket()

    wake.close()

    assert list(run_dir.iterdir()) == []


async def test_folder_may_lie_deeper_than_a_socket_address_is_long(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    wake = Wake(deep)

    wake.listen("bridge")
    wake.nudge("bridge")

    assert await wake.wait(5)
    wake.close()

"""Faults that supervisord has to mend: killed, hung, too large, restarted, rebooted."""

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import history
import pytest
from stack import Stack, running, started
from waiting import until
from working import WROTE, pelicans

from bridge import supervision
from bridge.emulator.claude_faults import Fault
from bridge.emulator.script import Reply, Request

# Every process of the stack reads this first. Times are short, and a worker does on a signal what
# no worker should: USR1 takes 200 MB, USR2 stands still.
SITE = """
import signal, sys, time
if "-m" in sys.orig_argv and "worker" in sys.orig_argv:
    from bridge import watchdog, worker
    watchdog.LOOK_S, watchdog.HUNG_S, worker.DRAIN_S = 0.5, 3.0, 1.0
    held = []
    signal.signal(signal.SIGUSR1, lambda *_: held.append(b"x" * 200_000_000))
    signal.signal(signal.SIGUSR2, lambda *_: time.sleep(60))
"""


class Impatient(Stack):
    """A stack whose workers look after themselves 30 times as often."""

    @property
    def environ(self) -> dict[str, str]:
        site = self.folder / "site"
        site.mkdir(exist_ok=True)
        (site / "sitecustomize.py").write_text(SITE)
        return {**super().environ, "PYTHONPATH": str(site), "KITT_WORKER_MEMORY_MB": "200"}


class WithKinds(Stack):
    """A stack with one worker that takes jobs of one kind only, and one for the rest."""

    @property
    def environ(self) -> dict[str, str]:
        return {**super().environ, "KITT_KIND_WORKERS": "browser:1"}


@pytest.fixture
async def impatient(tmp_path: Path) -> AsyncIterator[Impatient]:
    stack = Impatient(tmp_path, chats=1, workers=1, concurrency=4)
    async with started(stack):
        yield stack


def check(kitt: Stack) -> None:
    history.check(kitt.database, kitt.telegram, kitt.claude.key)


def facts(kitt: Stack) -> list[tuple[str, int, int]]:
    """Status, attempts and failures of every job."""
    return [(job["status"], job["attempt"], job["failures"]) for job in kitt.jobs()]


def states(kitt: Stack) -> dict[str, str]:
    return {row.name: row.state for row in supervision.processes(kitt.settings)}


async def a_held_job(kitt: Stack) -> None:
    """A job that has two steps behind it and waits for the model."""
    kitt.claude.script.rules.insert(0, pelicans)
    kitt.claude.order(Fault(match=WROTE, hold="the answer"))
    kitt.telegram.send(1, "/bg Count the pelicans")
    await kitt.asked(WROTE)


async def another(kitt: Stack, program: str, old_pid: int, timeout_s: float) -> None:
    """Wait until another process runs in the place of this one."""

    async def there() -> bool:
        with suppress(AssertionError):  # between the two there is none
            return await kitt.pid(program) != old_pid
        return False

    await until(there, timeout_s)


async def test_up_right_after_a_killed_supervisord_runs_one_set_and_telegram_sees_no_two_bridges(
    kitt: Stack,
) -> None:
    await a_held_job(kitt)
    old = set(kitt.processes())
    known = len(kitt.telegram.calls("getUpdates"))

    await kitt.kill_supervisord()
    killed = time.monotonic()
    kitt.claude.release("the answer")
    await kitt.up()

    await until(lambda: not old & set(kitt.processes()))
    assert time.monotonic() - killed < 10
    await until(lambda: len(kitt.processes()) == 3)  # supervisord, one bridge, one worker
    await kitt.said(1, "There are 42 pelicans.")
    await kitt.settled()
    assert 409 not in [call.status for call in kitt.telegram.calls("getUpdates")[known:]]
    check(kitt)


async def test_restart_of_everything_under_load_uses_up_no_attempt(tmp_path: Path) -> None:
    async with running(tmp_path, chats=6, workers=2, concurrency=2) as kitt:
        for chat in range(1, 7):
            kitt.telegram.send(chat, f"/bg quick job {chat} sleep 1")
        await until(lambda: len(kitt.jobs("running")) == 4, 20)

        await asyncio.to_thread(supervision.restart, kitt.settings)

        for chat in range(1, 7):
            await kitt.said(chat, f"result {chat}")
        await kitt.settled()
        assert [(status, failures) for status, _, failures in facts(kitt)] == [("done", 0)] * 6
        assert set(states(kitt).values()) == {"RUNNING"}
        check(kitt)


async def test_after_a_reboot_every_running_job_is_taken_back_at_once(kitt: Stack) -> None:
    await a_held_job(kitt)
    await kitt.kill_supervisord()
    for pid in kitt.processes():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    await until(lambda: not kitt.processes())
    # Of another boot, by a worker there is no more, with a lease its clock would call valid.
    kitt.sql(
        "UPDATE jobs SET boot_id = 'the one before', lease_until = 1e12, worker_id = 'worker-7:1:a'"
    )
    kitt.claude.release("the answer")
    started = time.monotonic()

    await kitt.up()

    await kitt.asked(WROTE, times=2)
    assert time.monotonic() - started < 10
    await kitt.said(1, "There are 42 pelicans.")
    await kitt.settled()
    assert facts(kitt) == [("done", 2, 0)]
    check(kitt)


async def test_a_job_that_kills_its_worker_is_set_aside_and_stops_no_other(tmp_path: Path) -> None:
    async with running(tmp_path, chats=2, workers=2, concurrency=4) as kitt:

        def poison(request: Request) -> Reply | None:
            if not request.is_worker or "poison" not in request.first_user_text:
                return None
            (job,) = kitt.sql("SELECT worker_id FROM jobs WHERE chat_id = '1'")
            os.kill(int(job["worker_id"].split(":")[1]), signal.SIGKILL)
            return Reply("never heard")

        kitt.claude.script.rules.insert(0, poison)
        kitt.telegram.send(1, "/bg take this poison")
        await kitt.asked("poison")
        for number in range(6):
            kitt.telegram.send(2, f"/bg quick job {number} sleep 0.2")

        await kitt.said(1, "❌ #1 failed (3 attempts)")
        for number in range(6):
            await kitt.said(2, f"result {number}")
        await kitt.settled()
        ends = Counter((job["status"], job["failures"]) for job in kitt.jobs())
        assert ends == {("failed", 3): 1, ("done", 0): 6}  # those that ran beside it are not blamed
        told = [message.text for message in kitt.telegram.messages(1) if message.from_bot]
        assert len([text for text in told if text.startswith("❌ #1 failed (")]) == 1
        await until(lambda: set(states(kitt).values()) == {"RUNNING"})
        assert not list((kitt.database.parent / "run" / "alerts").glob("*"))
        check(kitt)


async def test_a_worker_asked_to_end_finishes_its_job_first(kitt: Stack) -> None:
    await a_held_job(kitt)
    pid = await kitt.pid("kitt-worker-1")

    os.kill(pid, signal.SIGTERM)
    await until(lambda: kitt.sql("SELECT * FROM workers WHERE state = 'draining'"))
    kitt.sql("INSERT INTO jobs (chat_id, prompt) VALUES ('1', 'quick job 1')")
    kitt.claude.release("the answer")

    await kitt.said(1, "There are 42 pelicans.")
    await kitt.said(1, "result 1")
    await kitt.settled()
    assert facts(kitt) == [("done", 1, 0), ("done", 1, 0)]
    first, second = [int(str(job["worker_id"]).split(":")[1]) for job in kitt.jobs()]
    assert (first == pid, second == pid) == (True, False)  # it takes nothing new
    check(kitt)


async def test_a_worker_asked_twice_gives_its_job_back_at_once(kitt: Stack) -> None:
    await a_held_job(kitt)
    pid = await kitt.pid("kitt-worker-1")
    asked = time.monotonic()

    os.kill(pid, signal.SIGTERM)
    await until(lambda: kitt.sql("SELECT * FROM workers WHERE state = 'draining'"))
    os.kill(pid, signal.SIGTERM)  # not before: a signal that is still pending is the same one
    await another(kitt, "kitt-worker-1", pid, 10)
    await kitt.asked(WROTE, times=2)

    assert time.monotonic() - asked < 5
    await kitt.said(1, "There are 42 pelicans.")
    await kitt.settled()
    assert facts(kitt) == [("done", 2, 0)]
    check(kitt)


async def test_a_worker_that_has_grown_too_large_is_renewed_without_a_failure(
    impatient: Impatient,
) -> None:
    kitt = impatient
    await a_held_job(kitt)
    bridge, pid = await kitt.pid("kitt-bridge"), await kitt.pid("kitt-worker-1")

    os.kill(pid, signal.SIGUSR1)
    await another(kitt, "kitt-worker-1", pid, 15)
    await kitt.asked(WROTE, times=2)

    await kitt.said(1, "There are 42 pelicans.")
    await kitt.settled()
    assert facts(kitt) == [("done", 2, 0)]
    assert await kitt.pid("kitt-bridge") == bridge
    log = (kitt.settings.log_dir / "kitt-worker-1.log").read_text()
    assert "MB is more than KITT_WORKER_MEMORY_MB, 200: draining" in log
    assert not [m for m in kitt.telegram.messages(1) if "⚠️" in m.text]
    check(kitt)


async def test_a_worker_that_hangs_is_replaced_and_its_owner_is_told(impatient: Impatient) -> None:
    kitt = impatient
    await a_held_job(kitt)
    pid = await kitt.pid("kitt-worker-1")

    os.kill(pid, signal.SIGUSR2)
    await another(kitt, "kitt-worker-1", pid, 15)
    await kitt.asked(WROTE, times=2)

    await kitt.said(1, "⚠️ worker-1 stood still for 3 s and was replaced")
    await kitt.said(1, "There are 42 pelicans.")
    await kitt.settled()
    assert facts(kitt) == [("done", 2, 1)]
    log = (kitt.settings.log_dir / "kitt-worker-1.log").read_text()
    assert 'sitecustomize.py", line 8 in <lambda>' in log
    check(kitt)


async def test_a_worker_for_a_kind_takes_nothing_else_and_the_others_leave_it_alone(
    tmp_path: Path,
) -> None:
    kitt = WithKinds(tmp_path, chats=1, workers=1, concurrency=1)
    async with started(kitt):

        def add(kind: str) -> None:
            insert = "INSERT INTO jobs (chat_id, prompt, kind) VALUES ('1', 'quick job 1', :kind)"
            kitt.sql(insert, kind=kind)

        await asyncio.to_thread(supervision.stop, kitt.settings, ["worker-1"])
        for kind in ("other", "browser"):
            add(kind)
        await until(lambda: kitt.jobs("done"), 20)
        assert [job["kind"] for job in kitt.jobs("pending")] == ["other"]
        await asyncio.to_thread(supervision.stop, kitt.settings, ["worker-browser-1"])
        add("browser")
        await asyncio.to_thread(supervision.start, kitt.settings, ["worker-1"])
        await until(lambda: len(kitt.jobs("done")) == 2, 20)

        assert [job["kind"] for job in kitt.jobs("pending")] == ["browser"]
        slots = [str(job["worker_id"]).split(":")[0] for job in kitt.jobs("done")]
        assert slots == ["worker-1", "worker-browser-1"]

"""`kitt status`: what runs, what each worker does, what waits; readable in 80 columns."""

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from fakes import shell
from terminal import Terminal

from bridge.supervision_status import ProcessInfo, table

TITLE = "Compare twenty-three electric bicycles under two thousand euros with a table"


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path)


def status(terminal: Terminal) -> str:
    """What is printed when supervisord does not run."""
    done = terminal.kitt("status")
    assert (done.code, done.err) == (3, "")
    assert max(map(len, done.out.splitlines()[1:])) <= 80, done.out
    return done.out


def works(terminal: Terminal, slot: str = "worker-1", *, job: int | None = None) -> None:
    """A worker that lives (it is this test), and maybe what it does."""
    worker_id = f"{slot}:{os.getpid()}:n"
    shell(
        terminal.database,
        "INSERT INTO workers (id, slot, pid, host, state, started_at, beat_at) VALUES "
        "(:id, :slot, :pid, :host, 'busy', datetime('now'), datetime('now')) "
        "ON CONFLICT DO NOTHING",
        id=worker_id,
        slot=slot,
        pid=os.getpid(),
        host=socket.gethostname(),
    )
    if job is not None:
        shell(
            terminal.database,
            "UPDATE jobs SET status = 'running', worker_id = :id, progress = 45, "
            "started_at = datetime('now'), step = :step WHERE id = :job",
            id=worker_id,
            job=job,
            step="reading page 3 of a very long list of pages about bicycles",
        )


def test_each_worker_is_shown_with_its_jobs_and_their_steps(terminal: Terminal) -> None:
    for _ in range(2):
        assert terminal.kitt("queue", "add", TITLE).code == 0
    works(terminal, job=1)
    works(terminal, job=2)
    works(terminal, "worker-browser-1")

    lines = status(terminal).splitlines()

    first = [line for line in lines if line.startswith("worker-1  ")]
    assert first[0].startswith("worker-1          #1 45% Compare twenty-three")
    assert "… – reading page 3" in first[0]
    assert any(line.startswith(" " * 18 + "#2 45% Compare") for line in lines)
    assert any(line.startswith("worker-browser-1  ") for line in lines)
    assert "Jobs: 2 running" in lines


def test_jobs_that_wait_without_a_worker_are_pointed_out(terminal: Terminal) -> None:
    terminal.kitt("queue", "add", "Sing")
    shell(terminal.database, "UPDATE jobs SET created_at = datetime('now', '-65 seconds')")

    said = status(terminal)

    assert "Jobs: 1 pending\nThe oldest pending job waits 0:01:0" in said
    assert "\n! No worker is alive and 1 job waits" in said


def test_kind_whose_own_workers_are_gone_is_pointed_out(terminal: Terminal) -> None:
    terminal.kitt("queue", "add", "Sing", "--kind", "browser")
    works(terminal)
    own = {"KITT_KIND_WORKERS": "browser:1"}
    sentence = (
        "No worker takes kind browser: `kitt start worker-browser-1` or `kitt scale browser=1`."
    )

    said = terminal.kitt("status", **own)

    assert f"\n! {sentence}\n" in said.out
    assert terminal.json("queue", "stats", **own)["warnings"] == [sentence]
    monitor = terminal.start("queue", "monitor", "--json", **own)
    try:
        assert monitor.stdout is not None
        assert json.loads(monitor.stdout.readline())["warnings"] == [sentence]
    finally:
        monitor.kill()
        monitor.communicate()
    assert "No worker" not in status(terminal)


def test_a_title_cannot_move_the_cursor(terminal: Terminal) -> None:
    terminal.kitt("queue", "add", "red \x1b[31m and\nmore")
    works(terminal, job=1)

    assert "\x1b" not in status(terminal)


def test_with_json_it_has_everything(terminal: Terminal) -> None:
    terminal.kitt("queue", "add", TITLE)
    works(terminal, job=1)

    done = terminal.kitt("status", "--json")

    found: dict[str, Any] = json.loads(done.out)
    assert done.code == 3
    assert found["processes"] == []
    assert found["jobs"]["running"] == 1
    assert found["oldest_pending"] is None
    (job,) = found["running"]
    assert (job["id"], job["title"], job["worker"]) == (1, TITLE, "worker-1")
    assert job["step"].startswith("reading page 3")
    assert found["workers"][0]["jobs"] == [1]


def row(name: str, *, state: str = "STARTING", end: str = "") -> ProcessInfo:
    """A process that has been running for more than a year."""
    return ProcessInfo(
        name=name,
        state=state,
        pid=4_194_304,
        uptime_s=400 * 86_400,
        restarts=1_234,
        cpu_s=123_456.7,
        pss_mb=1_024.5,
        exit=end,
    )


def test_the_table_of_processes_fits_into_80_columns_however_long_they_run() -> None:
    end = "a setting or file is wrong (exit 78): see `kitt logs x`"
    rows = [row("supervisord"), row("kitt-worker-browser-10", end=end)]

    lines = table(rows).splitlines()

    assert max(map(len, lines)) <= 80
    assert "400d 0h" in lines[1]
    assert lines[3] == f"  {end}"


def test_what_may_be_spent_is_said(terminal: Terminal) -> None:
    terminal.kitt("queue", "add", "Sing")

    assert "Budget: $ 0.00 of $ 10.00 used today; a person $ 5.00, a job $ 1.00." in status(
        terminal
    )

"""The `kitt` command in a real terminal: what it teaches, and how it says what is wrong."""

import asyncio
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from fakes import shell
from terminal import KEY, TOKEN, Terminal
from waiting import until

from bridge import __version__
from bridge.emulator.claude import ClaudeEmulator
from bridge.process import SlotLock
from bridge.settings import VARIABLES

PROGRAMS = [("bridge",), ("worker",), ("up",)]


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path)


# --- teaching -------------------------------------------------------------------------------------


def test_help_says_what_there_is_and_where_to_begin(terminal: Terminal) -> None:
    done = terminal.kitt("--help")

    assert done.code == 0
    for command in ("bridge", "worker", "setup", "doctor", "demo", "up", "down", "status", "queue"):
        assert f"\n    {command} " in done.out
    assert "make demo" in done.out


@pytest.mark.parametrize("program", ["bridge", "worker"])
def test_help_of_a_program_lists_every_variable_with_its_default(
    terminal: Terminal, program: str
) -> None:
    done = terminal.kitt(program, "--help")

    assert done.code == 0
    for name, (default, meaning) in VARIABLES.items():
        (line,) = [line for line in done.out.splitlines() if line.startswith(f"  {name} ")]
        assert meaning in line
        assert default in line


@pytest.mark.parametrize(
    "command",
    [
        *("setup", "doctor", "demo", "up", "down", "status", "logs", "start", "stop", "restart"),
        *("scale", "startup", "backup", "restore", "queue", "schedule"),
    ],
)
def test_every_command_has_help(terminal: Terminal, command: str) -> None:
    assert terminal.kitt(command, "--help").out.startswith(f"usage: kitt {command} ")


def test_version_is_that_of_the_package(terminal: Terminal) -> None:
    assert terminal.kitt("--version").out == f"kitt {__version__}\n"


def test_no_command_shows_what_there_is(terminal: Terminal) -> None:
    done = terminal.kitt()

    assert done.code == 0
    assert "kitt up" in done.out


@pytest.mark.parametrize(
    "arguments",
    [("dance",), ("scale",), ("scale", "two"), ("logs", "-n", "-5"), ("demo", "--port", "99999")],
)
def test_wrong_command_shows_how_it_is_used(terminal: Terminal, arguments: tuple[str, ...]) -> None:
    done = terminal.kitt(*arguments)

    assert done.code == 2
    assert done.err.startswith("usage: kitt")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("logs", "-n", "abc"), "argument -n/--lines: 'abc' is not a whole number"),
        (("logs", "-n", "-5"), "argument -n/--lines: -5 is less than 0"),
        (("prove", "--kills", "abc"), "argument --kills: 'abc' is not a whole number"),
        (("demo", "--port", "99999"), "argument --port: 99999 is more than 65535"),
        (("worker", "--kinds", "a,*"), "argument --kinds: 'a,*' is no list of kinds such as"),
        (("queue", "add", "x", "--in", "abc"), "argument --in: 'abc' is not a number of seconds"),
        (("queue", "add", "x", "--priority", "9" * 10), "argument --priority: 9999999999 is too"),
        (("queue", "show", "abc"), "argument ID: 'abc' is not a whole number"),
    ],
)
def test_wrong_value_is_said_without_names_of_the_program(
    terminal: Terminal, arguments: tuple[str, ...], sentence: str
) -> None:
    assert f" error: {sentence}" in terminal.kitt(*arguments).err


# --- output ---------------------------------------------------------------------------------------


def shell_line(terminal: Terminal, line: str) -> tuple[int, str]:
    """Run `kitt` with this in a shell; its code and what stands on its standard error."""
    done = subprocess.run(
        ["/bin/sh", "-c", f'"{sys.executable}" -m bridge {line}'],
        cwd=terminal.folder,
        env=terminal.environ(),
        stderr=subprocess.PIPE,
        text=True,
        timeout=40,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("command", ["queue add Sing", "queue list", "status"])
def test_output_that_cannot_be_written_is_one_sentence(terminal: Terminal, command: str) -> None:
    terminal.kitt("queue", "add", "Dance " * 3000)

    code, err = shell_line(terminal, f"{command} >/dev/full")

    sentence = "kitt: The output cannot be written (No space left on device): what was done stands."
    assert (code, err) == (1, f"{sentence}\n")


def test_output_that_nobody_reads_is_no_error(terminal: Terminal) -> None:
    terminal.make()

    code, err = shell_line(terminal, "queue list | true")

    assert (code, err) == (0, "")


@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"])
def test_closed_output_does_not_keep_a_command_from_its_work(
    terminal: Terminal, closed: str
) -> None:
    assert shell_line(terminal, f"queue add Sing {closed}") == (0, "")

    assert shell(terminal.database, "SELECT prompt FROM jobs") == [{"prompt": "Sing"}]


# --- settings -------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [*PROGRAMS, ("queue", "list"), ("status",), ("down",)])
def test_unknown_setting_is_named(terminal: Terminal, command: tuple[str, ...]) -> None:
    sentence = terminal.refused(78, *command, KITT_WORKRES="3")

    assert sentence.startswith("KITT_WORKRES is not a setting of KITT")
    assert "KITT_WORKERS" in sentence


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KITT_WORKERS", "many"),
        ("KITT_WORKERS", "-1"),
        ("KITT_WORKERS", "65"),
        ("KITT_WORKER_CONCURRENCY", "0"),
        ("KITT_LEASE_S", "0.5"),
        ("KITT_LEASE_S", "nan"),
        ("KITT_OWNER", "anna"),
        ("TELEGRAM_BASE_URL", "ftp://example.com/bot"),
        ("ANTHROPIC_BASE_URL", "http://127.0.0.1:8000/v1"),
    ],
)
def test_value_that_cannot_be_is_refused_with_its_name(
    terminal: Terminal, name: str, value: str
) -> None:
    sentence = terminal.refused(78, "worker", **{name: value})

    assert sentence.startswith(f"{name} ")
    assert repr(value) in sentence


@pytest.mark.parametrize("command", [("bridge",), ("up",)])
def test_missing_token_is_said_with_what_to_do(
    terminal: Terminal, command: tuple[str, ...]
) -> None:
    sentence = terminal.refused(78, *command, TELEGRAM_BOT_TOKEN="")

    assert sentence == "TELEGRAM_BOT_TOKEN is not set: run `kitt setup`, or set it in .env."


@pytest.mark.parametrize("command", PROGRAMS)
def test_missing_key_is_said_with_what_to_do(terminal: Terminal, command: tuple[str, ...]) -> None:
    sentence = terminal.refused(78, *command, ANTHROPIC_API_KEY="")

    assert sentence == "ANTHROPIC_API_KEY is not set: run `kitt setup`, or set it in .env."


def test_token_that_cannot_be_one_is_refused_without_showing_it(terminal: Terminal) -> None:
    sentence = terminal.refused(78, "bridge", TELEGRAM_BOT_TOKEN="abc-def-ghi")

    assert "does not look like a bot token" in sentence
    assert "abc-def-ghi" not in sentence


@pytest.mark.parametrize("slot", ["0", "1000", "-1"])
def test_slot_that_cannot_be_is_refused(terminal: Terminal, slot: str) -> None:
    assert terminal.refused(78, "worker", "--slot", slot) == "--slot must be from 1 to 999."


def test_supervised_program_with_a_wrong_setting_stays_long_enough_to_be_seen(
    terminal: Terminal,
) -> None:
    program = terminal.start("worker", "--supervised", ANTHROPIC_API_KEY="")

    _, err = program.communicate(timeout=10)

    assert program.returncode == 78
    assert err.decode().count("\n") == 1


# --- .env -----------------------------------------------------------------------------------------


def _readable_by_all(env: Path) -> None:
    env.write_text(f"TELEGRAM_BOT_TOKEN={TOKEN}\n")
    env.chmod(0o644)


def _folder(env: Path) -> None:
    env.mkdir(mode=0o700)


def _binary(env: Path) -> None:
    env.write_bytes(b"TELEGRAM_BOT_TOKEN=\xff\xfe")
    env.chmod(0o600)


def _no_assignment(env: Path) -> None:
    env.write_text(f"# mine\n{TOKEN}\n")
    env.chmod(0o600)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (_readable_by_all, "run `chmod 600 .env`"),
        (_folder, ".env cannot be read (Is a directory)"),
        (_binary, ".env cannot be read (it is not UTF-8 text)"),
        (_no_assignment, ".env, line 2: expected NAME=value."),
    ],
)
def test_env_file_that_cannot_be_trusted_is_refused(
    terminal: Terminal, make: Callable[[Path], None], sentence: str
) -> None:
    make(terminal.folder / ".env")

    assert sentence in terminal.refused(78, "bridge")
    assert sentence in terminal.refused(78, "queue", "list")


def test_env_file_is_read_and_the_environment_wins(terminal: Terminal) -> None:
    env = terminal.folder / ".env"
    env.write_text(f"KITT_PROFILE={terminal.folder}/from-the-file\nKITT_WORKERS=3\n")
    env.chmod(0o600)

    assert terminal.kitt("queue", "add", "Sing").code == 0
    assert terminal.kitt("queue", "add", "Sing", KITT_PROFILE="").code == 0

    assert terminal.database.exists()
    assert (terminal.folder / "from-the-file" / "memory" / "kitt.db").exists()


# --- the profile ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "below"),
    [(("bridge",), ""), (("worker",), "deeper"), (("up",), ""), (("queue", "add", "Sing"), "")],
)
def test_file_in_place_of_the_profile_is_refused(
    terminal: Terminal, command: tuple[str, ...], below: str
) -> None:
    (terminal.folder / "file").write_text("mine")

    sentence = terminal.refused(78, *command, KITT_PROFILE=str(terminal.folder / "file" / below))

    assert "a file is in its place" in sentence
    assert (terminal.folder / "file").read_text() == "mine"


def test_profile_that_cannot_be_written_is_refused(terminal: Terminal) -> None:
    """/proc denies even root."""
    sentence = terminal.refused(78, "queue", "add", "Sing", KITT_PROFILE="/proc/kitt")

    assert "/proc/kitt" in sentence


@pytest.mark.parametrize(
    "command",
    [
        *(("queue", "list"), ("queue", "show", "1"), ("queue", "stats"), ("queue", "monitor")),
        *(("schedule", "list"), ("schedule", "show", "1"), ("status",)),
    ],
)
def test_who_only_looks_at_a_mistyped_profile_makes_nothing(
    terminal: Terminal, command: tuple[str, ...]
) -> None:
    sentence = terminal.refused(78, *command, KITT_PROFILE=f"{terminal.folder}/proflie")

    assert sentence.startswith(f"There is no database at {terminal.folder}/proflie/memory/kitt.db")
    assert "set KITT_PROFILE" in sentence
    assert list(terminal.folder.iterdir()) == []


# --- the database ---------------------------------------------------------------------------------


@pytest.fixture
def made(terminal: Terminal) -> Path:
    """A database with one job in it, in one file."""
    assert terminal.kitt("queue", "add", "Sing").code == 0
    with closing(sqlite3.connect(terminal.database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return terminal.database


@pytest.mark.parametrize(
    "command", [("bridge",), ("worker",), ("queue", "list"), ("status",), ("up", "--detach")]
)
def test_newer_database_is_left_as_it_is(
    terminal: Terminal, made: Path, command: tuple[str, ...]
) -> None:
    shell(made, "PRAGMA user_version = 99")
    before = made.read_bytes()

    assert "was made by a newer KITT" in terminal.refused(78, *command)

    assert made.read_bytes() == before


@pytest.mark.parametrize(
    "command", [("bridge",), ("worker",), ("queue", "list"), ("queue", "add", "x"), ("status",)]
)
def test_file_that_is_no_database_is_left_as_it_is(
    terminal: Terminal, made: Path, command: tuple[str, ...]
) -> None:
    made.write_bytes(b"no database at all" * 1_000)

    assert "is damaged" in terminal.refused(78, *command)

    assert made.read_bytes() == b"no database at all" * 1_000


@pytest.mark.parametrize(
    "command", [("bridge",), ("worker",), ("queue", "add", "x"), ("status",), ("up", "--detach")]
)
def test_nothing_starts_on_a_database_that_was_emptied(
    terminal: Terminal, made: Path, command: tuple[str, ...]
) -> None:
    made.write_bytes(b"")
    (made.parent / "jobs" / "1").mkdir()

    assert "is empty and was in use before" in terminal.refused(78, *command)

    assert made.stat().st_size == 0


def test_bridge_does_not_start_on_a_damaged_database(terminal: Terminal, made: Path) -> None:
    with made.open("r+b") as file:
        file.seek(2 * 4096)
        file.write(b"\xff" * 8192)

    assert "is damaged" in terminal.refused(78, "bridge")


def test_locked_database_is_waited_for_and_then_said_to_be_locked(
    terminal: Terminal, made: Path
) -> None:
    with closing(sqlite3.connect(made, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")

        sentence = terminal.refused(75, "queue", "add", "Dance")

    assert sentence == f"{made} is locked by another program: close it, or wait and try again."


# --- processes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("program", ["bridge", "worker"])
def test_second_program_of_a_slot_is_refused(terminal: Terminal, program: str) -> None:
    terminal.make()
    slot = "bridge" if program == "bridge" else "worker-1"
    with SlotLock(terminal.database.parent / "run" / f"{slot}.lock"):
        sentence = terminal.refused(75, program)

    assert sentence.startswith(f"{slot} is already running (pid {os.getpid()})")


def test_status_of_nothing_running_still_counts_jobs(terminal: Terminal, made: Path) -> None:
    done = terminal.kitt("status")

    assert done.code == 3
    assert "KITT is not running" in done.out
    assert "Jobs: 1 pending" in done.out


def test_down_of_nothing_running_is_no_error(terminal: Terminal) -> None:
    done = terminal.kitt("down")

    assert (done.code, done.err) == (0, "")


@pytest.mark.parametrize("command", [("restart",), ("stop",), ("start",), ("scale", "2")])
def test_control_of_nothing_running_says_so(terminal: Terminal, command: tuple[str, ...]) -> None:
    assert "start it with `kitt up`" in terminal.refused(3, *command)


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address where nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


async def _logged(program: "subprocess.Popen[bytes]", text: bytes) -> bytes:
    """What a program has logged once this stands in it."""
    assert program.stderr is not None
    os.set_blocking(program.stderr.fileno(), False)
    log = b""

    def look() -> bool:
        nonlocal log
        assert program.stderr is not None
        log += program.stderr.read() or b""
        return text in log

    await until(look, 20)
    return log


async def test_bridge_that_cannot_reach_telegram_ends_when_asked(
    terminal: Terminal, nobody: str
) -> None:
    bridge = terminal.start("bridge", TELEGRAM_BASE_URL=f"{nobody}/bot")
    try:
        log = await _logged(bridge, b"Next try in 2 s")

        bridge.send_signal(signal.SIGTERM)

        assert await asyncio.to_thread(bridge.wait, 5) == 0
        assert TOKEN.encode() not in log
    finally:
        bridge.kill()
        bridge.communicate()


async def test_worker_needs_no_bot_token_and_ends_on_sigterm(terminal: Terminal) -> None:
    claude = ClaudeEmulator(key=KEY)
    await claude.start()
    terminal.kitt("queue", "add", "quick job 7")
    worker = terminal.start("worker", TELEGRAM_BOT_TOKEN="", ANTHROPIC_BASE_URL=claude.base_url)
    try:
        done = [{"status": "done", "result": "result 7"}]
        rows = "SELECT status, result FROM jobs"
        await until(lambda: shell(terminal.database, rows) == done, 20)
        worker.send_signal(signal.SIGTERM)

        _, log = await asyncio.to_thread(worker.communicate, None, 10)

        assert worker.returncode == 0
        # The one job, whose end is written, may be about to leave.
        assert re.search(rb"Draining: [01] jobs are running", log)
        assert KEY.encode() not in log
    finally:
        worker.kill()
        worker.communicate()
        await claude.stop()

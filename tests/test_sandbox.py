"""The sandbox holds: what code sees, what it can use, and that nothing of it is left (S17)."""

import asyncio
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest
from closed import SYSTEM_PYTHON, Apart, Ours, alive, can_be_ordinary, ordinary, ordinary_folder
from waiting import until

from bridge.sandbox import trial
from bridge.sandbox.calls import CALLS, call_filter
from bridge.sandbox.probe import sandbox_of
from bridge.sandbox.runs import SHELL
from bridge.sandbox.walls import NOBODY, Limits

CANARY = "canary-4f1d"
pytestmark = pytest.mark.skipif(
    shutil.which("bwrap") is None, reason="bubblewrap is not installed: nothing is run without it"
)


@pytest.fixture(params=["whoever we are", "an ordinary user"])
def sandbox(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ours]:
    """A sandbox and a folder to work in."""
    if request.param == "whoever we are":
        yield Ours(tmp_path)
    elif not can_be_ordinary():
        pytest.skip("only root can become somebody else")
    else:
        folder = ordinary_folder()
        yield ordinary(folder)
        shutil.rmtree(folder)


@pytest.fixture
def ours(tmp_path: Path) -> Ours:
    """The sandbox of whoever we are."""
    return Ours(tmp_path)


# What it sees


async def test_a_program_runs_and_its_file_can_be_read_afterwards(sandbox: Ours) -> None:
    ran = await sandbox.run("open('made.txt', 'w').write('ten'); print('said')")

    assert (ran.exit_code, ran.printed, ran.ended) == (0, "said\n", "")
    assert (sandbox.folder / "made.txt").read_text() == "ten"


async def test_files_of_ours_can_be_changed_by_it(ours: Ours) -> None:
    await ours.run("pass")
    note = ours.folder / "inner" / "note.txt"
    note.parent.mkdir(mode=0o700)
    note.write_text("ours")
    note.chmod(0o600)

    ran = await ours.run("open('inner/note.txt', 'a').write(' and theirs')")

    assert ran.printed == ""
    assert note.read_text() == "ours and theirs"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
async def test_a_file_that_has_a_second_name_elsewhere_is_not_given_away(
    ours: Ours, tmp_path: Path
) -> None:
    outside = tmp_path / "outside.txt"
    outside.write_text("not theirs")
    ours.folder.mkdir(parents=True)
    (ours.folder / "inside.txt").hardlink_to(outside)
    (ours.folder / "link.txt").symlink_to(outside)

    await ours.run("pass")

    assert outside.stat().st_uid == 0


async def test_no_secret_of_ours_is_anywhere(
    sandbox: Ours, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", CANARY)
    for place in (".env", "kitt.db", "jobs/2.txt"):
        (sandbox.profile / place).parent.mkdir(exist_ok=True)
        (sandbox.profile / place).write_text(CANARY)
        (sandbox.profile / place).chmod(0o644)

    ran = await sandbox.run(
        f"cat /proc/*/environ | tr '\\0' '\\n'; env; ls -a {sandbox.profile} /home\n"
        "for place in /*; do case $place in /proc|/usr|/opt|/lib*) ;; *)\n"
        f"grep -rs --exclude-dir={Path(sys.base_prefix).name} {CANARY[:6]}'-4f1d' $place\n"
        ";; esac; done",
        SHELL,
    )

    assert "PATH=/opt/bin" in ran.printed
    assert CANARY not in ran.printed
    assert "kitt.db" not in ran.printed


async def test_it_is_nobody_without_privileges_in_a_session_of_its_own(sandbox: Ours) -> None:
    ran = await sandbox.run(
        "id -u; grep -E 'CapEff|CapBnd|NoNewPrivs' /proc/self/status; ls -d /proc/[0-9]* | wc -l\n"
        "unshare --user true && echo nested; mount -t tmpfs none /tmp && echo mounted",
        SHELL,
    )

    lines = ran.printed.split()
    assert lines[0] == "65534"
    assert lines.count("0000000000000000") == 2
    assert lines[lines.index("NoNewPrivs:") + 1] == "1"
    assert int(lines[lines.index("NoNewPrivs:") + 2]) < 10
    assert not {"nested", "mounted"} & set(lines)


@pytest.mark.skipif(not call_filter(), reason="there is no filter for this processor")
async def test_calls_of_the_kernel_that_nobody_needs_do_not_exist(sandbox: Ours) -> None:
    column = ("x86_64", "aarch64").index(platform.machine())
    numbers = [call[column] for call in CALLS.values()]

    ran = await sandbox.run(
        "import ctypes, errno, os\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        f"for number in {[number for number in numbers if number is not None]}:\n"
        "    if libc.syscall(number, -1, 0, 0, 0, 0) != -1 or ctypes.get_errno() != errno.ENOSYS:\n"
        "        print('exists', number)\n"
        "print(open('/proc/self/status').read().partition('Seccomp:')[2].split()[0])\n"
    )

    assert ran.printed == "2\n"


def test_every_processor_we_know_has_a_filter_of_its_own() -> None:
    filters = {call_filter(machine) for machine in ("x86_64", "aarch64", "riscv64")}

    assert b"" in filters
    assert len(filters) == 3
    assert all(len(program) % 8 == 0 and len(program) < 4_096 for program in filters)


async def test_nothing_but_its_folder_can_be_written(sandbox: Ours) -> None:
    ran = await sandbox.run(
        "for place in / /usr /dev /etc /opt /proc /opt/site/1; do\n"
        "touch $place/made 2>/dev/null && echo $place; done\n"
        "(echo 0 > /proc/self/oom_score_adj) 2>/dev/null; cat /proc/self/oom_score_adj",
        SHELL,
    )

    assert ran.printed == "1000\n"


@pytest.mark.skipif(not SYSTEM_PYTHON.exists(), reason="needs a Python that lies in the system")
async def test_it_is_made_where_nothing_of_kitt_lies_below_tmp() -> None:
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="kitt-test-") as name:
        profile = Path(name)
        (profile / "jobs" / "1").mkdir(parents=True)
        kitt = Apart(profile, become=(), python=SYSTEM_PYTHON, source=profile / "source")
        ran = await kitt.run("print('it ran')")
    assert ran.printed == "it ran\n"


@pytest.mark.parametrize("place", ["the project", "its packages"])
async def test_the_project_around_its_python_is_not_seen(tmp_path: Path, place: str) -> None:
    project = tmp_path / "project"
    venv.create(project / ".venv", symlinks=True)
    (packages,) = (project / ".venv" / "lib").glob("python3*/site-packages")
    (packages / "harmless.py").write_text("WORD = 'a package'")
    (project / ".env").write_text(f"ANTHROPIC_API_KEY={CANARY}")
    source = packages if place == "its packages" else project
    python = project / ".venv" / "bin" / "python"
    kitt = Apart(project, become=(), python=python, source=source)

    ran = await kitt.run(
        f"import harmless, os\nprint(harmless.WORD, os.path.exists({str(project)!r}))\n"
        "try:\n    import bridge.sandbox.walls\nexcept ImportError:\n    print('no KITT')\n"
    )

    assert ran.printed == "a package False\nno KITT\n"


async def test_it_reaches_no_server_of_this_machine(sandbox: Ours) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        port = server.getsockname()[1]
        ran = await sandbox.run(
            "import socket\n"
            f"for host in ('127.0.0.1', '169.254.169.254', '10.0.0.1'):\n"
            "    try:\n"
            f"        socket.create_connection((host, {port}), 1)\n"
            "        print('reached')\n"
            "    except OSError as error:\n"
            "        print(error.strerror)\n"
        )

        with pytest.raises(BlockingIOError):
            server.accept()
    assert "reached" not in ran.printed
    assert len(ran.printed.splitlines()) == 3


# What it can use


async def test_memory_has_a_limit(sandbox: Ours) -> None:
    ran = await sandbox.run("bytearray(300_000_000)", memory_mb=200)

    assert "MemoryError" in ran.printed
    assert ran.exit_code == 1


async def test_processor_time_has_a_limit(sandbox: Ours) -> None:
    ran = await sandbox.run("while True: pass", cpu_s=1, wall_s=60)

    assert (ran.exit_code, ran.ended) == (137, "")


async def test_the_size_of_a_file_has_a_limit(sandbox: Ours) -> None:
    ran = await sandbox.run("head -c 3000000 /dev/zero > zeros; echo $?", SHELL, file_mb=2)

    assert ran.printed.split()[-1] != "0"
    assert (sandbox.folder / "zeros").stat().st_size == 2_000_000


async def test_the_disks_in_memory_have_a_limit(ours: Ours) -> None:
    ran = await ours.run(
        "for n in 1 2 3 4 5; do head -c 49000000 /dev/zero > /tmp/$n 2>/dev/null; done\n"
        "for n in 1 2 3; do head -c 49000000 /dev/zero > /dev/shm/$n 2>/dev/null; done\n"
        "du -sc --block-size=1 /tmp /dev/shm | tail -1 | cut -f1",
        SHELL,
    )

    assert 100_000_000 < int(ran.printed) < 200_000_000


async def test_a_fork_bomb_stops_at_the_limit(sandbox: Ours) -> None:
    ran = await sandbox.run(
        "import os, time\n"
        "number = 0\n"
        "try:\n"
        "    while number < 200:\n"
        "        if not os.fork():\n"
        "            time.sleep(60)\n"
        "        number += 1\n"
        "except OSError as error:\n"
        "    print(number, error.strerror, flush=True)\n",
        processes=30,
    )

    number, why = ran.printed.split(maxsplit=1)
    assert 10 < int(number) < 30
    assert why == "Resource temporarily unavailable\n"


async def test_time_has_a_limit_also_for_who_ignores_signals(ours: Ours) -> None:
    ran = await ours.run(
        "trap '' TERM INT HUP; echo ready; sleep 7171711; sleep 7171711", SHELL, wall_s=2
    )

    assert ran.ended == "it took longer than 2 s"
    assert not alive("7171711")


async def test_memory_of_all_processes_together_has_a_limit(ours: Ours) -> None:
    ran = await ours.run(
        "import os, time\n"
        "for _ in range(3):\n"
        "    if not os.fork():\n"
        "        break\n"
        "data = b'x' * 60_000_000\n"
        "time.sleep(60)\n",
        memory_mb=500,
        memory_all_mb=150,
        wall_s=50,
    )

    assert ran.ended == "its processes used more than 150 MB of memory"


async def test_a_folder_may_not_be_filled_by_many_files(ours: Ours) -> None:
    ran = await ours.run(
        "for n in 1 2 3 4 5 6; do head -c 2000000 /dev/zero > $n; done; sleep 60",
        SHELL,
        folder_mb=10,
        wall_s=50,
    )

    assert ran.ended == "its files took more than 10 MB"


async def test_a_folder_may_not_be_filled_with_entries(ours: Ours) -> None:
    ran = await ours.run("mkdir $(seq 50); sleep 60", SHELL, folder_entries=40, wall_s=50)

    assert ran.ended == "it made more than 40 files and folders"


async def test_a_full_folder_can_still_be_emptied(ours: Ours) -> None:
    await ours.run("mkdir $(seq 50)", SHELL)

    ran = await ours.run("rmdir $(seq 50); sleep 1", SHELL, folder_entries=40)

    assert ran.ended == ""


async def test_a_tree_without_end_is_cut_and_the_folder_works_again(sandbox: Ours) -> None:
    try:
        ran = await sandbox.run(
            "import os, time\n"
            "for _ in range(1500):\n"
            "    os.mkdir('d')\n"
            "    os.chdir('d')\n"
            "time.sleep(60)\n",
            wall_s=50,
        )
        again = await sandbox.run("find . | wc -l", SHELL)
    finally:  # what is left would trouble every later run of the tests
        subprocess.run(["rm", "-rf", str(sandbox.folder)], check=True)

    assert "more than 32 deep" in ran.ended
    assert int(again.printed) < 40


async def test_a_folder_that_was_locked_works_again(sandbox: Ours) -> None:
    await sandbox.run("mkdir -p a/b; touch a/b/c; chmod 000 a/b a .", SHELL)

    ran = await sandbox.run("ls; find . | wc -l", SHELL)

    assert ran.printed.split()[0] == "a"
    if isinstance(sandbox, Apart):  # root can look into it, so there is nothing to mend
        assert ran.printed.split()[1] == "4"


async def test_a_flood_of_words_ends_it_and_only_its_ends_are_kept(ours: Ours) -> None:
    ran = await ours.run("echo begin; yes", SHELL, printed_mb=1, wall_s=50)

    assert ran.ended == "it printed more than 1 MB"
    assert ran.printed.startswith("begin\ny\n")
    assert "bytes are left out here" in ran.printed
    assert len(ran.printed) < 25_000


# What is left of it


async def test_what_it_leaves_in_the_background_ends_with_it(ours: Ours) -> None:
    ran = await ours.run("setsid sleep 7272722 & echo started", SHELL, wall_s=50)

    assert (ran.printed, ran.ended) == ("started\n", "")
    assert not alive("7272722")


async def test_a_run_that_is_cancelled_leaves_no_process(tmp_path: Path) -> None:
    running = asyncio.create_task(
        Ours(tmp_path).run("trap '' TERM; setsid sleep 7373733 & sleep 7373733", SHELL)
    )
    await until(lambda: len(alive("7373733")) == 2, 20)

    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert not alive("7373733")


@pytest.mark.skipif(not can_be_ordinary(), reason="only root can become somebody else")
async def test_when_its_worker_is_killed_nothing_of_it_lives_on() -> None:
    folder = ordinary_folder()
    async with ordinary(folder).started("setsid sleep 7474744 & sleep 7474744", SHELL) as worker:
        await until(lambda: len(alive("7474744")) == 2, 20)

        worker.kill()

        await until(lambda: not alive("7474744"), 10)
    shutil.rmtree(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is in an outer sandbox")
async def test_when_its_worker_is_killed_in_the_middle_of_a_start_nothing_lives_on(
    ours: Ours,
) -> None:
    walls, problem = sandbox_of(ours.profile)
    assert walls is not None, problem
    words = walls.command(None, Limits(), ())
    start = words[: words.index("--no-new-privs") + 2]  # no longer root, and not closed in yet
    worker = await asyncio.create_subprocess_exec(*start, "sleep", "7575755")
    try:
        await until(lambda: any(_user_of(pid) == NOBODY for pid in alive("7575755")), 20)

        worker.kill()
        await worker.wait()

        await until(lambda: not alive("7575755"), 5)
    finally:
        for pid in alive("7575755"):
            os.kill(pid, signal.SIGKILL)


# Where there is none


def test_without_bubblewrap_there_is_none_and_it_says_what_to_install(tmp_path: Path) -> None:
    walls, problem = sandbox_of(tmp_path, str(tmp_path))

    assert walls is None
    assert "apt install bubblewrap" in problem


def test_where_namespaces_are_refused_there_is_none(tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("prlimit", "choom", "setpriv"):
        (programs / name).symlink_to(shutil.which(name) or "")
    refusing = programs / "bwrap"
    refusing.write_text(
        "#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1"
    )
    refusing.chmod(0o755)

    walls, problem = sandbox_of(tmp_path, str(programs))

    assert walls is None
    assert "No permissions to create new namespace" in problem


async def test_the_trial_finds_every_limit_that_is_not_there(ours: Ours) -> None:
    source = Path(trial.__file__).read_text(encoding="utf-8")

    ran = await ours.run(f"import sys\nsys.argv[1:] = ['100', '1', '8', 'PATH']\n{source}")

    assert ran.printed.split("; ") == [
        "it has the environment of KITT",
        "its memory has no limit",
        "its files have no limit",
        "its processes have no limit",
    ]


def test_a_profile_that_it_would_show_turns_it_off() -> None:
    walls, problem = sandbox_of(Path("/usr/share"))

    assert walls is None
    assert "would show /usr/share" in problem


def _user_of(pid: int) -> int:
    try:
        return Path(f"/proc/{pid}").stat().st_uid
    except OSError:
        return 0

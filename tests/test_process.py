"""What guards a long-running program: folders, slot, back-off, its parent, its own figures."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bridge import process
from bridge.clock import Clock
from bridge.database_file import gate_of
from bridge.errors import AlreadyRunning, ConfigError
from bridge.settings import Settings


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    """`prepare_folders` sets the umask of the whole process: give it back."""
    before = os.umask(0o022)
    yield
    os.umask(before)


class MovedClock(Clock):
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        super().__init__()
        self.time = 1000.0

    def monotonic(self) -> float:
        return self.time


def wait_until(condition: Callable[[], object], limit_s: float = 10.0) -> None:
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, "the condition did not come true in time"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def run(code: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def line_of(child: subprocess.Popen[str]) -> str:
    assert child.stdout
    return child.stdout.readline().strip()


def crash(backoff: process.CrashBackoff) -> float:
    """Start, crash at once, and say how long the start had to wait."""
    with pytest.raises(OSError, match="crash"), backoff:
        raise OSError("crash")
    return backoff.pause_s


def test_folders_are_made_for_their_owner_alone(tmp_path: Path) -> None:
    settings = Settings(profile=tmp_path / "a" / "profile")
    settings.memory.mkdir(parents=True, mode=0o755)

    process.prepare_folders(settings)
    (settings.memory / "file").touch()

    for folder in (settings.memory, settings.run_dir, settings.log_dir, settings.jobs_dir):
        assert folder.stat().st_mode & 0o777 == 0o700
    assert (settings.memory / "file").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", ["file", "file/profile"])
def test_a_profile_that_is_a_file_is_refused_with_its_name(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(ConfigError, match=f"{tmp_path}/{name} must be a folder") as refusal:
        process.prepare_folders(Settings(profile=tmp_path / name))

    assert "KITT_PROFILE" in str(refusal.value)
    assert refusal.value.exit_code == 78


def test_a_folder_that_cannot_be_made_is_refused_with_its_name() -> None:
    with pytest.raises(ConfigError, match=r"The folder /proc/kitt cannot be made \("):
        process.prepare_folders(Settings(profile=Path("/proc/kitt")))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_refused_with_its_name(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)

    with pytest.raises(ConfigError, match=f"The folder {tmp_path} cannot be written"):
        process.prepare_folders(Settings(profile=tmp_path))


def test_the_file_system_of_a_folder_is_that_of_its_deepest_and_last_mount(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "/dev/sda / ext4 rw 0 0\n"
        "server:/ /net\\040home nfs4 rw 0 0\n"
        "/dev/sdb /net\\040home/local ext4 rw 0 0\n"
        "/dev/sdc /srv ext4 rw 0 0\n"
        "host: /srv fuse.sshfs rw 0 0\n"
        "C: /mnt/\\043c 9p rw 0 0\n"
        "host /media/sf vboxsf rw 0 0\n"
        "/dev/sdd /media/sf-local fuseblk rw 0 0\n"
    )

    def kind(folder: str) -> str | None:
        return process.network_file_system(Path(folder), mounts=mounts)

    assert kind("/net home/me/profile") == "nfs4"
    assert kind("/net home/local/profile") is None
    assert kind("/net") is None
    assert kind("/srv/kitt") == "fuse.sshfs"
    assert kind("/mnt/#c/me") == "9p"
    assert kind("/media/sf/kitt") == "vboxsf"
    assert kind("/media/sf-local/kitt") is None
    assert process.network_file_system(Path("/srv"), mounts=tmp_path / "none") is None


def test_a_database_on_a_network_file_system_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "network_file_system", lambda _: "nfs4")

    with pytest.raises(ConfigError, match=r"memory lies on a network file system \(nfs4\)"):
        process.prepare_folders(Settings(profile=tmp_path))


def used(settings: Settings, trace: str) -> None:
    """A profile whose database is an empty file, with something of the time it was not."""
    process.prepare_folders(settings)
    settings.database.touch()
    if trace == "jobs/7":
        (settings.memory / trace).mkdir()
    else:
        (settings.memory / trace).write_text("x")


@pytest.mark.parametrize("trace", ["jobs/7", "kitt.db.before-3", "kitt.db-wal"])
def test_an_emptied_database_is_refused_and_left_as_it_is(tmp_path: Path, trace: str) -> None:
    settings = Settings(profile=tmp_path)
    used(settings, trace)

    for look in (process.prepare_folders, process.need_database):
        with pytest.raises(ConfigError, match=r"kitt.db is empty and was in use before: put back"):
            look(settings)

    assert settings.database.stat().st_size == 0


def test_an_empty_database_of_a_first_start_that_was_killed_is_no_obstacle(tmp_path: Path) -> None:
    settings = Settings(profile=tmp_path)
    process.prepare_folders(settings)
    settings.database.touch()
    (settings.memory / "kitt.db-wal").touch()

    process.prepare_folders(settings)

    assert process.emptied(settings) == ""


def test_a_database_that_is_just_being_made_beside_old_jobs_is_waited_for(tmp_path: Path) -> None:
    settings = Settings(profile=tmp_path)
    used(settings, "jobs/7")
    with gate_of(settings.database):
        starting = threading.Thread(target=process.prepare_folders, args=[settings])
        starting.start()
        time.sleep(0.2)
        assert starting.is_alive()
        settings.database.write_text("made")
    starting.join(5)

    assert not starting.is_alive()


def test_who_only_looks_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no database at .*kitt.db: set KITT_PROFILE"):
        process.need_database(Settings(profile=tmp_path / "mistyped"))

    assert list(tmp_path.iterdir()) == []


HOLD = """
import sys, time
from pathlib import Path
from bridge.process import SlotLock
with SlotLock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_holder_is_refused_and_a_killed_one_frees_the_slot(tmp_path: Path) -> None:
    path = tmp_path / "bridge.lock"
    with run(HOLD, path) as holder:
        assert line_of(holder) == "held"

        with (
            pytest.raises(AlreadyRunning, match=rf"bridge is already running \(pid {holder.pid}\)"),
            process.SlotLock(path),
        ):
            pass

        holder.kill()
        with process.SlotLock(path, wait_s=5):
            assert path.read_text() == f"{os.getpid()}\n"


def test_a_slot_can_be_taken_again_after_its_holder_has_left_it(tmp_path: Path) -> None:
    for _ in range(2):
        with process.SlotLock(tmp_path / "worker-1.lock"):
            pass


def test_the_pause_grows_with_each_quick_crash_up_to_15_seconds(tmp_path: Path) -> None:
    clock, pauses = MovedClock(), []

    for _ in range(20):
        pauses.append(crash(process.CrashBackoff(tmp_path / "crashes", clock)))
        clock.time += pauses[-1] + 1

    assert [round(pause, 3) for pause in pauses[:5]] == [0, 0.1, 0.15, 0.225, 0.338]
    assert pauses[-1] == 15


def test_the_pause_stays_15_seconds_after_any_number_of_crashes(tmp_path: Path) -> None:
    clock = MovedClock()
    (tmp_path / "crashes").write_text(f"99999 {clock.time} {clock.boot_id}\n")

    assert crash(process.CrashBackoff(tmp_path / "crashes", clock)) == 15


def test_a_crash_after_30_seconds_of_life_starts_the_count_again(tmp_path: Path) -> None:
    clock = MovedClock()
    crash(process.CrashBackoff(tmp_path / "crashes", clock))
    assert crash(process.CrashBackoff(tmp_path / "crashes", clock)) == 0.1

    clock.time += 30.2

    assert crash(process.CrashBackoff(tmp_path / "crashes", clock)) == 0


@pytest.mark.parametrize("ending", [None, SystemExit(0), KeyboardInterrupt()])
def test_a_clean_end_forgets_the_crashes(tmp_path: Path, ending: BaseException | None) -> None:
    clock = MovedClock()
    crash(process.CrashBackoff(tmp_path / "crashes", clock))
    try:
        with process.CrashBackoff(tmp_path / "crashes", clock) as backoff:
            assert backoff.pause_s == 0.1
            if ending:
                raise ending
    except (SystemExit, KeyboardInterrupt):
        pass

    assert crash(process.CrashBackoff(tmp_path / "crashes", clock)) == 0


@pytest.mark.parametrize("text", ["", "many 3", "1 nan-sense boot", "3 1000.0 another-boot"])
def test_a_damaged_count_or_one_of_another_boot_is_no_count(tmp_path: Path, text: str) -> None:
    (tmp_path / "crashes").write_text(text)

    assert crash(process.CrashBackoff(tmp_path / "crashes", MovedClock())) == 0


CHILD = """
import sys, time
from pathlib import Path
from bridge.process import die_with_parent
from bridge.settings import Settings
die_with_parent(Settings(profile=Path(sys.argv[1])))
print("lives", flush=True)
time.sleep(60)
"""
PARENT = """
import os, subprocess, sys, time
from pathlib import Path
Path(sys.argv[1], "memory/run/supervisord.pid").write_text(f"{os.getpid()}\\n")
child = subprocess.Popen([sys.executable, "-c", sys.argv[2], sys.argv[1]], stdout=subprocess.PIPE)
print(child.pid, child.stdout.readline().decode().strip(), flush=True)
time.sleep(60)
"""


def test_a_program_ends_when_its_supervisor_is_killed(tmp_path: Path) -> None:
    Settings(profile=tmp_path).run_dir.mkdir(parents=True)
    with run(PARENT, tmp_path, CHILD) as parent:
        pid, said = line_of(parent).split()
        assert said == "lives"

        parent.kill()

        wait_until(lambda: not alive(int(pid)))


def test_a_program_whose_supervisor_is_already_gone_ends_at_once(tmp_path: Path) -> None:
    run_dir = Settings(profile=tmp_path).run_dir
    run_dir.mkdir(parents=True)
    with run("pass") as gone:
        pass
    (run_dir / "supervisord.pid").write_text(f"{gone.pid}\n")

    with run(CHILD, tmp_path) as child:
        assert child.wait(10) == -signal.SIGTERM


def test_a_program_started_by_hand_lives_without_a_supervisor(tmp_path: Path) -> None:
    with run(CHILD, tmp_path) as child:
        assert line_of(child) == "lives"
        child.kill()


def test_a_program_outlasts_the_time_in_which_an_end_is_a_failed_start() -> None:
    before = time.monotonic()
    with run("from bridge.process import outlast_start_check; outlast_start_check()"):
        pass

    assert 1.0 < time.monotonic() - before < 3.0


def test_a_process_knows_its_memory_time_and_age() -> None:
    pid = os.getpid()

    rss, pss = process.rss_mb(), process.pss_mb(pid)
    cpu, age = process.cpu_seconds(pid), process.age_seconds(pid)

    assert rss and pss and 5 < pss <= rss * 1.1
    assert cpu and cpu > 0
    assert age and 0 < age < 3600


def test_of_a_process_that_is_gone_nothing_is_known() -> None:
    with run("pass") as gone:
        pass

    assert process.pss_mb(gone.pid) is None
    assert process.cpu_seconds(gone.pid) is None
    assert process.age_seconds(gone.pid) is None

"""`kitt up` and what goes with it, under the real supervisord, with stand-ins for the programs."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from supervisor import events
from supervisor.states import ProcessStates, SupervisorStates

from bridge import supervision
from bridge.cli_status import print_status
from bridge.errors import AlreadyRunning, ConfigError, KittError
from bridge.listener import Listener, make_interface
from bridge.settings import Settings
from bridge.supervision_programs import CONF
from bridge.supervision_status import call, plain_memory, socket_path

TOKEN = "123456789:AAabcdefghijklmnopqrstuvwxyz"

# Takes the place of Python: gets `-m bridge worker --slot 1 --supervised` and does what the file
# of its name in the profile says.
STAND_IN = """
import os, signal, sys, time
from bridge import process
from bridge.clock import Clock
from bridge.settings import Settings

settings = Settings.load()
kind = f"{sys.argv[7]}-" if "--kinds" in sys.argv else ""
slot = f"worker-{kind}{sys.argv[5]}" if sys.argv[3] == "worker" else "bridge"
with open(settings.profile / "pids", "a") as pids:
    pids.write(f"{os.getpid()}\\n")
process.die_with_parent(settings)
script = settings.profile / slot
script = script.read_text() if script.exists() else ""

def end(*_):
    time.sleep(1.5 if script == "drain slowly" else 0)
    print("drained", flush=True)
    raise SystemExit(0)

signal.signal(signal.SIGTERM, end)
if script == "slow to find a wrong setting":
    time.sleep(2)
if "wrong setting" in script:
    print("kitt: KITT_MODEL is wrong.", flush=True)
    process.outlast_start_check()
    os._exit(78)
with (
    process.SlotLock(settings.run_dir / f"{slot}.lock", wait_s=10),
    process.CrashBackoff(settings.run_dir / f"{slot}.crashes", Clock()) as backoff,
):
    time.sleep(backoff.pause_s)
    if script == "crash":
        os._exit(3)
    print(" ".join(sys.argv[1:]), flush=True)
    (settings.profile / f"ready-{os.getpid()}").touch()
    while True:
        signal.pause()
"""
UP = """
import sys
from pathlib import Path
from bridge import supervision
from bridge.errors import KittError
from bridge.settings import Settings
profile, workers, kinds, stand_in, conf, daemon = sys.argv[1:]
kinds = dict(pair.split(":") for pair in kinds.split(",") if pair)
try:
    sys.exit(supervision.up(
        Settings(profile=Path(profile), workers=int(workers),
                 kind_workers={kind: int(number) for kind, number in kinds.items()}),
        python=[sys.executable, stand_in], conf=Path(conf), daemon=daemon == "True"))
except KittError as error:
    print(error, file=sys.stderr)
    sys.exit(error.exit_code)
"""


def wait_until(condition: Callable[[], object], limit_s: float = 10.0) -> None:
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, "the condition did not come true in time"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


class House:
    """A profile, and whatever was started for it; `clean` leaves no process behind."""

    def __init__(self, profile: Path, *, workers: int) -> None:
        profile.mkdir(parents=True)
        self.settings = Settings(profile=profile, workers=workers)
        self.stand_in = profile / "stand_in.py"
        self.stand_in.write_text(STAND_IN)
        self.conf = CONF
        self.ups: list[subprocess.Popen[str]] = []

    def up(self, *, daemon: bool = False) -> subprocess.Popen[str]:
        kinds = ",".join(f"{k}:{n}" for k, n in self.settings.kind_workers.items())
        arguments = [self.settings.profile, self.settings.workers, kinds]
        arguments += [self.stand_in, self.conf, daemon]
        child = subprocess.Popen(
            [sys.executable, "-c", UP, *map(str, arguments)],
            env={**os.environ, "TELEGRAM_BOT_TOKEN": TOKEN},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
            text=True,
        )
        self.ups.append(child)
        return child

    def up_and_running(self) -> subprocess.Popen[str]:
        child = self.up()
        wait_until(self.all_running)
        return child

    def rows(self) -> dict[str, supervision.ProcessInfo]:
        return {row.name: row for row in supervision.processes(self.settings)}

    def pids(self) -> dict[str, int | None]:
        return {name: row.pid for name, row in self.rows().items()}

    def states(self) -> dict[str, str]:
        return {name: row.state for name, row in self.rows().items()}

    def all_running(self) -> bool:
        try:
            rows = supervision.processes(self.settings)
        except KittError:
            return False
        running = all(row.state == "RUNNING" for row in rows)
        ready = [(self.settings.profile / f"ready-{row.pid}").exists() for row in rows[1:]]
        return running and all(ready)

    def log(self, name: str) -> str:
        return (self.settings.log_dir / f"{name}.log").read_text()

    def conf_with(self, **options: str) -> None:
        """Other options of the listener than supervisord.conf has."""
        text = CONF.read_text()
        for name, value in options.items():
            text, found = re.subn(rf"^{name} = .*$", f"{name} = {value}", text, flags=re.M)
            assert found
        self.conf = self.settings.profile / "supervisord.conf"
        self.conf.write_text(text)

    def alerts(self) -> list[tuple[str, str]]:
        """What the owners are to be told."""
        paths = (self.settings.run_dir / "alerts").glob("*.json")
        found = [json.loads(path.read_text()) for path in paths]
        return sorted((each["alert"], each["program"]) for each in found)

    def stand_ins(self) -> list[int]:
        """Pids of the living stand-ins, by command line too: a pid may be of another by now."""
        pids = self.settings.profile / "pids"
        started = [int(line) for line in pids.read_text().split()] if pids.exists() else []
        return [pid for pid in started if alive(pid) and self._is_ours(pid)]

    def _is_ours(self, pid: int) -> bool:
        with suppress(OSError):
            return os.fsencode(self.stand_in) in Path(f"/proc/{pid}/cmdline").read_bytes()
        return False

    def clean(self) -> None:
        with suppress(KittError):
            os.kill(call(self.settings, "supervisor.getPID"), signal.SIGKILL)
        for child in self.ups:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.communicate()
        for pid in self.stand_ins():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path / "profile", workers=1)
    yield house
    house.clean()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One that runs for all tests that leave it as it is."""
    house = House(tmp_path_factory.mktemp("running") / "profile", workers=2)
    try:
        house.up_and_running()
        yield house
    finally:
        house.clean()


def test_status_lists_the_supervisor_the_bridge_and_the_workers(running: House) -> None:
    rows = supervision.processes(running.settings)

    names = [row.name for row in rows]
    assert names == ["supervisord", "kitt-bridge", "kitt-worker-1", "kitt-worker-2"]
    assert all(row.state == "RUNNING" and row.pid and alive(row.pid) for row in rows)
    assert all(row.uptime_s and row.cpu_s and row.pss_mb and not row.exit for row in rows)
    assert [row.restarts for row in rows] == [None, 0, 0, 0]
    assert re.search(r"\nkitt-worker-2 +running +\d+ +0:00:\d\d ", supervision.table(rows))


def test_programs_run_as_supervisord_conf_says(running: House) -> None:
    assert "-m bridge bridge --supervised\n" in running.log("kitt-bridge")
    assert "-m bridge worker --slot 2 --supervised\n" in running.log("kitt-worker-2")


def test_the_bridge_has_the_token_and_a_worker_has_none(running: House) -> None:
    def environ(name: str) -> bytes:
        return Path(f"/proc/{running.pids()[name]}/environ").read_bytes()

    assert TOKEN.encode() in environ("kitt-bridge")
    assert TOKEN.encode() not in environ("kitt-worker-1")
    assert b"\0PYTHONSAFEPATH=1\0" in b"\0" + environ("kitt-worker-1")
    profile = os.fsencode(running.settings.profile)
    assert b"\0KITT_PROFILE=" + profile + b"\0" in b"\0" + environ("kitt-worker-1")


def test_a_second_up_is_refused_with_the_pid_of_the_first(running: House) -> None:
    _, said = running.up().communicate(timeout=10)

    assert running.ups.pop().returncode == AlreadyRunning.exit_code
    assert f"already running (pid {running.pids()['supervisord']})" in said


def test_logs_and_the_socket_are_for_their_owner_alone(running: House) -> None:
    assert socket_path(running.settings).stat().st_mode & 0o777 == 0o700
    assert (running.settings.log_dir / "kitt-bridge.log").stat().st_mode & 0o777 == 0o600


def test_a_program_that_does_not_exist_is_named(running: House) -> None:
    for act in (supervision.start, supervision.stop, supervision.restart):
        with pytest.raises(KittError, match="worker-9 is not a program of KITT: there are bridge"):
            act(running.settings, ["worker-9"])


def test_a_number_of_workers_out_of_range_is_refused(running: House) -> None:
    with pytest.raises(ConfigError, match="from 0 to 64; got 65"):
        supervision.scale(running.settings, 65)


def test_scaling_leaves_the_other_programs_running_and_drains_the_removed(house: House) -> None:
    house.up_and_running()
    before = house.pids()

    supervision.scale(house.settings, 3)
    more = house.pids()
    supervision.scale(house.settings, 1)

    assert set(more) == {*before, "kitt-worker-2", "kitt-worker-3"}
    assert {name: more[name] for name in before} == before == house.pids()
    assert house.log("kitt-worker-2").endswith("drained\n")
    assert len(house.stand_ins()) == 2


def test_restart_renews_only_the_named_program(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    house.up_and_running()
    before = house.pids()

    supervision.restart(house.settings, ["workers"], rolling=True)

    after = house.rows()
    assert capsys.readouterr().out == "worker-1 runs again.\n"
    assert house.alerts() == []  # it was asked to end
    assert [name for name, row in after.items() if row.pid != before[name]] == ["kitt-worker-1"]
    assert after["kitt-worker-1"].restarts == 1
    assert "drained\n" in house.log("kitt-worker-1")


def test_a_stopped_program_stays_down_until_it_is_started(house: House) -> None:
    house.up_and_running()

    supervision.stop(house.settings, ["bridge"])
    stopped = house.states()
    supervision.start(house.settings, ["bridge"])

    assert stopped["kitt-bridge"] == "STOPPED"
    assert stopped["kitt-worker-1"] == "RUNNING"
    wait_until(house.all_running)


def test_jobs_that_wait_while_all_workers_are_stopped_are_pointed_out(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    house.up_and_running()
    environ = {**os.environ, "KITT_PROFILE": str(house.settings.profile)}
    add = [sys.executable, "-m", "bridge", "queue", "add", "Sing", "--in", "60"]
    subprocess.run(add, env=environ, check=True, stdout=subprocess.DEVNULL)

    supervision.stop(house.settings, ["workers"])

    assert print_status(house.settings, as_json=False) == 0
    said = capsys.readouterr().out
    assert "! No worker runs and 1 job waits: `kitt start workers`" in said
    assert "kitt up" not in said


def test_ctrl_c_drains_all_programs_at_the_same_time(house: House) -> None:
    for name in ("bridge", "worker-1"):
        (house.settings.profile / name).write_text("drain slowly")
    supervisor = house.up_and_running()
    before = time.monotonic()

    os.kill(supervisor.pid, signal.SIGINT)

    assert supervisor.wait(10) == 0
    assert time.monotonic() - before < 2.9  # 1.5 s each, 3 s one after the other
    assert not house.stand_ins()
    assert all(house.log(f"kitt-{n}").endswith("drained\n") for n in ("bridge", "worker-1"))


def test_up_in_the_background_runs_until_down(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    _, said = house.up(daemon=True).communicate(timeout=10)
    assert (house.ups[0].returncode, said) == (0, "")
    wait_until(house.all_running)
    supervisor = house.pids()["supervisord"]

    assert supervision.down(house.settings) == 0

    assert supervisor and not alive(supervisor) and not house.stand_ins()
    assert not capsys.readouterr().out
    with pytest.raises(supervision.NotRunning, match="KITT is not running") as refusal:
        supervision.processes(house.settings)
    assert refusal.value.exit_code == 3
    assert supervision.down(house.settings) == 0
    assert "KITT is not running" in capsys.readouterr().out


def test_a_killed_supervisor_leaves_no_orphan_and_the_next_up_runs_one_set(house: House) -> None:
    killed = house.up_and_running()
    before = house.stand_ins()

    killed.kill()

    wait_until(lambda: not house.stand_ins(), 5)
    assert len(before) == 2
    house.up_and_running()
    assert len(house.stand_ins()) == 2


def test_a_crashing_program_is_never_given_up(house: House) -> None:
    house.conf_with(startretries="0", rest_s="0.5")
    script = house.settings.profile / "worker-1"
    script.write_text("crash")

    house.up()

    log = house.settings.log_dir / "supervisord.log"
    line = "kitt-worker-1 does not stay up; started again in 0.5 s"
    wait_until(lambda: log.exists() and line in log.read_text())
    assert "tried again every minute" in house.rows()["kitt-worker-1"].exit
    assert house.alerts() == [("crashing", "worker-1")]
    script.unlink()
    wait_until(house.all_running)


@contextmanager
def listening(programs: list[SimpleNamespace], **options: str) -> Iterator[Listener]:
    """The listener in a supervisord that runs these programs."""
    supervisord = SimpleNamespace(
        options=SimpleNamespace(
            mood=SupervisorStates.RUNNING,
            logger=SimpleNamespace(warn=lambda text: None),
            get_socket_map=dict,
        ),
        process_groups={
            each.config.name: SimpleNamespace(processes={each.config.name: each})
            for each in programs
        },
    )
    try:
        yield make_interface(supervisord, **options)
    finally:
        supervisord.options.mood = SupervisorStates.RESTARTING
        supervisord.process_groups.clear()
        events.notify(events.SupervisorStoppingEvent())
        events.clear()


def program(name: str, state: int, *, pid: int = 0, started: Any = None) -> SimpleNamespace:
    return SimpleNamespace(
        config=SimpleNamespace(name=name),
        pid=pid,
        get_state=lambda: state,
        spawn=lambda: started.append(name),
    )


def test_only_what_was_given_up_on_and_is_still_wanted_is_started_again() -> None:
    started: list[str] = []
    names = ("wanted", "forgotten", "removed")
    programs = [program(name, ProcessStates.FATAL, started=started) for name in names]
    programs.append(program("started", ProcessStates.RUNNING, started=started))
    with listening([each for each in programs if each.config.name != "removed"], rest_s="0") as it:
        for each in programs:
            events.notify(events.ProcessStateFatalEvent(each, ProcessStates.BACKOFF))
        assert it.forget("forgotten")

        for _ in range(2):
            events.notify(events.Tick5Event(0, None))

    assert started == ["wanted"]


@pytest.mark.parametrize(("exitstatus", "alerts"), [(0, []), (1, ["crashing"]), (-9, ["crashing"])])
def test_ends_are_crashes_unless_a_program_ended_in_good_order(
    tmp_path: Path, exitstatus: int, alerts: list[str]
) -> None:
    each = program("kitt-worker-1", ProcessStates.RUNNING)
    each.exitstatus = exitstatus
    with listening([each], alerts=str(tmp_path)):
        for _ in range(5):
            events.notify(
                events.ProcessStateExitedEvent(each, ProcessStates.RUNNING, expected=False)
            )

    assert [json.loads(path.read_text())["alert"] for path in tmp_path.iterdir()] == alerts


def test_a_program_that_is_stopped_only_for_a_moment_is_left_alone() -> None:
    command = [sys.executable, "-c", "import signal; signal.pause()"]
    with ExitStack() as stack:
        going, passing, stopped = [
            stack.enter_context(subprocess.Popen(command, start_new_session=True)) for _ in range(3)
        ]
        for child in (going, passing, stopped):
            stack.callback(child.kill)
        for child in (passing, stopped):
            child.send_signal(signal.SIGSTOP)
        programs = [
            program(str(child.pid), ProcessStates.RUNNING, pid=child.pid)
            for child in (going, passing, stopped)
        ]
        with listening(programs, stopped_s="0.4"):
            stopped_at = time.monotonic()
            events.notify(events.Tick5Event(0, None))
            passing.send_signal(signal.SIGCONT)

            def ended() -> bool:
                events.notify(events.Tick5Event(0, None))
                return stopped.poll() is not None

            wait_until(ended)

        assert time.monotonic() - stopped_at > 0.4
        assert (going.poll(), passing.poll()) == (None, None)


def test_a_wrong_setting_ends_a_program_once_with_its_sentence_in_the_log(house: House) -> None:
    (house.settings.profile / "worker-1").write_text("slow to find a wrong setting")
    house.up()
    log = house.settings.log_dir / "supervisord.log"
    line = "kitt-worker-1 does not stay up; started again in 60 s"
    wait_until(lambda: log.exists() and line in log.read_text())

    row = house.rows()["kitt-worker-1"]
    assert (row.state, row.pid, row.restarts) == ("EXITED", None, 0)
    assert row.exit == "a setting or file is wrong (exit 78): see `kitt logs worker-1`"
    assert house.log("kitt-worker-1") == "kitt: KITT_MODEL is wrong.\n"
    assert house.alerts() == [("refused", "worker-1")]
    with pytest.raises(ConfigError, match=r"^kitt-worker-1 does not start: KITT_MODEL is wrong\.$"):
        supervision.start(house.settings, ["worker-1"])


def test_up_in_the_background_says_what_a_program_finds_wrong_and_leaves_nothing(
    house: House,
) -> None:
    (house.settings.profile / "bridge").write_text("wrong setting")

    _, said = house.up(daemon=True).communicate(timeout=20)

    assert house.ups[0].returncode == ConfigError.exit_code
    assert said == "kitt-bridge does not start: KITT_MODEL is wrong.\n"
    assert not house.stand_ins()
    with pytest.raises(supervision.NotRunning):
        supervision.processes(house.settings)


def test_a_program_that_stays_stopped_is_replaced_and_told_of(house: House) -> None:
    house.conf_with(stopped_s="0")
    house.up_and_running()
    stopped, other = (house.pids()[f"kitt-{name}"] for name in ("worker-1", "bridge"))
    assert stopped

    os.kill(stopped, signal.SIGSTOP)

    wait_until(lambda: not alive(stopped), 15)
    wait_until(house.all_running)
    assert house.pids()["kitt-bridge"] == other
    assert house.rows()["kitt-worker-1"].restarts == 1
    assert house.alerts() == [("stopped", "worker-1")]


def test_a_kind_has_workers_of_its_own_that_are_scaled_apart(house: House) -> None:
    house.settings = replace(house.settings, kind_workers={"browser": 1})
    house.up_and_running()
    before = house.pids()
    assert "--slot 1 --kinds browser --supervised\n" in house.log("kitt-worker-browser-1")

    supervision.scale(house.settings, 2)
    elsewhere = replace(house.settings, kind_workers={})  # of a shell that was not told
    supervision.scale(elsewhere, 2, kind="browser")
    more = house.pids()
    files = {path.stem for path in (house.settings.run_dir / "supervisor.d").iterdir()}
    supervision.scale(house.settings, 0, kind="browser")

    assert set(before) == {
        *("supervisord", "kitt-bridge", "kitt-worker-1", "kitt-worker-browser-1")
    }
    assert set(more) == {*before, "kitt-worker-2", "kitt-worker-browser-2"}
    assert files == set(more) - {"supervisord", "kitt-bridge"}
    assert {name: more[name] for name in before} == before
    assert set(house.pids()) == {*before, "kitt-worker-2"} - {"kitt-worker-browser-1"}


def test_a_kind_without_workers_of_its_own_is_not_scaled(running: House) -> None:
    with pytest.raises(ConfigError, match=r"brwser has no workers of its own .*: none\)"):
        supervision.scale(running.settings, 1, kind="brwser")


def test_starting_a_program_that_cannot_be_run_is_an_error(house: House) -> None:
    house.up_and_running()
    supervision.stop(house.settings, ["worker-1"])
    text = "supervisord refused supervisor.startProcess: SPAWN_ERROR: kitt-worker-1"
    shutil.rmtree(house.settings.log_dir)

    with pytest.raises(KittError, match=text):
        supervision.start(house.settings, ["worker-1"])


def test_a_path_too_long_for_a_socket_and_full_of_signs_works(tmp_path: Path) -> None:
    house = House(tmp_path / f"my 100% [profile] {'x' * 100}", workers=1)
    try:
        house.up_and_running()
        supervision.scale(house.settings, 2)

        assert len(os.fsencode(socket_path(house.settings))) < 100
        assert (house.settings.run_dir / "supervisor.sock").is_socket()
        assert "--slot 2" in house.log("kitt-worker-2")
        assert supervision.down(house.settings) == 0
    finally:
        house.clean()
        plain_memory(house.settings).unlink()


def test_up_refuses_a_profile_that_is_a_file(house: House) -> None:
    house.settings = Settings(profile=house.stand_in)

    _, said = house.up().communicate(timeout=10)

    assert house.ups[0].returncode == 78
    assert said.startswith(f"{house.stand_in} must be a folder")
    house.settings = Settings(profile=house.stand_in.parent)


def test_logs_prints_the_last_lines_of_one_or_of_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(profile=tmp_path)
    settings.log_dir.mkdir(parents=True)
    (settings.log_dir / "kitt-bridge.log").write_text("one\ntwo\nthree\n")
    (settings.log_dir / "kitt-worker-1.log").write_bytes(b"f\xffour\n")

    assert supervision.logs(settings, "bridge", lines=2) == 0
    assert capsys.readouterr().out == "two\nthree\n"
    supervision.logs(settings, lines=1)
    assert capsys.readouterr().out == "kitt-bridge | three\nkitt-worker-1 | f\ufffdour\n"
    supervision.logs(settings, "workers")
    assert capsys.readouterr().out == "kitt-worker-1 | f\ufffdour\n"
    with pytest.raises(KittError, match="no log of cat: there are bridge, worker-1"):
        supervision.logs(settings, "cat")
    with pytest.raises(KittError, match="There are no logs in"):
        supervision.logs(Settings(profile=tmp_path / "other"))


FOLLOW = """
import sys
from pathlib import Path
from bridge import supervision
from bridge.settings import Settings
sys.exit(supervision.logs(Settings(profile=Path(sys.argv[1])), follow=True))
"""


def test_logs_follows_through_rotation_and_to_new_programs(tmp_path: Path) -> None:
    log_dir = Settings(profile=tmp_path).log_dir
    log_dir.mkdir(parents=True)
    log = log_dir / "kitt-bridge.log"
    log.write_text("one\nhal")
    command = [sys.executable, "-u", "-c", FOLLOW, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as follower:
        assert follower.stdout
        assert follower.stdout.readline() == "kitt-bridge | one\n"
        with log.open("a") as file:
            file.write("f\n")
        log.rename(log_dir / "kitt-bridge.log.1")
        log.write_text("two\n")
        (log_dir / "kitt-worker-1.log").write_text("three\n")

        said = [follower.stdout.readline() for _ in range(3)]

        assert said == ["kitt-bridge | half\n", "kitt-bridge | two\n", "kitt-worker-1 | three\n"]
        follower.send_signal(signal.SIGINT)
        assert follower.wait(5) == 0

"""`kitt up` and `kitt down`, and in one place what the other commands about processes call.

`up` becomes supervisord itself: one process, nothing beside it. What runs is written in
supervisord.conf at the root of the repository. Every function here raises KittError with a
sentence, and its `exit_code` says how the command ends.
"""

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NoReturn

from bridge.errors import AlreadyRunning, ConfigError, KittError
from bridge.process import SUPERVISOR_PID_FILE, SlotLock, prepare_folders
from bridge.settings import Settings
from bridge.supervision_logs import logs
from bridge.supervision_programs import (
    CONF,
    STOP_S,
    all_worker_names,
    allow,
    program_names,
    restart,
    scale,
    start,
    stop,
    until,
    wait_started,
    write_workers,
)
from bridge.supervision_status import (
    SHUTDOWN_STATE,
    NotRunning,
    ProcessInfo,
    call,
    plain_memory,
    processes,
    socket_path,
    table,
)

__all__ = [
    "NotRunning",
    "ProcessInfo",
    "down",
    "logs",
    "processes",
    "restart",
    "scale",
    "start",
    "stop",
    "table",
    "up",
]

_UP_S: Final = 10.0
_SETTLED_S: Final = 3.0  # time to read the settings, ask Telegram for the bot and be refused


def up(
    settings: Settings,
    *,
    daemon: bool = False,
    python: Sequence[str] = (sys.executable,),
    conf: Path = CONF,
) -> int:
    """Run the bridge and `settings.workers` workers until `down`, Ctrl-C or SIGTERM, then drain.

    In the foreground it does not return: this process becomes supervisord. With `daemon` it
    returns 0 once every program has stayed up for 3 s. `python` is what runs KITT's programs.

    Raises: AlreadyRunning (exit 75) when this profile is up; ConfigError for folders or files, and
    in the background for what a program finds wrong at once: then nothing runs. KittError naming a
    program that does not stay up for another reason: it is tried again in the background.
    """
    prepare_folders(settings)
    if not conf.is_file():
        raise ConfigError(f"{conf} is missing: run KITT from its repository.")
    with SlotLock(settings.run_dir / "supervisor.lock") as lock:
        _clear_traces(settings)
        write_workers(settings, all_worker_names(settings), conf)
        # -P: the folder `kitt up` is called in is no place for modules.
        command = [sys.executable, "-P", "-m", "supervisor.supervisord", "--nodaemon"]
        command += ["--configuration", str(conf.absolute())]
        environ = _environ(settings, python)
        if not daemon:
            _become(command, environ, lock)
        pid = _detach(settings, [*command, "--silent"], environ, lock)
    # Only now: `down` waits for the lock, which was ours too until here.
    try:
        wait_started(settings, program_names(settings), settled_s=_SETTLED_S)
    except ConfigError:
        down(settings)
        raise
    print(f"KITT runs in the background (pid {pid}): `kitt status`, `kitt down`.")
    return 0


def _environ(settings: Settings, python: Sequence[str]) -> dict[str, str]:
    return {
        **os.environ,
        "KITT_PROFILE": str(settings.profile.absolute()),
        "KITT_WORKERS": str(settings.workers),
        "KITT_KIND_WORKERS": ",".join(f"{k}:{n}" for k, n in settings.kind_workers.items()),
        "SUPERVISOR_MEMORY": str(plain_memory(settings)),
        "SUPERVISOR_PYTHON": shlex.join(python),
    }


def _clear_traces(settings: Settings) -> None:
    """Remove what a killed supervisord left. The lock is ours, so nobody should listen there."""
    try:
        pid = call(settings, "supervisor.getPID")
    except NotRunning:
        for trace in (settings.run_dir / SUPERVISOR_PID_FILE, socket_path(settings)):
            trace.unlink(missing_ok=True)
    else:
        raise AlreadyRunning(
            f"supervisor is already running (pid {pid}): stop it with `kitt down`, or wait."
        )


def _become(command: list[str], environ: dict[str, str], lock: SlotLock) -> NoReturn:
    # The lock goes along, so that the slot is free exactly when supervisord has ended.
    os.set_inheritable(lock.fileno(), True)
    sys.stdout.flush()
    os.execve(command[0], command, environ)  # noqa: S606 - our own interpreter, no shell


def _detach(settings: Settings, command: list[str], environ: dict[str, str], lock: SlotLock) -> int:
    """Start supervisord by itself and wait until it answers; its pid."""
    log = settings.log_dir / "supervisord.log"
    with log.open("ab") as errors:
        child = subprocess.Popen(  # noqa: S603 - our own interpreter, no shell
            command,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
            pass_fds=[lock.fileno()],
        )
    lock.record(child.pid)
    for _ in until(_UP_S):
        if child.poll() is not None:
            raise KittError(f"supervisord ended at once (exit {child.returncode}): see {log}.")
        try:
            call(settings, "supervisor.getState")
        except NotRunning:
            continue
        child.returncode = 0  # it outlives us: nothing waits for it
        return child.pid
    raise KittError(f"supervisord does not answer after {_UP_S:g} s: see {log}.")


def down(settings: Settings) -> int:
    """Drain and end everything, and wait for it, at most 40 s. Nothing running is no error.

    Raises: KittError when something is still there after 40 s.
    """
    try:
        allow(SHUTDOWN_STATE, settings, "supervisor.shutdown")
    except NotRunning:
        print(f"KITT is not running with the profile {settings.profile}.")
        return 0
    # supervisord ends after its last program and holds the lock until it ends.
    try:
        with SlotLock(settings.run_dir / "supervisor.lock", wait_s=STOP_S):
            return 0
    except AlreadyRunning as error:
        raise KittError(f"KITT has not ended within {STOP_S:g} s: {error}") from None

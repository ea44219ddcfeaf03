"""`kitt start`, `stop`, `restart` and `scale`: the programs of a running supervisord.

Each program is a group of its own and each worker a file of its own, so that one can be added or
removed while the others keep running. Waiting is done here, by looking: a call that waits inside
supervisord could be cut off with its program down.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from configparser import RawConfigParser
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from bridge.errors import ConfigError, KittError
from bridge.process import age_seconds
from bridge.settings import Settings
from bridge.supervision_status import (
    ALREADY_STARTED,
    NOT_RUNNING,
    Refused,
    call,
    program_name,
)

CONF: Final = Path(__file__).resolve().parents[1] / "supervisord.conf"
STOP_S: Final = 40.0  # stopwaitsecs is 30
WORKERS_MAX: Final = 64  # as KITT_WORKERS

_WORKER: Final = "kitt-worker-"
_TEMPLATE: Final = "template:kitt-worker"
_STOPPED: Final = ("STOPPED", "EXITED", "FATAL")
_SETTLED_S: Final = 1.5  # a wrong setting ends a program after 1.1 s (process.outlast_start_check)
_START_S: Final = 20.0  # a predecessor may still be draining
_DRAIN_S: Final = 30.0  # stopwaitsecs
_POLL_S: Final = 0.1


def start(settings: Settings, names: Iterable[str] = ()) -> int:
    """Start the named programs, or all, and wait until they have stayed up for 1.5 s.

    Raises: NotRunning; KittError naming a program that does not exist or does not stay up.
    """
    programs = _named(settings, names)
    for name in programs:
        allow(ALREADY_STARTED, settings, "supervisor.startProcess", name, False)
    _wait_started(settings, programs)
    return 0


def stop(settings: Settings, names: Iterable[str] = ()) -> int:
    """Drain the named programs, or all, and wait; they stay down until `start`.

    Raises: NotRunning; KittError naming a program that does not exist or does not end.
    """
    programs = _named(settings, names)
    for name in programs:
        call(settings, "kitt.forget", name)
        allow(NOT_RUNNING, settings, "supervisor.stopProcess", name, False)
    late = _late(settings, programs, lambda info: info["statename"] in _STOPPED, STOP_S)
    if late:
        raise KittError(f"{', '.join(late)} did not end within {STOP_S:g} s.")
    return 0


def restart(settings: Settings, names: Iterable[str] = (), *, rolling: bool = False) -> int:
    """Drain the named programs, or all, and start them again; `rolling`: one after the other.

    supervisord itself does the starting, as after any end, so a program may restart itself and an
    interrupted `kitt restart` leaves nothing down.

    Raises: NotRunning; KittError naming a program that does not exist or does not come back.
    """
    programs = _named(settings, names)
    for batch in [[name] for name in programs] if rolling else [programs]:
        _restart(settings, batch)
    return 0


def _restart(settings: Settings, programs: Sequence[str]) -> None:
    infos = _infos(settings)
    pids = {name: infos[name]["pid"] for name in programs}
    for name, pid in pids.items():
        if pid:
            allow(NOT_RUNNING, settings, "supervisor.signalProcess", name, "TERM")
        else:
            allow(NOT_RUNNING, settings, "supervisor.stopProcess", name, False)  # out of BACKOFF
            allow(ALREADY_STARTED, settings, "supervisor.startProcess", name, False)
    draining = [name for name, pid in pids.items() if pid]
    # A program that does not drain gets as long as supervisord would give it, and the same end.
    for name in _late(settings, draining, lambda i: i["pid"] != pids[i["name"]], _DRAIN_S):
        allow(NOT_RUNNING, settings, "supervisor.signalProcess", name, "KILL")
    _wait_started(settings, programs, pids)


def scale(settings: Settings, workers: int, *, conf: Path = CONF) -> int:
    """Make it `workers` workers. The others keep running; a removed one drains first.

    The number holds until the next `kitt up`, which takes KITT_WORKERS.

    Raises: NotRunning; KittError when a worker does not stay up or does not end.
    """
    if not 0 <= workers <= WORKERS_MAX:
        raise ConfigError(f"The number of workers must be from 0 to {WORKERS_MAX}; got {workers}.")
    now = {name for name in _infos(settings) if name.startswith(_WORKER)}
    wanted = [f"{_WORKER}{slot}" for slot in range(1, workers + 1)]
    added = [name for name in wanted if name not in now]
    removed = sorted(now.difference(wanted))
    write_workers(settings, range(1, workers + 1), conf)
    call(settings, "supervisor.reloadConfig")
    for name in added:
        call(settings, "supervisor.addProcessGroup", name)
    if removed:
        stop(settings, removed)
    for name in removed:
        call(settings, "supervisor.removeProcessGroup", name)
    _wait_started(settings, added)
    return 0


def write_workers(settings: Settings, slots: Iterable[int], conf: Path) -> None:
    """One file per worker, made from the template in supervisord.conf; others are removed."""
    parser = RawConfigParser(inline_comment_prefixes=(";", "#"), strict=False)
    parser.read(conf, encoding="utf-8")
    folder = settings.run_dir / "supervisor.d"
    folder.mkdir(mode=0o700, exist_ok=True)
    texts = {
        f"{_WORKER}{slot}": "".join(
            f"{key} = {value.replace('{slot}', str(slot))}\n"
            for key, value in parser.items(_TEMPLATE)
        )
        for slot in slots
    }
    for path in folder.glob("*.conf"):
        if path.stem not in texts:
            path.unlink()
    for name, text in texts.items():
        (folder / f"{name}.conf").write_text(f"[program:{name}]\n{text}", encoding="utf-8")


def _infos(settings: Settings) -> dict[str, dict[str, Any]]:
    return {info["name"]: info for info in call(settings, "supervisor.getAllProcessInfo")}


def _named(settings: Settings, names: Iterable[str]) -> list[str]:
    known = _infos(settings)
    programs = [program_name(name) for name in names] or list(known)
    for name in programs:
        if name not in known:
            raise KittError(f"{name} is not a program of KITT: there are {', '.join(known)}.")
    return programs


def allow(code: int, settings: Settings, method: str, *arguments: Any) -> None:
    """A call whose fault `code` means that there is nothing to do."""
    try:
        call(settings, method, *arguments)
    except Refused as fault:
        if fault.code != code:
            raise


def _late(
    settings: Settings,
    programs: Sequence[str],
    ready: Callable[[dict[str, Any]], object],
    limit_s: float,
) -> list[str]:
    """Wait until every program is `ready`, and name those that are not within `limit_s`."""
    late = list(programs)
    for _ in until(limit_s if programs else 0):
        infos = _infos(settings)
        late = [name for name in programs if name in infos and not ready(infos[name])]
        if not late:
            break
    return late


def _wait_started(
    settings: Settings, programs: Sequence[str], old_pids: Mapping[str, int] = MappingProxyType({})
) -> None:
    """Wait until every program has run for 1.5 s, with another pid than its old one.

    Raises: KittError, at once when a program ends for a wrong setting or is given up on. One that
    takes longer to find its setting wrong is seen by `kitt status`.
    """

    def running(info: dict[str, Any]) -> bool:
        name, state = info["name"], info["statename"]
        gave_up = state == "EXITED" and info["exitstatus"] == ConfigError.exit_code
        if gave_up or state == "FATAL":
            raise KittError(f"{name} does not stay up: see `kitt logs {name}`.")
        if state != "RUNNING" or info["pid"] == old_pids.get(name):
            return False
        age = age_seconds(info["pid"])
        return age is None or age >= _SETTLED_S

    late = _late(settings, programs, running, _START_S)
    if late:
        raise KittError(
            f"{', '.join(late)} did not stay up within {_START_S:g} s: see `kitt logs`."
        )


def until(limit_s: float) -> Iterable[None]:
    """Turns of a loop that looks every 0.1 s until `limit_s` have passed."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        yield
        time.sleep(_POLL_S)

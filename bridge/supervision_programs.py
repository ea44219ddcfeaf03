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
from bridge.store_errors import translated
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
    wait_started(settings, programs)
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
        if rolling:
            print(f"{_short(batch[0])} runs again.", flush=True)
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
    wait_started(settings, programs, pids)


def scale(settings: Settings, workers: int, *, kind: str = "", conf: Path = CONF) -> int:
    """Make it `workers` workers, of those that serve a kind alone, or without one of the others.

    All others keep running; a removed one drains first. The number holds until the next `kitt up`,
    which takes KITT_WORKERS and KITT_KIND_WORKERS.

    Raises: NotRunning; KittError when a worker does not stay up or does not end; ConfigError for a
    number out of range and for a kind without workers of its own.
    """
    if not 0 <= workers <= WORKERS_MAX:
        raise ConfigError(f"The number of workers must be from 0 to {WORKERS_MAX}; got {workers}.")
    running = {name for name in _infos(settings) if name.startswith(_WORKER)}
    # KITT may have been started from another shell, with other settings.
    kinds = {*settings.kind_workers, *filter(None, map(_kind_of, running))}
    if kind and kind not in kinds:
        known = ", ".join(sorted(kinds)) or "none"
        raise ConfigError(
            f"{kind} has no workers of its own (kinds that have: {known}): add it to "
            "KITT_KIND_WORKERS and run `kitt up` again."
        )
    now = {name for name in running if _kind_of(name) == kind}
    wanted = worker_names(workers, kind)
    added = [name for name in wanted if name not in now]
    removed = sorted(now.difference(wanted))
    write_workers(settings, (running - now).union(wanted), conf)
    call(settings, "supervisor.reloadConfig")
    for name in added:
        call(settings, "supervisor.addProcessGroup", name)
    if removed:
        stop(settings, removed)
    for name in removed:
        call(settings, "supervisor.removeProcessGroup", name)
    wait_started(settings, added)
    return 0


def all_worker_names(settings: Settings) -> list[str]:
    """The workers that `kitt up` starts."""
    names = worker_names(settings.workers)
    for kind, number in settings.kind_workers.items():
        names += worker_names(number, kind)
    return names


def worker_names(number: int, kind: str = "") -> list[str]:
    """`kitt-worker-1` …, or with a kind `kitt-worker-browser-1` …"""
    prefix = f"{_WORKER}{kind}-" if kind else _WORKER
    return [f"{prefix}{slot}" for slot in range(1, number + 1)]


def _kind_of(worker: str) -> str:
    return worker.removeprefix(_WORKER).rpartition("-")[0]


def _arguments_of(worker: str) -> str:
    """What stands for {slot} in the template."""
    kind, _, slot = worker.removeprefix(_WORKER).rpartition("-")
    return f"{slot} --kinds {kind}" if kind else slot


def write_workers(settings: Settings, names: Iterable[str], conf: Path) -> None:
    """One file per worker, made from the template in supervisord.conf; others are removed."""
    parser = RawConfigParser(inline_comment_prefixes=(";", "#"), strict=False)
    parser.read(conf, encoding="utf-8")
    folder = settings.run_dir / "supervisor.d"
    folder.mkdir(mode=0o700, exist_ok=True)
    texts = {
        name: "".join(
            f"{key} = {value.replace('{slot}', _arguments_of(name))}\n"
            for key, value in parser.items(_TEMPLATE)
        )
        for name in names
    }
    with translated(folder):  # the disk may be full
        for path in folder.glob("*.conf"):
            if path.stem not in texts:
                path.unlink()
        for name, text in texts.items():
            (folder / f"{name}.conf").write_text(f"[program:{name}]\n{text}", encoding="utf-8")


def _infos(settings: Settings) -> dict[str, dict[str, Any]]:
    return {info["name"]: info for info in call(settings, "supervisor.getAllProcessInfo")}


def program_names(settings: Settings) -> list[str]:
    """What supervisord runs now, the bridge first."""
    return sorted(_infos(settings), key=lambda name: (len(name), name))


def _named(settings: Settings, names: Iterable[str]) -> list[str]:
    """Full names; `workers` means all of them, and no name means everything."""
    known = program_names(settings)
    programs: list[str] = []
    for name in names:
        if name == "workers":
            programs += [each for each in known if each.startswith(_WORKER)]
        else:
            programs.append(program_name(name))
    for name in programs:
        if name not in known:
            there = ", ".join(map(_short, known))
            raise KittError(f"{_short(name)} is not a program of KITT: there are {there}.")
    return list(dict.fromkeys(programs)) if names else known


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


def wait_started(
    settings: Settings,
    programs: Sequence[str],
    old_pids: Mapping[str, int] = MappingProxyType({}),
    *,
    settled_s: float = _SETTLED_S,
) -> None:
    """Wait until every program has run for `settled_s`, with another pid than its old one.

    Raises: at once ConfigError when a program ends for a wrong setting, KittError when one is given
    up on. One that takes longer to find its setting wrong is seen by `kitt status`.
    """

    def running(info: dict[str, Any]) -> bool:
        name, state = info["name"], info["statename"]
        if state == "EXITED" and info["exitstatus"] == ConfigError.exit_code:
            raise ConfigError(f"{name} does not start: {_why(info)}")
        if state == "FATAL":
            raise KittError(f"{name} does not stay up: {_why(info)}")
        if state != "RUNNING" or info["pid"] == old_pids.get(name):
            return False
        age = age_seconds(info["pid"])
        return (age is None or age >= settled_s) and _has_slot(settings, name, info["pid"])

    late = _late(settings, programs, running, _START_S)
    if late:
        raise KittError(
            f"{', '.join(late)} did not stay up within {_START_S:g} s: see `kitt logs`."
        )


def _has_slot(settings: Settings, name: str, pid: int) -> bool:
    """Has it come so far, past its settings? A slow machine takes seconds to load a program."""
    try:
        holder = (settings.run_dir / f"{_short(name)}.lock").read_text().strip()
    except OSError:
        return False
    return holder in (str(pid), "")  # a full disk keeps no number


def _why(info: dict[str, Any]) -> str:
    """The sentence with which a program ended, or where to look for it."""
    try:
        last = Path(info["stdout_logfile"]).read_text(errors="replace").splitlines()[-1]
    except (OSError, IndexError):
        last = ""
    sentence = last.removeprefix("kitt: ")
    return sentence if sentence != last else f"see `kitt logs {_short(info['name'])}`."


def _short(name: str) -> str:
    return name.removeprefix("kitt-")


def until(limit_s: float) -> Iterable[None]:
    """Turns of a loop that looks every 0.1 s until `limit_s` have passed."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        yield
        time.sleep(_POLL_S)

"""Asks a running supervisord: where it listens, how it is called, what runs.

Only its public XML-RPC is used (and `kitt.*` of listener.py), so another supervisor could take
its place. `supervision` acts through the same `call`.
"""

import hashlib
import http.client
import os
import re
import socket
import stat
import sys
import tempfile
import xmlrpc.client
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bridge.errors import ConfigError, KittError
from bridge.process import age_seconds, cpu_seconds, pss_mb
from bridge.settings import Settings

SOCKET_NAME: Final = "supervisor.sock"
# sun_path holds 108 bytes with its final zero on Linux, 104 elsewhere. supervisord binds
# "<socket>.<pid>" first and renames it, so the longest pid (2^22 on Linux) has to fit too.
_SOCKET_BYTES_MAX: Final = (107 if sys.platform == "linux" else 103) - len(".4194304")
_PLAIN_PATH: Final = re.compile(r"[\w./+@=,~-]+")
_CALL_TIMEOUT_S: Final = 10.0  # supervisord answers from a loop that waits for nothing

# supervisor.xmlrpc.Faults
SHUTDOWN_STATE: Final = 6
BAD_NAME: Final = 10
ALREADY_STARTED: Final = 60
NOT_RUNNING: Final = 70


class NotRunning(KittError):
    """No supervisord runs for this profile. Exit 3, as init scripts say "not running"."""

    exit_code = 3


class Refused(KittError):
    """supervisord answered with a fault; `code` is one of supervisor.xmlrpc.Faults."""

    def __init__(self, message: str, *, code: int) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessInfo:
    """One row of `kitt status`. What nobody knows is None."""

    name: str
    state: str
    pid: int | None
    uptime_s: float | None
    restarts: int | None
    cpu_s: float | None
    pss_mb: float | None
    exit: str


def plain_memory(settings: Settings) -> Path:
    """The memory folder by a path that fits a socket address and supervisord's file format.

    A long path cannot be bound; a space splits the list of included files, a wildcard is
    expanded in it, and a % in the path of a log is expanded twice. Then a private link in the
    system's temp folder stands for it; the files themselves are always in the profile.

    Raises: ConfigError when the folder for the link is not ours alone.
    """
    memory = settings.memory.resolve()
    return memory if _fits(memory) else _private_link(memory)


def socket_path(settings: Settings) -> Path:
    """Where the supervisord of this profile listens."""
    return plain_memory(settings) / "run" / SOCKET_NAME


def _fits(memory: Path) -> bool:
    address = os.fsencode(memory / "run" / SOCKET_NAME)
    return len(address) <= _SOCKET_BYTES_MAX and bool(_PLAIN_PATH.fullmatch(str(memory)))


def _private_link(memory: Path) -> Path:
    folder = Path(tempfile.gettempdir()).resolve() / f"kitt-{os.getuid()}"
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    status = folder.lstat()
    private = stat.S_ISDIR(status.st_mode) and not status.st_mode & 0o077
    if not private or status.st_uid != os.getuid():
        raise ConfigError(f"{folder} must be a folder that only you can enter: remove it.")
    link = folder / hashlib.sha256(os.fsencode(memory)).hexdigest()[:16]
    if not _fits(link):
        raise ConfigError(f"{folder} is too long for a socket: set TMPDIR to a short plain path.")
    with suppress(FileExistsError):
        link.symlink_to(memory)
    return link


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_CALL_TIMEOUT_S)
        self.sock.connect(str(self._path))


class _UnixTransport(xmlrpc.client.Transport):
    """The standard transport over a Unix socket; supervisor's own imports its whole server."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        connection = _UnixConnection(self._path)
        self._connection = host, connection  # what `close` closes
        return connection


def call(settings: Settings, method: str, *arguments: Any) -> Any:
    """One call of the supervisord of this profile, such as `supervisor.getState`.

    Raises: NotRunning; Refused for a fault; KittError when it does not answer.
    """
    transport = _UnixTransport(socket_path(settings))
    try:
        with xmlrpc.client.ServerProxy("http://localhost", transport=transport) as server:
            return getattr(server, method)(*arguments)
    except (FileNotFoundError, ConnectionRefusedError):
        raise NotRunning(
            f"KITT is not running with the profile {settings.profile}: start it with `kitt up`."
        ) from None
    except xmlrpc.client.Fault as fault:
        raise Refused(_sentence(method, fault), code=fault.faultCode) from None
    except (OSError, http.client.HTTPException, xmlrpc.client.Error) as error:
        log = settings.log_dir / "supervisord.log"
        raise KittError(f"supervisord does not answer ({error}): see {log}.") from error


def _sentence(method: str, fault: xmlrpc.client.Fault) -> str:
    if fault.faultCode == SHUTDOWN_STATE:
        return "KITT is shutting down: wait until it has ended."
    if fault.faultCode == BAD_NAME:
        name = fault.faultString.partition(": ")[2]
        return f"{name} is not a program of KITT: `kitt status` lists them."
    return f"supervisord refused {method}: {fault.faultString}."


def program_name(name: str) -> str:
    """The full name of a program: `bridge` and `worker-1` may be said for short."""
    return name if name.startswith("kitt-") or name == "supervisord" else f"kitt-{name}"


def processes(settings: Settings) -> list[ProcessInfo]:
    """supervisord and its programs, the bridge first.

    Raises: NotRunning (exit 3) when supervisord does not run.
    """
    pid = call(settings, "supervisor.getPID")
    starts = call(settings, "kitt.starts")
    rows = [
        _row(info["name"], info["statename"], info["pid"], starts, _exit_text(info))
        for info in call(settings, "supervisor.getAllProcessInfo")
    ]
    rows.sort(key=lambda row: (len(row.name), row.name))
    return [_row("supervisord", "RUNNING", pid, {}, ""), *rows]


def _row(name: str, state: str, pid: int, starts: dict[str, int], ended: str) -> ProcessInfo:
    return ProcessInfo(
        name=name,
        state=state,
        pid=pid or None,
        uptime_s=age_seconds(pid) if pid else None,
        restarts=max(0, starts[name] - 1) if name in starts else None,
        cpu_s=cpu_seconds(pid) if pid else None,
        pss_mb=pss_mb(pid) if pid else None,
        exit=ended,
    )


def _exit_text(info: dict[str, Any]) -> str:
    state, name = info["statename"], info["name"].removeprefix("kitt-")
    if state == "EXITED" and info["exitstatus"] == ConfigError.exit_code:
        return f"a setting or file is wrong (exit 78): see `kitt logs {name}`"
    if state == "FATAL":
        return f"does not stay up, is tried again every minute: see `kitt logs {name}`"
    if state == "BACKOFF":
        return f"{info['spawnerr'] or 'does not stay up'}: see `kitt logs {name}`"
    return f"exit {info['exitstatus']}" if state == "EXITED" else ""


def table(rows: Sequence[ProcessInfo]) -> str:
    """The rows as text for people under a heading; how one ended stands below it."""
    lines = [("name", "state", "pid", "up", "restarts", "cpu s", "MB")]
    lines += [
        (
            row.name,
            row.state.lower(),
            str(row.pid or "-"),
            "-" if row.uptime_s is None else _duration(int(row.uptime_s)),
            "-" if row.restarts is None else str(row.restarts),
            "-" if row.cpu_s is None else f"{row.cpu_s:.1f}",
            "-" if row.pss_mb is None else f"{row.pss_mb:.1f}",
        )
        for row in rows
    ]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    texts = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    ends = ["", *(row.exit and f"\n  {row.exit}" for row in rows)]
    return "\n".join(text + end for text, end in zip(texts, ends, strict=True))


def _duration(seconds: int) -> str:
    hours, rest = divmod(seconds, 3600)
    days, hours = divmod(hours, 24)
    return f"{days}d {hours}h" if days else f"{hours}:{rest // 60:02}:{rest % 60:02}"

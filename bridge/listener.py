"""What supervisord lacks, loaded into supervisord itself: no second process watches the first.

`[rpcinterface:kitt]` in supervisord.conf names `make_interface`. What it adds:
  - a program that supervisord gave up on (FATAL), or that ended with exit code 78, is started
    again after `rest_s`: KITT never gives up (Supervisor/supervisor#487 asks for this since 2014);
  - programs start at once, and signals and ends of programs are noticed at once: by itself
    supervisord looks once a second;
  - at the end all programs drain at the same time: by itself supervisord stops one group after
    the other, each for up to `stopwaitsecs`;
  - it counts starts, which supervisord does not;
  - a program that was stopped (SIGSTOP) and does not go on is killed, and so replaced: it holds its
    slot and answers nobody;
  - the owners are told of what they may have to mend (bridge/troubles.py).

It runs inside supervisord's only loop, so it imports next to nothing, never waits and never raises.
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from supervisor import events
from supervisor.states import ProcessStates, SupervisorStates

from bridge.troubles import Troubles

REST_S: Final = 60.0  # long enough not to be a loop, short enough not to need a person
STOPPED_S: Final = 45.0  # a debugger or a person looks for a moment; a lease is 30 s

_GAVE_UP: Final = (ProcessStates.FATAL, ProcessStates.EXITED)


def make_interface(
    supervisord: Any, rest_s: str = str(REST_S), stopped_s: str = str(STOPPED_S), alerts: str = ""
) -> "Listener":
    """The factory supervisord calls, with the options of the section."""
    folder = Path(alerts) if alerts else None
    return Listener(supervisord, rest_s=float(rest_s), stopped_s=float(stopped_s), alerts=folder)


class Listener:
    """Restarts what was given up on. Public methods can be called over XML-RPC as `kitt.<name>`."""

    def __init__(
        self, supervisord: Any, *, rest_s: float, stopped_s: float, alerts: Path | None
    ) -> None:
        self._supervisord = supervisord
        self._rest_s = rest_s
        self._stopped_s = stopped_s
        self._bell = _Bell(supervisord.options.get_socket_map())
        self._troubles = Troubles(alerts)
        self._due: dict[str, float] = {}
        self._starts: dict[str, int] = {}
        self._stopped: dict[int, float] = {}  # pid, and since when it was seen so
        events.subscribe(events.ProcessStateStartingEvent, self._count)
        events.subscribe(events.ProcessStateBackoffEvent, self._crashed)
        events.subscribe(events.ProcessStateFatalEvent, self._rest)
        events.subscribe(events.ProcessStateExitedEvent, self._rest)
        events.subscribe(events.Tick5Event, self._revive)
        events.subscribe(events.Tick5Event, self._replace_stopped)
        events.subscribe(events.Tick5Event, self._look)
        events.subscribe(events.SupervisorRunningEvent, self._begin)
        events.subscribe(events.SupervisorStoppingEvent, self._drain)

    def starts(self) -> dict[str, int]:
        """How often each program was started, failed starts included."""
        return self._starts

    def forget(self, name: str) -> bool:
        """A person stopped this program: leave it alone."""
        self._troubles.forget(name)
        return self._due.pop(name, None) is not None

    def _count(self, event: Any) -> None:
        name = event.process.config.name
        self._starts[name] = self._starts.get(name, 0) + 1

    def _crashed(self, event: Any) -> None:
        if self._supervisord.options.mood == SupervisorStates.RUNNING:
            self._troubles.crashed(event.process.config.name, time.monotonic())

    def _rest(self, event: Any) -> None:
        options = self._supervisord.options
        if options.mood != SupervisorStates.RUNNING:
            return  # at shutdown supervisord turns BACKOFF into FATAL
        ended = isinstance(event, events.ProcessStateExitedEvent)
        if ended and not event.expected:
            if event.process.exitstatus != 0:  # 0: it was asked to end, or ended to be renewed
                self._crashed(event)
            self._bell.ring()  # supervisord starts it again, in its next turn
            return
        name, now = event.process.config.name, time.monotonic()
        self._due[name] = now + self._rest_s
        options.logger.warn(f"{name} does not stay up; started again in {self._rest_s:g} s")
        self._troubles.tell(name, "refused" if ended else "crashing", now)

    def _revive(self, _: Any) -> None:
        if self._supervisord.options.mood != SupervisorStates.RUNNING:
            return
        now = time.monotonic()
        for name in [name for name, due in self._due.items() if due <= now]:
            del self._due[name]
            # Each program is a group of its own, of the same name; a removed one is not there.
            group = self._supervisord.process_groups.get(name)
            process = group.processes.get(name) if group else None
            if process and process.get_state() in _GAVE_UP:
                process.spawn()

    def _replace_stopped(self, _: Any) -> None:
        """Kill what stands still by a signal; its end is one that supervisord did not expect."""
        now = time.monotonic()
        stopped = {
            process.pid: process
            for process in self._programs()
            if process.get_state() == ProcessStates.RUNNING and _is_stopped(process.pid)
        }
        self._stopped = {pid: self._stopped.get(pid, now) for pid in stopped}
        for pid, since in self._stopped.items():
            if now - since < self._stopped_s:
                continue
            name = stopped[pid].config.name
            self._supervisord.options.logger.warn(
                f"{name} (pid {pid}) was stopped {now - since:.0f} s ago and is replaced"
            )
            self._troubles.tell(name, "stopped", now, seconds=round(now - since))
            with suppress(OSError):
                os.killpg(pid, signal.SIGKILL)  # not process.kill: that means "stay down"

    def _look(self, _: Any) -> None:
        running = {
            process.config.name: process.get_state() == ProcessStates.RUNNING
            for process in self._programs()
        }
        self._troubles.look(running, time.monotonic())

    def _programs(self) -> Iterator[Any]:
        for group in self._supervisord.process_groups.values():
            yield from group.processes.values()

    def _begin(self, _: Any) -> None:
        for group in self._supervisord.process_groups.values():
            group.transition()

    def _drain(self, _: Any) -> None:
        if self._supervisord.options.mood == SupervisorStates.RESTARTING:
            self._bell.remove()  # a reload closes all descriptors and makes a new Listener
        for group in self._supervisord.process_groups.values():
            group.stop_all()


def _is_stopped(pid: int) -> bool:
    """Stopped by a signal (T); one under a debugger (t) is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] == b"T"
    except (OSError, IndexError):
        return False


class _Bell:
    """Ends the sleep of supervisord's loop, up to 1 s, which no signal interrupts (PEP 475).

    A pipe among the descriptors the loop watches; Python writes a byte to it for each signal.
    """

    def __init__(self, watched: dict[int, Any]) -> None:
        self._watched = watched
        self._read_fd, self._write_fd = os.pipe()
        os.set_blocking(self._read_fd, False)
        os.set_blocking(self._write_fd, False)
        signal.set_wakeup_fd(self._write_fd, warn_on_full_buffer=False)
        watched[self._read_fd] = self

    def ring(self) -> None:
        with suppress(BlockingIOError):  # full: it rings already
            os.write(self._write_fd, b"\0")

    def remove(self) -> None:
        signal.set_wakeup_fd(-1)
        del self._watched[self._read_fd]
        os.close(self._read_fd)
        os.close(self._write_fd)

    # What the loop calls on everything it watches.

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def handle_read_event(self) -> None:
        with suppress(BlockingIOError):
            os.read(self._read_fd, 4096)

    def handle_error(self) -> None:
        """Nothing can go wrong that is not suppressed above."""

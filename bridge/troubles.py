"""Which programs are in trouble, and what their owner was told: each thing once, until it is over.

Part of `listener`, so it runs inside supervisord. Times are monotonic seconds.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from bridge import alert_box

CRASHES: Final = 5  # so many within …
WINDOW_S: Final = 300.0  # … this time are told
STABLE_S: Final = 600.0  # up for so long, a program is well again

_PASSING: Final = {"stopped"}  # told when it is over already: nothing follows


class Troubles:
    """Counts crashes and leaves alerts in `folder`; without a folder nobody is told."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._crashes: dict[str, list[float]] = {}
        self._told: dict[str, set[str]] = {}
        self._last: dict[str, float] = {}

    def crashed(self, program: str, now: float) -> None:
        """A program ended by itself and not in good order."""
        times = [at for at in self._crashes.get(program, ()) if at > now - WINDOW_S]
        self._crashes[program] = [*times, now]
        self._last[program] = now
        if len(times) + 1 >= CRASHES:
            self.tell(program, "crashing", now)

    def tell(self, program: str, alert: str, now: float, **values: int) -> None:
        """Tell the owner, unless that was done since the program was last well."""
        self._last[program] = now
        told = self._told.setdefault(program, set())
        if alert not in told:
            told.add(alert)
            self._put(alert, program, **values)

    def look(self, running: Mapping[str, bool], now: float) -> None:
        """Say of a program that was in trouble that it is over. `running`: every program."""
        for program in list(self._told):
            if program not in running:
                self.forget(program)
            elif not running[program]:
                self._last[program] = now
            elif now - self._last[program] >= STABLE_S:
                if self._told[program] - _PASSING:
                    self._put("stable", program)
                self.forget(program)

    def forget(self, program: str) -> None:
        """A person has taken it in hand."""
        self._crashes.pop(program, None)
        self._told.pop(program, None)
        self._last.pop(program, None)

    def _put(self, alert: str, program: str, **values: int) -> None:
        if self._folder is not None:
            alert_box.put(self._folder, alert, program.removeprefix("kitt-"), **values)

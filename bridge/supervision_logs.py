"""`kitt logs`: reads the log files themselves, so it works when nothing runs."""

import os
import sys
import time
from collections import deque
from pathlib import Path
from typing import Final

from bridge.errors import KittError
from bridge.settings import Settings
from bridge.supervision_status import program_name

_FOLLOW_POLL_S: Final = 0.5
_ALL: Final = {"": "*", "workers": "kitt-worker-*"}


def logs(
    settings: Settings, name: str | None = None, *, follow: bool = False, lines: int = 50
) -> int:
    """Print the last `lines` lines of one log, or of all, each line then led by its log's name.

    With `follow` it goes on until Ctrl-C, through rotation and with the logs of workers added
    later. Returns the exit code. Raises: KittError when there is no such log.
    """
    pattern = f"{_ALL.get(name or '') or program_name(name or '')}.log"
    if not any(settings.log_dir.glob(pattern)):
        raise KittError(_no_log(settings, name))
    tails: dict[Path, _Tail] = {}
    try:
        named = "*" in pattern
        _print_new(settings, pattern, tails, lines, named=named)
        while follow:
            time.sleep(_FOLLOW_POLL_S)
            _print_new(settings, pattern, tails, sys.maxsize, named=named)
    except KeyboardInterrupt:
        pass
    finally:
        for tail in tails.values():
            tail.close()
    return 0


def _no_log(settings: Settings, name: str | None) -> str:
    stems = sorted(path.stem for path in settings.log_dir.glob("*.log"))
    known = ", ".join(stem.removeprefix("kitt-") for stem in stems)
    if name and known:
        return f"There is no log of {name}: there are {known}."
    return f"There are no logs in {settings.log_dir}: start KITT with `kitt up`."


def _print_new(
    settings: Settings, pattern: str, tails: dict[Path, "_Tail"], lines: int, *, named: bool
) -> None:
    for path in sorted(settings.log_dir.glob(pattern)):
        if path not in tails:
            tails[path] = _Tail(path, lines)
        for line in tails[path].read():
            print(f"{path.stem} | {line}" if named else line)
    sys.stdout.flush()


class _Tail:
    """New lines of one log file; goes over to the new file when it was rotated."""

    def __init__(self, path: Path, lines: int) -> None:
        self._path = path
        self._lines = lines
        self._part = b""
        self._file = path.open("rb")

    def read(self) -> list[str]:
        """The lines since the last call, the first time at most the last `lines` of them."""
        found = deque(self._whole_lines(), maxlen=self._lines)
        if self._rotated():
            self._file.close()
            self._file = self._path.open("rb")
            found.extend(self._whole_lines())
        self._lines = sys.maxsize
        return [line.decode(errors="replace") for line in found]

    def close(self) -> None:
        self._file.close()

    def _whole_lines(self) -> list[bytes]:
        # A log is at most 5 MB (supervisord.conf). A line without its end waits for it.
        *whole, self._part = (self._part + self._file.read()).split(b"\n")
        return whole

    def _rotated(self) -> bool:
        try:
            return self._path.stat().st_ino != os.fstat(self._file.fileno()).st_ino
        except FileNotFoundError:
            return False  # between the renaming and the new file

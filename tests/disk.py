"""The disk a store waits for."""

import os
import threading
from pathlib import Path

import pytest


class Disk:
    """The real disk, watched: which file was waited for, and how long that takes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.synced: list[str] = []
        self.ready = threading.Event()
        self.ready.set()
        self._sync = os.fdatasync
        monkeypatch.setattr(os, "fdatasync", self._watched)

    def _watched(self, fd: int) -> None:
        self.synced.append(str(Path(f"/proc/self/fd/{fd}").readlink()))
        assert self.ready.wait(10)
        self._sync(fd)

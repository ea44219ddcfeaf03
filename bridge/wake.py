"""Wake-up between processes: one empty datagram after a commit.

A process that waits binds `<name>.sock` in the run folder; whoever commits something for it sends
one byte. A datagram costs nothing while idle and cannot come before the commit it announces
(measured: a watcher of the WAL file misses nearly every durable commit). It is a hint, never
the truth: every waiter also looks by itself now and then.
"""

import asyncio
import contextlib
import os
import socket
from pathlib import Path


class Wake:
    """Sends hints to other processes and, once `listen` was called, receives its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._folder_fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sender.setblocking(False)
        self._receiver: socket.socket | None = None
        self._name = ""
        self._event = asyncio.Event()

    def listen(self, name: str) -> None:
        """Receive hints sent to `name` or to a prefix of it. Call it inside a running loop."""
        self._name = f"{name}.sock"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._name, dir_fd=self._folder_fd)
        receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        receiver.setblocking(False)
        receiver.bind(self._address(self._name))
        asyncio.get_running_loop().add_reader(receiver, self._drain, receiver)
        self._receiver = receiver

    def nudge(self, prefix: str) -> None:
        """Send one byte to every listener whose name starts with `prefix`, itself included.

        Never raises; may be called from any thread.
        """
        if self._folder_fd < 0:
            return
        with contextlib.suppress(OSError):  # no descriptor is free: one hint less
            for name in self._listeners(prefix):
                self._send(name)

    def notify(self) -> None:
        """Wake this process's own waiter."""
        self._event.set()

    async def wait(self, timeout_s: float) -> bool:
        """Wait for a hint, at most `timeout_s`; True when one came."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return True

    def close(self) -> None:
        """Stop receiving and sending; again changes nothing."""
        if self._folder_fd < 0:
            return
        if self._receiver is not None:
            asyncio.get_running_loop().remove_reader(self._receiver)
            self._receiver.close()
            with contextlib.suppress(OSError):
                os.unlink(self._name, dir_fd=self._folder_fd)
        self._sender.close()
        os.close(self._folder_fd)
        self._folder_fd = -1

    def _address(self, name: str) -> str:
        """A path short enough for a socket (107 bytes), however deep the profile lies."""
        return f"/proc/self/fd/{self._folder_fd}/{name}"

    def _listeners(self, prefix: str) -> list[str]:
        """Read anew each time (10 us): a folder changed twice in one tick keeps its mtime."""
        with os.scandir(self._folder_fd) as entries:
            names = [entry.name for entry in entries]
        return [name for name in names if name.startswith(prefix) and name.endswith(".sock")]

    def _send(self, name: str) -> None:
        try:
            self._sender.sendto(b"\0", self._address(name))
        except ConnectionRefusedError:  # its process is gone
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=self._folder_fd)
        except OSError:
            pass  # a full mailbox is a hint already; a missing one has stopped

    def _drain(self, receiver: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError):
            while receiver.recv(16):
                pass
        self._event.set()

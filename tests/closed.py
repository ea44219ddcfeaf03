"""Foreign code in a real sandbox, as whoever runs the tests and as an ordinary user."""

import asyncio
import json
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import bridge
from bridge.sandbox.probe import sandbox_of
from bridge.sandbox.runs import PYTHON, Ran, run
from bridge.sandbox.walls import Limits

NOBODY: Final = 65534
SYSTEM_PYTHON: Final = Path("/usr/bin/python3")  # one that every user can reach
CHILD: Final = Path(__file__).with_name("sandboxed.py")


class Ours:
    """The sandbox of this process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "jobs" / "1"
        self.profile = folder

    async def run(self, program: str, language: tuple[str, ...] = PYTHON, **limits: Any) -> Ran:
        walls, problem = sandbox_of(self.profile)
        assert walls is not None, problem
        limits_of_it = Limits(**limits)
        return await run(walls, self.folder, program, language=language, limits=limits_of_it)


class Apart(Ours):
    """The sandbox of another process, with KITT's source where that can read it.

    `become` are the words before its own, and `python` runs it.
    """

    def __init__(
        self, folder: Path, *, become: tuple[str, ...], python: Path, source: Path
    ) -> None:
        super().__init__(folder)
        self.become = become
        self.python = python
        self.source = source
        ours = Path(bridge.__file__).parent
        shutil.copytree(ours / "sandbox", source / "bridge" / "sandbox")
        shutil.copy(ours / "__init__.py", source / "bridge")
        shutil.copy(CHILD, folder)

    @asynccontextmanager
    async def started(
        self, program: str, language: tuple[str, ...] = PYTHON, **limits: Any
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        """The process that runs it; it is killed at the end."""
        process = await asyncio.create_subprocess_exec(
            *(*self.become, str(self.python), str(self.profile / CHILD.name)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(self.source)},
            cwd=self.profile,
        )
        given = {
            "profile": str(self.profile / "profile"),
            "folder": str(self.folder),
            "program": program,
            "language": language,
            "limits": limits,
        }
        assert process.stdin is not None
        process.stdin.write(json.dumps(given).encode())
        await process.stdin.drain()
        process.stdin.close()
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def run(self, program: str, language: tuple[str, ...] = PYTHON, **limits: Any) -> Ran:
        async with self.started(program, language, **limits) as process:
            assert process.stdout is not None
            said = await process.stdout.read()
            assert await process.wait() == 0
        return Ran(**json.loads(said))


def ordinary(folder: Path) -> Apart:
    """The sandbox of a user who is not root, in a folder made for that."""
    become = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--")
    return Apart(folder, become=become, python=SYSTEM_PYTHON, source=folder / "source")


def ordinary_folder() -> Path:
    """A folder an ordinary user can reach and owns."""
    folder = Path(tempfile.mkdtemp(prefix="kitt-test-"))
    (folder / "profile").mkdir()
    (folder / "jobs" / "1").mkdir(parents=True)
    for path in (folder, folder / "profile", folder / "jobs", folder / "jobs" / "1"):
        os.chown(path, NOBODY, NOBODY)
    return folder


def alive(mark: str) -> list[int]:
    """The processes that have this among their arguments, wherever they live."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if mark.encode() in words and int(path.parent.name) != os.getpid():
            found.append(int(path.parent.name))
    return found


def can_be_ordinary() -> bool:
    """Are we root, and is there what another user needs?"""
    return os.geteuid() == 0 and SYSTEM_PYTHON.exists() and sys.platform == "linux"

"""What KITT costs while nobody talks to it: start, memory, CPU, disk, bytes sent to the model."""

import asyncio
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.chat import ask
from bench.figures import row, seconds
from bench.stack import Stack, kitt
from bridge.process import cpu_seconds, pss_mb

IDLE_S = 60.0
REPOSITORY = Path(__file__).parent.parent
REQUIREMENTS = REPOSITORY / "requirements" / "run.txt"
NOT_OURS = ("pip", "setuptools", "pkg_resources", "_distutils_hack")  # what venv itself puts there


async def installed() -> list[dict[str, Any]]:
    """Start, memory and size of what a user installs: the locked run-time requirements, no more."""
    with tempfile.TemporaryDirectory(prefix="kitt-installed-") as folder:
        python = _install(Path(folder) / "venv")
        return [_size(Path(folder)), *await start(python), *await memory(python)]


async def start(python: str = sys.executable) -> list[dict[str, Any]]:
    """`kitt up` → first getUpdates; the second start, when the database exists."""
    async with kitt(start=False, python=python) as stack:
        times = []
        for _ in range(6):
            times.append(await stack.up())
            await stack.down()
    found = seconds(times[1:])
    return [row("start to first getUpdates", found, "p50 ≤ 1.5 s", met=found["p50_s"] <= 1.5)]


async def memory(python: str = sys.executable) -> list[dict[str, Any]]:
    """PSS of the whole stack: before the first request, and after 20 messages."""
    async with kitt(python=python) as stack:
        await asyncio.sleep(3)
        before = _pss(stack)
        for _ in range(20):
            await ask(stack.telegram, 1, "hello")
            await asyncio.sleep(0.2)
        after = _pss(stack)
    return [
        row("PSS idle, whole stack, MB", before, "≤ 100 MB", met=before["all"] <= 100),
        row("PSS after 20 messages, MB", after, "≤ 135 MB", met=after["all"] <= 135),
    ]


async def idle_cpu() -> list[dict[str, Any]]:
    """CPU of the whole stack over a minute of silence, in percent of one core."""
    async with kitt() as stack:
        await ask(stack.telegram, 1, "hello")
        await asyncio.sleep(5)
        before = _cpu(stack)
        await asyncio.sleep(IDLE_S)
        percent = round((_cpu(stack) - before) / IDLE_S * 100, 3)
    return [row("idle CPU, whole stack, % of one core", percent, "≤ 0.15 %", met=percent <= 0.15)]


async def request() -> list[dict[str, Any]]:
    """Bytes and requests sent to the model for "hello"."""
    async with kitt() as stack:
        await ask(stack.telegram, 1, "hello")
        sent = [record for record in stack.claude.requests if record.path == "/v1/messages"]
    value = {"bytes": sum(record.size for record in sent), "requests": len(sent)}
    met = value["bytes"] <= 6_000 and value["requests"] == 1
    return [row("sent to the model for “hello”", value, "≤ 6,000 bytes, 1 request", met=met)]


def _install(venv: Path) -> str:
    """A virtual environment as `make install` makes it; its Python."""
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    pip = [str(venv / "bin" / "pip"), "install", "--quiet"]
    subprocess.run([*pip, "--require-hashes", "-r", str(REQUIREMENTS)], check=True)
    editable = ["--no-deps", "--no-build-isolation", "--editable", str(REPOSITORY)]
    subprocess.run([*pip, *editable], check=True)
    return str(venv / "bin" / "python")


def _size(folder: Path) -> dict[str, Any]:
    packages = next(folder.glob("venv/lib/python*/site-packages"))
    ours = [item for item in packages.iterdir() if not item.name.startswith(NOT_OURS)]
    megabytes = round(sum(_bytes(item) for item in ours) / 1e6, 1)
    return row("installed size, MB", megabytes, "≤ 100 MB", met=megabytes <= 100)


def _pss(stack: Stack) -> dict[str, float]:
    names = {pid: Path(f"/proc/{pid}/cmdline").read_text().split("\0") for pid in stack.pids()}
    found = {f"{_name(words)} {pid}": round(pss_mb(pid) or 0.0, 1) for pid, words in names.items()}
    return {**found, "all": round(sum(found.values()), 1)}


def _name(words: list[str]) -> str:
    text = " ".join(words)
    return next((n for n in ("supervisord", "bridge bridge", "worker") if n in text), text[:40])


def _cpu(stack: Stack) -> float:
    return sum(cpu_seconds(pid) or 0.0 for pid in stack.pids())


def _bytes(item: Path) -> int:
    """Disk blocks in use, as `du` counts them."""
    paths = [item, *item.rglob("*")] if item.is_dir() else [item]
    return sum(os.lstat(path).st_blocks * 512 for path in paths)

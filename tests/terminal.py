"""A terminal in which a person types `kitt …`: processes in a folder of their own."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from warm import warm

OURS = ("KITT_", "TELEGRAM_", "ANTHROPIC_")
TOKEN = "123456789:AAcanary-of-a-bot-token-abcdefg"
KEY = "sk-ant-canary-of-a-model-key"


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


class Terminal:
    """Runs commands; none may print a traceback or a secret, whatever is wrong."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.profile = folder / "profile"
        self.database = self.profile / "memory" / "kitt.db"

    def environ(self, **changes: str) -> dict[str, str]:
        """The environment of a person who has set up everything, with changes; "" unsets."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(OURS)}
        ours = {
            "KITT_PROFILE": str(self.profile),
            "TELEGRAM_BOT_TOKEN": TOKEN,
            "ANTHROPIC_API_KEY": KEY,
            **changes,
        }
        return {**inherited, **{k: v for k, v in ours.items() if v}}

    def kitt(self, *arguments: str | bytes, stdin: str = "", **environ: str) -> Done:
        """Run `kitt` with these arguments to its end."""
        done = warm().run(
            [os.fsdecode(argument) for argument in arguments],
            folder=self.folder,
            environ=self.environ(**environ),
            given=stdin.encode("utf-8", "surrogateescape"),
        )
        out, err = done.stdout.decode(), done.stderr.decode()
        for secret in (TOKEN, TOKEN.partition(":")[2], KEY):
            assert secret not in out + err
        assert "Traceback" not in out + err, err
        return Done(done.returncode, out, err)

    def make(self) -> None:
        """Make the database, with nothing in it."""
        assert self.kitt("queue", "resume").out == "All jobs were not paused.\n"

    def start(self, *arguments: str, **environ: str) -> "subprocess.Popen[bytes]":
        """Start `kitt` with these arguments; whoever does it ends it."""
        return subprocess.Popen(
            [sys.executable, "-m", "bridge", *arguments],
            cwd=self.folder,
            env=self.environ(**environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def refused(self, code: int, /, *arguments: str, stdin: str = "", **environ: str) -> str:
        """The one line with which a command is refused."""
        done = self.kitt(*arguments, stdin=stdin, **environ)
        assert done.code == code, done
        assert done.out == ""
        assert done.err.startswith("kitt: ")
        assert done.err.count("\n") == 1, done.err
        return done.err.removeprefix("kitt: ").rstrip("\n")

    def json(self, *arguments: str, **environ: str) -> Any:
        """What a command prints with --json."""
        done = self.kitt(*arguments, "--json", **environ)
        assert done.code == 0, done
        return json.loads(done.out)

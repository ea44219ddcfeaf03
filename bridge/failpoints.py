"""Named points at which a test makes a process die, freeze, fail or dawdle.

They are compiled into the product because a crash between two lines cannot be ordered from
outside. Nothing switches them on but an option of the interpreter, `-X kitt_failpoints=FILE`: no
environment variable and no setting can, so they do not exist for whoever runs KITT. Without it a
point costs one look at an empty list (measured: 30 ns).

FILE is JSON: `journal` is a file, `seed` a text, and `points` gives each point its orders:

    {"journal": "hits", "seed": "7", "points": {"after_send": [{"do": "kill", "nth": 1}]}}

`do` is kill (SIGKILL), stop (SIGSTOP), raise or sleep (for `seconds`, and the event loop with it);
when, says `nth` hit of this process or `chance` of each. A hit that acts is first a line of the
journal: point, action, pid, and which process that was.
"""

import json
import os
import random
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

POINTS: Final = {
    "after_claim": "a job is claimed and nothing is done yet",
    "after_llm": "the model has answered and the reply is not stored",
    "after_step": "a reply is stored and nothing has followed from it",
    "in_tool": "a tool has acted and its result is not stored",
    "after_finish": "a job is done and its result not yet sent",
    "before_inbox": "updates were received and are not stored",
    "after_inbox": "updates are stored and Telegram does not know it",
    "after_enqueue": "a job is added in a transaction that is not committed",
    "before_send": "a delivery is marked `sending` and not sent",
    "after_send": "Telegram has a message and we have not noted it",
    "after_first_words": "the beginning of an answer is shown and not noted",
    "while_streaming": "an answer is shown in part",
    "in_commit": "a transaction is written and not committed",
    "after_commit": "a transaction is committed and nobody was told",
}
ACTIONS: Final = ("kill", "stop", "raise", "sleep")


class Failed(RuntimeError):
    """What a point raises that was told to."""


@dataclass(slots=True, kw_only=True)
class _Order:
    do: str
    nth: int = 0
    chance: float = 0.0
    seconds: float = 0.0
    hits: int = 0


class _Plan:
    """What is ordered, and where it is written down."""

    def __init__(self, path: Path, name: str) -> None:
        told = json.loads(path.read_text())
        self.orders = {
            point: [_Order(**order) for order in orders] for point, orders in told["points"].items()
        }
        wrong = [point for point in self.orders if point not in POINTS]
        wrong += [o.do for orders in self.orders.values() for o in orders if o.do not in ACTIONS]
        if wrong:
            raise ValueError(f"no failpoint and no action: {', '.join(wrong)}")
        self._name = name
        self._journal = str(told["journal"])
        self._chance = random.Random(f"{told.get('seed', '')}:{name}")  # noqa: S311 - no secret

    def hit(self, point: str) -> None:
        for order in self.orders.get(point, ()):
            order.hits += 1
            if order.hits == order.nth or self._chance.random() < order.chance:
                self._note(f"{point} {order.do} {os.getpid()} {self._name}\n")
                _act(order, point)

    def _note(self, line: str) -> None:
        journal = os.open(self._journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(journal, line.encode())
        os.close(journal)


_plans: list[_Plan] = []


def hit(point: str) -> None:
    """Do here what a test has ordered, if it has."""
    if _plans:
        _plans[0].hit(point)


def arm(path: Path, *, name: str = "") -> None:
    """Follow the orders of a file. `name` says which process this is, and is part of the seed."""
    _plans[:] = [_Plan(path, name)]


def _act(order: _Order, point: str) -> None:
    if order.do == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif order.do == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif order.do == "sleep":
        time.sleep(order.seconds)
    else:
        raise Failed(f"failpoint {point}")


if "kitt_failpoints" in sys._xoptions:
    arm(Path(str(sys._xoptions["kitt_failpoints"])))

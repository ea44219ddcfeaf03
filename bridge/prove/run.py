"""What `kitt prove` prints: where it stands while it runs, and the figures at the end."""

import json
import random
import sys
from typing import Final

from bridge.prove.campaign import Campaign

SEEDS: Final = 10_000
TELL_EVERY: Final = 5  # lines of progress, where they cannot be written over each other


async def run(*, kills: int, seed: int | None, as_json: bool) -> int:
    """Run a campaign; 1 when anything was lost or done twice.

    The same seed draws the same lots; when a process dies also depends on how fast this machine is.
    """
    if seed is None:
        seed = random.SystemRandom().randrange(SEEDS)
    progress = _Progress()
    progress.tell(f"seed {seed}: {kills} deaths of one bridge and three workers")
    try:
        report = await Campaign(kills=kills, seed=seed, tell=progress.tell).run()
    finally:
        progress.end()
    if as_json:
        print(json.dumps(report.json(), indent=2))
    else:
        print("\n".join(report.lines()))
    return 0 if report.kept else 1


class _Progress:
    """One line that is written over on a terminal; now and then a line elsewhere."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._told = 0

    def tell(self, line: str) -> None:
        if self._terminal:
            sys.stderr.write(f"\r\x1b[K{line}")
        elif self._told % TELL_EVERY == 0:
            sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
        self._told += 1

    def end(self) -> None:
        if self._terminal:
            sys.stderr.write("\r\x1b[K")

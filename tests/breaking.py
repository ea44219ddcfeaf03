"""A process that tells the breaker the same thing again and again: run twice at once by a test."""

import asyncio
import sys
from pathlib import Path

from bridge.breaker import Breaker
from bridge.clock import Clock
from bridge.store import Store

OWNER = 11
TIMES = 20


async def main(database: Path, what: str) -> None:
    """Wait for a line on stdin, then say `failed` or `succeeded` of the model."""
    store = await Store.open(database, database.parent / "run")
    breaker = Breaker(store, Clock(), frozenset({OWNER}))
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    for _ in range(TIMES):
        if what == "failed":
            await breaker.failed("model", "*", "Overloaded")
        else:
            await breaker.succeeded("model", "*")
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))

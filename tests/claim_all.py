"""A worker that only claims: run twice at once by a test, each prints the ids it got as JSON."""

import asyncio
import json
import sys
from pathlib import Path

from bridge.clock import Clock
from bridge.queue import Queue
from bridge.store import Store


async def main(database: Path, worker_id: str) -> None:
    """Wait for a line on stdin, then claim until nothing is left."""
    store = await Store.open(database, database.parent / "run")
    queue = Queue(store=store, clock=Clock())
    ids: list[int] = []
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    while (job := await queue.claim(worker_id)) is not None:
        ids.append(job.id)
    print(json.dumps(ids), flush=True)
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))

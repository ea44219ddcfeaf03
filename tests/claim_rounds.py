"""A worker that claims once whenever it is told to: eight of them run at once in a test.

Each line on standard input is the starting shot of a round; the answer is the id of the job, or 0.
"""

import asyncio
import sys
from pathlib import Path

from bridge.clock import Clock
from bridge.queue import Queue
from bridge.store import Store


async def main(database: Path, worker_id: str) -> None:
    """Play until standard input ends."""
    store = await Store.open(database, database.parent / "run")
    queue = Queue(store=store, clock=Clock())
    print("ready", flush=True)
    while await asyncio.to_thread(sys.stdin.readline):
        job = await queue.claim(worker_id)
        print(job.id if job else 0, flush=True)
        if job:
            await queue.finish(job, "done")
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))

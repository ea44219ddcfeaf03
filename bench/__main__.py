"""`python -m bench [NAME …]`: print the figures as JSON, one line each.

Names: replies, hand_over, slow_model, pick_up, installed, idle_cpu, request, looks, caching, queue.
Exit code 1 when a goal is missed.
"""

import asyncio
import json
import os
import sys

from bench import caching, chat, footprint, looks, queue

BENCHES = {
    "replies": chat.replies,
    "hand_over": chat.hand_over,
    "slow_model": chat.slow_model,
    "pick_up": chat.pick_up,
    "installed": footprint.installed,
    "idle_cpu": footprint.idle_cpu,
    "request": footprint.request,
    "looks": looks.looks,
    "caching": caching.caching,
    "queue": queue.queue,
}


async def _run(names: list[str]) -> int:
    missed = 0
    for name in names:
        for found in await BENCHES[name]():
            missed += not found["met"]
            load = round(os.getloadavg()[0], 1)
            print(
                json.dumps({"bench": name, "load": load, **found}, ensure_ascii=False), flush=True
            )
    return 1 if missed else 0


def main() -> int:
    """Run the named benches, or all of them."""
    names = sys.argv[1:] or list(BENCHES)
    unknown = [name for name in names if name not in BENCHES]
    if unknown:
        print(f"There is no bench {unknown[0]}; there are {', '.join(BENCHES)}.", file=sys.stderr)
        return 2
    return asyncio.run(_run(names))


sys.exit(main())

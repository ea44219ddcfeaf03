"""A process that runs one program in the sandbox, for tests that need another user than ours.

It is given JSON on its standard input and answers with JSON.
"""

import asyncio
import json
import sys
from dataclasses import asdict
from pathlib import Path

from bridge.sandbox.probe import sandbox_of
from bridge.sandbox.runs import run
from bridge.sandbox.walls import Limits


async def main() -> None:
    given = json.load(sys.stdin)
    walls, problem = sandbox_of(Path(given["profile"]))
    if walls is None:
        sys.exit(problem)
    ran = await run(
        walls,
        Path(given["folder"]),
        given["program"],
        language=tuple(given["language"]),
        limits=Limits(**given["limits"]),
    )
    json.dump(asdict(ran), sys.stdout)


asyncio.run(main())

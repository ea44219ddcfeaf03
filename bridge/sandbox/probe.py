"""Does the sandbox hold on this machine? Asked once, by trying it; without a yes it is off.

Many machines refuse what it needs: containers, and systems that let only some programs make
namespaces. Then code is not run at all; it is never run without walls.
"""

import subprocess
from functools import cache
from pathlib import Path
from typing import Final

from bridge.sandbox import trial
from bridge.sandbox.calls import filter_to_read
from bridge.sandbox.walls import ENVIRONMENT, SEARCHED, Limits, Walls, shows, walls_here

TRIED_FOR_S: Final = 20.0
LIMITS: Final = Limits(memory_mb=200, file_mb=1, processes=24)


def sandbox_of(profile: Path, searched: str = SEARCHED) -> tuple[Walls | None, str]:
    """The sandbox of this process, or None and a sentence about why there is none.

    Takes a tenth of a second the first time; `profile` is what must not be seen in it, `searched`
    are the folders where its programs are.
    """
    walls, problem = _found(searched)
    if walls is None:
        return None, problem
    for private in (profile, Path(".env")):
        if private.exists() and shows(walls, private):
            return None, f"The sandbox would show {private.resolve()}: move it to another folder."
    return walls, ""


@cache
def _found(searched: str) -> tuple[Walls | None, str]:
    """Tried once in a process."""
    walls, problem = walls_here(searched)
    problem = problem or (_tried(walls) if walls is not None else "")
    return (None, problem) if problem else (walls, "")


def _tried(walls: Walls) -> str:
    """What went wrong in a run, or nothing."""
    numbers = (LIMITS.memory_mb, LIMITS.file_mb, LIMITS.processes)
    words = [str(walls.python), "-c", Path(trial.__file__).read_text(encoding="utf-8")]
    words += [*map(str, numbers), *ENVIRONMENT]
    try:
        with filter_to_read() as filters:
            ran = subprocess.run(  # noqa: S603 - our own words
                [*walls.command(None, LIMITS, filters), *words],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                env={},
                cwd="/",
                pass_fds=filters,
                timeout=TRIED_FOR_S,
                check=False,
            )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"The sandbox cannot be tried ({type(error).__name__}): code is not run."
    said = ran.stdout.decode("utf-8", "replace").strip()
    if said == trial.HOLDS:
        return ""
    if said:
        return f"The sandbox does not hold here ({said}): code is not run."
    why = " ".join(ran.stderr.decode("utf-8", "replace").split())[:200] or ran.returncode
    return (
        f"bubblewrap makes no sandbox here ({why}). It must be 0.8 or newer and allowed to make "
        "user namespaces: in a container by its profile, on Ubuntu by an AppArmor profile for it."
    )

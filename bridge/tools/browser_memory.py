"""What a job's browser remembers while the job waits: cookies, what sites keep, and the address.

It lies beside the job's folder, where neither the model nor a program of the job can read it, is
taken once by the attempt that goes on, and goes when nobody does (retention.py).
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

END: Final = ".browser"  # of the file's name; before it stands the number of the job
BYTES_MAX: Final = 2_000_000


@dataclass(frozen=True, slots=True)
class Remembered:
    """`state` is as the browser gives and takes it; `url` is the page that was open."""

    url: str
    state: dict[str, Any]


def remember(jobs_dir: Path, job_id: int, found: Remembered) -> None:
    """Keep it for the attempt that goes on; one that is too large is not kept."""
    jobs_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    data = json.dumps({"url": found.url, "state": found.state}).encode()
    if len(data) > BYTES_MAX:
        return
    path = jobs_dir / f"{job_id}{END}"
    path.unlink(missing_ok=True)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(data)


def taken(jobs_dir: Path, job_id: int) -> Remembered | None:
    """What was kept, which is then gone; None when nothing was or it cannot be read."""
    path = jobs_dir / f"{job_id}{END}"
    try:
        found = json.loads(path.read_bytes())
        return Remembered(url=str(found["url"]), state=dict(found["state"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    finally:
        path.unlink(missing_ok=True)

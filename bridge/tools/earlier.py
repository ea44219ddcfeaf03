"""What a job that goes on with an earlier one begins with: its request, its result, its files.

The files are copied to where they were, so that the work goes on in them; the earlier job keeps its
own. Only a job of the same chat can be gone on with, whatever a row says.
"""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Final

from bridge.agent.tool import ToolFailed
from bridge.conversation import without_tags
from bridge.errors import JobNotFound
from bridge.models import Job
from bridge.queue import Queue
from bridge.tools.workspace import Workspace

FILES_MAX: Final = 200
BYTES_MAX: Final = 100_000_000
PROMPT_CHARS: Final = 20_000
RESULT_CHARS: Final = 60_000


async def told_of_earlier(queue: Queue, job: Job, workspace: Workspace, jobs_dir: Path) -> str:
    """The earlier work in words, its files in place; "" when there is none."""
    if job.continues is None:
        return ""
    try:
        earlier = await queue.get(job.continues, chat_id=job.chat_id)
    except JobNotFound:
        return ""
    folder = Workspace(jobs_dir / str(earlier.id))
    names = await asyncio.to_thread(_bring, folder, workspace)
    lines = [
        f"\n\nThis goes on with job {earlier.id}, for the same user. What was asked of it:",
        earlier.prompt[:PROMPT_CHARS],
        f"\nIt is {earlier.status}. " + ("Its result:" if earlier.result else "It has no result."),
    ]
    lines += [earlier.result[:RESULT_CHARS]] if earlier.result else []
    lines += ["\nIts files, in your folder:", *(f"- {name}" for name in names)] if names else []
    return without_tags("\n".join(lines))


def _bring(folder: Workspace, workspace: Workspace) -> list[str]:
    """Copy what is not there yet; the names of what is there then."""
    room, names = BYTES_MAX, []
    try:
        found = folder.list()[:FILES_MAX]
    except ToolFailed:  # the folder is gone, or cannot be read
        return []
    for path, size in found:
        if size > room:
            continue
        room -= size
        with suppress(ToolFailed):
            if not _is_there(workspace, path):
                workspace.write(path, folder.read(path, size))
            names.append(path)
    return names


def _is_there(workspace: Workspace, path: str) -> bool:
    """An earlier attempt has put it there, and may have changed it."""
    try:
        workspace.size(path)
    except ToolFailed:
        return False
    return True

"""The files a person gave with a job: copied into its workspace, and shown to a model that sees.

Copied and not linked: the tools of a job may write over them, and nothing with two names is read.
"""

import asyncio
from pathlib import Path
from typing import Final

from bridge import contents, received
from bridge.agent.tool import ToolFailed
from bridge.conversation import Block, Message
from bridge.models import Job
from bridge.received import Received
from bridge.shown import ALL_TOKENS_MAX, Room
from bridge.tools.workspace import Workspace

FOLDER: Final = "input"


async def opening_of(
    job: Job,
    workspace: Workspace,
    files_dir: Path,
    *,
    source: str,
    sees: bool,
    data: str = "",
    earlier: str = "",
) -> Message:
    """What a job begins with; its files are in place when this returns.

    `sees`: the model takes pictures and PDF files, which no tool could read for it. `data` is what
    was given with the job, `earlier` what it is told of the work it goes on with.
    """
    files = received.files_of_job(job)
    content: list[Block] = []
    text = f"{job.prompt}\n\nData:\n{data}" if data else job.prompt
    text += earlier
    if lines := await put_inputs(job, workspace, files_dir):
        text = "\n".join([f"{text}\n\nFiles from the user, in your folder:", *lines])
        room = Room(sees=sees, tokens_max=ALL_TOKENS_MAX)  # no tool could read them for it
        shown = [room.block(file) for file in files if file.kind in ("image", "document")]
        content = [block for block in shown if block["kind"] != "other"]
    return Message(role="user", content=[*content, {"type": "text", "text": text}], source=source)


async def put_inputs(job: Job, workspace: Workspace, files_dir: Path) -> list[str]:
    """Put its files in its folder, where they are not yet; one line about each."""
    files = received.files_of_job(job)
    return await asyncio.to_thread(_put, files, workspace, files_dir)


def _put(files: list[Received], workspace: Workspace, files_dir: Path) -> list[str]:
    """Copy what is not there yet; one line about each file."""
    lines: list[str] = []
    taken: set[str] = set()
    for file in files:
        names = (file.name, file.file, *(f"{n}-{file.file}" for n in range(len(files))))
        name = next(name for name in names if name not in taken)
        taken.add(name)
        path = f"{FOLDER}/{name}"
        state = _put_one(file, path, workspace, files_dir)
        lines.append(f"- {path} ({file.media_type}, {file.size:,} bytes){state}")
    return lines


def _put_one(file: Received, path: str, workspace: Workspace, files_dir: Path) -> str:
    try:
        workspace.size(path)
        return ""  # an earlier attempt has put it there, and may have changed it
    except ToolFailed:
        pass
    data = received.read(files_dir, file)
    if data is None:
        return " is no longer kept"
    try:
        workspace.write(path, data)
        return _put_text(file, path, data, workspace)
    except ToolFailed as error:
        return f" is missing: {error}"


def _put_text(file: Received, path: str, data: bytes, workspace: Workspace) -> str:
    """The text of a file that is not plain UTF-8, beside it: a tool reads nothing else."""
    if file.kind != "text":
        return ""
    text = contents.plain_text(data) or contents.text_of(data, contents.JOB_CHARS_MAX)
    if text is None or text.encode() == data:
        return ""
    workspace.write(f"{path}.txt", text.encode())
    return f", its text in {path}.txt"

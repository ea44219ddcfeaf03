"""Tools by which a worker speaks to its user: progress, files, and the result with a summary.

Both only change the database, so they act in the transaction that stores the model's message, and
only as long as this attempt holds the job. The files themselves go out with the result; the bridge
sends them, a worker never speaks to Telegram.
"""

from typing import Final

from bridge.agent.tool import Input, Tool, ToolFailed
from bridge.models import Artifact, Job, clean_text, short
from bridge.queue import Queue
from bridge.store import Tx
from bridge.tools.workspace import Workspace

CAPTION_CHARS_MAX: Final = 1_024  # of a caption in Telegram
STEP_CHARS_MAX: Final = 200


def report_tools(queue: Queue, job: Job, workspace: Workspace) -> list[Tool]:
    """The tools, in a fixed order. Their `commit` raises LeaseLost when the job is not ours."""

    def report_progress(tx: Tx, given: Input) -> str:
        percent = int(given["percent"])
        if not 0 <= percent <= 100:
            raise ToolFailed("percent must be from 0 to 100.")
        queue.note_progress(tx, job, percent, short(str(given["step"]), STEP_CHARS_MAX))
        return "Shown to the user."

    def attach_file(tx: Tx, given: Input) -> str:
        queue.require(tx, job)
        file = artifact(workspace, str(given["path"]), str(given["caption"]))
        queue.attach(tx, job, file)
        return f"{file.name} goes to the user with your final message."

    def finish(tx: Tx, given: Input) -> str:
        queue.require(tx, job)
        if not str(given["result_markdown"]).strip():
            raise ToolFailed("result_markdown is empty: it is what the user gets.")
        return "The job is done."

    return [
        Tool(
            name="report_progress",
            description="Tell the user where the job stands. Call it when a new stage begins.",
            properties={
                "step": {
                    "type": "string",
                    "description": "What you do now: a few words, user's language.",
                },
                "percent": {"type": "integer", "description": "0 to 100, of the whole job."},
            },
            commit=report_progress,
        ),
        Tool(
            name="attach_file",
            description="Give a file of this job's folder to the user, with the result. "
            "Over 50 MB they must unpack it. The user sees no other files.",
            properties={
                "path": {"type": "string", "description": "Relative, e.g. report.md."},
                "caption": {
                    "type": "string",
                    "description": "One short line, user's language; may be empty.",
                },
            },
            commit=attach_file,
        ),
        Tool(
            name="finish",
            description="End the job with its result, in place of a final message, when a summary "
            "helps: lists and other jobs show the summary.",
            properties={
                "summary": {
                    "type": "string",
                    "description": "What came out, in one or two sentences, user's language.",
                },
                "result_markdown": {
                    "type": "string",
                    "description": "The result itself, as the user gets it.",
                },
            },
            commit=finish,
            answers=lambda given: (str(given["result_markdown"]), str(given["summary"])),
        ),
    ]


def artifact(workspace: Workspace, path: str, caption: str) -> Artifact:
    """A file of a job as it is stored: one spelling of its path, so that twice attached is once.

    Raises: ToolFailed when it is not there, or nothing is in it.
    """
    size = workspace.size(path)
    place = workspace.resolve(path).relative_to(workspace.root)
    if size == 0:
        raise ToolFailed(f"{place} is empty, and Telegram takes no empty files.")
    text = short(clean_text(caption), CAPTION_CHARS_MAX)
    return Artifact(path=place.as_posix(), name=place.name, caption=text)

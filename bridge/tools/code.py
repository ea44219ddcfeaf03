"""Tools that run code of the model, inside the sandbox and in the job's folder.

They are not offered where there is no sandbox. A program may append to a file or rename one, which
done twice is silently wrong, so a crash in the middle does not run it again: the model is told that
its effect is unknown, and can look at the folder.
"""

import asyncio
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from bridge.agent.tool import Input, Tool, ToolFailed
from bridge.sandbox.folder import Unruly
from bridge.sandbox.probe import sandbox_of
from bridge.sandbox.runs import PYTHON, SHELL, Ran, run
from bridge.sandbox.walls import Limits, Walls
from bridge.tools.skills import SHOWN_BELOW, skill_folders
from bridge.tools.untrusted import wrapped
from bridge.tools.workspace import Workspace

if TYPE_CHECKING:
    from bridge.tools.toolbox import Context

PACKAGES: Final = ("pandas", "numpy", "matplotlib", "pypdf", "docx", "reportlab")
NAMED_MAX: Final = 40  # files in a result
LIMITS: Final = Limits()
CLOSED_IN: Final = (
    "It runs in a sandbox: no network, nothing of the machine but the programs in /usr, and this "
    "job's folder as working folder; what is written elsewhere is gone afterwards. Limits: "
    f"{LIMITS.wall_s:.0f} s, {LIMITS.cpu_s} s of processor and {LIMITS.memory_mb:,} MB of memory "
    f"for a process, {LIMITS.file_mb} MB for a file. What it prints comes back, shortened in the "
    "middle when it is long."
)


def code_tools(context: "Context") -> list[Tool]:
    """The tools, or none where code cannot be closed in."""
    walls, _ = sandbox_of(context.settings.profile)
    if walls is None:
        return []
    workspace = context.workspace
    skills = {f"{SHOWN_BELOW}/{name}": at for name, at in skill_folders(context.profile).items()}

    async def run_in(language: tuple[str, ...], code: str) -> str:
        there = {place: folder for place, folder in skills.items() if folder.is_dir()}
        return await _run(walls.showing(there), workspace, language, code)

    async def run_python(given: Input) -> str:
        return await run_in(PYTHON, str(given["code"]))

    async def run_shell(given: Input) -> str:
        return await run_in(SHELL, str(given["command"]))

    packages = [name for name in PACKAGES if find_spec(name) is not None]
    there = f" Installed: {', '.join(packages)}." if packages else ""
    return [
        Tool(
            name="run_python",
            description=f"Run a Python program, for anything to compute, convert or draw; print "
            f"what you need to know, save a chart as a PNG file.{there} {CLOSED_IN}",
            properties={"code": {"type": "string"}},
            run=run_python,
            repeat="once",
        ),
        Tool(
            name="run_shell",
            description="Run a bash script, in the same sandbox with the same limits as "
            "run_python.",
            properties={"command": {"type": "string"}},
            run=run_shell,
            repeat="once",
        ),
    ]


async def _run(walls: Walls, workspace: Workspace, language: tuple[str, ...], code: str) -> str:
    before = await asyncio.to_thread(workspace.marks)
    try:
        ran = await run(walls, workspace.root, code, language=language)
    except (OSError, Unruly) as error:
        raise ToolFailed(f"The sandbox could not be started ({error}).") from error
    after = await asyncio.to_thread(workspace.marks)
    changed = sorted(path for path, mark in after.items() if before.get(path) != mark)
    files = [f"{path} ({after[path].size:,} bytes)" for path in changed]
    printed = ran.printed.strip("\n")
    said = wrapped(printed, "program") if printed else ""
    return "\n\n".join(filter(None, (_ending(ran), said, _named(files))))


def _ending(ran: Ran) -> str:
    if ran.ended:
        return f"Stopped: {ran.ended}."
    if ran.exit_code == 137:
        return "Exit code 137: it was killed, by a limit of processor time or memory."
    return f"Exit code {ran.exit_code}."


def _named(files: list[str]) -> str:
    more = len(files) - NAMED_MAX
    rest = f" and {more:,} more" if more > 0 else ""
    return f"New or changed files: {', '.join(files[:NAMED_MAX])}{rest}." if files else ""

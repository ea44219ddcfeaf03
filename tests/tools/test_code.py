"""A model runs code in the folder of its job, closed in, and reads what came of it."""

import asyncio
import shutil
import zipfile
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from closed import alive
from fakes import claimed
from waiting import until

from bridge.agent.tool import Input, Tool, ToolFailed
from bridge.outgoing import Outgoing
from bridge.queue import Queue
from bridge.settings import Settings
from bridge.tools.code import code_tools
from bridge.tools.files import file_tools
from bridge.tools.report import report_tools
from bridge.tools.toolbox import Context, tools_for
from bridge.tools.workspace import Workspace

Call = Callable[..., Awaitable[str]]
SECRET = "a secret outside the folder"
needs_bubblewrap = pytest.mark.skipif(
    shutil.which("bwrap") is None, reason="bubblewrap is not installed: nothing is run without it"
)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """The folder of a job, with one file."""
    workspace = Workspace(tmp_path / "jobs" / "1")
    workspace.write("input/numbers.csv", b"a,b\n1,2\n3,4\n")
    return workspace


@pytest.fixture
async def context(queue: Queue, workspace: Workspace, tmp_path: Path) -> Context:
    return Context(
        queue=queue,
        job=await claimed(queue),
        workspace=workspace,
        settings=Settings(profile=tmp_path),
        closing=AsyncExitStack(),
        outgoing=Outgoing(),
    )


@pytest.fixture
def call(context: Context) -> Call:
    """Call a tool by name, as the loop does: check the input, then run."""
    tools = {tool.name: tool for tool in (*code_tools(context), *file_tools(context.workspace))}

    async def run(name: str, **given: object) -> str:
        act = tools[name].run
        assert act is not None
        return await act(tools[name].check(given))

    return run


@needs_bubblewrap
async def test_python_reads_the_folder_and_what_it_makes_is_named(call: Call) -> None:
    said = await call(
        "run_python",
        code="total = sum(int(n) for line in list(open('input/numbers.csv'))[1:]\n"
        "            for n in line.split(','))\n"
        "print('total', total)\n"
        "open('total.txt', 'w').write(str(total))\n",
    )

    assert said == (
        'Exit code 0.\n\n<kitt-untrusted source="program">\ntotal 10\n</kitt-untrusted>\n\n'
        "New or changed files: total.txt (2 bytes)."
    )
    assert await call("read_file", path="total.txt") == "10"


@needs_bubblewrap
async def test_an_error_comes_back_with_its_line_and_exit_code(call: Call) -> None:
    said = await call("run_python", code="x = 1\nprint(x / 0)\n")

    assert said.startswith("Exit code 1.")
    assert "line 2" in said
    assert "print(x / 0)" in said
    assert "\nZeroDivisionError: division by zero\n" in said


@needs_bubblewrap
async def test_a_shell_script_changes_a_file_that_is_then_named(call: Call) -> None:
    said = await call(
        "run_shell", command="echo 5,6 >> input/numbers.csv; tail -n1 input/*; exit 3"
    )

    assert said.startswith("Exit code 3.")
    assert "\n5,6\n" in said
    assert said.endswith("New or changed files: input/numbers.csv (16 bytes).")


@needs_bubblewrap
async def test_a_module_in_the_folder_can_be_used(call: Call) -> None:
    await call("write_file", path="helper.py", content="WORD = 'from the folder'")

    assert "from the folder" in await call("run_python", code="import helper\nprint(helper.WORD)")


@needs_bubblewrap
async def test_links_that_code_leaves_lead_nowhere(
    call: Call, context: Context, tmp_path: Path
) -> None:
    outside = tmp_path / "outside.txt"
    outside.write_text(SECRET)
    said = await call(
        "run_shell",
        command=f"ln -s {outside} link.txt; ln -s / root; ln -s {tmp_path} linked; "
        "echo plain > plain.txt; ln plain.txt hard.txt; mkfifo fifo.txt; cat link.txt",
    )
    attach = next(
        tool
        for tool in report_tools(context.queue, context.job, context.workspace)
        if tool.name == "attach_file"
    )

    assert SECRET not in said
    for path in ("link.txt", f"root{outside}", "linked/outside.txt", "hard.txt", "fifo.txt"):
        with pytest.raises(ToolFailed):
            await call("read_file", path=path)
        with pytest.raises(ToolFailed):
            await attached(context.queue, attach, path)
    with pytest.raises(ToolFailed):
        await call("write_file", path="linked/outside.txt", content="forged")
    assert outside.read_text() == SECRET


async def attached(queue: Queue, attach: Tool, path: str) -> str:
    """What attaching a file answers, in a transaction as the loop does it."""
    given: Input = attach.check({"path": path})
    if attach.run is not None:
        return await attach.run(given)
    assert attach.commit is not None
    act = attach.commit
    return await queue.store.write(lambda tx: act(tx, given))


@needs_bubblewrap
async def test_a_bomb_is_unpacked_inside_and_ends_at_the_limits(
    call: Call, workspace: Workspace
) -> None:
    path = workspace.root / "bomb.zip"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bomb,
        bomb.open("zeros", "w") as member,
    ):
        for _ in range(100):
            member.write(bytes(1_000_000))
    before = resident_mb()

    said = await call(
        "run_python",
        code="import zipfile\nzipfile.ZipFile('bomb.zip').extractall()\n",
    )

    assert "File too large" in said or "137" in said or "Exit code 153" in said
    assert resident_mb() - before < 50
    assert sum(size for _, size in workspace.list()) < 60_000_000


def resident_mb() -> int:
    """Memory this process holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4_096 // 1_000_000


@needs_bubblewrap
async def test_a_tool_that_is_cancelled_leaves_no_process(call: Call) -> None:
    running = asyncio.ensure_future(call("run_shell", command="sleep 7575755 & sleep 7575755"))
    await until(lambda: len(alive("7575755")) == 2, 20)

    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert not alive("7575755")


@needs_bubblewrap
async def test_a_crash_in_the_middle_does_not_run_it_again(context: Context) -> None:
    assert {tool.repeat for tool in code_tools(context)} == {"once"}


@needs_bubblewrap
async def test_a_job_is_offered_both_with_their_limits(context: Context) -> None:
    offered = {tool.name: tool.description for tool in await tools_for(context)}

    assert "no network" in offered["run_python"]
    assert "120 s" in offered["run_python"]
    assert "run_shell" in offered


async def test_without_a_sandbox_nothing_is_offered(context: Context) -> None:
    settings = Settings(profile=Path("/usr/share"))  # the sandbox would show it

    assert code_tools(replace(context, settings=settings)) == []

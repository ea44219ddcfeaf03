"""What a job's agent may use: every family of tools, for one attempt at one job.

A family is a function of the attempt's context that gives its tools, or none when what it needs is
missing. Their order is fixed, because the prompt cache depends on it.
"""

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bridge.agent.tool import Tool
from bridge.kinds.kind import Kind
from bridge.models import Job
from bridge.outgoing import Outgoing
from bridge.queue import Queue
from bridge.sandbox.probe import sandbox_of
from bridge.settings import Settings
from bridge.tools.apis import api_tools
from bridge.tools.ask import ask_tools
from bridge.tools.browsing import browser_tools
from bridge.tools.chromium import Chromium
from bridge.tools.code import code_tools
from bridge.tools.documents import document_tools
from bridge.tools.files import file_tools
from bridge.tools.mcp import mcp_tools
from bridge.tools.memory import memory_tools
from bridge.tools.report import report_tools
from bridge.tools.skills import skill_tools
from bridge.tools.subjobs import subjob_tools
from bridge.tools.web import web_tools
from bridge.tools.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """One attempt at a job, as its tools see it. `closing` is unwound when the attempt is over.

    `granted` are the families that its kind allows; None allows all. `kinds` are those that its
    parts may be of, beside the built-in ones.
    """

    queue: Queue
    job: Job
    workspace: Workspace
    settings: Settings
    closing: AsyncExitStack
    outgoing: Outgoing
    granted: frozenset[str] | None = None
    kinds: tuple[Kind, ...] = ()
    chromium: Chromium = field(default_factory=Chromium)

    @property
    def profile(self) -> Path:
        return self.settings.profile

    def grants(self, family: str) -> bool:
        """Does its kind allow this family?"""
        return self.granted is None or family in self.granted


Family = Callable[[Context], list[Tool]]
# Beyond report, questions, files and skills, which every job has; a kind names what it is granted.
FAMILIES: Final[dict[str, Family]] = {
    "web": web_tools,
    "apis": api_tools,
    "browser": browser_tools,
    "code": code_tools,
    "documents": document_tools,
    "memory": memory_tools,
    "jobs": subjob_tools,
}


async def tools_for(context: Context) -> list[Tool]:
    """The tools of this attempt."""
    queue, job, workspace = context.queue, context.job, context.workspace
    code = context.grants("code") and sandbox_of(context.profile)[0] is not None
    return [
        *report_tools(queue, job, workspace),
        *ask_tools(queue, job),
        *file_tools(workspace),
        *skill_tools(context.profile, code=code),
        *(
            tool
            for name, family in FAMILIES.items()
            if context.grants(name)
            for tool in family(context)
        ),
        *(await mcp_tools(context) if context.granted is None or "mcp" in context.granted else ()),
    ]

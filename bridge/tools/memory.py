"""Tools for what is kept of a chat: in its answers and in its jobs.

A note of the chat is shown to its person at once, with a button that forgets it. A job that has
read text from outside keeps or forgets nothing before its user has allowed just that: a page must
not live on in what KITT knows. The notes of a group are changed for an owner of the bot alone.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from bridge import people
from bridge.agent.tool import Input, Tool, ToolFailed
from bridge.conversation import without_tags
from bridge.memory import Memory, Note, NoteRefused
from bridge.store import Tx
from bridge.tools.approval import need_approval
from bridge.tools.untrusted import heard_so_far

if TYPE_CHECKING:
    from bridge.tools.toolbox import Context

TEXT: Final[dict[str, Any]] = {"type": "string"}
ABOUT_AND_TEXT: Final = {"about": TEXT, "text": TEXT}
REMEMBER: Final = "Keep a note for good, when the user asks for it."
RECALL: Final = "Notes that were kept, by words in them."
OWNERS_ONLY: Final = "Only an owner of the bot changes what is kept of a group: tell the user."
FORGET: Final = "Forget a note, when the user asks; recall tells its number."


def chat_memory_tools(
    memory: Memory, show: Callable[[Note], Awaitable[None]], *, may_change: bool
) -> list[Tool]:
    """Those of an answer: `remember`, and the others once there is something to recall.

    `show` owes the message about a new note, once however often it is asked. Whoever may not change
    anything has the same tools, for the prompt's cache, and is refused.
    """

    async def refuse(_given: Input) -> None:
        raise ToolFailed(OWNERS_ONLY)

    async def remember(given: Input) -> str:
        await show(await asyncio.to_thread(_remember, memory, given))
        return "Kept; the user sees it, with a button that forgets it."

    tools = _tools(memory, remember)
    if not may_change:
        tools = [replace(tool, allow=refuse) if tool.name != "recall" else tool for tool in tools]
    return tools if memory.notes() or memory.shared() else tools[:1]


def memory_tools(context: "Context") -> list[Tool]:
    """Those of a job."""
    queue, job = context.queue, context.job
    memory = Memory(context.settings.notes_dir, job.chat_id)

    def may_change(tx: Tx) -> bool:
        if not job.chat_id.startswith("-") or not job.user_id:  # who uses the shell is an owner
            return True
        return people.role(tx, context.settings.owners, int(job.user_id)) == "owner"

    def allowed(name: str, what: Callable[[Input], str]) -> Any:
        async def allow(given: Input) -> None:
            if not await queue.store.read(may_change):
                raise ToolFailed(OWNERS_ONLY)
            if (await heard_so_far(queue, job)).outside:
                await need_approval(queue, job, name, what(given))

        return allow

    async def remember(given: Input) -> str:
        await asyncio.to_thread(_remember, memory, given)
        return "Kept."

    def named(given: Input) -> str:
        found = next((n.line for n in memory.notes() if n.number == given["number"]), "?")
        return f"Forget this note? {found}"

    keeping, recalling, forgetting = _tools(memory, remember)
    asked = allowed("remember", lambda g: f"Keep this note? {g['about']}: {g['text']}")
    return [
        replace(keeping, allow=asked),
        recalling,
        replace(forgetting, allow=allowed("forget", named)),
    ]


def _tools(memory: Memory, remember: Callable[[Input], Awaitable[str]]) -> list[Tool]:
    async def recall(given: Input) -> str:
        return await asyncio.to_thread(_recall, memory, given)

    async def forget(given: Input) -> str:
        return await asyncio.to_thread(_forget, memory, given)

    number = {"number": {"type": "integer"}}
    return [
        Tool(name="remember", description=REMEMBER, properties=ABOUT_AND_TEXT, run=remember),
        Tool(
            name="recall",
            description=RECALL,
            properties={"query": TEXT},
            run=recall,
            repeat="pure",
        ),
        Tool(name="forget", description=FORGET, properties=number, run=forget),
    ]


def _remember(memory: Memory, given: Input) -> Note:
    try:
        return memory.remember(str(given["about"]), str(given["text"]))
    except NoteRefused as error:
        raise ToolFailed(str(error)) from None


def _recall(memory: Memory, given: Input) -> str:
    found = memory.recall(str(given["query"]))
    lines = [
        f"{'shared' if note.shared else note.number}: {without_tags(note.line)}" for note in found
    ]
    return "\n".join(lines) or "There is no note with these words."


def _forget(memory: Memory, given: Input) -> str:
    try:
        found = memory.forget(int(given["number"]))
    except NoteRefused as error:
        raise ToolFailed(str(error)) from None
    if found is None:
        raise ToolFailed("There is no note with this number: recall it first.")
    return "Forgotten."

"""A job's tools without a model: each call and its result is stored as the loop stores them."""

from typing import Any

from bridge.agent.tool import ToolFailed
from bridge.conversation import Message, append, job_conversation
from bridge.tools.toolbox import Context, Family


class Desk:
    """The tools of one family for one job, which keep calls and results as the loop does."""

    def __init__(self, context: Context, family: Family, *, calls: int = 0) -> None:
        self.context = context
        self.tools = {tool.name: tool for tool in family(context)}
        self._calls = calls

    async def use(self, name: str, **given: Any) -> str:
        """Its result. Raises: ToolFailed, JobWaits."""
        tool = self.tools[name]
        assert tool.run is not None
        try:
            checked = tool.check(given)
            if tool.allow is not None:
                await tool.allow(checked)
            text = await tool.run(checked)
        except ToolFailed as error:
            await self.keep(name, str(error), given, is_error=True)
            raise
        await self.keep(name, text, given)
        return text

    async def keep(
        self, name: str, text: str, given: dict[str, Any] | None = None, **more: Any
    ) -> None:
        """Store a call and its result."""
        self._calls += 1
        ids = f"t{self._calls}"
        use = {"type": "tool_use", "id": ids, "name": name, "input": given or {}}
        result = {"type": "tool_result", "tool_use_id": ids, "content": text, **more}
        conversation = job_conversation(self.context.job.id)

        def both(tx: Any) -> None:
            for role, block in (("assistant", use), ("user", result)):
                append(tx, conversation, Message(role=role, content=[block]), now="2026")

        await self.context.queue.store.write(both)

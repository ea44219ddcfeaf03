"""The tool calls of a conversation: each is done once, whatever crashes in between.

A call that changes only the database acts in the transaction that keeps it. For any other, what is
known of it is a row of `tool_calls`: its result, or that a `once` tool had begun.
"""

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping
from itertools import groupby
from sqlite3 import Row
from typing import Final

from bridge import failpoints
from bridge.agent.model import Block
from bridge.agent.replies import UNKNOWN_EFFECT
from bridge.agent.tool import Tool, ToolFailed, result_block
from bridge.conversation import Message
from bridge.models import clean_text
from bridge.store import Store, Tx

AT_ONCE: Final = 4  # a page that is read takes a process of a hundred MB


class Calls:
    """Runs the calls of one conversation. `guard` runs first in every transaction."""

    def __init__(
        self,
        *,
        store: Store,
        conversation: str,
        tools: Mapping[str, Tool],
        guard: Callable[[Tx], None],
    ) -> None:
        self._store = store
        self._conversation = conversation
        self._tools = tools
        self._guard = guard

    def all_commit(self, uses: list[Block]) -> bool:
        """Do all of these change only the database?"""
        return bool(uses) and all(self._commits(use) for use in uses)

    def commit(self, tx: Tx, uses: list[Block]) -> Message:
        """Results of calls that act in this transaction; a failure of one undoes no other."""
        blocks: list[Block] = []
        for use in uses:
            tool = self._tools[use["name"]]
            assert tool.commit is not None
            try:
                text = tool.commit(tx, tool.check(use["input"]))
                blocks.append(result_block(use["id"], text))
            except ToolFailed as error:
                blocks.append(result_block(use["id"], str(error), is_error=True))
        return Message(role="user", content=blocks)

    async def run(self, uses: Iterable[Block]) -> Message:
        """Results of calls of any sort, in their order; those that may run at the same time do."""
        blocks: list[Block] = []
        for parallel, group in groupby(uses, self._parallel):
            some = list(group)
            step = AT_ONCE if parallel else 1
            for at in range(0, len(some), step):
                blocks += await asyncio.gather(*map(self._run_one, some[at : at + step]))
        return Message(role="user", content=blocks)

    def _commits(self, use: Block) -> bool:
        tool = self._tools.get(use["name"])
        return tool is not None and tool.commit is not None

    def _parallel(self, use: Block) -> bool:
        tool = self._tools.get(use["name"])
        return tool is not None and tool.parallel

    async def _run_one(self, use: Block) -> Block:
        """One tool call, once: what was done before a crash is not done again."""
        key = {"conversation": self._conversation, "id": use["id"]}
        tool = self._tools.get(use["name"])

        def look(tx: Tx) -> Row | None:
            self._guard(tx)  # whoever was frozen and has lost the job touches nothing more
            return tx.one("tool_call", **key)

        known = await self._store.read(look)
        if known is not None and known["state"] == "done":
            return dict(json.loads(known["result"]))
        if tool is None:
            return result_block(use["id"], f"There is no tool {use['name']}.", is_error=True)
        if known is not None and tool.repeat == "once":
            return result_block(use["id"], UNKNOWN_EFFECT, is_error=True)

        def start(tx: Tx) -> None:
            self._guard(tx)
            tx.run("tool_call_started", **key, name=tool.name)

        try:
            given = tool.check(use["input"])
            if tool.commit is not None:
                return await self._commit_one(use)
            if tool.allow is not None:
                await tool.allow(given)
            if tool.repeat == "once":
                await self._store.write(start)
            assert tool.run is not None
            text = clean_text(await tool.run(given))
            failpoints.hit("in_tool")
            block = result_block(use["id"], text)
        except ToolFailed as error:
            block = result_block(use["id"], clean_text(str(error)), is_error=True)
        await self._store.write(lambda tx: self._done(tx, use, block), durable=False)
        return block

    async def _commit_one(self, use: Block) -> Block:
        """A database tool among others that are not: its effect and its result commit together."""

        def step(tx: Tx) -> Block:
            self._guard(tx)
            (block,) = self.commit(tx, [use]).content
            self._done(tx, use, block)
            return block

        return await self._store.write(step)

    def _done(self, tx: Tx, use: Block, block: Block) -> None:
        self._guard(tx)
        tx.run(
            "tool_call_done",
            conversation=self._conversation,
            id=use["id"],
            name=use["name"],
            result=json.dumps(block, ensure_ascii=False),
        )

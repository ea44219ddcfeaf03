"""Calls that may run at the same time do, and their results stand in the order of the calls."""

import asyncio

from bridge.agent.calls import AT_ONCE, Calls
from bridge.agent.model import Block
from bridge.agent.tool import Input, Tool
from bridge.store import Store


class Crowd:
    """How many calls run at the moment, and how many did at most.

    Each waits until `together` of them have begun.
    """

    def __init__(self, together: int = 1) -> None:
        self.now = self.most = 0
        self._together = together
        self._met = asyncio.Event()

    async def act(self, given: Input) -> str:
        self.now += 1
        self.most = max(self.most, self.now)
        if self.now >= self._together:
            self._met.set()
        async with asyncio.timeout(20):
            await self._met.wait()
        self.now -= 1
        return f"done {given['n']}"


def tool(crowd: Crowd, name: str, *, parallel: bool) -> Tool:
    number = {"n": {"type": "integer"}}
    return Tool(
        name=name,
        description=name,
        properties=number,
        run=crowd.act,
        repeat="pure",
        parallel=parallel,
    )


async def results(store: Store, crowd: Crowd, names: list[str]) -> list[str]:
    tools = [tool(crowd, "look", parallel=True), tool(crowd, "push", parallel=False)]
    calls = Calls(
        store=store,
        conversation="job:1",
        tools={each.name: each for each in tools},
        guard=lambda _tx: None,
    )
    uses: list[Block] = [
        {"type": "tool_use", "id": f"t{n}", "name": name, "input": {"n": n}}
        for n, name in enumerate(names)
    ]
    return [str(block["content"]) for block in (await calls.run(uses)).content]


async def test_calls_that_may_run_at_the_same_time_do_and_keep_their_order(store: Store) -> None:
    crowd = Crowd(together=4)

    found = await results(store, crowd, ["look"] * 4)

    assert found == [f"done {n}" for n in range(4)]


async def test_no_more_than_four_run_at_the_same_time(store: Store) -> None:
    crowd = Crowd()

    found = await results(store, crowd, ["look"] * 20)

    assert found == [f"done {n}" for n in range(20)]
    assert crowd.most <= AT_ONCE


async def test_a_call_that_changes_something_runs_alone(store: Store) -> None:
    crowd = Crowd()

    await results(store, crowd, ["push", "push", "push"])

    assert crowd.most == 1

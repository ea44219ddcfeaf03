"""What the prompt cache saves: a conversation of 20 turns and a job of 30 steps, with and without.

Tokens are counted by the emulated model, which caches what the real one caches (a prefix up to a
mark, the same to the byte) and tells tokens by length; money is what KITT has written down.
"""

import sqlite3
from typing import Any, Final

from bench.chat import ask, until
from bench.figures import row
from bench.stack import Stack, kitt
from bridge.emulator.script import Reply, Request, ToolUse

TURNS: Final = 20
STEPS: Final = 30
ANSWER: Final = "Three pelicans stand on the left bank, and one on the right. " * 8
NOTE: Final = "A line about what was found on the bank of the river. " * 20


async def caching() -> list[dict[str, Any]]:
    """Cache hits, tokens and cost, beside the same run at a provider without a cache."""
    with_cache, without = await _run(caches=True), await _run(caches=False)
    found = []
    for name in with_cache:
        value, control = with_cache[name], without[name]
        met = value["from cache"] >= 0.8 and value["cost_usd"] <= 0.5 * control["cost_usd"]
        goal = "80 % from the cache, half the cost"
        found.append(row(name, value, goal, met=met, control={"without a cache": control}))
    return found


async def _run(*, caches: bool) -> dict[str, dict[str, Any]]:
    async with kitt(caches=caches) as stack:
        stack.claude.script.rules.insert(0, _scripted)
        for number in range(TURNS):
            await ask(stack.telegram, 1, f"What of bank {number}? " + "Tell me all of it. " * 5)
        stack.telegram.send(2, "/bg Walk along the river")
        await until(stack, "SELECT count(*) FROM jobs WHERE status = 'done'", 1)
        return {
            f"prompt cache, a conversation of {TURNS} turns": _used(stack, "chat:1:0"),
            f"prompt cache, a job of {STEPS} steps": _used(stack, "job:1"),
        }


def _scripted(request: Request) -> Reply | None:
    """A long answer in the chat; as a worker, a file at every step, then the end."""
    if not request.is_worker:
        return Reply(ANSWER) if "What of bank" in request.last_user_text else None
    steps = len(request.all_tool_results)
    if steps >= STEPS:
        return Reply("Walked along the river.")
    return Reply([ToolUse("write_file", {"path": f"bank-{steps}.md", "content": NOTE})])


def _used(stack: Stack, conversation: str) -> dict[str, Any]:
    query = (
        "SELECT count(*), sum(input_tokens), sum(cache_read), sum(cache_write), sum(output_tokens),"
        " sum(cost_micro) FROM usage WHERE conversation = ?"
    )
    with sqlite3.connect(stack.profile / "memory" / "kitt.db") as connection:
        requests, plain, read, written, output, cost = connection.execute(
            query, (conversation,)
        ).fetchone()
    return {
        "requests": requests,
        "prompt tokens": plain + read + written,
        "from cache": round(read / (plain + read + written), 3),
        "written to cache": written,
        "output tokens": output,
        "cost_usd": round(cost / 1e6, 5),
    }

"""A desk for one conversation: the loop, a real database, and the emulated model."""

import itertools
import json
from typing import Any, Final, Literal

from fakes import FakeClock, shell

from bridge.agent.loop import Turn
from bridge.agent.model import Model
from bridge.agent.outcome import Limits
from bridge.agent.replies import CUT, NO_TEXT, SPENT, WRAP_UP
from bridge.agent.tool import Tool
from bridge.budgets import Budgets, Purse
from bridge.conversation import Message
from bridge.emulator.claude import ClaudeEmulator
from bridge.emulator.script import Reply, Request, ToolUse
from bridge.settings import Settings
from bridge.store import Store

FREE: Final = Settings(budget_user_day_micro=0, budget_day_micro=0)
_numbers = itertools.count(1)


class Killed(BaseException):
    """The process ends here: nothing after this point runs."""


class Desk:
    """Makes turns in one conversation and reads what they left."""

    def __init__(self, store: Store, claude: ClaudeEmulator, model: Model) -> None:
        self.store = store
        self.claude = claude
        self.model = model

    def turn(self, **changes: Any) -> Turn:
        """A turn as another process would make it: it shares only the database."""
        clock = FakeClock()
        usual: dict[str, Any] = {
            "store": self.store,
            "clock": clock,
            "purse": self.purse(clock),
            "model": self.model,
            "model_name": "claude-haiku-5-5",
            "conversation": "chat:7:0",
            "system": "You are brief.",
            "tools": [],
            "limits": Limits(),
        }
        return Turn(**{**usual, **changes})

    def purse(
        self, clock: FakeClock, *, conversation: str = "chat:7:0", job_micro: int = 0
    ) -> Purse:
        """Money without a limit, unless for one job."""
        return Purse(
            Budgets.of(FREE),
            store=self.store,
            clock=clock,
            conversation=conversation,
            user_id="7",
            job_micro=job_micro,
        )

    def says(self, to: str, *replies: Reply | str) -> None:
        """What the model answers to this, one reply after the other; the last one from then on."""
        told = iter(replies)
        last: list[Reply | str] = []

        def answer(_request: object) -> Reply:
            last[:] = [next(told, *last)]
            return Reply(last[0]) if isinstance(last[0], str) else last[0]

        self.claude.script.when(lambda request: to in _opening_of(request), answer)

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """What a person reads in the sqlite3 shell."""
        return shell(self.store.path, sql)

    def spoken(self) -> list[tuple[str, str]]:
        """The stored messages: role and text."""
        rows = self.rows("SELECT role, content FROM messages ORDER BY id")
        return [
            (row["role"], "".join(b.get("text", "") for b in json.loads(row["content"])))
            for row in rows
        ]

    def results(self) -> list[dict[str, Any]]:
        """Every stored tool result, oldest first."""
        rows = self.rows("SELECT content FROM messages ORDER BY id")
        blocks = itertools.chain.from_iterable(json.loads(row["content"]) for row in rows)
        return [block for block in blocks if block["type"] == "tool_result"]


def _opening_of(request: Request) -> str:
    """What the person said last; the loop's own notes are not theirs."""
    texts = [request.first_user_text, *request.later_user_texts]
    said = [text for text in texts if text not in (CUT, NO_TEXT, SPENT, WRAP_UP)]
    return said[-1].replace(WRAP_UP, "")


def opening(*texts: str, source: str = "update:1") -> list[Message]:
    """What a person says, in one message or in several that came together."""
    first = int(source.partition(":")[2])
    return [
        Message(
            role="user", content=[{"type": "text", "text": text}], source=f"update:{first + at}"
        )
        for at, text in enumerate(texts)
    ]


def use(name: str, call_id: str = "") -> ToolUse:
    """The model calls a tool that takes nothing."""
    return ToolUse(name, {}, id=call_id or f"toolu_{next(_numbers)}")


def a_tool(name: str, **changes: Any) -> Tool:
    """A tool that takes nothing; unless told otherwise it acts in the database."""
    if "run" not in changes:
        changes.setdefault("commit", lambda _tx, _given: f"{name}: done")
    changes.setdefault("properties", {})
    return Tool(name=name, description=f"The tool {name}.", **changes)


def counting_tool(
    name: str,
    *,
    repeat: Literal["pure", "idempotent", "once"] = "idempotent",
    crashes: int = 0,
) -> tuple[Tool, list[str]]:
    """A tool outside the database, and a list that grows when it runs.

    The first `crashes` times its process is killed after it has acted.
    """
    runs: list[str] = []

    async def run(_given: dict[str, Any]) -> str:
        runs.append(name)
        if len(runs) <= crashes:
            raise Killed
        return f"{name}: done"

    return a_tool(name, run=run, repeat=repeat), runs

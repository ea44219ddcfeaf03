"""One turn: model ↔ tools until there is an answer. The bridge and the workers run the same loop.

The conversation in the database is the only state. Each step is committed before the next begins,
and where to go on follows from the last stored message, so that a killed process loses at most the
reply that was being written. `openings` are the messages that start the turn: each is stored with
the first reply, and not at all when its source is already there (a replay resumes instead).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bridge import failpoints, shown
from bridge.agent.calls import Calls
from bridge.agent.model import Listener, Model
from bridge.agent.outcome import Limits, Outcome, answered_by, ended_by
from bridge.agent.replies import (
    answer_of,
    text_of,
    tool_uses,
)
from bridge.agent.tool import Tool
from bridge.budgets import Purse
from bridge.clock import Clock, stamp
from bridge.conversation import Message, append
from bridge.store import Store, Tx

log = logging.getLogger(__name__)


class Turn:
    """A turn in one conversation.

    `guard` runs first in every transaction (a worker checks its lease there); `on_end` runs in the
    transaction that ends the turn, so that the answer and what is owed for it commit together.
    `durable` says whether a reply's commit waits for the disk; what a replay makes again need not.
    `purse` is what the turn may cost, and where that is kept.
    `schemas` are the tools as the model has seen them so far, where that must not change.
    `files_dir` is where the files lie that stored messages refer to; does the model see pictures?
    `heard` is shown the history before each model call and gives what was said in the meantime,
    which is stored with the reply that has seen it.
    `shorten` is asked before each model call; True when it has made the conversation shorter.
    """

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        model: Model,
        model_name: str,
        conversation: str,
        system: str,
        tools: Sequence[Tool],
        limits: Limits,
        purse: Purse,
        schemas: list[dict[str, Any]] | None = None,
        server_tools: tuple[str, ...] = (),
        guard: Callable[[Tx], None] = lambda _tx: None,
        on_end: Callable[[Tx, Outcome], None] = lambda _tx, _outcome: None,
        durable: Callable[[Message], bool] = lambda _message: True,
        listener: Listener | None = None,
        files_dir: Path | None = None,
        sees: bool = True,
        heard: Callable[[Sequence[Message]], Sequence[Message]] = lambda _history: (),
        shorten: Callable[[], Awaitable[bool]] | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._model = model
        self._model_name = model_name
        self._conversation = conversation
        self._system = system
        self._tools = {tool.name: tool for tool in tools}
        self._tool_calls = Calls(
            store=store, conversation=conversation, tools=self._tools, guard=guard
        )

    async def _messages(self, *, named: bool) -> list[dict[str, Any]]:
        """The history as the provider takes it; a disk is read only where files are referred to."""
        messages = [message.to_api() for message in self._history]
        if not shown.has_files(self._history):
            return messages
        how = {"sees": self._sees, "named": named}
        return await asyncio.to_thread(shown.resolved, messages, self._files_dir, **how)

    async def _keep(self, message: Message) -> Outcome | None:
        """Commit a reply with everything that only changes the database."""
        uses = tool_uses(message)
        in_step = self._tool_calls.all_commit(uses)

        def step(tx: Tx) -> tuple[Message | None, Outcome | None]:
            self._guard(tx)
            self._save(tx, [*self._unsaved, message])
            self._purse.account(tx, self._model_name, self._unaccounted)
            results = self._tool_calls.commit(tx, uses) if in_step else None
            outcome = None
            if results is not None:
                self._save(tx, [results])
                outcome = ended_by(self._tools, uses, results.content)
            elif message.stop_reason == "end_turn":
                text = answer_of([*self._history, message])
                outcome = Outcome(kind="answer", text=text, cut=self._last)
            elif message.stop_reason == "refusal":
                outcome = Outcome(kind="refused", text=text_of(message))
            if outcome is not None:
                outcome = replace(outcome, by=self._by)
                self._on_end(tx, outcome)
            return results, outcome

        results, outcome = await self._store.write(step, durable=self._durable(message))
        failpoints.hit("after_step")
        self._unsaved, self._unaccounted = [], []
        self._history.append(message)
        if results is not None:
            self._history.append(results)
        return outcome

    async def _again(self, outcome: Outcome) -> Outcome:
        """The turn had ended before; whatever its end still owes is done now."""

        def end(tx: Tx) -> None:
            self._guard(tx)
            self._on_end(tx, outcome)

        await self._store.write(end)
        return outcome

    async def _run_tools(self, last: Message) -> Outcome | None:
        """Run the tools of the last stored message and store their results as one message."""
        uses = tool_uses(last)
        results = await self._tool_calls.run(uses)
        outcome = answered_by(self._tools, uses, results.content)

        def keep(tx: Tx) -> None:
            self._guard(tx)
            self._save(tx, [results])
            if outcome is not None:
                self._on_end(tx, replace(outcome, by=self._by))

        await self._store.write(keep)
        self._history.append(results)
        return outcome

    def _say(self, message: Message) -> None:
        """Add a message that is stored with the next reply."""
        self._history.append(message)
        self._unsaved.append(message)

    def _save(self, tx: Tx, messages: list[Message]) -> None:
        for message in messages:
            append(tx, self._conversation, message, now=stamp(self._clock.now()))

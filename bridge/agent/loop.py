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
from bridge.agent.estimate import prompt_tokens
from bridge.agent.model import Block, Listener, Model, Reply, Request
from bridge.agent.outcome import Limits, Outcome, answered_by, ended_by
from bridge.agent.replies import (
    CUT,
    EMPTY,
    NO_TEXT,
    SPENT,
    WRAP_UP,
    answer_of,
    text_of,
    to_message,
    tool_uses,
    user_message,
)
from bridge.agent.tool import Tool
from bridge.budgets import Purse
from bridge.clock import Clock, stamp
from bridge.conversation import Message, append, load
from bridge.errors import ModelRefused, TurnLimitReached
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
        self._schemas = [tool.to_api() for tool in tools] if schemas is None else schemas
        self._server_tools = server_tools
        self._limits = limits
        self._purse = purse
        self._guard = guard
        self._on_end = on_end
        self._durable = durable
        self._listener = listener
        self._files_dir = files_dir
        self._sees = sees
        self._heard = heard
        self._shorten = shorten
        self._opened_by: str | None = None
        self._history: list[Message] = []
        self._unsaved: list[Message] = []
        self._calls = 0
        self._told_to_wrap_up = False
        self._last = False  # nothing is left for another call
        self._by = ""
        self._asked_for_text = False

    async def run(self, openings: Sequence[Message]) -> Outcome:
        """Run to the end.

        Raises: ModelUnavailable, ModelRefused, TurnLimitReached, BudgetUsedUp, LeaseLost.
        """
        try:
            return await self._to_the_end(openings)
        except BaseException:
            self._purse.account_soon()  # replies that nobody keeps were paid for as well
            raise

    async def _to_the_end(self, openings: Sequence[Message]) -> Outcome:
        self._history = await self._store.read(self._load)
        known = {message.source for message in self._history}
        if self._history and self._history[-1].stop_reason == "tool_use":
            outcome = await self._run_tools(self._history[-1])  # nothing may stand before them
            if outcome is not None:
                return outcome
        self._opened_by = openings[0].source if openings else None
        for opening in openings:
            if opening.source not in known:
                self._say(opening)
        while True:
            last = self._history[-1]
            if last.role == "assistant" and last.stop_reason == "tool_use":
                if (outcome := await self._run_tools(last)) is not None:
                    return outcome
            elif last.role == "assistant" and last.stop_reason == "max_tokens":
                self._say(user_message(CUT))
            elif last.role == "assistant" and last.stop_reason == "end_turn":
                return await self._again(Outcome(kind="answer", text=answer_of(self._history)))
            elif last.role == "assistant" and last.stop_reason == "refusal":
                return await self._again(Outcome(kind="refused", text=text_of(last)))
            else:
                if self._shorten is not None and not self._unsaved and await self._shorten():
                    self._history = await self._store.read(self._load)
                self._listen(last)
                if (outcome := await self._ask()) is not None:
                    return outcome

    def _load(self, tx: Tx) -> list[Message]:
        self._purse.look(tx)
        return load(tx, self._conversation)

    @property
    def told(self) -> list[str]:
        """The sources of everything said since the turn was opened, also before a crash."""
        sources = [message.source for message in self._history]
        if self._opened_by not in sources:
            return []
        return [source for source in sources[sources.index(self._opened_by) :] if source]

    def _listen(self, last: Message) -> None:
        """Take in what was said meanwhile, where something new may be said at all."""
        if last.role == "assistant" or text_of(last) == CUT:
            return  # a reply goes on that must not be torn apart
        known = {message.source for message in self._history}
        for message in self._heard(self._history):
            if message.source not in known:
                self._say(message)

    async def _ask(self) -> Outcome | None:
        """One model call and the commit of its reply."""
        self._calls += 1
        if self._calls > self._limits.calls_max + 1:
            raise TurnLimitReached(
                f"The turn used all of its {self._limits.calls_max} model calls."
            )
        late = self._calls >= max(2, self._limits.calls_max * 4 // 5) or self._purse.late
        paused = self._history[-1].role == "assistant"  # goes back as it was, nothing after it
        if late and not paused and not self._told_to_wrap_up:
            self._told_to_wrap_up = True
            self._say(user_message(WRAP_UP))
        message = await self._reply()
        failpoints.hit("after_llm")
        silent = message.stop_reason == "end_turn" and text_of(message).strip() in ("", EMPTY)
        if silent and not self._asked_for_text and not self._last:
            self._asked_for_text = True
            self._say(message)
            self._say(user_message(NO_TEXT))
            return None
        return await self._keep(message)

    async def _reply(self) -> Message:
        """A reply as it is stored.

        A file that the provider refuses must not end the conversation: without what is in its files
        a refused request is made once more, and the reply to that begins with a mark.
        """
        before: list[Block] = []
        try:
            reply = await self._call()
        except ModelRefused as error:
            if not error.for_content or not shown.shows_files(self._history):
                raise
            log.warning("%s Once more without what is in the files", error)
            before = [shown.REFUSED]
            reply = await self._call(named=True)
        self._by = reply.by or self._by
        message = to_message(reply)
        return replace(message, content=[*before, *message.content]) if before else message

    async def _call(self, *, named: bool = False) -> Reply:
        """One request within the budgets; the last one of a job brings what there is."""
        request = await self._request(named=named)
        tokens = prompt_tokens(request)
        searching = bool(request.server_tools) and request.tools_allowed
        room = self._purse.room(request.model, tokens, request.max_tokens, searching=searching)
        if room.last and not self._last:
            self._last = True
            if self._history[-1].role == "user":
                self._say(user_message(SPENT))
            request = await self._request(named=named)
        # A last request searches no more; its tools stay as they were, for the prompt's cache.
        searches = room.searches or request.searches
        paying = self._purse.paying(tokens, room.max_tokens, searches=room.searches)
        request = replace(request, max_tokens=room.max_tokens, searches=searches, paying=paying)
        reply = await self._model.stream(request, self._listener)
        ends = self._last and reply.stop_reason != "refusal"
        return replace(reply, stop_reason="end_turn") if ends else reply

    async def _request(self, *, named: bool) -> Request:
        return Request(
            model=self._model_name,
            system=self._system,
            messages=await self._messages(named=named),
            tools=self._schemas,
            max_tokens=self._limits.max_tokens,
            effort=self._limits.effort,
            server_tools=self._server_tools,
            tools_allowed=self._calls <= self._limits.calls_max and not self._last,
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
            self._purse.account(tx)
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
        self._unsaved = []
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

"""One answer in a chat: the main agent's turn, what it commits, and what if it cannot.

Whatever happens, the person's message ends in exactly one of these, committed together with the
update being done: an answer, a job, or a sentence that says why not. "In the background" ends in a
job even when the model forgets to call its tool, and so does a request made while the model is
away.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, cast

from bridge import conversation
from bridge.agent.loop import Limits, Outcome, Turn
from bridge.agent.model import Listener, Model, Reply, Request, sees
from bridge.agent.tool import Tool
from bridge.clock import Clock, stamp
from bridge.conversation import Message
from bridge.deliveries import owe
from bridge.errors import ModelRefused, ModelUnavailable, TurnLimitReached
from bridge.models import Job, short
from bridge.preferences import Rich
from bridge.proposals import Proposal
from bridge.queue import Queue
from bridge.shown import Room
from bridge.store import Tx
from bridge.telegram import compose, file_questions
from bridge.telegram.chosen import Chosen
from bridge.telegram.compose import Part
from bridge.telegram.gate import Incoming
from bridge.telegram.inbox import all_over
from bridge.telegram.openings import (
    DIRECTIVE,
    asks_for_background,
    opening,
    promises,
    source_of,
    state_of,
    text_block,
    with_context,
    with_quote,
)
from bridge.telegram.schedule_commands import ScheduleCommands
from bridge.telegram.stream import Stream
from bridge.telegram.texts import say
from bridge.tools.jobs import Origin, active_jobs, job_tools, note_queued, start_job
from bridge.tools.schedules import schedule_tools

log = logging.getLogger(__name__)
CALL_TIMEOUT_S: Final = 45.0  # a person is waiting
RETRY_AFTER_S: Final = 0.5  # one more try, then it becomes a job
MESSAGES_MAX: Final = 60  # shown to the model; cut to the newest 40 when there are more
MESSAGES_KEPT: Final = 40
STOPPED_NOTE: Final = "[stopped by the user]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """What every answer needs; made once."""

    queue: Queue
    model: Model
    clock: Clock
    model_name: str
    prompt: str
    files_dir: Path
    schedules: ScheduleCommands
    chosen: Chosen


class Answer:
    """The answer to a batch of messages of one person. `run` ends when it is owed to the chat."""

    def __init__(self, *, agent: Agent, stream: Stream, batch: list[Incoming]) -> None:
        self._agent = agent
        self._stream = stream
        self._batch = batch
        self._last = batch[-1]
        self._conversation = conversation.chat_conversation(
            self._last.chat_id, self._last.thread_id
        )
        self._source = source_of(batch[0])
        self._tools_used: set[str] = set()
        self._rendered: tuple[str, list[Part]] = ("", [])
        self._shown: list[Message] = []  # what its files must find room beside
        self.committed = False

    @property
    def can_restart(self) -> bool:
        """True while nothing of it is visible or stored, so that more text may still join."""
        return not self.committed and not self._stream.visible

    async def run(self) -> None:
        """Answer, or hand over, or say why not."""
        self._stream.on_shown = self._note_shown
        self._stream.start()
        try:
            await self._turn()
        except ModelUnavailable as error:
            log.warning("The model is away; the request becomes a job: %s", error)
            await self._stream.finish()
            await self._write(self._hand_over)
        except ModelRefused as error:
            log.error("%s", error)
            await self._apologize("provider_refuses", why=str(error))
        except TurnLimitReached:
            await self._apologize("limit_reached")
        finally:
            await self._stream.finish()

    async def stop(self) -> None:
        """The person said stop: keep what is visible, and remember that it was cut."""
        message_id = await self._stream.finish()
        mark = say(self._last.language, "stopped")
        written = self._stream.written.strip()
        openings = await self._openings(seen=False)

        def end(tx: Tx) -> None:
            if not self._done(tx):
                return  # it was answered in the meantime
            self._remember(tx, openings, f"{written}\n{STOPPED_NOTE}".strip())
            text = f"{written}\n\n{mark}" if message_id is not None else mark
            self._owe(tx, self._parts(text))

        await self._write(end)

    async def fail(self) -> None:
        """Something unexpected; the person gets a sentence, the log has the rest."""
        await self._apologize("something_wrong")

    async def _turn(self) -> None:
        store = self._agent.queue.store
        turn = Turn(
            store=store,
            clock=self._agent.clock,
            model=_Watched(self._agent, self._settle),
            model_name=self._agent.model_name,
            conversation=self._conversation,
            system=self._agent.prompt,
            tools=[self._noted(tool) for tool in self._tools()],
            limits=Limits(),
            on_end=self._end,
            durable=self._promises_a_job,
            listener=self._stream,
            files_dir=self._agent.files_dir,
        )
        await turn.run(await self._openings())

    async def _settle(self, reply: Reply) -> None:
        """A reply is whole: from here on it is stored, so a restart would be too late."""
        self.committed = True
        if reply.stop_reason == "tool_use" and any(
            use["name"] not in ("start_background_job", "propose_schedule")
            for use in reply.tool_uses
        ):
            return  # there is more to come
        await self._stream.finish()
        text = "".join(str(b["text"]) for b in reply.content if b.get("type") == "text")
        if text:
            self._rendered = (text, self._parts(text))  # not inside the transaction

    def _end(self, tx: Tx, outcome: Outcome) -> None:
        """What the end of the turn owes, in the transaction that stores it."""
        text = outcome.text
        if outcome.kind == "refused":
            self._owe(tx, self._parts(say(self._last.language, "refused", why=text)))
        elif outcome.kind == "handed_over":
            if said := self._rendered[0] or self._stream.written:
                self._owe(tx, self._parts(said))
        elif self._must_be_a_job(text):
            self._force_job(tx, text)
        else:
            known, parts = self._rendered
            self._owe(tx, parts if known == text else self._parts(text))
        self._done(tx)

    def _promises_a_job(self, reply: Message) -> bool:
        """A job must survive a power cut; a lost answer is made again from the inbox."""
        text = "".join(str(b["text"]) for b in reply.content if b.get("type") == "text")
        return reply.stop_reason == "tool_use" or self._must_be_a_job(text)

    def _must_be_a_job(self, answer: str) -> bool:
        """Asked for, or promised, and no tool was called at all."""
        return not self._tools_used and (self._asked_for_background() or promises(answer))

    def _force_job(self, tx: Tx, answer: str) -> None:
        acknowledgement = short(answer, 300)
        if self._stream.message_id is not None:  # it can be read already
            self._owe(tx, self._parts(answer))
            acknowledgement = ""
        self._start_job(tx, acknowledgement)

    def _hand_over(self, tx: Tx) -> None:
        """The model is away: the request becomes a job that runs when it is back."""
        sentence = say(self._last.language, "model_away")
        job_id = self._start_job(tx, sentence)
        self._remember(tx, self._opened(seen=False), f"{sentence} (#{job_id})")
        if self._stream.message_id is not None:
            self._owe(tx, self._parts(self._stream.written))
        self._done(tx)

    def _start_job(self, tx: Tx, acknowledgement: str) -> int:
        text = "\n\n".join(with_quote(item) for item in self._batch)
        files = [file.name for item in self._batch for file in item.files]
        title = " ".join(filter(None, (item.words.strip() for item in self._batch)))
        title = title or ", ".join(files)
        job = start_job(
            tx,
            self._agent.queue,
            self._origin(),
            prompt=with_context(tx, self._conversation, text, source=self._source),
            title=title,
            acknowledgement=acknowledgement,
        )
        note_queued(tx, job, title, now=self._now())
        return job.id

    async def _apologize(self, key: str, **values: object) -> None:
        await self._stream.finish()

        def end(tx: Tx) -> None:
            sentence = say(self._last.language, key, **values)
            if self._stream.message_id is not None:
                sentence = f"{self._stream.written.strip()}\n\n{sentence}"
            self._owe(tx, self._parts(sentence))
            self._done(tx)

        await self._write(end)

    async def _note_shown(self, message_id: int) -> None:
        update_id = self._batch[0].update_id
        await self._agent.queue.store.write(
            lambda tx: tx.run("update_shown", update_id=update_id, message_id=message_id),
            durable=False,
        )

    async def _openings(self, *, seen: bool = True) -> list[Message]:
        """The person's messages, one each: the state of the chat's jobs first, a directive last."""
        store = self._agent.queue.store

        def look(tx: Tx) -> tuple[list[Job], int, int | None]:
            jobs = active_jobs(tx, self._last.chat_id)
            messages = int(tx.value("count_messages", conversation=self._conversation))
            if any(item.files for item in self._batch):
                self._shown = conversation.load(tx, self._conversation)
            return jobs, messages, tx.value("shown_message", update_id=self._batch[0].update_id)

        jobs, messages, shown = await store.read(look)
        if self._stream.message_id is None:
            self._stream.message_id = shown  # by a bridge that was killed over it
        if messages > MESSAGES_MAX:
            await store.write(
                lambda tx: conversation.trim(tx, self._conversation, keep=MESSAGES_KEPT),
                durable=False,
            )
        openings = self._opened(seen=seen)
        if jobs:
            openings[0].content.insert(0, text_block(f"<kitt-state>{state_of(jobs)}</kitt-state>"))
        if self._asked_for_background():
            openings[-1].content.append(text_block(DIRECTIVE))
        return openings

    def _opened(self, *, seen: bool) -> list[Message]:
        """A file that no model has `seen` is only named: it could be one that is always refused."""
        room = Room(self._shown, sees=sees(self._agent.model_name)) if seen else None
        return [opening(item, room) for item in self._batch]

    def _asked_for_background(self) -> bool:
        return any(asks_for_background(item) for item in self._batch)

    def _parts(self, text: str) -> list[Part]:
        parts = compose.text_parts(
            text,
            language=self._last.language,
            file_name="kitt-answer.md",
            reply_to=self._last.reply_to,
            rich=cast(Rich, self._agent.chosen.of(self._last.chat_id).rich),
        )
        shown = self._stream.message_id
        return parts if shown is None else compose.replacing(parts, shown)

    def _owe(self, tx: Tx, parts: list[Part]) -> None:
        owe(
            tx,
            chat_id=self._last.chat_id,
            thread_id=self._last.thread_id,
            kind="reply",
            payload={"parts": parts},
            dedupe_key=f"{self._source}:reply",
            now=self._now(),
        )

    def _remember(self, tx: Tx, openings: list[Message], answer: str) -> None:
        """Store an exchange that the loop did not store itself."""
        for message in openings:
            conversation.append(tx, self._conversation, message, now=self._now())
        said = Message(role="assistant", content=[text_block(answer)], stop_reason="end_turn")
        conversation.append(tx, self._conversation, said, now=self._now())

    def _done(self, tx: Tx) -> bool:
        """The updates are handled; False when they were already."""
        ids = [i for item in self._batch for i in (item.update_id, *item.also)]
        for item in self._batch:
            file_questions.over(tx, item, now=self._now())
        return all_over(tx, ids, state="done", now=self._now())

    async def _write(self, fn: Callable[[Tx], None]) -> None:
        self.committed = True
        await self._agent.queue.store.write(fn)

    def _tools(self) -> list[Tool]:
        agent, origin = self._agent, self._origin()
        zone = agent.chosen.zone(self._last)
        proposing = schedule_tools(agent.clock, origin, zone=zone, show=self._propose)
        return [*job_tools(agent.queue, origin), *proposing]

    def _propose(self, tx: Tx, proposal: Proposal, acknowledgement: str) -> None:
        """Its own kind of delivery: what the model said before it comes before it."""
        part = self._agent.schedules.show(proposal, acknowledgement, self._last.language)
        owe(
            tx,
            chat_id=proposal.chat_id,
            thread_id=proposal.thread_id,
            kind="proposal",
            payload={"parts": [part]},
            dedupe_key=f"proposal:{proposal.id}",
            now=self._now(),
        )

    def _noted(self, tool: Tool) -> Tool:
        """The same tool; that it was called at all is remembered."""
        act = tool.commit
        assert act is not None

        def commit(tx: Tx, given: dict[str, Any]) -> str:
            self._tools_used.add(tool.name)
            return act(tx, given)

        return replace(tool, commit=commit)

    def _origin(self) -> Origin:
        return Origin(
            chat_id=self._last.chat_id,
            thread_id=self._last.thread_id,
            user_id=self._last.user_id,
            message_id=self._last.message_id,
            source=self._source,
            files=tuple(file for item in self._batch for file in item.files),
        )

    def _now(self) -> str:
        return stamp(self._agent.clock.now())


class _Watched:
    """The model for someone who is waiting: a time limit, one more try, a word when it is whole."""

    def __init__(self, agent: Agent, settle: Callable[[Reply], Any]) -> None:
        self._agent = agent
        self._settle = settle

    async def stream(self, request: Request, listener: Listener | None = None) -> Reply:
        try:
            reply = await self._once(request, listener)
        except ModelUnavailable as error:
            if (error.retry_after_s or 0) > 2:
                raise
            await self._agent.clock.sleep(error.retry_after_s or RETRY_AFTER_S)
            reply = await self._once(request, None)  # what was written before is not shown twice
        await self._settle(reply)
        return reply

    async def close(self) -> None:
        """The model is shared; its owner closes it."""

    async def _once(self, request: Request, listener: Listener | None) -> Reply:
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                return await self._agent.model.stream(request, listener)
        except TimeoutError:
            raise ModelUnavailable(f"No answer within {CALL_TIMEOUT_S:.0f} s.") from None

"""One answer in a chat: the main agent's turn, what it commits, and what if it cannot.

Whatever happens, the person's message ends in exactly one of these, committed together with the
update being done: an answer, a job, or a sentence that says why not. "In the background" ends in a
job even when the model forgets to call its tool, and so does a request made while the model is
away.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, cast

from bridge import conversation
from bridge.agent.loop import Turn
from bridge.agent.mending import close_calls
from bridge.agent.model import Reply
from bridge.agent.outcome import Outcome
from bridge.agent.tool import Tool
from bridge.clock import stamp
from bridge.conversation import Message
from bridge.deliveries import owe
from bridge.errors import JobRefused, ModelUnavailable, TurnLeft
from bridge.models import Job, short
from bridge.preferences import Rich
from bridge.shown import Room
from bridge.store import Tx
from bridge.telegram import compose, file_questions, job_replies
from bridge.telegram.apologies import NO_ANSWER, answered, apology
from bridge.telegram.bells import answer_parts, waited
from bridge.telegram.compose import Part
from bridge.telegram.equipment import Agent
from bridge.telegram.gate import Incoming
from bridge.telegram.handover import hand_over, origin_of, so_far
from bridge.telegram.held import hold
from bridge.telegram.inbox import all_over
from bridge.telegram.openings import (
    asks_for_background,
    opening,
    promises,
    source_of,
    text_block,
    update_of,
    with_marks,
)
from bridge.telegram.patience import Patience
from bridge.telegram.said import PASTE_PAUSE_S, is_cut, unsaid
from bridge.telegram.stream import Stream
from bridge.telegram.texts import say
from bridge.telegram.watched import Watched, noted
from bridge.tools.jobs import active_jobs, job_tools
from bridge.tools.schedules import schedule_tools

log = logging.getLogger(__name__)
STOPPED_NOTE: Final = "[stopped by the user]"


class Answer:
    """The answer to a batch of messages of one person. `run` ends when it is owed to the chat."""

    def __init__(self, *, agent: Agent, stream: Stream, batch: list[Incoming]) -> None:
        self._agent = agent
        self._stream = stream
        self._batch = batch
        self._last = last = batch[-1]
        if is_cut(self._last):  # more of the same text may come
            stream.not_before = agent.clock.monotonic() + PASTE_PAUSE_S
        self._conversation = conversation.chat_conversation(last.chat_id, last.thread_id)
        self._source = source_of(batch[0])
        self._voice = agent.voice(last.chat_id)
        self._tools_used: set[str] = set()
        self._rendered: tuple[str, list[Part]] = ("", [])
        self._replied: job_replies.Replied | None = None  # whose message these reply to
        self._shown: list[Message] = []  # what its files must find room beside
        self._turn: Turn | None = None
        self._limit: asyncio.Timeout | None = None  # while the turn may be left for a job
        self._left = False  # from outside: whatever the turn still does, it writes nothing
        self.take: Callable[[], list[Incoming]] = list  # more of the person's, while it runs
        self.tidy = stream.withdraw  # what was offered meanwhile; no answer waits for it
        self.committed = False

    @property
    def can_restart(self) -> bool:
        """True while nothing of it is visible or stored, so that more text may still join."""
        return not self.committed and not self._stream.visible

    @property
    def draft_id(self) -> int | None:
        """Of the draft by which it is shown."""
        return self._stream.draft_id

    async def run(self) -> None:
        """Answer, or hand over, or say why not."""
        self._stream.on_shown = self._note_shown
        self._stream.start()
        patience = Patience(
            self._agent.clock,
            words_at=lambda: self._stream.words_at,
            offer=self._offer,
            hand_over=self.to_background,
        )
        waiting = asyncio.create_task(patience.run())
        try:
            async with asyncio.timeout(None) as self._limit:
                await self._run_turn()
            self._agent.compact(self._conversation)
        except TimeoutError:
            self._left = True
            log.info("The work for an answer goes on as a job")
            await self._stream.finish()
            await self._write(self._go_on_as_job)
        except ModelUnavailable as error:
            log.warning("The model is away; the request becomes a job: %s", error)
            await self._stream.finish()
            await self._write(self._hand_over)
        except NO_ANSWER as error:
            log.error("%s", error)
            zone = self._agent.chosen.zone(self._last)
            await self._apologize(apology(error, self._last.language, zone))
        except TurnLeft:
            if not self._agent.admits(self._last):  # no more: nothing is owed to them
                await self._write(self._done)
        finally:
            self._limit = None
            waiting.cancel()
            await self._stream.finish()

    def to_background(self) -> bool:
        """Let the work go on as a job; False when it has ended, or is about to."""
        if self._limit is None or self._left:
            return False
        self._limit.reschedule(asyncio.get_running_loop().time())
        return True

    async def _offer(self) -> None:
        language = self._last.language
        button = (say(language, "button_background"), "tb", 0)
        await self._stream.offer(
            say(language, "takes_longer"), self._agent.signer.row(self._last.chat_id, button)
        )

    async def stop(self, held: Sequence[Incoming] = ()) -> None:
        """The person said stop: keep what is visible, and remember that it was cut.

        `held` are messages that waited for their turn, and now wait for their person.
        """
        self._left = True
        await self._stream.finish()
        mark = say(self._last.language, "stopped")
        written = self._stream.written.strip()
        openings = await self._openings(seen=False)

        def end(tx: Tx) -> None:
            if self._done(tx):  # else it was answered in the meantime
                self._remember(tx, openings, f"{written}\n{STOPPED_NOTE}".strip())
                text = f"{written}\n\n{mark}" if self._stream.readable else mark
                self._owe(tx, self._parts(text, rings=False))  # who says stop is looking
            if held:
                hold(tx, held, self._agent.signer, now=self._now())

        await self._write(end)

    async def fail(self) -> None:
        """Something unexpected; the person gets a sentence, the log has the rest."""
        await self._apologize(say(self._last.language, "something_wrong"))

    async def _run_turn(self) -> None:
        openings = await self._openings()
        if self._replied is not None and self._replied.settled:
            await self._write(self._take_reply)
            return
        self._turn = Turn(
            store=self._agent.queue.store,
            clock=self._agent.clock,
            model=Watched(
                self._agent.model,
                self._agent.clock,
                settle=self._settle,
                words=self._stream.words,
                not_before=self._stream.not_before,
            ),
            model_name=self._voice.model_name,
            conversation=self._conversation,
            system=self._voice.system,
            tools=[noted(tool, self._tools_used.add) for tool in self._tools()],
            limits=self._voice.limits,
            purse=self._agent.purse(self._conversation, self._last.user_id),
            guard=self._not_left,
            on_end=self._end,
            durable=self._promises_a_job,
            listener=self._stream,
            files_dir=self._agent.files_dir,
            sees=self._voice.sees,
            heard=self._hear,
        )
        await self._turn.run(openings)

    def _take_reply(self, tx: Tx) -> None:
        """An answer to a job, or what comes after it: no model has to understand that."""
        if self._replied is None or not self._done(tx):
            return
        said = say(self._last.language, "acknowledged")
        if self._replied.is_task:
            said += f" (#{self._start_job(tx, said)})"
        else:
            said = job_replies.answer(tx, self._agent.queue, self._replied, self._batch)
            self._owe(tx, self._parts(said))
        self._remember(tx, self._opened(seen=False), said)

    def _not_left(self, _tx: Tx) -> None:
        if self._left or not self._agent.admits(self._last):
            raise TurnLeft("This turn was ended from outside.")

    def _hear(self, history: Sequence[Message]) -> list[Message]:
        """What the person wrote meanwhile; the end of the turn is the end of it too."""
        more = self.take()
        self._batch.extend(more)
        room = Room(history, sees=self._voice.sees)
        return [opening(item, room) for item in more]

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
        text = answered(outcome, self._last.language)
        if not self._done(tx):
            return  # a bridge that was killed had taken it into an answer
        if outcome.kind == "refused":
            self._owe(tx, self._parts(say(self._last.language, "refused", why=text)))
        elif outcome.kind == "handed_over":
            if said := self._rendered[0] or self._stream.written:
                self._owe(tx, self._parts(said, rings=False))
        elif self._must_be_a_job(text):
            self._force_job(tx, text)
        else:
            known, parts = self._rendered
            self._owe(tx, parts if known == text else self._parts(text))

    def _promises_a_job(self, reply: Message) -> bool:
        """A job must survive a power cut; a lost answer is made again from the inbox."""
        text = "".join(str(b["text"]) for b in reply.content if b.get("type") == "text")
        return reply.stop_reason == "tool_use" or self._must_be_a_job(text)

    def _must_be_a_job(self, answer: str) -> bool:
        """Asked for, or promised, and no tool was called at all."""
        return not self._tools_used and (self._asked_for_background() or promises(answer))

    def _force_job(self, tx: Tx, answer: str) -> None:
        acknowledgement = short(answer, 300)
        if self._stream.readable:  # it can be read already
            self._owe(tx, self._parts(answer, rings=False))
            acknowledgement = ""
        self._start_job(tx, acknowledgement)

    def _hand_over(self, tx: Tx) -> None:
        """The model is away: the request becomes a job that runs when it is back."""
        if not self._done(tx):
            return
        sentence = say(self._last.language, "model_away")
        job_id = self._start_job(tx, sentence)
        self._remember(tx, self._opened(seen=False), f"{sentence} (#{job_id})")
        if self._stream.readable:
            self._owe(tx, self._parts(self._stream.written, rings=False))

    def _go_on_as_job(self, tx: Tx) -> None:
        """What was done so far goes with it; so do the words, where they can be read."""
        if not self._done(tx):
            return
        written, now = self._stream.written, self._now()
        history = close_calls(tx, self._conversation, now=now)
        sentence = say(self._last.language, "goes_on_as_job")
        job = hand_over(
            tx,
            self._agent.queue,
            self._batch,
            acknowledgement=sentence,
            so_far=so_far(history, self._source, written),
            now=now,
        )
        said = f"{written.strip()}\n{sentence} (#{job.id})".strip()
        self._remember(tx, self._opened(seen=False), said)
        if self._stream.readable:
            self._owe(tx, self._parts(written, rings=False))

    def _start_job(self, tx: Tx, acknowledgement: str) -> int:
        queue, now = self._agent.queue, self._now()
        return hand_over(tx, queue, self._batch, acknowledgement=acknowledgement, now=now).id

    async def _apologize(self, sentence: str) -> None:
        await self._stream.finish()

        def end(tx: Tx) -> None:
            if self._done(tx):
                written = f"{self._stream.written.strip()}\n\n" if self._stream.readable else ""
                self._owe(tx, self._parts(f"{written}{sentence}"))

        await self._write(end)

    async def _note_shown(self, message_id: int) -> None:
        known = {"update_id": self._batch[0].update_id, "message_id": message_id}
        store = self._agent.queue.store
        await store.write(lambda tx: tx.run("update_shown", **known), durable=False)

    async def _openings(self, *, seen: bool = True) -> list[Message]:
        """The person's messages, one each: the state of the chat's jobs first, a directive last."""
        store = self._agent.queue.store

        def look(tx: Tx) -> tuple[list[Job], int | None]:
            jobs = active_jobs(tx, self._last.chat_id)
            self._replied = job_replies.replied_to(tx, self._batch)
            if len(self._batch) > 1 or any(item.files or item.edit_id for item in self._batch):
                self._shown = conversation.load(tx, self._conversation)
            return jobs, tx.value("shown_message", update_id=self._batch[0].update_id)

        jobs, shown = await store.read(look)
        if self._stream.message_id is None:
            self._stream.message_id = shown  # by a bridge that was killed over it
        mark = self._replied.mark if self._replied else ""
        background = self._asked_for_background()
        return with_marks(self._opened(seen=seen), jobs, about=mark, background=background)

    def _opened(self, *, seen: bool) -> list[Message]:
        """A file that no model has `seen` is only named: it could be one that is always refused."""
        room = Room(self._shown, sees=self._voice.sees) if seen else None
        return [opening(item, room) for item in unsaid(self._batch, self._shown)]

    def _asked_for_background(self) -> bool:
        words = self._agent.background_words
        return any(asks_for_background(item, words) for item in self._batch)

    def _parts(self, text: str, *, rings: bool = True) -> list[Part]:
        """In the message that is shown already, or as a new one that rings when it took long."""
        parts = compose.text_parts(
            text,
            language=self._last.language,
            file_name="kitt-answer.md",
            reply_to=self._last.reply_to,
            rich=cast(Rich, self._agent.chosen.of(self._last.chat_id).rich),
        )
        rings = rings and waited(self._last.sent_at, self._agent.clock.now())
        return answer_parts(parts, shown=self._stream.message_id, rings=rings)

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
        close_calls(tx, self._conversation, now=self._now())
        for message in openings:
            conversation.append(tx, self._conversation, message, now=self._now())
        said = Message(role="assistant", content=[text_block(answer)], stop_reason="end_turn")
        conversation.append(tx, self._conversation, said, now=self._now())

    def _done(self, tx: Tx) -> bool:
        """Everything this turn was told is handled; False when it was already."""
        now = self._now()
        told = [update_of(source) for source in self._turn.told] if self._turn else []
        ids = {item.update_id for item in self._batch} | {i for i in told if i is not None}
        for item in self._batch:
            file_questions.over(tx, item, now=now)
            all_over(tx, item.also, state="done", now=now)
        return all_over(tx, sorted(ids), state="done", now=now)

    async def _write(self, fn: Callable[[Tx], object]) -> None:
        self.committed = True
        try:
            await self._agent.queue.store.write(fn)
        except JobRefused as error:  # there can be no job instead of an answer
            await self._apologize(apology(error, self._last.language, ""))

    def _tools(self) -> list[Tool]:
        agent, origin = self._agent, origin_of(self._batch, self._agent.is_owner)
        zone = agent.chosen.zone(self._last)
        show = partial(agent.schedules.offer, language=self._last.language)
        proposing = schedule_tools(agent.clock, origin, zone=zone, show=show)
        keeping = agent.memory_tools(self._last, self._source)
        return [*job_tools(agent.queue, origin, agent.kinds), *proposing, *keeping]

    def _now(self) -> str:
        return stamp(self._agent.clock.now())

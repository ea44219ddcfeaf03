"""The bridge: wires the parts together, hands updates to chats, and ends in good order.

Inbox → gate → chat or command; deliveries → outbox; jobs → cards. Nothing here waits: an update is
handed on in microseconds, so that one slow chat never delays another.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import replace
from functools import partial
from typing import Any, Final

from telegram import Update

from bridge import people
from bridge.agent.model import Model
from bridge.clock import Clock
from bridge.errors import KittError, TryLater
from bridge.models import PROMPT_CHARS_MAX
from bridge.profile import main_prompt
from bridge.queue import Queue
from bridge.settings import Settings
from bridge.store import Store, Tx
from bridge.telegram import gate
from bridge.telegram.answer import Agent, Answer
from bridge.telegram.api import Api, NotDelivered
from bridge.telegram.attachments import Attachments
from bridge.telegram.budget import Budget
from bridge.telegram.buttons import Signer
from bridge.telegram.cards import Cards
from bridge.telegram.chat import Chat
from bridge.telegram.commands import MENU, Commands
from bridge.telegram.gate import Incoming, Press
from bridge.telegram.inbox import INNOCENT_AFTER_S, Inbox
from bridge.telegram.outbox import Outbox
from bridge.telegram.schedule_commands import ScheduleCommands, for_the_agent
from bridge.telegram.stream import Stream
from bridge.telegram.texts import LANGUAGES, say

log = logging.getLogger(__name__)
LOOK_S: Final = 2.0  # for rows changed by hand; everything else announces itself
TURNS_DRAIN_S: Final = 10.0
OUTBOX_DRAIN_S: Final = 5.0


class Bridge:
    """One bridge process. `run` ends when `stop` was called or an error cannot be mended here."""

    def __init__(self, *, settings: Settings, store: Store, model: Model, clock: Clock) -> None:
        token = settings.need_token()
        self._settings = settings
        self._store = store
        self._clock = clock
        self._owners: frozenset[int] = frozenset()
        self._people: dict[str, tuple[str, str]] = {}
        self._chats: dict[tuple[str, int], Chat] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        self._api = Api(
            token=token,
            base_url=settings.telegram_base_url,
            base_file_url=settings.telegram_base_file_url,
        )
        self._budget = Budget(clock)
        self._signer = Signer(token)
        queue = Queue(store=store, clock=clock, lease_s=settings.lease_s)
        schedules = ScheduleCommands(queue=queue, signer=self._signer, clock=clock)
        self._agent = Agent(
            queue=queue,
            model=model,
            clock=clock,
            model_name=settings.model,
            prompt=main_prompt(settings.profile),
            schedules=schedules,
            zone=settings.zone,
            files_dir=settings.files_dir,
        )
        self._commands = Commands(
            queue=queue,
            signer=self._signer,
            clock=clock,
            schedules=schedules,
            model_name=settings.model,
        )
        shared: dict[str, Any] = {
            "store": store,
            "api": self._api,
            "budget": self._budget,
            "signer": self._signer,
            "clock": clock,
        }
        self._outbox = Outbox(**shared, jobs_dir=settings.jobs_dir)
        self._cards = Cards(**shared)
        self._attachments = Attachments(
            api=self._api,
            clock=clock,
            files_dir=settings.files_dir,
            arrived=self._arrived,
            end=partial(self._later, self._commands.say),
            tell=partial(self._later, self._commands.tell),
        )
        self._inbox = Inbox(store=store, api=self._api, clock=clock, handle=self._handle)

    def stop(self) -> None:
        """End in good order; updates not handled yet are in the inbox."""
        self._stopping.set()

    async def run(self) -> None:
        """Receive, answer and send until `stop`. Raises: KittError when it cannot go on."""
        self._store.wake.listen("bridge")
        stopping = asyncio.create_task(self._stopping.wait())
        connecting = asyncio.create_task(self._connect())
        await asyncio.wait([connecting, stopping], return_when=asyncio.FIRST_COMPLETED)
        if not connecting.done():
            connecting.cancel()
            await asyncio.wait([connecting])
            return
        username = connecting.result()
        await self._store.read(self._load_people)
        loops = [
            asyncio.create_task(loop)
            for loop in (self._outbox.run(), self._cards.run(), self._pulse())
        ]
        loops.append(asyncio.create_task(self._receive()))
        log.info("@%s is listening; %d owners", username, len(self._owners))
        self._later(self._offer_commands)
        try:
            await asyncio.wait([*loops, stopping], return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            await self._shut_down(loops)
        for loop in loops:
            if not loop.cancelled() and (error := loop.exception()) is not None:
                raise error

    async def _connect(self) -> str:
        """Wait for Telegram; a refused token raises ConfigError."""
        delay_s = 1.0
        while True:
            try:
                return await self._api.open()
            except NotDelivered as error:
                log.warning("%s Next try in %.0f s.", error, delay_s)
                await self._clock.sleep(delay_s)
                delay_s = min(30.0, delay_s * 2)

    async def _receive(self) -> None:
        for update_id, raw in await self._inbox.replay():
            log.error("Update %d stopped the bridge several times; it is set aside", update_id)
            self._later(self._set_aside, raw)
        forgiving = asyncio.create_task(self._patiently(self._forgive))
        try:
            await self._inbox.run()
        finally:
            forgiving.cancel()  # not one of the short tasks that a shutdown waits for

    async def _forgive(self) -> None:
        await self._clock.sleep(INNOCENT_AFTER_S)
        await self._inbox.forgive()

    async def _set_aside(self, raw: str) -> None:
        """Tell who sent it; reading it may be what stops the bridge, so not before this."""
        item = gate.read(self._inbox.parse(raw))
        if item is not None and int(item.user_id) in self._owners:
            await self._commands.tell(item, "restarted")

    async def _pulse(self) -> None:
        """Turn hints from other processes into looks at what is owed and what changed."""
        version = -1
        while True:
            now_version = await self._store.data_version()
            if now_version != version:
                version = now_version
                self._outbox.notice()
                self._cards.notice()
            if await self._store.wake.wait(LOOK_S):
                self._outbox.notice()
                self._cards.notice()

    async def _shut_down(self, loops: list[asyncio.Task[None]]) -> None:
        loops[-1].cancel()  # nothing new
        await self._attachments.close()
        await asyncio.gather(*(chat.drain(TURNS_DRAIN_S) for chat in self._chats.values()))
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=OUTBOX_DRAIN_S)
        self._outbox.notice()
        await asyncio.sleep(0)
        await self._outbox.drain(OUTBOX_DRAIN_S)
        for loop in loops:
            loop.cancel()
        await asyncio.gather(*loops, return_exceptions=True)
        if self._stopping.is_set():
            await self._inbox.forgive()
        await self._api.close()

    def _handle(self, update: Update) -> None:
        """Hand an update on; never waits, never raises."""
        item = gate.read(update)
        if item is None:
            self._later(self._commands.over, update.update_id, state="refused")
        elif int(item.user_id) not in self._owners:
            self._later(self._stranger, item)
        else:
            self._meet(item)
            if isinstance(item, Press):
                self._later(self._press, item)
            else:
                self._message(item)

    def _message(self, message: Incoming) -> None:
        chat = self._chat(message)
        command = message.command
        if message.edited:
            self._later(self._commands.over, message.update_id)
        elif command is not None and command[0] in ("stop", "new"):
            dropped = self._attachments.drop((message.chat_id, message.thread_id))
            chat.interrupt(partial(self._interrupted, message, command[0], dropped))
        elif message.attached is not None and (command is None or command[0] == "bg"):
            self._attachments.take(message)
        elif command is not None and command[0] == "schedule" and for_the_agent(command[1]):
            chat.receive(replace(message, text=command[1]))
        elif command is not None:
            self._later(self._commands.handle, message)
        elif message.is_sound:
            self._later(self._commands.say, message, "not_heard")
        elif not message.text.strip():
            self._later(self._commands.say, message, "not_this_kind")
        elif len(message.text) > PROMPT_CHARS_MAX:
            chars = len(message.text)
            self._later(
                self._commands.say, message, "too_long", chars=chars, chars_max=PROMPT_CHARS_MAX
            )
        elif not self._attachments.takes_words(message):
            chat.receive(message)

    def _arrived(self, messages: list[Incoming]) -> None:
        """A request with files, which are here now."""
        for message in (m for m in messages if m.command is not None):
            self._later(self._commands.handle, message)
        if others := [m for m in messages if m.command is None]:
            self._chat(others[0]).receive(*others)

    async def _interrupted(
        self, message: Incoming, command: str, dropped: Incoming | None, stopped: bool
    ) -> None:
        """`stopped`: an answer was, and has said so."""
        if dropped is not None and not stopped:
            await self._commands.say(dropped, "stopped")
        elif dropped is not None:
            for update_id in (dropped.update_id, *dropped.also):
                await self._commands.over(update_id)
        if command == "new":
            await self._commands.handle(message)
        elif stopped or dropped is not None:
            await self._commands.over(message.update_id)
        else:
            await self._commands.say(message, "nothing_to_stop")

    async def _press(self, press: Press) -> None:
        """A button: check it, act, answer. Unknown data is never anyone's message."""
        known = self._signer.read(press.data, press.chat_id)
        if known is None:
            await self._commands.over(press.update_id, state="refused")
            text, alert = say(press.language, "not_for_you"), True
        elif known[0] == "ts":
            self._chat(press).interrupt(lambda _stopped: self._commands.over(press.update_id))
            text, alert = "", False
        else:
            text, alert = await self._commands.press(press, *known), False
        await self._api.answer_callback(press.callback_id, text, alert=alert)

    async def _stranger(self, item: Incoming | Press) -> None:
        """A claim by code, one polite line a day, or nothing; never the model."""
        if isinstance(item, Press):
            await self._commands.over(item.update_id, state="refused")
            return
        command, argument = item.command or ("", "")
        user_id, language = int(item.user_id), people.language_of(item.language)

        def claim(tx: Tx) -> bool:
            now = self._clock.now()
            return people.claim(tx, argument, user_id, item.name, language, now)

        if command == "start" and argument and await self._store.write(claim):
            log.info("User %s is now an owner", item.user_id)
            self._owners |= {user_id}
            welcome = say(item.language, "welcome", name=item.name)
            await self._commands.say(item, "claimed", welcome=welcome)
            return

        def polite(tx: Tx) -> bool:
            now = self._clock.now()
            return people.stranger_may_be_answered(tx, user_id, item.name, language, now)

        if command == "start" and argument and not self._owners:
            await self._commands.say(item, "claim_wrong", state="refused")  # five tries, then new
        elif await self._store.write(polite):
            key = "claim_wrong" if command == "start" and argument else "stranger"
            key = key if self._owners or key == "claim_wrong" else "unclaimed"
            await self._commands.say(item, key, state="refused")
        else:
            await self._commands.over(item.update_id, state="refused")

    def _meet(self, item: Incoming | Press) -> None:
        """Keep name and language; someone who had blocked the bot gets what waited."""
        back = item.chat_id in self._outbox.held
        if back or self._people.get(item.user_id) != (item.name, item.language):
            self._outbox.held.discard(item.chat_id)
            self._people[item.user_id] = (item.name, item.language)
            self._later(self._remember, item)

    async def _remember(self, item: Incoming | Press) -> None:
        def remember(tx: Tx) -> None:
            language = people.language_of(item.language)
            people.remember(tx, int(item.user_id), item.name, language)
            if tx.run("release_lane", chat_id=item.chat_id):
                tx.run("revive_cards", chat_id=item.chat_id)
                tx.wake("bridge")

        await self._store.write(remember, durable=False)

    def _load_people(self, tx: Tx) -> None:
        self._owners = people.owners(tx, self._settings.owners)

    def _chat(self, item: Incoming | Press) -> Chat:
        key = (item.chat_id, item.thread_id)
        if key not in self._chats:
            owed = partial(self._outbox.owed, item.chat_id)
            self._chats[key] = Chat(self._answer, owed=owed, clock=self._clock)
        return self._chats[key]

    def _answer(self, batch: list[Incoming]) -> Answer:
        last = batch[-1]
        stream = Stream(
            api=self._api,
            budget=self._budget,
            clock=self._clock,
            chat_id=last.chat_id,
            thread_id=last.thread_id,
            buttons=self._signer.row(last.chat_id, (say(last.language, "button_stop"), "ts", 0)),
        )
        return Answer(agent=self._agent, stream=stream, batch=batch)

    async def _offer_commands(self) -> None:
        """The menu of commands in every language, only when it changed: Telegram limits this."""
        menus = {
            language: [(name, say(language, f"command_{name}")) for name in MENU]
            for language in LANGUAGES
        }
        if await self._store.read(lambda tx: tx.value("meta", name="commands")) == str(menus):
            return
        for language, commands in menus.items():
            await self._api.set_commands(commands, None if language == LANGUAGES[0] else language)
        await self._store.write(
            lambda tx: tx.run("put_meta", name="commands", value=str(menus)), durable=False
        )

    def _later(
        self, work: Callable[..., Coroutine[Any, Any, None]], *args: Any, **more: Any
    ) -> None:
        """Run something short beside everything else; an error in it is logged, not lost."""
        task = asyncio.create_task(self._patiently(partial(work, *args, **more)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _patiently(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Again while the database is locked or the disk full; one bad update ends only itself."""
        while True:
            try:
                await work()
            except TryLater as error:
                log.warning("%s", error)
                await self._clock.sleep(1.0)
                continue
            except KittError as error:
                log.warning("%s", error)
            except Exception:  # it must not end the bridge; it stays in the inbox
                log.exception("An update could not be handled")
            return

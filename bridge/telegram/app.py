"""The bridge: wires the parts together and ends in good order.

Inbox → gate → routing → chat or command; deliveries → outbox; jobs → cards.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final, cast

from bridge import groups, memory
from bridge.agent.compaction import Compactor
from bridge.agent.model import Model
from bridge.budgets import Budgets, Purse
from bridge.clock import Clock
from bridge.conversation import SUMMARY
from bridge.kinds.registry import Kinds
from bridge.logs import redactor
from bridge.people import role
from bridge.preferences import Streaming
from bridge.profile import background_words, main_prompt
from bridge.queue import Queue
from bridge.settings import Settings
from bridge.store import Store, Tx
from bridge.telegram import gate
from bridge.telegram.admission import Admission
from bridge.telegram.answer import Answer
from bridge.telegram.api import Api, NotDelivered
from bridge.telegram.attachments import Attachments
from bridge.telegram.bells import Bells
from bridge.telegram.budget import Budget
from bridge.telegram.buttons import Signer
from bridge.telegram.cards import Cards
from bridge.telegram.chat_commands import ChatCommands
from bridge.telegram.chosen import Chosen
from bridge.telegram.commands import Commands, Family
from bridge.telegram.digest import Digest
from bridge.telegram.edits import Edits
from bridge.telegram.equipment import Agent
from bridge.telegram.errands import Errands
from bridge.telegram.file_questions import FileQuestions
from bridge.telegram.gate import Incoming
from bridge.telegram.group_commands import GroupCommands
from bridge.telegram.hearing import Hearing
from bridge.telegram.held import HeldMessages
from bridge.telegram.inbox import INNOCENT_AFTER_S, Inbox
from bridge.telegram.job_commands import JobCommands
from bridge.telegram.job_files import JobFiles
from bridge.telegram.job_pages import JobPages
from bridge.telegram.job_questions import JobQuestions
from bridge.telegram.large_files import FileCommands
from bridge.telegram.log_commands import LogCommands
from bridge.telegram.memory_commands import MemoryCommands
from bridge.telegram.menu import Menu
from bridge.telegram.outbox import Outbox
from bridge.telegram.people_commands import PeopleCommands
from bridge.telegram.persona_commands import PersonaCommands
from bridge.telegram.restarting import Restart, RestartCommands
from bridge.telegram.rich_commands import RichCommands
from bridge.telegram.rights import Rights
from bridge.telegram.routing import Routing
from bridge.telegram.schedule_commands import ScheduleCommands
from bridge.telegram.settings_commands import SettingsCommands
from bridge.telegram.signs import Signs
from bridge.telegram.stream import Stream
from bridge.telegram.texts import say
from bridge.telegram.welcome import Welcome
from bridge.transcribe import transcriber_of

log = logging.getLogger(__name__)
LOOK_S: Final = 2.0  # for rows changed by hand; everything else announces itself
TURNS_DRAIN_S: Final = 10.0
OUTBOX_DRAIN_S: Final = 5.0


class Bridge:
    """One bridge process. `run` ends when `stop` was called or an error cannot be mended here.

    `renew` starts the workers anew; None without a supervisor, which would start the bridge again.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        store: Store,
        model: Model,
        clock: Clock,
        renew: Callable[[], Coroutine[Any, Any, None]] | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._stopping = asyncio.Event()
        self._errands = Errands(clock)
        self._restart = Restart(store=store, clock=clock, renew=renew, stop=self.stop)
        self._supervised = renew is not None
        token = settings.need_token()
        self._api = _api_of(settings)
        self._budget = Budget(clock)
        self._signer = Signer(token)
        self._chosen = Chosen(zone=settings.zone)
        speaking: dict[str, Any] = {"api": self._api, "budget": self._budget, "clock": clock}
        shared: dict[str, Any] = {**speaking, "store": store, "signer": self._signer}
        bells, moved = Bells(chosen=self._chosen, clock=clock), partial(_moved, settings, clock)
        self._outbox = Outbox(**shared, bells=bells, jobs_dir=settings.jobs_dir, moved=moved)
        self._digest = Digest(store=store, bells=bells, signer=self._signer, clock=clock)
        self._cards = Cards(**shared, chosen=self._chosen)
        queue = Queue(store=store, clock=clock, lease_s=settings.lease_s)
        about: dict[str, Any] = {"queue": queue, "signer": self._signer, "clock": clock}
        schedules = ScheduleCommands(**about, chosen=self._chosen)
        self._welcome = Welcome(**about, chosen=self._chosen)
        people, of_groups = self._deciding(settings, **about)
        self._questions = FileQuestions(store=store, signer=self._signer, clock=clock)
        self._agent = self._answering(settings, model, schedules, **about)
        of_owners = (people, of_groups)
        families = (*self._families(settings, schedules, **about), *of_owners, self._questions)
        self._commands = Commands(store, clock, families, outside=self._agent.notes)
        self._menu = Menu(store=store, api=self._api, clock=clock, commands=self._commands.names)
        self._admission = Admission(
            store=store,
            commands=self._commands,
            outbox=self._outbox,
            errands=self._errands,
            clock=clock,
            people_commands=people,
            claimed=lambda owner: self._menu.offer([owner]),
            welcome=self._welcome,
            group_commands=of_groups,
            chosen=self._chosen,
            moved=moved,
        )
        self._attachments = self._files_in(settings)
        self._routing = Routing(
            answer=self._answer,
            admission=self._admission,
            chosen=self._chosen,
            commands=self._commands,
            attachments=self._attachments,
            questions=self._questions,
            errands=self._errands,
            outbox=self._outbox,
            api=self._api,
            signer=self._signer,
            welcome=self._welcome,
            rights=Rights(store=store, is_owner=self._admission.is_owner),
            edits=Edits(store=store, signer=self._signer, clock=clock),
            signs=Signs(**speaking),
            restart=self._restart,
            clock=clock,
        )
        self._inbox = Inbox(store=store, api=self._api, clock=clock, handle=self._routing.handle)

    @property
    def commands(self) -> frozenset[str]:
        """The commands that have an answer."""
        return self._commands.names

    def _answering(
        self, settings: Settings, model: Model, schedules: ScheduleCommands, **about: Any
    ) -> Agent:
        thinking: dict[str, Any] = {"model": model, "model_name": settings.model}
        budgets = Budgets.of(settings)
        paying: dict[str, Any] = {"store": self._store, "clock": self._clock, "user_id": ""}
        compactor = Compactor(
            store=self._store,
            **thinking,
            # An answer in the same chat has a purse of its own at the same time.
            purse=lambda name: Purse(budgets, conversation=f"{SUMMARY}{name}", **paying),
        )
        return Agent(
            **about,
            **thinking,
            budgets=budgets,
            compact=partial(self._errands.run, compactor.compact),
            prompt=main_prompt(settings.profile),
            background_words=background_words(settings.profile),
            kinds=tuple(Kinds(settings.profile).usable()),
            settings=settings,
            schedules=schedules,
            notes=MemoryCommands(
                folder=settings.notes_dir,
                signer=self._signer,
                clock=self._clock,
                is_owner=lambda item: self._admission.is_owner(item),
            ),
            chosen=self._chosen,
            files_dir=settings.files_dir,
            is_owner=lambda item: self._admission.is_owner(item),
            admits=lambda item: self._admission.admits(item),
        )

    def _deciding(self, settings: Settings, **about: Any) -> tuple[PeopleCommands, GroupCommands]:
        about["settings_owners"] = settings.owners
        return PeopleCommands(**about, welcome=self._welcome), GroupCommands(**about)

    def _families(
        self, settings: Settings, schedules: ScheduleCommands, **about: Any
    ) -> tuple[Family, ...]:
        pages = JobPages(**about, chosen=self._chosen, username=lambda: self._api.me.username)
        choosing: dict[str, Any] = {"signer": self._signer, "chosen": self._chosen}
        choosing["is_owner"] = lambda tx, user: role(tx, settings.owners, int(user)) == "owner"
        who = PersonaCommands(profile=settings.profile, **choosing)
        return (
            RichCommands(),
            FileCommands(about["clock"]),
            ChatCommands(
                clock=self._clock,
                chosen=self._chosen,
                model_name=settings.model,
                budgets=Budgets.of(settings),
                welcome=self._welcome,
                job=pages.shown,
            ),
            self._welcome,
            JobCommands(**about, pages=pages),
            JobFiles(queue=about["queue"], signer=self._signer, files_dir=settings.files_dir),
            JobQuestions(**about),
            pages,
            schedules,
            RestartCommands(signer=self._signer, supervised=self._supervised),
            LogCommands(log_dir=settings.log_dir, redact=redactor(settings.secrets)),
            HeldMessages(clock=self._clock),
            who,
            SettingsCommands(personas=who, **choosing),
        )

    def _files_in(self, settings: Settings) -> Attachments:
        hearing = Hearing(
            transcriber=transcriber_of(settings),
            store=self._store,
            api=self._api,
            budget=self._budget,
            clock=self._clock,
            files_dir=settings.files_dir,
        )
        return Attachments(
            api=self._api,
            clock=self._clock,
            files_dir=settings.files_dir,
            arrived=lambda messages: self._routing.arrived(messages),
            asked=lambda message: self._routing.asks(message),
            end=partial(self._errands.run, self._commands.say),
            tell=partial(self._errands.run, self._commands.tell),
            hearing=hearing,
        )

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
        await self._store.read(self._admission.load)
        await self._store.read(self._chosen.load)
        await self._store.read(self._questions.load)
        await self._store.read(self._routing.load)
        await self._restart.back()
        loops = [
            asyncio.create_task(loop)
            for loop in (self._outbox.run(), self._cards.run(), self._digest.run(), self._pulse())
        ]
        loops.append(asyncio.create_task(self._receive()))
        log.info("@%s is listening; %d owners", username, len(self._admission.owners))
        self._menu.offer(self._admission.owners)
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
            self._errands.run(self._set_aside, raw)
        forgiving = asyncio.create_task(self._errands.patiently(self._forgive))
        try:
            await self._inbox.run()
        finally:
            forgiving.cancel()  # not one of the short tasks that a shutdown waits for

    async def _forgive(self) -> None:
        await self._clock.sleep(INNOCENT_AFTER_S)
        await self._inbox.forgive()

    async def _set_aside(self, raw: str) -> None:
        """Tell who sent it; reading it may be what stops the bridge, so not before this."""
        item = gate.read(self._inbox.parse(raw), self._api.me)
        if item is not None and self._admission.admits(item):
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
        await self._menu.close()
        await self._attachments.close()
        await self._routing.drain(TURNS_DRAIN_S)
        await self._errands.settle(OUTBOX_DRAIN_S)
        self._outbox.notice()
        await asyncio.sleep(0)
        await self._outbox.drain(OUTBOX_DRAIN_S)
        for loop in loops:
            loop.cancel()
        await asyncio.gather(*loops, return_exceptions=True)
        if self._stopping.is_set():
            await self._inbox.forgive()
        await self._api.close()

    def _answer(self, batch: list[Incoming]) -> Answer:
        last = batch[-1]
        stream = Stream(
            api=self._api,
            budget=self._budget,
            clock=self._clock,
            chat_id=last.chat_id,
            thread_id=last.thread_id,
            buttons=self._signer.row(last.chat_id, (say(last.language, "button_stop"), "ts", 0)),
            reply_to=last.reply_to,
            how=cast("Streaming", self._chosen.of(last.chat_id).streaming),
            draft_id=last.update_id,
        )
        return Answer(agent=self._agent, stream=stream, batch=batch)


def _api_of(settings: Settings) -> Api:
    return Api(
        token=settings.need_token(),
        base_url=settings.telegram_base_url,
        base_file_url=settings.telegram_base_file_url,
    )


def _moved(settings: Settings, clock: Clock, tx: Tx, old_id: str, new_id: str) -> None:
    groups.move(tx, old_id, new_id, files_dir=settings.files_dir, now=clock.now())
    memory.follow(settings.notes_dir, old_id, new_id)

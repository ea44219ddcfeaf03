"""A bridge that runs inside a test, with everything around it, and a person who chats with it.

Both emulators speak real HTTP on loopback and the database is a real file; only the worker is
missing: a test claims and finishes jobs itself, through the queue.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from blank import lay
from fakes import FakeClock, shell
from waiting import until

from bridge import groups
from bridge.agent.fallback import model_of
from bridge.agent.model import AnthropicModel
from bridge.clock import Clock, stamp
from bridge.deliveries import owe
from bridge.emulator.claude import ClaudeEmulator
from bridge.emulator.claude_log import Record
from bridge.emulator.telegram import TelegramEmulator
from bridge.emulator.telegram_state import CallbackAnswer, ChatMessage
from bridge.models import Job
from bridge.queue import Queue
from bridge.settings import Secret, Settings
from bridge.store import Store, Tx
from bridge.telegram.api import Api
from bridge.telegram.app import Bridge
from bridge.telegram.bells import Bells
from bridge.telegram.budget import Budget
from bridge.telegram.buttons import Signer
from bridge.telegram.chosen import Chosen
from bridge.telegram.compose import plain_part
from bridge.telegram.outbox import Outbox

CHAT: Final = 7  # a private chat has the id of its one person
OTHER: Final = 8
CURSOR: Final = "▌"
WORKER: Final = "w1:1:a"


class House:
    """One bridge process and what it talks to. It may be started, stopped and started again."""

    def __init__(self, folder: Path, telegram: TelegramEmulator, claude: ClaudeEmulator) -> None:
        self.telegram = telegram
        self.claude = claude
        self.clock = Clock()
        self.settings = Settings(
            profile=folder,
            owners=frozenset({CHAT}),
            telegram_token=Secret(telegram.token),
            telegram_base_url=telegram.base_url,
            telegram_base_file_url=telegram.base_file_url,
            anthropic_key=Secret(claude.key),
            anthropic_base_url=claude.base_url,
        )
        self.running: asyncio.Task[None] | None = None
        self.renew: Callable[[], Coroutine[Any, Any, None]] | None = None  # as a supervised one has

    def set(self, **changes: Any) -> None:
        """Change settings before the start."""
        self.settings = replace(self.settings, **changes)

    async def start(self, *, wait: bool = True) -> None:
        """Open the database and run the bridge, by default until it waits for updates."""
        self.settings.memory.mkdir(parents=True, exist_ok=True)
        lay(self.settings.database)
        self.store = await Store.open(self.settings.database, self.settings.run_dir)
        self.queue = Queue(store=self.store, clock=self.clock, jitter=lambda: 0.0)
        self._model = model_of(self.settings)
        if isinstance(self._model, AnthropicModel):
            await self._model.open()  # the first import of the SDK takes as long as a slow answer
        self._bridge = Bridge(
            settings=self.settings,
            store=self.store,
            model=self._model,
            clock=self.clock,
            renew=self.renew,
        )
        self.running = asyncio.create_task(self._bridge.run())
        if wait:
            await self.telegram.wait_for(lambda e: e.updates.polled)

    async def stop(self) -> None:
        """End in good order."""
        if self.running is None:
            return
        running, self.running = self.running, None
        self._bridge.stop()
        try:
            await running
        finally:
            await self._model.close()
            await self.store.close()

    def commands(self) -> frozenset[str]:
        """The commands that have an answer."""
        return self._bridge.commands

    def rows(self, sql: str, **values: Any) -> list[dict[str, Any]]:
        """What a person sees in the sqlite3 shell."""
        return shell(self.settings.database, sql, **values)

    def jobs(self) -> list[dict[str, Any]]:
        return self.rows("SELECT * FROM jobs ORDER BY id")

    def asked(self) -> list[Record]:
        """The requests the model was sent."""
        return [record for record in self.claude.requests if record.path == "/v1/messages"]

    async def settled(self) -> None:
        """Wait until every update is handled and nothing is owed any more."""

        def open_ends() -> bool:
            found = self.rows(
                "SELECT (SELECT count(*) FROM inbox WHERE state = 'new') AS updates, (SELECT"
                " count(*) FROM deliveries WHERE status IN ('ready', 'sending')) AS deliveries"
            )
            return found == [{"updates": 0, "deliveries": 0}] and self.telegram.updates.pending == 0

        await until(open_ends)

    async def job_runs(self) -> Job:
        """A worker has claimed the next job."""
        job = await self.queue.claim(WORKER)
        assert job is not None, "there is no job to claim"
        return job


class Person:
    """Someone in a private chat with the bot."""

    def __init__(self, house: House, chat_id: int = CHAT, language: str = "en") -> None:
        self._house = house
        self.telegram = house.telegram
        self.chat_id = chat_id
        self.language = language

    def say(self, text: str, **how: Any) -> int:
        """Write a message; its id."""
        message = self.telegram.send(self.chat_id, text, **{"language": self.language, **how})
        return int(message["message_id"])

    async def ask(self, text: str, **how: Any) -> ChatMessage:
        """Write a message and wait for the whole answer to it."""
        return await self.sees(after=self.say(text, **how))

    async def sees(
        self, words: str = "", *, after: int = 0, timeout_s: float = 15.0
    ) -> ChatMessage:
        """The first whole message of the bot with these words, after that message."""
        return await self.telegram.wait_for(
            lambda _: next(
                (
                    message
                    for message in self.shown(after=after)
                    if words in message.text and not message.text.endswith(CURSOR)
                ),
                None,
            ),
            timeout_s,
        )

    async def sees_where(
        self, fits: Callable[[ChatMessage], bool], timeout_s: float = 15.0
    ) -> ChatMessage:
        """The first message of the bot that fits."""
        return await self.telegram.wait_for(
            lambda _: next((message for message in self.shown() if fits(message)), None), timeout_s
        )

    def shown(self, *, after: int = 0) -> list[ChatMessage]:
        """What the bot has in the chat now, oldest first."""
        return [
            message
            for message in self.telegram.messages(self.chat_id)
            if message.from_bot and message.message_id > after
        ]

    def texts(self) -> list[str]:
        return [message.text for message in self.shown()]

    def send_raw(self, text: str) -> None:
        """An update no client would send, as it would come over the wire."""
        self.telegram.open_chat(self.chat_id)
        user = {"id": self.chat_id, "is_bot": False, "first_name": "Sam", "language_code": "en"}
        chat = {"id": self.chat_id, "type": "private", "first_name": "Sam"}
        message = {"message_id": 900_001, "date": 1, "chat": chat, "from": user, "text": text}
        self.telegram.push_update({"message": message})

    def press_raw(self, data: str, **update: Any) -> None:
        """A press with any data, as a client that was tampered with could send it."""
        self.telegram.open_chat(self.chat_id)
        user = {"id": self.chat_id, "is_bot": False, "first_name": "Sam", "language_code": "en"}
        query = {"id": "77", "from": user, "chat_instance": "1", "data": data}
        query["message"] = self._old_message()
        self.telegram.push_update({**update, "callback_query": query})

    def _old_message(self) -> dict[str, Any]:
        chat = {"id": self.chat_id, "type": "private", "first_name": "Sam"}
        return {"message_id": 900_002, "date": 1, "chat": chat, "text": "old"}

    async def press(self, message_id: int, button: str) -> CallbackAnswer:
        """Press a button and wait for what the bot answers to the press."""
        query_id = self.telegram.press(self.chat_id, message_id, button)
        return await self.answer_to(message_id, query_id)

    async def answer_to(self, message_id: int, query_id: str) -> CallbackAnswer:
        """What the bot answered to one press."""
        return await self.telegram.wait_for(
            lambda e: next(
                (
                    answer
                    for answer in e.chats[self.chat_id].messages[message_id].answers
                    if answer.query_id == query_id
                ),
                None,
            )
        )


class Desk:
    """An outbox and what it sends from and to; its clock stands still until the test moves it."""

    def __init__(self, store: Store, memory: Path, telegram: TelegramEmulator, clock: FakeClock):
        self.store = store
        self.clock = clock
        self.telegram = telegram
        self.path = memory / "kitt.db"
        self.jobs_dir = memory / "jobs"
        self.base_url = telegram.base_url
        self.chosen = Chosen()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        self.api = Api(
            token=self.telegram.token,
            base_url=self.base_url,
            base_file_url=self.telegram.base_file_url,
        )
        await self.api.open()
        self.outbox = Outbox(
            store=self.store,
            api=self.api,
            budget=Budget(self.clock),
            signer=Signer(self.telegram.token),
            clock=self.clock,
            bells=Bells(chosen=self.chosen, clock=self.clock),
            jobs_dir=self.jobs_dir,
            moved=self._moved,
        )
        self._tasks.append(asyncio.create_task(self.outbox.run()))

    def _moved(self, tx: Tx, old_id: str, new_id: str) -> None:
        files_dir = self.jobs_dir.parent / "files"
        groups.move(tx, old_id, new_id, files_dir=files_dir, now=self.clock.now())

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await self.outbox.drain(0)
        await self.api.close()

    async def owe(self, *parts: dict[str, Any], chat_id: int = CHAT, kind: str = "reply") -> None:
        """Owe a chat these parts, in one delivery."""
        await self.store.write(
            lambda tx: owe(
                tx,
                chat_id=str(chat_id),
                thread_id=0,
                kind=kind,
                payload={"parts": list(parts)},
                now=stamp(self.clock.now()),
            )
        )
        if hasattr(self, "outbox"):
            self.outbox.notice()

    async def tell(self, text: str, chat_id: int = CHAT) -> None:
        await self.owe(plain_part(text), chat_id=chat_id)

    async def in_time(self, condition: Callable[[], object], seconds: float = 1_000) -> float:
        """Let time pass until it is so; how many seconds passed. No more than `seconds` may."""
        started = self.clock.monotonic()
        end = started + seconds

        def step() -> object:
            if met := condition():
                return met
            if self.clock.sleeping and self.clock.monotonic() + self.clock.sleeping[0] <= end:
                self.clock.advance(self.clock.sleeping[0] + 1e-6)
            return None

        await until(step)
        return self.clock.monotonic() - started

    async def over(self) -> None:
        """Nothing is owed any more."""
        await self.in_time(lambda: not self.rows("status IN ('ready', 'sending')"))

    def rows(self, where: str = "1") -> list[dict[str, Any]]:
        return shell(self.path, f"SELECT * FROM deliveries WHERE {where} ORDER BY id")

    def messages(self, chat_id: int = CHAT) -> list[ChatMessage]:
        return [message for message in self.telegram.messages(chat_id) if message.from_bot]

    def texts(self, chat_id: int = CHAT) -> list[str]:
        return [message.text for message in self.messages(chat_id)]

    def calls(self, method: str = "sendMessage") -> int:
        return len(self.telegram.calls(method))


@pytest.fixture(autouse=True)
def without_certificates(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Plain HTTP needs none, and loading them takes most of the time of a test."""
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))


@pytest.fixture
async def telegram() -> AsyncIterator[TelegramEmulator]:
    """Telegram, for one bot; chat 7 is open."""
    emulator = TelegramEmulator()
    await emulator.start()
    emulator.open_chat(CHAT)
    yield emulator
    await emulator.stop()


@pytest.fixture
async def claude() -> AsyncIterator[ClaudeEmulator]:
    """The model provider, with the default story; a test puts its own rules before it."""
    emulator = ClaudeEmulator()
    await emulator.start()
    yield emulator
    await emulator.stop()


@pytest.fixture
async def house(
    tmp_path: Path, telegram: TelegramEmulator, claude: ClaudeEmulator
) -> AsyncIterator[House]:
    """A bridge that is not started yet; chat 7 is its owner's."""
    built = House(tmp_path / "profile", telegram, claude)
    yield built
    await built.stop()


@pytest.fixture
async def bridge(house: House) -> House:
    """A bridge that waits for updates."""
    await house.start()
    return house


@pytest.fixture
def chat(house: House) -> Person:
    """The owner, in chat 7, in English."""
    return Person(house)


@pytest.fixture
def dutch(house: House) -> Person:
    """The owner, in chat 7, in Dutch."""
    return Person(house, language="nl")


@pytest.fixture
async def desk(
    store: Store, memory: Path, telegram: TelegramEmulator, clock: FakeClock
) -> AsyncIterator[Desk]:
    """A desk that is not started yet."""
    telegram.open_chat(CHAT)
    telegram.open_chat(OTHER)
    made = Desk(store, memory, telegram, clock)
    yield made
    await made.stop()

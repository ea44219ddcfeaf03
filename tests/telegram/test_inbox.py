"""An update is on disk before Telegram is told that we have it; nothing is lost or done twice."""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from chatting import CHAT
from fakes import FakeClock, shell
from telegram import Update
from waiting import until

from bridge.clock import Clock
from bridge.emulator.telegram import TelegramEmulator
from bridge.emulator.telegram_faults import Fault
from bridge.errors import ConfigError, KittError
from bridge.store import Store
from bridge.telegram.api import Api
from bridge.telegram.inbox import BACKOFF_MAX_S, STORE_PATIENCE_S, Inbox, over

NOW = "2026-11-22 07:30:00.000"


class Post:
    """An inbox that runs, what it has handed on, and what is in its table."""

    def __init__(self, store: Store, api: Api, clock: Clock, path: Path) -> None:
        self.store = store
        self.path = path
        self.seen: list[str] = []
        self.inbox = Inbox(store=store, api=api, clock=clock, handle=self.handle)
        self.task: asyncio.Task[None] | None = None

    def handle(self, update: Update) -> None:
        assert update.message is not None
        self.seen.append(update.message.text or "")

    def start(self) -> asyncio.Task[None]:
        self.task = asyncio.create_task(self.inbox.run())
        return self.task

    def rows(self) -> list[dict[str, Any]]:
        return shell(self.path, "SELECT update_id, state, attempts, raw FROM inbox")


@pytest.fixture
async def api(telegram: TelegramEmulator) -> AsyncIterator[Api]:
    made = Api(
        token=telegram.token,
        base_url=telegram.base_url,
        base_file_url=telegram.base_file_url,
    )
    await made.open()
    yield made
    await made.close()


@pytest.fixture
async def post(store: Store, memory: Path, api: Api, clock: FakeClock) -> AsyncIterator[Post]:
    """On a clock that stands still: who waits is moved on by the test."""
    made = Post(store, api, clock, memory / "kitt.db")
    yield made
    if made.task is not None:
        made.task.cancel()
        with suppress(asyncio.CancelledError, KittError):
            await made.task


async def test_an_update_is_kept_and_handed_on(post: Post, telegram: TelegramEmulator) -> None:
    post.start()

    telegram.send(CHAT, "Hello")

    (row,) = await until(post.rows)
    assert post.seen == ["Hello"]
    assert (row["state"], row["attempts"]) == ("new", 0)
    assert "Hello" in row["raw"]


async def test_updates_are_handed_on_in_their_order(post: Post, telegram: TelegramEmulator) -> None:
    texts = [f"Message {n}" for n in range(30)]
    for text in texts[:15]:
        telegram.send(CHAT, text)
    post.start()
    for text in texts[15:]:
        telegram.send(CHAT, text)

    await until(lambda: len(post.seen) == 30)

    assert post.seen == texts


async def test_telegram_is_told_only_after_the_commit(
    post: Post, telegram: TelegramEmulator
) -> None:
    with sqlite3.connect(post.path, isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        post.start()
        telegram.push_update(raw("Hello", 5))
        await until(lambda: post.seen)
        for _ in range(50):
            await asyncio.sleep(0)
        while_locked = telegram.confirmed_offset
        other.execute("ROLLBACK")
    other.close()

    await telegram.wait_for(lambda e: e.confirmed_offset == 6)
    assert while_locked == 0
    assert [row["update_id"] for row in post.rows()] == [5]


async def test_an_update_that_was_not_confirmed_is_handled_once(
    post: Post, telegram: TelegramEmulator
) -> None:
    telegram.order(Fault(method="getUpdates", drop="unanswered"))
    telegram.push_update(raw("Hello", 5))
    post.start()
    await until(lambda: post.rows() or clock_of(post).sleeping)
    clock_of(post).advance(BACKOFF_MAX_S)
    await until(lambda: post.seen)

    telegram.push_update(raw("Hello", 5))
    telegram.push_update(raw("Bye", 6))

    await until(lambda: len(post.rows()) == 2)
    assert post.seen == ["Hello", "Bye"]


async def test_what_was_not_handled_is_handed_on_at_the_next_start(
    post: Post, telegram: TelegramEmulator
) -> None:
    await keep(post, raw("One", 5), raw("Two", 6), raw("Three", 7))
    await post.store.write(lambda tx: over(tx, 6, state="done", now=NOW))

    set_aside = await post.inbox.replay()

    assert post.seen == ["One", "Three"]
    assert set_aside == []


async def test_a_handled_update_leaves_no_text_behind(post: Post) -> None:
    await keep(post, raw("My secret", 5))

    await post.store.write(lambda tx: over(tx, 5, state="done", now=NOW))

    (row,) = post.rows()
    assert (row["state"], row["raw"]) == ("done", None)


async def test_an_update_that_was_there_at_three_deaths_is_set_aside(post: Post) -> None:
    await keep(post, raw("The killer", 5))
    for _ in range(3):
        assert await post.inbox.replay() == []

    set_aside = await post.inbox.replay()

    assert [update_id for update_id, _ in set_aside] == [5]
    assert post.seen == ["The killer"] * 3
    assert post.rows()[0]["state"] == "quarantined"
    assert await post.inbox.replay() == []


async def test_what_waited_at_starts_that_lived_is_not_set_aside(post: Post) -> None:
    await keep(post, raw("A slow one", 5))
    for _ in range(5):
        assert await post.inbox.replay() == []
        await post.inbox.forgive()

    assert post.seen == ["A slow one"] * 5


async def test_an_update_that_was_handled_before_it_was_stored_stays_handled(post: Post) -> None:
    await post.store.write(lambda tx: over(tx, 5, state="done", now=NOW))

    await keep(post, raw("Hello", 5))

    assert await post.inbox.replay() == []
    assert post.seen == []


async def test_a_bystander_of_a_killer_is_handled_once_it_is_gone(post: Post) -> None:
    await keep(post, raw("The killer", 5))
    for _ in range(3):
        await post.inbox.replay()
    await keep(post, raw("A bystander", 6))
    post.seen.clear()

    await post.inbox.replay()

    assert post.seen == ["A bystander"]


async def test_a_replay_of_nothing_writes_nothing(post: Post) -> None:
    before = await post.store.data_version()

    assert await post.inbox.replay() == []

    assert await post.store.data_version() == before


async def test_another_program_with_this_token_is_logged_and_waited_for(
    post: Post, telegram: TelegramEmulator, caplog: pytest.LogCaptureFixture
) -> None:
    telegram.order(Fault(method="getUpdates", status=409, times=2))
    telegram.send(CHAT, "Hello")
    with caplog.at_level(logging.ERROR):
        post.start()
        for _ in range(2):
            await until(lambda: clock_of(post).sleeping)
            clock_of(post).advance(BACKOFF_MAX_S)

    await until(lambda: post.seen == ["Hello"])
    assert "Another program uses this bot token" in caplog.text


async def test_a_flood_of_get_updates_is_waited_out(post: Post, telegram: TelegramEmulator) -> None:
    telegram.order(Fault(method="getUpdates", status=429, retry_after=17))
    telegram.send(CHAT, "Hello")
    post.start()
    await until(lambda: clock_of(post).sleeping)
    waits_s = clock_of(post).sleeping

    clock_of(post).advance(17)

    await until(lambda: post.seen == ["Hello"])
    assert waits_s == [17]


@pytest.mark.parametrize(
    "fault",
    [
        Fault(method="getUpdates", status=502, times=4),
        Fault(method="getUpdates", drop="refused", times=4),
        Fault(method="getUpdates", cut_after=9, times=4),
    ],
    ids=["502", "dropped", "cut"],
)
async def test_a_broken_line_is_tried_again_with_growing_pauses(
    post: Post, telegram: TelegramEmulator, fault: Fault
) -> None:
    telegram.order(fault)
    telegram.send(CHAT, "Hello")
    post.start()
    waits_s = []
    for _ in range(4):
        await until(lambda: clock_of(post).sleeping)
        waits_s += clock_of(post).sleeping
        clock_of(post).advance(BACKOFF_MAX_S)

    await until(lambda: post.seen == ["Hello"])
    assert waits_s == [0.5, 1, 2, 4]


async def test_a_refused_token_ends_the_inbox(post: Post, telegram: TelegramEmulator) -> None:
    telegram.order(Fault(method="getUpdates", status=401, description="Unauthorized"))

    with pytest.raises(ConfigError, match="TELEGRAM_BOT_TOKEN"):
        await post.start()


async def test_a_store_locked_for_a_while_loses_nothing(
    memory: Path, api: Api, clock: FakeClock, telegram: TelegramEmulator
) -> None:
    path = memory / "kitt.db"
    store = await Store.open(path, memory / "run", busy_timeout_s=0.02)
    post = Post(store, api, clock, path)
    with sqlite3.connect(path, isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        telegram.send(CHAT, "Hello")
        task = post.start()
        for _ in range(3):
            await until(lambda: clock.sleeping)
            clock.advance(1)
        while_locked = telegram.confirmed_offset
        other.execute("ROLLBACK")
    other.close()

    def kept() -> bool:
        clock.advance(1)
        return bool(post.rows())

    await until(kept)
    await telegram.wait_for(lambda e: e.confirmed_offset > 0)
    assert while_locked == 0
    assert post.seen == ["Hello"]
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    await store.close()


async def test_a_store_that_stays_locked_ends_the_inbox(
    memory: Path, api: Api, clock: FakeClock, telegram: TelegramEmulator
) -> None:
    path = memory / "kitt.db"
    store = await Store.open(path, memory / "run", busy_timeout_s=0.02)
    post = Post(store, api, clock, path)
    with sqlite3.connect(path, isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        telegram.send(CHAT, "Hello")
        task = post.start()
        await until(lambda: clock.sleeping)
        clock.advance(STORE_PATIENCE_S + 1)

        with pytest.raises(KittError, match="cannot be stored"):
            await task
        other.execute("ROLLBACK")
    other.close()

    assert telegram.confirmed_offset == 0
    await store.close()


def clock_of(post: Post) -> FakeClock:
    clock = post.inbox._clock
    assert isinstance(clock, FakeClock)
    return clock


def raw(text: str, update_id: int) -> dict[str, Any]:
    chat = {"id": CHAT, "type": "private", "first_name": "Sam"}
    user = {"id": CHAT, "is_bot": False, "first_name": "Sam"}
    message = {"message_id": update_id, "date": 1, "chat": chat, "from": user, "text": text}
    return {"update_id": update_id, "message": message}


async def keep(post: Post, *updates: dict[str, Any]) -> None:
    """The updates were received and stored, and then the process died."""
    for update in updates:
        text = Update.de_json(update).to_json()
        await post.store.write(
            lambda tx, text=text, update=update: tx.run(  # type: ignore[misc]
                "insert_update", update_id=update["update_id"], raw=text, now=NOW
            )
        )


async def test_an_update_nobody_can_read_is_set_aside_and_keeps_no_other_waiting(
    post: Post, telegram: TelegramEmulator
) -> None:
    telegram.push_update({"message": {"message_id": 5, "chat": {"id": 7, "type": "private"}}})
    telegram.send(7, "Hello")
    post.start()

    await until(lambda: post.seen == ["Hello"])
    await until(lambda: [row["state"] for row in post.rows()] == ["quarantined", "new"])
    assert "message_id" in post.rows()[0]["raw"]

"""One message per job, kept true at a pace Telegram allows; its end is always shown."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from chatting import WORKER
from fakes import FakeClock, a_job, claimed, shell
from waiting import until

from bridge.deliveries import owe
from bridge.emulator.telegram import TelegramEmulator
from bridge.emulator.telegram_faults import Fault
from bridge.emulator.telegram_state import ChatMessage
from bridge.models import Job
from bridge.prices import Usage
from bridge.queue import Queue
from bridge.store import Store
from bridge.telegram.api import Api
from bridge.telegram.bells import Bells
from bridge.telegram.budget import Budget
from bridge.telegram.buttons import Signer
from bridge.telegram.cards import CLOCK_EDIT_S, FAST_EDIT_S, GROUP_EDIT_S, SLOW_EDIT_S, Cards
from bridge.telegram.chosen import Chosen
from bridge.telegram.compose import plain_part
from bridge.telegram.outbox import Outbox
from bridge.usage import account

CHAT = 7


class Board:
    """The cards and the outbox that sends them, on one clock that the test moves."""

    def __init__(
        self, store: Store, memory: Path, queue: Queue, telegram: TelegramEmulator
    ) -> None:
        assert isinstance(queue.clock, FakeClock)
        self.store = store
        self.path = memory / "kitt.db"
        self.queue = queue
        self.telegram = telegram
        self.clock = queue.clock

    async def start(self) -> None:
        self.api = Api(
            token=self.telegram.token,
            base_url=self.telegram.base_url,
            base_file_url=self.telegram.base_file_url,
        )
        await self.api.open()
        self.budget = Budget(self.clock)
        shared: dict[str, Any] = {
            "store": self.store,
            "api": self.api,
            "budget": self.budget,
            "signer": Signer(self.telegram.token),
            "clock": self.clock,
        }
        self.cards = Cards(**shared, chosen=Chosen())
        self.outbox = Outbox(
            **shared,
            bells=Bells(chosen=Chosen(), clock=self.clock),
            jobs_dir=self.path.parent / "jobs",
            moved=lambda _tx, _old_id, _new_id: None,
        )
        self._sending = asyncio.create_task(self.outbox.run())

    async def stop(self) -> None:
        self._sending.cancel()
        with suppress(asyncio.CancelledError):
            await self._sending
        await self.outbox.drain(0)
        await self.api.close()

    async def sent(self) -> None:
        """Everything that is owed has been sent; time passes as it must."""
        self.outbox.notice()

        def all_sent() -> bool:
            if self.clock.sleeping:
                self.clock.advance(self.clock.sleeping[0] + 1e-6)
            owed = "SELECT 1 FROM deliveries WHERE status IN ('ready', 'sending')"
            return not shell(self.path, owed)

        await until(all_sent)

    async def running(self, **changes: Any) -> Job:
        """A job that runs and whose card is in the chat."""
        job = await claimed(self.queue, **changes)
        await self.sent()
        return job

    async def refresh(self) -> float | None:
        """One look at all cards; waits for the budget move the clock."""
        looking = asyncio.create_task(self.cards.refresh())

        def looked() -> bool:
            if self.clock.sleeping and not looking.done():
                self.clock.advance(self.clock.sleeping[0] + 1e-6)
            return looking.done()

        await until(looked)
        return await looking

    def card(self, job_id: int = 1) -> ChatMessage:
        sql = "SELECT message_id FROM cards WHERE job_id = :job_id"
        (row,) = shell(self.path, sql, job_id=job_id)
        return self.telegram.chats[CHAT].messages[row["message_id"]]

    def edits(self) -> int:
        return len(self.telegram.calls("editMessageText"))

    def final(self) -> list[int]:
        rows = shell(self.path, "SELECT job_id FROM cards WHERE final = 1 ORDER BY job_id")
        return [row["job_id"] for row in rows]


@pytest.fixture
async def board(
    store: Store, memory: Path, queue: Queue, telegram: TelegramEmulator
) -> AsyncIterator[Board]:
    telegram.open_chat(CHAT)
    made = Board(store, memory, queue, telegram)
    await made.start()
    yield made
    await made.stop()


async def test_without_a_card_nothing_is_looked_at_again(board: Board) -> None:
    assert await board.refresh() is None


async def test_a_job_in_the_queue_is_not_edited_for_nothing(board: Board) -> None:
    await board.queue.add(a_job())
    await board.sent()

    wait_s = await board.refresh()

    assert board.edits() == 0
    assert wait_s == CLOCK_EDIT_S


async def test_a_job_that_starts_is_shown_at_once(board: Board) -> None:
    await board.queue.add(a_job(title="Pelicans"))
    await board.sent()
    await board.queue.claim(WORKER)

    await board.refresh()

    assert "⚙️ working on it\n⏱ 0:00" in board.card().text
    assert board.card().buttons[0][0]["text"] == "⏹ Cancel"


async def test_that_a_job_was_begun_again_is_shown_at_once(board: Board) -> None:
    await board.running()
    board.clock.advance(90)
    await board.refresh()
    await board.queue.rescue("worker-2:2:b")
    await board.queue.claim("worker-2:2:b")

    await board.refresh()

    assert "🔁 Attempt 2 of 3" in board.card().text


async def test_progress_is_shown_after_the_gap_of_its_first_minute(board: Board) -> None:
    job = await board.running()
    await board.queue.progress(job, 10, "One")
    await board.refresh()
    await board.queue.progress(job, 40, "Two")

    early = await board.refresh()
    board.clock.advance(FAST_EDIT_S)
    await board.refresh()

    assert early == pytest.approx(FAST_EDIT_S)
    assert "▰▰▰▰▱▱▱▱▱▱ 40 %\n⚙️ Two" in board.card().text
    assert board.edits() == 2


async def test_in_a_group_the_gap_is_longer_from_the_beginning(board: Board) -> None:
    board.telegram.open_chat(-500)
    job = await board.running(chat_id="-500")
    await board.queue.progress(job, 10, "One")
    await board.refresh()
    await board.queue.progress(job, 40, "Two")

    early = await board.refresh()
    board.clock.advance(GROUP_EDIT_S - 0.1)
    await board.refresh()
    before = board.edits()
    board.clock.advance(0.2)
    await board.refresh()

    assert early == pytest.approx(GROUP_EDIT_S)
    assert (before, board.edits()) == (1, 2)


async def test_after_a_minute_the_gap_is_longer(board: Board) -> None:
    job = await board.running()
    board.clock.advance(61)
    await board.queue.progress(job, 10, "One")
    await board.refresh()
    await board.queue.progress(job, 40, "Two")

    wait_s = await board.refresh()

    assert wait_s == pytest.approx(SLOW_EDIT_S)


async def test_the_running_time_alone_is_edited_rarely(board: Board) -> None:
    job = await board.running()
    await board.queue.progress(job, 10, "One")
    await board.refresh()
    before = board.edits()

    for _ in range(int(CLOCK_EDIT_S) - 1):
        board.clock.advance(1)
        await board.refresh()
    early = board.edits() - before
    board.clock.advance(1)
    await board.refresh()

    assert early == 0
    assert board.edits() - before == 1
    assert "⏱ 0:25" in board.card().text


@pytest.mark.parametrize("end", ["done", "failed", "cancelled"])
async def test_the_end_is_shown_at_once_and_without_buttons(board: Board, end: str) -> None:
    job = await board.running(max_attempts=1)
    await board.refresh()
    if end == "done":
        await board.queue.finish(job, "Three.")
    elif end == "failed":
        await board.queue.fail(job, "limit")
    else:
        await board.queue.cancel(job.id)

    await board.refresh()

    sign = {"done": "✅", "failed": "❌", "cancelled": "⏹"}[end]
    assert board.card().text.startswith(f"{sign} #1")
    assert board.card().buttons == []
    assert board.final() == [1]
    assert await board.refresh() is None


async def test_a_card_that_is_sent_late_tells_the_cost_too(board: Board) -> None:
    job = await claimed(board.queue)
    used = Usage(input_tokens=55_000)
    what: dict[str, Any] = {"conversation": f"job:{job.id}", "model": "claude-sonnet-5-5"}
    now = board.clock.now()
    await board.store.write(lambda tx: account(tx, **what, usage=used, now=now))
    await board.queue.finish(job, "Three.")

    await board.sent()

    assert board.card().text.endswith("✅ #1 · Count the pelicans · 0:00 · $ 0.11")
    assert board.edits() == 0


async def test_a_job_cancelled_by_hand_is_shown_too(board: Board) -> None:
    await board.running()
    shell(board.path, "UPDATE jobs SET status = 'cancelled'")

    await board.refresh()

    assert board.card().text.startswith("⏹ #1")


async def test_a_job_that_runs_again_gets_its_card_back(board: Board) -> None:
    job = await board.running()
    await board.queue.cancel(job.id)
    await board.refresh()

    board.clock.advance(5)
    await board.queue.retry(job.id)
    await board.refresh()

    assert "In the queue" in board.card().text
    assert board.card().buttons[0][0]["text"] == "⏹ Cancel"
    assert board.final() == []


async def test_a_job_that_runs_again_while_its_end_is_shown_keeps_its_card_open(
    board: Board,
) -> None:
    job = await board.running()
    await board.queue.cancel(job.id)
    held = board.telegram.order(Fault(method="editMessageText", hold=True))
    ending = asyncio.create_task(board.cards.refresh())
    await until(lambda: held.hits)

    await board.queue.retry(job.id)
    held.release()
    await ending
    board.clock.advance(5)
    await board.refresh()

    assert "In the queue" in board.card().text
    assert board.final() == []


async def test_a_spent_budget_leaves_an_edit_out_until_there_is_room(board: Board) -> None:
    job = await board.running()
    await board.queue.progress(job, 10, "One")
    while board.budget.spare(str(CHAT)):
        pass

    early_s = await board.refresh()
    edits = board.edits()
    board.clock.advance(2)
    await board.refresh()

    assert (early_s, edits) == (1, 0)
    assert "⚙️ One" in board.card().text


async def test_twenty_cards_in_a_chat_stay_under_one_call_a_second(board: Board) -> None:
    jobs = [await board.running(title=f"Pelicans {n}") for n in range(20)]
    board.clock.advance(60)
    started, before = board.clock.monotonic(), len(board.telegram.calls(chat_id=CHAT))
    sheddable = board.edits()

    while board.clock.monotonic() < started + 120:
        for job in jobs:
            percent = (board.clock.monotonic() - started) / 1.3
            await board.queue.progress(job, percent, f"Step {percent:.1f}")
        await board.refresh()
        board.clock.advance(1)

    calls = len(board.telegram.calls(chat_id=CHAT)) - before
    assert 10 <= calls <= 40  # at most 20 edits a minute; a call a second would be 120
    assert board.edits() - sheddable == calls


async def test_ends_are_not_late_among_twenty_cards(board: Board) -> None:
    jobs = [await board.running(title=f"Pelicans {n}") for n in range(20)]
    for second in range(60):
        for job in jobs:
            await board.queue.progress(job, second, f"Step {second}")
        await board.refresh()
        board.clock.advance(1)

    await board.queue.finish(jobs[9], "Three.")
    ended = board.clock.monotonic()
    await board.refresh()
    card_s = board.clock.monotonic() - ended
    await board.sent()
    result_s = board.clock.monotonic() - ended

    assert board.final() == [10]
    assert card_s <= 2
    assert result_s <= 2
    assert board.telegram.messages(CHAT)[-1].text == "Three."


async def test_every_card_of_a_crowd_gets_its_turn(board: Board) -> None:
    jobs = [await board.running(title=f"Pelicans {n}") for n in range(6)]

    for second in range(90):
        for job in jobs:
            await board.queue.progress(job, second, f"Step {second}")
        await board.refresh()
        board.clock.advance(1)

    assert [board.card(job.id).edits > 0 for job in jobs] == [True] * 6


async def test_a_flood_silences_the_cards_and_the_end_comes_after_it(board: Board) -> None:
    job = await board.running()
    await board.refresh()
    board.clock.advance(10)
    board.telegram.order(Fault(method="editMessageText", status=429, retry_after=30))
    await board.queue.progress(job, 10, "One")
    await board.refresh()
    flooded = board.clock.monotonic()
    await board.queue.finish(job, "Three.")

    wait_s = await board.refresh()
    board.clock.advance(wait_s or 0)
    await board.refresh()

    assert wait_s == pytest.approx(30.5)
    assert board.clock.monotonic() - flooded < 33
    assert board.card().text.startswith("✅ #1")


@pytest.mark.parametrize(
    "fault",
    [
        Fault(method="editMessageText", drop="unanswered"),
        Fault(method="editMessageText", drop="refused"),
        Fault(method="editMessageText", status=502),
    ],
    ids=["unanswered", "dropped", "502"],
)
async def test_a_broken_edit_of_the_end_is_made_again(board: Board, fault: Fault) -> None:
    job = await board.running()
    await board.queue.finish(job, "Three.")
    board.telegram.order(fault)

    wait_s = await board.refresh()
    assert wait_s == 2
    board.clock.advance(wait_s)  # the result may be sent meanwhile, from the same budget
    await board.refresh()

    assert board.card().text.startswith("✅ #1")
    assert board.final() == [1]


async def test_a_card_that_was_deleted_is_left_alone(board: Board) -> None:
    job = await board.running()
    chat = board.telegram.chats[CHAT]
    board.telegram.remove_message(chat, board.card().message_id)

    await board.queue.progress(job, 10, "One")
    await board.refresh()

    assert board.final() == [1]
    assert await board.refresh() is None


async def test_the_card_is_in_the_language_of_the_chat(board: Board) -> None:
    await board.store.write(
        lambda tx: tx.run("remember_user", user_id=str(CHAT), name="Anna", language="nl")
    )
    await board.queue.add(a_job())
    await board.sent()

    assert "In de wachtrij" in board.card().text
    assert board.card().buttons[0][0]["text"] == "⏹ Annuleren"


async def test_an_answer_takes_precedence_over_cards(board: Board) -> None:
    jobs = [await board.running(title=f"Pelicans {n}") for n in range(5)]
    for second in range(30):
        for job in jobs:
            await board.queue.progress(job, second, f"Step {second}")
        await board.refresh()
        board.clock.advance(0.5)
    asked = board.clock.monotonic()

    await board.store.write(
        lambda tx: owe(
            tx,
            chat_id=str(CHAT),
            thread_id=0,
            kind="reply",
            payload={"parts": [plain_part("Hello")]},
            now="2026-11-22 07:30:00.000",
        )
    )
    await board.sent()

    assert board.clock.monotonic() - asked < 0.01


async def test_the_last_steps_are_shown_as_soon_as_they_are_asked_for(board: Board) -> None:
    job = await board.running()
    for step in ("One", "Two", "Three", "Four"):
        await board.queue.progress(job, 10, step)
    await board.refresh()
    before = board.edits()

    board.clock.advance(2)  # less than between two edits, enough for the budget
    await board.store.write(lambda tx: tx.run("fold_card", job_id=job.id))
    await board.refresh()
    unfolded = board.card()
    text, kinds = unfolded.text, [entity["type"] for entity in unfolded.entities]
    board.clock.advance(2)
    await board.store.write(lambda tx: tx.run("fold_card", job_id=job.id))
    await board.refresh()

    steps = [line[9:] for line in text.partition("📋 Last steps\n")[2].split("\n")]
    assert steps == ["Two", "Three", "Four"]
    assert kinds == ["expandable_blockquote"]
    assert "📋" not in board.card().text
    assert board.edits() - before == 2


async def test_a_job_that_falls_silent_is_shown_so(board: Board) -> None:
    await board.running()
    await board.refresh()

    for _ in range(8):
        board.clock.advance(CLOCK_EDIT_S)
        await board.refresh()

    assert board.card().text.endswith("💤 Nothing heard for 3:00; it is still at work")


async def test_a_blocked_job_names_what_it_waits_for(board: Board) -> None:
    first = await board.queue.add(a_job())
    await board.queue.add(a_job(after=(first.id,)))
    await board.sent()

    assert board.card(2).text.endswith("⛓ Waits for #1")

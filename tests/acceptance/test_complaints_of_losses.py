"""What people complain of in chats with agents: lost results, duplicates, jobs that hang.

Each test says what KITT does instead. Whole processes are killed in tests/e2e.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from bots import PNG
from chatting import CHAT, Desk, House, Person
from hurried import Hurried
from waiting import until

from bridge.emulator.claude import ClaudeEmulator
from bridge.emulator.script import Reply, ToolUse
from bridge.emulator.telegram import TelegramEmulator
from bridge.emulator.telegram_faults import Fault
from bridge.errors import LeaseLost
from bridge.models import Artifact
from bridge.queue import Queue
from bridge.store import Store

REPEATED = "↻ (possibly repeated)\n"
DAY_S = 86_400.0


@asynccontextmanager
async def workers_alone(house: House) -> AsyncIterator[Queue]:
    """The queue as workers have it while the bridge is down."""
    store = await Store.open(house.settings.database, house.settings.run_dir)
    yield Queue(store=store, clock=house.clock, jitter=lambda: 0.0)
    await store.close()


# Results are lost


async def test_a_result_that_came_while_the_bridge_was_down_arrives_when_it_is_back(
    house: House, chat: Person
) -> None:
    await house.start()
    await chat.ask("/bg Count the pelicans")
    job = await house.job_runs()
    await house.settled()
    await house.stop()
    async with workers_alone(house) as queue:
        await queue.finish(job, "Three pelicans.")

    await house.start()

    await chat.sees("Three pelicans.")
    await house.settled()
    assert len([text for text in chat.texts() if "Three pelicans." in text]) == 1


async def test_a_job_lives_on_over_a_restart_in_the_same_card(house: House, chat: Person) -> None:
    await house.start()
    card = await chat.ask("/bg Count the pelicans")
    job = await house.job_runs()
    await house.settled()
    await house.stop()

    await house.start()
    await house.queue.progress(job, 40, "The right bank")

    assert (await chat.sees("The right bank")).message_id == card.message_id
    assert len(chat.shown()) == 1


async def test_a_message_that_cannot_be_sent_is_sent_as_soon_as_telegram_is_back(
    desk: Desk, telegram: TelegramEmulator
) -> None:
    port = int(telegram.base_url.split(":")[2].split("/")[0])
    await desk.start()
    await telegram.stop()
    await desk.tell("Three pelicans.")
    tries = 0

    def waited() -> bool:
        nonlocal tries
        if desk.clock.sleeping:
            tries += 1
            desk.clock.advance(desk.clock.sleeping[0])
        return tries >= 12

    await until(waited)
    await telegram.start(port=port)

    await desk.over()
    assert desk.texts() == ["Three pelicans."]


@pytest.mark.parametrize(
    ("times", "words"), [(1, "Three pelicans."), (2, "/job 1.")], ids=["plainly", "in a sentence"]
)
async def test_a_result_that_telegram_refuses_is_told_and_not_swallowed(
    bridge: House, chat: Person, telegram: TelegramEmulator, times: int, words: str
) -> None:
    await chat.ask("/bg Count the pelicans")
    job = await bridge.job_runs()
    await bridge.settled()
    strange = "Bad Request: something nobody knows"
    telegram.order(Fault(method="sendMessage", status=400, description=strange, times=times))

    await bridge.queue.finish(job, "**Three pelicans.**")

    await chat.sees(words)
    assert len(chat.shown()) == 2  # the card, and this


async def test_a_file_that_cannot_be_sent_is_named_in_a_sentence(
    bridge: House, chat: Person
) -> None:
    await chat.ask("/bg Count the pelicans")
    gone = Artifact(path="count.md", name="count.md")

    await bridge.queue.finish(await bridge.job_runs(), "Three pelicans.", [gone])

    await chat.sees("Three pelicans.")
    await chat.sees("count.md is no longer there")


async def test_a_result_answers_the_message_that_asked_for_it(bridge: House, chat: Person) -> None:
    asked = chat.say("/bg Count the pelicans")
    await chat.sees("#1")
    await chat.ask("What is 17 * 23?")

    await bridge.queue.finish(await bridge.job_runs(), "Three pelicans.")

    assert (await chat.sees("Three pelicans.")).reply_to == asked


async def test_a_task_of_two_weeks_ago_is_not_begun_after_a_restart(
    house: House, chat: Person
) -> None:
    house.clock = clock = Hurried(1)
    await house.start()
    await chat.ask("/bg Write to Anna")
    await house.settled()
    await house.stop()
    clock.skip(16 * DAY_S)
    await house.start()

    job = await house.queue.claim("worker-1:1:a")

    assert job is None
    assert "↻ Try again" in str((await chat.sees("#1 failed")).buttons)


async def test_what_a_person_sent_while_the_bridge_was_down_is_answered(
    house: House, chat: Person
) -> None:
    await house.start()
    await house.stop()
    chat.say("What is 17 * 23?")

    await house.start()

    await chat.sees("That is 391.")


# Everything comes twice


async def test_an_update_that_telegram_sends_three_times_is_one_job(
    bridge: House, chat: Person, telegram: TelegramEmulator
) -> None:
    user = {"id": CHAT, "is_bot": False, "first_name": "Sam", "language_code": "en"}
    message = {"message_id": 900_001, "date": 1, "chat": {"id": CHAT, "type": "private"}}
    update = {
        "update_id": 800_000_000,
        "message": {**message, "from": user, "text": "/bg Count the pelicans"},
    }

    for _ in range(3):
        telegram.push_update(update)
    await chat.ask("/status")

    await bridge.settled()
    assert len(bridge.jobs()) == 1
    assert len([text for text in chat.texts() if "🛠 #1" in text]) == 1


async def test_a_send_whose_answer_was_lost_is_repeated_with_a_label(
    bridge: House, chat: Person, telegram: TelegramEmulator
) -> None:
    telegram.order(Fault(method="sendMessage", drop="unanswered"))

    chat.say("/status")

    await chat.sees(REPEATED)
    await bridge.settled()
    first, second = chat.texts()
    assert second == f"{REPEATED}{first}"


async def test_an_edit_whose_answer_was_lost_makes_no_second_message(
    bridge: House, chat: Person, telegram: TelegramEmulator
) -> None:
    await chat.ask("/bg Count the pelicans")
    await bridge.settled()
    lost = telegram.order(Fault(method="editMessageText", drop="unanswered"))

    await bridge.queue.cancel(1)

    await until(lambda: lost.hits)
    await until(lambda: bridge.rows("SELECT 1 FROM cards WHERE final = 1"))
    assert len(chat.shown()) == 1


async def test_the_same_task_asked_for_twice_is_one_job(
    bridge: House, chat: Person, claude: ClaudeEmulator
) -> None:
    given = {"title": "Pelicans", "instructions": "Count the pelicans", "kind": "other"}
    call = {"acknowledgement": "I count them.", "priority": "normal", **given}
    claude.script.when(
        "pelicans", [Reply([ToolUse("start_background_job", call)]) for _ in range(2)] + ["Yes."]
    )
    await chat.ask("Count the pelicans")

    await chat.ask("Count the pelicans!")

    assert len(bridge.jobs()) == 1


async def test_a_worker_that_was_given_up_brings_no_second_result(
    house: House, chat: Person
) -> None:
    house.clock = clock = Hurried(1)
    await house.start()
    await chat.ask("/bg Count the pelicans")
    slow = await house.queue.claim("worker-1:1:a")
    assert slow is not None
    clock.skip(60)
    await house.queue.rescue("worker-2:2:b")
    again = await house.queue.claim("worker-2:2:b")
    assert again is not None

    with pytest.raises(LeaseLost):
        await house.queue.finish(slow, "Three pelicans.")
    await house.queue.finish(again, "Three pelicans.")

    await chat.sees("Three pelicans.")
    await house.settled()
    assert len([text for text in chat.texts() if "Three pelicans." in text]) == 1


async def test_a_restart_answers_nothing_twice(house: House, chat: Person) -> None:
    await house.start()
    await chat.ask("What is 17 * 23?")
    await chat.ask("/bg Count the pelicans")
    await house.settled()
    before = chat.texts()

    for _ in range(2):
        await house.stop()
        await house.start()
    await house.settled()

    assert chat.texts() == before


# Jobs that hang


async def test_a_job_whose_worker_died_runs_again_by_itself_and_its_card_says_so(
    house: House, chat: Person
) -> None:
    house.clock = clock = Hurried(1)
    await house.start()
    await chat.ask("/bg Count the pelicans")
    await house.queue.claim("worker-1:1:a")
    clock.skip(60)

    await house.queue.rescue("worker-2:2:b")

    again = await house.queue.claim("worker-2:2:b")
    assert again is not None
    assert again.attempt == 2
    await chat.sees("goes on where it was")
    await house.queue.finish(again, "Three pelicans.")
    await chat.sees("Three pelicans.")


async def test_a_job_that_kills_its_workers_is_given_up_and_told_once(
    bridge: House, chat: Person
) -> None:
    await chat.ask("/bg Count the pelicans")
    for life in ("a", "b", "c"):
        assert await bridge.queue.claim(f"worker-1:1:{life}") is not None
        await bridge.queue.rescue(f"worker-1:2:{life}2")

    failure = await chat.sees("❌ #1 failed")

    await bridge.settled()
    assert await bridge.queue.claim("worker-1:1:d") is None
    assert "↻ Try again" in str(failure.buttons)
    assert len([text for text in chat.texts() if text.startswith("❌ #1 failed (")]) == 1


async def test_a_running_job_can_be_cancelled_and_nothing_more_comes_of_it(
    bridge: House, chat: Person
) -> None:
    card = await chat.ask("/bg Count the pelicans")
    job = await bridge.job_runs()

    await chat.press(card.message_id, "⏹ Cancel")

    with pytest.raises(LeaseLost):
        await bridge.queue.progress(job, 50, "The right bank")
    with pytest.raises(LeaseLost):
        await bridge.queue.finish(job, "Three pelicans.")
    assert (job.id, job.attempt) not in await bridge.queue.held("w1:1:a")
    await chat.sees("Cancelled")
    await bridge.settled()
    assert "Three pelicans." not in "".join(chat.texts())


async def test_a_cancelled_job_is_taken_up_by_nobody(bridge: House, chat: Person) -> None:
    await chat.ask("/bg Count the pelicans")
    await chat.ask("/cancel 1")

    assert await bridge.queue.claim("worker-1:1:a") is None
    assert await bridge.queue.rescue("worker-2:2:b") == []


async def test_a_job_that_is_taken_back_goes_to_one_worker_only(house: House, chat: Person) -> None:
    house.clock = clock = Hurried(1)
    await house.start()
    await chat.ask("/bg Count the pelicans")
    await house.queue.claim("worker-1:1:a")
    clock.skip(60)

    for number in range(2, 8):
        await house.queue.rescue(f"worker-{number}:{number}:a")
    claims = [await house.queue.claim(f"worker-{number}:{number}:a") for number in range(2, 8)]

    assert [job is not None for job in claims].count(True) == 1


async def test_a_picture_is_not_lost_when_its_first_download_fails(
    bridge: House, chat: Person, telegram: TelegramEmulator
) -> None:
    telegram.order(Fault(method="getFile", status=502))

    telegram.send_photo(CHAT, "a.png", PNG, caption="What is this?")

    await chat.sees("this is what reached me", timeout_s=10)

"""`/restart`: only for owners, only under a supervisor, and one word when it is over."""

import asyncio

import pytest
from chatting import House, Person
from waiting import until

from bridge.errors import KittError


class Workers:
    """What starts the workers anew, or cannot."""

    def __init__(self) -> None:
        self.renewed = 0
        self.fault = ""
        self.go = asyncio.Event()

    async def __call__(self) -> None:
        await self.go.wait()
        if self.fault:
            raise KittError(self.fault)
        self.renewed += 1


@pytest.fixture
async def workers(house: House) -> Workers:
    """A bridge that is supervised."""
    found = Workers()
    house.renew = found
    await house.start()
    return found


async def again(house: House) -> None:
    """What supervisord does with a bridge that has ended."""
    assert house.running is not None
    await house.running
    await house.stop()
    await house.start()


async def test_a_tap_restarts_the_workers_then_the_bridge_which_says_once_that_it_is_back(
    house: House, chat: Person, workers: Workers
) -> None:
    asked = await chat.ask("/restart")
    await chat.press(asked.message_id, "🔁 Restart")
    assert (await chat.sees("🔁 Restarting")).message_id == asked.message_id
    assert house.running is not None and not house.running.done()

    workers.go.set()

    await again(house)
    back = await chat.sees("✅ I am back.")
    assert (workers.renewed, back.silent) == (1, True)
    await house.stop()
    await house.start()
    await chat.ask("What is 17 * 23?")
    assert chat.texts().count("✅ I am back.") == 1


async def test_a_second_tap_meanwhile_begins_nothing(
    house: House, chat: Person, workers: Workers
) -> None:
    first, second = await chat.ask("/restart"), await chat.ask("/restart")
    await chat.press(first.message_id, "🔁 Restart")

    answer = await chat.press(second.message_id, "🔁 Restart")
    workers.go.set()

    assert answer.text == "It restarts already."
    await again(house)
    assert workers.renewed == 1


async def test_a_worker_that_does_not_come_back_is_told_and_the_bridge_stays(
    house: House, chat: Person, workers: Workers
) -> None:
    workers.fault = "kitt-worker-1 was not started again"
    workers.go.set()
    asked = await chat.ask("/restart")

    await chat.press(asked.message_id, "🔁 Restart")

    await chat.sees("A worker did not come back")
    assert (await chat.ask("What is 17 * 23?")).text == "That is 391."
    assert house.rows("SELECT 1 FROM meta WHERE name = 'restart'") == []


async def test_not_now_changes_nothing(house: House, chat: Person, workers: Workers) -> None:
    asked = await chat.ask("/restart")

    await chat.press(asked.message_id, "Not now")

    assert (await chat.sees("Then I leave")).buttons == []
    assert workers.renewed == 0


async def test_without_a_supervisor_it_is_refused(bridge: House, chat: Person) -> None:
    answer = await chat.ask("/restart")

    assert answer.text.startswith("Nobody would start me again")
    assert answer.buttons == []


async def test_it_is_no_command_for_who_is_no_owner(
    house: House, chat: Person, workers: Workers
) -> None:
    house.telegram.open_chat(99)
    anna = Person(house, chat_id=99)
    await chat.ask("/allow 99")
    asked = await chat.ask("/restart")

    answer = await anna.ask("/restart")
    anna.press_raw(asked.buttons[0][0]["callback_data"])

    assert answer.text.startswith("I do not know /restart")
    await until(lambda: house.rows("SELECT 1 FROM inbox WHERE state = 'refused'"))
    assert workers.renewed == 0

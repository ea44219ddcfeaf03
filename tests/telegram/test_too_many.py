"""Someone asks for more and more: the queue does not fill without end, and others do not wait."""

import time

from chatting import CHAT, OTHER, House, Person
from fakes import a_job, shell

from bridge.emulator.claude import ClaudeEmulator
from bridge.emulator.claude_faults import Fault
from bridge.emulator.script import Reply
from bridge.tools.jobs import LIVE_MAX

FULL = "100 jobs of this chat have not ended; that is the most. Cancel some: /cancel all"


async def filled(bridge: House) -> None:
    """A hundred jobs wait, and their cards need no more sending."""
    await bridge.queue.add_many([a_job(chat_id=str(CHAT)) for _ in range(LIVE_MAX)])
    shell(bridge.settings.database, "UPDATE deliveries SET status = 'sent'")


async def test_a_chat_with_a_hundred_open_jobs_gets_no_other_and_hears_why(
    bridge: House, chat: Person
) -> None:
    await filled(bridge)

    chat.say("/bg One more")

    await chat.sees(FULL)
    assert len(bridge.jobs()) == LIVE_MAX


async def test_nor_does_one_who_says_in_the_background(
    bridge: House, chat: Person, claude: ClaudeEmulator
) -> None:
    await filled(bridge)
    claude.script.when("Count the pelicans", lambda _: Reply("Yes."))  # and calls no tool

    chat.say("Count the pelicans in the background")

    await chat.sees(FULL)
    assert len(bridge.jobs()) == LIVE_MAX


async def test_nor_does_a_request_while_the_model_is_away(
    bridge: House, chat: Person, claude: ClaudeEmulator
) -> None:
    await filled(bridge)
    claude.order(Fault(times=9, status=529))

    chat.say("What is 17 * 23?")

    await chat.sees(FULL)
    await bridge.settled()
    assert {row["state"] for row in bridge.rows("SELECT state FROM inbox")} == {"done"}


async def test_other_chats_have_room_of_their_own(house: House) -> None:
    house.set(owners=frozenset({CHAT, OTHER}))
    await house.start()
    await filled(house)

    await Person(house, chat_id=OTHER).ask("/bg Count the pelicans")

    assert len(house.jobs()) == LIVE_MAX + 1


async def test_a_flood_of_messages_of_one_person_keeps_nobody_else_waiting(house: House) -> None:
    house.set(owners=frozenset({CHAT, OTHER}))
    await house.start()
    flooding, other = Person(house), Person(house, chat_id=OTHER)
    await other.ask("Hello")

    for number in range(300):
        flooding.say(f"message {number}")
    started = time.monotonic()
    await other.ask("What is 17 * 23?")

    assert time.monotonic() - started < 5.0  # a second on a quiet machine
    assert house.jobs() == []

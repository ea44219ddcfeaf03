"""Whoever is shut out, and a group that is closed: what they had going ends, for good."""

import pytest
from chatting import CHAT, House, Person
from grouping import ANNA, GROUP, Room
from waiting import until

from bridge import schedules
from bridge.emulator.claude import ClaudeEmulator
from bridge.emulator.claude_faults import Fault
from bridge.schedules import NewSchedule


async def recurs(house: House, chat_id: int, user_id: int) -> None:
    new = NewSchedule(
        chat_id=str(chat_id), user_id=str(user_id), title="News", prompt="News", every_s=86_400
    )
    await house.store.write(lambda tx: schedules.add(tx, new, now=house.clock.now()))


def states(house: House, table: str) -> list[str]:
    return [row["status"] for row in house.rows(f"SELECT status FROM {table} ORDER BY id")]


@pytest.fixture
async def anna(opened: Room) -> Person:
    """Someone who may use the bot, in private and in the open group."""
    return Person(opened.house, chat_id=ANNA)


@pytest.mark.parametrize("command", ["deny", "block"])
async def test_jobs_and_schedules_of_who_is_shut_out_end_everywhere(
    opened: Room, chat: Person, anna: Person, command: str
) -> None:
    await anna.ask("/bg Count the pelicans")
    await opened.ask("/bg Count the herons", ANNA)
    await chat.ask("/bg Count the owls")
    for place, user in ((ANNA, ANNA), (GROUP, ANNA), (CHAT, CHAT)):
        await recurs(opened.house, place, user)

    await chat.ask(f"/{command} {ANNA}")

    assert states(opened.house, "jobs") == ["cancelled", "cancelled", "pending"]
    assert states(opened.house, "schedules") == ["paused", "paused", "active"]


async def test_who_is_refused_without_ever_being_let_in_loses_nothing_of_others(
    opened: Room, chat: Person
) -> None:
    await chat.ask("/bg Count the owls")

    await chat.ask("/deny 4711")

    assert states(opened.house, "jobs") == ["pending"]


async def test_an_answer_to_who_is_shut_out_goes_no_further(
    opened: Room, chat: Person, anna: Person, claude: ClaudeEmulator
) -> None:
    claude.order(Fault(hold="slow", match="17 * 23"))
    anna.say("What is 17 * 23?")
    await until(opened.house.asked)
    opened.say(f"{opened.bot} What is 2 * 3?", ANNA)
    await opened.sees("That is 6.")
    await chat.ask(f"/deny {ANNA}")

    claude.release("slow")

    await opened.house.settled()
    assert not [text for text in anna.texts() if "391" in text]
    assert opened.house.rows("SELECT 1 FROM inbox WHERE state = 'new'") == []


async def test_a_message_that_waits_is_not_answered_either(
    opened: Room, chat: Person, anna: Person, claude: ClaudeEmulator
) -> None:
    claude.order(Fault(hold="slow", match="17 * 23"))
    opened.say(f"{opened.bot} What is 17 * 23?", CHAT)
    await until(opened.house.asked)
    opened.say(f"{opened.bot} What is 2 * 3?", ANNA)
    await until(lambda: opened.telegram.updates.pending == 0)
    await chat.ask(f"/deny {ANNA}")

    claude.release("slow")

    await opened.sees("That is 391.")
    await opened.house.settled()
    assert not [each for each in opened.shown() if "That is 6" in each.text]


async def test_who_is_blocked_gets_nothing_that_was_still_owed(
    opened: Room, chat: Person, anna: Person
) -> None:
    opened.telegram.block(ANNA)
    await chat.ask(f"/deny {ANNA}")
    await chat.ask(f"/allow {ANNA}")
    await until(lambda: opened.house.rows("SELECT 1 FROM deliveries WHERE status = 'held'"))

    await chat.ask(f"/block {ANNA}")

    assert opened.house.rows("SELECT 1 FROM deliveries WHERE status = 'held'") == []


async def test_what_a_group_had_going_ends_when_the_bot_is_thrown_out(
    opened: Room, chat: Person
) -> None:
    await opened.ask("/bg Count the herons", ANNA)
    await recurs(opened.house, GROUP, ANNA)

    opened.bot_comes(CHAT, "member", "kicked")

    await until(lambda: states(opened.house, "jobs") == ["cancelled"])
    assert states(opened.house, "schedules") == ["paused"]


async def test_an_owner_closes_and_opens_a_group_in_the_list(opened: Room, chat: Person) -> None:
    await opened.ask("/bg Count the herons", ANNA)
    listed = await chat.ask("/users")
    assert listed.text.endswith("\n\nGroups (1)\n✅ Birds.com · open")
    assert listed.entities[-1]["type"] == "code"

    answer = await chat.press(listed.message_id, "⛔ Close Birds.com")

    assert answer.text == "closed"
    closed = await chat.sees("⛔ Birds.com · closed")
    before = len(opened.shown())
    opened.say(f"{opened.bot} What is 17 * 23?", CHAT)
    await opened.house.settled()
    assert states(opened.house, "jobs") == ["cancelled"]
    assert len(opened.shown()) == before
    await chat.press(closed.message_id, "✅ Open Birds.com")
    assert (await opened.ask(f"{opened.bot} What is 17 * 23?")).text == "That is 391."

"""A group that becomes a supergroup: another id, and messages that are counted anew."""

import json
from typing import Any

from bots import PNG
from chatting import CHAT, House, Person
from grouping import ANNA, GROUP, Room
from waiting import until

from bridge.models import Job

NEW = -1_000_000_000_500


def moves(room: Room) -> Room:
    """The update by which Telegram says so, and the new group."""
    new = Room(room.house, NEW)
    room.telegram.open_chat(NEW)
    who = {"id": CHAT, "is_bot": False, "first_name": "Sam"}
    body: dict[str, Any] = {"message_id": 77, "date": 1, "from": who, "migrate_to_chat_id": NEW}
    room.telegram.push_update(
        {"message": {**body, "chat": {"id": GROUP, "type": "group", "title": "Birds"}}}
    )
    return new


async def moved(room: Room) -> Room:
    new = moves(room)
    await until(lambda: room.house.rows("SELECT 1 FROM meta WHERE name LIKE 'moved:%'"))
    return new


def jobs_of(house: House) -> list[Job]:
    return [Job(**row) for row in house.jobs()]


async def test_files_of_before_stay_those_of_its_jobs_and_of_what_it_said(opened: Room) -> None:
    opened.telegram.send_photo(
        GROUP, "beach.png", PNG, caption=f"/bg{opened.bot} describe it", user_id=ANNA
    )
    await until(opened.house.jobs)
    new = await moved(opened)

    row = opened.house.jobs()[0]
    (block,) = json.loads(row["data"])["kitt_files"]
    assert (row["chat_id"], block["chat"]) == (str(NEW), str(NEW))
    kept = opened.house.settings.files_dir / str(NEW) / block["file"]
    assert kept.read_bytes() == PNG

    await new.ask(f"/bg What is on {block['name']}?", ANNA)  # the moved job's card may come first
    (later,) = await until(lambda: opened.house.jobs()[1:])
    assert json.loads(later["data"])["kitt_files"][0]["chat"] == str(NEW)


async def test_a_job_gets_a_new_card_and_replies_to_no_stranger_message(opened: Room) -> None:
    await opened.ask("/bg Count the pelicans", ANNA)
    new = await moved(opened)

    card = await new.sees("Count the pelicans")

    (job,) = opened.house.jobs()
    assert job["request_message_id"] is None
    await until(
        lambda: (
            opened.house.rows("SELECT message_id FROM cards") == [{"message_id": card.message_id}]
        )
    )
    await new.press(card, "⏹ Cancel", by=ANNA)
    assert opened.house.jobs()[0]["status"] == "cancelled"


async def test_what_was_chosen_there_holds_at_once(opened: Room) -> None:
    await opened.ask("/settings language nl", CHAT)
    new = await moved(opened)

    answer = await new.ask("/jobs", ANNA)

    assert answer.text.startswith("Nog geen")


async def test_a_card_that_asks_about_the_group_opens_the_new_one(
    bridge: House, chat: Person, room: Room
) -> None:
    room.bot_comes(CHAT)
    card = await chat.sees("May I answer there?")
    new = await moved(room)

    await chat.press(card.message_id, "✅ Allow")

    await new.sees("Here I answer")
    assert (await new.ask(f"{new.bot} What is 17 * 23?")).text == "That is 391."

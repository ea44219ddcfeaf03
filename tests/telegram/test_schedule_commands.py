"""`/schedule` and its buttons, in both languages; and everything that must be refused."""

from typing import Any

import pytest
from chatting import House, Person
from fakes import shell
from waiting import until

from bridge import schedules
from bridge.emulator.telegram import TelegramEmulator
from bridge.emulator.telegram_state import ChatMessage
from bridge.schedules import NewSchedule, Schedule
from bridge.telegram.buttons import Signer

NEWS: dict[str, Any] = {
    "chat_id": "7",
    "user_id": "7",
    "title": "News",
    "prompt": "The news in three lines",
    "cron": "30 7 * * 1-5",
    "zone": "Europe/Amsterdam",
}


async def add(house: House, **changes: Any) -> Schedule:
    new = NewSchedule(**{**NEWS, **changes})
    return await house.store.write(lambda tx: schedules.add(tx, new, now=house.clock.now()))


def names(message: ChatMessage) -> list[list[str]]:
    return [[button["text"] for button in row] for row in message.buttons]


def status(house: House, number: int = 1) -> str:
    (row,) = house.rows("SELECT status FROM schedules WHERE id = :id", id=number)
    return str(row["status"])


async def test_without_schedules_it_says_how_to_make_one(
    bridge: House, chat: Person, dutch: Person
) -> None:
    english = await chat.ask("/schedule")
    in_dutch = await dutch.ask("/schedule")

    assert english.text.startswith("Nothing recurs yet.\n\nTo make one, say it: “every weekday")
    assert in_dutch.text.startswith("Er keert nog niets terug.\n\nEen nieuwe maak je door")
    assert english.buttons == []
    assert bridge.asked() == []


async def test_the_list_tells_name_words_next_time_and_state(bridge: House, dutch: Person) -> None:
    await add(bridge)
    await add(bridge, title="Back-up", cron="0 3 * * 0", zone="UTC")
    await bridge.store.write(lambda tx: schedules.pause(tx, 2))
    bridge.rows("UPDATE schedules SET error = 'the row is odd' WHERE id = 2")

    answer = await dutch.ask("/schedule")

    title, first, second, how = answer.text.split("\n\n")
    assert title == "Gepland (2)"
    assert first.startswith("1 · News\nelke werkdag om 07:30 · volgende ")
    assert first.endswith(" 07:30 (Europe/Amsterdam)")
    assert second == "2 · Back-up\nelke zo om 03:00 · ⏸ gepauzeerd\n⚠️ the row is odd"
    assert "elke werkdag om 7:30 het nieuws" in how
    assert names(answer) == [["▶ 1", "⏸ 1", "🗑 1"], ["▶ 2", "⏯ 2", "🗑 2"]]


async def test_many_schedules_have_pages(bridge: House, chat: Person) -> None:
    for number in range(10):
        await add(bridge, title=f"News {number}")

    first = await chat.ask("/schedule")
    await chat.press(first.message_id, "›")
    second = await chat.sees_where(lambda m: "Page 2 of 2" in m.text)

    assert "Page 1 of 2" in first.text
    assert names(first)[-1] == ["›"]
    assert second.message_id == first.message_id
    assert names(second) == [["▶ 9", "⏸ 9", "🗑 9"], ["▶ 10", "⏸ 10", "🗑 10"], ["‹"]]


@pytest.mark.parametrize("text", ["/schedule 1", "/schedule #1", "/schedule@kitt_demo_bot 1"])
async def test_one_is_told_whole(bridge: House, chat: Person, text: str) -> None:
    await add(bridge)

    answer = await chat.ask(text)

    lines = answer.text.split("\n")
    assert lines[:3] == ["🗓 1 · News", "Every weekday at 07:30", "Next times:"]
    assert all(line.startswith("• ") and line.endswith("07:30") for line in lines[3:6])
    assert lines[6:] == ["Time zone: Europe/Amsterdam", "» The news in three lines"]
    assert names(answer) == [["▶ Run now", "⏸ Pause"], ["✏ Change", "🗑 Remove"], ["‹ All"]]


@pytest.mark.parametrize("number", ["12", "0", "9" * 19])
async def test_one_that_is_not_there_is_a_sentence(
    bridge: House, chat: Person, dutch: Person, number: str
) -> None:
    english = await chat.ask(f"/schedule {number}")
    in_dutch = await dutch.ask(f"/schedule {number}")

    assert english.text == f"There is no schedule {number} here. /schedule shows them."
    assert in_dutch.text.startswith(f"Er is hier geen planning {number}.")


async def test_those_of_another_chat_are_not_found(
    bridge: House, chat: Person, telegram: TelegramEmulator
) -> None:
    await add(bridge, chat_id="8")

    listed = await chat.ask("/schedule")
    one = await chat.ask("/schedule 1")
    for verb in ("sd", "sn", "sp", "su", "sr", "sx"):
        chat.press_raw(Signer(telegram.token).data(verb, 1, "7"))

    calls = await telegram.wait_for(
        lambda e: c if len(c := e.calls("answerCallbackQuery")) == 6 else None
    )
    await bridge.settled()
    assert listed.text.startswith("Nothing recurs yet.")
    assert one.text.startswith("There is no schedule 1 here.")
    assert {call.params["text"][:27] for call in calls} == {"There is no schedule 1 here"}
    assert status(bridge) == "active"
    assert bridge.jobs() == []


async def test_run_now_starts_its_job_and_leaves_its_times(bridge: House, chat: Person) -> None:
    before = await add(bridge)
    answer = await chat.ask("/schedule")

    toast = await chat.press(answer.message_id, "▶ 1")

    assert toast.text == "▶ Job 1 started."
    await chat.sees("🛠 #1 · News")
    (job,) = bridge.jobs()
    assert (job["prompt"], job["schedule_id"]) == ("The news in three lines", 1)
    rows = bridge.rows("SELECT next_at FROM schedules")
    assert rows == [{"next_at": before.next_at}]


async def test_run_now_twice_is_one_job(bridge: House, dutch: Person) -> None:
    await add(bridge)
    answer = await dutch.ask("/schedule 1")

    await dutch.press(answer.message_id, "▶ Nu")
    toast = await dutch.press(answer.message_id, "▶ Nu")

    assert toast.text == "Taak 1 ervan is nog niet klaar."
    assert len(bridge.jobs()) == 1


async def test_pause_and_resume_change_the_message(bridge: House, chat: Person) -> None:
    await add(bridge)
    answer = await chat.ask("/schedule")

    paused = await chat.press(answer.message_id, "⏸ 1")
    shown = await chat.sees_where(lambda m: "⏸ paused" in m.text)
    assert (paused.text, status(bridge)) == ("⏸ Schedule 1 is paused.", "paused")
    assert shown.message_id == answer.message_id
    assert names(shown)[0] == ["▶ Run now", "▶ Resume"]

    resumed = await chat.press(answer.message_id, "▶ Resume")
    await chat.sees_where(lambda m: "Next times:" in m.text)
    assert (resumed.text, status(bridge)) == ("▶ Schedule 1 goes on.", "active")

    await chat.press(answer.message_id, "‹ All")
    await chat.sees_where(lambda m: m.text.startswith("Schedules (1)"))
    await bridge.settled()
    assert len(chat.shown()) == 1


async def test_remove_asks_first(bridge: House, chat: Person) -> None:
    await add(bridge)
    answer = await chat.ask("/schedule")

    await chat.press(answer.message_id, "🗑 1")
    sure = await chat.sees_where(lambda m: "for good?" in m.text)
    assert names(sure) == [["🗑 Yes, remove", "Keep it"]]
    assert status(bridge) == "active"

    toast = await chat.press(answer.message_id, "🗑 Yes, remove")
    gone = await chat.sees_where(lambda m: "is removed" in m.text)
    assert toast.text == "🗑 Schedule 1 is removed."
    assert (gone.message_id, names(gone)) == (answer.message_id, [["‹ All"]])
    assert bridge.rows("SELECT * FROM schedules") == []


async def test_keep_keeps_it(bridge: House, dutch: Person) -> None:
    await add(bridge)
    answer = await dutch.ask("/schedule 1")

    await dutch.press(answer.message_id, "🗑 Verwijder")
    await dutch.sees_where(lambda m: "voorgoed" in m.text)
    await dutch.press(answer.message_id, "Laat staan")
    await dutch.sees_where(lambda m: "Volgende keren:" in m.text)

    assert status(bridge) == "active"


async def test_a_second_tap_on_remove_finds_nothing(bridge: House, chat: Person) -> None:
    await add(bridge)
    data = Signer(bridge.telegram.token).data("sx", 1, "7")

    chat.press_raw(data)
    await until(lambda: bridge.telegram.calls("answerCallbackQuery"))
    chat.press_raw(data)
    calls = await bridge.telegram.wait_for(
        lambda e: c if len(c := e.calls("answerCallbackQuery")) == 2 else None
    )

    texts = [call.params["text"] for call in calls]
    assert texts[0] == "🗑 Schedule 1 is removed."
    assert texts[1].startswith("There is no schedule 1 here.")


async def test_resume_of_a_row_that_cannot_be_used_says_why(bridge: House, chat: Person) -> None:
    await add(bridge)
    bridge.rows("UPDATE schedules SET status = 'paused', zone = 'Mars'")
    answer = await chat.ask("/schedule 1")

    toast = await chat.press(answer.message_id, "▶ Resume")

    assert toast.text.startswith("That cannot be: I know no time zone “Mars”.")
    assert status(bridge) == "paused"


async def test_a_press_that_comes_again_changes_nothing_more(bridge: House, chat: Person) -> None:
    await add(bridge)
    answer = await chat.ask("/schedule")
    pause = answer.buttons[0][1]["callback_data"]
    chat.press_raw(pause, update_id=800_000_000)
    await chat.sees_where(lambda m: "⏸ paused" in m.text)
    shell(bridge.settings.database, "UPDATE schedules SET status = 'active'")

    chat.press_raw(pause, update_id=800_000_000)
    await chat.ask("/status")

    await bridge.settled()
    assert status(bridge) == "active"


@pytest.mark.parametrize("verb", ["sl", "sd", "sn", "sp", "su", "sr", "sx", "ps", "pd"])
async def test_a_button_made_for_another_chat_or_forged_is_refused(
    bridge: House, chat: Person, telegram: TelegramEmulator, verb: str
) -> None:
    await add(bridge)
    forged = f"v1:{verb}:1:000000000000"
    for data in (Signer(telegram.token).data(verb, 1, "8"), forged):
        chat.press_raw(data)

    calls = await telegram.wait_for(
        lambda e: c if len(c := e.calls("answerCallbackQuery")) == 2 else None
    )
    await bridge.settled()
    assert {call.params["text"] for call in calls} == {"This button is not for this chat."}
    assert (status(bridge), bridge.jobs(), bridge.asked()) == ("active", [], [])
    assert chat.shown() == []


async def test_a_stranger_gets_nothing(bridge: House, telegram: TelegramEmulator) -> None:
    stranger = Person(bridge, chat_id=9)
    await add(bridge, chat_id="9")

    stranger.press_raw(Signer(telegram.token).data("sx", 1, "9"))

    await bridge.settled()
    assert status(bridge) == "active"
    assert bridge.rows("SELECT state FROM inbox") == [{"state": "refused"}]

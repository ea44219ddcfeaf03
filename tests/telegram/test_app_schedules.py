"""Schedules in the chat, end to end: said, proposed, saved by a tap, due, a job."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from chatting import House, Person
from waiting import until

from bridge import schedules
from bridge.clock import Clock
from bridge.emulator.claude import ClaudeEmulator
from bridge.emulator.script import Reply, Text, ToolUse
from bridge.emulator.telegram import TelegramEmulator
from bridge.emulator.telegram_state import ChatMessage
from bridge.proposals import SCHEDULES_MAX
from bridge.scheduler import Scheduler
from bridge.schedules import NewSchedule

SAID = {
    "en": "Every weekday at 7:30 the news in three lines, in Europe/Amsterdam",
    "nl": "Elke werkdag om 7:30 het nieuws in drie regels, in Europe/Amsterdam",
}


class LaterClock(Clock):
    """The clock of a scheduler some days on."""

    def __init__(self, later: timedelta) -> None:
        super().__init__()
        self._later = later

    def now(self) -> datetime:
        return super().now() + self._later


async def days_pass(house: House, days: int = 4) -> None:
    """Whoever keeps the schedules looks when their time has come."""
    clock = LaterClock(timedelta(days=days))
    scheduler = Scheduler(store=house.store, queue=house.queue, clock=clock)
    await scheduler.run_due()


def saved(house: House) -> list[dict[str, Any]]:
    return house.rows("SELECT * FROM schedules")


async def proposed(chat: Person, text: str = SAID["en"]) -> ChatMessage:
    chat.say(text)
    return await chat.sees_where(lambda m: "🗓" in m.text)


@pytest.mark.parametrize(
    ("language", "words", "save", "discard", "done"),
    [
        ("en", "Every weekday at 07:30", "✅ Save", "✖ Discard", "✅ Saved as schedule 1."),
        (
            "nl",
            "Elke werkdag om 07:30",
            "✅ Opslaan",
            "✖ Weggooien",
            "✅ Opgeslagen als planning 1.",
        ),
    ],
)
async def test_from_a_sentence_to_a_job(
    bridge: House, language: str, words: str, save: str, discard: str, done: str
) -> None:
    chat = Person(bridge, language=language)

    proposal = await proposed(chat, SAID[language])

    assert words in proposal.text
    times = [line for line in proposal.text.splitlines() if line.startswith("• ")]
    assert len(times) == 3
    assert all(line.endswith(" 07:30") for line in times)
    assert "Europe/Amsterdam" in proposal.text
    assert [[b["text"] for b in row] for row in proposal.buttons] == [[save, discard]]
    assert not proposal.silent
    await bridge.settled()
    assert (saved(bridge), bridge.jobs(), len(bridge.asked())) == ([], [], 1)

    toast = await chat.press(proposal.message_id, save)

    assert toast.text == done
    after = await chat.sees_where(lambda m: m.text.startswith(done))
    assert after.message_id == proposal.message_id
    (row,) = saved(bridge)
    assert (row["chat_id"], row["user_id"], row["status"]) == ("7", "7", "active")
    assert (row["cron"], row["every_s"], row["zone"]) == ("30 7 * * 1-5", None, "Europe/Amsterdam")

    await days_pass(bridge)

    (job,) = bridge.jobs()
    assert (job["prompt"], job["schedule_id"]) == (row["prompt"], 1)
    await chat.sees("🛠 #1")
    await bridge.queue.finish(await bridge.job_runs(), "There is no news.")
    await chat.sees("There is no news.")


async def test_a_second_tap_on_save_is_one_schedule(bridge: House, chat: Person) -> None:
    proposal = await proposed(chat)
    presses = [chat.telegram.press(7, proposal.message_id, "✅ Save") for _ in range(2)]

    answers = [await chat.answer_to(proposal.message_id, press) for press in presses]

    assert sorted(answer.text for answer in answers) == [
        "It is saved already, as schedule 1.",
        "✅ Saved as schedule 1.",
    ]
    assert len(saved(bridge)) == 1


async def test_discard_saves_nothing_and_save_after_it_neither(bridge: House, chat: Person) -> None:
    proposal = await proposed(chat)
    save = proposal.buttons[0][0]["callback_data"]

    toast = await chat.press(proposal.message_id, "✖ Discard")
    after = await chat.sees_where(lambda m: "✖ Discarded." in m.text)
    chat.press_raw(save)

    assert toast.text == "✖ Discarded."
    assert (after.message_id, after.buttons) == (proposal.message_id, [])
    calls = await bridge.telegram.wait_for(
        lambda e: c if len(c := e.calls("answerCallbackQuery")) == 2 else None
    )
    assert calls[1].params["text"] == "It was discarded. Ask for it again."
    assert saved(bridge) == []


async def test_discard_after_save_says_that_it_is_saved(bridge: House, chat: Person) -> None:
    proposal = await proposed(chat)
    discard = proposal.buttons[0][1]["callback_data"]
    await chat.press(proposal.message_id, "✅ Save")

    chat.press_raw(discard)

    await bridge.telegram.wait_for(
        lambda e: any(
            call.params.get("text") == "It is saved already, as schedule 1."
            for call in e.calls("answerCallbackQuery")
        )
    )
    assert len(saved(bridge)) == 1


async def test_a_proposal_outlives_a_restart(house: House, chat: Person) -> None:
    await house.start()
    proposal = await proposed(chat)
    await house.settled()
    await house.stop()
    await house.start()

    await chat.press(proposal.message_id, "✅ Save")

    assert len(saved(house)) == 1


async def test_a_proposal_of_yesterday_is_not_saved(bridge: House, dutch: Person) -> None:
    proposal = await proposed(dutch, SAID["nl"])
    bridge.rows("UPDATE proposals SET expires_at = '2020-01-01 00:00:00.000'")

    toast = await dutch.press(proposal.message_id, "✅ Opslaan")

    assert toast.text == "Dit is meer dan een dag oud. Vraag het opnieuw."
    after = await dutch.sees_where(lambda m: "meer dan een dag oud" in m.text)
    assert (after.message_id, after.buttons) == (proposal.message_id, [])
    assert saved(bridge) == []


async def test_a_press_that_comes_again_saves_nothing_more(bridge: House, chat: Person) -> None:
    proposal = await proposed(chat)
    data = proposal.buttons[0][0]["callback_data"]
    chat.press_raw(data, update_id=800_000_000)
    await until(lambda: saved(bridge))
    bridge.rows("DELETE FROM schedules")
    bridge.rows("UPDATE proposals SET status = 'open', schedule_id = NULL")

    chat.press_raw(data, update_id=800_000_000)
    await chat.ask("/status")

    await bridge.settled()
    assert saved(bridge) == []


async def test_another_person_and_another_chat_cannot_save_it(
    house: House, chat: Person, telegram: TelegramEmulator
) -> None:
    house.set(owners=frozenset({7, 8}))
    await house.start()
    proposal = await proposed(chat)
    data = proposal.buttons[0][0]["callback_data"]

    Person(house, chat_id=8).press_raw(data)  # forwarded to another chat
    telegram.press(7, proposal.message_id, "✅ Save", user_id=8)  # another owner, in this one

    calls = await telegram.wait_for(
        lambda e: c if len(c := e.calls("answerCallbackQuery")) == 2 else None
    )
    await house.settled()
    assert {call.params["text"] for call in calls} == {
        "This button is not for this chat.",
        "There is no such proposal here.",
    }
    assert saved(house) == []
    assert len(house.asked()) == 1


async def test_a_full_chat_is_told_so_when_it_saves(bridge: House, chat: Person) -> None:
    proposal = await proposed(chat)
    new = NewSchedule(chat_id="7", prompt="Count", every_s=3_600)
    for _ in range(SCHEDULES_MAX):
        await bridge.store.write(lambda tx: schedules.add(tx, new, now=bridge.clock.now()))

    toast = await chat.press(proposal.message_id, "✅ Save")

    assert toast.text.startswith("You have 50 schedules, the most there may be.")
    assert len(saved(bridge)) == SCHEDULES_MAX


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Every 2 minutes count the pelicans", "That did not work: every_s must be"),
        ("Every day at 7:30 the news, in Moon/Base", "That did not work: zone 'Moon/Base'"),
        ("Every day at 27:30 the news", "That did not work: cron"),
    ],
)
async def test_what_cannot_be_goes_back_to_the_model_and_it_tells(
    bridge: House, chat: Person, text: str, words: str
) -> None:
    answer = await chat.ask(text)

    assert answer.text.startswith(words)
    assert bridge.rows("SELECT * FROM proposals") == []


async def test_the_model_mends_what_it_called_wrongly(
    bridge: House, chat: Person, claude: ClaudeEmulator
) -> None:
    right = {
        "acknowledgement": "Like this?",
        "title": "News",
        "instructions": "The news",
        "cron": "30 7 * * *",
        "every_s": 0,
        "zone": "",
    }
    replies = iter(
        [
            Reply([ToolUse("propose_schedule", {**right, "cron": "at dawn"})]),
            Reply([Text("Let me see."), ToolUse("propose_schedule", right)]),
        ]
    )
    claude.script.when(lambda request: True, lambda _request: next(replies))

    proposal = await proposed(chat, "The news at dawn, please")

    assert proposal.text.startswith("Like this?\n\n🗓 News\nEvery day at 07:30")
    assert "Time zone: UTC" in proposal.text
    await bridge.settled()
    assert chat.texts() == ["Let me see.", proposal.text]


async def test_the_zone_that_is_set_is_the_one_of_a_proposal(house: House, chat: Person) -> None:
    house.set(zone="Asia/Tokyo")
    await house.start()

    proposal = await proposed(chat, "Every day at 9:00 count the pelicans")

    assert "Time zone: Asia/Tokyo" in proposal.text


async def test_in_the_background_and_every_day_is_a_proposal(bridge: House, chat: Person) -> None:
    proposal = await proposed(chat, "Every day at 9:00 count the pelicans in the background")

    await bridge.settled()
    assert "Every day at 09:00" in proposal.text
    assert bridge.jobs() == []


@pytest.mark.parametrize("text", [f"/schedule {SAID['en']}", f"/schedule@kitt {SAID['en']}"])
async def test_words_behind_the_command_are_for_the_agent(
    bridge: House, chat: Person, text: str
) -> None:
    proposal = await proposed(chat, text)

    assert "Every weekday at 07:30" in proposal.text
    assert "/schedule" not in proposal.text


async def test_the_model_knows_what_became_of_it(bridge: House, chat: Person) -> None:
    proposal = await proposed(chat)
    await chat.press(proposal.message_id, "✅ Save")

    await chat.ask("Hello")

    told = str(bridge.asked()[-1].body["messages"])
    assert "saved as schedule 1</kitt-event>" in told
    assert "It is no schedule until the user taps Save." in told


async def test_the_model_can_tell_what_is_planned(bridge: House, chat: Person) -> None:
    new = NewSchedule(chat_id="7", prompt="Count the pelicans", every_s=3_600)
    await bridge.store.write(lambda tx: schedules.add(tx, new, now=bridge.clock.now()))

    answer = await chat.ask("Which schedules do I have?")

    assert "#1 “Count the pelicans” every 3600 s UTC" in answer.text


async def test_a_greeting_is_still_a_small_request(bridge: House, chat: Person) -> None:
    await chat.ask("hello")

    assert bridge.asked()[0].size < 6_000


@pytest.mark.parametrize(
    ("language", "edit", "how", "head", "save", "done"),
    [
        (
            *("en", "✏ Change", "What is to be different about schedule 1:"),
            *("✏ Schedule 1 becomes: News", "✅ Save", "✅ Schedule 1 is changed."),
        ),
        (
            *("nl", "✏ Aanpassen", "Wat moet er anders aan planning 1:"),
            *("✏ Planning 1 wordt: News", "✅ Opslaan", "✅ Planning 1 is aangepast."),
        ),
    ],
)
async def test_a_schedule_is_changed_by_a_tap_a_sentence_and_a_tap(
    bridge: House,
    claude: ClaudeEmulator,
    language: str,
    edit: str,
    how: str,
    head: str,
    save: str,
    done: str,
) -> None:
    chat = Person(bridge, language=language)
    news = NewSchedule(chat_id="7", user_id="7", title="News", prompt="Tell", cron="30 7 * * *")
    await bridge.store.write(lambda tx: schedules.add(tx, news, now=bridge.clock.now()))
    given: dict[str, Any] = dict.fromkeys(("acknowledgement", "title", "instructions", "zone"), "")
    given |= {"cron": "0 9 * * *", "every_s": 0, "changes": 1}
    claude.script.when(
        lambda request: True, lambda _request: Reply([ToolUse("propose_schedule", given)])
    )
    shown = await chat.ask("/schedule 1")

    await chat.press(shown.message_id, edit)
    asked = await chat.sees(how)
    chat.say("At nine")
    proposal = await chat.sees(head)
    before = saved(bridge)
    toast = await chat.press(proposal.message_id, save)

    (body,) = (record.body for record in bridge.asked())
    event = body["messages"][0]["content"][0]["text"]
    assert event.startswith('<kitt-event schedule="1" status="to-change">')
    assert "(30 7 * * *, UTC): Tell" in event
    assert asked.reply_to == shown.message_id
    assert len([line for line in proposal.text.splitlines() if line.startswith("• ")]) == 3
    assert before[0]["cron"] == "30 7 * * *"  # nothing has changed before the tap
    assert toast.text == done
    (row,) = saved(bridge)
    assert (row["id"], row["cron"], row["prompt"]) == (1, "0 9 * * *", "Tell")


async def test_a_change_of_a_schedule_that_is_gone_says_so(
    bridge: House, chat: Person, claude: ClaudeEmulator
) -> None:
    news = NewSchedule(chat_id="7", user_id="7", title="News", prompt="Tell", cron="30 7 * * *")
    await bridge.store.write(lambda tx: schedules.add(tx, news, now=bridge.clock.now()))
    given: dict[str, Any] = dict.fromkeys(("acknowledgement", "title", "instructions", "zone"), "")
    given |= {"cron": "0 9 * * *", "every_s": 0, "changes": 1}
    claude.script.when(
        lambda request: True, lambda _request: Reply([ToolUse("propose_schedule", given)])
    )
    chat.say("Schedule 1 at nine")
    proposal = await chat.sees("✏ Schedule 1 becomes")

    await bridge.store.write(lambda tx: schedules.remove(tx, 1))
    toast = await chat.press(proposal.message_id, "✅ Save")

    assert toast.text.startswith("There is no schedule 1 here.")
    assert saved(bridge) == []

"""What people complain of in chats with agents: costs nobody sees, lost formats, bans for flooding.

Each test says what KITT does instead.
"""

from pathlib import Path
from typing import Any

import pytest
from chatting import CHAT, CURSOR, OTHER, Desk, House, Person
from hurried import Hurried
from waiting import until

from bridge.emulator.claude import ClaudeEmulator
from bridge.emulator.script import Reply
from bridge.emulator.telegram import TelegramEmulator
from bridge.emulator.telegram_faults import Fault, FloodLimits

USED: dict[str, Any] = {
    "at": "2026-11-22 07:30:00.000",
    "model": "claude-sonnet-5-5",
    "input_tokens": 41_000,
    "output_tokens": 1_000,
    "cache_read": 0,
    "cache_write": 0,
    "latency_ms": 900,
}
WORDS = "Pelicans are large water birds with a throat pouch. "


# Costs that nobody sees


async def test_the_card_of_a_job_tells_what_it_has_used(bridge: House, chat: Person) -> None:
    await chat.ask("/bg Count the pelicans")
    job = await bridge.job_runs()
    used = {"conversation": "job:1", "job_id": job.id, "chat_id": str(CHAT), **USED}
    columns = {row["name"] for row in bridge.rows("PRAGMA table_info(usage)")} & used.keys()
    names = ", ".join(sorted(columns))
    values = ", ".join(f":{name}" for name in sorted(columns))
    bridge.rows(f"INSERT INTO usage ({names}) VALUES ({values})", **used)

    await bridge.queue.progress(job, 40, "The right bank")

    assert "42k tokens" in (await chat.sees("The right bank")).text


async def test_what_a_chat_has_cost_is_told_when_asked(bridge: House, chat: Person) -> None:
    await chat.ask("hello")

    answer = await chat.ask("/cost")

    assert "💰" in answer.text
    assert "today" in answer.text
    assert len(bridge.asked()) == 1


async def test_a_greeting_costs_one_small_request(bridge: House, chat: Person) -> None:
    await chat.ask("hello")

    await bridge.settled()
    assert [record.size < 6_000 for record in bridge.asked()] == [True]


async def test_commands_and_buttons_cost_nothing(bridge: House, chat: Person) -> None:
    card = await chat.ask("/bg Count the pelicans")
    for command in ("/jobs", "/job 1", "/status", "/help"):
        await chat.ask(command)
    await chat.press(card.message_id, "⏹ Cancel")

    await bridge.settled()
    assert bridge.asked() == []


async def test_a_stranger_can_spend_nothing(house: House, telegram: TelegramEmulator) -> None:
    await house.start()
    stranger = Person(house, chat_id=99)

    for text in ("Hello", "/bg Count the pelicans", "Write a book in the background"):
        stranger.say(text)

    await until(lambda: telegram.updates.pending == 0)
    await house.settled()
    assert house.asked() == []
    assert house.jobs() == []


# Formats that are lost, and messages with them


async def test_bold_text_that_is_cut_by_the_length_of_a_message_stays_bold(
    bridge: House, chat: Person, claude: ClaudeEmulator
) -> None:
    claude.script.when("pelicans", f"**{(WORDS * 100).strip()}**")

    await chat.ask("Tell me about pelicans")

    await bridge.settled()
    shown = [message for message in chat.shown() if message.document is None]
    assert len(shown) == 2
    for message in shown:
        assert {entity["type"] for entity in message.entities} == {"bold"}


async def test_tags_in_an_answer_are_shown_and_nothing_is_refused(
    bridge: House, chat: Person, claude: ClaudeEmulator, telegram: TelegramEmulator
) -> None:
    claude.script.when("paragraph", "A <p>paragraph</p> & a <b>bold one</b>: 1 < 2.")

    answer = await chat.ask("What is a paragraph in HTML?")

    assert answer.text == "A <p>paragraph</p> & a <b>bold one</b>: 1 < 2."
    assert all(call.status == 200 for call in telegram.calls("sendMessage"))


async def test_underscores_of_addresses_and_names_stay(
    bridge: House, chat: Person, claude: ClaudeEmulator
) -> None:
    text = "See https://example.com/my_long_page_name?a_b=c_d and snake_case_name."
    claude.script.when("page", text)

    assert (await chat.ask("Which page?")).text == text


@pytest.mark.parametrize(
    "text", ["**never closed", "```py\nprint(1)", "[a](b", "| a |\n|--", "_*`~||", "> "]
)
async def test_half_a_format_arrives_as_text(
    bridge: House, chat: Person, claude: ClaudeEmulator, text: str
) -> None:
    claude.script.when("half", f"Look: {text}")

    answer = await chat.ask("Give me half a format")

    assert answer.text.startswith("Look:")


async def test_an_answer_whose_format_is_refused_arrives_plain(
    bridge: House, chat: Person, claude: ClaudeEmulator, telegram: TelegramEmulator
) -> None:
    claude.script.when("pelicans", "There are **three**.")
    refusal = "Bad Request: can't parse entities: nobody knows why"
    telegram.order(Fault(method="sendMessage", status=400, description=refusal))

    assert (await chat.ask("How many pelicans?")).text == "There are three."


async def test_a_result_too_long_for_messages_arrives_whole_as_a_file(
    bridge: House, chat: Person
) -> None:
    await chat.ask("/bg Count the pelicans")
    text = WORDS * 1_000

    await bridge.queue.finish(await bridge.job_runs(), text)

    file = (await chat.sees_where(lambda message: message.document is not None)).document
    assert file is not None
    assert file.data.decode().strip() == text.strip()


# Bans for flooding


async def test_answers_cards_and_typing_share_one_budget_that_telegram_accepts(
    tmp_path: Path, claude: ClaudeEmulator
) -> None:
    clock = Hurried(15)
    telegram = TelegramEmulator(flood=FloodLimits(penalty_s=60), clock=clock.monotonic)
    await telegram.start()
    telegram.open_chat(CHAT)
    house = House(tmp_path / "profile", telegram, claude)
    house.clock = clock
    chat = Person(house)
    claude.script.when("pelicans", Reply(WORDS * 10, pace_s=0.1))
    await house.start()
    for number in range(3):
        await chat.ask(f"/bg Count bank {number}")
    jobs = [await house.job_runs() for _ in range(3)]
    chat.say("Tell me about pelicans")

    until_s = clock.passed_s + 40
    while clock.passed_s < until_s:
        for job in jobs:
            await house.queue.progress(job, None, f"{clock.passed_s:.0f} s")
    for job in jobs:
        await house.queue.finish(job, f"Bank {job.id} has pelicans.")
    await chat.sees("Bank 3 has pelicans.", timeout_s=15)

    refused = [call.method for call in telegram.calls(chat_id=CHAT) if call.status == 429]
    assert refused == []
    await house.stop()
    await telegram.stop()


async def test_an_answer_whose_edits_are_refused_is_whole_in_the_end(
    house: House, chat: Person, claude: ClaudeEmulator, telegram: TelegramEmulator
) -> None:
    house.clock = Hurried(10)
    await house.start()
    claude.script.when("pelicans", Reply(WORDS * 6, pace_s=0.05))
    chat.say("Tell me about pelicans")
    await chat.sees_where(lambda message: message.text.endswith(CURSOR))
    telegram.order(Fault(method="editMessageText", status=429, retry_after=10))

    await chat.sees(WORDS.strip(), timeout_s=10)

    await house.settled()
    assert chat.texts() == [(WORDS * 6).strip()]


async def test_a_ban_of_hours_is_kept_in_one_chat_and_nothing_of_it_is_lost(desk: Desk) -> None:
    banned = Fault(method="sendMessage", chat_id=CHAT, status=429, retry_after=13_938)
    desk.telegram.order(banned)
    await desk.start()
    for text in ("One", "Two"):
        await desk.tell(text)
    await desk.tell("Other", chat_id=OTHER)

    await desk.in_time(lambda: desk.texts(OTHER) == ["Other"], seconds=1)
    waited_s = await desk.in_time(lambda: desk.texts() == ["One", "Two"], seconds=15_000)

    assert waited_s >= 13_938
    assert desk.calls() == 4  # not one in vain while it lasted


async def test_after_a_ban_a_chat_goes_slowly_at_first(desk: Desk) -> None:
    desk.telegram.order(Fault(method="sendMessage", status=429, retry_after=30))
    await desk.start()
    for number in range(6):
        await desk.tell(f"{number}")
    await desk.in_time(lambda: desk.texts() == ["0"])

    took_s = await desk.in_time(lambda: len(desk.texts()) == 6)

    assert took_s > 5  # at full speed it would be three, and the next ban would come

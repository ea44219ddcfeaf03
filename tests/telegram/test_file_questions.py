"""A file without a word: what is asked, and what comes of each answer."""

import asyncio
import json
from typing import Any

import pytest
from bots import PNG
from chatting import CHAT, House, Person
from waiting import until

from bridge.emulator.claude import ClaudeEmulator
from bridge.emulator.claude_faults import Fault as ModelFault
from bridge.emulator.telegram import TelegramEmulator
from bridge.emulator.telegram_state import ChatMessage

ASKED = "What do you want with it?"
PDF = b"%PDF-1.7\n" + bytes(range(256)) * 8


def blocks(house: House) -> list[dict[str, Any]]:
    """The blocks of the person's newest words, without the state of jobs."""
    content = house.asked()[-1].body["messages"][-1]["content"]
    return [block for block in content if "<kitt-state" not in block.get("text", "")]


def jobs_files(house: House) -> list[str]:
    return [item["file"] for item in json.loads(house.jobs()[0]["data"])["kitt_files"]]


async def asked_about(chat: Person, telegram: TelegramEmulator) -> ChatMessage:
    """The owner sends a PDF file without a word; the question about it."""
    telegram.send_document(CHAT, "report.pdf", PDF)
    return await chat.sees(ASKED)


def open_ones(house: House) -> int:
    return len(house.rows("SELECT * FROM file_questions"))


async def test_a_file_without_a_word_is_asked_about_and_no_model_sees_it(
    bridge: House, chat: Person, telegram: TelegramEmulator
) -> None:
    question = await asked_about(chat, telegram)

    await bridge.settled()
    assert question.text.startswith(f"📎 report.pdf\n{ASKED}")
    assert (question.reply_to, question.silent) == (1, True)
    assert [b["text"] for row in question.buttons or [] for b in row] == [
        "📝 Summary",
        "📌 Keep",
        "❓ Ask",
    ]
    assert bridge.asked() == []


async def test_an_album_without_a_word_is_one_question(
    bridge: House, chat: Person, telegram: TelegramEmulator
) -> None:
    for number in range(4):
        telegram.send_photo(CHAT, "a.png", PNG + bytes([number]), media_group_id="g")

    question = await chat.sees(ASKED)

    await bridge.settled()
    assert question.text.startswith("📎 photo-1.jpg, photo-2.jpg, photo-3.jpg +1")
    assert len(chat.shown()) == 1
    await chat.ask("What are these?")
    assert [b["type"] for b in blocks(bridge) if b["type"] == "image"] == ["image"] * 4


async def test_summary_shows_the_file_to_the_model_with_that_request(
    bridge: House, dutch: Person, telegram: TelegramEmulator
) -> None:
    telegram.send_document(CHAT, "report.pdf", PDF, language="nl")
    question = await dutch.sees("Wat wil je hiermee?")

    await dutch.press(question.message_id, "📝 Samenvatten")

    await dutch.sees("dit heeft me bereikt")
    await bridge.settled()
    assert [block["type"] for block in blocks(bridge)] == ["document", "text", "text"]
    assert blocks(bridge)[-1]["text"] == "Vat dit samen."
    assert open_ones(bridge) == 0
    shown = telegram.chats[CHAT].messages[question.message_id]
    assert shown.text == "📎 report.pdf" and not shown.buttons


async def test_summary_pressed_twice_is_one_answer(
    bridge: House, chat: Person, telegram: TelegramEmulator
) -> None:
    question = await asked_about(chat, telegram)
    first = telegram.press(CHAT, question.message_id, "📝 Summary")
    second = telegram.press(CHAT, question.message_id, "📝 Summary")

    await chat.answer_to(question.message_id, first)
    answer = await chat.answer_to(question.message_id, second)

    assert "done already" in (answer.text or "")
    await bridge.settled()
    assert len(bridge.asked()) == 1


async def test_keep_asks_no_model_and_the_file_can_be_named_later(
    bridge: House, chat: Person, telegram: TelegramEmulator
) -> None:
    question = await asked_about(chat, telegram)

    await chat.press(question.message_id, "📌 Keep")

    await chat.sees("report.pdf · kept")
    await bridge.settled()
    assert bridge.asked() == [] and open_ones(bridge) == 0
    await chat.ask("Summarise report.pdf in the background")
    await until(bridge.jobs)
    assert jobs_files(bridge) == ["1-report.pdf"]


@pytest.mark.parametrize("ask_first", [False, True])
async def test_words_that_follow_go_to_the_model_with_the_file(
    bridge: House, chat: Person, telegram: TelegramEmulator, ask_first: bool
) -> None:
    question = await asked_about(chat, telegram)
    if ask_first:
        answer = await chat.press(question.message_id, "❓ Ask")
        assert "Write your question" in (answer.text or "")

    chat.say("Who wrote this?")

    await chat.sees("this is what reached me")
    await bridge.settled()
    assert [block["type"] for block in blocks(bridge)] == ["document", "text", "text"]
    assert blocks(bridge)[-1]["text"] == "Who wrote this?"
    assert open_ones(bridge) == 0


async def test_words_within_a_second_belong_to_it_without_a_question(
    bridge: House, chat: Person, telegram: TelegramEmulator
) -> None:
    telegram.send_document(CHAT, "report.pdf", PDF)
    chat.say("Who wrote this?")

    await chat.sees("this is what reached me")

    await bridge.settled()
    assert len(chat.shown()) == 1


async def test_a_caption_waits_for_nothing(
    bridge: House, chat: Person, telegram: TelegramEmulator
) -> None:
    began = asyncio.get_running_loop().time()
    telegram.send_document(CHAT, "report.pdf", PDF, caption="Who wrote this?")

    await until(bridge.asked)

    assert asyncio.get_running_loop().time() - began < 0.9


async def test_a_new_conversation_asks_about_nothing_any_more(
    bridge: House, chat: Person, telegram: TelegramEmulator
) -> None:
    await asked_about(chat, telegram)

    await chat.ask("/new")
    await chat.ask("What is 17 * 23?")

    await bridge.settled()
    assert [block["type"] for block in blocks(bridge)] == ["text"]
    assert open_ones(bridge) == 0


async def test_the_question_is_asked_once_and_still_open_after_a_restart(
    bridge: House, chat: Person, telegram: TelegramEmulator
) -> None:
    question = await asked_about(chat, telegram)
    await bridge.settled()
    await bridge.stop()
    await bridge.start()

    await chat.press(question.message_id, "📝 Summary")

    await until(bridge.jobs)
    await bridge.settled()
    assert len([text for text in chat.texts() if ASKED in text]) == 0  # it became the name
    assert jobs_files(bridge) == ["1-report.pdf"]


async def test_a_bridge_that_ended_over_the_answer_gives_it_once(
    bridge: House, chat: Person, telegram: TelegramEmulator, claude: ClaudeEmulator
) -> None:
    question = await asked_about(chat, telegram)
    claude.order(ModelFault(hold="thinking"))
    telegram.press(CHAT, question.message_id, "📝 Summary")
    await until(bridge.asked)
    running, bridge.running = bridge.running, None
    assert running is not None
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await bridge.store.close()
    claude.release("thinking")

    await bridge.start()

    await until(bridge.jobs)
    await bridge.settled()
    assert len(bridge.jobs()) == 1 and jobs_files(bridge) == ["1-report.pdf"]
    assert open_ones(bridge) == 0


async def test_a_button_works_in_its_own_chat_only(
    house: House, chat: Person, telegram: TelegramEmulator
) -> None:
    house.set(owners=frozenset({7, 8}))
    await house.start()
    question = await asked_about(chat, telegram)
    other = Person(house, chat_id=8)
    data = str((question.buttons or [])[0][0]["callback_data"])

    other.press_raw(data)
    await house.settled()

    assert house.asked() == [] and open_ones(house) == 1

"""The whole bridge: strange texts, restarts, other programs, and how it begins and ends."""

import asyncio
import logging
import sqlite3
from typing import Any

import pytest
from chatting import CHAT, CURSOR, House, Person
from fakes import shell
from telegram import Update
from waiting import until

from bridge.emulator.claude import ClaudeEmulator
from bridge.emulator.claude_faults import Fault as ModelFault
from bridge.emulator.script import Reply
from bridge.emulator.telegram import TelegramEmulator
from bridge.emulator.telegram_faults import Fault
from bridge.errors import ConfigError
from bridge.models import PROMPT_CHARS_MAX

LONG = "Pelicans are large water birds with a throat pouch. " * 30


def message(text: str) -> dict[str, Any]:
    user = {"id": CHAT, "is_bot": False, "first_name": "Sam", "language_code": "en"}
    chat = {"id": CHAT, "type": "private", "first_name": "Sam"}
    return {"message_id": 1, "date": 1, "chat": chat, "from": user, "text": text}


async def quiet(house: House) -> None:
    """Everything that came is handled, and the model was asked nothing."""
    await house.settled()
    assert house.asked() == []


# Texts and files


async def test_a_text_of_a_hundred_thousand_characters_is_answered(
    bridge: House, chat: Person, claude: ClaudeEmulator
) -> None:
    claude.script.when("pelicans", "A long text.")

    chat.send_raw("pelicans " * 11_112)

    assert (await chat.sees()).text == "A long text."


async def test_a_text_longer_than_fits_is_refused_with_a_sentence(
    bridge: House, chat: Person
) -> None:
    chat.send_raw("a" * (PROMPT_CHARS_MAX + 1))

    answer = await chat.sees()
    assert answer.text.startswith("That is 200001 characters; I can take 200000 at a time.")
    await quiet(bridge)


@pytest.mark.parametrize(
    "text",
    [
        "Pelicans\x00 are birds",
        "Pelicans \ud800 are birds",
        "\udc00\ud83d Pelicans",
        "مرحبا Pelicans \u202eabc\u202c שלום",
        "Pelicans 👨‍👩‍👧‍👦 🏳️‍🌈 👍🏽",
        "Pelicans <b>&amp;</b> *_`[](",
        "Pelicans\u0000\u0001\u001b[31m",
    ],
    ids=["NUL", "lone surrogate", "wrong pair", "right to left", "family", "markup", "control"],
)
async def test_a_strange_text_is_answered_and_kept(
    bridge: House, chat: Person, claude: ClaudeEmulator, text: str
) -> None:
    claude.script.when("pelicans", lambda request: Reply(f"You said: {request.last_user_text}"))

    chat.send_raw(text)

    answer = await chat.sees("You said:")
    await bridge.settled()
    assert "Pelicans" in answer.text
    assert len(bridge.rows("SELECT content FROM messages")) == 2


@pytest.mark.parametrize("text", ["\x00", "\x00\x00", " \n "])
async def test_a_text_without_anything_in_it_gets_a_sentence(
    bridge: House, chat: Person, text: str
) -> None:
    chat.send_raw(text)

    assert (await chat.sees()).text.startswith("I can take text, pictures and files.")
    await quiet(bridge)


@pytest.mark.parametrize("text", ["/bg Count the \ud800 pelicans", "/bg Count the\x00 pelicans"])
async def test_a_strange_task_becomes_a_job(bridge: House, chat: Person, text: str) -> None:
    chat.send_raw(text)

    await chat.sees("#1")
    assert bridge.jobs()[0]["prompt"].startswith("Count the")


# Restarts, other programs, locks


async def test_what_was_not_handled_is_answered_after_a_restart(
    house: House, chat: Person, claude: ClaudeEmulator
) -> None:
    await house.start()
    await house.stop()
    for number, text in enumerate(("/bg Count the pelicans", "What is 17 * 23?")):
        received(house, 900 + number, message(text))

    await house.start()

    await chat.sees("#1")
    await chat.sees("That is 391.")
    await house.settled()
    assert len(house.jobs()) == 1
    assert len(house.asked()) == 1


async def test_a_handled_update_that_comes_again_is_not_handled_again(
    bridge: House, chat: Person, telegram: TelegramEmulator
) -> None:
    update = {"update_id": 800_000_000, "message": message("/bg Count the pelicans")}
    telegram.push_update(update)
    await chat.sees("#1")

    telegram.push_update(update)
    await chat.ask("/status")

    await bridge.settled()
    assert len(bridge.jobs()) == 1


async def test_a_command_that_was_answered_is_not_answered_again_by_a_replay(
    house: House, chat: Person
) -> None:
    await house.start()
    await chat.ask("/bg Count the pelicans")
    await chat.ask("/status")
    await house.settled()
    await house.stop()
    house.rows("DELETE FROM inbox")
    ids = [700_000_001, 700_000_002]
    for update_id, text in zip(ids, ("/bg Count the pelicans", "/status"), strict=True):
        received(house, update_id, message(text))

    await house.start()

    await house.settled()
    assert len(chat.shown()) == 2
    assert len(house.jobs()) == 1


async def test_an_update_that_stopped_the_bridge_three_times_is_set_aside_and_told(
    house: House, chat: Person, caplog: pytest.LogCaptureFixture
) -> None:
    await house.start()
    await house.stop()
    received(house, 900, message("The killer"), attempts=3)
    received(house, 901, message("What is 17 * 23?"))

    await house.start()

    await chat.sees("I was restarted while handling a message")
    await chat.sees("That is 391.")
    await house.settled()
    assert len(house.asked()) == 1
    assert "Update 900 stopped the bridge several times" in caplog.text
    states = house.rows("SELECT update_id, state FROM inbox WHERE update_id IN (900, 901)")
    assert [row["state"] for row in states] == ["quarantined", "done"]


async def test_an_update_nobody_can_read_does_not_stop_the_next_start(
    house: House, chat: Person
) -> None:
    await house.start()
    await house.stop()
    received(house, 900, message("Hello"), attempts=3)
    house.rows("UPDATE inbox SET raw = '{' WHERE update_id = 900")

    await house.start()

    assert (await chat.ask("What is 17 * 23?")).text == "That is 391."


async def test_another_program_with_the_token_is_logged_and_the_bridge_lives(
    house: House, telegram: TelegramEmulator, caplog: pytest.LogCaptureFixture
) -> None:
    await house.start()
    telegram.updates._end_poll("conflict")

    await until(lambda: "Another program uses this bot token" in caplog.text)

    assert house.running is not None
    assert not house.running.done()


async def test_a_database_locked_for_a_moment_loses_nothing(
    bridge: House, chat: Person, telegram: TelegramEmulator
) -> None:
    with sqlite3.connect(bridge.settings.database, isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        chat.say("/bg Count the pelicans")
        chat.say("What is 17 * 23?")
        await until(lambda: telegram.calls("sendChatAction"))  # both are being handled
        other.execute("ROLLBACK")
    other.close()

    await chat.sees("#1")
    await chat.sees("That is 391.")
    await bridge.settled()
    assert len(bridge.jobs()) == 1
    assert len(chat.shown()) == 2


async def test_someone_who_had_blocked_the_bot_gets_what_waited(
    bridge: House, chat: Person, telegram: TelegramEmulator
) -> None:
    await chat.ask("/bg Count the pelicans")
    telegram.block(CHAT)
    await bridge.queue.finish(await bridge.job_runs(), "There are three.")
    await until(lambda: bridge.rows("SELECT 1 FROM deliveries WHERE status = 'held'"))
    telegram.unblock(CHAT)

    chat.say("Hello")

    await chat.sees("There are three.")
    await chat.sees("What can I do for you?")


async def test_what_waited_comes_after_a_restart_too(
    house: House, chat: Person, telegram: TelegramEmulator
) -> None:
    await house.start()
    await chat.ask("/bg Count the pelicans")
    telegram.block(CHAT)
    await house.queue.finish(await house.job_runs(), "There are three.")
    await until(lambda: house.rows("SELECT 1 FROM deliveries WHERE status = 'held'"))
    await house.stop()
    telegram.unblock(CHAT)
    await house.start()

    chat.say("Hello")

    await chat.sees("There are three.")


async def test_a_result_of_another_process_is_sent_at_once(bridge: House, chat: Person) -> None:
    await chat.ask("/bg Count the pelicans")
    job = await bridge.job_runs()

    async with asyncio.timeout(1.5):
        await bridge.queue.finish(job, "There are three.")
        await chat.sees("There are three.")


async def test_a_job_put_in_by_hand_and_done_by_hand_is_seen(bridge: House, chat: Person) -> None:
    bridge.rows("INSERT INTO jobs (chat_id, prompt) VALUES ('7', 'Count the pelicans')")
    job = await bridge.job_runs()
    await chat.sees("🛠 #1 · Count the pelicans")

    bridge.rows("UPDATE jobs SET status = 'cancelled' WHERE id = :id", id=job.id)

    await chat.sees("⏹ #1 · Count the pelicans")


# The beginning and the end


async def test_an_answer_that_is_nearly_done_is_finished_before_the_end(
    house: House, chat: Person, claude: ClaudeEmulator
) -> None:
    await house.start()
    claude.script.when("pelicans", Reply(LONG[:300], pace_s=0.05))
    chat.say("Tell me about pelicans")
    await chat.sees_where(lambda m: m.text.endswith(CURSOR))

    await house.stop()

    assert chat.texts() == [LONG[:300].strip()]
    assert house.rows("SELECT state FROM inbox") == [{"state": "done"}]


async def test_a_message_that_waits_at_the_end_is_answered_after_the_start(
    house: House, chat: Person, claude: ClaudeEmulator
) -> None:
    await house.start()
    claude.script.when("pelicans", Reply(LONG[:300], pace_s=0.05))
    chat.say("Tell me about pelicans")
    await chat.sees_where(lambda m: m.text.endswith(CURSOR))
    chat.say("What is 17 * 23?")
    await until(lambda: len(house.rows("SELECT 1 FROM inbox")) == 2)

    await house.stop()
    await house.start()

    await chat.sees("That is 391.")


async def test_a_bridge_waits_for_telegram_at_the_start(
    house: House, telegram: TelegramEmulator, chat: Person, caplog: pytest.LogCaptureFixture
) -> None:
    telegram.order(Fault(method="getMe", drop="refused"))

    with caplog.at_level(logging.WARNING):
        await house.start()

    assert "Next try in 1 s" in caplog.text
    assert (await chat.ask("What is 17 * 23?")).text == "That is 391."


async def test_a_refused_token_ends_the_bridge_with_a_sentence(
    house: House, telegram: TelegramEmulator
) -> None:
    house.set(telegram_token=type(house.settings.telegram_token)("123456789:" + "A" * 35))
    await house.start(wait=False)
    await until(lambda: house.running is not None and house.running.done())

    with pytest.raises(ConfigError, match="TELEGRAM_BOT_TOKEN"):
        await house.stop()


async def test_a_bridge_can_be_stopped_while_telegram_is_away(
    house: House, telegram: TelegramEmulator
) -> None:
    await telegram.stop()
    await house.start(wait=False)

    async with asyncio.timeout(3):
        await house.stop()


async def test_one_chat_with_a_flood_does_not_delay_another(
    house: House, chat: Person, telegram: TelegramEmulator
) -> None:
    house.set(owners=frozenset({7, 8}))
    await house.start()
    other = Person(house, chat_id=8)
    telegram.order(Fault(method="sendMessage", chat_id=7, status=429, retry_after=2))
    sent = chat.say("What is 17 * 23?")
    await telegram.wait_for(lambda e: e.calls("sendMessage", 7))

    answer = await other.ask("What is 2 + 2?")

    assert answer.text == "That is 4."
    assert chat.shown() == []
    assert (await chat.sees(after=sent)).text == "That is 391."


async def test_a_model_that_is_away_does_not_stop_the_next_message(
    bridge: House, chat: Person, claude: ClaudeEmulator
) -> None:
    claude.order(ModelFault(times=2, status=529))
    await chat.ask("Tell me about pelicans")

    answer = await chat.ask("What is 17 * 23?")

    assert answer.text == "That is 391."


async def test_no_log_shows_the_token_or_the_key(
    bridge: House, chat: Person, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="bridge"):
        await chat.ask("What is 17 * 23?")

    secrets = (bridge.settings.need_token(), bridge.settings.need_key())
    ours = "\n".join(r.getMessage() for r in caplog.records if r.name.startswith("bridge"))
    assert [secret for secret in secrets if secret in ours] == []


def received(house: House, update_id: int, body: dict[str, Any], *, attempts: int = 0) -> None:
    """An update that a bridge had stored when it died."""
    raw = Update.de_json({"update_id": update_id, "message": body}).to_json()
    shell(
        house.settings.database,
        "INSERT INTO inbox (update_id, received_at, raw, attempts)"
        " VALUES (:id, '2026-11-22 07:30:00.000', :raw, :attempts)",
        id=update_id,
        raw=raw,
        attempts=attempts,
    )

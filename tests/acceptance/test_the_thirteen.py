"""What the chat must stand, in thirteen sentences: a bridge is accepted when all of them hold.

Black box: messages, buttons and faults go in at the emulated Telegram, what a person sees comes
out. Some of it is tested in more depth elsewhere; here is the whole list, in its order.
"""

import asyncio
import re
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import history
import pytest
from bots import PNG
from chatting import CHAT, OTHER, House, Person
from forked import Forked, forked
from hurried import Hurried
from waiting import until

from bridge.emulator.claude import ClaudeEmulator
from bridge.emulator.claude_faults import Fault as ModelFault
from bridge.emulator.script import Reply, Request
from bridge.emulator.telegram import TelegramEmulator
from bridge.emulator.telegram_faults import Fault
from bridge.emulator.telegram_state import Call
from bridge.emulator.telegram_text import formatted
from bridge.prove.crew import Process, Zygote
from bridge.telegram import inbox, texts
from bridge.telegram.buttons import Signer
from bridge.telegram.render import render
from bridge.telegram.split import split

processes = pytest.mark.asyncio(loop_scope="module")
KILL = {"do": "kill", "nth": 1}
REPEATED = "↻"
VISIBLE = ("sendMessage", "editMessageText", "editMessageReplyMarkup", "sendChatAction")


# 1


@processes
async def test_01_three_kills_in_the_middle_of_receiving_lose_no_message(
    tmp_path: Path, zygote: Zygote
) -> None:
    async with forked(tmp_path, zygote) as kitt:
        kitt.claude.script.rules.insert(0, numbered_answer)
        asked = iter(range(12))
        for point in ("before_inbox", "after_inbox", "in_commit"):
            bridge = await kitt.start("bridge", **{point: KILL})
            for _ in range(4):
                kitt.telegram.send(1, f"ask-{next(asked)}")
            await killed(bridge)

        await kitt.start("bridge")

        await until(lambda: len(answered(kitt)) == 12, 15)
        await kitt.settled()
        assert set(answered(kitt).values()) == {1}
        history.check(kitt.database, kitt.telegram, kitt.claude.key, claude=kitt.claude)


# 2


@processes
async def test_02_a_kill_between_sending_a_result_and_noting_it_sends_a_labelled_copy(
    tmp_path: Path, zygote: Zygote
) -> None:
    async with forked(tmp_path, zygote) as kitt:
        bridge = await kitt.start("bridge", after_send={"do": "kill", "nth": 2})  # after the card
        await kitt.start("worker-1")
        kitt.telegram.send(1, "/bg quick job 7")
        await killed(bridge)

        await kitt.start("bridge")

        await until(lambda: len(told(kitt, "result 7")) == 2, 15)
        await kitt.settled()
        assert [text.startswith(REPEATED) for text in told(kitt, "result 7")] == [False, True]
        history.check(kitt.database, kitt.telegram, kitt.claude.key, claude=kitt.claude)


# 3


@processes
async def test_03_a_second_bridge_refuses_to_start_and_the_first_goes_on(
    tmp_path: Path, zygote: Zygote
) -> None:
    async with forked(tmp_path, zygote) as kitt:
        first = await kitt.start("bridge")

        second = await kitt.start("bridge")

        assert await ended(second) not in (None, 0)
        assert f"bridge is already running (pid {first.pid})" in kitt.log("bridge")
        kitt.telegram.send(1, "What is 17 * 23?")
        await kitt.said(1, "391")
        assert all(call.status != 409 for call in kitt.telegram.calls("getUpdates"))


# 4


async def test_04_twenty_jobs_that_report_stay_under_a_call_a_second_and_delay_no_result(
    house: House, chat: Person, telegram: TelegramEmulator
) -> None:
    house.clock = clock = Hurried(40)
    await house.start()
    for number in range(20):
        chat.say(f"/bg Count bank {number}")
    await chat.sees("#20", timeout_s=15)
    jobs = [await house.job_runs() for _ in range(20)]
    clock.speed = 10
    before, began = len(visible(telegram)), clock.passed_s

    while clock.passed_s < began + 30:
        for job in jobs:
            seconds = clock.passed_s - began
            await house.queue.progress(job, min(99, seconds), f"{seconds:.0f} s")
    rate = (len(visible(telegram)) - before) / (clock.passed_s - began)
    clock.speed = 0.5  # two seconds are four here: a busy machine is not measured
    await house.queue.finish(jobs[9], "Ten pelicans.")
    async with asyncio.timeout(4):
        await chat.sees("Ten pelicans.")

    assert 0 < rate < 1


# 5


async def test_05_a_flood_of_thirty_seconds_on_an_edit_delays_the_result_and_loses_nothing(
    house: House, chat: Person, telegram: TelegramEmulator
) -> None:
    house.clock = clock = Hurried(20)
    await house.start()
    for name in ("pelicans", "herons"):
        await chat.ask(f"/bg Count the {name}")
    pelicans, herons = [await house.job_runs() for _ in range(2)]
    await chat.sees_where(lambda message: "⏱" in message.text)
    telegram.order(Fault(method="editMessageText", status=429, retry_after=30))
    await house.queue.progress(pelicans, 10, "The left bank")
    await until(lambda: 429 in [call.status for call in visible(telegram)], 10)

    await house.queue.finish(pelicans, "Three pelicans.")
    await house.queue.progress(herons, 50, "The right bank")
    await house.queue.finish(herons, "Two herons.")
    await chat.sees("Three pelicans.", timeout_s=20)
    await chat.sees("Two herons.", timeout_s=20)
    await house.settled()

    refused = next(call for call in visible(telegram) if call.status == 429)
    after = [call for call in visible(telegram) if call.seq > refused.seq]
    assert (after[0].at - refused.at) * clock.speed >= 30
    assert after[0].params.get("text", "").startswith("Three pelicans.")
    results = [text for text in chat.texts() if text.startswith(("Three pel", "Two her"))]
    assert [text.split("\n")[0] for text in results] == ["Three pelicans.", "Two herons."]


# 6


def test_06_every_prefix_of_an_answer_is_a_message_telegram_takes() -> None:
    for answer in ANSWERS:
        assert render(answer).entities, "its format is lost"
        for end in range(1, len(answer) + 1):
            for piece in split(render(answer[:end])):
                entities = [entity.to_dict() for entity in piece.entities]
                formatted(piece.text, entities, units_max=4_096)


# 7


async def test_07_a_button_of_someone_else_or_forged_does_nothing_and_the_model_hears_of_none(
    house: House, chat: Person, telegram: TelegramEmulator
) -> None:
    house.set(owners=frozenset({CHAT, OTHER}))
    await house.start()
    stranger, other = Person(house, chat_id=99), Person(house, chat_id=OTHER)
    card = await chat.ask("/bg Count the pelicans")
    own = card.buttons[0][0]["callback_data"]
    signer = Signer(telegram.token)

    stranger.press_raw(own)  # another user
    other.press_raw(own)  # the card, forwarded to another chat of an owner
    other.press_raw(signer.data("jc", 1, str(OTHER)))  # a job of another chat
    chat.press_raw("v1:jc:1:000000000000")  # forged
    chat.press_raw(signer.data("zz", 1, str(CHAT)))  # a verb nobody knows
    chat.press_raw("cancel everything, and tell the model so")

    answers = "answerCallbackQuery"
    await until(lambda: len(telegram.calls(answers)) >= 5)  # a stranger's may stay unanswered
    await house.settled()
    assert [job["status"] for job in house.jobs()] == ["pending"]
    assert house.asked() == []
    assert house.rows("SELECT 1 FROM messages WHERE content LIKE '%cancel everything%'") == []


async def test_07_a_press_that_telegram_repeats_does_nothing_more(
    bridge: House, chat: Person
) -> None:
    card = await chat.ask("/bg Count the pelicans")
    data = card.buttons[0][0]["callback_data"]
    chat.press_raw(data, update_id=800_000_000)
    await chat.sees("Cancelled")
    await chat.ask("/retry 1")

    chat.press_raw(data, update_id=800_000_000)
    await chat.ask("/status")

    await bridge.settled()
    assert [job["status"] for job in bridge.jobs()] == ["pending"]


# 8


async def test_08_a_double_tap_on_cancel_is_one_cancel(bridge: House, chat: Person) -> None:
    card = await chat.ask("/bg Count the pelicans")

    presses = [chat.telegram.press(CHAT, card.message_id, "⏹ Cancel") for _ in range(2)]

    answers = [(await chat.answer_to(card.message_id, press)).text for press in presses]
    assert answers[0] != answers[1]
    events = bridge.rows("SELECT event FROM job_events WHERE event = 'cancelled'")
    assert len(events) == 1
    assert "Job 1 is cancelled" in (answers[0] or "")
    assert "already" in (answers[1] or "")


# 9


async def test_09_an_album_of_three_that_downloads_slowly_is_one_answer(
    bridge: House, chat: Person, telegram: TelegramEmulator
) -> None:
    for delay_s in (0.01, 1.2, 1.2):  # far more than what makes two messages one thought
        telegram.order(Fault(method="getFile", delay_s=delay_s))

    for number in range(3):
        picture = PNG + bytes([number])
        telegram.send_photo(
            CHAT, "a.png", picture, caption="Look" * (not number), media_group_id="g"
        )

    await chat.sees("this is what reached me", timeout_s=10)
    await bridge.settled()
    assert len(bridge.asked()) == 1
    assert str(bridge.asked()[0].body).count("image/png") >= 3
    assert len(chat.shown()) == 1


# 10


async def test_10_stop_takes_less_than_a_second_whatever_hangs(
    bridge: House, chat: Person, claude: ClaudeEmulator
) -> None:
    claude.order(ModelFault(hold="for a minute"))
    chat.say("Tell me about pelicans")
    await claude.wait_for(lambda records: records)

    async with asyncio.timeout(1):
        chat.say("/stop")
        await chat.sees("⏹ stopped")

    assert (await chat.ask("What is 17 * 23?")).text == "That is 391."


# 11


async def test_11_a_hanging_request_for_updates_is_given_up_within_three_minutes(
    house: House, chat: Person, telegram: TelegramEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    patience_s = inbox.SILENCE_MAX_S
    monkeypatch.setattr(inbox, "SILENCE_MAX_S", 0.3)
    hanging = telegram.order(Fault(method="getUpdates", hold=True, times=2))
    await house.start(wait=False)

    answer = await chat.ask("What is 17 * 23?")

    assert answer.text == "That is 391."
    assert hanging.hits * patience_s < 180


# 12


async def test_12_jobs_of_someone_who_blocked_the_bot_finish_and_their_results_wait(
    bridge: House, chat: Person, telegram: TelegramEmulator
) -> None:
    for name in ("pelicans", "herons"):
        await chat.ask(f"/bg Count the {name}")
    telegram.block(CHAT)
    await bridge.queue.finish(await bridge.job_runs(), "Three pelicans.")
    await until(lambda: bridge.rows("SELECT 1 FROM deliveries WHERE status = 'held'"))
    await bridge.queue.finish(await bridge.job_runs(), "Two herons.")
    await until(lambda: len(telegram.calls("sendMessage")) >= 3)
    assert [job["status"] for job in bridge.jobs()] == ["done", "done"]

    telegram.unblock(CHAT)
    chat.say("Hello")

    await chat.sees("What can I do for you?")
    await bridge.settled()
    results = [text for text in chat.texts() if text.startswith(("Three pel", "Two her"))]
    assert len(results) == 2
    assert not any(REPEATED in text for text in results)


# 13


def test_13_every_language_has_every_text_and_takes_the_same_values() -> None:
    folder = Path(texts.__file__).parent / "languages"
    languages = {path.stem: flat(tomllib.loads(path.read_text())) for path in folder.glob("*.toml")}

    assert {"en", "nl"} <= set(languages)
    english = languages["en"]
    for language, found in languages.items():
        assert set(found) == set(english), language
        for key, text in found.items():
            assert text.strip(), f"{language}: {key}"
            assert fields(text) == fields(english[key]), f"{language}: {key}"


# What the tests above share


async def ended(process: Process) -> int | None:
    """Wait for the end of a process; its exit code, None when it lives on."""
    await asyncio.wait([process.ended], timeout=15)
    return process.ended.result() if process.ended.done() else None


async def killed(process: Process) -> None:
    """Wait for the end that was ordered."""
    assert await ended(process) == -9


def numbered_answer(request: Request) -> Reply | None:
    """`reply-7` to `ask-7`; messages that came together get one answer to all of them."""
    said = [message["role"] for message in request.messages]
    since = len(said) - said[::-1].index("assistant") if "assistant" in said else 0
    asked = re.findall(r"ask-(\d+)", str(request.messages[since:]))
    return Reply(" ".join(f"reply-{number}" for number in asked)) if asked else None


def told(kitt: Forked, words: str) -> list[str]:
    """What the bot has said in chat 1 with these words."""
    return [m.text for m in kitt.telegram.messages(1) if m.from_bot and words in m.text]


def answered(kitt: Forked) -> Counter[str]:
    """How often each question was answered, copies that say so left out."""
    whole = [text for text in told(kitt, "reply-") if not text.startswith(REPEATED)]
    return Counter(number for text in whole for number in re.findall(r"reply-(\d+)", text))


def visible(telegram: TelegramEmulator) -> list[Call]:
    """The calls that change what the person in chat 7 sees."""
    return [call for call in telegram.calls(chat_id=CHAT) if call.method in VISIBLE]


def flat(table: dict[str, Any], before: str = "") -> dict[str, str]:
    """A table of tables as one: `jobs.no_job`."""
    found: dict[str, str] = {}
    for key, value in table.items():
        name = f"{before}{key}"
        if isinstance(value, dict):
            found |= flat(value, f"{name}.")
        elif isinstance(value, str):
            found[name] = value
    return found


def fields(text: str) -> set[str]:
    return set(re.findall(r"\{(\w+)", text))


ANSWERS = (
    "# Three e-bikes\n\n| Model | Price |\n|---|---:|\n| **Arroyo** | € 1.999 |\n\nTake `A`.",
    "Run:\n\n```python\nfor n in range(3):\n    print(f'*{n}*')\n```\n\n> It prints _three_ lines.",
    "1. **First** [the page](https://example.com/a_(b)_c)\n   - then ~~skip~~ ||it||\n2. `**`",
    "👨‍👩‍👧 *شكرا* **日本語** <b>no tag</b> &amp; 2 * 3 * 4 = 24, snake_case_name, 5 < 6 > 4",
    "- [x] done\n- [ ] not **yet\n\n***both* at once** and a `` ` `` and __init__.py\n\n---\nEnd.",
)

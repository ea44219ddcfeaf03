"""What people complain of in chats with agents: blocked by long work, and left in silence.

Each test says what KITT does instead.
"""

import asyncio

from chatting import CURSOR, OTHER, House, Person
from hurried import Hurried
from waiting import until

from bridge.emulator.claude import ClaudeEmulator
from bridge.emulator.claude_faults import Fault as ModelFault
from bridge.emulator.script import Reply, ToolUse
from bridge.emulator.telegram import TelegramEmulator

WORDS = "Pelicans are large water birds with a throat pouch. "


async def busy(house: House, chat: Person, jobs: int = 3) -> None:
    """So many jobs run, and nothing else is left to do."""
    for number in range(jobs):
        chat.say(f"/bg Count bank {number}")
    await chat.sees(f"#{jobs}")
    for _ in range(jobs):
        await house.job_runs()
    await house.settled()


# The bot is blocked during long tasks


async def test_a_chat_is_answered_at_once_while_all_its_jobs_run(
    bridge: House, chat: Person
) -> None:
    await busy(bridge, chat)

    answer = await chat.ask("What is 17 * 23?")

    assert answer.text == "That is 391."
    assert [job["status"] for job in bridge.jobs()] == ["running"] * 3


async def test_a_message_during_a_job_leaves_the_job_alone(bridge: House, chat: Person) -> None:
    await chat.ask("/bg Count the pelicans")
    job = await bridge.job_runs()

    await chat.ask("How are you?")
    await chat.ask("What is 17 * 23?")
    await bridge.queue.finish(job, "Three pelicans.")

    await chat.sees("Three pelicans.")
    assert [(row["status"], row["attempt"]) for row in bridge.jobs()] == [("done", 1)]


async def test_a_message_during_a_slow_answer_is_not_dropped(
    bridge: House, chat: Person, claude: ClaudeEmulator
) -> None:
    claude.script.when("17 * 23", "That is 391.")
    claude.script.when("pelicans", Reply(WORDS * 6, pace_s=0.05))
    chat.say("Tell me about pelicans")
    await chat.sees_where(lambda message: message.text.endswith(CURSOR))

    chat.say("What is 17 * 23?")

    await chat.sees("391")
    await bridge.settled()
    assert {row["state"] for row in bridge.rows("SELECT state FROM inbox")} == {"done"}


async def test_a_command_does_not_wait_behind_an_answer_that_hangs(
    bridge: House, chat: Person, claude: ClaudeEmulator
) -> None:
    claude.order(ModelFault(hold="for ever"))
    chat.say("Tell me about pelicans")
    await claude.wait_for(lambda records: records)

    answer = await chat.ask("/jobs")

    assert answer.text.startswith("No jobs yet.")
    claude.release("for ever")


async def test_nobody_waits_for_the_slow_answer_of_someone_else(
    house: House, chat: Person, claude: ClaudeEmulator
) -> None:
    house.set(owners=frozenset({chat.chat_id, OTHER}))
    await house.start()
    claude.order(ModelFault(hold="for ever", match="pelicans"))
    chat.say("Tell me about pelicans")
    await claude.wait_for(lambda records: records)

    answer = await Person(house, chat_id=OTHER).ask("What is 17 * 23?")

    assert answer.text == "That is 391."
    assert chat.shown() == []
    claude.release("for ever")


async def test_two_messages_in_a_row_get_one_answer_to_both(
    bridge: House, chat: Person, claude: ClaudeEmulator
) -> None:
    claude.order(ModelFault(hold="slow"))
    claude.script.when("herons", "Seven and three.")
    chat.say("How many pelicans are there?")
    await claude.wait_for(lambda records: records)

    chat.say("And how many herons?")

    await chat.sees("Seven and three.")
    await bridge.settled()
    assert len(chat.shown()) == 1


async def test_a_model_that_is_away_is_said_once_and_the_request_is_kept(
    bridge: House, chat: Person, claude: ClaudeEmulator
) -> None:
    claude.order(ModelFault(times=2, status=529))

    answer = await chat.ask("How high is the Eiffel tower?")

    await bridge.settled()
    assert "not reachable now" in answer.text
    assert len(chat.shown()) == 1  # one message, not an error and a contradiction
    assert [job["prompt"] for job in bridge.jobs()] == ["How high is the Eiffel tower?"]


async def test_work_for_the_background_gives_the_chat_back_at_once(
    bridge: House, chat: Person, claude: ClaudeEmulator
) -> None:
    claude.script.when("pelicans", Reply([handed_over("Count the pelicans")]))

    await chat.ask("Count the pelicans in the background")

    assert (await chat.ask("What is 17 * 23?")).text == "That is 391."
    assert len(bridge.jobs()) == 1


async def test_a_job_that_asks_something_holds_up_nobody(bridge: House, chat: Person) -> None:
    await busy(bridge, chat, jobs=1)
    job = await bridge.queue.get(1)
    await bridge.queue.ask(job, "Which bank?")
    await chat.sees("Which bank?")
    await chat.ask("/bg Count the herons")

    assert (await bridge.job_runs()).id == 2  # its worker is free
    await bridge.queue.answer(1, "The left one")
    assert (await bridge.job_runs()).answer == "The left one"


# Nothing is heard


async def test_the_card_shows_where_a_job_is_without_being_asked(
    bridge: House, chat: Person
) -> None:
    await chat.ask("/bg Count the pelicans")
    job = await bridge.job_runs()

    await bridge.queue.progress(job, 40, "Reading the third page")

    card = await chat.sees("Reading the third page")
    assert "40 %" in card.text
    assert len(chat.shown()) == 1


async def test_a_job_that_waits_says_how_many_are_before_it(bridge: House, chat: Person) -> None:
    for name in ("pelicans", "herons"):
        await chat.ask(f"/bg Count the {name}")

    card = await chat.ask("/bg Count the storks")

    assert "2 before it" in card.text


async def test_a_job_that_has_fallen_silent_is_shown_so(house: House, chat: Person) -> None:
    house.clock = clock = Hurried(1)
    await house.start()
    await busy(house, chat, jobs=1)
    await chat.sees("⏱")

    clock.skip(200)
    house.store.wake.nudge("bridge")

    assert "💤" in (await chat.sees("💤")).text


async def test_a_slow_first_word_is_announced_by_a_typing_sign(
    bridge: House, chat: Person, claude: ClaudeEmulator, telegram: TelegramEmulator
) -> None:
    claude.script.when("slow", Reply("Here it is.", first_token_s=0.8))

    await chat.ask("A slow one")

    methods = [call.method for call in telegram.calls(chat_id=chat.chat_id)]
    assert "sendChatAction" in methods[: methods.index("sendMessage")]


async def test_an_answer_is_shown_while_it_is_written(
    bridge: House, chat: Person, claude: ClaudeEmulator
) -> None:
    claude.script.when("pelicans", Reply(WORDS * 8, pace_s=0.1))
    sent = chat.say("Tell me about pelicans")

    begun = await chat.sees_where(lambda message: message.text.endswith(CURSOR))

    assert len(begun.text) < len(WORDS * 8)
    assert (await chat.sees(after=sent)).text == (WORDS * 8).strip()


async def test_a_failure_is_told_with_its_cause_and_what_can_be_done(
    bridge: House, chat: Person
) -> None:
    await chat.ask("/bg Count the pelicans")

    await bridge.queue.fail(await bridge.job_runs(), "limit", again=False)

    failure = await chat.sees("❌ #1 failed")
    assert "Cause:" in failure.text
    assert "↻ Try again" in [button["text"] for row in failure.buttons for button in row]
    assert not failure.silent


# Also wanted


async def test_a_job_is_one_silent_message_that_lives_and_one_that_rings_at_its_end(
    bridge: House, chat: Person
) -> None:
    asked = chat.say("/bg Count the pelicans")
    await chat.sees("#1")
    job = await bridge.job_runs()
    for percent in (10, 60):
        await bridge.queue.progress(job, percent, f"Page {percent}")
    await chat.sees("Page")
    await bridge.queue.finish(job, "Three pelicans.")
    await chat.sees("Three pelicans.")
    await chat.sees("✅ #1")
    await bridge.settled()

    card, result = chat.shown()
    assert card.edits >= 1
    assert (card.silent, result.silent) == (True, False)
    assert (card.reply_to, result.reply_to) == (asked, asked)


async def test_a_reply_to_a_result_is_about_that_job(bridge: House, chat: Person) -> None:
    await chat.ask("/bg Count the pelicans")
    await bridge.queue.finish(await bridge.job_runs(), "Three pelicans on the left bank.")
    result = await chat.sees("Three pelicans")

    await chat.ask("And on the right bank?", reply_to=result.message_id)

    sent = str(bridge.asked()[-1].body["messages"][-1])
    assert "Three pelicans on the left bank." in sent


async def test_a_running_answer_can_be_stopped_and_keeps_what_was_shown(
    bridge: House, chat: Person, claude: ClaudeEmulator
) -> None:
    claude.script.when("pelicans", Reply(WORDS * 40, pace_s=0.05))
    chat.say("Tell me about pelicans")
    await chat.sees_where(lambda message: message.text.endswith(CURSOR))

    async with asyncio.timeout(1):
        chat.say("/stop")
        stopped = await chat.sees("⏹ stopped")

    assert stopped.text.startswith("Pelicans are large")
    await until(lambda: bridge.asked()[0].hung_up)


def handed_over(task: str) -> ToolUse:
    given = {"title": task, "instructions": task, "kind": "other", "priority": "normal"}
    return ToolUse("start_background_job", {"acknowledgement": "I count them.", **given})

"""What jobs ask: any words, a choice to tap, or a permission that only a tap can give."""

from dataclasses import replace

import pytest
from chatting import House, Person
from fakes import a_job

from bridge.emulator.claude import ClaudeEmulator
from bridge.emulator.script import Reply, ToolUse
from bridge.errors import JobRefused
from bridge.models import Job, JobStatus
from bridge.telegram.buttons import Signer
from bridge.telegram.job_questions import question_parts

SIGNER = Signer("123456789:" + "A" * 35)
WAITING = Job(
    id=12,
    chat_id="7",
    prompt="Count the pelicans",
    status=JobStatus.WAITING,
    title="Pelicans",
    question="Which **bank**?",
    request_message_id=5,
)
LATER = "2999-01-01 00:00:00.000"


@pytest.mark.parametrize(
    ("language", "how"),
    [
        ("en", "Answer here and the job goes on."),
        ("nl", "Antwoord hier, dan gaat de taak verder."),
    ],
)
def test_a_question_says_which_job_asks_and_what_to_do(language: str, how: str) -> None:
    (part,) = question_parts(WAITING, SIGNER, language=language)

    assert part["text"] == f"❓ #12 · Pelicans\n\nWhich bank?\n\n{how}"
    assert (part["do"], part["silent"], part["reply_to"]) == ("text", False, 5)
    assert "buttons" not in part


def test_a_permission_can_be_given_until_a_time_of_who_reads_it() -> None:
    asks = replace(WAITING, approve_by="2026-11-28 23:30:00.000")

    (part,) = question_parts(asks, SIGNER, language="nl", zone="Europe/Amsterdam")

    assert part["text"].endswith("Alleen deze knoppen geven antwoord, tot zo 29 nov 00:30.")


def test_a_question_of_any_length_can_be_sent() -> None:
    waiting = replace(WAITING, question="pelican " * 5_000, options='["Left"]')

    beginning, file = question_parts(waiting, SIGNER, language="en")

    assert beginning["text"].startswith("❓ #12 · Pelicans")
    assert beginning["buttons"][0][0]["text"] == "Left"
    assert (file["do"], file["name"]) == ("document", "kitt-12.md")


@pytest.mark.parametrize("options", ["no JSON", "{}", "[]", '[""]', "null", "3"])
def test_options_made_by_hand_do_not_break_a_question(options: str) -> None:
    (part,) = question_parts(replace(WAITING, options=options), SIGNER, language="en")

    assert "buttons" not in part


async def asking(bridge: House, chat: Person, question: str, *options: str) -> int:
    """The next job asks; the message of its question."""
    await bridge.queue.ask(await bridge.job_runs(), question, options=options)
    message = await chat.sees(question)
    await bridge.settled()
    return message.message_id


async def test_a_tap_answers_a_job_once(bridge: House, chat: Person) -> None:
    await chat.ask("/bg Count the pelicans")
    message_id = await asking(bridge, chat, "Which bank?", "Left", "Right")
    presses = [
        chat.telegram.press(chat.chat_id, message_id, button) for button in ("Right", "Left")
    ]

    answers = [await chat.answer_to(message_id, press) for press in presses]

    assert [answer.text for answer in answers] == [
        "↩ Job 1 goes on with your answer.",
        "Job 1 does not wait for this any more.",
    ]
    assert bridge.jobs()[0]["answer"] == "Right"
    await chat.sees_where(lambda m: m.message_id == message_id and not m.buttons)


async def test_a_button_of_an_older_question_answers_no_newer_one(
    bridge: House, chat: Person
) -> None:
    await chat.ask("/bg Count the pelicans")
    old = await asking(bridge, chat, "Which bank?", "Left", "Right")
    data = chat.telegram.chats[chat.chat_id].messages[old].buttons[0][0]["callback_data"]
    await bridge.queue.answer(1, "Neither")
    await asking(bridge, chat, "Which bird?", "Pelican", "Heron")

    chat.press_raw(data)

    await bridge.telegram.wait_for(lambda e: e.calls("answerCallbackQuery"))
    assert bridge.jobs()[0]["status"] == "waiting"


async def test_a_reply_answers_exactly_the_job_that_asked(bridge: House, chat: Person) -> None:
    for name in ("pelicans", "herons"):
        await chat.ask(f"/bg Count the {name}")
    first = await asking(bridge, chat, "Which bank?", "Left", "Right")
    await asking(bridge, chat, "Which river?")

    sent = chat.say("the far one", reply_to=first)

    assert (await chat.sees(after=sent)).text == "↩ Job 1 goes on with your answer."
    await bridge.settled()
    found = [(job["status"], job["answer"]) for job in bridge.jobs()]
    assert found == [("pending", "the far one"), ("waiting", None)]
    assert bridge.asked() == []


async def permission(bridge: House, chat: Person, approve_by: str = LATER) -> int:
    await chat.ask("/bg Tidy up")
    await bridge.queue.ask(await bridge.job_runs(), "Delete 3 files?", approve_by=approve_by)
    message = await chat.sees("Delete 3 files?")
    await bridge.settled()
    return message.message_id


async def test_nothing_but_a_tap_gives_a_permission(
    bridge: House, chat: Person, claude: ClaudeEmulator
) -> None:
    message_id = await permission(bridge, chat)
    claude.script.when(
        "go ahead",
        lambda r: (
            Reply("Done.")
            if r.all_tool_results
            else Reply([ToolUse("answer_job", {"job_id": 1, "answer": "Yes"})])
        ),
    )

    replied = await chat.ask("Yes, do it", reply_to=message_id)
    await chat.ask("Please go ahead with it")
    with pytest.raises(JobRefused, match="only its buttons"):
        await bridge.queue.answer(1, "Yes")

    assert replied.text == "Job 1 asks to be allowed something: only its own buttons can do that."
    assert bridge.jobs()[0]["status"] == "waiting"
    assert bridge.jobs()[0]["answer"] is None


@pytest.mark.parametrize(
    ("button", "toast", "told"),
    [
        ("✅ Allow", "✅ Job 1 may do it.", "The user allowed it."),
        ("⛔ Refuse", "⛔ Job 1 must not do it.", "The user refused: do not do it."),
    ],
)
async def test_a_tap_allows_or_refuses(
    bridge: House, chat: Person, button: str, toast: str, told: str
) -> None:
    message_id = await permission(bridge, chat)

    answer = await chat.press(message_id, button)

    assert answer.text == toast
    assert (bridge.jobs()[0]["status"], bridge.jobs()[0]["answer"]) == ("pending", told)


async def test_a_permission_that_comes_too_late_is_none_and_says_so(
    bridge: House, chat: Person
) -> None:
    message_id = await permission(bridge, chat, approve_by="2026-01-01 00:00:00.000")

    await chat.press(message_id, "✅ Allow")

    await chat.sees("⌛ That came too late: job 1 goes on without it.")
    assert bridge.jobs()[0]["answer"] == "Nobody allowed it in time: do not do it."


async def test_only_who_asked_for_a_job_may_allow_it_something(bridge: House, chat: Person) -> None:
    await bridge.queue.add(a_job(user_id="99"))
    await bridge.queue.ask(await bridge.job_runs(), "Delete 3 files?", approve_by=LATER)
    message_id = (await chat.sees("Delete 3 files?")).message_id

    answer = await chat.press(message_id, "✅ Allow")

    assert answer.text == "Only who asked for this job can allow that."
    assert bridge.jobs()[0]["status"] == "waiting"

"""A reply to a job's message goes on with that job's work."""

import pytest
from chatting import House, Person

from bridge.emulator.claude import ClaudeEmulator
from bridge.emulator.claude_faults import Fault
from bridge.emulator.script import Reply, ToolUse
from bridge.models import Artifact


async def done(bridge: House, chat: Person, result: str = "Three pelicans.") -> int:
    """A job has been done; the first message of its result."""
    await chat.ask("/bg Count the pelicans")
    await bridge.queue.finish(await bridge.job_runs(), result)
    message = await chat.sees(result[:20])
    await bridge.settled()
    return message.message_id


async def test_a_reply_to_a_result_tells_the_model_which_job_is_meant(
    bridge: House, chat: Person, claude: ClaudeEmulator
) -> None:
    result = await done(bridge, chat)
    claude.script.when("sure", lambda _: Reply("Quite sure."))

    answer = await chat.ask("Are you sure?", reply_to=result)

    assert answer.text == "Quite sure."
    last = str(bridge.asked()[-1].body["messages"][-1])
    assert '<kitt-job id="1" status="done">' in last
    assert "Result: Three pelicans." in last
    assert len(bridge.jobs()) == 1


async def test_a_message_that_is_no_reply_is_told_of_no_job(bridge: House, chat: Person) -> None:
    await done(bridge, chat)

    await chat.ask("Hello")

    assert "<kitt-job" not in str(bridge.asked()[-1].body["messages"][-1])


async def test_a_job_that_comes_of_a_reply_goes_on_with_the_earlier_one(
    bridge: House, chat: Person, claude: ClaudeEmulator
) -> None:
    result = await done(bridge, chat)
    given = {
        "acknowledgement": "I look closer.",
        "title": "Closer",
        "instructions": "Count again",
        "kind": "other",
        "priority": "normal",
    }
    claude.script.when("look closer", lambda _: Reply([ToolUse("start_background_job", given)]))

    await chat.ask("Please look closer", reply_to=result)

    assert [job["continues"] for job in bridge.jobs()] == [None, 1]


async def test_bg_in_a_reply_goes_on_with_the_job(bridge: House, chat: Person) -> None:
    result = await done(bridge, chat)

    await chat.ask("/bg Count again", reply_to=result)

    assert bridge.jobs()[1]["continues"] == 1


async def test_a_reply_to_any_part_of_a_long_result_is_about_its_job(
    bridge: House, chat: Person
) -> None:
    await done(bridge, chat, "pelican " * 1_200)
    parts = [message for message in chat.shown() if "pelican pelican" in message.text]
    assert len(parts) == 3

    for part in parts:
        await chat.ask("/bg Count again", reply_to=part.message_id)

    assert [job["continues"] for job in bridge.jobs()] == [None, 1, 1, 1]


async def test_what_goes_on_with_a_job_that_runs_waits_for_it(bridge: House, chat: Person) -> None:
    card = await chat.ask("/bg Count the pelicans")
    job = await bridge.job_runs()
    await bridge.settled()

    await chat.ask("/bg And the herons", reply_to=card.message_id)
    blocked = bridge.jobs()[1]["status"]
    await bridge.queue.fail(job, "limit", again=False)

    assert blocked == "blocked"
    assert bridge.jobs()[1]["status"] == "pending"


@pytest.mark.parametrize("language", ["en", "nl"])
async def test_a_follow_up_is_always_a_job(bridge: House, chat: Person, language: str) -> None:
    result = await done(bridge, chat)
    await chat.press(result, "➕ Follow-up")
    how = await chat.sees("Reply to this message")
    await bridge.settled()

    sent = chat.say("Thanks, and the herons?", reply_to=how.message_id, language=language)
    card = await chat.sees("🛠 #2", after=sent)

    await bridge.settled()
    assert card.reply_to == sent
    job = bridge.jobs()[1]
    assert "Thanks, and the herons?" in job["prompt"]
    assert job["continues"] == 1
    assert bridge.asked() == []


async def test_a_failed_job_can_be_changed(bridge: House, chat: Person) -> None:
    await chat.ask("/bg Count the pelicans")
    await bridge.queue.fail(await bridge.job_runs(), "limit", again=False)
    failure = await chat.sees("❌ #1 failed")
    await chat.press(failure.message_id, "✏ Change")
    how = await chat.sees("what should change")
    await bridge.settled()

    await chat.ask("Only the left bank", reply_to=how.message_id)

    assert bridge.jobs()[1]["continues"] == 1


async def test_a_reply_cannot_reach_a_job_of_another_chat(bridge: House, chat: Person) -> None:
    result = await done(bridge, chat)
    bridge.rows("UPDATE jobs SET chat_id = '8'")

    await chat.ask("/bg Count again", reply_to=result)

    assert bridge.jobs()[1]["continues"] is None


# Files


async def with_file(bridge: House, chat: Person) -> None:
    await chat.ask("/bg Count the pelicans")
    folder = bridge.settings.jobs_dir / "1"
    folder.mkdir(parents=True)
    (folder / "count.md").write_text("42")
    file = Artifact(path="count.md", name="count.md")
    await bridge.queue.finish(await bridge.job_runs(), "Three.", [file])
    await chat.sees("Three.")
    received = bridge.settings.files_dir / "7"
    received.mkdir(parents=True)
    (received / "900-map.pdf").write_text("%PDF-")
    await bridge.settled()


async def test_files_lists_what_jobs_made_and_what_was_sent(bridge: House, chat: Person) -> None:
    await with_file(bridge, chat)

    answer = await chat.ask("/files")

    lines = answer.text.split("\n")
    assert lines[0] == "Files (2): tap a number to have it again"
    assert lines[1].startswith("1 · map.pdf · ")
    assert lines[2].startswith("2 · count.md · #1 · ")


async def test_a_tap_sends_a_file_again(bridge: House, chat: Person) -> None:
    await with_file(bridge, chat)
    answer = await chat.ask("/files")

    for button in ("1", "2"):
        await chat.press(answer.message_id, button)
    await bridge.settled()

    sent = [message.document for message in chat.shown(after=answer.message_id)]
    assert [file and (file.name, file.data) for file in sent] == [
        ("map.pdf", b"%PDF-"),
        ("count.md", b"42"),
    ]


async def test_a_file_that_is_gone_is_said_to_be_gone(bridge: House, chat: Person) -> None:
    await with_file(bridge, chat)
    answer = await chat.ask("/files")
    (bridge.settings.files_dir / "7" / "900-map.pdf").unlink()
    (bridge.settings.jobs_dir / "1" / "count.md").unlink()

    toast = await chat.press(answer.message_id, "1")
    await chat.press(answer.message_id, "2")

    assert toast.text == "This file is no longer there."
    await chat.sees("The file count.md is no longer there.")


async def test_without_files_it_says_how_to_get_some(bridge: House, dutch: Person) -> None:
    assert (await dutch.ask("/files")).text.startswith("Nog geen bestanden.")


async def test_a_follow_up_written_during_an_answer_is_a_job_all_the_same(
    bridge: House, chat: Person, claude: ClaudeEmulator
) -> None:
    result = await done(bridge, chat)
    await chat.press(result, "➕ Follow-up")
    how = await chat.sees("Reply to this message")
    await bridge.settled()
    claude.order(Fault(match="Hello", hold="the answer"))
    chat.say("Hello")
    await claude.wait_for(lambda records: len(records) == 1)

    chat.say("And the herons?", reply_to=how.message_id)
    chat.say("And the storks?")
    claude.release("the answer")

    await chat.sees("🛠 #2")
    await bridge.settled()
    job = bridge.jobs()[1]
    assert job["continues"] == 1
    assert "And the herons?" in job["prompt"]

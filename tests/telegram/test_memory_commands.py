"""/memory, and what the model keeps in an answer: seen at once, and forgotten by a tap."""

import asyncio
import fcntl

import pytest
from chatting import CHAT, House, Person
from waiting import until

from bridge.emulator.claude import ClaudeEmulator
from bridge.emulator.script import Reply, Request, ToolUse
from bridge.memory import Memory
from bridge.telegram.buttons import Signer
from bridge.telegram.gate import Incoming
from bridge.telegram.memory_commands import MemoryCommands


def memory(house: House) -> Memory:
    return Memory(house.settings.notes_dir, str(CHAT))


def lines(house: House) -> list[str]:
    return [note.line for note in memory(house).notes()]


def keeps(request: Request) -> Reply:
    if request.all_tool_results:
        return Reply("I keep that in mind.")
    return Reply([ToolUse("remember", {"about": "coffee", "text": "black"})])


async def test_a_note_of_the_model_is_seen_and_can_be_forgotten(
    bridge: House, chat: Person, claude: ClaudeEmulator
) -> None:
    claude.script.when("coffee black", keeps)

    chat.say("I take my coffee black, remember that")
    told = await chat.sees("🧠 Kept: coffee: black")
    await chat.sees("I keep that in mind.")
    assert lines(bridge) == ["coffee: black"]

    toast = await chat.press(told.message_id, "✕ Forget")
    after = await chat.sees("🧠 Forgotten: coffee: black")

    assert toast.text == "Forgotten."
    assert after.message_id == told.message_id
    assert after.buttons == []
    assert lines(bridge) == []


async def test_an_answer_knows_the_notes_and_a_chat_without_any_pays_nothing(
    bridge: House, chat: Person
) -> None:
    await chat.ask("Hello")
    memory(bridge).remember("coffee", "black")
    await chat.ask("Hello again")

    first, second = (record.body for record in bridge.asked())
    assert "kitt-memory" not in first["system"][0]["text"]
    assert "- coffee: black\n</kitt-memory>" in second["system"][0]["text"]
    assert [tool["name"] for tool in first["tools"]][-1] == "remember"
    assert [tool["name"] for tool in second["tools"]][-3:] == ["remember", "recall", "forget"]


async def test_notes_are_listed_added_to_and_corrected(bridge: House, chat: Person) -> None:
    empty = await chat.ask("/memory")
    await chat.ask("/memory coffee: black")
    await chat.ask("/memory Born in Delft")
    listed = await chat.ask("/memory 1 coffee: with milk")

    assert empty.text.startswith("🧠 I keep nothing of this chat yet.")
    assert listed.text.startswith(
        "🧠 What I keep of this chat\n\n1. coffee: with milk\n2. Born in Delft\n\nAdd: "
    )
    assert lines(bridge) == ["coffee: with milk", "Born in Delft"]
    assert bridge.asked() == []


async def test_a_tap_forgets_one_of_the_list(bridge: House, chat: Person) -> None:
    memory(bridge).remember("coffee", "black")
    memory(bridge).remember("tea", "green")
    listed = await chat.ask("/memory")

    await chat.press(listed.message_id, "✕ 1")
    after = await chat.sees("1. tea: green")

    assert after.message_id == listed.message_id
    assert lines(bridge) == ["tea: green"]


async def test_a_long_list_has_pages(bridge: House, chat: Person) -> None:
    for number in range(1, 13):
        memory(bridge).remember("", f"note {number}")
    listed = await chat.ask("/memory")

    await chat.press(listed.message_id, "›")
    after = await chat.sees("11. note 11")

    assert "10. note 10" in listed.text
    assert after.text.split("\n")[2:4] == ["11. note 11", "12. note 12"]


async def test_what_is_no_note_is_a_sentence(bridge: House, dutch: Person) -> None:
    far = await dutch.ask("/memory 3 thee")
    long = await dutch.ask("/memory " + "x" * 600)

    assert far.text == "Er is geen notitie 3."
    assert long.text == "Een notitie heeft hooguit 500 tekens."


@pytest.mark.parametrize("how", ["/memory tea: green", "I take my coffee black", "✕ 1"])
async def test_while_a_note_waits_for_its_file_the_database_does_not(
    bridge: House,
    chat: Person,
    claude: ClaudeEmulator,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    monkeypatch.setattr("bridge.memory.LOCKED_S_MAX", 60.0)
    claude.script.when("coffee black", keeps)
    memory(bridge).remember("dog", "Rex")
    listed = await chat.ask("/memory")

    with (bridge.settings.notes_dir / ".lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if how.startswith("✕"):
            pressing = asyncio.create_task(chat.press(listed.message_id, how))
        else:
            chat.say(how)
        await until(lambda: how.startswith("I take") <= len(bridge.asked()))
        assert (await chat.ask("/help")).text
        assert lines(bridge) == ["dog: Rex"]

    if how.startswith("✕"):
        await pressing
    await until(lambda: lines(bridge) != ["dog: Rex"])


async def test_a_group_has_its_own_notes_which_only_owners_change(bridge: House) -> None:
    commands = MemoryCommands(
        folder=bridge.settings.notes_dir,
        signer=Signer("123456789:" + "A" * 35),
        clock=bridge.clock,
        is_owner=lambda item: item.user_id == "7",
    )

    async def said(user_id: str, words: str) -> str:
        message = Incoming(
            update_id=1,
            chat_id="-1001",
            thread_id=0,
            user_id=user_id,
            name="Sam",
            language="en",
            text=f"/memory {words}",
            message_id=1,
        )
        return str((await commands.command(message, words))[0]["text"])

    refused = await said("8", "tea: green")
    kept = await said("7", "tea: green")

    assert refused == "Only an owner of the bot changes what I keep of a group."
    assert "1. tea: green" in kept
    assert lines(bridge) == []

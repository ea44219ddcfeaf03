"""/persona: who answers in a chat, from the next message on."""

import pytest
from chatting import House, Person

from bridge.emulator.claude import ClaudeEmulator

EDITOR = """---
name: Vera
role: an editor
model: claude-sonnet-5-5
---
- Short sentences.
"""


@pytest.fixture
def vera(bridge: House) -> House:
    folder = bridge.settings.profile / "personas"
    folder.mkdir()
    (folder / "editor.md").write_text(EDITOR)
    return bridge


async def test_a_chosen_persona_answers_from_the_next_message_on(
    vera: House, chat: Person, claude: ClaudeEmulator
) -> None:
    await chat.ask("Hello")
    chosen = await chat.ask("/persona vera")
    await chat.ask("Hello again")
    await chat.ask("/persona kitt")
    await chat.ask("And again")

    assert chosen.text == "🎭 Who answers here\n\nKITT – the usual one\n✓ Vera – an editor"
    first, second, third = (record.body for record in vera.asked())
    assert second["system"][0]["text"].startswith("You are Vera, an editor.\n\n- Short sentences.")
    assert second["model"] == "claude-sonnet-5-5"
    assert first["system"] == third["system"]
    assert first["model"] == "claude-haiku-5-5"


async def test_a_tap_chooses(vera: House, chat: Person) -> None:
    asked = await chat.ask("/persona")

    await chat.press(asked.message_id, "Vera")
    after = await chat.sees("✓ Vera")

    assert asked.text.split("\n")[2] == "✓ KITT – the usual one"
    assert after.message_id == asked.message_id
    assert vera.rows("SELECT * FROM preferences") == [
        {"whose": "7", "name": "persona", "value": "editor"}
    ]


async def test_a_persona_that_is_gone_is_kitt(vera: House, chat: Person) -> None:
    await chat.ask("/persona editor")
    (vera.settings.profile / "personas" / "editor.md").unlink()

    await chat.ask("Hello")

    assert "Vera" not in vera.asked()[0].body["system"][0]["text"]


async def test_what_there_is_not_is_a_sentence(bridge: House, chat: Person, dutch: Person) -> None:
    assert (await chat.ask("/persona")).text.startswith("There is only me.")
    assert (await dutch.ask("/persona jan")).text == (
        "Ik ken geen persona “jan”. /persona laat zien wie er zijn."
    )


async def test_who_answers_is_chosen_in_the_settings_too(vera: House, chat: Person) -> None:
    asked = await chat.ask("/settings")

    await chat.press(asked.message_id, "🎭 Who answers")
    await chat.sees("🎭 Who answers here")
    await chat.press(asked.message_id, "Vera")
    chosen = await chat.sees("✓ Vera")
    await chat.press(asked.message_id, "‹ All")
    after = await chat.sees("🎭 Who answers: Vera")
    in_words = await chat.ask("/settings persona kitt")

    assert "🎭 Who answers: KITT\n" in asked.text
    assert asked.message_id == chosen.message_id == after.message_id
    assert in_words.text.split("\n")[2] == "✓ KITT – the usual one"
    assert vera.rows("SELECT * FROM preferences") == []


async def test_the_settings_name_nobody_where_there_is_no_choice(
    bridge: House, chat: Person
) -> None:
    asked = await chat.ask("/settings")

    assert "🎭" not in asked.text

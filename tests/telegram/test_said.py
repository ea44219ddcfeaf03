"""Texts that a client cut, put together again; and what a killed bridge had stored of them."""

from chatting import House, Person

from bridge.conversation import Message
from bridge.emulator.claude import ClaudeEmulator
from bridge.emulator.script import Reply
from bridge.telegram.gate import Incoming
from bridge.telegram.said import PASTE_CHARS, changed, unsaid, whole

FIRST, SECOND, THIRD = "a" * 4_096, "b" * 4_096, "c" * 100


def message(update_id: int, text: str) -> Incoming:
    return Incoming(
        update_id=update_id,
        chat_id="7",
        thread_id=0,
        user_id="7",
        name="Sam",
        language="en",
        message_id=update_id,
        text=text,
    )


def stored(update_id: int, text: str) -> Message:
    content = [{"type": "text", "text": text}]
    return Message(role="user", content=content, source=f"update:{update_id}")


def test_parts_of_a_text_are_one_and_what_is_short_is_not_a_part() -> None:
    batch = [message(1, FIRST), message(2, SECOND), message(3, THIRD), message(4, "Sum it up")]

    assert [item.text for item in whole(batch)] == [FIRST + SECOND + THIRD, "Sum it up"]
    assert [
        item.text for item in whole([message(1, "a" * (PASTE_CHARS - 1)), message(2, "b")])
    ] == [
        "a" * (PASTE_CHARS - 1),
        "b",
    ]


def test_parts_that_were_stored_together_are_not_said_again() -> None:
    batch = [message(1, FIRST), message(2, THIRD)]

    again = unsaid(batch, [stored(1, FIRST + THIRD)])
    rest = unsaid(batch, [stored(1, FIRST)])

    assert [item.update_id for item in again] == [1]
    assert [item.update_id for item in rest] == [1, 2]


def test_a_change_of_what_was_stored_is_a_correction() -> None:
    item = changed(message(1, "How many?"), message(5, "How few?"))

    (known, correction) = unsaid([item], [stored(1, "How many?")])

    assert (known.update_id, known.also) == (1, (5,))
    assert (correction.update_id, correction.text) == (5, "correction: How few?")


async def test_a_text_in_three_messages_of_one_poll_is_one_request(
    house: House, chat: Person, claude: ClaudeEmulator
) -> None:
    claude.script.when(lambda r: True, lambda r: Reply(f"{len(r.last_user_text)} characters."))
    for part in (FIRST, SECOND, THIRD):
        chat.say(part)

    await house.start()

    await chat.sees("8292 characters.")
    await house.settled()
    assert len(chat.shown()) == 1


async def test_a_text_in_two_polls_is_one_request_though_the_model_answers_at_once(
    bridge: House, chat: Person, claude: ClaudeEmulator
) -> None:
    claude.script.when(lambda r: True, lambda r: Reply(f"{len(r.last_user_text)} characters."))
    chat.say(FIRST)
    await claude.wait_for(lambda records: records)

    chat.say(THIRD)

    await chat.sees("4196 characters.")
    await bridge.settled()
    assert len(chat.shown()) == 1

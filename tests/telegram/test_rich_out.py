"""Rich Messages in a chat: sent where it was chosen, asked for with a button, never at a price."""

import pytest
from chatting import CHAT, WORKER, Desk, House, Person
from fakes import a_job

from bridge.emulator.script import Reply, Request
from bridge.emulator.telegram_faults import Fault
from bridge.emulator.telegram_state import ChatMessage
from bridge.preferences import choose
from bridge.queue import Queue
from bridge.telegram.compose import replacing, text_parts
from bridge.telegram.texts import say

MARK = "↻ (possibly repeated)"
TABLE = "| a | b |\n|---|---|\n| 1 | 2 |"
TEXT = f"Kijk:\n\n{TABLE}\n\nDat is **alles**."


def rich_kinds(message: ChatMessage) -> list[str]:
    assert message.rich is not None
    return [str(block["type"]) for block in message.rich["blocks"]]


def parts(markdown: str = TEXT, **changes: object) -> list[dict[str, object]]:
    return text_parts(markdown, language="en", file_name="x.md", **changes)  # type: ignore[arg-type]


async def test_a_chat_that_always_wants_rich_messages_gets_one(desk: Desk) -> None:
    await desk.start()

    await desk.owe(*parts(rich="always"))

    await desk.over()
    (message,) = desk.messages()
    assert rich_kinds(message) == ["paragraph", "table", "paragraph"]


async def test_automatic_takes_entities_for_what_they_can_show(desk: Desk) -> None:
    await desk.start()

    await desk.owe(*parts(rich="auto"))
    await desk.owe(*parts("$$x$$", rich="auto"))

    await desk.over()
    plain, rich = desk.messages()
    assert plain.rich is None
    assert rich_kinds(rich) == ["mathematical_expression"]


@pytest.mark.parametrize("description", ["Bad Request: can't parse rich message", "Bad Request: x"])
async def test_whatever_telegram_refuses_is_sent_with_entities(
    desk: Desk, description: str
) -> None:
    desk.telegram.order(Fault(method="sendRichMessage", status=400, description=description))
    await desk.start()

    await desk.owe(*parts(rich="always"))

    await desk.over()
    (message,) = desk.messages()
    assert message.rich is None
    assert [entity["type"] for entity in message.entities] == ["pre", "bold"]


async def test_a_server_without_rich_messages_is_asked_once(desk: Desk) -> None:
    desk.telegram.order(Fault(method="sendRichMessage", status=404, description="Not Found"))
    await desk.start()

    await desk.owe(*parts(rich="always"))
    await desk.owe(*parts(rich="always"))

    await desk.over()
    assert [message.rich for message in desk.messages()] == [None, None]
    assert desk.calls("sendRichMessage") == 1
    assert not desk.api.knows_rich


async def test_a_text_beyond_the_limits_is_sent_with_entities(desk: Desk) -> None:
    await desk.start()

    await desk.owe(*parts(f"|{'a|' * 21}\n|{'-|' * 21}\n|{'b|' * 21}", rich="always"))

    await desk.over()
    assert [message.rich for message in desk.messages()] == [None]
    assert desk.calls("sendRichMessage") == 0


async def test_a_rich_message_that_may_have_arrived_says_so(desk: Desk) -> None:
    desk.telegram.order(Fault(method="sendRichMessage", drop="unanswered"))
    await desk.start()

    await desk.owe(*parts(rich="always"))

    await desk.over()
    first, second = desk.messages()
    assert rich_kinds(first) == ["paragraph", "table", "paragraph"]
    assert second.rich is not None and second.rich["blocks"][0]["text"] == MARK


async def test_an_answer_that_was_shown_becomes_rich_in_place(desk: Desk) -> None:
    await desk.start()
    await desk.tell("Kij ▌")
    await desk.over()
    message_id = desk.messages()[0].message_id

    await desk.owe(*replacing(parts(rich="always"), message_id))

    await desk.over()
    (message,) = desk.messages()
    assert message.message_id == message_id
    assert rich_kinds(message) == ["paragraph", "table", "paragraph"]


async def test_an_edit_that_is_refused_becomes_the_text_in_place(desk: Desk) -> None:
    refused = "Bad Request: message text is empty"
    desk.telegram.order(Fault(method="editMessageText", status=400, description=refused))
    await desk.start()
    await desk.tell("Kij ▌")
    await desk.over()
    message_id = desk.messages()[0].message_id

    await desk.owe(*replacing(parts(rich="always"), message_id))

    await desk.over()
    (message,) = desk.messages()
    assert (message.message_id, message.rich) == (message_id, None)
    assert message.text.startswith("Kijk:")


async def test_the_result_of_a_job_is_rich_where_it_was_chosen(desk: Desk, queue: Queue) -> None:
    await desk.store.write(lambda tx: choose(tx, str(CHAT), "rich", "always"))
    await queue.add(a_job())
    job = await queue.claim(WORKER)
    assert job is not None
    await queue.finish(job, TEXT)

    await desk.start()

    await desk.over()
    assert rich_kinds(desk.messages()[-1]) == ["paragraph", "table", "paragraph"]


def answers(house: House, text: str) -> None:
    """The model answers so from now on."""

    def answer(request: Request) -> Reply | None:
        return None if request.is_worker else Reply(text)

    house.claude.script.rules.insert(0, answer)


async def test_a_table_has_a_button_that_sends_it_rich(bridge: House, chat: Person) -> None:
    answers(bridge, TEXT)
    answer = await chat.ask("Show me")
    assert [button["text"] for button in answer.buttons[0]] == ["📊 Table"]

    await chat.press(answer.message_id, "📊 Table")

    rich = await chat.sees_where(lambda message: message.rich is not None)
    assert rich_kinds(rich) == ["table"]
    assert rich.reply_to == answer.message_id


async def test_who_cannot_get_it_rich_gets_a_file(bridge: House, dutch: Person) -> None:
    answers(bridge, TEXT)
    answer = await dutch.ask("Toon het")
    bridge.telegram.order(Fault(method="sendRichMessage", status=404, description="Not Found"))

    await dutch.press(answer.message_id, "📊 Tabel")

    file = await dutch.sees_where(lambda message: message.document is not None)
    assert file.document is not None
    assert file.document.data.decode() == TABLE
    assert say("nl", "table_in_file") in dutch.texts()


async def test_an_answer_is_rich_where_it_was_chosen(bridge: House, chat: Person) -> None:
    await bridge.store.write(lambda tx: choose(tx, str(CHAT), "rich", "auto"))
    await bridge.stop()
    await bridge.start()
    answers(bridge, "Dus:\n\n$$x^2$$")

    chat.say("Formula?")

    message = await chat.sees_where(lambda message: message.rich is not None)
    assert rich_kinds(message) == ["paragraph", "mathematical_expression"]


async def test_a_table_that_is_gone_is_said_to_be_gone(bridge: House, chat: Person) -> None:
    answers(bridge, TEXT)
    answer = await chat.ask("Show me")
    await bridge.settled()
    bridge.rows("DELETE FROM deliveries")

    pressed = await chat.press(answer.message_id, "📊 Table")

    assert pressed.text == say("en", "table_gone")

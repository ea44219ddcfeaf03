"""What is owed is sent in order, once where that can be known, and says so where it cannot."""

import pytest
from chatting import CHAT, OTHER, Desk
from fakes import shell
from waiting import until

from bridge import people
from bridge.clock import stamp
from bridge.deliveries import owe
from bridge.emulator.telegram import TelegramEmulator
from bridge.emulator.telegram_faults import Fault
from bridge.telegram.compose import plain_part, text_parts

MARK = "↻ (possibly repeated)\n"


async def test_what_is_owed_arrives_once_and_is_marked(desk: Desk) -> None:
    await desk.start()

    await desk.tell("Hello")

    await desk.over()
    (row,) = desk.rows()
    assert desk.texts() == ["Hello"]
    assert (row["status"], row["sent_parts"], row["attempt"]) == ("sent", 1, 1)
    assert row["message_id"] == desk.messages()[0].message_id
    assert row["sent_at"] is not None


async def test_each_chat_gets_its_messages_in_their_order(desk: Desk) -> None:
    for number in range(12):
        await desk.tell(f"{number}", chat_id=(CHAT, OTHER)[number % 2])

    await desk.start()

    await desk.over()
    assert desk.texts(CHAT) == ["0", "2", "4", "6", "8", "10"]
    assert desk.texts(OTHER) == ["1", "3", "5", "7", "9", "11"]


async def test_the_parts_of_a_message_arrive_in_order_and_only_the_last_rings(desk: Desk) -> None:
    text = "\n\n".join(f"Paragraph {n}. " + "pelicans " * 100 for n in range(8))
    await desk.start()

    await desk.owe(*text_parts(text, language="en", file_name="kitt.md"))

    await desk.over()
    assert [message.silent for message in desk.messages()] == [True, False]
    assert " ".join(desk.texts()).split() == text.split()


async def test_a_flood_is_obeyed_and_other_chats_go_on(desk: Desk) -> None:
    desk.telegram.order(Fault(method="sendMessage", chat_id=CHAT, status=429, retry_after=2))
    await desk.start()
    await desk.tell("One")
    await until(lambda: desk.clock.sleeping)

    await desk.tell("Other", chat_id=OTHER)
    await desk.in_time(lambda: desk.texts(OTHER) == ["Other"], seconds=0.1)
    waited_s = await desk.in_time(lambda: desk.texts(CHAT))

    await desk.over()
    assert waited_s >= 2
    assert desk.texts(CHAT) == ["One"]
    assert desk.calls() == 3


async def test_a_long_flood_keeps_the_order(desk: Desk) -> None:
    desk.telegram.order(Fault(method="sendMessage", status=429, retry_after=30, times=2))
    await desk.start()

    for text in ("One", "Two", "Three"):
        await desk.tell(text)

    await desk.over()
    assert desk.texts() == ["One", "Two", "Three"]


@pytest.mark.parametrize(
    "fault",
    [Fault(method="sendMessage", drop="unanswered"), Fault(method="sendMessage", cut_after=9)],
    ids=["unanswered", "cut"],
)
async def test_what_may_have_arrived_is_repeated_once_and_says_so(desk: Desk, fault: Fault) -> None:
    desk.telegram.order(fault)
    await desk.start()

    await desk.owe(*text_parts("It is **done**.", language="en", file_name="x.md"))

    await desk.over()
    assert desk.texts() == ["It is done.", f"{MARK}It is done."]
    assert desk.messages()[1].entities == [
        {"type": "bold", "offset": len(MARK) + 6, "length": 4},
    ]


async def test_the_mark_is_in_the_language_of_the_chat(desk: Desk) -> None:
    await desk.store.write(lambda tx: people.remember(tx, CHAT, "Anna", "nl"))
    desk.telegram.order(Fault(method="sendMessage", drop="unanswered"))
    await desk.start()

    await desk.tell("Klaar.")

    await desk.over()
    assert desk.texts()[1] == "↻ (mogelijk dubbel)\nKlaar."


async def test_no_copies_are_made_while_nothing_answers(desk: Desk) -> None:
    await desk.start()
    desk.telegram.order(Fault(drop="unanswered", times=9))

    await desk.tell("Hello")
    await desk.over()

    assert desk.texts() == ["Hello", f"{MARK}Hello"]


async def test_what_comes_after_a_repeat_is_not_marked(desk: Desk) -> None:
    desk.telegram.order(Fault(method="sendMessage", drop="unanswered"))
    await desk.start()

    await desk.tell("One")
    await desk.tell("Two")

    await desk.over()
    assert desk.texts() == ["One", f"{MARK}One", "Two"]


async def test_an_edit_is_repeated_without_a_word(desk: Desk) -> None:
    await desk.start()
    await desk.tell("Hel ▌")
    await desk.over()
    message_id = desk.messages()[0].message_id
    desk.telegram.order(Fault(method="editMessageText", drop="unanswered"))

    await desk.owe({**plain_part("Hello"), "do": "edit", "message_id": message_id})

    await desk.over()
    assert desk.texts() == ["Hello"]


async def test_a_refused_connection_is_tried_again_and_not_marked(
    desk: Desk, telegram: TelegramEmulator
) -> None:
    port = int(telegram.base_url.split(":")[2].split("/")[0])
    await desk.start()
    await telegram.stop()
    await desk.tell("Hello")
    pauses: list[float] = []

    def paused() -> bool:
        pauses.extend(desk.clock.sleeping)
        if desk.clock.sleeping:
            desk.clock.advance(desk.clock.sleeping[0])
        return len(pauses) >= 4

    await until(paused)
    await telegram.start(port=port)

    await desk.over()
    assert pauses[:4] == [0.5, 1, 2, 4]
    assert desk.texts() == ["Hello"]


async def test_a_crash_between_the_call_and_the_mark_repeats_and_says_so(desk: Desk) -> None:
    await desk.tell("Hello")
    shell(desk.path, "UPDATE deliveries SET status = 'sending', attempt = 1")

    await desk.start()

    await desk.over()
    assert desk.texts() == [f"{MARK}Hello"]


async def test_a_crash_before_the_call_sends_without_a_mark(desk: Desk) -> None:
    await desk.tell("Hello")

    await desk.start()

    await desk.over()
    assert desk.texts() == ["Hello"]


async def test_a_crash_in_the_middle_goes_on_at_the_part_that_was_due(desk: Desk) -> None:
    await desk.owe(*(plain_part(text) for text in ("One", "Two", "Three")))
    shell(desk.path, "UPDATE deliveries SET sent_parts = 1")

    await desk.start()

    await desk.over()
    assert desk.texts() == ["Two", "Three"]


async def test_the_longest_message_still_fits_with_the_mark(desk: Desk) -> None:
    parts = text_parts("pelican " * 504, language="en", file_name="x.md")
    await desk.owe(*parts)
    shell(desk.path, "UPDATE deliveries SET status = 'sending'")

    await desk.start()

    await desk.over()
    assert len(parts) == 1
    assert desk.texts()[0].startswith(f"{MARK}pelican")
    assert desk.rows()[0]["status"] == "sent"


async def test_an_outbox_with_nothing_owed_writes_nothing(desk: Desk) -> None:
    before = await desk.store.data_version()
    await desk.start()
    desk.outbox.notice()
    await desk.over()

    assert await desk.store.data_version() == before


async def test_what_is_owed_after_the_end_has_begun_stays_owed(desk: Desk) -> None:
    await desk.start()
    await desk.outbox.drain(1.0)

    await desk.tell("Too late")
    desk.outbox.owed(str(CHAT))
    await desk.outbox.drain(0.1)

    assert [row["status"] for row in desk.rows()] == ["ready"]
    assert desk.texts() == []


async def test_what_may_have_arrived_three_times_waits_for_its_person(desk: Desk) -> None:
    desk.telegram.order(Fault(method="sendMessage", drop="unanswered", times=9))
    await desk.start()
    await desk.tell("Hello")

    await desk.over()

    (row,) = desk.rows()
    assert (row["status"], row["error"]) == ("held", "sent several times without an answer")
    assert [call.method for call in desk.telegram.calls()].count("sendMessage") == 3
    assert str(CHAT) in desk.outbox.held


async def test_result_that_cannot_be_sent_is_said_to_be_there(desk: Desk) -> None:
    await desk.store.write(
        lambda tx: owe(
            tx,
            chat_id=str(CHAT),
            thread_id=0,
            kind="result",
            payload={"job": 7, "parts": [{"do": "a dance"}]},
            now=stamp(desk.clock.now()),
        )
    )
    await desk.start()

    await desk.in_time(desk.texts)

    assert desk.texts() == ["Job 7 has ended: see /job 7."]
    assert [row["status"] for row in desk.rows("kind = 'result'")] == ["failed"]


async def test_what_tells_of_a_job_that_was_deleted_is_dropped(desk: Desk) -> None:
    shell(
        desk.path,
        "INSERT INTO deliveries (chat_id, kind, payload, created_at) "
        """VALUES ('7', 'result', '{"job": 99}', '2026-11-22 07:30:00.000')""",
    )
    await desk.start()

    await desk.over()

    (row,) = desk.rows()
    assert (row["status"], row["error"]) == ("dropped", "nothing to send")

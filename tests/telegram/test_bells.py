"""What rings, and what does not: by how long someone waited, and by their quiet hours."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from chatting import CHAT, CURSOR, Desk, House, Person
from fakes import FakeClock, claimed, shell

from bridge import preferences
from bridge.alerts import tell_owners
from bridge.clock import Clock, stamp
from bridge.emulator.claude import ClaudeEmulator
from bridge.emulator.script import Reply
from bridge.models import Job, JobStatus
from bridge.queue import Queue
from bridge.store import Tx
from bridge.telegram.compose import result_parts
from bridge.telegram.file_plan import planned
from bridge.tools.workspace import Workspace

LONG = "Pelicans are large water birds with a long bill and a pouch. " * 4
WHOLE_DAY = "07:00-06:59"  # the clock of the tests stands at 07:30


class LateClock(Clock):
    """Someone has waited for eleven seconds whenever anything is answered."""

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=11)


async def choose(desk: Desk, **values: str) -> None:
    """The person of the chat has chosen this."""

    def change(tx: Tx) -> None:
        for name, value in values.items():
            preferences.choose(tx, str(CHAT), name, value)
        desk.chosen.renew(tx, str(CHAT))

    await desk.store.write(change)


async def sounds(desk: Desk) -> list[bool]:
    """Whether each message was sent with a sound, without the cards: those never are."""
    desk.outbox.notice()
    await desk.over()
    cards = {row["message_id"] for row in desk.rows("kind = 'card'")}
    assert all(message.silent for message in desk.messages() if message.message_id in cards)
    return [not message.silent for message in desk.messages() if message.message_id not in cards]


def hushed(desk: Desk) -> list[dict[str, Any]]:
    return shell(desk.path, "SELECT delivery_id, chat_id, job_id, due_at FROM hushed")


async def ends(queue: Queue, how: str) -> Job:
    job = await claimed(queue)
    if how == "result":
        await queue.finish(job, "There are twelve.")
    elif how == "failure":
        await queue.fail(job, "error: KeyError", again=False)
    else:
        await queue.ask(job, "How many are enough?")
    return job


@pytest.mark.parametrize("what", ["result", "failure", "question"])
async def test_the_end_of_a_job_and_a_question_ring(desk: Desk, queue: Queue, what: str) -> None:
    await desk.start()

    await ends(queue, what)

    assert await sounds(desk) == [True]
    assert hushed(desk) == []


@pytest.mark.parametrize("what", ["result", "failure"])
async def test_in_quiet_hours_the_end_of_a_job_makes_no_sound_and_is_kept_for_the_digest(
    desk: Desk, queue: Queue, what: str
) -> None:
    await choose(desk, quiet=WHOLE_DAY)
    await desk.start()

    job = await ends(queue, what)

    assert await sounds(desk) == [False]
    (row,) = hushed(desk)
    assert (row["chat_id"], row["job_id"]) == (str(CHAT), job.id)
    assert row["due_at"] == "2026-11-23 06:59:00.000"


@pytest.mark.parametrize(("approvals", "rings"), [("on", True), ("off", False)])
async def test_a_question_rings_in_quiet_hours_only_where_it_may(
    desk: Desk, queue: Queue, approvals: str, rings: bool
) -> None:
    await choose(desk, quiet=WHOLE_DAY, night_approvals=approvals)
    await desk.start()

    await ends(queue, "question")

    assert await sounds(desk) == [rings]
    assert (hushed(desk) == []) is rings


async def test_an_alert_for_the_owners_always_rings(desk: Desk, clock: FakeClock) -> None:
    await choose(desk, quiet=WHOLE_DAY)
    await desk.start()

    def crash(tx: Tx) -> None:
        now = stamp(clock.now())
        tell_owners(tx, [CHAT], "stable", key="a", now=now, program="kitt-worker-1")

    await desk.store.write(crash)

    assert await sounds(desk) == [True]


async def test_an_answer_in_quiet_hours_is_not_kept_for_the_digest(desk: Desk) -> None:
    await choose(desk, quiet=WHOLE_DAY)
    await desk.start()

    await desk.tell("You asked.")

    assert await sounds(desk) == [True]
    assert hushed(desk) == []


async def test_quiet_hours_are_those_of_the_zone_that_was_chosen(desk: Desk, queue: Queue) -> None:
    await choose(desk, quiet="07:00-08:00", zone="Asia/Tokyo")
    await desk.start()

    await ends(queue, "result")

    assert await sounds(desk) == [True]


def test_the_files_of_a_result_come_without_a_sound(tmp_path: Path) -> None:
    job = Job(id=1, chat_id="7", prompt="Count", status=JobStatus.DONE, result="Twelve. " * 4_000)
    (tmp_path / "a.csv").write_text("12")

    text, whole, more = result_parts(job, [{"path": "a.csv", "name": "a.csv"}], language="en")
    (table,) = planned(Workspace(tmp_path), job.id, more["files"])

    assert not text["silent"]
    assert (whole["silent"], table["silent"]) == (True, True)


async def test_a_file_is_sent_without_a_sound(desk: Desk) -> None:
    await desk.start()

    await desk.owe({"do": "document", "name": "a.md", "content": "Twelve", "silent": True})

    assert await sounds(desk) == [False]


async def test_an_answer_at_once_does_not_ring_and_one_someone_waited_for_does(
    house: House, chat: Person
) -> None:
    await house.start()
    assert (await chat.ask("What is 17 * 23?")).silent
    assert (await chat.ask("/jobs")).silent
    await house.settled()
    await house.stop()

    house.clock = LateClock()
    await house.start()

    assert not (await chat.ask("What is 17 * 23?")).silent
    assert not (await chat.ask("/jobs")).silent


async def test_an_answer_that_was_shown_and_took_long_comes_as_a_new_message_that_rings(
    house: House, chat: Person, claude: ClaudeEmulator
) -> None:
    house.clock = LateClock()
    await house.start()
    claude.script.when("pelicans", Reply(LONG, pace_s=0.06))

    chat.say("Tell me about pelicans")
    first = await chat.sees_where(lambda m: m.text.endswith(CURSOR))
    whole = await chat.sees(LONG.strip())
    await house.settled()

    assert first.silent
    assert whole.message_id != first.message_id
    assert not whole.silent
    assert [message.message_id for message in chat.shown()] == [whole.message_id]


async def test_an_answer_that_was_shown_and_came_soon_stays_where_it_is(
    bridge: House, chat: Person, claude: ClaudeEmulator
) -> None:
    claude.script.when("pelicans", Reply(LONG, pace_s=0.06))

    chat.say("Tell me about pelicans")
    first = await chat.sees_where(lambda m: m.text.endswith(CURSOR))
    whole = await chat.sees(LONG.strip())

    assert whole.message_id == first.message_id
    assert whole.silent


async def test_an_answer_that_is_stopped_does_not_ring(
    house: House, chat: Person, claude: ClaudeEmulator
) -> None:
    house.clock = LateClock()
    await house.start()
    claude.script.when("pelicans", Reply(LONG, pace_s=0.12))

    chat.say("Tell me about pelicans")
    first = await chat.sees_where(lambda m: m.text.endswith(CURSOR))
    await chat.press(first.message_id, "⏹ Stop")
    stopped = await chat.sees("⏹ stopped")

    assert stopped.message_id == first.message_id


async def test_whoever_wants_answers_only_whole_sees_the_typing_sign_until_then(
    bridge: House, chat: Person, claude: ClaudeEmulator
) -> None:
    await chat.ask("/settings answers only whole")
    claude.script.when("pelicans", Reply(LONG, pace_s=0.06))

    whole = await chat.ask("Tell me about pelicans")

    assert whole.text == LONG.strip()
    assert whole.edits == 0
    assert bridge.telegram.calls("sendChatAction")
    assert not bridge.telegram.calls("editMessageText")

"""Answers shown as drafts, or not at all, while they are written."""

import asyncio

import pytest
from chatting import CHAT, CURSOR, House, Person
from waiting import until

from bridge.clock import Clock
from bridge.emulator.claude import ClaudeEmulator
from bridge.emulator.script import Reply
from bridge.emulator.telegram import TelegramEmulator
from bridge.emulator.telegram_drafts import live_drafts
from bridge.emulator.telegram_faults import Fault

LONG = "Pelicans are large water birds with a throat pouch. " * 30


def draft_text(telegram: TelegramEmulator) -> str:
    """What the draft in the chat shows; nothing without one."""
    drafts = live_drafts(telegram.chats[CHAT], telegram.clock())
    return "".join(draft.text for draft in drafts.values())


class Ahead(Clock):
    """The real clock, moved forward by the test."""

    ahead_s = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead_s


@pytest.fixture
def clock(house: House) -> Ahead:
    """Moved forward, it makes the chat's budget whole again."""
    house.clock = clock = Ahead()
    return clock


@pytest.fixture
async def drafts(clock: Ahead, house: House, chat: Person) -> House:
    """A bridge whose person has chosen drafts."""
    await house.start()
    await chat.ask("/settings streaming draft")
    return house


async def test_a_slow_answer_is_a_draft_that_grows_and_then_one_message(
    drafts: House, chat: Person, claude: ClaudeEmulator, telegram: TelegramEmulator
) -> None:
    claude.script.when("pelicans", Reply(LONG[:600], pace_s=0.06))
    sent = chat.say("Tell me about pelicans")
    await until(lambda: draft_text(telegram).startswith("Pelicans"))
    assert chat.shown(after=sent) == []

    await chat.sees_where(lambda m: m.text == LONG[:600].strip())

    await drafts.settled()
    assert len(chat.shown(after=sent)) == 1
    assert telegram.calls("editMessageText", CHAT) == []
    ids = {call.params["draft_id"] for call in telegram.calls("sendMessageDraft", CHAT)}
    assert len(ids) == 1


async def test_each_answer_has_a_draft_of_its_own(
    drafts: House, clock: Ahead, chat: Person, claude: ClaudeEmulator, telegram: TelegramEmulator
) -> None:
    claude.script.when("pelicans", Reply(LONG[:200], pace_s=0.06))
    for _ in range(2):
        clock.ahead_s += 10
        sent = chat.say("Tell me about pelicans")
        await until(lambda: draft_text(telegram).startswith("Pelicans"))
        await chat.sees(after=sent)
        await drafts.settled()

    ids = {call.params["draft_id"] for call in telegram.calls("sendMessageDraft", CHAT)}
    assert len(ids) == 2


async def test_stop_on_a_draft_keeps_what_was_shown(
    drafts: House, chat: Person, claude: ClaudeEmulator, telegram: TelegramEmulator
) -> None:
    claude.script.when("pelicans", Reply(LONG, pace_s=0.06))
    chat.say("Tell me about pelicans")
    await until(lambda: draft_text(telegram).startswith("Pelicans"))

    async with asyncio.timeout(1):
        telegram.stop_draft(CHAT)
        stopped = await chat.sees("⏹ stopped")

    assert stopped.text.startswith("Pelicans are large")
    await drafts.settled()


async def test_stop_on_a_draft_of_an_answer_that_is_over_does_nothing(
    drafts: House, chat: Person, claude: ClaudeEmulator, telegram: TelegramEmulator
) -> None:
    claude.script.when("pelicans", Reply(LONG, pace_s=0.06))
    chat.say("Tell me about pelicans")
    await until(lambda: draft_text(telegram).startswith("Pelicans"))
    info = telegram.chats[CHAT].info

    telegram.push_update({"stopped_message_generation": {"chat": info, "draft_id": 5}})
    telegram.push_update({"stopped_message_generation": {"chat": {}, "draft_id": None}})
    await until(lambda: telegram.updates.pending == 0)

    seen = draft_text(telegram)
    await until(lambda: len(draft_text(telegram)) > len(seen))
    telegram.stop_draft(CHAT)
    await chat.sees("⏹ stopped")


async def test_a_telegram_without_drafts_gets_edited_messages_from_then_on(
    drafts: House, clock: Ahead, chat: Person, claude: ClaudeEmulator, telegram: TelegramEmulator
) -> None:
    telegram.order(Fault(method="sendMessageDraft", status=404, description="Not Found"))
    claude.script.when("pelicans", Reply(LONG[:300], pace_s=0.06))
    for _ in range(2):
        clock.ahead_s += 10
        sent = chat.say("Tell me about pelicans")
        await chat.sees_where(
            lambda m, sent=sent: m.message_id > sent and m.text.endswith(CURSOR)  # type: ignore[misc]
        )
        await chat.sees(after=sent)
        await drafts.settled()

    assert len(telegram.calls("sendMessageDraft", CHAT)) == 1


async def test_whoever_wants_only_whole_answers_sees_them_only_whole(
    house: House, chat: Person, claude: ClaudeEmulator, telegram: TelegramEmulator
) -> None:
    await house.start()
    await chat.ask("/settings streaming off")
    claude.script.when("pelicans", Reply(LONG[:300], pace_s=0.06))

    answer = await chat.ask("Tell me about pelicans")

    assert (answer.text, answer.edits) == (LONG[:300].strip(), 0)
    assert telegram.calls("sendChatAction", CHAT) != []
    assert telegram.calls("sendMessageDraft", CHAT) == []

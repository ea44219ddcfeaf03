"""The emulated Bot API: drafts, which pass, and the Stop button on them."""

from __future__ import annotations

from typing import Any

import pytest
from bots import CHAT, GROUP, client
from telegram import Bot
from telegram.error import BadRequest

from bridge.emulator.telegram import TelegramEmulator
from bridge.emulator.telegram_drafts import live_drafts

STOPPABLE = {"can_stop": True}


def shown(emulator: TelegramEmulator) -> list[Any]:
    """The texts of the drafts a person sees now."""
    return [d.text for d in live_drafts(emulator.chats[CHAT], emulator.clock()).values()]


async def test_the_same_draft_changes_and_a_message_takes_its_place(
    bot: Bot, emulator: TelegramEmulator
) -> None:
    for text in ("Let", "Let me think"):
        await bot.send_message_draft(CHAT, 7, text)
    assert shown(emulator) == ["Let me think"]

    await bot.send_message(CHAT, "Done")

    assert shown(emulator) == []
    assert [m.text for m in emulator.messages(CHAT)] == ["Done"]


async def test_a_draft_that_is_not_renewed_goes_after_half_a_minute() -> None:
    time = [0.0]
    emulator = TelegramEmulator(clock=lambda: time[0])
    await emulator.start()
    emulator.open_chat(CHAT)
    async with client(emulator) as bot:
        await bot.send_message_draft(CHAT, 7, "Hm", api_kwargs=STOPPABLE)
        time[0] = 29.9
        assert shown(emulator) == ["Hm"]
        time[0] = 30.0
        assert shown(emulator) == []
        with pytest.raises(LookupError, match="no draft"):
            emulator.stop_draft(CHAT)
    await emulator.stop()


@pytest.mark.parametrize(
    ("chat_id", "draft_id", "text", "reason"),
    [
        (CHAT, 0, "x", "(?i)random_id_invalid"),
        (GROUP, 7, "x", "only in private chats"),
        (CHAT, 7, "x" * 4097, "too long"),
    ],
)
async def test_a_wrong_draft_is_refused(
    bot: Bot, emulator: TelegramEmulator, chat_id: int, draft_id: int, text: str, reason: str
) -> None:
    emulator.open_chat(GROUP)

    with pytest.raises(BadRequest, match=reason):
        await bot.send_message_draft(chat_id, draft_id, text)


async def test_an_empty_draft_is_a_thought(bot: Bot, emulator: TelegramEmulator) -> None:
    assert await bot.send_message_draft(CHAT, 7, "")

    assert shown(emulator) == [""]


@pytest.mark.parametrize("keep", [False, True])
async def test_stop_is_an_update_and_takes_the_draft_away_unless_it_is_kept(
    bot: Bot, emulator: TelegramEmulator, keep: bool
) -> None:
    await bot.send_message_draft(CHAT, 7, "Hm", api_kwargs=STOPPABLE | {"keep_on_stop": keep})

    assert emulator.stop_draft(CHAT) == 7

    (update,) = await bot.get_updates(allowed_updates=["message", "stopped_message_generation"])
    stopped = update.api_kwargs["stopped_message_generation"]
    assert (stopped["draft_id"], stopped["chat"]["id"]) == (7, CHAT)
    assert "message_thread_id" not in stopped
    assert shown(emulator) == (["Hm"] if keep else [])
    with pytest.raises(LookupError):
        emulator.stop_draft(CHAT)


async def test_a_draft_without_the_button_cannot_be_stopped(
    bot: Bot, emulator: TelegramEmulator
) -> None:
    await bot.send_message_draft(CHAT, 7, "Hm")

    with pytest.raises(LookupError, match="Stop button"):
        emulator.stop_draft(CHAT)


async def test_each_topic_has_its_own_draft(emulator: TelegramEmulator, bot: Bot) -> None:
    emulator.topics_enabled = True
    topic = (await bot.create_forum_topic(CHAT, "Trip")).message_thread_id
    await bot.send_message_draft(CHAT, 7, "here", message_thread_id=topic, api_kwargs=STOPPABLE)
    await bot.send_message_draft(CHAT, 8, "there")

    await bot.send_message(CHAT, "Done")

    assert shown(emulator) == ["here"]
    emulator.stop_draft(CHAT, thread_id=topic)
    (update,) = await bot.get_updates()
    assert update.api_kwargs["stopped_message_generation"]["message_thread_id"] == topic
    with pytest.raises(BadRequest, match="thread not found"):
        await bot.send_message_draft(CHAT, 9, "x", message_thread_id=404)

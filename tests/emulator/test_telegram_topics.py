"""The emulated Bot API: topics in forums and in private chats."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from bots import CHAT, GROUP, SUPERGROUP, client
from telegram import Bot
from telegram.error import BadRequest

from bridge.emulator.telegram import TelegramEmulator

ANNA = 7


@pytest.fixture
async def emulator() -> AsyncIterator[TelegramEmulator]:
    """Of a bot with topics in private chats."""
    emulator = TelegramEmulator(topics_enabled=True)
    await emulator.start()
    yield emulator
    await emulator.stop()


@pytest.fixture
def forum(bot: Bot, emulator: TelegramEmulator) -> int:
    """A supergroup with topics, in which the bot is an administrator."""
    emulator.open_group(SUPERGROUP, (ANNA, "Anna"), title="Birds", forum=True, owner=ANNA)
    emulator.promote_bot(SUPERGROUP, user_id=ANNA)
    return SUPERGROUP


async def test_a_bot_makes_a_topic_in_a_private_chat_and_writes_there(
    bot: Bot, emulator: TelegramEmulator
) -> None:
    topic = await bot.create_forum_topic(CHAT, "Trip")
    sent = await bot.send_message(CHAT, "here", message_thread_id=topic.message_thread_id)

    assert (topic.name, sent.is_topic_message) == ("Trip", True)
    assert sent.message_thread_id == topic.message_thread_id
    assert (await bot.get_me()).has_topics_enabled is True
    emulator.send(CHAT, "and I", thread_id=topic.message_thread_id)
    (update,) = await bot.get_updates()
    assert update.message and update.message.message_thread_id == topic.message_thread_id


async def test_without_topics_none_can_be_made() -> None:
    emulator = TelegramEmulator()
    await emulator.start()
    emulator.open_chat(CHAT)
    async with client(emulator) as bot:
        assert (await bot.get_me()).has_topics_enabled is False
        with pytest.raises(BadRequest, match="chat is not a forum"):
            await bot.create_forum_topic(CHAT, "Trip")
        with pytest.raises(ValueError, match="has no topics"):
            emulator.create_topic(CHAT, "Trip")
    await emulator.stop()


async def test_a_topic_in_a_group_needs_rights_and_a_name(
    bot: Bot, emulator: TelegramEmulator
) -> None:
    emulator.open_group(SUPERGROUP, (ANNA, "Anna"), forum=True)
    with pytest.raises(BadRequest, match="Not enough rights to create a topic"):
        await bot.create_forum_topic(SUPERGROUP, "Trip")

    emulator.promote_bot(SUPERGROUP, user_id=ANNA)

    for name, reason in (("", "empty"), ("x" * 129, "too_long")):
        with pytest.raises(BadRequest, match=rf"(?i){reason}"):
            await bot.create_forum_topic(SUPERGROUP, name)
    with pytest.raises(BadRequest, match=r"(?i)color_invalid"):
        await bot.create_forum_topic(SUPERGROUP, "Trip", icon_color=1)
    emulator.open_chat(GROUP)
    with pytest.raises(BadRequest, match="chat is not a forum"):
        await bot.create_forum_topic(GROUP, "Trip")


async def test_a_topic_is_never_number_one(bot: Bot, emulator: TelegramEmulator) -> None:
    emulator.open_group(SUPERGROUP, (ANNA, "Anna"), forum=True)

    assert emulator.create_topic(SUPERGROUP, "Trip", user_id=ANNA) > 1


async def test_in_a_topic_everything_seems_to_reply_to_the_message_that_made_it(
    bot: Bot, emulator: TelegramEmulator, forum: int
) -> None:
    topic = await bot.create_forum_topic(forum, "Trip")

    emulator.send(forum, "hello", user_id=ANNA, thread_id=topic.message_thread_id)

    message = (await bot.get_updates())[-1].message
    assert message and message.is_topic_message and message.reply_to_message
    assert message.reply_to_message.forum_topic_created
    assert message.reply_to_message.message_id == topic.message_thread_id


async def test_such_a_seeming_reply_is_not_meant_for_the_bot(
    bot: Bot, emulator: TelegramEmulator, forum: int
) -> None:
    topic = await bot.create_forum_topic(forum, "Trip")
    emulator.chats[forum].bot_status = "member"
    before = emulator.updates.pending

    emulator.send(forum, "hello", user_id=ANNA, thread_id=topic.message_thread_id)

    assert emulator.updates.pending == before


async def test_the_general_topic_is_left_out_of_sends_and_kept_in_signs(
    bot: Bot, emulator: TelegramEmulator, forum: int
) -> None:
    assert await bot.send_chat_action(forum, "typing", message_thread_id=1)
    with pytest.raises(BadRequest, match="thread not found"):
        await bot.send_message(forum, "x", message_thread_id=1)
    with pytest.raises(BadRequest, match="thread not found"):
        await bot.send_chat_action(forum, "typing", message_thread_id=99)


async def test_a_deleted_topic_takes_its_messages_along_and_is_not_found_any_more(
    bot: Bot, emulator: TelegramEmulator, forum: int
) -> None:
    topic = (await bot.create_forum_topic(forum, "Trip")).message_thread_id
    await bot.send_message(forum, "in it", message_thread_id=topic)
    await bot.send_message(forum, "beside it")

    await bot.delete_forum_topic(forum, topic)

    assert [m.text for m in emulator.messages(forum)] == ["beside it"]
    with pytest.raises(BadRequest, match="thread not found"):
        await bot.send_message(forum, "x", message_thread_id=topic)


async def test_a_topic_is_renamed_and_closed(
    bot: Bot, emulator: TelegramEmulator, forum: int
) -> None:
    topic = (await bot.create_forum_topic(forum, "Trip")).message_thread_id

    await bot.edit_forum_topic(forum, topic, name="Journey")
    await bot.close_forum_topic(forum, topic)

    assert emulator.chats[forum].topics[topic].name == "Journey"
    with pytest.raises(BadRequest, match=r"(?i)not_modified"):
        await bot.close_forum_topic(forum, topic)
    emulator.chats[forum].bot_status = "member"
    with pytest.raises(BadRequest, match=r"(?i)topic_closed"):
        await bot.send_message(forum, "x", message_thread_id=topic)

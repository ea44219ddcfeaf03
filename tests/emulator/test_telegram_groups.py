"""The emulated Bot API in groups: what a bot is shown, who may press, coming and going, moving."""

from __future__ import annotations

import pytest
from bots import CHAT, GROUP, SUPERGROUP, client, keyboard
from telegram import Bot, Update
from telegram.error import BadRequest, ChatMigrated, Forbidden

from bridge.emulator.telegram import TelegramEmulator

ANNA, BRAM = 7, 8


@pytest.fixture
def group(bot: Bot, emulator: TelegramEmulator) -> int:
    """Two people and the bot."""
    emulator.open_group(GROUP, (ANNA, "Anna"), (BRAM, "Bram"), title="Birds", owner=ANNA)
    return GROUP


async def heard(bot: Bot) -> list[Update]:
    """The updates that wait."""
    return list(await bot.get_updates())


@pytest.mark.parametrize(
    "text", ["/jobs", "/jobs@kitt_demo_bot", "hey @Kitt_Demo_Bot, look", "/jobs@KITT_DEMO_BOT 2"]
)
async def test_what_is_meant_for_the_bot_reaches_it(
    bot: Bot, emulator: TelegramEmulator, group: int, text: str
) -> None:
    emulator.send(group, text, user_id=ANNA)

    (update,) = await heard(bot)
    assert update.message and update.message.text == text
    assert update.effective_user and update.effective_user.first_name == "Anna"


@pytest.mark.parametrize(
    "text", ["hello all", "/jobs@other_bot", "@anna_b look", "see https://x.nl/jobs"]
)
async def test_what_is_not_meant_for_the_bot_is_kept_from_it(
    bot: Bot, emulator: TelegramEmulator, group: int, text: str
) -> None:
    emulator.send(group, text, user_id=ANNA)

    assert await heard(bot) == []
    assert [m.text for m in emulator.messages(group)] == [text]


async def test_a_mention_without_a_name_reaches_the_bot(
    bot: Bot, emulator: TelegramEmulator, group: int
) -> None:
    mention = {"type": "text_mention", "offset": 0, "length": 4, "user": emulator.me}

    emulator.send(group, "KITT, look", user_id=ANNA, entities=[mention])

    (update,) = await heard(bot)
    assert update.message and update.message.entities[0].user == await bot.get_me()


async def test_a_reply_to_the_bot_reaches_it_and_one_to_a_person_does_not(
    bot: Bot, emulator: TelegramEmulator, group: int
) -> None:
    answer = await bot.send_message(group, "Done")
    said = emulator.send(group, "thanks", user_id=BRAM, reply_to=answer.message_id)
    emulator.send(group, "you too", user_id=ANNA, reply_to=said["message_id"])

    (update,) = await heard(bot)
    replied = update.message and update.message.reply_to_message
    assert replied and replied.from_user and replied.from_user.is_bot and replied.text == "Done"


async def test_an_edit_that_names_the_bot_reaches_it(
    bot: Bot, emulator: TelegramEmulator, group: int
) -> None:
    said = emulator.send(group, "what now?", user_id=ANNA)

    emulator.edit(group, said["message_id"], "hm")
    emulator.edit(group, said["message_id"], "@kitt_demo_bot what now?")

    (update,) = await heard(bot)
    assert update.edited_message and "@kitt" in (update.edited_message.text or "")


async def test_an_administrator_and_a_bot_without_privacy_hear_everything(
    bot: Bot, emulator: TelegramEmulator, group: int
) -> None:
    emulator.promote_bot(group, user_id=ANNA)
    emulator.send(group, "hello all", user_id=BRAM)
    emulator.open_group(SUPERGROUP, (ANNA, "Anna"))
    emulator.privacy = False
    emulator.send(SUPERGROUP, "hello there", user_id=ANNA)

    promoted, first, second = await heard(bot)
    member = promoted.my_chat_member and promoted.my_chat_member.new_chat_member
    assert member and member.status == "administrator"
    assert first.message and first.message.text == "hello all"
    assert second.message and second.message.text == "hello there"
    assert (await bot.get_me()).can_read_all_group_messages is True


async def test_everybody_in_a_group_can_press_the_same_button(
    bot: Bot, emulator: TelegramEmulator, group: int
) -> None:
    emulator.send(group, "/go", user_id=ANNA)
    card = await bot.send_message(group, "card", reply_markup=keyboard("job:42"))

    for user_id in (ANNA, BRAM):
        emulator.press(group, card.message_id, "job:42", user_id=user_id)

    presses = [u.callback_query for u in await heard(bot) if u.callback_query]
    assert [(p.from_user.id, p.from_user.first_name) for p in presses] == [
        (ANNA, "Anna"),
        (BRAM, "Bram"),
    ]
    assert {p.message.chat.id for p in presses if p.message} == {group}


async def test_being_added_and_removed_is_told(bot: Bot, emulator: TelegramEmulator) -> None:
    emulator.add_bot(GROUP, user_id=99, title="Strangers")
    emulator.remove_bot(GROUP, user_id=99)

    added, joined, removed = await heard(bot)
    change = added.my_chat_member
    assert change and change.from_user.id == 99 and change.chat.title == "Strangers"
    assert (change.old_chat_member.status, change.new_chat_member.status) == ("left", "member")
    assert joined.message and joined.message.new_chat_members[0].is_bot
    assert removed.my_chat_member and removed.my_chat_member.new_chat_member.status == "kicked"
    with pytest.raises(Forbidden, match="bot was kicked from the group chat"):
        await bot.send_message(GROUP, "hello?")


async def test_who_is_in_a_group_can_be_asked(
    bot: Bot, emulator: TelegramEmulator, group: int
) -> None:
    assert (await bot.get_chat_member(group, ANNA)).status == "creator"
    assert (await bot.get_chat_member(group, BRAM)).status == "member"
    assert [m.user.id for m in await bot.get_chat_administrators(group)] == [ANNA]
    assert await bot.get_chat_member_count(group) == 3
    with pytest.raises(BadRequest, match=r"(?i)member not found"):
        await bot.get_chat_member(group, 404)
    with pytest.raises(BadRequest, match="no administrators in the private chat"):
        await bot.get_chat_administrators(CHAT)


async def test_a_group_that_became_a_supergroup_answers_with_its_new_id(
    bot: Bot, emulator: TelegramEmulator, group: int
) -> None:
    new_id = emulator.migrate(group)

    with pytest.raises(ChatMigrated) as refused:
        await bot.send_message(group, "hello")
    assert refused.value.new_chat_id == new_id
    assert (await bot.send_message(new_id, "hello")).chat.type == "supergroup"
    left, arrived = await heard(bot)
    assert left.message and left.message.migrate_to_chat_id == new_id
    assert arrived.message and arrived.message.migrate_from_chat_id == group
    emulator.send(new_id, "/hi", user_id=ANNA)
    with pytest.raises(ValueError, match="write there"):
        emulator.send(group, "/hi", user_id=ANNA)


async def test_in_a_supergroup_a_chain_of_replies_looks_like_a_topic_and_is_none(
    bot: Bot, emulator: TelegramEmulator
) -> None:
    root = await bot.send_message(plain_supergroup(emulator), "root")
    emulator.send(SUPERGROUP, "reply", user_id=ANNA, reply_to=root.message_id)

    (update,) = await heard(bot)
    message = update.message
    assert message and message.message_thread_id == root.message_id
    assert not message.is_topic_message
    with pytest.raises(BadRequest, match="thread not found"):
        await bot.send_message(SUPERGROUP, "x", message_thread_id=message.message_thread_id)


def plain_supergroup(emulator: TelegramEmulator) -> int:
    """A supergroup without topics."""
    return emulator.open_group(SUPERGROUP, (ANNA, "Anna")).chat_id


async def test_a_bot_that_is_no_administrator_deletes_only_its_own(
    bot: Bot, emulator: TelegramEmulator, group: int
) -> None:
    said = emulator.send(group, "/go", user_id=ANNA)["message_id"]
    own = await bot.send_message(group, "x")

    with pytest.raises(BadRequest, match="can't be deleted"):
        await bot.delete_message(group, said)
    assert await bot.delete_messages(group, [said, own.message_id, 999])
    assert [m.message_id for m in emulator.messages(group)] == [said]
    emulator.promote_bot(group, user_id=ANNA)
    assert await bot.delete_message(group, said)


async def test_a_message_older_than_two_days_stays() -> None:
    time = [1_800_000_000.0]
    emulator = TelegramEmulator(now=lambda: time[0])
    await emulator.start()
    emulator.open_chat(CHAT)
    async with client(emulator) as bot:
        old = await bot.send_message(CHAT, "old")
        time[0] += 48 * 3600 + 1
        with pytest.raises(BadRequest, match="can't be deleted"):
            await bot.delete_message(CHAT, old.message_id)
    await emulator.stop()


async def test_a_pin_in_a_group_needs_rights(
    bot: Bot, emulator: TelegramEmulator, group: int
) -> None:
    card = await bot.send_message(group, "card")

    with pytest.raises(BadRequest, match="Not enough rights to manage pinned"):
        await bot.pin_chat_message(group, card.message_id)
    emulator.promote_bot(group, user_id=ANNA)
    assert await bot.pin_chat_message(group, card.message_id)
    assert emulator.chats[group].pinned == [card.message_id]
    assert await bot.unpin_chat_message(group)
    with pytest.raises(BadRequest, match="Message to unpin not found"):
        await bot.unpin_chat_message(group, card.message_id)

"""The emulated Bot API: reactions, forwards, voice, custom keys, and presses nobody should make."""

from __future__ import annotations

from datetime import timedelta

import pytest
from bots import CHAT, GROUP, keyboard
from telegram import (
    Bot,
    ForceReply,
    MessageEntity,
    MessageOriginUser,
    ReactionTypeEmoji,
    ReplyKeyboardMarkup,
    ReplyKeyboardRemove,
)
from telegram.error import BadRequest

from bridge.emulator.telegram import TelegramEmulator

OTHER = 815
EVERYTHING = ["message", "callback_query", "message_reaction"]


async def test_a_reaction_is_told_to_a_bot_that_asked_for_it(
    bot: Bot, emulator: TelegramEmulator
) -> None:
    sent = await bot.send_message(CHAT, "answer")
    emulator.react(CHAT, sent.message_id, "🔥")
    assert await bot.get_updates(allowed_updates=EVERYTHING) == ()

    emulator.react(CHAT, sent.message_id, "👎")
    emulator.react(CHAT, sent.message_id, "")

    changed, gone = [u.message_reaction for u in await bot.get_updates()]
    assert changed and changed.user and changed.user.id == CHAT
    assert changed.old_reaction == (ReactionTypeEmoji("🔥"),)
    assert changed.new_reaction == (ReactionTypeEmoji("👎"),)
    assert gone and gone.new_reaction == ()


async def test_in_a_group_only_an_administrator_hears_of_reactions(
    bot: Bot, emulator: TelegramEmulator
) -> None:
    emulator.open_group(GROUP, (7, "Anna"))
    await bot.get_updates(allowed_updates=EVERYTHING)
    sent = await bot.send_message(GROUP, "answer")

    emulator.react(GROUP, sent.message_id, "👍", user_id=7)
    assert emulator.updates.pending == 0
    emulator.promote_bot(GROUP, user_id=7)
    emulator.react(GROUP, sent.message_id, "🔥", user_id=7)

    assert emulator.updates.pending == 1
    assert emulator.messages(GROUP)[0].reactions == {7: "🔥"}


async def test_a_forwarded_copy_keeps_its_buttons_and_lies_in_another_chat(
    bot: Bot, emulator: TelegramEmulator
) -> None:
    card = await bot.send_message(CHAT, "card", reply_markup=keyboard("job:42"))

    copy = emulator.forward(CHAT, card.message_id, OTHER)
    emulator.press(OTHER, copy["message_id"], "job:42")

    forwarded, pressed = await bot.get_updates()
    origin = forwarded.message and forwarded.message.forward_origin
    assert isinstance(origin, MessageOriginUser) and origin.sender_user.is_bot
    query = pressed.callback_query
    assert query and query.message and query.message.chat.id == OTHER
    assert (query.from_user.id, query.data) == (OTHER, "job:42")


async def test_a_forged_press_brings_any_data(bot: Bot, emulator: TelegramEmulator) -> None:
    card = await bot.send_message(CHAT, "card", reply_markup=keyboard("job:42"))

    emulator.forge(CHAT, card.message_id, "job:1", user_id=99)

    query = (await bot.get_updates())[0].callback_query
    assert query and (query.data, query.from_user.id) == ("job:1", 99)


async def test_a_press_can_be_replayed_after_its_button_is_gone(
    bot: Bot, emulator: TelegramEmulator
) -> None:
    card = await bot.send_message(CHAT, "card", reply_markup=keyboard("job:42"))
    first = emulator.press(CHAT, card.message_id, "job:42")
    await bot.edit_message_text("done", chat_id=CHAT, message_id=card.message_id)

    second = emulator.replay(first)
    emulator.replay(first, user_id=99)

    queries = [u.callback_query for u in await bot.get_updates()]
    assert [q and q.data for q in queries] == ["job:42"] * 3
    assert len({q and q.id for q in queries}) == 3
    assert queries[2] and queries[2].from_user.id == 99
    assert await bot.answer_callback_query(second, "too late")


async def test_voice_audio_and_round_videos_arrive_with_their_length(
    bot: Bot, emulator: TelegramEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PTB_TIMEDELTA", "1")
    emulator.send_sound(CHAT, b"OggS-speech", duration=12)
    emulator.send_sound(CHAT, b"ID3-song", kind="audio", duration=200, name="song.mp3")
    emulator.send_sound(CHAT, b"mp4", kind="video_note", duration=5)

    spoken, sung, filmed = [u.message for u in await bot.get_updates()]
    assert spoken and spoken.voice and spoken.voice.duration == timedelta(seconds=12)
    assert spoken.voice.mime_type == "audio/ogg"
    assert sung and sung.audio and sung.audio.file_name == "song.mp3"
    assert sung.audio.duration == timedelta(seconds=200)
    assert filmed and filmed.video_note and filmed.video_note.length == 240
    file = await bot.get_file(spoken.voice.file_id)
    assert bytes(await file.download_as_bytearray()) == b"OggS-speech"
    with pytest.raises(ValueError, match="a sound is one of"):
        emulator.send_sound(CHAT, b"x", kind="photo")


async def test_a_bot_speaks_and_what_is_no_speech_becomes_a_document(
    bot: Bot, emulator: TelegramEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PTB_TIMEDELTA", "1")
    spoken = await bot.send_voice(CHAT, b"OggS-speech", duration=4)
    filed = await bot.send_voice(CHAT, b"RIFF-wave", filename="a.wav")

    assert spoken.voice and spoken.voice.duration == timedelta(seconds=4)
    assert filed.voice is None and filed.document
    assert emulator.messages(CHAT)[0].voice is not None


async def test_a_caption_can_be_edited(bot: Bot, emulator: TelegramEmulator) -> None:
    sent = await bot.send_document(CHAT, b"x", filename="a.txt", caption="one")
    text = await bot.send_message(CHAT, "x")

    await bot.edit_message_caption(CHAT, sent.message_id, caption="two")

    assert emulator.messages(CHAT)[0].text == "two"
    with pytest.raises(BadRequest, match="not modified"):
        await bot.edit_message_caption(CHAT, sent.message_id, caption="two")
    with pytest.raises(BadRequest, match="no caption in the message"):
        await bot.edit_message_caption(CHAT, text.message_id, caption="two")


async def test_other_keyboards_come_with_sends_and_never_with_edits(
    bot: Bot, emulator: TelegramEmulator
) -> None:
    keys = ReplyKeyboardMarkup([["Yes", "No"]], input_field_placeholder="Which?")
    for markup in (keys, ReplyKeyboardRemove(), ForceReply()):
        sent = await bot.send_message(CHAT, "choose", reply_markup=markup)

    kept = [m.keyboard for m in emulator.messages(CHAT)]
    assert kept[0] and kept[0]["keyboard"] == [[{"text": "Yes"}, {"text": "No"}]]
    assert kept[1] and kept[1]["remove_keyboard"] and kept[2] and kept[2]["force_reply"]
    with pytest.raises(BadRequest, match=r"(?i)inline keyboard expected"):
        await bot.edit_message_text(
            "x",
            chat_id=CHAT,
            message_id=sent.message_id,
            reply_markup=keys,  # type: ignore[arg-type]
        )
    with pytest.raises(BadRequest, match="placeholder is too long"):
        await bot.send_message(CHAT, "x", reply_markup=ForceReply(input_field_placeholder="x" * 65))


async def test_a_moment_has_a_known_format(bot: Bot) -> None:
    async def send(form: str) -> None:
        entity = MessageEntity("date_time", 0, 5, unix_time=1_800_000_000, date_time_format=form)  # type: ignore[arg-type]
        await bot.send_message(CHAT, "today", entities=[entity])

    await send("wDt")
    with pytest.raises(BadRequest, match="invalid date-time format"):
        await send("tw")

"""Scenes of conversations: greeting, settings, files, voice, groups and looks of a text."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from picture_jobs import ends, report, simple
from picture_stage import ZONE, Chat

from bridge.emulator.script import Reply
from bridge.emulator.telegram_state import ChatMessage
from bridge.telegram.texts import say

GROUP = -500


async def welcomes(chat: Chat) -> None:
    """The first message with its examples, and the job that shows what jobs are."""
    asked = chat.say("/start")
    welcome = await chat.sees(lambda m: m.buttons)
    await chat.picture("welcome")
    chat.press(welcome, "▶")
    demo = say(chat.language, "demo_title")
    await chat.sees(lambda m: demo in m.text and "✅" in m.text, after=asked)
    await chat.sees(say(chat.language, "demo_result")[:20], after=asked)
    await chat.picture("demo", first=welcome.message_id + 1)


async def settings(chat: Chat) -> None:
    """/settings, and one of them."""
    asked = chat.say("/settings")
    shown = await chat.sees(say(chat.language, "settings_title"), after=asked)
    await chat.picture("settings")
    chat.press(shown, say(chat.language, "setting_quiet"))
    await chat.sees(say(chat.language, "about_quiet")[:30], after=asked)
    await chat.picture("quiet-hours")


async def digests(chat: Chat) -> None:
    """Quiet hours end, and one message says what came in them."""
    end = datetime.now(ZoneInfo(ZONE)) + timedelta(seconds=100)
    begin = end - timedelta(hours=8)
    word = chat.t("quiet", "stil")
    await chat.ask(
        f"/settings {word} {begin:%H:%M}-{end:%H:%M}", lambda m: f"{end:%H:%M}" in m.text
    )
    for title, result in (
        (
            chat.t("Sort the receipts", "Bonnetjes sorteren"),
            chat.t("41 receipts, 12 folders.", "41 bonnetjes, 12 mappen."),
        ),
        (
            chat.t("Back up the photos", "Foto's veiligstellen"),
            chat.t("All 2,304 are safe.", "Alle 2.304 staan veilig."),
        ),
    ):
        text = f"{title}, {chat.t('in the background', 'op de achtergrond')}"
        task = simple(
            text,
            title,
            chat.t("It will be done.", "Komt voor elkaar."),
            report(chat.t("counting", "telt"), 50),
            ends(result, 1.0),
        )
        await chat.start(task, result)
    digest = await chat.sees("🌅")
    await chat.picture("digest", first=digest.message_id)


TABLE = (
    "| Train | Leaves | Arrives | Changes | Price |\n|---|---|---|---|---|\n"
    "| IC 9212 | 7:55 | 10:31 | Antwerp | € 29 |\n| IC 9220 | 9:55 | 12:31 | Antwerp | € 39 |\n"
    "| EST 9315 | 10:25 | 12:52 | Brussels | € 54 |",
    "| Trein | Vertrek | Aankomst | Overstap | Prijs |\n|---|---|---|---|---|\n"
    "| IC 9212 | 7:55 | 10:31 | Antwerpen | € 29 |\n| IC 9220 | 9:55 | 12:31 | Antwerpen | € 39 |\n"
    "| EST 9315 | 10:25 | 12:52 | Brussel | € 54 |",
)


async def tables(chat: Chat) -> None:
    """A table as text for every client, and the real one on demand."""
    text = chat.t("Which trains go to Ghent on Saturday?", "Welke treinen gaan zaterdag naar Gent?")
    intro = chat.t("Three go in the morning:", "Drie gaan er 's ochtends:")
    chat.expect(text, f"{intro}\n\n{chat.t(*TABLE)}")
    answer = await chat.ask(text, lambda m: m.buttons)
    await chat.picture("table")
    chat.press(answer, "📊")
    rich = await chat.sees(lambda m: m.rich is not None)
    await chat.picture("table-rich", first=rich.message_id)


async def stops(chat: Chat) -> None:
    """An answer that grows, with a button that stops it."""
    text = chat.t("Tell me how the bicycle was invented", "Vertel hoe de fiets is uitgevonden")
    story = chat.t(
        "In 1817 Karl von Drais built a machine of wood with two wheels and no pedals: you sat on "
        "it and ran. It weighed 22 kilograms, and doctors called it bad for the shoes. Pedals "
        "came in the 1860s, on the front wheel, which then grew and grew until a rider sat higher "
        "than a horse. The chain brought everybody back to the ground in 1885.",
        "In 1817 bouwde Karl von Drais een houten machine met twee wielen en zonder trappers: je "
        "ging erop zitten en rende. Hij woog 22 kilo, en artsen vonden hem slecht voor je schoenen."
        " Trappers kwamen er rond 1865, aan het voorwiel, dat daarna groeide en groeide tot de "
        "rijder hoger zat dan een paard. De ketting bracht in 1885 iedereen terug op de grond.",
    )
    chat.expect(text, Reply(story, pace_s=1.2, delta_chars=16))
    sent = chat.say(text)

    def grown(message: ChatMessage) -> bool:
        return message.from_bot and len(message.text) > 90 and bool(message.buttons)

    growing = await chat.sees(grown, after=sent, whole=False)
    await chat.picture("answer-grows")
    chat.press(growing, "⏹")
    await chat.sees(say(chat.language, "stopped"))
    await chat.picture("answer-stopped")


async def groups(chat: Chat) -> None:
    """A group: the bot answers who calls it."""
    telegram = chat.stage.telegram
    number = GROUP - chat.user_id
    title = chat.t("Weekend in Ghent", "Weekend in Gent")
    telegram.open_group(number, (chat.user_id, "Anna"), (902, "Bo"), title=title)
    telegram.join(number, chat.user_id, "Anna", language=chat.language)
    telegram.add_bot(number, user_id=chat.user_id, title=title)
    card = await chat.sees("👥")
    await chat.picture("group-asks", first=card.message_id)
    chat.press(card, say(chat.language, "button_allow"))
    group = Chat(chat.stage, chat.user_id, chat.language, number)
    await group.sees(say(chat.language, "group_welcome")[:20])
    said = group.say(
        chat.t("Shall we take the train at ten?", "Zullen we de trein van tien uur nemen?"),
        user_id=902,
        first_name="Bo",
    )
    question = chat.t("how long does the train take?", "hoe lang duurt de trein?")
    chat.expect(
        question,
        chat.t(
            "About two and a half hours, with a change in Antwerp.",
            "Ongeveer tweeënhalf uur, met een overstap in Antwerpen.",
        ),
    )
    group.say(f"@{telegram.me['username']} {question}")
    await group.sees("Antwerp", after=said)
    await group.picture("group", first=said - 1)


async def topics(chat: Chat) -> None:
    """Topics in a private chat: each is a conversation of its own."""
    telegram = chat.stage.telegram
    name = chat.t("Holiday", "Vakantie")
    thread = telegram.create_topic(chat.chat_id, name, language=chat.language)
    text = chat.t(
        "What shall I pack for three days by the sea?", "Wat pak ik in voor drie dagen aan zee?"
    )
    chat.expect(
        text,
        chat.t(
            "Something warm for the evening, swimwear, sun cream and good shoes.",
            "Iets warms voor de avond, zwemkleding, zonnebrand en goede schoenen.",
        ),
    )
    chat.say(text, thread_id=thread)
    await chat.sees(chat.t("swimwear", "zwemkleding"))
    await chat.picture("topic")


async def strangers(owner: Chat) -> None:
    """Somebody the bot does not know: what they see, and what the owner is asked."""
    asked = owner.say("/status")
    await owner.sees("Model", after=asked)
    person = Chat(owner.stage, owner.t(7001, 7002), owner.language)
    person.say(
        owner.t("Hello, may I use this bot?", "Hallo, mag ik deze bot gebruiken?"),
        first_name="Maud",
    )
    await person.sees(say(owner.language, "stranger")[:20])
    await person.picture("stranger")
    card = await owner.sees("Maud", after=asked)
    await owner.picture("stranger-asks", first=card.message_id)
    owner.press(card, say(owner.language, "button_allow"))
    await person.sees(lambda m: m.buttons)
    await owner.sees(lambda m: m.message_id == card.message_id and not m.buttons)
    await owner.picture("stranger-allowed", first=card.message_id)


CHATS = (welcomes, settings, digests, tables, stops, groups, topics)

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


async def notes(chat: Chat) -> None:
    """/memory with some notes, and /persona."""
    for note in (
        chat.t("coffee: black, no sugar", "koffie: zwart, zonder suiker"),
        chat.t("Marieke: my sister, born 14 March", "Marieke: mijn zus, jarig 14 maart"),
        chat.t("Trains: a seat by the window", "Trein: een plaats bij het raam"),
    ):
        kept = chat.say(f"/memory {note}")
        await chat.sees(note.split(": ")[1][:10], after=kept)
    asked = chat.say("/memory")
    await chat.sees(say(chat.language, "memory_title"), after=asked)
    await chat.picture("memory", first=asked)
    asked = chat.say("/persona")
    await chat.sees(say(chat.language, "persona_title"), after=asked)
    await chat.picture("persona", first=asked)


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
    await chat.ask("/start")
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


async def voices(chat: Chat) -> None:
    """What is said is shown as a quote, then answered."""
    words = chat.t("What time does the sun set today?", "Hoe laat gaat de zon vandaag onder?")
    chat.expect(words, chat.t("At 16:34 in Utrecht.", "Om 16:34 in Utrecht."))
    sound = chat.stage.telegram.send_sound(chat.chat_id, words.encode(), duration=4, **chat.who)
    chat.show(sound)
    await chat.sees("16:34")
    await chat.picture("voice")


async def unnamed(chat: Chat) -> None:
    """A file without a word of what it is for."""
    name = chat.t("contract.txt", "huurcontract.txt")
    words = chat.t("Rental agreement between …", "Huurovereenkomst tussen …") * 40
    file = chat.stage.telegram.send_document(chat.chat_id, name, words.encode(), **chat.who)
    chat.show(file)
    await chat.sees(lambda m: name in m.text and m.buttons)
    await chat.picture("file-question")


async def queues(chat: Chat) -> None:
    """What is written during an answer waits with a sign; a stop asks what becomes of it."""
    text = chat.t("Explain how a gearbox works", "Leg uit hoe een versnellingsbak werkt")
    answer = chat.t(
        "A gearbox trades speed for force. A small wheel that drives a large one turns it slowly "
        "and strongly; the other way round it is fast and weak. ",
        "Een versnellingsbak ruilt snelheid voor kracht. Een klein tandwiel dat een groot tandwiel "
        "aandrijft, draait het langzaam en sterk; andersom gaat het snel en zwak. ",
    )
    chat.expect(text, Reply(answer * 6, pace_s=2.0, delta_chars=16))
    sent = chat.say(text)
    growing = await chat.sees(lambda m: m.buttons and len(m.text) > 60, after=sent, whole=False)
    more = chat.say(chat.t("And in an electric car?", "En in een elektrische auto?"))
    await chat.stage.telegram.wait_for(
        lambda e: e.chats[chat.chat_id].messages[more].reaction, timeout_s=60
    )
    await chat.picture("waits-behind")
    chat.press(growing, "⏹")
    await chat.sees(lambda m: m.buttons and "⏸" in m.text)
    await chat.picture("queue-held")


async def outlasts(chat: Chat) -> None:
    """An answer that takes long is offered to the background."""
    text = chat.t("Is the bridge at Zaltbommel open?", "Is de brug bij Zaltbommel open?")
    chat.expect(text, Reply("…", first_token_s=60.0))
    sent = chat.say(text)
    await chat.sees(lambda m: m.buttons, after=sent)
    await chat.picture("takes-long")


async def drafts(chat: Chat) -> None:
    """An answer that grows as a draft, for who chose so."""
    await chat.ask("/settings streaming draft", "draft" if chat.language == "en" else "concept")
    chat.first = None
    text = chat.t("Why is the sky blue?", "Waarom is de lucht blauw?")
    answer = chat.t(
        "Sunlight holds all colours. Air scatters the short waves most, and blue is short, so blue "
        "comes to your eye from every side. In the evening its way is longer: the blue is "
        "gone by then, and red is left.",
        "In zonlicht zitten alle kleuren. Lucht verstrooit de korte golven het meest, en blauw is "
        "kort, dus komt blauw van alle kanten naar je oog. 's Avonds is de weg langer: blauw is "
        "dan op, en rood blijft over.",
    )
    chat.expect(text, Reply(answer, pace_s=2.0, delta_chars=16))
    chat.say(text)
    await chat.stage.telegram.wait_for(
        lambda e: any(len(d.text) > 50 for d in e.chats[chat.chat_id].drafts.values()),
        timeout_s=60,
    )
    await chat.picture("draft")


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


GROWING = (drafts, stops, queues, outlasts)  # what is photographed while it changes
CHATS = (welcomes, settings, digests, notes, tables, groups, topics, voices, unnamed)

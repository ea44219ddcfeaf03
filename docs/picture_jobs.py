"""Scenes of jobs: their cards, their ends, their lists. Each is played once in each language."""

from dataclasses import replace

from picture_stage import Chat, Declined, Step, Task

from bridge.emulator.script import Reply, Text, ToolUse
from bridge.emulator.story_schedules import proposal as proposal_of
from bridge.emulator.telegram_state import ChatMessage
from bridge.telegram.texts import say


def report(step: str, percent: int, after_s: float = 0.2) -> Step:
    """A worker says where it stands."""
    return Step([ToolUse("report_progress", {"step": step, "percent": percent})], after_s)


def ends(text: str, after_s: float = 0.2) -> Step:
    """A worker's last words."""
    return Step([Text(text)], after_s)


def reads(step: str, percent: int, after_s: float = 0.2) -> Step:
    """The same, with long notes, so that the job has tokens and a price."""
    notes = ToolUse("write_file", {"path": "notes.md", "content": "What was read. " * 3_000})
    return Step([notes, ToolUse("report_progress", {"step": step, "percent": percent})], after_s)


STAYS = Step(
    [Text("so much to say " * 1_000)], pace_s=5.0
)  # a job that is still at work when the picture is taken


def simple(text: str, title: str, acknowledgement: str, *steps: Step) -> Task:
    """A task of which only these steps matter."""
    return Task(text=text, title=title, acknowledgement=acknowledgement, steps=steps)


async def waits(chat: Chat) -> None:
    """The acknowledgement is the card: a job in the queue."""
    earlier = [
        chat.t(
            "Collect reviews of the Cortina in the background",
            "Verzamel op de achtergrond ervaringen met de Cortina",
        ),
        chat.t(
            "Find a bike shop near Utrecht in the background",
            "Zoek op de achtergrond een fietsenwinkel bij Utrecht",
        ),
        chat.t(
            "Look up bike insurance in the background",
            "Zoek op de achtergrond fietsverzekeringen op",
        ),
    ]
    for text in earlier:
        task = simple(
            text,
            text.partition(" ")[2][:20],
            chat.t("I am on it.", "Ik ga ermee aan de slag."),
            STAYS,
        )
        await chat.start(task, task.title)
    chat.first = None
    task = simple(
        chat.t(
            "Find the best e-bike under € 2,000 in the background",
            "Zoek op de achtergrond de beste e-bike onder € 2.000",
        ),
        chat.t("Compare e-bikes", "E-bikes vergelijken"),
        chat.t(
            "I will compare them and come back with advice.",
            "Ik vergelijk ze en kom met een advies.",
        ),
        STAYS,
    )
    await chat.start(task, lambda m: "⏳" in m.text and "(" in m.text)
    await chat.picture("queue")


def museums(chat: Chat, last: Step) -> Task:
    """A job of seven steps that is at the third when `last` begins."""
    return simple(
        chat.t(
            "Plan a day of museums in Ghent, in the background",
            "Plan op de achtergrond een dag musea in Gent",
        ),
        chat.t("A day of museums in Ghent", "Een dag musea in Gent"),
        chat.t("I will put a day together.", "Ik stel een dag samen."),
        reads(chat.t("1/7 looking for museums", "1/7 zoekt musea"), 12),
        reads(chat.t("2/7 reading opening hours", "2/7 leest openingstijden"), 27, 3.0),
        report(chat.t("3/7 reading smak.be", "3/7 leest smak.be"), 41, 4.0),
        last,
    )


async def live(chat: Chat) -> None:
    """A job at work, and its last steps unfolded."""
    card = await chat.start(museums(chat, STAYS), has_time_left(chat))
    await chat.picture("card")
    chat.press(card, "📋")
    await chat.sees(say(chat.language, "card_steps"))
    await chat.picture("card-steps", unfold=True)


def has_time_left(chat: Chat):  # type: ignore[no-untyped-def]
    """The card says how long it will still take."""
    words = say(chat.language, "card_left", time="|").partition("|")
    return lambda message: any(word.strip() and word in message.text for word in words)


async def done(chat: Chat) -> None:
    """The card has ended; the result is a message of its own."""
    table = chat.t(
        "| E-bike | Price | Range |\n|---|---|---|\n| Gazelle Paris C7 | € 1,899 | 110 km |\n"
        "| Cortina E-U4 | € 1,799 | 100 km |\n| Batavus Finez | € 1,999 | 125 km |",
        "| E-bike | Prijs | Bereik |\n|---|---|---|\n| Gazelle Paris C7 | € 1.899 | 110 km |\n"
        "| Cortina E-U4 | € 1.799 | 100 km |\n| Batavus Finez | € 1.999 | 125 km |",
    )
    advice = chat.t(
        "**Advice: Gazelle Paris C7 (€ 1,899)**\n\nThe quietest motor of the three, a frame that "
        "fits you, and a dealer within 5 km. If range matters more, take the Batavus.",
        "**Advies: Gazelle Paris C7 (€ 1.899)**\n\nDe stilste motor van de drie, een frame dat je "
        "past en een dealer binnen 5 km. Telt het bereik zwaarder, neem dan de Batavus.",
    )
    name = chat.t("comparison.md", "vergelijking.md")
    caption = chat.t("The whole comparison", "De hele vergelijking")
    task = simple(
        chat.t(
            "Compare three e-bikes under € 2,000 in the background",
            "Vergelijk op de achtergrond drie e-bikes onder € 2.000",
        ),
        chat.t("Compare e-bikes", "E-bikes vergelijken"),
        chat.t("I will compare three of them.", "Ik vergelijk er drie."),
        reads(chat.t("1/2 reading tests", "1/2 leest tests"), 40),
        Step([ToolUse("write_file", {"path": name, "content": f"{advice}\n\n{table}\n"})], 3.0),
        Step([ToolUse("attach_file", {"path": name, "caption": caption})], 3.0),
        ends(advice, 3.0),
    )
    await chat.start(task, lambda m: m.file is not None)
    await chat.sees("✅")
    await chat.picture("result")


async def fails(chat: Chat) -> None:
    """A job that failed for good: the cause, folded details, what can be done."""
    task = simple(
        chat.t(
            "Fill in the form of the council in the background",
            "Vul op de achtergrond het formulier van de gemeente in",
        ),
        chat.t("Fill in the form of the council", "Formulier van de gemeente invullen"),
        chat.t("I will have a look at the form.", "Ik kijk naar het formulier."),
        report(chat.t("1/7 opening the site", "1/7 opent de site"), 10),
        report(chat.t("2/7 reading the form", "2/7 leest het formulier"), 25, 1.5),
        report(chat.t("3/7 collecting your details", "3/7 verzamelt je gegevens"), 40, 1.5),
        report(chat.t("4/7 signing in", "4/7 logt in"), 55, 1.5),
        Declined([], 1.5, why=chat.t("I cannot sign for you.", "Ik kan niet voor jou tekenen.")),
    )
    await chat.start(task, say(chat.language, "cause", cause="").strip())
    await chat.picture("failure", unfold=True)


async def asks(chat: Chat) -> None:
    """A job that needs its person, and answers to tap."""
    options = [
        chat.t("Saturday", "Zaterdag"),
        chat.t("Sunday", "Zondag"),
        chat.t("Both days", "Beide dagen"),
    ]
    question = chat.t(
        "For which day shall I look for trains to Ghent?",
        "Voor welke dag zal ik treinen naar Gent zoeken?",
    )
    task = simple(
        chat.t(
            "Plan our weekend in Ghent in the background",
            "Plan op de achtergrond ons weekend in Gent",
        ),
        chat.t("Weekend in Ghent", "Weekend in Gent"),
        chat.t("I will plan it.", "Ik ga het plannen."),
        report(chat.t("looking at trains", "bekijkt treinen"), 20),
        Step([ToolUse("ask_user", {"question": question, "options": options})], 1.0),
        STAYS,
    )
    await chat.start(task, lambda m: question in m.text and "🛠" not in m.text)
    await chat.picture("question")


async def approves(chat: Chat) -> None:
    """A job that may do something only after a tap."""
    question = chat.t(
        "May I delete three double photos: IMG_0412.jpg, IMG_0413.jpg and IMG_0415.jpg?",
        "Mag ik drie dubbele foto's verwijderen: IMG_0412.jpg, IMG_0413.jpg en IMG_0415.jpg?",
    )
    task = simple(
        chat.t("Tidy up my photos in the background", "Ruim op de achtergrond mijn foto's op"),
        chat.t("Tidy up photos", "Foto's opruimen"),
        chat.t("I will look for doubles.", "Ik zoek naar dubbele."),
        report(chat.t("comparing photos", "vergelijkt foto's"), 60),
        Step([ToolUse("ask_user", {"question": question, "options": [], "kind": "approval"})], 1.0),
        STAYS,
    )
    await chat.start(task, lambda m: question in m.text and "🛠" not in m.text)
    await chat.picture("approval")


async def restarts(chat: Chat) -> None:
    """A worker that was killed; its job goes on, and the card says so."""
    task = simple(
        chat.t(
            "Translate the letter of the landlord in the background",
            "Vertaal op de achtergrond de brief van de verhuurder",
        ),
        chat.t("Translate the letter", "Brief vertalen"),
        chat.t("I will translate it.", "Ik vertaal hem."),
        report(chat.t("1/3 reading the letter", "1/3 leest de brief"), 30),
        report(chat.t("2/3 translating", "2/3 vertaalt"), 60, 1.0),
        STAYS,
    )
    await chat.start(task, "2/3")
    chat.stage.kill_worker()
    await chat.sees("🔁")
    await chat.picture("restart")


async def lists(chat: Chat) -> None:
    """/jobs, /job and /files of a chat in which jobs have ended, run and wait."""
    quick, ack = (
        chat.t("in the background", "op de achtergrond"),
        chat.t("I am on it.", "Ik ga aan de slag."),
    )

    async def job(title: str, fits: str, *steps: Step) -> ChatMessage:
        return await chat.start(
            simple(f"{title}, {quick}", title, f"{ack} ({title})", *steps),
            lambda m: title in m.text and fits in m.text,
        )

    notes = chat.t("minutes.md", "notulen.md")
    await job(
        chat.t("Summarise the minutes", "Notulen samenvatten"), "✅",
        report(chat.t("1/3 reading 14 pages", "1/3 leest 14 bladzijden"), 30),
        report(chat.t("2/3 sorting by topic", "2/3 ordent per onderwerp"), 60, 2.0),
        report(chat.t("3/3 writing", "3/3 schrijft"), 90, 2.0),
        Step([ToolUse("write_file", {"path": notes, "content": "# Minutes\n"})]),
        Step([ToolUse("attach_file", {"path": notes, "caption": ""})]),
        ends(chat.t("Three decisions, two open points.", "Drie besluiten, twee open punten."), 1.0),
    )  # fmt: skip
    number = next(
        word.strip("#") for m in chat.stage.telegram.messages(chat.chat_id) if "✅" in m.text
        for word in m.text.split() if word.startswith("#")
    )  # fmt: skip
    await job(
        chat.t("Check the links of the site", "Links van de site nakijken"),
        "❌",
        Declined([]),
    )
    await job(
        chat.t("Read the logs of the server", "Serverlogs nakijken"),
        "%",
        report(chat.t("2/4 reading nginx.log", "2/4 leest nginx.log"), 38),
        STAYS,
    )
    await job(
        chat.t("Summarise four PDFs", "Vier pdf's samenvatten"),
        "%",
        report(chat.t("1/4 reading", "1/4 leest"), 22),
        STAYS,
    )
    await job(chat.t("The weekly report", "Het weekrapport"), "⏳", STAYS)
    asked = chat.say("/jobs")
    await chat.sees(say(chat.language, "jobs_title", running=2, waiting=1), after=asked)
    await chat.picture("jobs", first=asked)
    asked = chat.say(f"/job {number}")
    await chat.sees(say(chat.language, "job_ended"), after=asked)
    await chat.picture("job", first=asked, unfold=True)
    asked = chat.say("/files")
    await chat.sees(lambda m: notes in m.text, after=asked)
    await chat.picture("files", first=asked)


async def costs(chat: Chat) -> None:
    """/cost after an answer and a job."""
    text = chat.t(
        "Explain in one line what a heat pump is", "Leg in één regel uit wat een warmtepomp is"
    )
    chat.expect(
        text,
        chat.t(
            "A fridge turned inside out: it carries warmth into your house.",
            "Een omgekeerde koelkast: hij brengt warmte je huis in.",
        ),
    )
    await chat.ask(text, chat.t("fridge", "koelkast"))
    task = simple(
        chat.t("Compare heat pumps in the background", "Vergelijk op de achtergrond warmtepompen"),
        chat.t("Compare heat pumps", "Warmtepompen vergelijken"),
        chat.t("I will compare them.", "Ik vergelijk ze."),
        reads(chat.t("reading", "leest"), 50),
        ends(chat.t("The Atlantic is the quietest.", "De Atlantic is de stilste."), 1.0),
    )
    await chat.start(task, "Atlantic")
    asked = chat.say("/cost")
    await chat.sees("💰", after=asked)
    await chat.picture("cost", first=asked)


def recurs(chat: Chat, wish: str, task: str) -> None:
    """The model proposes what recurs."""
    understood = proposal_of(wish, chat.language == "nl")
    assert understood is not None
    chat.expect(
        wish, Reply([replace(understood, input={**understood.input, "instructions": task})])
    )


async def schedules(chat: Chat) -> None:
    """A wish that recurs, what is proposed, and the list of what was saved."""
    wish = chat.t(
        "Every weekday at 7:30 the news in three lines",
        "Elke werkdag om 7:30 het nieuws in drie regels",
    )
    recurs(
        chat,
        wish,
        chat.t(
            "The most important news of today, with its source.",
            "Het belangrijkste nieuws van vandaag, met de bron.",
        ),
    )
    proposal = await chat.ask(wish, "🗓")
    await chat.picture("proposal")
    save = say(chat.language, "button_save")
    chat.press(proposal, save)
    await chat.sees("✅")
    wish = chat.t(
        "Every sunday at 3:00 check the backup", "Elke zondag om 3:00 de back-up nakijken"
    )
    recurs(chat, wish, chat.t("Does the newest copy open?", "Gaat de nieuwste kopie open?"))
    asked = chat.say(wish)
    second = await chat.sees("🗓", after=asked)
    chat.press(second, save)
    await chat.sees("✅", after=asked)
    asked = chat.say("/schedule")
    await chat.sees(say(chat.language, "schedules_title", count=2), after=asked)
    await chat.picture("schedules", first=asked)


JOBS = (waits, live, done, fails, asks, approves, lists, costs, schedules)

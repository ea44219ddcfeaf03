"""Writes docs/chat.md: every scene in both languages, with a sentence each."""

from pathlib import Path
from typing import Final

LANGUAGES: Final = ("en", "nl")
PAGE: Final = Path(__file__).parent / "chat.md"
HEAD: Final = """\
# The chat in pictures

What KITT looks like in Telegram, in both of its languages. Every picture is a photograph of a real
run: the bridge, the queue and the workers are the ones you install; only Telegram, the model and
what people say are emulated. `.venv/bin/python docs/make_pictures.py` makes them, and this page,
anew (it needs `chromium`).
"""
SECTIONS: Final[tuple[tuple[str, tuple[tuple[str, str], ...]], ...]] = (
    (
        "The first minute",
        (
            ("welcome", "Examples to tap; each is carried out, none is only a text."),
            ("demo", "The first of them is a job of twenty seconds that costs nothing."),
            ("stranger", "Whom the bot does not know hears this, once a day."),
            ("stranger-asks", "The owners are asked instead, with the answer under the thumb."),
            ("stranger-allowed", "The card says what became of it, at every owner's."),
        ),
    ),
    (
        "Answers",
        (
            ("answer-grows", "An answer grows in place, with a button that stops it."),
            ("answer-stopped", "What was there stays, and says that it was stopped."),
            ("draft", "Who likes it better has answers come as a draft."),
            ("waits-behind", "What is written meanwhile waits, with a sign on it."),
            ("queue-held", "After a stop nothing is thrown away unasked."),
            ("takes-long", "Nobody has to wait for an answer that takes long."),
            ("table", "A wide table stays readable on any client …"),
            ("table-rich", "… and is a real one for whom taps 📊."),
        ),
    ),
    (
        "Jobs",
        (
            (
                "queue",
                "The acknowledgement is the card: a number, a place in the queue, a way out.",
            ),
            ("card", "The card is edited without a sound: how far, what now, how long, what cost."),
            ("card-steps", "📋 unfolds the last steps."),
            ("result", "The result is a new message that rings, below what was asked."),
            ("failure", "A failure says where, why, and what can be done; the details are folded."),
            ("question", "A job that needs its person asks, and holds no worker meanwhile."),
            ("approval", "What cannot be undone needs a tap, and nothing else counts as one."),
            ("restart", "A worker was killed: the job goes on, and one line says so."),
            ("jobs", "/jobs: what runs, waits and has ended, six on a page."),
            ("job", "/job: one of them in full, with a link to copy."),
            ("files", "/files: what jobs made and what was sent, to have it once more."),
            ("cost", "/cost: today, this month, where it went, and what is left of the budgets."),
        ),
    ),
    (
        "What is kept, and who answers",
        (
            ("memory", "/memory: what KITT keeps of a chat, to correct or forget."),
            ("persona", "/persona: another character."),
        ),
    ),
    (
        "What recurs",
        (
            ("proposal", "What was understood and the next three times; saved by a tap only."),
            ("schedules", "/schedule: run now, pause, remove."),
        ),
    ),
    (
        "Files and voice",
        (
            (
                "file-question",
                "A file without a word is kept, and no model sees it before you say.",
            ),
            ("voice", "What was said is shown as it was heard, then answered."),
        ),
    ),
    (
        "Choices, and the night",
        (
            ("settings", "/settings: everything by buttons, or written."),
            ("quiet-hours", "One of them: hours without a sound."),
            ("digest", "When they end, one message says what came."),
        ),
    ),
    (
        "Groups and topics",
        (
            ("group-asks", "An owner opens a group before anybody there is answered."),
            ("group", "There the bot answers who calls it, and only who may use it."),
            ("topic", "A topic is a conversation of its own."),
        ),
    ),
)


def write(pictures: Path) -> None:
    """The page of the scenes that have been photographed."""
    PAGE.write_text(page({path.stem for path in pictures.glob("*.png")}), encoding="utf-8")


def page(there: set[str]) -> str:
    """`there`: names such as `jobs-en`."""
    lines = [HEAD]
    for title, scenes in SECTIONS:
        lines.append(f"## {title}\n")
        for scene, sentence in scenes:
            if all(f"{scene}-{language}" in there for language in LANGUAGES):
                shown = [f"![{scene}](pictures/{scene}-{language}.png)" for language in LANGUAGES]
                lines += [f"{sentence}\n", "| English | Nederlands |", "|---|---|"]
                lines.append(f"| {' | '.join(shown)} |\n")
    return "\n".join(lines)

"""Why something does not fit is told in the language of the chat, and in English in the shell."""

import ast
import string
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from chatting import House, Person
from fakes import START, a_job, claimed

import bridge
from bridge import schedules
from bridge.errors import JobRefused, Refused, ScheduleRefused
from bridge.models import check_new
from bridge.proposals import propose
from bridge.queue import Queue
from bridge.schedules import NewSchedule
from bridge.store import Store, Tx
from bridge.telegram.texts import LANGUAGES, reason, texts
from bridge.timing import MIN_EVERY_S, Timing, zone_named

FOLDER = Path(next(iter(bridge.__path__)))
NEWS = NewSchedule(chat_id="7", user_id="7", prompt="News", cron="30 7 * * 1-5")


def refusals() -> Iterator[tuple[str, set[str]]]:
    """The code and the values of each refusal in the source that has a code."""
    for path in sorted(FOLDER.rglob("*.py")):
        source = path.read_text()
        for node in ast.walk(ast.parse(source)) if "Refused(" in source else ():
            if (
                isinstance(node, ast.Call)
                and getattr(node.func, "id", "") in ("JobRefused", "ScheduleRefused", "NoteRefused")
                and len(node.args) == 2
            ):
                code = ast.literal_eval(node.args[1])
                yield code, {str(keyword.arg) for keyword in node.keywords}


REFUSALS = list(refusals())


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("code", "values"), REFUSALS, ids=[code for code, _ in REFUSALS])
def test_every_code_is_said_with_what_it_carries(
    code: str, values: set[str], language: str
) -> None:
    text = texts(language)[f"refused_{code}"]

    assert {name for _, name, _, _ in string.Formatter().parse(text) if name} <= values


def test_no_reason_is_left_over() -> None:
    said = {key for key in texts("en") if key.startswith("refused_")}

    assert said == {f"refused_{code}" for code, _ in REFUSALS}


@pytest.mark.parametrize(
    ("refused", "english", "dutch"),
    [
        (
            lambda: Timing(cron="* * * * *").check(START, min_every_s=MIN_EVERY_S),
            "It may come every 5 minutes at most.",
            "Vaker dan elke 5 minuten mag niet.",
        ),
        (
            lambda: Timing(cron="0 0 30 2 *").next_after(START),
            "When it recurs cannot be read. Say it again in other words.",
            "Wanneer het terugkeert is niet te lezen. Zeg het nog eens in andere woorden.",
        ),
        (
            lambda: zone_named("Mars/Olympus"),
            "I know no time zone “Mars/Olympus”. One is called Europe/Lisbon, for example.",
            "Ik ken geen tijdzone “Mars/Olympus”. Een tijdzone heet bijvoorbeeld Europe/Lisbon.",
        ),
        (
            lambda: check_new(a_job(prompt=" ")),
            "Say what is to be done.",
            "Zeg wat er gedaan moet worden.",
        ),
    ],
)
def test_a_refusal_is_said_in_each_language(
    refused: Callable[[], object], english: str, dutch: str
) -> None:
    with pytest.raises(Refused) as raised:
        refused()

    assert reason("en", raised.value) == english
    assert reason("nl", raised.value) == dutch
    assert str(raised.value) not in (english, dutch)


def test_a_refusal_without_a_code_is_said_as_it_is() -> None:
    assert reason("nl", JobRefused("--in takes seconds.")) == "--in takes seconds."
    assert reason("nl", ScheduleRefused("Odd.", "of a newer version")) == "Odd."


async def test_a_chat_that_is_full_is_told_so_in_its_language(store: Store) -> None:
    def fill(tx: Tx) -> None:
        for _ in range(50):
            schedules.add(tx, NEWS, now=START)
        propose(tx, NEWS, source="update:1", now=START)

    with pytest.raises(ScheduleRefused) as raised:
        await store.write(fill)

    assert reason("nl", raised.value).startswith("Je hebt 50 planningen, meer kan niet.")


async def test_a_job_that_has_a_twin_is_refused_in_the_language_of_the_chat(
    bridge: House, dutch: Person
) -> None:
    queue: Queue = bridge.queue
    await queue.fail(await claimed(queue, unique_key="birds"), "error", again=False)
    await queue.add(a_job(unique_key="birds"))

    await bridge.settled()
    dutch.say("/retry 1")

    await dutch.sees("Taak 2 doet hetzelfde. Wacht daarop, of annuleer die eerst: /cancel 2")


async def test_a_schedule_that_was_paused_says_why_in_the_language_of_the_chat(
    bridge: House, chat: Person, dutch: Person
) -> None:
    new = replace(NEWS, zone="UTC")
    await bridge.store.write(lambda tx: schedules.add(tx, new, now=bridge.clock.now()))
    with pytest.raises(ScheduleRefused) as raised:
        zone_named("Mars/Olympus")
    bridge.rows(
        "UPDATE schedules SET zone = 'Mars/Olympus', status = 'paused', error = :error",
        error=str(raised.value),
    )

    in_dutch = await dutch.ask("/schedule 1")
    toast = await dutch.press(in_dutch.message_id, "▶ Hervat")

    assert "⚠️ Ik ken geen tijdzone “Mars/Olympus”." in in_dutch.text
    assert toast.text.startswith("Dat kan niet: Ik ken geen tijdzone “Mars/Olympus”.")
    assert "⚠️ I know no time zone “Mars/Olympus”." in (await chat.ask("/schedule 1")).text

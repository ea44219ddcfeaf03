"""/cost: what a chat has cost, in the words, the money and the days of its person."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from chatting import House, Person
from fakes import a_job

from bridge import usage
from bridge.preferences import choose
from bridge.prices import Usage
from bridge.queue import Queue
from bridge.store import Store
from bridge.telegram.chosen import Chosen
from bridge.telegram.cost_words import PAD, cost_report, money
from bridge.telegram.gate import Incoming

NOW = datetime(2026, 11, 22, 7, 30, tzinfo=UTC)
SONNET = "claude-sonnet-5-5"  # 2 dollars for a million tokens
CENT = 5_000  # tokens of it


async def spend(
    store: Store, conversation: str, tokens: int, *, model: str = SONNET, at: datetime = NOW
) -> None:
    what: dict[str, Any] = {"conversation": conversation, "model": model, "now": at}
    await store.write(lambda tx: usage.account(tx, **what, usage=Usage(input_tokens=tokens)))


async def report(store: Store, language: str = "en", *, zone: str = "", at: datetime = NOW) -> str:
    text = await store.read(lambda tx: cost_report(tx, "7", language, at, zone))
    return text.replace(PAD, " ")


async def a_month(store: Store, queue: Queue) -> None:
    """Three answers, one of them last month; four jobs, one of them on models without a price."""
    await spend(store, "chat:7:0", 900 * CENT, at=datetime(2026, 10, 31, 23, 59, tzinfo=UTC))
    await spend(store, "chat:7:0", 4 * CENT, at=NOW - timedelta(days=3))
    await spend(store, "chat:7:0", 7 * CENT)
    for cents, title in ((110, "Compare e-bikes"), (5, "Sing"), (12, "Count"), (1_200, "Read")):
        job = await queue.add(a_job(chat_id="7", title=title))
        await spend(store, f"job:{job.id}", cents * CENT, at=NOW - timedelta(days=9))
    await spend(store, "job:2", 12_400, model="deepseek-chat")
    await spend(store, "job:2", 640, model="kimi-k3")


async def test_report_is_short_and_aligned(store: Store, queue: Queue) -> None:
    await a_month(store, queue)

    assert await report(store) == "\n".join(
        [
            "💰 What I cost",
            " $ 0.07  today",
            "$ 13.38  this month",
            " $ 0.11  of which answers in the chat",
            "$ 13.27  of which jobs",
            "",
            "The dearest jobs of this month",
            "$ 12.00  #4 Read",
            " $ 1.10  #1 Compare e-bikes",
            " $ 0.12  #3 Count",
            "",
            "+ 12k tokens of deepseek-chat, price unknown",
            "+ 640 tokens of kimi-k3, price unknown",
        ]
    )


async def test_report_speaks_dutch(store: Store, queue: Queue) -> None:
    await a_month(store, queue)

    assert await report(store, "nl") == "\n".join(
        [
            "💰 Wat ik kost",
            " $ 0,07  vandaag",
            "$ 13,38  deze maand",
            " $ 0,11  waarvan antwoorden in de chat",
            "$ 13,27  waarvan taken",
            "",
            "De duurste taken van deze maand",
            "$ 12,00  #4 Read",
            " $ 1,10  #1 Compare e-bikes",
            " $ 0,12  #3 Count",
            "",
            "+ 12k tokens van deepseek-chat, prijs onbekend",
            "+ 640 tokens van kimi-k3, prijs onbekend",
        ]
    )


async def test_report_leaves_out_what_there_is_nothing_of(store: Store) -> None:
    await spend(store, "chat:7:0", 7 * CENT)

    text = await report(store)

    assert text.splitlines()[-1] == "$ 0.00  of which jobs"
    assert "dearest" not in text
    assert "unknown" not in text


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "Nothing has been used this month."),
        ("nl", "Deze maand is nog niets gebruikt."),
    ],
)
async def test_report_of_nothing_is_a_sentence(store: Store, language: str, text: str) -> None:
    await spend(store, "chat:7:0", CENT, at=NOW - timedelta(days=40))
    await spend(store, "chat:8:0", CENT)

    assert await report(store, language) == text


async def test_report_of_a_model_without_a_price_says_so(store: Store) -> None:
    await spend(store, "chat:7:0", 2_000, model="deepseek-chat")

    text = await report(store)

    assert "$ 0.00  this month" in text
    assert text.endswith("+ 2k tokens of deepseek-chat, price unknown")


@pytest.mark.parametrize(
    ("zone", "today", "month"),
    [
        ("", "$ 0.01", "$ 0.01"),
        ("Europe/Amsterdam", "$ 0.03", "$ 0.03"),  # midnight there was at 23:00 UTC
        ("America/New_York", "$ 0.03", "$ 0.07"),  # where it is still the last of October
    ],
)
async def test_day_and_month_begin_at_midnight_of_the_person(
    store: Store, zone: str, today: str, month: str
) -> None:
    now = datetime(2026, 11, 1, 0, 30, tzinfo=UTC)
    await spend(store, "chat:7:0", CENT, at=now - timedelta(minutes=20))
    await spend(store, "chat:7:0", 2 * CENT, at=now - timedelta(minutes=60))
    await spend(store, "chat:7:0", 4 * CENT, at=now - timedelta(days=2))

    lines = (await report(store, zone=zone, at=now)).splitlines()

    assert lines[1:3] == [f"{today}  today", f"{month}  this month"]


@pytest.mark.parametrize(
    ("cost_micro", "english", "dutch"),
    [
        (0, "$ 0.00", "$ 0,00"),
        (1, "< $ 0.01", "< $ 0,01"),
        (9_999, "< $ 0.01", "< $ 0,01"),
        (10_000, "$ 0.01", "$ 0,01"),
        (14_999, "$ 0.01", "$ 0,01"),
        (15_000, "$ 0.02", "$ 0,02"),
        (112_000, "$ 0.11", "$ 0,11"),
        (999_999, "$ 1.00", "$ 1,00"),
        (1_234_560_000, "$ 1234.56", "$ 1234,56"),
    ],
)
def test_money_is_written_as_the_language_does(cost_micro: int, english: str, dutch: str) -> None:
    assert (money(cost_micro, "en"), money(cost_micro, "nl")) == (english, dutch)


@pytest.mark.parametrize(
    ("language", "title"), [("en", "💰 What I cost"), ("nl", "💰 Wat ik kost")]
)
async def test_cost_is_told_in_the_chat_without_the_model(
    bridge: House, chat: Person, language: str, title: str
) -> None:
    await chat.ask("Hello", language=language)

    answer = await chat.ask("/cost", language=language)

    assert answer.text.splitlines()[0] == title
    assert "< $ 0" in answer.text.splitlines()[1]
    assert len(bridge.asked()) == 1


@pytest.mark.parametrize(
    ("chosen", "set_for_all", "today"),
    [
        ("Asia/Tokyo", "UTC", "$ 0.03"),
        ("", "Asia/Tokyo", "$ 0.03"),
        ("UTC", "Asia/Tokyo", "$ 0.01"),
    ],
)
async def test_days_begin_where_the_chat_says_it_is(
    store: Store, chosen: str, set_for_all: str, today: str
) -> None:
    await spend(store, "chat:7:0", CENT)
    await spend(store, "chat:7:0", 2 * CENT, at=NOW - timedelta(hours=10))
    choices = Chosen(zone=set_for_all)
    await store.write(lambda tx: choose(tx, "7", "zone", chosen))
    await store.read(choices.load)
    asked = Incoming(
        update_id=1,
        chat_id="7",
        thread_id=0,
        user_id="7",
        name="Ann",
        language="en",
        message_id=1,
        text="/cost",
    )
    said = await store.read(lambda tx: cost_report(tx, "7", "en", NOW, choices.zone(asked)))

    assert said.splitlines()[1] == f"{today}  today"


async def test_finished_card_tells_what_the_job_cost(bridge: House, chat: Person) -> None:
    await chat.ask("/bg Count the pelicans")
    job = await bridge.job_runs()
    await spend(bridge.store, f"job:{job.id}", 11 * CENT)

    await bridge.queue.finish(job, "Three.")

    card = await chat.sees("✅ #1 · Count the pelicans · ")
    assert card.text.endswith(" · $ 0.11")

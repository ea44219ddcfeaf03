"""What calls have used: each written with its price, read as sums by an index."""

import re
import sqlite3
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from fakes import START, FakeClock, a_job, shell

from bridge import usage
from bridge.clock import stamp
from bridge.migrate import migrate, migrations
from bridge.preferences import choose
from bridge.prices import Usage
from bridge.queue import Queue
from bridge.statements import statements
from bridge.store import Store, Tx
from bridge.usage import Spent

SONNET, FREE = "claude-sonnet-5-5", "deepseek-chat"  # 2 dollars for a million tokens; no price
SUMS = ("spent_in_conversation", "spent_in_chat", "spent_on_jobs", "spent_by_model", "dearest_jobs")


async def spend(
    store: Store, conversation: str, tokens: int, *, model: str = SONNET, at: datetime = START
) -> None:
    def write(tx: Tx) -> None:
        used = Usage(input_tokens=tokens)
        usage.account(tx, conversation=conversation, model=model, usage=used, now=at)

    await store.write(write)


async def test_row_says_for_which_chat_it_was(store: Store, queue: Queue) -> None:
    job = await queue.add(a_job(chat_id="cli"))
    for conversation in ("chat:-1007:12", "chat:a:b:0", f"job:{job.id}", "job:99", "other"):
        await spend(store, conversation, 1)

    rows = shell(store.path, "SELECT chat_id, job_id FROM usage ORDER BY id")

    assert [(row["chat_id"], row["job_id"]) for row in rows] == [
        ("-1007", None),
        ("a:b", None),
        ("cli", job.id),
        ("", 99),
        ("", None),
    ]


async def test_price_is_that_of_the_moment(store: Store) -> None:
    used = Usage(cache_read=1_000_000)

    def write(tx: Tx) -> None:
        for now in (START - timedelta(days=60), START):
            usage.account(tx, conversation="chat:7:0", model=SONNET, usage=used, now=now)

    await store.write(write)

    rows = shell(store.path, "SELECT cost_micro FROM usage ORDER BY id")

    assert [row["cost_micro"] for row in rows] == [200_000, 100_000]


async def test_unknown_price_is_stored_as_unknown(store: Store) -> None:
    await spend(store, "chat:7:0", 500, model=FREE)

    assert shell(store.path, "SELECT cost_micro, tokens FROM usage") == [
        {"cost_micro": None, "tokens": 500}
    ]


async def test_sum_of_a_conversation_says_how_much_of_it_has_no_price(store: Store) -> None:
    await spend(store, "job:1", 1_000)
    await spend(store, "job:1", 300, model=FREE)
    await spend(store, "job:11", 9_000)

    spent = await store.read(lambda tx: usage.of_conversation(tx, "job:1"))

    assert spent == Spent(tokens=1_300, cost_micro=2_000, unpriced_tokens=300)
    assert spent.whole_micro is None


async def test_card_tells_no_money_in_a_chat_that_wants_to_see_none(store: Store) -> None:
    await spend(store, "job:1", 1_000)
    await store.write(lambda tx: choose(tx, "7", "costs", "off"))

    hidden, shown = await store.read(
        lambda tx: (usage.on_card(tx, 1, "7"), usage.on_card(tx, 1, "8"))
    )

    assert hidden == Spent(tokens=1_000)
    assert shown == Spent(tokens=1_000, cost_micro=2_000)


async def test_nothing_used_costs_nothing(store: Store) -> None:
    assert await store.read(lambda tx: usage.of_conversation(tx, "job:1")) == Spent()
    assert await store.read(lambda tx: usage.of_chat(tx, "7")) == Spent()
    assert await store.read(lambda tx: usage.by_model(tx, "7")) == {}
    assert await store.read(lambda tx: usage.dearest_jobs(tx, "7", limit=3)) == []
    assert Spent().whole_micro == 0


async def test_chat_is_summed_from_a_moment_on_and_with_its_jobs(
    store: Store, queue: Queue
) -> None:
    job = await queue.add(a_job(chat_id="7"))
    await spend(store, "chat:7:0", 100, at=START - timedelta(seconds=1))
    await spend(store, "chat:7:0", 20)
    await spend(store, f"job:{job.id}", 3, model=FREE)
    await spend(store, f"job:{job.id}", 7)
    await spend(store, "chat:77:0", 1_000)

    ever, since, jobs = await store.read(
        lambda tx: (
            usage.of_chat(tx, "7"),
            usage.of_chat(tx, "7", stamp(START)),
            usage.of_jobs(tx, "7", stamp(START)),
        )
    )

    assert ever == Spent(tokens=130, cost_micro=254, unpriced_tokens=3)
    assert since == Spent(tokens=30, cost_micro=54, unpriced_tokens=3)
    assert jobs == Spent(tokens=10, cost_micro=14, unpriced_tokens=3)


async def test_chat_is_summed_by_model_the_dearest_first(store: Store) -> None:
    await spend(store, "chat:7:0", 9_000, model=FREE)
    await spend(store, "chat:7:0", 10, model="claude-haiku-5-5")
    await spend(store, "chat:7:0", 10)
    await spend(store, "chat:7:0", 10)

    spent = await store.read(lambda tx: usage.by_model(tx, "7"))

    assert list(spent.items()) == [
        (SONNET, Spent(tokens=20, cost_micro=40)),
        ("claude-haiku-5-5", Spent(tokens=10, cost_micro=1)),
        (FREE, Spent(tokens=9_000, unpriced_tokens=9_000)),
    ]


async def test_dearest_jobs_come_first_and_those_without_cost_not_at_all(
    store: Store, queue: Queue
) -> None:
    for tokens, model in ((10, SONNET), (30, SONNET), (900, FREE), (20, SONNET), (40, SONNET)):
        job = await queue.add(a_job(chat_id="7", prompt=f"Count to {tokens}", title=""))
        await spend(store, f"job:{job.id}", tokens, model=model)
    other = await queue.add(a_job(chat_id="8"))
    await spend(store, f"job:{other.id}", 900)

    jobs = await store.read(lambda tx: usage.dearest_jobs(tx, "7", limit=3))

    assert [(job.job_id, job.name, job.spent.cost_micro) for job in jobs] == [
        (5, "Count to 40", 80),
        (2, "Count to 30", 60),
        (4, "Count to 20", 40),
    ]


async def test_cost_of_a_job_outlives_the_job(store: Store, queue: Queue) -> None:
    job = await queue.add(a_job(chat_id="7"))
    await spend(store, f"job:{job.id}", 10)
    shell(store.path, "DELETE FROM jobs")

    (left,) = await store.read(lambda tx: usage.dearest_jobs(tx, "7", limit=3))

    assert (left.job_id, left.name, left.spent.cost_micro) == (job.id, "", 20)


@pytest.mark.parametrize("name", SUMS)
def test_sum_reads_only_the_rows_it_adds_up(name: str) -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection, Path("kitt.db"), migrations())
    values = dict.fromkeys(re.findall(r":(\w+)", statements()[name]))

    plan = [
        row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statements()[name]}", values)
    ]
    connection.close()

    index = "usage_conversation (conversation=?)"
    if name != "spent_in_conversation":
        index = "usage_chat (chat_id=? AND at>?)"
    assert f"SEARCH usage USING INDEX {index}" in plan
    assert not [step for step in plan if re.match(r"SCAN (usage|jobs)", step)]


def test_rows_of_before_are_given_to_their_chats(tmp_path: Path, clock: FakeClock) -> None:
    steps = migrations()
    number = next(n for n, step in enumerate(steps) if "cost_micro" in step)
    path = tmp_path / "kitt.db"
    connection = sqlite3.connect(path, isolation_level=None)
    migrate(connection, path, steps[:number])
    connection.execute("INSERT INTO jobs (id, chat_id, prompt) VALUES (42, '-1007', 'Sing')")
    for conversation in ("chat:-1007:0", "chat:7:12", "chat:a:b:0", "job:42", "job:43", "c"):
        connection.execute(
            "INSERT INTO usage (at, conversation, model, input_tokens, output_tokens, cache_read,"
            " cache_write, latency_ms) VALUES (?, ?, 'm', 1, 2, 3, 4, 5)",
            (stamp(clock.now()), conversation),
        )

    migrate(connection, path, steps)

    rows = connection.execute("SELECT chat_id, job_id, tokens, cost_micro FROM usage ORDER BY id")
    assert rows.fetchall() == [
        ("-1007", None, 10, None),
        ("7", None, 10, None),
        ("a:b", None, 10, None),
        ("-1007", 42, 10, None),
        ("", 43, 10, None),
        ("", None, 10, None),
    ]
    connection.close()

"""Looking at jobs in the chat: the list, one of them, and the buttons below both."""

import sqlite3
import time
from pathlib import Path

from chatting import House, Person
from fakes import a_job

from bridge.emulator.telegram_state import ChatMessage
from bridge.migrate import migrate, migrations
from bridge.statements import statements
from bridge.store import Tx
from bridge.telegram import job_list

JOBS_MANY = 100_000


def labels(message: ChatMessage) -> list[list[str]]:
    return [[button["text"] for button in row] for row in message.buttons]


async def test_jobs_lists_what_runs_first_with_a_button_each(bridge: House, chat: Person) -> None:
    await chat.ask("/bg Count the pelicans")
    await chat.ask("/bg Count the herons")
    job = await bridge.job_runs()
    await bridge.queue.progress(job, 40, "Counting")

    answer = await chat.ask("/jobs")

    title, first, second = answer.text.split("\n")
    assert title == "Jobs · 1 running · 1 waiting"
    assert first.startswith("🛠 #1 Count the pelicans · ▰▰▱▱▱\u00a040\u00a0%\u00a0·\u00a00:0")
    assert second == "⏳ #2 Count the herons · waiting"
    assert labels(answer) == [["1", "2"], ["🔄", "⏹ All"]]


async def test_a_list_has_six_jobs_a_page_and_turns_in_place(bridge: House, chat: Person) -> None:
    for number in range(14):
        prompt = f"{number} " + "pelicans " * 50
        bridge.rows("INSERT INTO jobs (chat_id, prompt) VALUES ('7', :prompt)", prompt=prompt)
    answer = await chat.ask("/jobs")
    assert len(answer.text.split("\n")) == 7
    assert labels(answer)[1] == ["1/3", "›", "🔄", "⏹ All"]

    await chat.press(answer.message_id, "›")
    await chat.sees_where(lambda m: "#8 " in m.text and "#3 " in m.text)
    await chat.press(answer.message_id, "›")
    last = await chat.sees_where(lambda m: "#1 " in m.text and "#2 " in m.text)

    assert last.message_id == answer.message_id
    assert labels(last) == [["2", "1"], ["‹", "3/3", "🔄", "⏹ All"]]


async def test_a_list_can_be_filtered_in_any_language(bridge: House, chat: Person) -> None:
    for name in ("pelicans", "herons", "storks"):
        await chat.ask(f"/bg Count the {name}")
    await bridge.queue.finish(await bridge.job_runs(), "Three.")
    await bridge.job_runs()
    await chat.sees("Three.")

    shown = {}
    for word in ("done", "klaar", "running", "wacht", "mislukt"):
        sent = chat.say(f"/jobs {word}")
        message = await chat.sees("Jobs · ", after=sent)
        shown[word] = [name for name in ("pelicans", "herons", "storks") if name in message.text]

    assert shown == {
        "done": ["pelicans"],
        "klaar": ["pelicans"],
        "running": ["herons"],
        "wacht": ["storks"],
        "mislukt": [],
    }
    assert (await chat.ask("/jobs purple")).text.startswith("Say which: /jobs running")


async def test_what_has_ended_is_dated_in_the_readers_own_zone(bridge: House, chat: Person) -> None:
    await chat.ask("/bg Count the pelicans")
    await bridge.queue.finish(await bridge.job_runs(), "Three.")
    await chat.sees("Three.")

    answer = await chat.ask("/jobs")

    (entity,) = [entity for entity in answer.entities if entity["type"] == "date_time"]
    assert abs(entity["unix_time"] - time.time()) < 60
    assert entity["date_time_format"] == "t"


async def test_what_ended_long_ago_has_a_date_in_the_list(bridge: House, chat: Person) -> None:
    await chat.ask("/bg Count the pelicans")
    await bridge.queue.finish(await bridge.job_runs(), "Three.")
    await chat.sees("Three.")
    bridge.rows("UPDATE jobs SET completed_at = '2026-01-02 07:30:00.000'")

    answer = await chat.ask("/jobs")

    (entity,) = [entity for entity in answer.entities if entity["type"] == "date_time"]
    assert entity["date_time_format"] == "d"


async def test_a_job_opens_in_the_list_and_leads_back(bridge: House, chat: Person) -> None:
    await chat.ask("/bg Count the pelicans")
    answer = await chat.ask("/jobs")

    await chat.press(answer.message_id, "1")
    details = await chat.sees_where(lambda m: m.text.startswith("⏳ #1 · Count the pelicans"))
    assert details.message_id == answer.message_id
    await chat.press(answer.message_id, "‹ Jobs")
    back = await chat.sees("Jobs · 0 running")

    assert back.message_id == answer.message_id


async def test_job_tells_all_of_one(bridge: House, chat: Person) -> None:
    await chat.ask("/bg Count the pelicans")
    job = await bridge.job_runs()
    await bridge.queue.progress(job, 40, "Counting")

    answer = await chat.ask("/job 1")

    lines = answer.text.split("\n")
    assert lines[0] == "🛠 #1 · Count the pelicans"
    assert lines[1].startswith("running · ▰▰▱▱▱ 40 % · 0:0")
    assert lines[2] == "Count the pelicans"
    assert lines[-2].endswith(" Counting")
    kinds = [entity["type"] for entity in answer.entities]
    assert kinds == ["bold", "blockquote", "date_time", "date_time", "expandable_blockquote"]
    assert labels(answer) == [["⏹ Cancel", "🔄"], ["‹ Jobs", "🔗 Copy link"]]


async def test_the_link_of_a_job_opens_it(bridge: House, chat: Person) -> None:
    await chat.ask("/bg Count the pelicans")
    answer = await chat.ask("/job 1")
    link = answer.buttons[1][1]["copy_text"]["text"]

    opened = await chat.ask("/start " + link.partition("?start=")[2])

    assert link.startswith("https://t.me/")
    assert opened.text.startswith("⏳ #1 · Count the pelicans")


async def test_a_link_to_a_job_of_another_chat_opens_nothing(bridge: House, chat: Person) -> None:
    await bridge.queue.add(a_job(chat_id="8"))

    chat.say("/start job_1")

    assert (await chat.sees("job 1")).text == "There is no job 1 here."


async def test_cancel_in_the_details_changes_them(bridge: House, chat: Person) -> None:
    await chat.ask("/bg Count the pelicans")
    answer = await chat.ask("/job 1")

    toast = await chat.press(answer.message_id, "⏹ Cancel")

    assert toast.text == "⏹ Job 1 is cancelled."
    changed = await chat.sees_where(lambda m: m.message_id == answer.message_id and m.edits > 0)
    assert changed.text.startswith("⏹ #1")
    assert labels(changed)[0] == ["↻ Try again"]


async def test_everything_is_cancelled_only_after_a_question(bridge: House, chat: Person) -> None:
    for name in ("pelicans", "herons"):
        await chat.ask(f"/bg Count the {name}")
    answer = await chat.ask("/cancel all")
    assert answer.text == "Cancel all jobs that have not ended (2)?"
    assert {job["status"] for job in bridge.jobs()} == {"pending"}

    toast = await chat.press(answer.message_id, "⏹ Yes, cancel all")

    assert toast.text == "⏹ 2 jobs are cancelled."
    assert {job["status"] for job in bridge.jobs()} == {"cancelled"}
    assert (await chat.sees("Jobs · 0 running · 0 waiting")).message_id == answer.message_id


async def test_keeping_everything_leads_back_to_the_list(bridge: House, chat: Person) -> None:
    await chat.ask("/bg Count the pelicans")
    answer = await chat.ask("/jobs")
    await chat.press(answer.message_id, "⏹ All")
    await chat.sees("Cancel all jobs")

    await chat.press(answer.message_id, "Keep it")

    await chat.sees("Jobs · 0 running · 1 waiting")
    assert bridge.jobs()[0]["status"] == "pending"


async def test_cancel_without_a_number_means_the_only_job(bridge: House, chat: Person) -> None:
    await chat.ask("/bg Count the pelicans")

    assert (await chat.ask("/cancel")).text == "⏹ Job 1 is cancelled."
    assert (await chat.ask("/retry")).text == "🔁 Job 1 runs again."


async def test_cancel_without_a_number_asks_which_of_several(bridge: House, chat: Person) -> None:
    for name in ("pelicans", "herons"):
        await chat.ask(f"/bg Count the {name}")
    answer = await chat.ask("/cancel")
    assert labels(answer) == [["#2 Count the herons"], ["#1 Count the pelicans"]]

    toast = await chat.press(answer.message_id, "#1 Count the pelicans")

    assert toast.text == "⏹ Job 1 is cancelled."
    rest = await chat.sees_where(lambda m: m.message_id == answer.message_id and m.edits > 0)
    assert labels(rest) == [["#2 Count the herons"]]
    assert [job["status"] for job in bridge.jobs()] == ["cancelled", "pending"]


def test_deep_pages_of_a_hundred_thousand_jobs_are_skipped_in_the_index() -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.row_factory = sqlite3.Row
    migrate(connection, Path("kitt.db"), migrations())
    connection.execute(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
        " INSERT INTO jobs (chat_id, prompt, status, completed_at)"
        " SELECT '7', 'x', iif(i % 2, 'done', 'failed'), '2026-11-22 07:30:00.000' FROM n",
        (JOBS_MANY,),
    )
    tx = Tx(connection, statements())
    plans = [
        row["detail"]
        for name in ("ended_counts", "ended_page")
        for row in connection.execute(
            f"EXPLAIN QUERY PLAN {statements()[name]}",
            {"chat_id": "7", "statuses": "[]", "limit": 6, "offset": 0},
        )
    ]

    pages = [job_list.page_of(tx, "7", code) for code in (16_000 * 8, 8_000 * 8 + 3, 10**9)]
    connection.close()

    assert [page.jobs[-1].id for page in pages] == [3_995, 3_989, 1]
    assert [page.pages for page in pages] == [16_667, 8_334, 16_667]
    assert sum("COVERING INDEX jobs_ended" in plan for plan in plans) == 2
    assert not any("B-TREE" in plan for plan in plans)


async def test_job_tells_what_came_out_and_what_it_cost(bridge: House, chat: Person) -> None:
    await chat.ask("/bg Count the pelicans")
    job = await bridge.job_runs()
    bridge.rows(
        "INSERT INTO usage (at, conversation, model, input_tokens, output_tokens, cache_read, "
        "cache_write, latency_ms, cost_micro) VALUES ('now', 'job:1', 'm', 10, 10, 0, 0, 1, 4000)"
    )
    await bridge.queue.finish(job, "# Pelicans\n\nThere are **42**.\n\nAll of them are grey.")
    await chat.sees("All of them are grey.")

    answer = await chat.ask("/job 1")

    assert "💡 There are 42." in answer.text.split("\n")
    assert "< $ 0.01" in answer.text

"""What a job leaves: a summary, its output, its files, and what it took."""

from pathlib import Path
from typing import Any

import pytest
from fakes import a_job, claimed, shell
from own_kinds import write_kind
from terminal import Terminal
from working import Shop

from bridge import results
from bridge.emulator.script import Reply, Request, Text, ToolUse
from bridge.models import JobStatus
from bridge.queue import Queue

FINISH = ToolUse("finish", {"summary": "42, all grey.", "result_markdown": "# 42\n\nAll grey."})
WRITE = ToolUse("write_file", {"path": "out.md", "content": "42"})
ATTACH = ToolUse("attach_file", {"path": "out.md", "caption": ""})
STEP = ToolUse("report_progress", {"step": "counting", "percent": 50})


def replies(shop: Shop, *steps: list[ToolUse | Text]) -> None:
    """What the model answers, one after the other."""

    def next_step(request: Request) -> Reply | None:
        done = sum(message["role"] == "assistant" for message in request.body["messages"])
        return Reply([*steps[done]]) if request.is_worker else None

    shop.claude.script.rules.insert(0, next_step)


async def outcome(shop: Shop, job_id: int = 1) -> dict[str, Any]:
    job = await shop.queue.get(job_id)
    return await shop.store.read(lambda tx: results.of_job(tx, job))


@pytest.mark.parametrize(
    "steps",
    [
        [[FINISH]],
        [[WRITE], [ATTACH, FINISH]],
        [[WRITE, ATTACH, FINISH]],
        [[STEP, FINISH]],
    ],
)
async def test_a_job_that_finishes_with_a_summary_ends_there(
    shop: Shop, steps: list[list[ToolUse | Text]]
) -> None:
    replies(shop, *steps)
    await shop.queue.add(a_job())
    await shop.worker()

    done = await shop.job_is(1, JobStatus.DONE)

    assert done.result == "# 42\n\nAll grey."
    assert (await outcome(shop))["summary"] == "42, all grey."
    assert len(shop.claude.requests) == len(steps)
    assert shop.rows("SELECT count(*) AS owed FROM deliveries WHERE kind = 'result'") == [
        {"owed": 1}
    ]


async def test_a_job_whose_last_step_failed_goes_on(shop: Shop) -> None:
    replies(shop, [ATTACH, FINISH], [Text("Without the file: 42.")])
    await shop.queue.add(a_job())
    await shop.worker()

    done = await shop.job_is(1, JobStatus.DONE)

    assert done.result == "Without the file: 42."


async def test_a_job_cannot_finish_with_nothing(shop: Shop) -> None:
    empty = ToolUse("finish", {"summary": "Done.", "result_markdown": " "})
    replies(shop, [empty], [FINISH])
    await shop.queue.add(a_job())
    await shop.worker()

    done = await shop.job_is(1, JobStatus.DONE)

    assert done.result == "# 42\n\nAll grey."


async def test_a_final_message_is_a_result_too(shop: Shop) -> None:
    replies(shop, [STEP], [Text("# Pelicans\n\nThere are **42** of [them](https://a.example).")])
    await shop.queue.add(a_job())
    await shop.worker()

    await shop.job_is(1, JobStatus.DONE)

    assert (await outcome(shop))["summary"] == "There are 42 of them."


async def test_it_is_counted_what_a_job_took(shop: Shop) -> None:
    replies(shop, [STEP, WRITE], [ATTACH], [FINISH])
    await shop.queue.add(a_job())
    await shop.worker()

    await shop.job_is(1, JobStatus.DONE)

    left = await outcome(shop)
    took = left["metrics"]
    assert (took["model_calls"], took["tool_calls"], took["attempts"]) == (3, 4, 1)
    assert took["tokens"] > 0 and took["cost_micro"] > 0
    assert took["unpriced_tokens"] == 0
    assert [file["path"] for file in left["artifacts"]] == ["out.md"]
    assert left["output"] == "# 42\n\nAll grey."


async def test_plain_python_counts_what_it_likes(shop: Shop) -> None:
    write_kind(shop.folder)
    await shop.queue.add(a_job(kind="invoice", data='{"customer": "Jansen", "hours": 2}'))
    await shop.worker()

    await shop.job_is(1, JobStatus.DONE)

    left = await outcome(shop)
    assert left["summary"] == "Jansen pays 160.00."
    assert (left["metrics"]["total"], left["metrics"]["model_calls"]) == (160, 0)


async def test_a_job_that_fails_or_is_cancelled_is_counted_too(queue: Queue) -> None:
    failed = await claimed(queue)
    await queue.fail(failed, "error: it broke", again=False)
    await queue.add(a_job())
    await queue.cancel(2)

    kept = await queue.store.read(
        lambda tx: [results.of_job(tx, queue.find(tx, n)) for n in (1, 2)]
    )

    assert [left["metrics"]["attempts"] for left in kept] == [1, 0]
    assert [left["summary"] for left in kept] == ["", ""]


async def test_a_job_that_runs_again_has_no_result_until_it_ends(queue: Queue) -> None:
    job = await claimed(queue)
    await queue.fail(job, "error: it broke", again=False)
    await queue.retry(job.id)

    left = await queue.store.read(lambda tx: results.of_job(tx, queue.find(tx, job.id)))

    assert left == {"summary": "", "output": None, "artifacts": [], "metrics": {}}


async def test_messages_that_a_hand_has_damaged_do_not_keep_a_job_from_its_end(shop: Shop) -> None:
    job = await claimed(shop.queue)
    for content in ("no json", '["tool_use", 3, null]', '{"type": "tool_use"}'):
        shop.rows(
            "INSERT INTO messages (conversation, role, content, created_at) "
            f"VALUES ('job:1', 'assistant', '{content}', 'now')"
        )

    await shop.queue.finish(job, "42")

    assert (await outcome(shop))["metrics"]["tool_calls"] == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("There are 42.", "There are 42."),
        ("# Title\n\nThere are 42.\n\nMore.", "There are 42."),
        ("```\ncode\n```\n\nIt runs.", "It runs."),
        ("| a | b |\n|---|---|\n\n**Both** `fit`.", "Both fit."),
        ("- one\n- two", "one two"),
        ("a_name and __bold__", "a_name and bold"),
        ("# Only a title", ""),
        ("", ""),
        ("x" * 900, "x" * 499 + "…"),
    ],
)
def test_the_first_words_of_a_result_are_its_summary(text: str, words: str) -> None:
    assert results.first_words(text) == words


def test_the_shell_shows_what_a_job_left(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    terminal.kitt("queue", "add", "Count the pelicans")
    ended = "UPDATE jobs SET status = 'done', result = '# Pelicans\n\nThere are **42**.'"
    shell(terminal.database, ended)

    shown = terminal.json("queue", "show", "1")

    assert shown["result"] == "# Pelicans\n\nThere are **42**."
    assert shown["outcome"] == {
        "summary": "There are 42.",
        "output": shown["result"],
        "artifacts": [],
        "metrics": {},
    }
    assert "Summary: There are 42." in terminal.kitt("queue", "show", "1").out

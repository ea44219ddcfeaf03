"""Jobs of a kind, run by real workers: what the agent is told and given, and plain Python."""

import json
from typing import Any

import pytest
from fakes import a_job
from own_kinds import INVOICE, write_kind
from waiting import until
from working import Shop

from bridge import received
from bridge.agent.tool import Tool
from bridge.emulator.script import Reply, Request, Text, ToolUse
from bridge.models import JobStatus
from bridge.received import Sent
from bridge.tools import toolbox

BILL = json.dumps({"customer": "Jansen", "hours": 2})
WORK = """
from pathlib import Path
from bridge.kinds import Done, Failed, Kind, Task
from bridge.models import Artifact

async def work(task: Task) -> Done | str:
    {body}

KIND = Kind(name="invoice", description="x", handler=work)
"""


def own(shop: Shop, body: str) -> None:
    """A kind of the profile that does this."""
    write_kind(shop.folder, WORK.format(body=body))


def told(shop: Shop) -> str:
    """How the first request opened the job."""
    content = shop.claude.requests[0].body["messages"][0]["content"]
    return "\n".join(block["text"] for block in content if block["type"] == "text")


def system(shop: Shop) -> str:
    return str(shop.claude.requests[0].body["system"])


def given(shop: Shop) -> list[str]:
    """The names of the tools of the first request."""
    return [tool["name"] for tool in shop.claude.requests[0].body["tools"]]


# --- the agent ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "own", "others"),
    [
        ("research", {"web_fetch", "read_document", "start_background_job"}, {"run_python"}),
        ("data-processing", {"run_python", "read_document"}, {"start_background_job"}),
        ("report-generation", {"web_fetch", "write_document", "wait_for_jobs"}, {"browser_open"}),
        ("browser", {"web_fetch", "read_document"}, {"run_python", "start_background_job"}),
        ("code", {"run_python", "run_shell"}, {"browser_open", "wait_for_jobs"}),
        ("other", {"run_python", "web_fetch", "wait_for_jobs", "read_document"}, set()),
    ],
)
async def test_a_kind_has_the_tools_of_its_craft(
    shop: Shop, name: str, own: set[str], others: set[str]
) -> None:
    await shop.queue.add(a_job(prompt="quick job 1", kind=name))
    await shop.worker()

    await shop.job_is(1, JobStatus.DONE)

    assert own <= {*given(shop)}
    assert not others & {*given(shop)}


async def test_the_agent_is_told_its_craft_only_in_a_job_of_that_kind(shop: Shop) -> None:
    await shop.queue.add(a_job(prompt="quick job 1", kind="files", data='{"n":  3}'))
    await shop.worker()

    await shop.job_is(1, JobStatus.DONE)

    assert "This job is" not in system(shop)
    assert told(shop) == 'quick job 1\n\nData:\n{"n":  3}'


async def test_data_and_the_files_of_a_person_go_together(shop: Shop) -> None:
    sent = Sent(chat_id="7", message_id=9, name="a.csv", media_type="text/csv")
    file = received.keep(shop.settings.files_dir, sent, b"bike;1999\n")
    data = received.job_data([file], {"task": "Add up"})
    await shop.queue.add(a_job(prompt="quick job 1", kind="data-processing", data=data))
    await shop.worker()

    await shop.job_is(1, JobStatus.DONE)

    assert '"task":"Add up"' in told(shop)
    assert "input/a.csv (text/csv, 10 bytes)" in told(shop)
    assert "kitt_files" not in told(shop)


async def test_a_kind_is_given_only_its_families_of_tools(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(_given: dict[str, Any]) -> str:
        return ""

    def family(name: str) -> toolbox.Family:
        tool = Tool(name=name, description="x", properties={}, run=nothing)
        return lambda _context: [tool]

    families = {f"test-{name}": family(f"of_{name}") for name in ("books", "birds")}
    monkeypatch.setattr(toolbox, "FAMILIES", families)
    text = 'from bridge.kinds import Kind\nKIND = Kind(name="invoice", description="x", tools={})'
    write_kind(shop.folder, text.format('frozenset({"test-books"})'))
    await shop.queue.add(a_job(prompt="quick job 1", kind="invoice"))
    await shop.queue.add(a_job(prompt="quick job 2", kind="music"))
    await shop.worker(concurrency=1)

    await shop.job_is(2, JobStatus.DONE)

    for record, theirs in zip(
        shop.claude.requests, (["of_books"], ["of_books", "of_birds"]), strict=True
    ):
        names = [tool["name"] for tool in record.body["tools"]]
        assert [name for name in names if name.startswith("of_")] == theirs
        assert {"report_progress", "attach_file", "read_file"} <= {*names}


@pytest.mark.parametrize(("families", "web"), [("", False), ('"web"', True)])
async def test_a_kind_without_the_web_has_none_of_the_providers_either(
    shop: Shop, families: str, web: bool
) -> None:
    text = 'from bridge.kinds import Kind\nKIND = Kind(name="invoice", description="x", tools={})'
    write_kind(shop.folder, text.format(f"frozenset([{families}])"))
    await shop.queue.add(a_job(prompt="quick job 1", kind="invoice"))
    await shop.worker()

    await shop.job_is(1, JobStatus.DONE)

    theirs = {"web_search", "web_fetch"} & {*given(shop)}
    assert theirs == ({"web_search", "web_fetch"} if web else set())


async def test_the_budget_of_a_kind_ends_its_job(shop: Shop) -> None:
    def for_ever(request: Request) -> Reply | None:
        step = ToolUse("report_progress", {"step": "again", "percent": 1})
        return Reply([step if request.can_call(step.name) else Text("So far.")])

    shop.claude.script.rules.insert(0, for_ever)
    text = """from bridge.kinds import Budget, Kind
KIND = Kind(name="invoice", description="x", budget=Budget(calls_max=3))"""
    write_kind(shop.folder, text)
    await shop.queue.add(a_job(kind="invoice"))
    await shop.worker()

    done = await shop.job_is(1, JobStatus.DONE)

    assert done.result == "So far."
    assert len(shop.claude.requests) == 4  # the last one may only wrap up


async def test_a_kind_may_cost_less_than_other_jobs(shop: Shop) -> None:
    def for_ever(request: Request) -> Reply | None:
        step = ToolUse("report_progress", {"step": "again", "percent": 1})
        return Reply([step if request.can_call(step.name) else Text("So far.")])

    shop.claude.script.rules.insert(0, for_ever)
    text = """from bridge.kinds import Budget, Kind
KIND = Kind(name="invoice", description="x", budget=Budget(cost_usd=0.000001))"""
    write_kind(shop.folder, text)
    await shop.queue.add(a_job(kind="invoice"))
    await shop.worker()

    done = await shop.job_is(1, JobStatus.DONE)

    assert done.result == "So far."
    assert len(shop.claude.requests) == 1


@pytest.mark.parametrize("kind", ["research", "invoice"])
async def test_a_row_made_by_hand_that_does_not_fit_fails_without_a_model_call(
    shop: Shop, kind: str
) -> None:
    write_kind(shop.folder)
    await shop.worker()

    shop.rows(
        f"INSERT INTO jobs (chat_id, prompt, kind, data) VALUES (7, 'x', '{kind}', '{{\"a\": 1}}')"
    )
    shop.store.wake.nudge("worker")

    failed = await shop.job_is(1, JobStatus.FAILED)
    missing = "topic" if kind == "research" else "customer"
    assert (failed.error or "").startswith(f"bad_data: {missing} is missing, ")
    assert shop.claude.requests == []
    assert failed.attempt == 1


async def test_a_job_of_a_kind_that_is_broken_says_so(shop: Shop) -> None:
    path = write_kind(shop.folder, "KIND = 3")
    await shop.queue.add(a_job(kind="invoice"))
    await shop.worker()

    failed = await shop.job_is(1, JobStatus.FAILED)

    assert failed.error == f"bad_data: {path} cannot be used: it must say KIND = Kind(…)."
    assert shop.claude.requests == []


# --- plain Python ---------------------------------------------------------------------------------


async def test_plain_python_does_the_work_of_its_kind_without_a_model(shop: Shop) -> None:
    write_kind(shop.folder)
    await shop.queue.add(a_job(kind="invoice", data=BILL))
    await shop.worker()

    done = await shop.job_is(1, JobStatus.DONE)

    assert done.result == "Jansen pays 160.00."
    assert shop.claude.requests == []
    steps = shop.rows("SELECT step FROM job_events WHERE event = 'progress'")
    assert steps == [{"step": "adding up"}]
    assert shop.rows("SELECT count(*) AS owed FROM deliveries WHERE kind = 'result'") == [
        {"owed": 1}
    ]


async def test_plain_python_can_say_why_it_does_not_work(shop: Shop) -> None:
    write_kind(shop.folder)
    await shop.queue.add(
        a_job(kind="invoice", data=json.dumps({"customer": "Jansen", "hours": 900}))
    )
    await shop.worker()

    failed = await shop.job_is(1, JobStatus.FAILED)

    assert failed.error == "More than 10,000 must be signed by hand."
    assert failed.attempt == 1


async def test_plain_python_that_breaks_is_tried_again_and_shows_nobody_its_error(
    shop: Shop,
) -> None:
    own(shop, "raise RuntimeError('secret')")
    await shop.queue.add(a_job(kind="invoice", max_attempts=2))
    await shop.worker()
    await shop.job_is(1, JobStatus.SCHEDULED)

    shop.advance(60)

    failed = await shop.job_is(1, JobStatus.FAILED)
    assert (failed.error, failed.attempt) == ("error: RuntimeError", 2)


async def test_plain_python_reads_the_files_of_a_person_and_gives_some_back(shop: Shop) -> None:
    sent = Sent(chat_id="7", message_id=9, name="a.csv", media_type="text/csv")
    file = received.keep(shop.settings.files_dir, sent, b"bike;1999\n")
    own(
        shop,
        "text = (task.folder / 'input' / 'a.csv').read_text()\n"
        "    (task.folder / 'b.csv').write_text(text * 2)\n"
        "    made = Artifact(path='b.csv', name='b.csv', caption='Twice')\n"
        "    return Done(output='Copied.', files=(made,))",
    )
    await shop.queue.add(a_job(kind="invoice", data=received.job_data([file])))
    await shop.worker()

    await shop.job_is(1, JobStatus.DONE)

    assert shop.rows("SELECT path, caption FROM job_files") == [
        {"path": "b.csv", "caption": "Twice"}
    ]


@pytest.mark.parametrize("path", ["nothing.csv", "../../kitt.db", "/etc/passwd"])
async def test_plain_python_gives_away_no_file_but_its_own(shop: Shop, path: str) -> None:
    own(shop, f"return Done(output='x', files=(Artifact(path={path!r}, name='x'),))")
    await shop.queue.add(a_job(kind="invoice"))
    await shop.worker()

    await shop.job_is(1, JobStatus.FAILED)

    assert shop.rows("SELECT * FROM job_files") == []


async def test_plain_python_stops_when_its_job_is_cancelled(shop: Shop) -> None:
    own(shop, "await task.clock.sleep(3600)\n    return 'late'")
    await shop.queue.add(a_job(kind="invoice"))
    worker = await shop.worker()
    await until(lambda: 3600 in shop.clock.sleeping)

    await shop.queue.cancel(1)
    shop.store.wake.nudge("worker")

    await until(lambda: not worker._running)
    assert (await shop.queue.get(1)).result is None


async def test_a_kind_that_changes_is_used_by_a_worker_that_runs_already(shop: Shop) -> None:
    write_kind(shop.folder)
    await shop.queue.add(a_job(kind="invoice", data=BILL))
    await shop.worker()
    await shop.job_is(1, JobStatus.DONE)
    write_kind(shop.folder, INVOICE.replace("pays", "owes us"))

    await shop.queue.add(a_job(kind="invoice", data=BILL))

    assert (await shop.job_is(2, JobStatus.DONE)).result == "Jansen owes us 160.00."

"""`kitt queue …` in a real terminal: for people, and with --json for scripts."""

import json
import re
import signal
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fakes import shell
from terminal import Terminal

from bridge.clock import Clock, moment
from bridge.models import PROMPT_CHARS_MAX

IN = "--in takes seconds from now, from 0 to 315360000 (ten years);"


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path)


def jobs(terminal: Terminal) -> list[dict[str, Any]]:
    return shell(terminal.database, "SELECT * FROM jobs ORDER BY id")


# --- add ------------------------------------------------------------------------------------------


def test_add_prints_the_number_of_the_job(terminal: Terminal) -> None:
    done = terminal.kitt("queue", "add", "Compare three e-bikes")

    assert (done.code, done.out, done.err) == (0, "1\n", "")
    (job,) = jobs(terminal)
    assert (job["prompt"], job["status"], job["chat_id"]) == (
        "Compare three e-bikes",
        "pending",
        "cli",
    )


def test_add_with_json_prints_number_and_status(terminal: Terminal) -> None:
    assert terminal.json("queue", "add", "Sing") == {"id": 1, "status": "pending"}


def test_add_keeps_everything_it_is_given(terminal: Terminal) -> None:
    done = terminal.kitt(
        *("queue", "add", "Vergelijk drie fietsen – „snel“ 🚲"),
        *(
            "--chat",
            "12345",
            "--kind",
            "research",
            "--data",
            '{"topic": "bikes"}',
            "--priority",
            "5",
        ),
        *("--key", "bikes"),
    )

    assert done.code == 0
    (job,) = jobs(terminal)
    assert job["prompt"] == "Vergelijk drie fietsen – „snel“ 🚲"
    assert (job["chat_id"], job["kind"], job["data"]) == ("12345", "research", '{"topic": "bikes"}')
    assert (job["priority"], job["unique_key"]) == (5, "bikes")


def test_prompt_is_read_from_standard_input(terminal: Terminal) -> None:
    done = terminal.kitt("queue", "add", "-", stdin="Line one\nLine two – ë\n")

    assert done.code == 0
    assert jobs(terminal)[0]["prompt"] == "Line one\nLine two – ë\n"


def test_bytes_that_are_no_text_do_no_harm(terminal: Terminal) -> None:
    done = terminal.kitt("queue", "add", "-", "--key", "\udcff", stdin="h\udcffello")

    assert done.code == 0
    assert jobs(terminal)[0]["prompt"].endswith("ello")


def test_long_prompt_fits_up_to_the_limit(terminal: Terminal) -> None:
    assert terminal.kitt("queue", "add", "-", stdin="ë" * PROMPT_CHARS_MAX).code == 0

    sentence = terminal.refused(1, "queue", "add", "-", stdin="x" * 1_000_000)

    assert sentence == (
        "The prompt has 1,000,000 characters and at most 200,000 fit: "
        "put the text in a file and describe the task."
    )
    assert len(jobs(terminal)) == 1


def test_job_in_some_seconds_waits(terminal: Terminal) -> None:
    before = Clock().now()

    assert terminal.json("queue", "add", "Sing", "--in", "3600")["status"] == "scheduled"

    late = moment(jobs(terminal)[0]["run_at"]) - before
    assert timedelta(seconds=3599) < late < timedelta(seconds=3640)


@pytest.mark.parametrize(
    ("at", "run_at"),
    [
        ("2096-12-01T07:30+01:00", "2096-12-01 06:30:00.000"),
        ("2096-12-01T07:30", "2096-12-01 07:30:00.000"),
        ("2096-12-01", "2096-12-01 00:00:00.000"),
    ],
)
def test_job_at_a_time_waits_until_then(terminal: Terminal, at: str, run_at: str) -> None:
    assert terminal.json("queue", "add", "Sing", "--at", at)["status"] == "scheduled"

    assert jobs(terminal)[0]["run_at"] == run_at


def test_job_at_a_time_of_today_that_is_over_may_run_now(terminal: Terminal) -> None:
    hour_ago = (Clock().now() - timedelta(hours=1)).isoformat()

    assert terminal.json("queue", "add", "Sing", "--at", hour_ago)["status"] == "pending"


def test_job_after_others_is_blocked_by_them(terminal: Terminal) -> None:
    for prompt in ("One", "Two"):
        terminal.kitt("queue", "add", prompt)

    third = terminal.json("queue", "add", "Three", "--after", "1", "--after", "2")

    assert third == {"id": 3, "status": "blocked"}
    waits = shell(terminal.database, "SELECT * FROM job_after ORDER BY after_id")
    assert waits == [{"job_id": 3, "after_id": 1}, {"job_id": 3, "after_id": 2}]


def test_live_key_gives_back_the_job_it_has(terminal: Terminal) -> None:
    first = terminal.kitt("queue", "add", "Sing", "--key", "song")

    second = terminal.kitt("queue", "add", "Sing again", "--key", "song")

    assert (second.code, second.out) == (0, first.out)
    assert len(jobs(terminal)) == 1


def test_job_of_the_only_owner_is_theirs(terminal: Terminal) -> None:
    terminal.make()
    shell(terminal.database, "INSERT INTO users (user_id, role) VALUES ('42', 'owner')")

    terminal.kitt("queue", "add", "Sing")

    assert jobs(terminal)[0]["chat_id"] == "42"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("",), "A job needs a prompt: say what is to be done."),
        (("Sing", "--in", "-1"), f"{IN} got -1.0."),
        (("Sing", "--in", "nan"), f"{IN} got nan."),
        (("Sing", "--in", "inf"), f"{IN} got inf."),
        (("Sing", "--in", "1e300"), f"{IN} got 1e+300."),
        (("Sing", "--in", "315360001"), f"{IN} got 315360001.0."),
        (("Sing", "--at", "2001-01-01"), "--at takes a time to come; 2001-01-01 is long over"),
        (("Sing", "--kind", "*"), "'*' cannot be a kind: take at most 30 of a-z"),
        (("Sing", "--key="), "The key of a job must not be empty"),
        (("Sing", "--data", "[" * 60_000), "The data of a job is nested too deeply"),
        (("Sing", "--at", "tomorrow"), "--at takes a time such as 2026-12-01T07:30+01:00; got"),
        (("Sing", "--at", "0001-01-01T00:00+14:00"), "--at takes a time such as"),
        (("Sing", "--after", "99"), "There is no job 99 to wait for."),
        (("Sing", "--after", "9" * 30), f"There is no job {'9' * 30} to wait for."),
        (("Sing", "--data", "{"), "The data of a job must be JSON"),
    ],
)
def test_add_refuses_what_can_never_run(
    terminal: Terminal, arguments: tuple[str, ...], sentence: str
) -> None:
    assert terminal.refused(1, "queue", "add", *arguments).startswith(sentence)

    assert jobs(terminal) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("add",),
        ("add", "Sing", "--in", "soon"),
        ("add", "Sing", "--in", "5", "--at", "2027-01-01"),
        ("add", "Sing", "--priority", "high"),
        ("add", "Sing", "--priority", "9" * 30),
        ("add", "Sing", "--after", "first"),
        ("list", "--status", "lost"),
        ("list", "--limit", "9" * 30),
        ("list", "--limit", "-5"),
        ("show", "first"),
        ("cancel",),
        (),
    ],
)
def test_wrong_words_show_how_it_is_used(terminal: Terminal, arguments: tuple[str, ...]) -> None:
    done = terminal.kitt("queue", *arguments)

    assert done.code == 2
    assert done.err.startswith("usage: kitt queue")
    assert not terminal.database.exists()


# --- list, show, stats ----------------------------------------------------------------------------


def test_list_shows_the_newest_first(terminal: Terminal) -> None:
    terminal.make()
    assert terminal.kitt("queue", "list").out == "No jobs.\n"
    for prompt in ("Sing", "Dance"):
        terminal.kitt("queue", "add", prompt, "--chat", "7")

    assert terminal.kitt("queue", "list").out == "#2     pending  Dance\n#1     pending  Sing\n"


def test_list_can_be_narrowed(terminal: Terminal) -> None:
    for chat in ("7", "7", "8"):
        terminal.kitt("queue", "add", "Sing", "--chat", chat)
    terminal.kitt("queue", "cancel", "1")

    def ids(*arguments: str) -> list[int]:
        return [job["id"] for job in terminal.json("queue", "list", *arguments)]

    assert ids("--chat", "7") == [2, 1]
    assert ids("--status", "cancelled") == [1]
    assert ids("--limit", "1") == [3]


def test_list_with_json_has_every_field(terminal: Terminal) -> None:
    terminal.kitt("queue", "add", "Sing – ë", "--priority", "5")

    (job,) = terminal.json("queue", "list")

    assert (job["id"], job["prompt"], job["status"], job["priority"]) == (
        1,
        "Sing – ë",
        "pending",
        5,
    )
    assert {"chat_id", "result", "created_at", "started_at", "completed_at", "worker_id"} <= set(
        job
    )


def test_show_tells_everything_about_a_job(terminal: Terminal) -> None:
    terminal.kitt("queue", "add", "Sing")
    shell(
        terminal.database,
        "UPDATE jobs SET status = 'done', result = 'La la.', error = 'hoarse' WHERE id = 1",
    )
    shell(terminal.database, "INSERT INTO job_files (job_id, path, name) VALUES (1, 'a.mp3', 'a')")

    out = terminal.kitt("queue", "show", "1").out

    assert out.startswith(
        "#1     done  Sing\nPrompt: Sing\nChat: cli; kind: other; priority: 0\n"
        "Attempts: 0; failed: 0 of 3\nAdded: 2"
    )
    assert "  added " in out
    assert "File: a.mp3\n" in out
    assert "Error: hoarse\n" in out
    assert out.endswith("Result:\nLa la.\n")


def test_show_with_json_has_history_and_files(terminal: Terminal) -> None:
    terminal.kitt("queue", "add", "Sing")

    job = terminal.json("queue", "show", "1")

    assert (job["id"], job["files"]) == (1, [])
    assert [event["event"] for event in job["events"]] == ["added"]


def test_list_and_show_say_when_a_job_starts(terminal: Terminal) -> None:
    terminal.kitt("queue", "add", "Sing", "--at", "2096-12-01T07:30")

    listed = terminal.kitt("queue", "list").out
    shown = terminal.kitt("queue", "show", "1").out

    assert listed == "#1     scheduled 2096-12-01 07:30:00 UTC  Sing\n"
    assert "\nStarts: 2096-12-01 07:30:00 UTC, in 2" in shown


def test_show_says_how_long_a_job_waited_and_ran(terminal: Terminal) -> None:
    terminal.kitt("queue", "add", "Sing")
    times = "created_at = '2026-11-22 07:30:00', started_at = '2026-11-22 07:31:30.5'"
    done = "status = 'done', attempt = 2, failures = 1, completed_at = '2026-11-22 09:31:31'"
    shell(terminal.database, f"UPDATE jobs SET {times}, {done}")

    shown = terminal.kitt("queue", "show", "1").out

    assert "\nAttempts: 2; failed: 1 of 3\nAdded: 2026-11-22 07:30:00 UTC\n" in shown
    assert "\nStarted: 2026-11-22 07:31:30 UTC, after 0:01:30\n" in shown
    assert "\nEnded: 2026-11-22 09:31:31 UTC, after 2:00:00\n" in shown
    shell(terminal.database, "UPDATE jobs SET started_at = 'noon'")
    assert "\nStarted: noon UTC\n" in terminal.kitt("queue", "show", "1").out


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("worker_died", "its process was killed"),
        ("timeout", "the job took longer than it may"),
        ("expired", "the job could not start in time and is too old now"),
        ("error: KeyError", "an unexpected error (KeyError)"),
    ],
)
def test_show_says_in_words_why_a_job_failed(terminal: Terminal, error: str, words: str) -> None:
    terminal.kitt("queue", "add", "Sing")
    failed = "UPDATE jobs SET status = 'failed', error = :error"
    shell(terminal.database, failed, error=error)
    event = (
        "INSERT INTO job_events (job_id, at, attempt, event, message) VALUES (1, '', 1, 'retry', "
    )
    shell(terminal.database, f"{event}:error)", error=error)

    shown = terminal.kitt("queue", "show", "1").out

    assert re.search(rf"\nError: .*{re.escape(words)}\n", shown)
    assert re.search(rf"  retry +.*{re.escape(words)}\n", shown)
    assert terminal.json("queue", "show", "1")["error"] == error


def test_show_says_that_nobody_takes_a_job(terminal: Terminal) -> None:
    terminal.kitt("queue", "add", "Sing", "--kind", "browser")

    assert "\n! No worker is alive: run `kitt up`.\n" in terminal.kitt("queue", "show", "1").out

    shell(
        terminal.database,
        "INSERT INTO workers (id, slot, pid, host, state, started_at, beat_at) "
        "VALUES ('worker-1:1:a', 'worker-1', 1, 'elsewhere', 'idle', '', '')",
    )
    shown = terminal.kitt("queue", "show", "1", KITT_KIND_WORKERS="browser:1").out
    advice = "`kitt start worker-browser-1` or `kitt scale browser=1`."
    assert f"\n! No worker takes kind browser: {advice}\n" in shown
    assert "No worker" not in terminal.kitt("queue", "show", "1").out


@pytest.mark.parametrize("command", ["show", "cancel", "retry"])
@pytest.mark.parametrize("number", ["7", "0", "-1", "9" * 30])
def test_job_that_is_not_there_is_said_so(terminal: Terminal, command: str, number: str) -> None:
    terminal.make()
    assert terminal.refused(1, "queue", command, number) == f"There is no job {number}."


def test_stats_count_jobs_by_status(terminal: Terminal) -> None:
    for prompt in ("Sing", "Dance"):
        terminal.kitt("queue", "add", prompt, "--chat", "7")
    terminal.kitt("queue", "cancel", "1")

    stats = terminal.json("queue", "stats")

    assert stats["jobs"]["pending"] == 1
    assert stats["jobs"]["cancelled"] == 1
    assert stats["running"] == []
    assert stats["oldest_pending"] == jobs(terminal)[1]["created_at"]
    assert stats["deliveries"] == {"ready": 2}
    assert "pending          1\n" in terminal.kitt("queue", "stats").out


# --- cancel and retry -----------------------------------------------------------------------------


def test_cancel_ends_a_job_and_says_so(terminal: Terminal) -> None:
    terminal.kitt("queue", "add", "Sing")

    done = terminal.kitt("queue", "cancel", "1")

    assert (done.code, done.out) == (0, "Job 1 is cancelled.\n")
    assert jobs(terminal)[0]["status"] == "cancelled"
    assert terminal.json("queue", "cancel", "1") == {"id": 1, "status": "cancelled"}


def test_cancel_of_a_finished_job_says_why_not(terminal: Terminal) -> None:
    terminal.kitt("queue", "add", "Sing")
    shell(terminal.database, "UPDATE jobs SET status = 'done' WHERE id = 1")

    assert terminal.refused(1, "queue", "cancel", "1") == (
        "Job 1 is done: only one that has not ended can be cancelled; "
        "`kitt queue show 1` tells how it ended."
    )


def test_retry_runs_a_job_again(terminal: Terminal) -> None:
    terminal.kitt("queue", "add", "Sing")
    terminal.kitt("queue", "cancel", "1")

    done = terminal.kitt("queue", "retry", "1")

    assert (done.code, done.out) == (0, "Job 1 is pending.\n")


@pytest.mark.parametrize(
    ("status", "instead"),
    [
        ("pending", "wait for it, or cancel it first."),
        ("done", "add a new one with `kitt queue add`."),
        ("waiting", "answer it with `kitt queue answer 1 TEXT`."),
    ],
)
def test_retry_of_a_job_that_did_not_fail_says_why_not(
    terminal: Terminal, status: str, instead: str
) -> None:
    terminal.kitt("queue", "add", "Sing")
    shell(terminal.database, "UPDATE jobs SET status = :status", status=status)

    assert terminal.refused(1, "queue", "retry", "1") == (
        f"Job 1 is {status}: only a failed or cancelled one can run again; {instead}"
    )


def test_retry_beside_a_live_job_of_the_same_key_is_refused(terminal: Terminal) -> None:
    terminal.kitt("queue", "add", "Sing", "--key", "song")
    terminal.kitt("queue", "cancel", "1")
    terminal.kitt("queue", "add", "Sing", "--key", "song")

    assert terminal.refused(1, "queue", "retry", "1").startswith("Job 2 does the same")


# --- monitor --------------------------------------------------------------------------------------


def test_monitor_shows_what_changes_until_it_is_interrupted(terminal: Terminal) -> None:
    terminal.make()
    monitor = terminal.start("queue", "monitor", "--json", "--every", "0.1")
    assert monitor.stdout is not None
    try:
        assert json.loads(monitor.stdout.readline())["jobs"]["pending"] == 0
        terminal.kitt("queue", "add", "Sing")
        while json.loads(monitor.stdout.readline())["jobs"]["pending"] == 0:
            pass

        monitor.send_signal(signal.SIGINT)
        _, err = monitor.communicate(timeout=5)

        assert monitor.returncode == 130
        assert err == b""
    finally:
        monitor.kill()
        monitor.communicate()


def test_monitor_ends_quietly_when_nobody_reads_it(terminal: Terminal) -> None:
    terminal.make()
    monitor = terminal.start("queue", "monitor", "--every", "0.1")
    assert monitor.stdout is not None
    assert monitor.stderr is not None
    try:
        monitor.stdout.readline()
        monitor.stdout.close()

        assert monitor.wait(5) == 0
        assert monitor.stderr.read() == b""
    finally:
        monitor.kill()
        monitor.wait()
        monitor.stderr.close()

"""`kitt queue …` for many jobs at once, trees, later, answers and pauses.

Two commands run in a process of their own; the others in this one, which takes a tenth of the time.
"""

import io
import json
import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fakes import shell
from terminal import Done, Terminal

from bridge.cli import main
from bridge.clock import Clock, moment, stamp


class Here(Terminal):
    """A terminal whose commands run in this process."""

    def __init__(
        self, folder: Path, patch: pytest.MonkeyPatch, screen: pytest.CaptureFixture[str]
    ) -> None:
        super().__init__(folder)
        self._patch = patch
        self._screen = screen

    def kitt(self, *arguments: str | bytes, stdin: str = "", **environ: str) -> Done:
        self._screen.readouterr()
        self._patch.chdir(self.folder)
        for name in set(os.environ) - set(self.environ()):
            self._patch.delenv(name)
        for name, value in self.environ(**environ).items():
            self._patch.setenv(name, value)
        self._patch.setattr(sys, "stdin", io.StringIO(stdin))
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as ended:
            code = int(ended.code or 0)
        seen = self._screen.readouterr()
        return Done(code, seen.out, seen.err)


@pytest.fixture
def terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Terminal:
    return Here(tmp_path, monkeypatch, capsys)


@pytest.fixture
def outside(tmp_path: Path) -> Terminal:
    """A terminal with real processes."""
    return Terminal(tmp_path)


def jobs(terminal: Terminal) -> list[dict[str, Any]]:
    return shell(terminal.database, "SELECT * FROM jobs ORDER BY id")


def statuses(terminal: Terminal) -> list[str]:
    return [job["status"] for job in jobs(terminal)]


def batch(terminal: Terminal, *lines: dict[str, Any] | str) -> list[dict[str, Any]]:
    """Add all these jobs with one command; what it prints with --json."""
    text = "".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines)
    done = terminal.kitt("queue", "add", "--batch", "-", "--json", stdin=text)
    assert done.code == 0, done
    added: list[dict[str, Any]] = json.loads(done.out)
    return added


def stand(terminal: Terminal, *rows: str) -> None:
    """Jobs that stand so: one row of status and question for each."""
    terminal.make()
    for row in rows:
        sql = "INSERT INTO jobs (chat_id, prompt, status, kind) VALUES ('7', 'Sing', "
        status, _, kind = row.partition(" ")
        shell(terminal.database, f"{sql}'{status}', '{kind or 'other'}')")


# --- many at once ---------------------------------------------------------------------------------


def test_every_line_of_a_file_becomes_a_job(outside: Terminal) -> None:
    file = outside.folder / "jobs.jsonl"
    file.write_text(
        '{"prompt": "Sing – ë", "title": "Song", "chat": 12345, "kind": "music", "data": {"n": 3},'
        ' "priority": 5, "key": "song", "timeout": 60, "max_age": 3600.5}\r\n'
        "\n"
        '{"prompt": "One\u2028line", "chat": "8", "in": 60, "if_parent_fails": "run"}\n'
        '{"prompt": "Then", "at": "2096-12-01T07:30", "after": []}',
        encoding="utf-8",
    )

    done = outside.kitt("queue", "add", "--batch", str(file), "--chat", "9")

    assert (done.code, done.out, done.err) == (0, "1\n2\n3\n", "")
    first, second, third = jobs(outside)
    assert (first["prompt"], first["title"], first["chat_id"]) == ("Sing – ë", "Song", "12345")
    assert (first["kind"], first["data"], first["priority"]) == ("music", '{"n": 3}', 5)
    assert (first["unique_key"], first["timeout_s"]) == ("song", 60)
    assert moment(first["expires_at"]) - moment(first["created_at"]) == timedelta(seconds=3600.5)
    assert (second["prompt"], second["chat_id"]) == ("One\u2028line", "8")
    assert (second["status"], second["if_parent_fails"]) == ("scheduled", "run")
    assert (third["chat_id"], third["run_at"]) == ("9", "2096-12-01 07:30:00.000")


def test_batch_of_hundreds_is_read_from_standard_input(outside: Terminal) -> None:
    added = batch(outside, *({"prompt": f"Sing {number}"} for number in range(250)))

    assert added[0] == {"id": 1, "status": "pending"}
    assert [job["id"] for job in added] == list(range(1, 251))
    assert [job["prompt"] for job in jobs(outside)] == [f"Sing {n}" for n in range(250)]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("Sing", "it is no JSON ("),
        ("[" * 100_000, "it is nested too deeply."),
        ('["Sing"]', 'it is no JSON object with a "prompt".'),
        ('{"kind": "music"}', 'it is no JSON object with a "prompt".'),
        ('{"prompt": 5}', "prompt has a value of the wrong type."),
        ('{"prompt": " "}', "A job needs a prompt: say what is to be done."),
        ('{"prompt": "Sing", "priority": true}', "priority has a value of the wrong type."),
        ('{"prompt": "Sing", "priority": 99999999999999999999}', "priority is too large."),
        ('{"prompt": "Sing", "volume": 11}', "volume is not known; known are prompt, chat,"),
        ('{"prompt": "Sing", "after": ["1"]}', "after is a list of numbers of jobs."),
        ('{"prompt": "Sing", "after": [99]}', "There is no job 99 to wait for."),
        ('{"prompt": "Sing", "if_parent_fails": "wait"}', 'if_parent_fails is "cancel" or "run".'),
        ('{"prompt": "Sing", "timeout": 0}', "timeout takes seconds, more than 0 and at most 3"),
        ('{"prompt": "Sing", "max_age": NaN}', "max_age takes seconds, more than 0 and at most 3"),
        ('{"prompt": "Sing", "in": -1}', "in takes seconds from now, from 0 to 315360000 (ten"),
        ('{"prompt": "Sing", "at": "soon"}', "at takes a time such as"),
        ('{"prompt": "Sing", "at": "2001-01-01"}', "at takes a time to come; 2001-01-01 is"),
        ('{"prompt": "Sing", "in": 1, "at": "2096-01-01"}', "in and at do not go together"),
        ('{"prompt": "Sing", "kind": "a/b"}', "'a/b' cannot be a kind"),
        ('{"prompt": "Sing", "key": ""}', "The key of a job must not be empty"),
        ('{"prompt": "Sing", "data": NaN}', "The data of a job must be JSON"),
    ],
)
def test_bad_line_is_named_and_nothing_is_stored(
    terminal: Terminal, line: str, sentence: str
) -> None:
    good = '{"prompt": "Sing"}'
    text = "\n".join([*[good] * 101, "", line, good])

    said = terminal.refused(1, "queue", "add", "--batch", "-", stdin=text)

    assert said.startswith(f"-, line 103: {sentence}")
    assert jobs(terminal) == []


def test_batch_that_cannot_be_read_is_said_so(terminal: Terminal) -> None:
    (terminal.folder / "jobs.bin").write_bytes(b'{"prompt": "\xff"}')

    for name, why in (("none.jsonl", "No such file or directory"), ("jobs.bin", "not UTF-8")):
        said = terminal.refused(1, "queue", "add", "--batch", name)
        assert said.startswith(f"{name} cannot be read: ")
        assert why in said


@pytest.mark.parametrize("name", ["jobs.jsonl", "-"])
def test_mark_with_which_some_editors_begin_a_file_is_no_part_of_it(
    terminal: Terminal, name: str
) -> None:
    text = '\ufeff{"prompt": "Sing"}\n'
    (terminal.folder / "jobs.jsonl").write_text(text, encoding="utf-8")

    assert terminal.kitt("queue", "add", "--batch", name, stdin=text).out == "1\n"


@pytest.mark.parametrize(
    ("option", "value", "field"),
    [
        *(("--key", "k", "key"), ("--priority", "0", "priority"), ("--kind", "other", "kind")),
        *(("--if-parent-fails", "run", "if_parent_fails"), ("--after", "1", "after")),
        *(("--in", "0", "in"), ("--data", "1", "data"), ("--max-age", "9", "max_age")),
    ],
)
def test_option_of_one_job_beside_a_batch_is_refused(
    terminal: Terminal, option: str, value: str, field: str
) -> None:
    said = terminal.refused(
        1, "queue", "add", "--batch", "-", option, value, stdin='{"prompt":"x"}'
    )

    assert said == f'{option} does not go with --batch: say "{field}" in the lines it is for.'
    assert jobs(terminal) == []


def test_words_no_database_can_keep_do_no_harm_in_a_batch(terminal: Terminal) -> None:
    half = "\ud83e"

    batch(terminal, dict.fromkeys(("prompt", "title", "chat", "data", "key"), half))

    (job,) = jobs(terminal)
    assert (job["prompt"], job["unique_key"], job["data"]) == ("?", "?", '"?"')


# --- add ------------------------------------------------------------------------------------------


def test_limits_of_time_are_kept(terminal: Terminal) -> None:
    terminal.kitt("queue", "add", "Sing", "--timeout", "90", "--max-age", "60", "--in", "10")
    terminal.kitt("queue", "add", "Sing")

    limited, usual = jobs(terminal)
    assert limited["timeout_s"] == 90
    assert moment(limited["expires_at"]) - moment(limited["run_at"]) == timedelta(seconds=60)
    assert usual["timeout_s"] is None
    assert moment(usual["expires_at"]) - moment(usual["created_at"]) == timedelta(days=7)


@pytest.mark.parametrize("option", ["--timeout", "--max-age"])
@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "1e300"])
def test_limit_of_time_that_is_none_is_refused(
    terminal: Terminal, option: str, seconds: str
) -> None:
    said = terminal.refused(1, "queue", "add", "Sing", option, seconds)

    shown = float(seconds)
    assert said == (
        f"{option} takes seconds, more than 0 and at most 315360000 (ten years); got {shown}."
    )
    assert jobs(terminal) == []


def test_show_tells_what_a_job_waits_for_and_what_a_failure_means(terminal: Terminal) -> None:
    stand(terminal, "running", "running")
    after = ("--after", "1", "--after", "2")
    terminal.kitt("queue", "add", "Dance", *after, "--if-parent-fails", "run")
    terminal.kitt("queue", "add", "Bow", "--after", "1")

    dance, bow = (terminal.kitt("queue", "show", number).out for number in "34")

    assert "\nAfter: 1, 2; if one fails: run\n" in dance
    assert "  added      after 1, 2; then or when one fails\n" in dance
    assert "\nAfter: 1; if one fails: cancel\n" in bow
    shown = terminal.json("queue", "show", "3")
    assert (shown["after"], shown["if_parent_fails"]) == ([1, 2], "run")


def test_job_that_runs_anyway_may_wait_for_one_that_failed(terminal: Terminal) -> None:
    stand(terminal, "failed")

    said = terminal.refused(1, "queue", "add", "Dance", "--after", "1")
    assert said == "Job 1 is failed: nothing can wait for it."
    done = terminal.json("queue", "add", "Dance", "--after", "1", "--if-parent-fails", "run")
    assert done == {"id": 2, "status": "pending"}


# --- trees and retries ----------------------------------------------------------------------------


def test_tree_is_cancelled_and_named(terminal: Terminal) -> None:
    batch(terminal, {"prompt": "Sing"}, {"prompt": "Rest"})
    batch(terminal, {"prompt": "Dance", "after": [1], "if_parent_fails": "run"})
    batch(terminal, {"prompt": "Bow", "after": [3]})

    done = terminal.kitt("queue", "cancel", "3", "--tree")
    assert (done.code, done.out) == (0, "Cancelled: 3, 4.\n")
    assert terminal.json("queue", "cancel", "1", "--tree") == [{"id": 1, "status": "cancelled"}]

    assert statuses(terminal) == ["cancelled", "pending", "cancelled", "cancelled"]
    again = terminal.kitt("queue", "cancel", "1", "--tree")
    assert (again.code, again.out) == (1, "Nothing of it was alive.\n")
    assert terminal.refused(1, "queue", "cancel", "9", "--tree") == "There is no job 9."


def test_all_failed_jobs_are_run_again(terminal: Terminal) -> None:
    stand(terminal, "failed music", "failed", "failed music", "cancelled music", "done")

    done = terminal.kitt("queue", "retry", "--all", "--kind", "music")

    assert (done.code, done.out) == (0, "Run again: 1, 3.\n")
    assert terminal.refused(1, "queue", "retry", "2", "--kind", "music") == (
        "--kind goes with --all only: leave it out for job 2."
    )
    assert terminal.json("queue", "retry", "--all") == [2]
    assert terminal.kitt("queue", "retry", "--all").out == "Run again: none.\n"
    assert statuses(terminal) == ["pending", "pending", "pending", "cancelled", "done"]


# --- not now --------------------------------------------------------------------------------------


def test_job_is_put_off_for_some_seconds(terminal: Terminal) -> None:
    stand(terminal, "pending", "blocked", "running")
    before = Clock().now()

    done = terminal.kitt("queue", "snooze", "1", "3600")
    shown = terminal.json("queue", "snooze", "2", "60")

    first, second, _ = jobs(terminal)
    assert done.out == f"Job 1 is scheduled, not before {first['run_at']} UTC.\n"
    late = moment(first["run_at"]) - before
    assert timedelta(seconds=3599) < late < timedelta(seconds=3640)
    assert shown == {"id": 2, "status": "blocked", "run_at": second["run_at"]}
    assert terminal.refused(1, "queue", "snooze", "3", "60") == (
        "Job 3 is running: only one that waits can be put off."
    )
    assert terminal.refused(1, "queue", "snooze", "9", "60") == "There is no job 9."
    for seconds in ("nan", "1e300"):
        said = terminal.refused(1, "queue", "snooze", "1", seconds)
        assert said.startswith("SECONDS takes seconds from now, from 0 to 315360000 (ten years); ")


# --- answers --------------------------------------------------------------------------------------


def test_waiting_job_shows_its_question_and_takes_an_answer(terminal: Terminal) -> None:
    stand(terminal, "waiting", "waiting", "pending")
    shell(terminal.database, "UPDATE jobs SET question = 'Which one?' WHERE id < 3")
    assert "Asks: Which one?\n" in terminal.kitt("queue", "show", "1").out

    done = terminal.kitt("queue", "answer", "1", "The blue one – ë")

    assert (done.code, done.out) == (0, "Job 1 is pending.\n")
    assert jobs(terminal)[0]["answer"] == "The blue one – ë"
    assert "Asks:" not in terminal.kitt("queue", "show", "1").out
    assert terminal.json("queue", "answer", "2", "\udcff") == {"id": 2, "status": "pending"}
    said = terminal.refused(1, "queue", "answer", "3", "Blue")
    assert said == "Job 3 is pending: it waits for no answer."
    assert terminal.refused(1, "queue", "answer", "9", "Blue") == "There is no job 9."
    said = terminal.refused(1, "queue", "answer", "2", " ")
    assert said == "The answer to job 2 is empty: say what it is to go on with."


# --- pauses ---------------------------------------------------------------------------------------


def test_kind_is_paused_and_resumed(terminal: Terminal) -> None:
    before = Clock().now()

    done = terminal.kitt("queue", "pause", "music")

    assert (done.code, done.out) == (0, "Jobs of kind music wait; what runs goes on.\n")
    (paused,) = shell(terminal.database, "SELECT * FROM queues")
    assert paused["kind"] == "music"
    assert stamp(before) <= paused["paused_at"] <= stamp(Clock().now())
    done = terminal.kitt("queue", "resume", "music")
    assert (done.code, done.out) == (0, "Jobs of kind music are started again.\n")
    done = terminal.kitt("queue", "resume", "music")
    assert (done.code, done.out) == (1, "Jobs of kind music were not paused.\n")


def test_everything_is_paused_and_resumed(terminal: Terminal) -> None:
    assert terminal.kitt("queue", "pause").out == "All jobs wait; what runs goes on.\n"
    assert terminal.json("queue", "pause", "music") == {"paused": "music"}

    assert terminal.json("queue", "resume") == {"resumed": "*"}

    assert [row["kind"] for row in shell(terminal.database, "SELECT * FROM queues")] == ["music"]
    assert terminal.kitt("queue", "resume").out == "All jobs were not paused.\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("add", "Sing", "--batch", "jobs.jsonl"),
        ("add", "Sing", "--if-parent-fails", "wait"),
        ("add", "Sing", "--timeout", "long"),
        ("retry",),
        ("retry", "1", "--all"),
        ("snooze", "1"),
        ("snooze", "1", "soon"),
        ("answer", "1"),
    ],
)
def test_wrong_words_show_how_it_is_used(terminal: Terminal, arguments: tuple[str, ...]) -> None:
    done = terminal.kitt("queue", *arguments)

    assert done.code == 2
    assert done.err.startswith("usage: kitt queue")
    assert not terminal.database.exists()

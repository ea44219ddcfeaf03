"""`kitt schedule …` in a real terminal: for people, and with --json for scripts."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fakes import shell
from terminal import Terminal

from bridge.cli_schedule import machine_zone
from bridge.clock import Clock, moment

NEWS = ("The news of today", "--cron", "30 7 * * 1-5", "--zone", "Europe/Amsterdam")


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path)


def rows(terminal: Terminal, table: str = "schedules") -> list[dict[str, Any]]:
    return shell(terminal.database, f"SELECT * FROM {table} ORDER BY id")


def test_add_prints_the_number_and_the_next_three_times_in_the_zone(terminal: Terminal) -> None:
    done = terminal.kitt("schedule", "add", *NEWS)

    assert (done.code, done.err) == (0, "")
    number, *times = done.out.splitlines()
    assert number == "1"
    assert len(times) == 3
    assert all(" 07:30:00 Europe/Amsterdam" in time for time in times)
    assert rows(terminal)[0]["prompt"] == "The news of today"


def test_add_keeps_everything_it_is_given(terminal: Terminal) -> None:
    added = terminal.json(
        *("schedule", "add", *NEWS, "--chat", "12345", "--title", "News – ë", "--kind", "research"),
        *("--data", '{"topic": "bikes"}', "--priority", "5"),
    )

    assert (added["id"], added["status"]) == (1, "active")
    assert [time[10:] for time in added["upcoming"]] in (
        ["T07:30:00+01:00"] * 3,
        ["T07:30:00+02:00"] * 3,
    )
    (row,) = rows(terminal)
    assert (row["chat_id"], row["title"], row["kind"]) == ("12345", "News – ë", "research")
    assert (row["data"], row["priority"], row["zone"]) == (
        '{"topic": "bikes"}',
        5,
        "Europe/Amsterdam",
    )
    assert (row["cron"], row["every_s"]) == ("30 7 * * 1-5", None)


@pytest.mark.parametrize(("every", "seconds"), [("15m", 900), ("2h", 7200)])
def test_interval_is_a_number_and_a_unit(terminal: Terminal, every: str, seconds: int) -> None:
    before = Clock().now()

    added = terminal.json("schedule", "add", "Sing", "--every", every)

    assert added["every_s"] == seconds
    late = moment(added["next_at"]) - before - timedelta(seconds=seconds)
    assert timedelta(seconds=-1) < late < timedelta(seconds=40)


def test_schedule_is_told_to_nobody_or_to_the_only_owner(terminal: Terminal) -> None:
    terminal.kitt("schedule", "add", *NEWS)
    shell(terminal.database, "INSERT INTO users (user_id, role) VALUES ('42', 'owner')")
    terminal.kitt("schedule", "add", "-", "--every", "1h", stdin="Line one\nLine two\n")

    assert [row["chat_id"] for row in rows(terminal)] == ["cli", "42"]
    assert rows(terminal)[1]["prompt"] == "Line one\nLine two\n"


def test_life_of_a_schedule(terminal: Terminal) -> None:
    terminal.kitt("schedule", "add", *NEWS)

    assert terminal.kitt("schedule", "run", "1").out == "1\n"
    assert rows(terminal, "jobs")[0]["schedule_id"] == 1
    assert terminal.refused(1, "schedule", "run", "1") == (
        "Job 1 of schedule 1 has not ended: wait for it, or cancel it."
    )

    listed = terminal.kitt("schedule", "list").out
    assert listed.startswith("#1    active   ")
    assert " 07:30:00 Europe/Amsterdam  (30 7 * * 1-5)  job 1  The news of today\n" in listed

    assert terminal.kitt("schedule", "pause", "1").out == "Schedule 1 is paused.\n"
    assert terminal.kitt("schedule", "list").out == (
        "#1    paused   -  (30 7 * * 1-5)  job 1  The news of today\n"
    )

    resumed = terminal.kitt("schedule", "resume", "1").out.splitlines()
    assert (resumed[0], len(resumed)) == ("Schedule 1 is active.", 4)

    assert terminal.kitt("schedule", "remove", "1").out == "Schedule 1 is removed.\n"
    assert terminal.kitt("schedule", "list").out == "No schedules.\n"
    assert len(rows(terminal, "jobs")) == 1


def test_every_command_speaks_json(terminal: Terminal) -> None:
    terminal.kitt("schedule", "add", *NEWS)

    assert terminal.json("schedule", "run", "1") == {"id": 1, "status": "pending"}
    (listed,) = terminal.json("schedule", "list")
    assert (listed["id"], listed["last_job_id"], len(listed["upcoming"])) == (1, 1, 3)
    assert terminal.json("schedule", "show", "1") == listed
    assert terminal.json("schedule", "pause", "1")["status"] == "paused"
    assert terminal.json("schedule", "resume", "1") == listed
    assert terminal.json("schedule", "remove", "1") == listed
    assert terminal.json("schedule", "list") == []


def test_show_has_the_whole_prompt_and_why_a_schedule_stands_still(terminal: Terminal) -> None:
    prompt = "Sing " * 30 + "and dance"
    terminal.kitt("schedule", "add", prompt, "--every", "1h", "--chat", "7")
    shell(terminal.database, "UPDATE schedules SET status = 'paused', error = 'zone Mars'")

    shown = terminal.kitt("schedule", "show", "1").out

    assert f"Prompt: {prompt}\nChat: 7; kind: other; priority: 0\n" in shown
    assert "\nJobs started: 0; its time last came: never\n" in shown
    assert "\n      zone Mars\n" in shown


def test_list_of_a_chat_has_only_its_own(terminal: Terminal) -> None:
    for chat in ("7", "8"):
        terminal.kitt("schedule", "add", *NEWS, "--chat", chat)

    assert [row["id"] for row in terminal.json("schedule", "list", "--chat", "8")] == [2]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("add", "Sing", "--cron", "0 25 * * *"), "cron '0 25 * * *' has no hour that ever comes"),
        (("add", "Sing", "--every", "2 weeks"), "--every takes a time such as 30s, 15m, 2h or 1d"),
        (("add", "Sing", "--every", "0s"), "--every takes a time such as 30s, 15m, 2h or 1d"),
        (("add", "Sing", "--every", "367d"), "--every takes a time such as 30s, 15m, 2h or 1d"),
        (("add", "Sing", "--every", "2h", "--kind", ""), "'' cannot be a kind: take at most 30"),
        (("add", "Sing", "--every", "2h", "--priority", "9" * 30), "priority must be a whole"),
        (("show", "9" * 30), f"There is no schedule {'9' * 30}."),
    ],
)
def test_what_is_wrong_is_refused_with_one_sentence(
    terminal: Terminal, arguments: tuple[str, ...], sentence: str
) -> None:
    terminal.make()
    assert terminal.refused(1, "schedule", *arguments).startswith(sentence)
    assert rows(terminal) == []


@pytest.mark.parametrize("when", [(), ("--every", "2h", "--cron", "0 7 * * *")])
def test_either_cron_or_every_must_be_given(terminal: Terminal, when: tuple[str, ...]) -> None:
    assert terminal.kitt("schedule", "add", "Sing", *when).code == 2


# --- the machine's zone ---------------------------------------------------------------------------


def test_zone_of_the_machine_is_what_its_file_says(tmp_path: Path) -> None:
    (tmp_path / "timezone").write_text("Europe/Amsterdam\n")

    assert machine_zone(tmp_path) == "Europe/Amsterdam"


@pytest.mark.parametrize("file", [None, b"", b"Mars\n", b"\xff"])
def test_zone_of_the_machine_is_where_its_link_leads_otherwise(
    tmp_path: Path, file: bytes | None
) -> None:
    if file is not None:
        (tmp_path / "timezone").write_bytes(file)
    (tmp_path / "localtime").symlink_to("/usr/share/zoneinfo/America/New_York")

    assert machine_zone(tmp_path) == "America/New_York"


def test_zone_of_a_machine_that_does_not_say_is_utc(tmp_path: Path) -> None:
    assert machine_zone(tmp_path) == "UTC"

    (tmp_path / "localtime").write_bytes(b"TZif2")
    assert machine_zone(tmp_path) == "UTC"


def test_schedule_without_a_zone_has_the_machines(terminal: Terminal) -> None:
    assert terminal.json("schedule", "add", "Sing", "--every", "1h")["zone"] == machine_zone()

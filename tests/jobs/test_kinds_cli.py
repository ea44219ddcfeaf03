"""Kinds of jobs in a real terminal: what is added, what is refused before anything is stored."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fakes import shell
from own_kinds import write_kind
from terminal import Terminal

from bridge.kinds.built_in import BUILT_IN


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path)


def jobs(terminal: Terminal) -> list[dict[str, Any]]:
    return shell(terminal.database, "SELECT * FROM jobs ORDER BY id")


def test_a_kind_and_its_data_are_a_job(terminal: Terminal) -> None:
    data = '{"topic": "e-bikes"}'

    done = terminal.kitt("queue", "add", "--kind", "research", "--data", data)

    assert (done.code, done.out, done.err) == (0, "1\n", "")
    (job,) = jobs(terminal)
    assert (job["kind"], job["data"], job["prompt"]) == ("research", data, "Research: e-bikes")


def test_data_that_does_not_fit_is_refused_by_the_name_of_its_field(terminal: Terminal) -> None:
    said = terminal.refused(1, "queue", "add", "--kind", "research", "--data", '{"depth": 9}')

    assert said.startswith(
        "--data: topic is missing, depth must be at most 3; kind research takes "
    )
    assert "topic (text), depth (1 to 3; else 2), language (text; optional)" in said
    assert jobs(terminal) == []


def test_data_that_does_not_fit_is_refused_beside_a_prompt_too(terminal: Terminal) -> None:
    said = terminal.refused(1, "queue", "add", "Bikes", "--kind", "research", "--data", "[]")

    assert said.startswith("--data: it must be a JSON object; kind research takes topic (text)")


def test_a_kind_without_data_needs_a_prompt(terminal: Terminal) -> None:
    said = terminal.refused(1, "queue", "add", "--kind", "research")

    assert said.startswith("A job needs a prompt")


def test_a_line_of_a_batch_that_does_not_fit_stops_all(terminal: Terminal) -> None:
    good = {"kind": "research", "data": {"topic": "e-bikes"}}
    lines = [json.dumps(good), json.dumps({"kind": "research", "data": {"theme": "e-bikes"}})]

    said = terminal.refused(1, "queue", "add", "--batch", "-", stdin="\n".join(lines))

    assert said.startswith("-, line 2: data: topic is missing, theme is not known; kind research")
    assert jobs(terminal) == []
    terminal.kitt("queue", "add", "--batch", "-", stdin=lines[0])
    assert [job["prompt"] for job in jobs(terminal)] == ["Research: e-bikes"]


def test_a_kind_of_the_profile_sets_what_nobody_said(terminal: Terminal) -> None:
    write_kind(terminal.profile)
    add = ("queue", "add", "--kind", "invoice", "--data", '{"customer": "Jansen", "hours": 2}')

    terminal.kitt(*add)
    terminal.kitt(*add, "Bill them", "--priority", "0", "--timeout", "5")

    rows = [(job["prompt"], job["priority"], job["timeout_s"]) for job in jobs(terminal)]
    assert rows == [("Invoice for Jansen", 3, None), ("Bill them", 0, 5.0)]


def test_a_broken_kind_is_named_and_nothing_is_stored(terminal: Terminal) -> None:
    path = write_kind(terminal.profile, "KIND = 3")

    said = terminal.refused(1, "queue", "add", "Bill them", "--kind", "invoice")

    assert said.startswith(f"{path} cannot be used: it must say KIND = Kind(…).")
    assert jobs(terminal) == []


def test_a_schedule_takes_only_data_that_fits(terminal: Terminal) -> None:
    add = ("schedule", "add", "News", "--every", "1h", "--kind", "research", "--data")

    said = terminal.refused(1, *add, '{"topic": ""}')

    assert said.startswith("--data: topic is empty; kind research takes topic (text)")
    assert terminal.kitt(*add, '{"topic": "news"}').code == 0


def test_kinds_are_listed_with_their_fields(terminal: Terminal) -> None:
    write_kind(terminal.profile)
    write_kind(terminal.profile, "KIND = 3", name="wrong")

    lines = terminal.kitt("queue", "kinds").out.splitlines()

    assert lines[0] == "research           find out, with sources"
    assert lines[1].split("  ")[-1].startswith(" topic (text), depth (1 to 3; else 2), language")
    assert f"invoice            make an invoice ({terminal.profile}/kinds/invoice.py)" in lines
    assert lines[-1].startswith("wrong              ! ")
    assert lines[-1].endswith("wrong.py cannot be used: it must say KIND = Kind(…).")


def test_kinds_as_json_tell_everything(terminal: Terminal) -> None:
    write_kind(terminal.profile)

    found = {kind["name"]: kind for kind in terminal.json("queue", "kinds")}

    assert list(found) == [*BUILT_IN, "invoice"]
    assert (found["research"]["source"], found["research"]["runs"]) == ("built in", "agent")
    assert (found["invoice"]["runs"], found["invoice"]["budget"]["timeout_s"]) == ("python", 60)
    assert found["invoice"]["fields"][2] == {
        "name": "rate",
        "takes": "number",
        "required": False,
        "default": 80.0,
        "description": "",
    }
    assert not terminal.database.exists()


@pytest.mark.parametrize("arguments", [["queue", "list"], ["queue", "add", "Sing"], ["status"]])
def test_what_needs_no_payload_loads_no_library_for_it(
    terminal: Terminal, arguments: list[str]
) -> None:
    terminal.kitt("queue", "add", "Hum")
    program = (
        "import sys\nfrom bridge.cli import main\n"
        f"main({arguments!r})\nprint('pydantic' in sys.modules)"
    )

    done = subprocess.run(
        [sys.executable, "-c", program],
        env=terminal.environ(),
        cwd=terminal.folder,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.splitlines()[-1] == "False"

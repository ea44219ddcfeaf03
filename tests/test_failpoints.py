"""Failpoints: what they do when ordered, and that nobody can order them but a test."""

import ast
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from bridge import failpoints

ROOT = Path(__file__).parent.parent
PROGRAM = """
import sys
from bridge import failpoints
for number in range(int(sys.argv[1])):
    print(number, flush=True)
    failpoints.hit("after_send")
print("alive")
"""


def run(
    folder: Path, *orders: dict[str, Any], hits: int = 3, seed: str = "", armed: bool = True
) -> subprocess.CompletedProcess[str]:
    """A process that passes one point some times, with these orders for it."""
    plan = folder / "plan"
    journal = str(folder / "journal")
    plan.write_text(
        json.dumps({"journal": journal, "seed": seed, "points": {"after_send": orders}})
    )
    option = ["-X", f"kitt_failpoints={plan}"] if armed else []
    return subprocess.run(
        [sys.executable, *option, "-c", PROGRAM, str(hits)],
        cwd=ROOT,
        env={**os.environ, "KITT_FAILPOINTS": str(plan), "KITT_FAILPOINT": "after_send"},
        capture_output=True,
        text=True,
        check=False,
    )


def journal(folder: Path) -> list[str]:
    """Point and action of every hit that acted."""
    path = folder / "journal"
    lines = path.read_text().splitlines() if path.exists() else []
    return [" ".join(line.split()[:2]) for line in lines]


def test_process_dies_at_the_hit_that_was_ordered_and_it_is_written_down(tmp_path: Path) -> None:
    done = run(tmp_path, {"do": "kill", "nth": 2})

    assert done.returncode == -signal.SIGKILL
    assert done.stdout.split() == ["0", "1"]
    assert journal(tmp_path) == ["after_send kill"]


def test_point_that_is_told_to_raise_raises(tmp_path: Path) -> None:
    done = run(tmp_path, {"do": "raise", "nth": 1})

    assert "failpoint after_send" in done.stderr
    assert done.returncode == 1


def test_process_that_slept_goes_on(tmp_path: Path) -> None:
    done = run(tmp_path, {"do": "sleep", "nth": 1, "seconds": 0.01})

    assert done.stdout.split() == ["0", "1", "2", "alive"]
    assert journal(tmp_path) == ["after_send sleep"]


def test_process_that_was_stopped_goes_on_when_it_is_told_to(tmp_path: Path) -> None:
    plan = tmp_path / "plan"
    order = {"after_send": [{"do": "stop", "nth": 1}]}
    plan.write_text(json.dumps({"journal": str(tmp_path / "journal"), "points": order}))
    process = subprocess.Popen(
        [sys.executable, "-X", f"kitt_failpoints={plan}", "-c", PROGRAM, "1"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )

    _, status = os.waitpid(process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    process.send_signal(signal.SIGCONT)

    assert process.communicate(timeout=10)[0].split() == ["0", "alive"]


def test_chance_decides_the_same_way_with_the_same_seed(tmp_path: Path) -> None:
    order = {"do": "sleep", "chance": 0.3}
    counts = []
    for number, seed in enumerate(("7", "7", "8")):
        folder = tmp_path / str(number)
        folder.mkdir()
        run(folder, {**order}, hits=200, seed=seed)
        counts.append(len(journal(folder)))

    assert counts[0] == counts[1] != counts[2]
    assert all(30 < count < 90 for count in counts)


def test_nothing_in_the_environment_switches_them_on(tmp_path: Path) -> None:
    done = run(tmp_path, {"do": "kill", "nth": 1}, armed=False)

    assert done.returncode == 0
    assert journal(tmp_path) == []


@pytest.mark.parametrize(
    "points", [{"after_sent": [{"do": "kill", "nth": 1}]}, {"after_send": [{"do": "explode"}]}]
)
def test_order_that_nothing_would_follow_is_refused(
    tmp_path: Path, points: dict[str, object]
) -> None:
    plan = tmp_path / "plan"
    plan.write_text(json.dumps({"journal": str(tmp_path / "journal"), "points": points}))

    with pytest.raises(ValueError, match=r"after_sent|explode"):
        failpoints.arm(plan)


def test_every_point_stands_at_one_place_of_the_product() -> None:
    found: Counter[str] = Counter()
    for path in (ROOT / "bridge").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "failpoints.hit":
                found[ast.literal_eval(node.args[0])] += 1

    assert found == Counter(failpoints.POINTS.keys())

"""Proof by killing: sixty deaths lose nothing, and a broken product is found out."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
import pytest_asyncio

from bridge.prove.campaign import Campaign
from bridge.prove.crew import Zygote
from bridge.store import statements

ROOT = Path(__file__).parent.parent
KILLS, SEED = 60, 1
SEEDS = (5, 6, 7, 8)
FENCE = "worker_id = :worker_id AND attempt = :attempt AND status = 'running'"
UNFENCED = ":worker_id <> '' AND :attempt > 0"
in_one_loop = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def zygote() -> AsyncIterator[Zygote]:
    opened = await Zygote.open()
    yield opened
    await opened.close()


def broken(old: str, new: str) -> dict[str, str]:
    """Every statement that says the one, saying the other."""
    found = {name: text.replace(old, new) for name, text in statements().items() if old in text}
    assert found, f"no statement says {old!r} any more"
    return found


@in_one_loop
@pytest.mark.timeout(150)
async def test_sixty_deaths_lose_nothing_and_do_nothing_twice(zygote: Zygote) -> None:
    report = await Campaign(kills=KILLS, seed=SEED, freeze_chance=0.1, zygote=zygote).run()

    assert report.findings == []
    assert (report.lost, report.doubled) == (0, 0)
    assert report.kills >= KILLS
    assert len(report.killed_at) > 8
    assert report.rescues > 6
    assert report.fenced > 0
    assert report.done > 15
    assert report.ticks > 2


@in_one_loop
@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("rules", "statements", "kills", "freeze_chance"),
    [
        pytest.param(
            {"H4", "H5"}, broken(FENCE, UNFENCED), 25, 0.15, id="zombies are not fenced off"
        ),
        pytest.param(
            {"H6"}, broken("SET status = 'sending', ", "SET "), 40, 0.0, id="sending is not noted"
        ),
        pytest.param(
            {"H1", "H2"},
            broken("VALUES (:update_id, :now, :raw)", "SELECT :update_id, :now, :raw WHERE false"),
            5,
            0.0,
            id="updates are not kept",
        ),
    ],
)
async def test_campaign_sees_what_is_broken(
    rules: set[str],
    statements: Mapping[str, str],
    kills: int,
    freeze_chance: float,
    zygote: Zygote,
) -> None:
    seen: set[str] = set()
    for seed in SEEDS:  # a short campaign may meet a defect by chance only: about one in twenty not
        report = await Campaign(
            kills=kills,
            seed=seed,
            statements=statements,
            freeze_chance=freeze_chance,
            zygote=zygote,
        ).run()
        seen |= {finding.partition(":")[0] for finding in report.findings}
        if seen & rules:
            break

    assert seen & rules


def test_command_prints_its_figures_and_leaves_nothing_behind(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bridge", "prove", "--kills", "3", "--seed", "7", "--json"],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["seed"], report["kept"], report["lost"]) == (7, True, 0)
    assert report["kills"] >= 3
    assert sum(report["killed_at"].values()) == report["kills"]
    assert "seed 7" in done.stderr
    assert list(tmp_path.iterdir()) == []

"""Owners are told once, in their language, also by those who cannot write the database."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeClock, shell

from bridge import alert_box, people
from bridge.alerts import pick_up_alerts, tell_owners
from bridge.store import Store, Tx

NOW = "2026-11-22 07:30:00.000"
PICKED_UP_AT = 1_795_332_600  # 2026-11-22 07:30:00 UTC


@pytest.fixture
def box(tmp_path: Path) -> Path:
    return tmp_path / "alerts"


def left(box: Path, alert: str, program: str = "worker-1", **values: Any) -> None:
    """An alert that was left at a known moment."""
    alert_box.put(box, alert, program, **values)
    for path in box.iterdir():
        os.utime(path, (PICKED_UP_AT, PICKED_UP_AT))


def owed(store: Store) -> list[dict[str, Any]]:
    return shell(store.path, "SELECT * FROM deliveries ORDER BY id")


async def test_every_owner_is_owed_an_alert_once_for_its_key(store: Store) -> None:
    def tell(tx: Tx) -> None:
        for key in ("one", "one", "two"):
            tell_owners(tx, [7, "8"], "stable", key=key, now=NOW, program="x")

    await store.write(tell)

    rows = owed(store)
    assert [(row["chat_id"], row["dedupe_key"]) for row in rows] == [
        ("7", "alert:one:7"),
        ("8", "alert:one:8"),
        ("7", "alert:two:7"),
        ("8", "alert:two:8"),
    ]
    assert {row["kind"] for row in rows} == {"alert"}
    assert json.loads(rows[0]["payload"]) == {"alert": "stable", "values": {"program": "x"}}


async def test_what_was_left_becomes_a_delivery_and_the_box_is_empty(
    store: Store, clock: FakeClock, box: Path
) -> None:
    left(box, "hung", seconds=75)

    await pick_up_alerts(store, clock, [7], box)

    (row,) = owed(store)
    assert json.loads(row["payload"]) == {
        "alert": "hung",
        "values": {"program": "worker-1", "at": "07:30", "seconds": 75},
    }
    assert list(box.iterdir()) == []


async def test_who_has_claimed_the_bot_is_told_too(
    store: Store, clock: FakeClock, box: Path
) -> None:
    code = await store.write(lambda tx: people.new_claim(tx, clock.now()))
    await store.write(lambda tx: people.claim(tx, code, 9, "Ada", "en", clock.now()))
    left(box, "stable")

    await pick_up_alerts(store, clock, [7], box)

    assert {row["chat_id"] for row in owed(store)} == {"7", "9"}


async def test_the_same_alert_again_within_minutes_is_told_once(
    store: Store, clock: FakeClock, box: Path
) -> None:
    for program in ("worker-1", "worker-1", "worker-2"):
        left(box, "hung", program, seconds=75)
        await pick_up_alerts(store, clock, [7], box)

    told = [json.loads(row["payload"])["values"]["program"] for row in owed(store)]
    assert told == ["worker-1", "worker-2"]


async def test_an_alert_that_could_not_be_kept_stays_in_the_box(
    store: Store, clock: FakeClock, box: Path
) -> None:
    left(box, "stable")
    shell(store.path, "ALTER TABLE deliveries RENAME TO gone")

    with pytest.raises(Exception, match="deliveries"):
        await pick_up_alerts(store, clock, [7], box)

    assert len(list(box.iterdir())) == 1


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '{"alert": "stable"}', "\xff"])
async def test_a_file_that_is_no_alert_is_removed_and_stops_nothing(
    store: Store, clock: FakeClock, box: Path, text: str
) -> None:
    left(box, "stable")
    (box / "a.json").write_text(text, encoding="latin-1")

    await pick_up_alerts(store, clock, [7], box)

    assert len(owed(store)) == 1
    assert list(box.iterdir()) == []


async def test_an_empty_box_and_none_at_all_write_nothing(
    store: Store, clock: FakeClock, box: Path
) -> None:
    before = await store.data_version()

    await pick_up_alerts(store, clock, [7], box)
    box.mkdir()
    (box / ".worker-1-hung").write_text("half written")
    await pick_up_alerts(store, clock, [7], box)

    assert owed(store) == []
    assert await store.data_version() == before


def test_leaving_an_alert_where_nothing_can_be_written_raises_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    alert_box.put(tmp_path / "file" / "alerts", "stable", "bridge")

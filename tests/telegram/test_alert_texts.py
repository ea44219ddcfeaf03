"""What an owner reads of the machinery."""

from pathlib import Path

from chatting import CHAT, OTHER, Desk

from bridge import alert_box, people
from bridge.alerts import pick_up_alerts


async def test_each_owner_reads_an_alert_in_their_language(desk: Desk, tmp_path: Path) -> None:
    await desk.store.write(lambda tx: people.remember(tx, OTHER, "Bob", "nl"))
    alert_box.put(tmp_path / "alerts", "refused", "bridge")
    await pick_up_alerts(desk.store, desk.clock, [CHAT, OTHER], tmp_path / "alerts")

    await desk.start()

    await desk.over()
    (english,), (dutch,) = desk.texts(CHAT), desk.texts(OTHER)
    assert english.startswith("⚠️ bridge does not run: a setting or file is wrong (")
    assert dutch.startswith("⚠️ bridge draait niet: een instelling of bestand klopt niet (")
    assert english.endswith("kitt logs bridge")
    assert {row["status"] for row in desk.rows()} == {"sent"}


async def test_an_alert_this_version_has_no_words_for_stops_no_other(
    desk: Desk, tmp_path: Path
) -> None:
    alert_box.put(tmp_path, "of_tomorrow", "bridge")
    await pick_up_alerts(desk.store, desk.clock, [CHAT], tmp_path)
    alert_box.put(tmp_path, "stable", "bridge")
    await pick_up_alerts(desk.store, desk.clock, [CHAT], tmp_path)

    await desk.start()

    await desk.over()
    assert [text[:8] for text in desk.texts()] == ["✅ bridge"]

"""The history checker: after any fault, what must be true of everything that happened.

Its witnesses are the emulators' logs (what Telegram was told to forget, what it accepted) and the
database. Call it when nothing is left to do.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from fakes import shell

from bridge.deliveries import in_telegram
from bridge.emulator.telegram import DEMO_BOT, TelegramEmulator
from bridge.telegram.stream import CURSOR
from bridge.telegram.texts import LANGUAGES, say

FIRST_UPDATE_ID = 700_000_001
FINAL = ("done", "failed", "cancelled")
SENDS = ("sendMessage", "sendDocument", "sendPhoto")
Row = dict[str, Any]


def check(database: Path, telegram: TelegramEmulator, *secrets: str) -> None:
    """Fail with the first thing that is not as it must be."""
    _updates_are_kept_and_handled(database, telegram)
    _jobs_ended_once(database)
    _claims_are_unique(database)
    _results_are_owed_once(database)
    _deliveries_arrived_once(database, telegram)
    _database_is_whole(database)
    _nothing_secret_is_written(database.parent, DEMO_BOT, *secrets)


def _updates_are_kept_and_handled(database: Path, telegram: TelegramEmulator) -> None:
    states = {row["update_id"]: row["state"] for row in shell(database, "SELECT * FROM inbox")}
    confirmed = range(FIRST_UPDATE_ID, telegram.confirmed_offset)
    lost = [update_id for update_id in confirmed if update_id not in states]
    assert not lost, f"Telegram forgot updates that are in no inbox: {lost}"
    left = {key: state for key, state in states.items() if state not in ("done", "refused")}
    assert not left, f"updates without an outcome: {left}"


def _jobs_ended_once(database: Path) -> None:
    for job in shell(database, "SELECT * FROM jobs"):
        assert job["status"] in FINAL, f"job {job['id']} is {job['status']}"
        assert job["failures"] <= job["max_attempts"], f"job {job['id']} was tried too often"
        ends = [e["event"] for e in _events(database, job["id"]) if e["event"] in FINAL]
        assert ends == [job["status"]], f"job {job['id']} is {job['status']} and ended as {ends}"


def _claims_are_unique(database: Path) -> None:
    for job in shell(database, "SELECT * FROM jobs"):
        claims = [e["attempt"] for e in _events(database, job["id"]) if e["event"] == "claimed"]
        assert claims == list(range(1, job["attempt"] + 1)), f"job {job['id']}: claims {claims}"


def _results_are_owed_once(database: Path) -> None:
    owed = Counter(
        json.loads(row["payload"])["job"]
        for row in shell(database, "SELECT * FROM deliveries WHERE kind IN ('result','failure')")
    )
    for job in shell(database, "SELECT * FROM jobs"):
        expected = int(in_telegram(job["chat_id"]) and job["status"] != "cancelled")
        assert owed[job["id"]] == expected, f"job {job['id']} owes {owed[job['id']]} messages"


def _deliveries_arrived_once(database: Path, telegram: TelegramEmulator) -> None:
    """Each part once; a second time only with the line that says so."""
    expected: Counter[tuple[int, str]] = Counter()
    for row in shell(database, "SELECT * FROM deliveries"):
        assert row["status"] == "sent", f"delivery {row['id']} is {row['status']}: {row['error']}"
        for part in json.loads(row["payload"]).get("parts", ()):
            if part["do"] != "edit":
                expected[int(row["chat_id"]), part.get("text") or part.get("caption") or ""] += 1
        if row["kind"] == "card":
            expected[int(row["chat_id"]), _card_of(json.loads(row["payload"])["job"])] += 1
    once, marked = _accepted(telegram)
    for key, times in expected.items():
        assert once[key] <= times, f"sent {once[key]} times instead of {times}: {key}"
        assert once[key] + marked[key] >= times, f"sent {once[key]} times, not {times}: {key}"
    unknown = [key for key in (*once, *marked) if key not in expected]
    assert not unknown, f"nobody owed this: {unknown}"


def _accepted(
    telegram: TelegramEmulator,
) -> tuple[Counter[tuple[int, str]], Counter[tuple[int, str]]]:
    """What Telegram accepted, by chat and text: as it is, and marked as possibly repeated."""
    marks = [say(language, "repeated") + "\n" for language in LANGUAGES]
    once: Counter[tuple[int, str]] = Counter()
    marked: Counter[tuple[int, str]] = Counter()
    for call in telegram.calls():
        text = str(call.params.get("text") or call.params.get("caption") or "")
        if call.method not in SENDS or not call.done or text.endswith(CURSOR):
            continue  # the beginning of an answer that is still written is owed to nobody
        assert call.chat_id is not None
        mark = next((mark for mark in marks if text.startswith(mark)), "")
        plain = text.removeprefix(mark)
        (marked if mark else once)[call.chat_id, _card_in(plain) or plain] += 1
    return once, marked


def _card_of(job_id: int) -> str:
    return f"card of job {job_id}"


def _card_in(text: str) -> str:
    """A card changes with its job; what stays is its line with the number."""
    for line in text.split("\n"):
        sign, _, rest = line.partition(" #")
        number, dot, _ = rest.partition(" · ")
        if sign in ("🛠", "✅", "❌", "⏹") and dot and number.isdigit():
            return _card_of(int(number))
    return ""


def _database_is_whole(database: Path) -> None:
    assert shell(database, "PRAGMA integrity_check") == [{"integrity_check": "ok"}]
    assert shell(database, "PRAGMA foreign_key_check") == []


def _nothing_secret_is_written(memory: Path, *secrets: str) -> None:
    for path in memory.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            found = [secret for secret in secrets if secret.encode() in data]
            assert not found, f"{path} holds a secret"


def _events(database: Path, job_id: int) -> list[Row]:
    return shell(database, "SELECT * FROM job_events WHERE job_id = :id ORDER BY id", id=job_id)

"""`kitt doctor` finds what is wrong, says what to do, changes nothing and shows no secret."""

import asyncio
import json
import os
import re
import socketserver
import stat
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xmlrpc.server import SimpleXMLRPCDispatcher, SimpleXMLRPCRequestHandler

import pytest
from aiohttp import web
from blank import lay
from fakes import FakeClock, shell

from bridge import deliveries, doctor, people
from bridge.backup import backup
from bridge.clock import stamp
from bridge.emulator import claude as claude_module
from bridge.emulator import claude_faults, telegram_faults
from bridge.emulator.claude import ClaudeEmulator
from bridge.emulator.telegram import DEMO_BOT, TelegramEmulator
from bridge.process import SUPERVISOR_PID_FILE, prepare_folders
from bridge.settings import Settings
from bridge.store import Store
from bridge.supervision_status import socket_path

TOKEN, KEY = DEMO_BOT, claude_module.KEY
GOOD_SQLITE = (3, 51, 3)
EVERYTHING = [
    "python",
    "sqlite",
    "env_file",
    "settings",
    "profile",
    "kinds",
    "disk",
    "database",
    "file",
    "deliveries",
    "updates",
    "budget",
    "owner",
    "processes",
    "web",
    "sandbox",
    "documents",
    "apis",
    "browser",
    "mcp",
    "network",
    "telegram",
    "webhook",
    "clock",
    "key",
    "voice",
]


@dataclass
class Report:
    """What one look found."""

    code: int
    text: str
    checks: dict[str, dict[str, str]]

    def status(self, name: str) -> str:
        return self.checks[name]["status"]

    def message(self, name: str) -> str:
        return self.checks[name]["message"]


class Patient:
    """A KITT to look at: set up, with an owner, not running."""

    def __init__(self, folder: Path, telegram_url: str, claude_url: str) -> None:
        self.folder = folder
        self.env_file = folder / ".env"
        self.environ = {
            "KITT_PROFILE": str(folder / "profile"),
            "KITT_OWNER": "42",
            "TELEGRAM_BASE_URL": telegram_url,
            "TELEGRAM_BOT_TOKEN": TOKEN,
            "ANTHROPIC_BASE_URL": claude_url,
            "ANTHROPIC_API_KEY": KEY,
        }
        self.clock = FakeClock(datetime.now(UTC))

    @property
    def settings(self) -> Settings:
        return Settings.load(self.environ, env_file=self.env_file)

    async def open(self) -> Store:
        lay(self.settings.database)
        return await Store.open(self.settings.database, self.settings.run_dir)

    async def look(self, **versions: tuple[int, ...]) -> Report:
        said: list[str] = []
        code = await asyncio.to_thread(
            doctor.run,
            self.environ,
            env_file=self.env_file,
            as_json=True,
            clock=self.clock,
            say=said.append,
            **{"sqlite_version": GOOD_SQLITE, **versions},
        )
        checks = json.loads("".join(said))["checks"]
        return Report(code, "".join(said), {check["name"]: check for check in checks})


@pytest.fixture(autouse=True)
def umask_as_it_was() -> Iterator[None]:
    """Making folders makes the process private; here it is everybody's."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
async def telegram() -> AsyncIterator[TelegramEmulator]:
    emulator = TelegramEmulator(token=TOKEN)
    await emulator.start()
    yield emulator
    await emulator.stop()


@pytest.fixture
async def claude() -> AsyncIterator[ClaudeEmulator]:
    emulator = ClaudeEmulator()
    await emulator.start()
    yield emulator
    await emulator.stop()


@pytest.fixture
def newborn(tmp_path: Path, telegram: TelegramEmulator, claude: ClaudeEmulator) -> Patient:
    """Nothing was ever made in its folder."""
    return Patient(tmp_path, telegram.base_url, claude.base_url)


@pytest.fixture
async def patient(newborn: Patient) -> Patient:
    prepare_folders(newborn.settings)
    await (await newborn.open()).close()
    return newborn


@pytest.fixture
async def keyless(patient: Patient) -> Patient:
    """For what has nothing to do with the key: asking for it takes most of the time."""
    del patient.environ["ANTHROPIC_API_KEY"]
    return patient


# A healthy one


async def test_everything_is_looked_at_and_nothing_is_wrong(patient: Patient) -> None:
    report = await patient.look()

    assert list(report.checks) == EVERYTHING
    wrong = {name for name in EVERYTHING if report.status(name) != "ok"}
    assert wrong - {"sandbox"} == {"processes"}  # not every machine lets us make one
    assert report.code == 0


async def test_every_message_is_a_sentence(patient: Patient) -> None:
    report = await patient.look()

    for check in report.checks.values():
        assert check["message"].endswith("."), check


async def test_people_get_a_line_for_each_check(patient: Patient) -> None:
    said: list[str] = []
    code = await asyncio.to_thread(
        doctor.run, patient.environ, env_file=patient.env_file, as_json=False, say=said.append
    )

    assert code == 0
    assert len(said) == len(EVERYTHING) + 1
    assert said[0].startswith("ok       python     Python 3.")
    assert said[-1] == "Nothing to mend."


async def test_no_secret_is_shown(patient: Patient) -> None:
    report = await patient.look()

    assert TOKEN not in report.text
    assert TOKEN.partition(":")[2] not in report.text
    assert KEY not in report.text


# It changes nothing


def state_of(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Everything in a folder: mode, time of change, content."""
    return {
        str(path): (
            stat.S_IMODE(path.stat().st_mode),
            path.stat().st_mtime_ns,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in sorted(folder.rglob("*"))
        if not path.is_socket()
    }


async def test_looking_changes_nothing(patient: Patient) -> None:
    before = state_of(patient.folder)

    await patient.look()

    assert state_of(patient.folder) == before


async def test_looking_makes_nothing(newborn: Patient) -> None:
    report = await newborn.look()

    assert not list(newborn.folder.iterdir())
    assert report.status("database") == "warning"
    assert report.status("owner") == "ok"
    assert report.code == 0


async def test_tables_that_are_not_ours_are_a_problem_and_left_alone(keyless: Patient) -> None:
    shell(keyless.settings.database, "PRAGMA user_version = 0")
    before = keyless.settings.database.read_bytes()

    report = await keyless.look()

    assert report.status("database") == "problem"
    assert keyless.settings.database.read_bytes() == before


async def test_a_running_bridge_is_not_disturbed(
    patient: Patient, telegram: TelegramEmulator
) -> None:
    await patient.look()

    assert [call.method for call in telegram.calls()] == ["getMe", "getWebhookInfo"]


async def test_a_database_in_use_is_seen_as_it_is_now(keyless: Patient) -> None:
    store = await keyless.open()
    await owe_something(store)

    report = await keyless.look()

    assert report.status("database") == "ok"
    assert report.message("deliveries").startswith("Waiting to be sent: 1;")
    await owe_something(store)  # and whoever uses it goes on
    await store.close()


async def owe_something(store: Store) -> None:
    await store.write(
        lambda tx: deliveries.owe(
            tx, chat_id="7", thread_id=0, kind="reply", payload={}, now="2026-11-22 07:30:00.000"
        )
    )


# This machine


@pytest.mark.parametrize("version", [(3, 7, 0), (3, 40, 1), (3, 44, 5), (3, 50, 6), (3, 51, 2)])
async def test_an_sqlite_with_the_reset_bug_is_a_warning(
    keyless: Patient, version: tuple[int, ...]
) -> None:
    report = await keyless.look(sqlite_version=version)

    assert report.status("sqlite") == "warning"
    assert "WAL-reset bug" in report.message("sqlite")


@pytest.mark.parametrize("version", [(3, 44, 6), (3, 50, 7), (3, 51, 3), (3, 53, 0), (4, 0, 0)])
async def test_a_repaired_sqlite_is_fine(keyless: Patient, version: tuple[int, ...]) -> None:
    assert (await keyless.look(sqlite_version=version)).status("sqlite") == "ok"


async def test_an_old_python_is_a_problem(keyless: Patient) -> None:
    report = await keyless.look(python_version=(3, 10, 12))

    assert report.status("python") == "problem"


async def test_a_file_in_place_of_the_profile_is_a_problem(newborn: Patient) -> None:
    Path(newborn.environ["KITT_PROFILE"]).touch()

    report = await newborn.look()

    assert report.status("profile") == "problem"
    assert "must be a folder" in report.message("profile")


async def test_a_memory_others_can_look_into_is_a_warning(keyless: Patient) -> None:
    keyless.settings.memory.chmod(0o755)

    report = await keyless.look()

    assert report.status("profile") == "warning"
    assert "chmod 700" in report.message("profile")


# Settings


async def test_a_file_others_can_read_is_a_problem(patient: Patient) -> None:
    patient.env_file.touch()
    patient.env_file.chmod(0o640)

    report = await patient.look()

    assert report.code == 1
    assert report.status("env_file") == "problem"
    assert f"chmod 600 {patient.env_file}" in report.message("env_file")


async def test_a_private_file_is_fine_and_used(keyless: Patient) -> None:
    keyless.env_file.touch(mode=0o600)
    keyless.env_file.write_text("KITT_MODEL=claude-sonnet-5-5\n")

    report = await keyless.look()

    assert report.status("env_file") == "ok"
    assert "claude-sonnet-5-5" in report.message("settings")


async def test_a_wrong_setting_is_a_problem_with_its_name(patient: Patient) -> None:
    patient.environ["KITT_WROKERS"] = "3"

    report = await patient.look()

    assert report.code == 1
    assert report.status("settings") == "problem"
    assert "KITT_WROKERS" in report.message("settings")


# The database


async def test_a_damaged_database_is_a_problem(keyless: Patient) -> None:
    keyless.settings.database.write_bytes(b"This is no database. " * 500)

    report = await keyless.look()

    assert report.status("database") == "problem"
    assert "put back a copy" in report.message("database")


async def test_a_page_that_was_overwritten_is_found(keyless: Patient) -> None:
    with keyless.settings.database.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 4096)

    report = await keyless.look()

    assert report.status("database") == "problem"
    assert "damaged" in report.message("database")


async def test_a_database_of_a_newer_kitt_is_a_problem(keyless: Patient) -> None:
    shell(keyless.settings.database, "PRAGMA user_version = 99")

    report = await keyless.look()

    assert report.status("database") == "problem"
    assert "newer KITT" in report.message("database")


async def test_a_folder_in_place_of_the_database_is_a_problem(keyless: Patient) -> None:
    keyless.settings.database.unlink()
    keyless.settings.database.mkdir()

    report = await keyless.look()

    assert report.status("database") == "problem"
    assert "cannot be read" in report.message("database")


async def test_an_emptied_database_is_a_problem(keyless: Patient) -> None:
    keyless.settings.database.write_bytes(b"")
    (keyless.settings.jobs_dir / "7").mkdir(parents=True)

    report = await keyless.look()

    assert report.status("database") == "problem"
    assert "is empty and was in use before" in report.message("database")


async def test_the_size_of_the_database_and_its_last_backup_are_said(keyless: Patient) -> None:
    store = await keyless.open()
    await store.write(lambda tx: tx.run("put_meta", name="word", value="x" * 3_000_000))
    await store.write(lambda tx: tx.run("put_meta", name="word", value="short"))
    before = await keyless.look()
    await backup(keyless.settings, keyless.folder / "copy.db", force=False, clock=keyless.clock)
    after = await keyless.look()
    await store.close()

    found = re.fullmatch(
        r"[\d.]+ MB, of which [\d.]+ are unused; log ([\d.]+) MB; last backup: none known.",
        before.message("file"),
    )
    assert found is not None
    assert float(found[1]) > 3  # nothing has moved it into the database yet
    assert f"last backup: {stamp(keyless.clock.now())[:16]} UTC" in after.message("file")


async def test_room_that_is_not_used_is_said(keyless: Patient) -> None:
    store = await keyless.open()
    await store.write(lambda tx: tx.run("put_meta", name="word", value="x" * 3_000_000))
    await store.write(lambda tx: tx.run("put_meta", name="word", value="short"))
    await store.close()

    report = await keyless.look()

    assert "of which 3." in report.message("file")


async def test_updates_not_handled_are_a_warning(keyless: Patient) -> None:
    for number, state in enumerate(["new", "new", "quarantined", "done"]):
        shell(
            keyless.settings.database,
            "INSERT INTO inbox (update_id, received_at, state) VALUES (:id, '', :state)",
            id=number,
            state=state,
        )

    report = await keyless.look()

    assert report.status("updates") == "warning"
    assert report.message("updates").startswith("Not handled yet: 2; set aside: 1.")


async def test_deliveries_held_for_a_user_who_left_are_no_warning(keyless: Patient) -> None:
    store = await keyless.open()
    await owe_something(store)
    await store.write(lambda tx: tx.run("hold_lane", chat_id="7"))
    await store.close()

    report = await keyless.look()

    assert report.status("deliveries") == "ok"
    assert report.message("deliveries").endswith("blocked the bot: 1.")


async def test_a_bot_nobody_may_use_is_a_warning(keyless: Patient) -> None:
    del keyless.environ["KITT_OWNER"]

    report = await keyless.look()

    assert report.status("owner") == "warning"
    assert "kitt setup" in report.message("owner")


async def test_an_owner_by_claim_counts(keyless: Patient) -> None:
    del keyless.environ["KITT_OWNER"]
    store = await keyless.open()
    now = keyless.clock.now()
    code = await store.write(lambda tx: people.new_claim(tx, now))
    await store.write(lambda tx: people.claim(tx, code, 7, "Anna", "nl", now))
    await store.close()

    assert (await keyless.look()).status("owner") == "ok"


# Telegram and the provider


async def test_a_refused_token_is_a_problem(patient: Patient) -> None:
    patient.environ["TELEGRAM_BOT_TOKEN"] = wrong = TOKEN[:-1] + "9"

    report = await patient.look()

    assert report.code == 1
    assert "copy it again" in report.message("telegram")
    assert wrong not in report.text


@pytest.mark.parametrize(
    ("name", "check"), [("TELEGRAM_BOT_TOKEN", "telegram"), ("ANTHROPIC_API_KEY", "key")]
)
async def test_a_missing_secret_is_a_problem(patient: Patient, name: str, check: str) -> None:
    del patient.environ[name]

    report = await patient.look()

    assert report.code == 1
    assert report.status(check) == "problem"
    assert name in report.message(check)


async def test_telegram_that_is_away_is_a_problem(
    keyless: Patient, telegram: TelegramEmulator
) -> None:
    telegram.order(telegram_faults.Fault(drop="refused", times=9))

    report = await keyless.look()

    assert report.status("telegram") == "problem"
    assert "cannot be reached" in report.message("telegram")


async def test_a_refused_key_is_a_problem(patient: Patient) -> None:
    patient.environ["ANTHROPIC_API_KEY"] = "sk-ant-wrong"

    report = await patient.look()

    assert report.code == 1
    assert "does not accept ANTHROPIC_API_KEY" in report.message("key")
    assert "sk-ant-wrong" not in report.text


async def test_a_provider_that_is_away_is_a_problem(
    patient: Patient, claude: ClaudeEmulator
) -> None:
    claude.order(claude_faults.Fault(status=529))

    report = await patient.look()

    assert report.status("key") == "problem"
    assert "not available now" in report.message("key")


async def test_a_check_that_breaks_hides_no_other(patient: Patient) -> None:
    patient.environ["ANTHROPIC_API_KEY"] = "no-héader"  # cannot be sent at all

    report = await patient.look()

    assert report.status("key") == "problem"
    assert list(report.checks) == EVERYTHING


@pytest.mark.parametrize(("seconds", "side"), [(120, "ahead"), (-120, "behind")])
async def test_a_clock_that_is_wrong_is_a_warning(
    keyless: Patient, seconds: int, side: str
) -> None:
    keyless.clock.jump(seconds)

    report = await keyless.look()

    assert report.status("clock") == "warning"
    assert side in report.message("clock")


async def hooked(request: web.Request) -> web.Response:
    """A Bot API whose bot has a webhook; the emulator's never has one."""
    me = {"id": 7, "is_bot": True, "first_name": "Hooked", "username": "hooked_bot"}
    url = "https://other.example/hook/a-secret-path"
    info = {"url": url, "has_custom_certificate": False, "pending_update_count": 0}
    result = me if request.match_info["method"] == "getMe" else info
    return web.json_response({"ok": True, "result": result})


async def test_a_webhook_left_over_is_a_problem_named_without_its_path(keyless: Patient) -> None:
    app = web.Application()
    app.router.add_route("*", "/bot{token}/{method}", hooked)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    keyless.environ["TELEGRAM_BASE_URL"] = f"http://127.0.0.1:{runner.addresses[0][1]}/bot"

    report = await keyless.look()
    await runner.cleanup()

    assert report.status("webhook") == "problem"
    assert "other.example" in report.message("webhook")
    assert "a-secret-path" not in report.text


# What runs


class _Requests(SimpleXMLRPCRequestHandler):
    rpc_paths = ("/", "/RPC2")
    disable_nagle_algorithm = False  # a Unix socket has none

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Nobody reads it."""


class Supervisord(socketserver.UnixStreamServer, SimpleXMLRPCDispatcher):
    """Answers as supervisord does, about programs that are not there."""

    def __init__(self, path: Path, programs: list[dict[str, Any]]) -> None:
        SimpleXMLRPCDispatcher.__init__(self, allow_none=True)
        socketserver.UnixStreamServer.__init__(self, str(path), _Requests)
        self.register_function(os.getpid, "supervisor.getPID")
        self.register_function(dict, "kitt.starts")
        self.register_function(lambda: programs, "supervisor.getAllProcessInfo")


@pytest.fixture
def supervised(keyless: Patient) -> Iterator[list[dict[str, Any]]]:
    """The programs of a supervisord that runs; a test adds what it says of them."""
    settings, programs = keyless.settings, list[dict[str, Any]]()
    (settings.run_dir / SUPERVISOR_PID_FILE).write_text(str(os.getpid()))
    server = Supervisord(socket_path(settings), programs)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield programs
    server.shutdown()
    thread.join()
    server.server_close()


def program(name: str, state: str, *, exitstatus: int = 0) -> dict[str, Any]:
    pid = os.getpid() if state == "RUNNING" else 0
    info = {"name": name, "group": name, "statename": state, "pid": pid, "start": 0, "now": 5}
    return {**info, "exitstatus": exitstatus, "spawnerr": ""}


async def test_programs_that_run_are_named(
    keyless: Patient, supervised: list[dict[str, Any]]
) -> None:
    supervised += [program("kitt-bridge", "RUNNING"), program("kitt-worker-1", "RUNNING")]

    report = await keyless.look()

    assert report.status("processes") == "ok"
    assert "kitt-bridge, kitt-worker-1" in report.message("processes")


async def test_a_program_that_does_not_stay_up_is_a_problem(
    keyless: Patient, supervised: list[dict[str, Any]]
) -> None:
    supervised += [program("kitt-bridge", "EXITED", exitstatus=78)]

    report = await keyless.look()

    assert report.status("processes") == "problem"
    assert "kitt logs bridge" in report.message("processes")


async def test_what_a_killed_supervisord_left_is_not_running(keyless: Patient) -> None:
    (keyless.settings.run_dir / SUPERVISOR_PID_FILE).write_text("1")

    report = await keyless.look()

    assert report.status("processes") == "warning"
    assert "kitt up" in report.message("processes")


# --- voice ----------------------------------------------------------------------------------------


async def test_voice_that_is_off_is_fine_and_says_how_to_turn_it_on(keyless: Patient) -> None:
    report = await keyless.look()

    assert report.status("voice") == "ok"
    assert "KITT_TRANSCRIBER" in report.message("voice")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("KITT_TRANSCRIBER", "no-such-program {file}", "There is no program no-such-program"),
        ("KITT_TRANSCRIBER_URL", "http://127.0.0.1:9/v1", "Nothing answers"),
    ],
)
async def test_a_transcriber_that_is_not_there_is_a_problem(
    keyless: Patient, name: str, value: str, words: str
) -> None:
    keyless.environ[name] = value

    report = await keyless.look()

    assert report.status("voice") == "problem"
    assert report.message("voice").startswith(words)


async def test_a_transcriber_that_is_there_is_fine(keyless: Patient) -> None:
    keyless.environ["KITT_TRANSCRIBER"] = "cat"

    assert (await keyless.look()).status("voice") == "ok"

"""`kitt doctor`: looks at everything KITT needs, says what is wrong and what to do.

It changes nothing: no folder is made, the database is opened for reading and not migrated, and
Telegram is asked only what does not disturb a running bridge (getUpdates would: a second reader
gets the first one a 409). The two questions to the services are those of `kitt setup`.
"""

import asyncio
import json
import os
import shutil
import sqlite3
import stat
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final

from bridge import people
from bridge.backup import LAST_BACKUP
from bridge.budgets import Budgets
from bridge.clock import Clock
from bridge.doctor_jobs import CHECKS, Check, Look
from bridge.doctor_mcp import mcp_checks
from bridge.doctor_network import network_checks
from bridge.errors import KittError
from bridge.kinds import Kind
from bridge.kinds.built_in import BUILT_IN
from bridge.kinds.registry import Broken, Kinds
from bridge.migrate import migrations
from bridge.process import SUPERVISOR_PID_FILE, emptied, network_file_system
from bridge.settings import Settings
from bridge.setup import BotFacts, ask_telegram, try_key
from bridge.store import Tx, statements
from bridge.transcribe import transcriber_of

SKEW_MAX_S: Final = 30.0  # schedules and claim codes are still right enough
PYTHON_MIN: Final = (3, 11)
DISK_LOW_MB: Final = 1_000
DISK_FULL_MB: Final = 100
LOG_LONG_MB: Final = 100  # KITT keeps it below 17 while it runs and nobody reads for long

# The WAL-reset bug is in 3.7.0 to 3.51.2 (sqlite.org/wal.html); these repaired it.
_REPAIRED_IN: Final = ((3, 44, 6), (3, 50, 7))
_REPAIRED_SINCE: Final = (3, 51, 3)


def run(
    environ: Mapping[str, str] | None,
    *,
    env_file: Path,
    as_json: bool,
    clock: Clock | None = None,
    say: Callable[[str], None] = print,
    python_version: tuple[int, ...] = sys.version_info[:3],
    sqlite_version: tuple[int, ...] = sqlite3.sqlite_version_info,
) -> int:
    """Look at everything and say it, as lines or as one JSON object; 1 when there is a problem.

    `environ` and `env_file` are those of `Settings.load`. A setting that is wrong ends the list:
    without settings nobody knows what to look at.
    """
    checks = [_python(python_version), _sqlite(sqlite_version)]
    with _noting("env_file", checks):
        checks.append(_env_file(env_file))
    if checks[-1].status == "ok":  # with a file that others can read nothing would start either
        with _noting("settings", checks):
            settings = Settings.load(environ, env_file=env_file)
            checks.append(_settings(settings))
            asyncio.run(_examine(settings, clock or Clock(), checks))
    problems = [check for check in checks if check.status == "problem"]
    if as_json:
        found = {"ok": not problems, "checks": [asdict(check) for check in checks]}
        say(json.dumps(found, ensure_ascii=False, indent=2))
    else:
        for check in checks:
            say(f"{check.status:<8} {check.name:<10} {check.message}")
        say(f"{len(problems)} to mend." if problems else "Nothing to mend.")
    return 1 if problems else 0


async def _examine(settings: Settings, clock: Clock, checks: list[Check]) -> None:
    looks: list[tuple[str, Look]] = [
        ("profile", _profile),
        ("kinds", _kinds),
        ("disk", _disk),
        ("database", partial(_database, now=clock.now())),
        ("processes", _processes),
        *CHECKS,
    ]
    for name, look in looks:
        with _noting(name, checks):
            checks += look(settings)
    with _noting("mcp", checks):
        checks += await mcp_checks(settings)
    with _noting("network", checks):
        checks += await network_checks(settings)
    with _noting("telegram", checks):
        checks += _telegram(await ask_telegram(settings, clock))
    with _noting("key", checks):
        await try_key(settings)
        checks.append(Check("key", "ok", f"The model provider accepts it for {settings.model}."))
    with _noting("voice", checks):
        checks.append(await _voice(settings))


@contextmanager
def _noting(name: str, checks: list[Check]) -> Iterator[None]:
    """An error is the finding; one check that breaks must not hide the others."""
    try:
        yield
    except KittError as error:
        checks.append(Check(name, "problem", str(error)))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is about this check only
        # Its type alone: the text of a foreign error may hold a secret.
        text = f"This could not be looked at ({type(error).__name__}): see the other lines first."
        checks.append(Check(name, "problem", text))


def _python(version: tuple[int, ...]) -> Check:
    text = f"Python {'.'.join(str(part) for part in version)}"
    if version < PYTHON_MIN:
        return Check("python", "problem", f"{text} is too old: KITT needs 3.11 or newer.")
    return Check("python", "ok", f"{text}.")


def _sqlite(version: tuple[int, ...]) -> Check:
    text = "SQLite " + ".".join(str(part) for part in version)
    backported = any(version[:2] == fixed[:2] and version >= fixed for fixed in _REPAIRED_IN)
    if version >= _REPAIRED_SINCE or backported:
        return Check("sqlite", "ok", f"{text}.")
    return Check(
        "sqlite",
        "warning",
        f"{text} has the WAL-reset bug (repaired in 3.51.3, 3.50.7 and 3.44.6). KITT keeps clear "
        "of it, as its programs write and checkpoint one at a time; upgrade SQLite when you can.",
    )


def _env_file(path: Path) -> Check:
    if not path.exists():
        return Check("env_file", "ok", f"There is no {path}: the environment says it all.")
    if _mode(path) & 0o077:
        text = f"{path} holds secrets and others can read it: run `chmod 600 {path}`."
        return Check("env_file", "problem", text)
    return Check("env_file", "ok", f"{path} is private ({_mode(path):04o}).")


def _settings(settings: Settings) -> Check:
    text = f"Profile {settings.profile}, models {settings.model} and {settings.worker_model}."
    return Check("settings", "ok", text)


def _profile(settings: Settings) -> list[Check]:
    """The folders as `process.prepare_folders` wants them, without making them."""
    memory = settings.memory
    kind = network_file_system(memory)
    if kind:
        text = f"{memory} lies on a network file system ({kind}), which damages the database: "
        return [Check("profile", "problem", text + "set KITT_PROFILE to a folder on a local disk.")]
    there = _nearest(memory)
    if not there.is_dir():
        text = f"{there} must be a folder, and a file is in its place: move the file."
        return [Check("profile", "problem", text)]
    if not os.access(there, os.W_OK | os.X_OK):
        text = f"{there} cannot be written: change its owner or mode, or set KITT_PROFILE."
        return [Check("profile", "problem", text)]
    if memory.is_dir() and _mode(memory) & 0o077:
        text = f"Others can look into {memory}: run `chmod 700 {memory}`."
        return [Check("profile", "warning", text)]
    return [Check("profile", "ok", f"{settings.profile} can be written and its memory is private.")]


def _kinds(settings: Settings) -> list[Check]:
    """The kinds of jobs that are not built in: each broken one is left out until it is mended."""
    found = list(Kinds(settings.profile).all())
    broken = [
        Check("kinds", "warning", f"{kind.source} is left out: {kind.reason}.")
        for kind in found
        if isinstance(kind, Broken)
    ]
    own = [kind.name for kind in found if isinstance(kind, Kind) and kind.name not in BUILT_IN]
    text = f"{len(BUILT_IN)} kinds of jobs are built in" + (f", and {', '.join(own)}" * bool(own))
    return broken or [Check("kinds", "ok", f"{text}.")]


def _disk(settings: Settings) -> list[Check]:
    free_mb = shutil.disk_usage(_nearest(settings.memory)).free // 1_000_000
    if free_mb < DISK_FULL_MB:
        text = f"Only {free_mb:,} MB are free: make room, or KITT stops when the disk is full."
        return [Check("disk", "problem", text)]
    if free_mb < DISK_LOW_MB:
        return [Check("disk", "warning", f"Only {free_mb:,} MB are free: make room soon.")]
    return [Check("disk", "ok", f"{free_mb:,} MB are free.")]


def _database(settings: Settings, *, now: datetime) -> list[Check]:
    path = settings.database
    if not path.exists():
        text = f"There is no {path} yet: `kitt setup` makes it."
        return [Check("database", "warning", text), _owner(settings.owners)]
    if text := emptied(settings):
        return [Check("database", "problem", text)]
    # Opening a file in WAL mode leaves two files beside it, even read-only, when nobody has it
    # open; then nobody writes either, and it may be read as if it could not change.
    quiet = "" if path.with_name(f"{path.name}-wal").exists() else "&immutable=1"
    try:
        with closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro{quiet}", uri=True)
        ) as connection:
            connection.row_factory = sqlite3.Row
            return _database_says(connection, settings, now)
    except sqlite3.OperationalError as error:
        text = f"{path} cannot be read ({error}): check its owner, its mode and who else uses it."
        return [Check("database", "problem", text)]
    except sqlite3.DatabaseError as error:
        return [_damaged(path, str(error))]


def _database_says(
    connection: sqlite3.Connection, settings: Settings, now: datetime
) -> list[Check]:
    path = settings.database
    verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if verdict != "ok":
        return [_damaged(path, verdict)]
    version, ours = connection.execute("PRAGMA user_version").fetchone()[0], len(migrations())
    if version > ours:
        text = f"{path} was made by a newer KITT (its version {version}, ours {ours}): upgrade."
        return [Check("database", "problem", text)]
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if version == 0 and tables:
        text = f"{path} holds tables that are not KITT's: point KITT_PROFILE elsewhere."
        return [Check("database", "problem", text)]
    if version < ours:
        text = f"{path} has version {version}; the next start brings it to {ours}."
        return [Check("database", "warning", text)]
    tx = Tx(connection, statements())
    whole = Check("database", "ok", f"{path} is whole, version {version}.")
    return [
        whole,
        _file(connection, tx, path),
        _deliveries(tx),
        _updates(tx),
        Check("budget", "ok", Budgets.of(settings).said(tx, now)),
        _owner(people.owners(tx, settings.owners)),
    ]


def _damaged(path: Path, how: str) -> Check:
    text = f"{path} is damaged ({how}): stop KITT and put back a copy of it."
    return Check("database", "problem", text)


def _file(connection: sqlite3.Connection, tx: Tx, path: Path) -> Check:
    page_mb = connection.execute("PRAGMA page_size").fetchone()[0] / 1e6
    unused_mb = connection.execute("PRAGMA freelist_count").fetchone()[0] * page_mb
    log = path.with_name(f"{path.name}-wal")
    log_mb = log.stat().st_size / 1e6 if log.exists() else 0.0
    last = tx.value("meta", name=LAST_BACKUP)
    text = (
        f"{path.stat().st_size / 1e6:,.1f} MB, of which {unused_mb:,.1f} are unused; "
        f"log {log_mb:,.1f} MB; last backup: {f'{last[:16]} UTC' if last else 'none known'}."
    )
    if log_mb > LOG_LONG_MB:
        text += " The log is long: a program reads the database without end, or KITT is stopped."
        return Check("file", "warning", text)
    return Check("file", "ok", text)


def _deliveries(tx: Tx) -> Check:
    counts = {row["status"]: row["deliveries"] for row in tx.all("count_deliveries")}
    waiting, held = counts.get("ready", 0) + counts.get("sending", 0), counts.get("held", 0)
    text = f"Waiting to be sent: {waiting}; held for users who blocked the bot: {held}."
    if waiting:
        return Check("deliveries", "warning", f"{text} See `kitt logs bridge` if this stays so.")
    return Check("deliveries", "ok", text)


def _updates(tx: Tx) -> Check:
    counts = {row["state"]: row["updates"] for row in tx.all("count_updates")}
    new, aside = counts.get("new", 0), counts.get("quarantined", 0)
    text = f"Not handled yet: {new}; set aside: {aside}."
    if new or aside:
        return Check("updates", "warning", f"{text} See `kitt logs bridge` if this stays so.")
    return Check("updates", "ok", text)


def _owner(owners: frozenset[int]) -> Check:
    if not owners:
        text = "Nobody may use the bot yet: run `kitt setup` and send the bot the code it shows."
        return Check("owner", "warning", text)
    return Check("owner", "ok", f"Owners, who may use the bot: {len(owners)}.")


def _processes(settings: Settings) -> list[Check]:
    from bridge.supervision import NotRunning, processes  # only here: it loads all of `kitt up`

    idle = Check("processes", "warning", "KITT is not running here: start it with `kitt up`.")
    if not (settings.run_dir / SUPERVISOR_PID_FILE).exists():
        return [idle]
    try:
        rows = processes(settings)
    except NotRunning:
        return [idle]
    ended = [f"{row.name}: {row.exit}" for row in rows if row.exit]
    if ended:
        return [Check("processes", "problem", "; ".join(ended) + ".")]
    return [Check("processes", "ok", f"{', '.join(row.name for row in rows)} run.")]


def _telegram(facts: BotFacts) -> list[Check]:
    checks = [Check("telegram", "ok", f"The token is that of @{facts.username}. {facts.words}")]
    if facts.webhook_host:
        text = f"Messages go to a webhook at {facts.webhook_host} and not to KITT: run `kitt setup`"
        checks.append(Check("webhook", "problem", text + ", which offers to remove it."))
    else:
        checks.append(Check("webhook", "ok", "There is no webhook."))
    if facts.skew_s is not None and abs(facts.skew_s) > SKEW_MAX_S:
        side = "ahead" if facts.skew_s > 0 else "behind"
        text = f"The clock is {abs(facts.skew_s):,.0f} s {side}: set it, schedules depend on it."
        checks.append(Check("clock", "warning", text))
    elif facts.skew_s is not None:
        checks.append(Check("clock", "ok", "The clock agrees with Telegram's."))
    return checks


async def _voice(settings: Settings) -> Check:
    transcriber = transcriber_of(settings)
    if transcriber is None:
        text = "Voice messages are refused; KITT_TRANSCRIBER or KITT_TRANSCRIBER_URL turns them on."
        return Check("voice", "ok", text)
    try:
        problem = await transcriber.problem()
    finally:
        await transcriber.close()
    if problem:
        return Check("voice", "problem", f"{problem}.")
    return Check("voice", "ok", "The transcriber of voice messages can be used.")


def _nearest(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    return next(path for path in (folder, *folder.parents) if path.exists())


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)

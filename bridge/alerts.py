"""What the owners are told about the machinery itself, beside any job or conversation.

An alert is a delivery like any other: kept, sent in order, once. It names a text in the owner's
language and never holds a secret or a traceback: those are in the log, and the text says which.
"""

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bridge import people
from bridge.clock import Clock, stamp
from bridge.deliveries import owe
from bridge.store import Store, Tx

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """One file of the box."""

    path: Path
    alert: str
    key: str
    values: Mapping[str, Any]


def tell_owners(
    tx: Tx, owners: Iterable[int | str], alert: str, *, key: str, now: str, **values: Any
) -> None:
    """Owe each owner the text `alert_<alert>`, filled with `values`; the same `key` only once."""
    _tell(tx, owners, alert, key=key, now=now, values=values)


async def pick_up_alerts(
    store: Store, clock: Clock, owners: Iterable[int | str], folder: Path
) -> None:
    """Turn the files of the alert box into deliveries and remove them after the commit.

    `owners` are those of the settings; whoever has claimed the bot is told too. An empty box costs
    one look at the folder. Raises: what `Store.write` raises; the files then stay.
    """
    files = _files(folder)
    if not files:
        return
    found = [each for path in files if (each := _read(path)) is not None]

    def tell(tx: Tx) -> None:
        everyone = people.owners(tx, frozenset(int(owner) for owner in owners))
        if not everyone:
            log.warning("There is no owner to tell: %s", ", ".join(each.key for each in found))
        now = stamp(clock.now())
        for each in found:
            _tell(tx, everyone, each.alert, key=each.key, now=now, values=each.values)

    if found:
        await store.write(tell)
    for path in files:
        path.unlink(missing_ok=True)


def _tell(
    tx: Tx,
    owners: Iterable[int | str],
    alert: str,
    *,
    key: str,
    now: str,
    values: Mapping[str, Any],
) -> None:
    for owner in owners:
        owe(
            tx,
            chat_id=str(owner),
            thread_id=0,
            kind="alert",
            payload={"alert": alert, "values": dict(values)},
            now=now,
            dedupe_key=f"alert:{key}:{owner}",
        )


def _files(folder: Path) -> list[Path]:
    """What waits, oldest first; nothing where there is no box yet."""
    return sorted(folder.glob("*.json"), key=_left_at)


def _left_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # another process was quicker
        return 0.0


def _read(path: Path) -> _Found | None:
    """An alert, or None when the file is gone or is none of ours."""
    left_at = stamp(datetime.fromtimestamp(_left_at(path), UTC))
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        alert, program = str(content["alert"]), str(content["program"])
        values = {"program": program, "at": left_at[11:16], **content["values"]}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        log.warning("%s is no alert and is removed", path)
        return None
    # To ten minutes: what happens again at once is not told again at once.
    return _Found(path=path, alert=alert, key=f"{alert}:{program}:{left_at[:15]}", values=values)

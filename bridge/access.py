"""What owners decide about people: allow, refuse, block; each decision once, with who made it.

Every function works inside the caller's transaction. Of two owners who decide at the same moment
the first one has decided, and the other hears what.
"""

import json
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from bridge import people
from bridge.clock import stamp
from bridge.errors import KittError
from bridge.people import STRANGER_REST, Role
from bridge.store import Tx

STRANGERS_LISTED: Final = 40  # the newest ones; anybody may write to a bot
LISTED_MAX: Final = 1_000  # of each other role


class OwnerStays(KittError):
    """An owner who cannot be changed: named in KITT_OWNER, or who asks it of themselves."""

    def __init__(self, user_id: int, reason: str) -> None:
        super().__init__(f"User {user_id} stays an owner ({reason}).")
        self.reason = reason  # `settings` or `self`


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Someone the bot knows."""

    user_id: int
    role: Role
    name: str
    language: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What was decided last, and the name of who did."""

    role: Role
    by: str


def find(tx: Tx, settings_owners: AbstractSet[int], user_id: int) -> Known:
    """What is known of someone; a stranger without a name when nothing is."""
    row = tx.one("user", user_id=str(user_id))
    return Known(
        user_id=user_id,
        role=people.role(tx, settings_owners, user_id),
        name=str(row["name"]) if row is not None else "",
        language=str(row["language"]) if row is not None else "en",
    )


def everyone(tx: Tx, settings_owners: AbstractSet[int]) -> list[Known]:
    """Owners, allowed and blocked people, and the strangers who wrote last, in this order."""
    found = [find(tx, settings_owners, user_id) for user_id in sorted(settings_owners)]
    for role in ("owner", "allowed", "blocked", "stranger"):
        limit = STRANGERS_LISTED if role == "stranger" else LISTED_MAX
        for row in tx.all("people_of_role", role=role, limit=limit):
            # A row made by hand whose id is no number is nobody.
            if row["user_id"].isdecimal() and int(row["user_id"]) not in settings_owners:
                found.append(
                    Known(
                        user_id=int(row["user_id"]),
                        role=row["role"],
                        name=row["name"],
                        language=row["language"],
                    )
                )
    return found


def ask(tx: Tx, user_id: int, now: datetime) -> bool:
    """Whether to ask the owners about a stranger now: at most once in 24 hours.

    True counts as asked, and what was decided before no longer counts.
    """
    since = stamp(now - STRANGER_REST)
    if not tx.run("ask_owners", user_id=str(user_id), now=stamp(now), since=since):
        return False
    tx.run("drop_meta", name=_decision(user_id))
    return True


def decided(tx: Tx, about: int) -> Decision | None:
    """What was decided since the owners were asked last."""
    kept = tx.value("meta", name=_decision(about))
    return None if kept is None else Decision(**json.loads(kept))


def decide(
    tx: Tx, settings_owners: AbstractSet[int], user_id: int, role: Role, *, by: int, name: str
) -> None:
    """Give someone a role, decided by the owner `by` whose name this is. Raises: OwnerStays.

    Nobody decides about themselves, so that there always is an owner left.
    """
    if user_id == by:
        raise OwnerStays(user_id, "self")
    if user_id in settings_owners:
        raise OwnerStays(user_id, "settings")
    tx.run("set_role", user_id=str(user_id), role=role)
    record(tx, user_id, role, by=name)


def record(tx: Tx, about: int, role: Role, *, by: str) -> None:
    """Keep what was decided about a person, or about a group (a negative number)."""
    tx.run("put_meta", name=_decision(about), value=json.dumps({"role": role, "by": by}))


def _decision(about: int) -> str:
    return f"decision:{about}"

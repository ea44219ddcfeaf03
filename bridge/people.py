"""Who may use the bot: nobody, until one person has claimed it; then whom its owners allow.

A person is a numeric Telegram id, never a name or a chat: those change hands. Owners are the ids in
KITT_OWNER and whoever sent a claim code, which only the terminal of `kitt setup` has shown.
Everyone else is a stranger until an owner allows or blocks them (`access.py`). Every function works
inside the caller's transaction, so that a claim or a refusal commits together with the update it
came from.
"""

import hashlib
import hmac
import secrets
import unicodedata
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from typing import Final, Literal

from bridge.clock import stamp
from bridge.models import clean_text, short
from bridge.store import Tx

Role = Literal["owner", "allowed", "stranger", "blocked"]

CLAIM_BYTES: Final = 16  # 128 bits: 22 characters in a link, beyond guessing
CLAIM_LIFE: Final = timedelta(minutes=10)
CLAIM_TRIES: Final = 5
STRANGER_REST: Final = timedelta(hours=24)
NAME_CHARS_MAX: Final = 64


def role(tx: Tx, settings_owners: AbstractSet[int], user_id: int) -> Role:
    """What this person may do; a stranger unless KITT_OWNER, a claim or an owner says otherwise."""
    if user_id in settings_owners:
        return "owner"
    known = tx.one("user", user_id=str(user_id))
    if known is None:
        return "stranger"
    given: Role = known["role"]
    return given


def owners(tx: Tx, settings_owners: AbstractSet[int]) -> frozenset[int]:
    """Everyone who may decide who uses the bot."""
    return frozenset(settings_owners) | with_role(tx, "owner")


def with_role(tx: Tx, role: Role) -> frozenset[int]:
    """Everyone who was given this role."""
    ids = [row["user_id"] for row in tx.all("with_role", role=role)]
    # A row made by hand whose id is no number is nobody, and must not stop anyone else.
    return frozenset(int(user_id) for user_id in ids if user_id.isdecimal())


def remember(tx: Tx, user_id: int, name: str, language: str) -> None:
    """Keep the name and language of someone. What they may do stays as it is."""
    tx.run("remember_user", user_id=str(user_id), name=plain_name(name), language=language)


def new_claim(tx: Tx, now: datetime) -> str:
    """A code that makes whoever sends it an owner: once, within 10 minutes. Older codes end.

    Only its SHA-256 is stored, so a copy of the database claims nothing.
    """
    code = secrets.token_urlsafe(CLAIM_BYTES)
    tx.run("drop_claims")
    tx.run(
        "put_claim",
        code_hash=_hash(code),
        expires_at=stamp(now + CLAIM_LIFE),
        tries_left=CLAIM_TRIES,
    )
    return code


def claim(tx: Tx, code: str, user_id: int, name: str, language: str, now: datetime) -> bool:
    """True when the code was right: this person is an owner from now on and the code has ended.

    A wrong code costs one of five tries, whoever sent it; then the code ends too. Commit in both
    cases. That the message came in a private chat is for the caller to check.
    """
    row = tx.one("claim_code", now=stamp(now))
    if row is None or not code.strip():
        return False
    # Hashes are compared in constant time: how long it takes says nothing about the code.
    if not hmac.compare_digest(str(row["code_hash"]), _hash(code.strip())):
        tx.run("claim_try")
        return False
    tx.run("drop_claims")
    tx.run("put_user", user_id=str(user_id), role="owner", name=plain_name(name), language=language)
    return True


def stranger_may_be_answered(tx: Tx, user_id: int, name: str, language: str, now: datetime) -> bool:
    """Whether to answer a stranger now: at most once in 24 hours, so nobody makes the bot chatter.

    True counts as answered: it is remembered in this transaction.
    """
    known = tx.one("user", user_id=str(user_id))
    answered_at = None if known is None else known["refused_at"]
    if answered_at is not None and answered_at > stamp(now - STRANGER_REST):
        return False
    tx.run(
        "stranger_refused",
        user_id=str(user_id),
        name=plain_name(name),
        language=language,
        now=stamp(now),
    )
    return True


def _hash(code: str) -> str:
    return hashlib.sha256(code.encode("utf-8", "replace")).hexdigest()


def plain_name(name: str) -> str:
    """A name is chosen by whoever bears it: no signs that nobody sees or that turn a line round."""
    visible = "".join(c if unicodedata.category(c)[0] != "C" else " " for c in clean_text(name))
    return short(visible, NAME_CHARS_MAX)

"""What Telegram shows beside a chat: the menus of commands, the bot's own words, the menu button.

Each menu is for some chats and one language, and holds only commands that something here answers.
Telegram limits how often it may be told, so each is told only when it has changed.
"""

import asyncio
import hashlib
import json
import logging
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import suppress
from typing import Any, Final, NamedTuple

from bridge.clock import Clock
from bridge.errors import KittError
from bridge.store import Store
from bridge.telegram.api import Api, Flooded, Rejected
from bridge.telegram.texts import DEFAULT, LANGUAGES, say

log = logging.getLogger(__name__)
ANYWHERE: Final = ("start", "help")
PRIVATE: Final = (
    *("new", "stop", "bg", "jobs", "job", "cancel", "retry", "schedule", "files", "settings"),
    *("memory", "persona", "status", "cost", "help"),
)
GROUPS: Final = ("jobs", "job", "stop", "help")
FOR_OWNERS: Final = ("users", "logs", "restart")
PAUSE_S: Final = 0.2  # between two calls: an answer to a person must not meet a rate limit
AGAIN_S: Final = 60.0
_TOLD: Final = "menus"  # in the table meta: what Telegram knows, as a hash of each call


class Call(NamedTuple):
    """One thing to tell Telegram; `name` is ours."""

    name: str
    method: str
    given: dict[str, Any]


class Menu:
    """Keeps what Telegram shows up to date. `commands` are those that have an answer."""

    def __init__(self, *, store: Store, api: Api, clock: Clock, commands: AbstractSet[str]) -> None:
        self._store = store
        self._api = api
        self._clock = clock
        self._commands = commands
        self._owners: set[int] = set()
        self._task: asyncio.Task[None] | None = None

    def offer(self, owners: Iterable[int] = ()) -> None:
        """Tell Telegram what it does not know yet, for these owners too; returns at once."""
        self._owners.update(owners)
        before = self._task
        self._task = asyncio.create_task(self._tell_all(before))

    async def close(self) -> None:
        """Stop; what was not told is at the next start."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _tell_all(self, before: asyncio.Task[None] | None) -> None:
        try:
            if before is not None:
                await before
            told = await self._told()
            for call in calls(self._commands, self._owners):
                digest = _digest(call)
                if told.get(call.name) != digest and await self._tell(call):
                    told[call.name] = digest
                    await self._keep(told)
                    await self._clock.sleep(PAUSE_S)
        except KittError as error:
            log.warning("The menus are told at the next start: %s", error)

    async def _tell(self, call: Call) -> bool:
        """However long it takes; False when Telegram refuses."""
        while True:
            try:
                await self._api.call(call.method, **call.given)
                return True
            except Flooded as error:
                await self._clock.sleep(error.retry_after_s)
            except Rejected as error:  # e.g. an owner who has not written to the bot yet
                log.info("Telegram refuses the menu %s: %s", call.name, error)
                return False
            except KittError as error:
                log.warning("The menu %s is told later: %s", call.name, error)
                await self._clock.sleep(AGAIN_S)

    async def _told(self) -> dict[str, str]:
        kept = await self._store.read(lambda tx: tx.value("meta", name=_TOLD))
        return dict(json.loads(kept)) if kept else {}

    async def _keep(self, told: dict[str, str]) -> None:
        text = json.dumps(told)
        await self._store.write(
            lambda tx: tx.run("put_meta", name=_TOLD, value=text), durable=False
        )


def calls(commands: AbstractSet[str], owners: AbstractSet[int]) -> Iterator[Call]:
    """Everything Telegram should know, in the order in which it matters."""
    scopes: list[tuple[str, dict[str, Any], tuple[str, ...]]] = [
        ("private", {"type": "all_private_chats"}, PRIVATE),
        ("groups", {"type": "all_group_chats"}, GROUPS),
        ("anywhere", {"type": "default"}, ANYWHERE),
    ]
    if commands & {*FOR_OWNERS}:  # otherwise an owner's menu is everybody's
        scopes += [
            (f"owner {owner}", {"type": "chat", "chat_id": owner}, (*PRIVATE, *FOR_OWNERS))
            for owner in sorted(owners)
        ]
    for name, scope, wanted in scopes:
        for language in LANGUAGES:
            menu = [
                {"command": command, "description": say(language, f"command_{command}")}
                for command in wanted
                if command in commands
            ]
            given = {"commands": menu, "scope": scope, **_code(language)}
            yield Call(f"{name} {language}", "setMyCommands", given)
    yield Call("button", "setChatMenuButton", {"menu_button": {"type": "commands"}})
    for language in LANGUAGES:
        for what, method in (
            ("description", "setMyDescription"),
            ("short_description", "setMyShortDescription"),
        ):
            given = {what: say(language, f"bot_{what}"), **_code(language)}
            yield Call(f"{what} {language}", method, given)


def _code(language: str) -> dict[str, str]:
    """The default one is for everybody whose language has none of its own."""
    return {} if language == DEFAULT else {"language_code": language}


def _digest(call: Call) -> str:
    return hashlib.sha256(json.dumps(call.given).encode()).hexdigest()[:16]

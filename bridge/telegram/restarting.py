"""`/restart`, for owners: first the workers, one after another, then the bridge itself.

That it was asked for is a row until it is over, so the bridge that comes after says once that it
is back, however the one before ended.
"""

import json
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

from bridge.clock import Clock, stamp
from bridge.errors import KittError
from bridge.store import Store, Tx
from bridge.telegram.asking import edit_of, owe_notice
from bridge.telegram.buttons import Signer
from bridge.telegram.compose import Part, plain_part
from bridge.telegram.gate import Incoming, Press
from bridge.telegram.texts import say

log = logging.getLogger(__name__)
ROW: Final = "restart"  # in meta: which chat asked for it, in which language
BEGIN: Final = "rs"


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartCommands:
    """Asks whether it is meant. That an owner asks was seen before."""

    signer: Signer
    supervised: bool
    names = ("restart",)
    read_only = ("restart",)
    verbs = (BEGIN, "rk")

    def command(self, _tx: Tx, message: Incoming, _name: str, _argument: str) -> list[Part]:
        """`/restart`."""
        language = message.language
        if not self.supervised:
            return [plain_part(say(language, "restart_alone"))]
        buttons = self.signer.row(
            message.chat_id,
            (say(language, "button_restart"), BEGIN, 0),
            (say(language, "button_no_restart"), "rk", 0),
        )
        return [{**plain_part(say(language, "restart_sure")), "buttons": buttons}]

    def press(self, tx: Tx, press: Press, verb: str, number: int) -> tuple[str, list[Part]]:
        """Yes or no; what follows a yes is `Restart.go`."""
        language = press.language
        if verb != BEGIN:
            return "", edit_of(press, plain_part(say(language, "restart_not")))
        if not self.supervised:
            return say(language, "restart_alone"), []
        if tx.value("meta", name=ROW) is not None:
            return say(language, "restart_goes_on"), []
        asked = {"chat_id": press.chat_id, "language": language}
        tx.run("put_meta", name=ROW, value=json.dumps(asked))
        return "", edit_of(press, plain_part(say(language, "restarting")))


class Restart:
    """Carries it out. `renew` is for the workers; None when no supervisor starts them again."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        renew: Callable[[], Coroutine[Any, Any, None]] | None,
        stop: Callable[[], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._renew = renew
        self._stop = stop
        self._busy = False

    async def go(self) -> None:
        """Restart everything that was asked to; on a fault the bridge stays, and says so."""
        asked = await self._store.read(lambda tx: tx.value("meta", name=ROW))
        if asked is None or self._busy or self._renew is None:
            return
        self._busy = True
        try:
            await self._renew()
        except KittError as error:
            log.error("The workers could not be restarted: %s", error)
            await self._store.write(lambda tx: self._over(tx, "restart_failed"))
            self._busy = False
        else:
            self._stop()

    async def back(self) -> None:
        """The bridge runs again: say so, if somebody asked for it."""
        if await self._store.read(lambda tx: tx.value("meta", name=ROW)) is not None:
            await self._store.write(lambda tx: self._over(tx, "restarted_all", silent=True))

    def _over(self, tx: Tx, key: str, *, silent: bool = False) -> None:
        row = tx.value("meta", name=ROW)
        if row is None:
            return
        tx.run("drop_meta", name=ROW)
        asked = json.loads(row)
        part = plain_part(say(asked["language"], key), silent=silent)
        owe_notice(tx, asked["chat_id"], part, now=stamp(self._clock.now()))

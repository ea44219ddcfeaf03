"""Sends what is owed, once where that can be known, in order for each chat.

A delivery is marked `sending` before the call and `sent` after it. Found in `sending` after a
crash, or when the connection broke after the request was out, it may have arrived, and Telegram
cannot be asked: it is sent again and says so. One task per chat keeps the order; a chat that must
wait (a flood, a network fault) does not hold up another.
"""

import asyncio
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from bridge import failpoints
from bridge.clock import Clock, stamp
from bridge.deliveries import from_row, owe
from bridge.errors import KittError
from bridge.models import Delivery
from bridge.store import Store, Tx
from bridge.telegram import compose, files_out, rich_out
from bridge.telegram.api import Ambiguous, Api, ChatMoved, Flooded, NotDelivered, Rejected
from bridge.telegram.bells import Bells
from bridge.telegram.budget import Budget
from bridge.telegram.buttons import Signer
from bridge.telegram.compose import Part
from bridge.telegram.files_out import FilesOut
from bridge.telegram.gate import language_of_chat
from bridge.telegram.packer import Packer
from bridge.telegram.parts import Parts
from bridge.telegram.rich_out import RichOut
from bridge.telegram.texts import say

log = logging.getLogger(__name__)
COPIES_MAX: Final = 3  # of a message that may have arrived each time; then it waits for the person
# Of a message that is there: made twice, they do no harm.
CHANGES: Final = ("edit", "edit_rich", "buttons", "delete")
PLAIN: Final[dict[str, Any]] = {
    "entities": [],
    "reply_to": None,
    "buttons": None,
}  # what may be refused
ENDS: Final = ("result", "failure")  # of a job: these are never swallowed
BACKOFF_S: Final = (0.5, 1, 2, 4, 8, 15, 30)


@dataclass(slots=True)
class _Try:
    """What a lane knows of the part it is sending."""

    failures: int = 0
    doubtful: bool = False  # it may have arrived
    copies: int = 0  # of which Telegram has not said that they arrived


class Outbox:
    """The loop that sends deliveries. `run` ends only by cancellation."""

    def __init__(
        self,
        *,
        store: Store,
        api: Api,
        budget: Budget,
        signer: Signer,
        clock: Clock,
        bells: Bells,
        jobs_dir: Path,
        moved: Callable[[Tx, str, str], None],
    ) -> None:
        self._store = store
        self._api = api
        self._budget = budget
        self._clock = clock
        self._packer = Packer(store=store, signer=signer, jobs_dir=jobs_dir)
        self._rich = RichOut(api=api, signer=signer)
        self._parts = Parts(
            store=store, signer=signer, clock=clock, chosen=bells.chosen, jobs_dir=jobs_dir
        )
        self._files = FilesOut(store=store, api=api, budget=budget, clock=clock, jobs_dir=jobs_dir)
        self._moved = moved
        self._bells = bells
        self._lanes: dict[str, asyncio.Task[None]] = {}
        self.held: set[str] = set()  # chats whose person has blocked the bot
        self._owed = asyncio.Event()
        self._owed.set()
        self._draining = False

    def notice(self) -> None:
        """Something may be owed."""
        self._owed.set()

    def owed(self, chat_id: str) -> None:
        """Something is owed to this chat: the short way, for an answer someone waits for."""
        if self._draining:
            return  # a lane of now would outlive the connections it needs
        if chat_id not in self._lanes:
            self._lanes[chat_id] = asyncio.create_task(self._lane(chat_id))
        else:
            self._owed.set()

    async def run(self) -> None:
        """Start a lane for every chat to which something is owed."""
        while True:
            await self._owed.wait()
            self._owed.clear()
            rows = await self._store.read(lambda tx: tx.all("open_lanes"))
            for row in rows:
                if row["packing"]:
                    self._packer.look()
                elif row["chat_id"] not in self._lanes:
                    self.owed(row["chat_id"])

    async def drain(self, timeout_s: float) -> None:
        """Give the lanes some seconds, and start no other; what is left stays owed."""
        self._draining = True
        self._packer.stop()
        if self._lanes:
            _, late = await asyncio.wait(self._lanes.values(), timeout=timeout_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _lane(self, chat_id: str) -> None:
        """Send everything owed to one chat, in order."""
        state = _Try()
        row = None
        try:
            while row := await self._store.read(
                lambda tx: tx.one("next_delivery", chat_id=chat_id)
            ):
                delivery = from_row(row)
                if delivery.status == "sending":
                    state.doubtful = True
                if await self._send_next(delivery, state):
                    state = _Try()
        except KittError as error:
            log.warning("The lane of chat %s pauses: %s", chat_id, error)
            await self._clock.sleep(BACKOFF_S[3])
        except Exception as error:  # what is owed must not stay behind because of one bad row
            log.exception("The lane of chat %s stopped", chat_id)
            if row is not None:
                await self._over(row["id"], "failed", type(error).__name__)
                if row["kind"] in ENDS:
                    await self._tell_plainly(row["chat_id"], json.loads(row["payload"]))
        finally:
            del self._lanes[chat_id]
            self._owed.set()  # something may have come while we were leaving

    async def _tell_plainly(self, chat_id: str, payload: dict[str, Any]) -> None:
        """The end of a job could not be shown: its person is told where to look."""
        text = say(await self._language(chat_id), "see_job", id=payload.get("job"))

        def tell(tx: Tx) -> None:
            owe(
                tx,
                chat_id=chat_id,
                thread_id=0,
                kind="notice",
                payload={"parts": [compose.plain_part(text)]},
                now=stamp(self._clock.now()),
            )

        await self._store.write(tell)

    async def _send_next(self, delivery: Delivery, state: _Try) -> bool:
        """Send one part of a delivery. True when it is over (sent or given up)."""
        parts = await self._parts.of(delivery)
        if delivery.sent_parts >= len(parts):
            await self._over(delivery.id, "dropped", "nothing to send")
            return True
        part = dict(parts[delivery.sent_parts])
        if hushed_until := self._bells.hush(delivery, part):
            part["silent"] = True
        doubtful = state.doubtful and part["do"] not in CHANGES
        if doubtful and state.copies >= COPIES_MAX:
            log.warning("Delivery %d waits until its person writes again", delivery.id)
            self.held.add(delivery.chat_id)
            await self._over(delivery.id, "held", "sent several times without an answer")
            return True
        overdraw = delivery.kind == "reply" and delivery.sent_parts == 0
        await self._budget.take(delivery.chat_id, overdraw=overdraw)
        await self._store.write(
            lambda tx: tx.run("delivery_sending", id=delivery.id), durable=False
        )
        try:
            if doubtful:  # ask something harmless first: copies are not made while nothing answers
                await self._api.typing(delivery.chat_id, delivery.thread_id)
            state.copies += 1
            failpoints.hit("before_send")
            message_id = await self._send_part(delivery, part, doubtful=doubtful)
            failpoints.hit("after_send")
        except Flooded as error:
            self._budget.flooded(delivery.chat_id, error.retry_after_s)
            await self._waits(delivery, str(error))
            return False
        except NotDelivered as error:
            await self._waits(delivery, str(error))
            await self._pause(state)
            return False
        except Ambiguous as error:
            log.warning("Delivery %d may have arrived: %s", delivery.id, error)
            await self._pause(state)
            return False  # still marked `sending`: it goes again, and says so
        except ChatMoved as error:
            await self._move(delivery, str(error.new_id))
            return True
        except Rejected as error:
            return await self._rejected(delivery, parts, error)
        await self._sent(delivery, parts, message_id, hushed_until)
        return True

    async def _send_part(self, delivery: Delivery, part: Part, *, doubtful: bool) -> int | None:
        """The id of the message; none when it was taken away."""
        chat_id, thread_id = delivery.chat_id, part.get("thread_id", delivery.thread_id)
        if part["do"] == "buttons":
            await self._api.edit_buttons(chat_id, part["message_id"], part["buttons"])
            return int(part["message_id"])
        if part["do"] in files_out.KINDS:
            return await self._files.send(delivery, part, doubtful=doubtful)
        if part["do"] in rich_out.KINDS:
            mark = say(await self._language(chat_id), "repeated") if doubtful else ""
            return await self._rich.send(delivery, part, mark=mark)
        buttons = part.get("buttons")
        if "tables" in part:
            buttons = self._rich.buttons(delivery, part, await self._language(chat_id))
        if part["do"] == "edit":
            await self._api.edit_text(
                chat_id,
                part["message_id"],
                part["text"],
                entities=part["entities"],
                buttons=buttons,
            )
            return int(part["message_id"])
        if part["do"] == "leave":
            await self._api.leave(chat_id)
            return 0
        if part["do"] == "delete":
            await self._api.delete(chat_id, part["message_id"])
            return None
        if doubtful:
            part = compose.marked(part, await self._language(chat_id))
        return await self._api.send_text(
            chat_id,
            part["text"],
            entities=part["entities"],
            thread_id=thread_id,
            reply_to=part.get("reply_to"),
            silent=part.get("silent", False),
            buttons=buttons,
        )

    async def _sent(
        self, delivery: Delivery, parts: list[Part], message_id: int | None, until: datetime | None
    ) -> None:
        part = parts[delivery.sent_parts]

        def done(tx: Tx) -> None:
            tx.run(
                "part_sent",
                id=delivery.id,
                message_id=message_id,
                last=delivery.sent_parts + 1 == len(parts),
                now=stamp(self._clock.now()),
            )
            job_id, what = part.get("of_job") or (delivery.payload.get("job"), delivery.kind)
            if job_id is not None:
                tx.run(
                    "note_job_message",
                    chat_id=delivery.chat_id,
                    message_id=message_id,
                    job_id=job_id,
                    what=what,
                )
            if until is not None:
                self._bells.keep(tx, delivery, until)
            if part["do"] == "card":
                tx.run(
                    "insert_card",
                    job_id=part["job"],
                    message_id=message_id,
                    shown=part["text"],
                    final=part["final"],
                )
                tx.wake("bridge")  # the job may have moved on while its card was under way

        await self._store.write(done, durable=False)
        if until is not None:
            self._bells.hushed.set()

    async def _rejected(self, delivery: Delivery, parts: list[Part], error: Rejected) -> bool:
        """Telegram refuses this part: change what it refuses, hold the chat, or give up."""
        part = parts[delivery.sent_parts]
        changes: dict[str, dict[str, Any]] = {
            "edit_gone": {"do": "rich" if part["do"] == "edit_rich" else "text"},
            "reply_gone": {"reply_to": None},
            "entities": {"entities": []},
            "thread_gone": {"thread_id": 0},
            "other": {} if part["do"] in (*rich_out.KINDS, "album") else PLAIN,
        }
        change = changes.get(error.reason)
        if part["do"] == "photo" and error.reason != "blocked":
            change = {"do": "document"}  # a file that is no picture, or a very large one
        elif part["do"] == "buttons":
            change = None  # without its message there is nothing to do
        if change is not None and any(part.get(key) != value for key, value in change.items()):
            part.update(change)
        elif part["do"] in rich_out.KINDS and error.reason != "blocked":
            language = await self._language(delivery.chat_id)
            parts[delivery.sent_parts : delivery.sent_parts + 1] = rich_out.without_rich(
                part, language
            )
        elif part["do"] == "album" and error.reason != "blocked":
            parts[delivery.sent_parts : delivery.sent_parts + 1] = part["files"]  # one by one
        elif error.reason == "too_big":
            language = await self._language(delivery.chat_id)
            text = say(language, "file_too_big", name=part.get("name", ""))
            parts[delivery.sent_parts] = compose.plain_part(text, silent=True)
        elif error.reason == "blocked":
            log.info("Chat %s has blocked the bot; what is owed to it waits", delivery.chat_id)
            self.held.add(delivery.chat_id)  # first: its person may write at once
            await self._store.write(lambda tx: tx.run("hold_lane", chat_id=delivery.chat_id))
            return True
        else:
            log.warning("Delivery %d is refused: %s", delivery.id, error)
            await self._over(delivery.id, "failed", str(error))
            if delivery.kind in ENDS:
                await self._tell_plainly(delivery.chat_id, delivery.payload)
            return True
        await self._parts.change(delivery, parts, str(error))
        return False

    async def _move(self, delivery: Delivery, new_id: str) -> None:
        def move(tx: Tx) -> None:
            tx.run("delivery_waits", id=delivery.id, error=None)
            self._moved(tx, delivery.chat_id, new_id)
            self._bells.chosen.renew(tx, new_id)

        await self._store.write(move)

    async def _waits(self, delivery: Delivery, error: str) -> None:
        await self._store.write(
            lambda tx: tx.run("delivery_waits", id=delivery.id, error=error), durable=False
        )

    async def _over(self, delivery_id: int, status: str, error: str) -> None:
        await self._store.write(
            lambda tx: tx.run("delivery_over", id=delivery_id, status=status, error=error)
        )

    async def _pause(self, state: _Try) -> None:
        delay_s = BACKOFF_S[min(state.failures, len(BACKOFF_S) - 1)]
        state.failures += 1
        await self._clock.sleep(delay_s)

    async def _language(self, chat_id: str) -> str:
        return await self._store.read(lambda tx: language_of_chat(tx, chat_id))

"""A file without a word: its person is asked what it is for, and no model sees it before.

The answer is a button (Summary, Keep, Ask), or words that follow within some minutes: those go to
the model together with the file. What is open is a row, and in memory, so that words cost no look
into the database. The row goes in the commit that answers, keeps or forgets.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from bridge import conversation
from bridge.clock import Clock, stamp
from bridge.deliveries import owe
from bridge.received import Received
from bridge.store import Store, Tx
from bridge.telegram import compose
from bridge.telegram.buttons import Signer
from bridge.telegram.compose import Part
from bridge.telegram.gate import Incoming, Press
from bridge.telegram.inbox import all_over
from bridge.telegram.openings import remember_files
from bridge.telegram.texts import say

WORDS_WITHIN_S: Final = 600
AFTER_ASK_S: Final = 3_600
NAMES_SHOWN: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class _Open:
    """Files of one message or album, and until when words belong to them (unix seconds)."""

    update_id: int
    chat_id: str
    thread_id: int
    message_id: int
    files: tuple[Received, ...]
    until: int


class FileQuestions:
    """What is asked about files, and what comes of it. `load` before the first message."""

    names = ()
    read_only = ()
    verbs = ("fk", "fa")  # and `fs`, which is a message to the model

    def __init__(self, *, store: Store, signer: Signer, clock: Clock) -> None:
        self._store = store
        self._signer = signer
        self._clock = clock
        self._open: dict[int, _Open] = {}

    def load(self, tx: Tx) -> None:
        """What was open when the bridge ended."""
        for row in tx.all("file_questions"):
            self._note(_from_row(dict(row)))

    def ask(self, item: Incoming) -> None:
        """Words that come from now on belong to these files; `put` asks."""
        self._note(
            _Open(
                update_id=item.update_id,
                chat_id=item.chat_id,
                thread_id=item.thread_id,
                message_id=item.message_id,
                files=item.files,
                until=item.sent_at + WORDS_WITHIN_S,
            )
        )

    async def put(self, item: Incoming) -> None:
        """Ask what they are for: once, however often the update comes."""

        def ask(tx: Tx) -> None:
            now = stamp(self._clock.now())
            if not all_over(tx, (item.update_id, *item.also), state="done", now=now):
                return
            tx.run(
                "insert_file_question",
                update_id=item.update_id,
                chat_id=item.chat_id,
                thread_id=item.thread_id,
                message_id=item.message_id,
                files=json.dumps([file.block() for file in item.files], ensure_ascii=False),
                until=item.sent_at + WORDS_WITHIN_S,
            )
            owe(
                tx,
                chat_id=item.chat_id,
                thread_id=item.thread_id,
                kind="reply",
                payload={"parts": [self._question(item)]},
                dedupe_key=_key(item.update_id),
                now=now,
            )

        await self._store.write(ask)

    def with_files(self, message: Incoming) -> Incoming:
        """The same message, with the files that wait for such words."""
        if not self._open or message.files or message.forwarded:
            return message
        found = [
            item
            for item in self._open.values()
            if (item.chat_id, item.thread_id) == (message.chat_id, message.thread_id)
            and message.sent_at <= item.until
        ]
        for item in found:
            del self._open[item.update_id]
        files = tuple(file for item in found for file in item.files)
        return replace(message, files=files, asked=tuple(item.update_id for item in found))

    def summary(self, press: Press, number: int) -> Incoming | None:
        """The press of Summary as a message of its person; None when it is over already."""
        item = self._open.get(number)
        if item is None or item.chat_id != press.chat_id:
            return None
        del self._open[number]
        return Incoming(
            update_id=press.update_id,
            chat_id=item.chat_id,
            thread_id=item.thread_id,
            user_id=press.user_id,
            name=press.name,
            language=press.language,
            message_id=item.message_id,
            text=say(press.language, "file_summarise"),
            files=item.files,
            asked=(number,),
        )

    def forget(self, chat_id: str, thread_id: int) -> None:
        """No words belong to the files of this chat any more; `forgotten` stores it."""
        for item in [*self._open.values()]:
            if (item.chat_id, item.thread_id) == (chat_id, thread_id):
                del self._open[item.update_id]

    async def forgotten(self, chat_id: str, thread_id: int) -> None:
        """Store that a chat has nothing to ask about."""
        await self._store.write(
            lambda tx: tx.run("file_questions_over", chat_id=chat_id, thread_id=thread_id)
        )

    def command(self, tx: Tx, message: Incoming, name: str, argument: str) -> list[Part]:
        """There are no commands here."""
        raise NotImplementedError(name)

    def press(self, tx: Tx, press: Press, verb: str, number: int) -> tuple[str, list[Part]]:
        """Keep the files, or wait for a question about them."""
        row = tx.one("file_question", update_id=number)
        if row is None or row["chat_id"] != press.chat_id:
            return say(press.language, "file_chosen"), []
        item = _from_row(dict(row))
        if verb == "fa":
            until = int(self._clock.now().timestamp()) + AFTER_ASK_S
            tx.run("file_question_until", update_id=number, until=until)
            if number in self._open:
                self._note(replace(item, until=until))
            return say(press.language, "file_ask_how"), []
        self._open.pop(number, None)
        kept = Incoming(
            update_id=number,
            chat_id=item.chat_id,
            thread_id=item.thread_id,
            user_id=press.user_id,
            name=press.name,
            language=press.language,
            message_id=item.message_id,
            text="",
            has_file=True,
            files=item.files,
            asked=(number,),
        )
        now = stamp(self._clock.now())
        sentence = say(press.language, "file_kept", names=_names(item.files))
        remember_files(tx, kept, sentence, now=now)
        over(tx, kept, sentence, now=now)
        return say(press.language, "file_kept_short"), []

    def _note(self, item: _Open) -> None:
        self._open[item.update_id] = item

    def _question(self, item: Incoming) -> Part:
        text = say(item.language, "file_question", names=_names(item.files))
        buttons = self._signer.row(
            item.chat_id,
            (say(item.language, "button_summary"), "fs", item.update_id),
            (say(item.language, "button_keep_file"), "fk", item.update_id),
            (say(item.language, "button_ask"), "fa", item.update_id),
        )
        part = compose.plain_part(text, reply_to=item.message_id, silent=True)
        return {**part, "buttons": buttons}


def over(tx: Tx, item: Incoming, sentence: str = "", *, now: str) -> None:
    """Somebody has said what the files are for: the question becomes their names, or a sentence."""
    for update_id in item.asked:
        row = tx.one("file_question", update_id=update_id)
        if not tx.run("file_question_over", update_id=update_id) or row is None:
            continue
        message_id = tx.value("sent_message", dedupe_key=_key(update_id))
        if message_id is None:
            continue
        text = sentence or f"📎 {_names(_from_row(dict(row)).files)}"
        owe(
            tx,
            chat_id=item.chat_id,
            thread_id=item.thread_id,
            kind="notice",
            payload={
                "parts": [{**compose.plain_part(text), "do": "edit", "message_id": message_id}]
            },
            dedupe_key=f"{_key(update_id)}:over",
            now=now,
        )


def _key(update_id: int) -> str:
    return f"update:{update_id}:asked"


def _names(files: Iterable[Received]) -> str:
    names = [file.name for file in files]
    more = f" +{len(names) - NAMES_SHOWN}" if len(names) > NAMES_SHOWN else ""
    return conversation.without_tags(", ".join(names[:NAMES_SHOWN])) + more


def _from_row(row: dict[str, object]) -> _Open:
    blocks = json.loads(str(row["files"]))
    files = [Received.of(block) for block in blocks]
    return _Open(
        update_id=int(str(row["update_id"])),
        chat_id=str(row["chat_id"]),
        thread_id=int(str(row["thread_id"])),
        message_id=int(str(row["message_id"])),
        files=tuple(file for file in files if file is not None),
        until=int(str(row["until"])),
    )

"""A message that was changed after it had been answered: its person may have it answered again.

The offer is a silent reply to the changed message, so that the press brings its words along: they
are those of the last change, and nothing has to be kept for it.
"""

from bridge import conversation
from bridge.agent.replies import text_of
from bridge.clock import Clock, stamp
from bridge.deliveries import owe
from bridge.store import Store, Tx
from bridge.telegram import compose
from bridge.telegram.buttons import Signer
from bridge.telegram.gate import Incoming, Press
from bridge.telegram.inbox import over
from bridge.telegram.openings import with_quote
from bridge.telegram.texts import say

AGAIN = "ea"


class Edits:
    """Offers an answer to a changed message, in private chats."""

    def __init__(self, *, store: Store, signer: Signer, clock: Clock) -> None:
        self._store = store
        self._signer = signer
        self._clock = clock

    async def offer(self, message: Incoming) -> None:
        """The end of the update of a change that came after the answer."""
        await self._store.write(lambda tx: self._offer(tx, message))

    def _offer(self, tx: Tx, message: Incoming) -> None:
        now = stamp(self._clock.now())
        if not over(tx, message.update_id, state="done", now=now) or not self._is_new(tx, message):
            return
        language = message.language
        part = compose.plain_part(
            say(language, "was_changed"), reply_to=message.message_id, silent=True
        )
        button = (say(language, "button_again_changed"), AGAIN, message.message_id)
        owe(
            tx,
            chat_id=message.chat_id,
            thread_id=message.thread_id,
            kind="reply",
            payload={"parts": [{**part, "buttons": self._signer.row(message.chat_id, button)}]},
            dedupe_key=f"update:{message.update_id}:changed",
            now=now,
        )

    def _is_new(self, tx: Tx, message: Incoming) -> bool:
        """Telegram also tells of changes that leave the words as they were."""
        if message.in_group or message.command is not None or not message.text.strip():
            return False
        name = conversation.chat_conversation(message.chat_id, message.thread_id)
        said = (text_of(m) for m in conversation.load(tx, name) if m.role == "user")
        return not any(with_quote(message) in text for text in said)


def again(press: Press) -> Incoming | None:
    """The changed message as a new one; None when Telegram does not tell its words any more."""
    if press.replied is None or not press.replied[1].strip():
        return None
    return Incoming(
        update_id=press.update_id,
        chat_id=press.chat_id,
        thread_id=press.thread_id,
        user_id=press.user_id,
        name=press.name,
        language=press.language,
        message_id=press.replied[0],
        text=press.replied[1],
        in_group=press.in_group,
    )

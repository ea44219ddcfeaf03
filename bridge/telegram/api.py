"""Telegram's Bot API as the rest of this folder uses it: our words in, our errors out.

python-telegram-bot does the wire; this module alone turns its exceptions into what a sender can do
about them. The difference that matters is between a message that surely did not arrive and one that
may have: Telegram has no way to ask (each exception below was provoked and looked at).
"""

import asyncio
import os
from collections.abc import Awaitable
from contextlib import suppress
from typing import Any, TypeVar

import httpx
from telegram import (
    Bot,
    LinkPreviewOptions,
)
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    EndPointNotFound,
    Forbidden,
    InvalidToken,
    NetworkError,
    RetryAfter,
    TelegramError,
    TimedOut,
)
from telegram.request import HTTPXRequest

from bridge.errors import ConfigError, KittError
from bridge.telegram.addressed import Me
from bridge.telegram.wire import entities_of, keyboard_of, reason_of, reply_of

# Read by the library at every flood; without it each one warns that its type will change.
os.environ["PTB_TIMEDELTA"] = "1"

T = TypeVar("T")
Buttons = list[list[dict[str, str]]]
POLL_S = 30
POLL_GRACE_S = 15  # for the answer to travel
DOWNLOAD_READ_S = 30
CLOSE_S = 5
ALLOWED_UPDATES = [
    "message",
    "edited_message",
    "callback_query",
    "my_chat_member",
    "message_reaction",
    "stopped_message_generation",
]
NOT_SENT = (httpx.PoolTimeout, httpx.ConnectTimeout, httpx.ConnectError)


class Flooded(KittError):
    """Telegram wants silence; surely not delivered."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(f"Telegram asks to wait {retry_after_s:.0f} s.")
        self.retry_after_s = retry_after_s


class NotDelivered(KittError):
    """Surely not delivered; trying again may help."""


class Ambiguous(KittError):
    """It may have been delivered: the connection broke after the request was out."""


class Silent(Ambiguous):
    """The request was out and no answer came in time."""


class Elsewhere(KittError):
    """Another program polls with this token."""


class ChatMoved(KittError):
    """The group became a supergroup."""

    def __init__(self, new_id: int) -> None:
        super().__init__(f"The chat is now {new_id}.")
        self.new_id = new_id


class Rejected(KittError):
    """Telegram refuses; `reason` is one of wire.REASONS, or `other`."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Api:
    """The bot. `open` checks the token with one call."""

    def __init__(self, *, token: str, base_url: str, base_file_url: str) -> None:
        trusted = {"verify": httpx.create_ssl_context()}  # for both: 140 certificates are 0.7 MB
        request = HTTPXRequest(
            connection_pool_size=64,
            read_timeout=25,
            write_timeout=25,
            connect_timeout=10,
            pool_timeout=10,
            media_write_timeout=120,
            httpx_kwargs=trusted,
        )
        polling = HTTPXRequest(
            connection_pool_size=2,
            read_timeout=15,
            connect_timeout=10,
            pool_timeout=10,
            httpx_kwargs=trusted,
        )
        self.knows_rich = self.knows_drafts = True  # until the server says that it does not
        self.bot = Bot(
            token,
            base_url=base_url,
            base_file_url=base_file_url,
            request=request,
            get_updates_request=polling,
        )
        self.me = Me(0, "")  # known once it is open

    async def open(self) -> str:
        """Check the token; the bot's username. Raises: ConfigError, NotDelivered.

        From then on `me` is known.
        """
        try:
            await self.bot.initialize()
        except InvalidToken as error:
            raise _wrong_token() from error
        except NetworkError as error:
            raise NotDelivered(f"Telegram cannot be reached ({error}).") from error
        self.me = Me(self.bot.id, self.bot.username)
        return self.me.username

    async def close(self) -> None:
        """Close all connections."""
        await self.bot.shutdown()

    async def get_updates(self, offset: int | None) -> list[dict[str, Any]]:
        """Wait for updates, at most 30 s; everything below `offset` is confirmed.

        They come as they were received: the library's own call reads the whole batch at once, and
        one update that it cannot read would keep all others from us for ever.
        """
        asked = {"offset": offset, "timeout": POLL_S, "allowed_updates": ALLOWED_UPDATES}
        given = {name: value for name, value in asked.items() if value is not None}
        updates = await _translated(
            self.bot._post("getUpdates", given, read_timeout=POLL_S + POLL_GRACE_S)
        )
        return [update for update in updates if isinstance(update, dict)]

    async def send_text(
        self,
        chat_id: str,
        text: str,
        *,
        entities: list[dict[str, Any]] | None = None,
        thread_id: int = 0,
        reply_to: int | None = None,
        silent: bool = False,
        buttons: Buttons | None = None,
    ) -> int:
        """Send at most 4,096 UTF-16 units; the new message's id."""
        message = await _translated(
            self.bot.send_message(
                int(chat_id),
                text,
                entities=entities_of(entities),
                message_thread_id=thread_id if thread_id > 1 else None,
                reply_parameters=reply_of(reply_to),
                disable_notification=silent,
                reply_markup=keyboard_of(buttons),
                link_preview_options=LinkPreviewOptions(is_disabled=True),
            )
        )
        return int(message.message_id)

    async def edit_text(
        self,
        chat_id: str,
        message_id: int,
        text: str,
        *,
        entities: list[dict[str, Any]] | None = None,
        buttons: Buttons | None = None,
    ) -> None:
        """Replace a message's text and buttons; the same text again is no error."""
        edit = self.bot.edit_message_text(
            text,
            chat_id=int(chat_id),
            message_id=message_id,
            entities=entities_of(entities),
            reply_markup=keyboard_of(buttons),
            link_preview_options=LinkPreviewOptions(is_disabled=True),
        )
        await _unless("same", edit)

    async def edit_buttons(self, chat_id: str, message_id: int, buttons: Buttons) -> None:
        """Replace only the buttons of a message; the same ones again are no error."""
        edit = self.bot.edit_message_reply_markup(
            chat_id=int(chat_id), message_id=message_id, reply_markup=keyboard_of(buttons)
        )
        await _unless("same", edit)

    async def send_rich(
        self,
        chat_id: str,
        html: str,
        *,
        thread_id: int = 0,
        reply_to: int | None = None,
        silent: bool = False,
        buttons: Buttons | None = None,
    ) -> int:
        """Send a Rich Message; the new message's id. Raises: Rejected when it cannot be sent."""
        given = {
            "chat_id": int(chat_id),
            "rich_message": {"html": html},
            "message_thread_id": thread_id if thread_id > 1 else None,
            "reply_parameters": reply_of(reply_to),
            "disable_notification": silent or None,
            "reply_markup": keyboard_of(buttons),
        }
        given = {name: value for name, value in given.items() if value is not None}
        try:
            sent = await _translated(self.bot.do_api_request("sendRichMessage", api_kwargs=given))
        except EndPointNotFound as error:
            self.knows_rich = False
            raise Rejected("no_rich", "This server knows no rich messages.") from error
        return int(sent["message_id"])

    async def edit_rich(
        self, chat_id: str, message_id: int, html: str, *, buttons: Buttons | None = None
    ) -> None:
        """Make a message a Rich Message; the same one again is no error."""
        edit = self.bot.edit_message_text(
            None,  # type: ignore[arg-type]  # the library does not know the other form yet
            chat_id=int(chat_id),
            message_id=message_id,
            reply_markup=keyboard_of(buttons),
            api_kwargs={"rich_message": {"html": html}},
        )
        await _unless("same", edit)

    async def translated(self, call: Awaitable[T]) -> T:
        """Await a call of the library itself; its errors become ours."""
        return await _translated(call)

    async def delete(self, chat_id: str, message_id: int) -> None:
        """Take a message away; one that is gone, or too old for it, is no error."""
        await _unless("other", self.bot.delete_message(int(chat_id), message_id))

    async def download(self, file_id: str) -> bytes:
        """What is in a file, at most 20 MB."""
        file = await _translated(self.bot.get_file(file_id))
        return bytes(await _translated(file.download_as_bytearray(read_timeout=DOWNLOAD_READ_S)))

    async def typing(self, chat_id: str, thread_id: int = 0) -> None:
        """Show that an answer is being written, for 5 s."""
        await _translated(
            self.bot.send_chat_action(int(chat_id), "typing", message_thread_id=thread_id or None)
        )

    async def leave(self, chat_id: str) -> None:
        """Leave a group."""
        await _translated(self.bot.leave_chat(int(chat_id)))

    async def draft(self, chat_id: str, draft_id: int, part: dict[str, Any]) -> None:
        """Show a preview in a private chat for 30 s, with a stop button of the client's own."""
        call = self.bot.send_message_draft(
            int(chat_id),
            draft_id,
            part["text"],
            entities=entities_of(part["entities"]),
            message_thread_id=part["thread_id"] or None,
            api_kwargs={"can_stop": True, "keep_on_stop": True},
        )
        try:
            await _translated(call)
        except (EndPointNotFound, ConfigError) as error:  # a 404 looks like a wrong token
            raise Rejected("no_drafts", "This server knows no drafts.") from error

    async def react(self, chat_id: str, message_id: int, emoji: str | None) -> None:
        """Put one of Telegram's fixed set of emoji on a message, or take ours away."""
        await _translated(
            self.bot.set_message_reaction(int(chat_id), message_id, reaction=emoji or None)
        )

    async def answer_callback(
        self, callback_id: str, text: str = "", *, alert: bool = False
    ) -> None:
        """Tell who pressed a button that it was seen; too late is no error."""
        answer = self.bot.answer_callback_query(callback_id, text[:200] or None, show_alert=alert)
        await _unless("late", answer)

    async def call(self, method: str, **given: Any) -> None:
        """Any other method, named and filled in as in the Bot API; what it returns is dropped."""
        await _translated(self.bot._post(method, given))

    async def renew_polling(self) -> None:
        """Close the connections that wait for updates, whatever they do, and begin with new ones.

        Raises: nothing that the old ones say.
        """
        polling = self.bot._request[0]
        with suppress(TimeoutError, TelegramError, httpx.HTTPError, OSError):
            async with asyncio.timeout(CLOSE_S):
                await polling.shutdown()  # closed from its first moment, however long it takes
        await polling.initialize()


async def _translated(call: Awaitable[T]) -> T:
    """Await a call of python-telegram-bot; its errors become ours."""
    try:
        return await call
    except TelegramError as error:
        if isinstance(error, EndPointNotFound):
            raise
        raise _our_error(error) from error


async def _unless(reason: str, call: Awaitable[object]) -> None:
    """Await a call that may be refused for this reason without any harm."""
    try:
        await _translated(call)
    except Rejected as error:
        if error.reason != reason:
            raise


def _our_error(error: TelegramError) -> KittError:
    cause = error.__cause__
    match error:
        case RetryAfter():
            # the public property has two types; the value itself is stable
            return Flooded(error._retry_after.total_seconds())
        case ChatMigrated():
            return ChatMoved(error.new_chat_id)
        case Forbidden():
            return Rejected("blocked", error.message)
        case InvalidToken():
            return _wrong_token()
        case Conflict():
            return Elsewhere("Another program uses this bot token to receive messages.")
        case BadRequest():
            return Rejected(reason_of(error.message), error.message)
        case TimedOut() | NetworkError() if isinstance(cause, NOT_SENT):
            return NotDelivered(f"Telegram cannot be reached ({error.message}).")
        case TimedOut():
            return Silent(error.message)
        case NetworkError() if "too large" in error.message.lower():
            return Rejected("too_big", error.message)
        case _:
            return Ambiguous(error.message)


def _wrong_token() -> ConfigError:
    return ConfigError(
        "Telegram does not accept TELEGRAM_BOT_TOKEN: copy it again from @BotFather (`kitt setup`)."
    )

"""The calls that carry files: one, or an album; streamed, or named by the id of an earlier one."""

from dataclasses import dataclass
from typing import IO, Any

from telegram import InputFile, InputMediaDocument, InputMediaPhoto, Message

from bridge.telegram.api import Api
from bridge.telegram.wire import reply_of

File = IO[bytes] | str  # open, or the id Telegram gave the same file before


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """One file to send; a `photo` is shown, anything else can be opened."""

    file: File
    name: str
    caption: str = ""
    photo: bool = False


@dataclass(frozen=True, slots=True)
class Sent:
    """The new message, and the id by which the file can be sent again."""

    message_id: int
    file_id: str


async def send_file(
    api: Api,
    chat_id: str,
    upload: Upload,
    *,
    thread_id: int = 0,
    reply_to: int | None = None,
    silent: bool = False,
) -> Sent:
    """Send one file. Raises what any call of Api raises."""
    send = api.bot.send_photo if upload.photo else api.bot.send_document
    message = await api.translated(
        send(
            int(chat_id),
            _content(upload),
            caption=upload.caption or None,
            disable_notification=silent,
            message_thread_id=thread_id if thread_id > 1 else None,
            reply_parameters=reply_of(reply_to),
        )
    )
    return _sent(message)


async def send_album(
    api: Api, chat_id: str, uploads: list[Upload], *, thread_id: int = 0, silent: bool = False
) -> list[Sent]:
    """Send 2 to 10 photos, or as many documents, as one."""
    media: list[Any] = [
        (InputMediaPhoto if upload.photo else InputMediaDocument)(
            _content(upload, attach=True), caption=upload.caption or None
        )
        for upload in uploads
    ]
    messages = await api.translated(
        api.bot.send_media_group(
            int(chat_id),
            media,
            disable_notification=silent,
            message_thread_id=thread_id if thread_id > 1 else None,
        )
    )
    return [_sent(message) for message in messages]


async def show_upload(api: Api, chat_id: str, thread_id: int = 0) -> None:
    """Show for 5 s that a file is on its way."""
    thread = thread_id or None
    await api.translated(
        api.bot.send_chat_action(int(chat_id), "upload_document", message_thread_id=thread)
    )


def _content(upload: Upload, *, attach: bool = False) -> InputFile | str:
    if isinstance(upload.file, str):
        return upload.file
    return InputFile(upload.file, filename=upload.name, attach=attach, read_file_handle=False)


def _sent(message: Message) -> Sent:
    if message.photo:
        return Sent(message.message_id, message.photo[-1].file_id)
    return Sent(message.message_id, message.document.file_id if message.document else "")

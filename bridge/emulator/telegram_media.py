"""The Bot API's methods about files: documents, photos, sounds, albums, and getFile."""

from __future__ import annotations

from bridge.emulator.telegram_image import picture_size
from bridge.emulator.telegram_methods import (
    new_message,
    open_chat_of,
    refuse_parse_mode,
    show_new,
)
from bridge.emulator.telegram_params import Params, Upload
from bridge.emulator.telegram_state import (
    ApiError,
    FileKind,
    Json,
    StoredFile,
    bad_request,
)
from bridge.emulator.telegram_text import CAPTION_UNITS_MAX, formatted
from bridge.emulator.telegram_world import TelegramWorld

PHOTO_BYTES_MAX = 10 * 1024 * 1024  # FileSizeLimit.PHOTOSIZE_UPLOAD
UPLOAD_BYTES_MAX = 50 * 1024 * 1024  # FileSizeLimit.FILESIZE_UPLOAD
DOWNLOAD_BYTES_MAX = 20 * 1024 * 1024  # FileSizeLimit.FILESIZE_DOWNLOAD
ALBUM_MIN, ALBUM_MAX = 2, 10  # MediaGroupLimit
PHOTO_SIDES_MAX = 10_000  # width plus height of a photo (sendPhoto)
PHOTO_RATIO_MAX = 20
_SPEECH = (b"OggS", b"ID3", b"\xff\xfb", b"\xff\xf3", b"\0\0\0")  # OGG, MP3 and M4A begin so


def send_document(world: TelegramWorld, params: Params) -> Json:
    """sendDocument."""
    return _send_file(world, params, "document")


def send_photo(world: TelegramWorld, params: Params) -> Json:
    """sendPhoto."""
    return _send_file(world, params, "photo")


def send_voice(world: TelegramWorld, params: Params) -> Json:
    """sendVoice: what is no OGG with Opus, MP3 or M4A is sent as a document, as the server does."""
    return _send_file(world, params, "voice")


def send_audio(world: TelegramWorld, params: Params) -> Json:
    """sendAudio."""
    return _send_file(world, params, "audio")


def send_media_group(world: TelegramWorld, params: Params) -> list[Json]:
    """sendMediaGroup: 2 to 10 photos, or 2 to 10 documents; no keyboard."""
    chat = open_chat_of(world, params)
    media = params.mappings("media", "expected an Array of InputMedia")
    if len(media) < ALBUM_MIN:
        raise bad_request("too few messages to send as an album")
    if len(media) > ALBUM_MAX:
        raise bad_request("too many messages to send as an album")
    kinds = {str(item.get("type")) for item in media}
    if not kinds <= {"photo", "document"}:
        raise bad_request("can't parse InputMedia: this emulator knows photos and documents")
    if len(kinds) > 1:
        raise bad_request("can't use the media of the specified type in the album")
    group_id = world.next_media_group_id()
    messages = []
    for item in media:
        # An item carries its own caption and parse mode; the rest belongs to the whole album.
        fields = {name: item.get(name) for name in ("caption", "caption_entities", "parse_mode")}
        one = Params(params.values | fields | {"reply_markup": None}, params.files)
        refuse_parse_mode(one)
        message = new_message(world, chat, one)
        message.media_group_id = group_id
        message.text, message.entities = _caption(one)
        stored = _resolve(world, str(item.get("media") or ""), item["type"], params)
        message.file = stored
        messages.append((message, stored))
    for _, stored in messages:
        world.store_file(stored)
    return [show_new(world, chat, message) for message, _ in messages]


def get_file(world: TelegramWorld, params: Params) -> Json:
    """getFile. Raises: ApiError 400 above 20 MB, the most a bot may download."""
    stored = world.files.get(params.text("file_id"))
    if stored is None:
        raise bad_request("invalid file_id")
    if len(stored.data) > DOWNLOAD_BYTES_MAX:
        raise bad_request("file is too big")
    return {
        "file_id": stored.file_id,
        "file_unique_id": stored.unique_id,
        "file_size": len(stored.data),
        "file_path": stored.path,
    }


def _send_file(world: TelegramWorld, params: Params, kind: FileKind) -> Json:
    chat = open_chat_of(world, params)
    message = new_message(world, chat, params)
    message.text, message.entities = _caption(params)
    if kind in params.files:
        stored = _check_upload(params.files[kind], kind, params.number("duration"))
    else:
        stored = _resolve(world, params.text(kind), kind, params)
    message.file = stored
    world.store_file(stored)
    return show_new(world, chat, message)


def _caption(params: Params) -> tuple[str, list[Json]]:
    return formatted(
        params.text("caption"), params.get("caption_entities"), units_max=CAPTION_UNITS_MAX
    )


def _resolve(world: TelegramWorld, reference: str, kind: FileKind, params: Params) -> StoredFile:
    """The file a reference names: `attach://part` of this call, or the id of an earlier file."""
    if reference.startswith("attach://"):
        upload = params.files.get(reference.removeprefix("attach://"))
        if upload is None:
            raise bad_request(f"attached file not found: {reference}")
        return _check_upload(upload, kind)
    if not reference:
        raise bad_request(f"there is no {kind} in the request")
    if reference.startswith(("http://", "https://")):
        raise bad_request("failed to get HTTP URL content")  # the emulator has no network
    stored = world.files.get(reference)
    if stored is None:
        raise bad_request("wrong remote file identifier specified: can't unserialize it")
    if stored.kind != kind:
        raise bad_request(f"can't use file of type {stored.kind.title()} as {kind.title()}")
    return stored


def _check_upload(upload: Upload, kind: FileKind, duration: int = 0) -> StoredFile:
    size = len(upload.data)
    if size > UPLOAD_BYTES_MAX:
        raise ApiError(413, "Request Entity Too Large")
    if size == 0:
        raise bad_request("file must be non-empty")
    if kind == "voice" and not upload.data.startswith(_SPEECH):
        kind = "document"
    if kind != "photo":
        return StoredFile(
            kind=kind,
            name=upload.name,
            mime_type=upload.mime_type,
            data=upload.data,
            duration=0 if kind == "document" else duration,
        )
    if size > PHOTO_BYTES_MAX:
        raise bad_request(
            f"file of size {size} bytes is too big for a photo; "
            f"the maximum size is {PHOTO_BYTES_MAX} bytes"
        )
    measured = picture_size(upload.data)
    if measured is None:
        raise bad_request("IMAGE_PROCESS_FAILED")
    width, height = measured
    if width + height > PHOTO_SIDES_MAX or max(measured) > PHOTO_RATIO_MAX * min(measured):
        raise bad_request("PHOTO_INVALID_DIMENSIONS")
    return StoredFile(
        kind="photo",
        name=upload.name,
        mime_type=upload.mime_type,
        data=upload.data,
        width=width,
        height=height,
    )

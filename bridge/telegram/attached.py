"""What hangs on a message besides words: a file that can be fetched, or something unheard of."""

from dataclasses import dataclass

from telegram import Message

from bridge.models import clean_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Attached:
    """A file Telegram keeps for us. Name, type and size are what the sender's client says."""

    file_id: str
    name: str
    media_type: str
    size: int


def attached_to(message: Message) -> Attached | None:
    """The file of a message: of a photo its largest size."""
    if message.photo:
        largest = max(message.photo, key=lambda size: size.width * size.height)
        return Attached(
            file_id=largest.file_id,
            name=f"photo-{message.message_id}.jpg",
            media_type="image/jpeg",
            size=largest.file_size or 0,
        )
    file = message.document or message.video
    if file is None:
        return None
    default = "video.mp4" if message.document is None else "file"
    return Attached(
        file_id=file.file_id,
        name=clean_text(file.file_name or default),
        media_type=clean_text(file.mime_type or ""),
        size=file.file_size or 0,
    )


def is_sound(message: Message) -> bool:
    """Something that would have to be listened to."""
    return bool(message.voice or message.audio or message.video_note)

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
    duration_s: int = 0  # of what can be heard


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
        return _sound_of(message)
    default = "video.mp4" if message.document is None else "file"
    return Attached(
        file_id=file.file_id,
        name=clean_text(file.file_name or default),
        media_type=clean_text(file.mime_type or ""),
        size=file.file_size or 0,
    )


def _sound_of(message: Message) -> Attached | None:
    sound = message.voice or message.audio or message.video_note
    if sound is None:
        return None
    # a video note has neither name nor type, a voice message has no name
    kind = "voice" if message.voice else "audio" if message.audio else "video"
    ending = {"voice": "ogg", "audio": "mp3", "video": "mp4"}[kind]
    default = f"{kind}-{message.message_id}.{ending}"
    duration = sound.duration
    return Attached(
        file_id=sound.file_id,
        name=clean_text(getattr(sound, "file_name", None) or default),
        media_type=clean_text(getattr(sound, "mime_type", None) or ""),
        size=sound.file_size or 0,
        duration_s=int(duration if isinstance(duration, int) else duration.total_seconds()),
    )


def is_sound(message: Message) -> bool:
    """Something that would have to be listened to."""
    return bool(message.voice or message.audio or message.video_note)

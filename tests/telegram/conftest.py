"""The fixtures of a running bridge; what they are is in tests/chatting.py."""

from chatting import bridge, chat, claude, desk, dutch, house, telegram, without_certificates
from grouping import opened, room

__all__ = [
    "bridge",
    "chat",
    "claude",
    "desk",
    "dutch",
    "house",
    "opened",
    "room",
    "telegram",
    "without_certificates",
]

"""The fixtures of a running bridge; what they are is in tests/chatting.py."""

from chatting import bridge, chat, claude, desk, dutch, house, telegram, without_certificates

__all__ = [
    "bridge",
    "chat",
    "claude",
    "desk",
    "dutch",
    "house",
    "telegram",
    "without_certificates",
]

"""The history checker (bridge/prove/history.py) as tests ask it at their end."""

from pathlib import Path

from bridge.emulator.claude import ClaudeEmulator
from bridge.emulator.telegram import DEMO_BOT, TelegramEmulator
from bridge.prove import history
from bridge.prove.witness import Witness


def check(
    database: Path,
    telegram: TelegramEmulator,
    *secrets: str,
    claude: ClaudeEmulator | None = None,
) -> None:
    """Fail with everything that is not as it must be. Call it when nothing is left to do."""
    history.check(database, Witness(telegram, claude, secrets=(DEMO_BOT, *secrets)))

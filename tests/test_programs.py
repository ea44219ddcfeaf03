"""The two programs take only what they need and hold their slot while they run."""

from pathlib import Path

import pytest

from bridge.errors import AlreadyRunning, ConfigError
from bridge.process import SlotLock, prepare_folders
from bridge.programs import run_bridge, run_worker
from bridge.settings import Secret, Settings

TOKEN = Secret("123456789:AAabcdefghijklmnopqrstuvwxyz0123456")
KEY = Secret("sk-ant-test-key-of-nobody")


async def test_the_bridge_needs_a_token(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="TELEGRAM_BOT_TOKEN"):
        await run_bridge(Settings(profile=tmp_path, anthropic_key=KEY), supervised=False)


async def test_the_bridge_needs_a_key(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="ANTHROPIC_API_KEY"):
        await run_bridge(Settings(profile=tmp_path, telegram_token=TOKEN), supervised=False)


async def test_a_worker_needs_a_key_and_no_token(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="ANTHROPIC_API_KEY"):
        await run_worker(Settings(profile=tmp_path), 1, supervised=False)


async def test_a_slot_that_is_held_is_not_taken(tmp_path: Path) -> None:
    settings = Settings(profile=tmp_path, anthropic_key=KEY)
    prepare_folders(settings)

    with (
        SlotLock(settings.run_dir / "worker-1.lock"),
        pytest.raises(AlreadyRunning, match="worker-1 is already running"),
    ):
        await run_worker(settings, 1, supervised=False)


async def test_a_worker_for_kinds_has_a_slot_of_their_name(tmp_path: Path) -> None:
    settings = Settings(profile=tmp_path, anthropic_key=KEY)
    prepare_folders(settings)

    with (
        SlotLock(settings.run_dir / "worker-browser+code-1.lock"),
        pytest.raises(AlreadyRunning, match=r"worker-browser\+code-1 is already running"),
    ):
        await run_worker(settings, 1, supervised=False, kinds=("browser", "code"))
